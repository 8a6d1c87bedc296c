"""Records of `credit.records` as facts about subjects: evidence, acts, and bodies that ceased.

The first step of the cases lane, columnar until only the few rows are left that a rule or a case is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl

from schemas import codec, normalise
from schemas.avro import CREDIT_RECORD
from schemas.calendar import LAW_TIME
from stream_processors.cases.facts import ACT_KINDS, VALID, Act, Evidence, Registration, case_name
from stream_processors.match import match
from stream_processors.rules.packs import Packs

# Struck off, merged into another, dissolved. Where a licence was revoked the body is still there (吊销，未注销).
_GONE = re.compile(r"(?<![未拟非])(?:注销|被合并|被吸收合并|合并注销|已合并|终止|解散)(?!备案|公告|中)")

Rows = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Input:
    """One fact about one subject, the partition that it came from, and when it was reported (UTC) if that is known."""

    partition: int
    subject_key: str
    fact: Evidence | Act | Registration
    reported_at: datetime | None = None


def relevant(heads: pl.DataFrame, packs: Packs) -> Rows:
    """Rows of records that may matter: of a category that rules or acts speak of, and no markers."""
    categories = [*packs.categories, *ACT_KINDS, "registration"]
    return np.flatnonzero((heads["category"].is_in(categories) & (heads["variant_of"] == "")).to_numpy())


def inputs(values: list[bytes], partitions: list[int], packs: Packs) -> Iterator[Input]:
    """Facts in the order of the messages.

    Args:
        values: framed records that are `relevant`.
    """
    if not values:
        return
    frame = pl.DataFrame(pl.from_arrow(codec.decode(CREDIT_RECORD, values).batch))
    matched: dict[int, list[str]] = {}
    for row, rule in match(frame, packs).select("row", "rule").iter_rows():
        matched.setdefault(row, []).append(rule)
    documents = normalise.document_identity(normalise.document_numbers(frame["document_number"])).to_list()
    for number, row in enumerate(frame.iter_rows(named=True)):
        fact = _fact(row, documents[number], tuple(sorted(matched.get(number, ()))))
        yield Input(partitions[number], row["subject_key"], fact, row["reported_at"])


def is_gone(state: str) -> bool:
    """Whether this state of a registration says that the body is no more."""
    return _GONE.search(state) is not None


def _fact(row: dict[str, Any], document: str, rules: tuple[str, ...]) -> Evidence | Act | Registration:
    if row["category"] in ACT_KINDS:
        return _act(row)
    if row["category"] == "registration":
        days = [row["valid_to"], row["decided_on"], row["change_decided_on"]]
        reported = _reported_on(row)
        gone = row["status"] == VALID and row["rank"] >= 2 and is_gone(row["state"])
        day = max((day for day in days if day is not None and day <= reported), default=reported)
        return Registration(row["record_id"], row["revision"], gone, day, row["subject_id"])
    return Evidence(
        row["record_id"],
        row["revision"],
        row["rank"],
        row["status"],
        document or (row["decided_on"].isoformat() if row["decided_on"] else ""),
        rules if row["rank"] >= 2 else (),  # nobody who may decide stands behind it: nothing follows from it
        row["authority_code"],
        row["authority_name"],
        row["department"],
        row["decided_on"],
        row["valid_to"],
        _changed_on(row),
        row["event_id"],
        row["subject_id"],
    )


def _act(row: dict[str, Any]) -> Act:
    return Act(
        row["record_id"],
        row["revision"],
        row["rank"],
        row["status"],
        ACT_KINDS[row["category"]],
        case_name(row["item"]),
        row["document_number"],
        row["decided_on"],
        row["valid_from"],
        row["valid_to"],
        tuple(row["legal_bases"]),
        row["grade"] if row["category"] == "measure_review" else row["state"],
        row["authority_code"],
        row["authority_name"],
        row["department"],
        _changed_on(row),
        row["event_id"],
        row["subject_id"],
    )


def _reported_on(row: dict[str, Any]) -> date:
    return row["reported_at"].replace(tzinfo=UTC).astimezone(LAW_TIME).date()


def _changed_on(row: dict[str, Any]) -> date:
    """Day of the document that brought this revision; one that lies ahead holds since it was reported."""
    reported = _reported_on(row)
    return min(row["change_decided_on"] or reported, reported)
