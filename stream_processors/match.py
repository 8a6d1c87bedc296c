"""Which rules speak about which records: one columnar question for each rule, asked of a whole batch. Pure.

A rule speaks about a record that is valid, of its categories and its jurisdiction, decided within the days of its pack,
and meets all that it asks for. What follows is a case; a match puts nothing in force. Whether the body can be
restricted at all is not asked here but where the case is judged, so that no rule can leave it out.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from schemas.windows import of_jurisdiction
from stream_processors.rules.conditions import SEPARATOR, Condition
from stream_processors.rules.packs import Packs
from stream_processors.rules.rule import Rule

Rows = np.ndarray[Any, np.dtype[np.int64]]

MATCH_SCHEMA: dict[str, type[pl.DataType]] = {"row": pl.Int64, "rule": pl.String, "why": pl.String}


def match(records: pl.DataFrame, packs: Packs) -> pl.DataFrame:
    """Columns row (of `records`), rule (its name) and why (the sentence that explains it), in the order of the rules.

    Args:
        records: CREDIT_RECORD columns.
    """
    found = [pl.DataFrame(schema=MATCH_SCHEMA)]
    valid = _Valid(records)
    if valid.is_empty:  # a closed record comes alone, and whoever enforces a measure waits for it
        return found[0]
    for name, rule in packs.rules.items():
        rows = valid.of(rule)
        conditions = packs.conditions[name]
        if len(rows) and conditions:
            some = valid.columns({condition.reads for condition in conditions})[rows]
            meets = pl.all_horizontal(condition.expression().fill_null(False) for condition in conditions)
            rows = rows[some.select(meets=meets)["meets"].to_numpy()]
        if len(rows):
            why = _why(rule, conditions)
            found.append(pl.select(row=pl.Series(rows), rule=pl.lit(name), why=pl.lit(why)))
    return pl.concat(found)


class _Valid:
    """The valid records of a batch; what several rules ask of them is answered once."""

    def __init__(self, records: pl.DataFrame) -> None:
        self._valid = np.flatnonzero((records["status"] == "valid").fill_null(False).to_numpy())
        self._records = records
        self._category = records["category"].gather(self._valid)
        self._decided = records["decided_on"].gather(self._valid)
        self._within: dict[tuple[object, ...], Rows] = {}
        self._made: dict[str, pl.Series] = {}
        self._jurisdictions: dict[str, pl.Series] = {}

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing that a rule could speak about."""
        return len(self._valid) == 0

    def of(self, rule: Rule) -> Rows:
        """Rows of the rule's categories and jurisdiction that were decided within its days."""
        key = (rule.categories, rule.jurisdiction, rule.from_day, rule.to_day)
        if key not in self._within:
            to_day = rule.to_day or date.max
            within = self._category.is_in(rule.categories) & self._decided.is_between(rule.from_day, to_day)
            within &= self._of_jurisdiction(rule.jurisdiction)
            self._within[key] = self._valid[within.fill_null(False).to_numpy()]
        return self._within[key]

    def _of_jurisdiction(self, jurisdiction: str) -> pl.Series:
        if jurisdiction not in self._jurisdictions:
            of_it = self._records.select(of_it=of_jurisdiction(jurisdiction))["of_it"]
            self._jurisdictions[jurisdiction] = of_it.gather(self._valid)
        return self._jurisdictions[jurisdiction]

    def columns(self, names: set[str]) -> pl.DataFrame:
        """These columns of all records; lists as one text."""
        for name in names - set(self._made):
            column = self._records[name]
            self._made[name] = column.list.join(SEPARATOR) if column.dtype == pl.List(pl.String) else column
        return pl.DataFrame([self._made[name] for name in sorted(names)])


@cache
def _why(rule: Rule, conditions: tuple[Condition, ...]) -> str:
    """The sentence that explains a match."""
    until = f" to {rule.to_day}" if rule.to_day else " on"
    asked = "".join(f", {condition}" for condition in conditions)
    about = f"{' or '.join(rule.categories)} decided from {rule.from_day}{until}"
    return f"{rule.pack} speaks of every valid record of {about}{asked}: {', '.join(rule.bases)}"
