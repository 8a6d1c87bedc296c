"""Which rules speak about which records: one columnar question for each rule, asked of a whole batch. Pure.

A rule speaks about a record that is valid, of its categories, decided within the days of its pack, and holding the
words that it asks for. What follows is a case; a match puts nothing in force.
"""

from __future__ import annotations

import polars as pl

from stream_processors.rules.packs import Packs

MATCH_SCHEMA = {"row": pl.Int64, "rule": pl.String}


def match(records: pl.DataFrame, packs: Packs) -> pl.DataFrame:
    """Columns row (of `records`) and rule (its name), in the order of the rules.

    Args:
        records: CREDIT_RECORD columns.
    """
    found = [pl.DataFrame(schema=MATCH_SCHEMA)]
    for name, rule in packs.rules.items():
        speaks = pl.col("status").eq("valid") & pl.col("category").is_in(rule.categories)
        speaks &= pl.col("decided_on") >= rule.from_day
        if rule.to_day is not None:
            speaks &= pl.col("decided_on") <= rule.to_day
        for column, words in packs.conditions[name].items():
            speaks &= _holds(records.schema[column], column, words)
        rows = records.select(speaks.fill_null(False).arg_true()).to_series()
        if len(rows):
            found.append(pl.DataFrame({"row": rows.cast(pl.Int64), "rule": pl.Series([name] * len(rows))}))
    return pl.concat(found)


def _holds(kind: pl.DataType, column: str, words: tuple[str, ...]) -> pl.Expr:
    if kind == pl.List(pl.String):
        return pl.any_horizontal(pl.col(column).list.join("\x1f").str.contains(word, literal=True) for word in words)
    return pl.any_horizontal(pl.col(column).str.contains(word, literal=True) for word in words)
