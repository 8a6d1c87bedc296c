"""Digests of the store's tables: equal exactly where the rows are equal, in whatever order they were written.

A digest is the sum of a 128-bit hash of each row, modulo 2^128, in hex.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from schemas.topics import HISTORY, RECORDS
from stream_processors.clickhouse import ClickHouse
from stream_processors.rows import Place

_EMPTY = "0" * 32
_TOPIC_OF = {"records": RECORDS, "history": HISTORY}
_CURRENT = ("record_id", "subject_key", "category", "status", "said")


@dataclass(frozen=True, slots=True)
class Digest:
    """How many rows, and the digest of them, 32 hex digits."""

    rows: int
    digest: str


def table_digest(
    store: ClickHouse,
    table: str,
    *,
    suffix: str = "",
    since: Mapping[Place, int] | None = None,
    until: Mapping[Place, int] | None = None,
    where: str = "1",
) -> dict[Place, Digest]:
    """Rows and digest over all columns of `table`, by (topic, partition) of the messages that the rows came from.

    Args:
        table: records, history, quarantine or receipts.
        suffix: of the tables of a rebuild; empty for the store's own.
        since, until: count only rows from this offset on, and before that one; a place that is not named is counted
            whole. `records` keep the newest revision only, so for them this says where that came from.
        where: a further condition on the rows, in SQL.
    """
    place = "topic, partition" if table not in _TOPIC_OF else f"'{_TOPIC_OF[table]}' AS topic, partition"
    # RowBinary tells NULL from an empty value, and where one text ends and the next begins.
    query = (
        f"SELECT {place}, count() AS rows, "
        "hex(sum(reinterpretAsUInt128(sipHash128(formatRowNoNewline('RowBinary', COLUMNS('.*')))))) AS digest "
        f"FROM {table}{suffix} FINAL WHERE {_within(table, since, until)} AND ({where}) GROUP BY topic, partition"
    )
    rows = store.rows(query, doing=f"computing the digest of {table}{suffix}")
    return {(row["topic"], row["partition"]): Digest(row["rows"], row["digest"].rjust(32, "0")) for row in rows}


def _within(table: str, since: Mapping[Place, int] | None, until: Mapping[Place, int] | None) -> str:
    conditions = ["1"]
    for limits, comparison in ((since, ">="), (until, "<")):
        for (topic, partition), offset in (limits or {}).items():
            here = f"partition = {int(partition)}"
            if table in _TOPIC_OF:
                if topic != _TOPIC_OF[table]:
                    continue
            else:
                here += f" AND topic = '{_quoted(topic)}'"
            conditions.append(f"(NOT ({here}) OR offset {comparison} {int(offset)})")
    return " AND ".join(conditions)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def current_digest(store: ClickHouse, *, table: str = "records") -> Digest:
    """What the current records say, whoever reported it and however often: markers, revisions and provenance left out.

    Over record_id, subject_key, category, status, and content where the status is valid.
    """
    query = (
        "SELECT count() AS rows, hex(sum(reinterpretAsUInt128(substring(SHA256(concatWithSeparator('\\n', "
        "record_id, subject_key, category, status, if(status = 'valid', content, ''))), 1, 16)))) AS digest "
        f"FROM {table} FINAL WHERE variant_of = ''"
    )
    row = store.rows(query, doing=f"computing the digest of the current {table}")[0]
    return Digest(row["rows"], row["digest"].rjust(32, "0"))


def current_digest_of(records: pl.DataFrame) -> Digest:
    """The same digest from rows in memory, one for each record: columns record_id, subject_key, category, status,
    content, variant_of."""
    shown = records.filter(pl.col("variant_of") == "").with_columns(
        said=pl.when(pl.col("status") == "valid").then(pl.col("content")).otherwise(pl.lit(""))
    )
    total = 0
    for row in shown.select(_CURRENT).iter_rows():
        total += _hash_of(row)
    return Digest(shown.height, f"{total % (1 << 128):032X}")


def _hash_of(row: tuple[Any, ...]) -> int:
    return int.from_bytes(hashlib.sha256("\n".join(row).encode()).digest()[:16], "little")
