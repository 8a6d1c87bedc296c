"""The current records for a comparison of packs: from the store where it answers, else from Kafka's topic."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import polars as pl

from schemas import codec
from schemas.avro import CREDIT_RECORD
from schemas.errors import Retryable
from schemas.settings import Settings
from schemas.topics import RECORDS
from stream_processors.clickhouse import ClickHouse, connect
from stream_processors.kafka import read_all
from stream_processors.rules.compare import COLUMNS

_DOING = "reading the current records"
_ROWS_AT_ONCE = 500_000
_ANSWER_SECONDS_MAX = 120


def current_records(settings: Settings, categories: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Valid records of these categories in batches, each record once, in `COLUMNS`."""
    try:
        store = connect(settings, answer_seconds_max=_ANSWER_SECONDS_MAX)
        counted = store.rows(
            "SELECT count() AS n FROM current_records WHERE category IN {of:Array(String)}",
            doing=_DOING,
            parameters={"of": list(categories)},
        )
    except Retryable:
        print("the store does not answer: reading Kafka's topic instead", file=sys.stderr)
        yield _of_topic(settings, categories)
        return
    try:
        yield from _of_store(store, categories, int(counted[0]["n"]))
    finally:
        store.close()


def _of_store(store: ClickHouse, categories: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
    """In parts by the record's id, so that no part is larger than memory takes easily."""
    parts = rows // _ROWS_AT_ONCE + 1
    query = (
        f"SELECT {', '.join(COLUMNS)} FROM current_records "
        "WHERE category IN {of:Array(String)} AND cityHash64(record_id) % {parts:UInt32} = {part:UInt32} "
        "ORDER BY subject_key, record_id"
    )
    for part in range(parts):
        parameters = {"of": list(categories), "parts": parts, "part": part}
        yield _typed(pl.DataFrame(pl.from_arrow(store.table(query, doing=_DOING, parameters=parameters))))


def _of_topic(settings: Settings, categories: Sequence[str]) -> pl.DataFrame:
    """The newest revision of each record, all at once: closed ones have to be seen to be left out."""
    found = [pl.DataFrame(schema={**_TYPES, "variant_of": pl.String})]
    for batch in read_all(settings, RECORDS):
        frame = pl.DataFrame(pl.from_arrow(codec.decode(CREDIT_RECORD, batch.values).batch))
        of_categories = frame.filter(pl.col("category").is_in(categories), pl.col("variant_of") == "")
        found.append(of_categories.select(*COLUMNS, "variant_of").cast({**_TYPES, "variant_of": pl.String}))
    newest = pl.concat(found).unique("record_id", keep="last", maintain_order=True)
    return newest.filter(pl.col("status") == "valid").select(COLUMNS).sort("subject_key", "record_id")


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    """ClickHouse's answer in our types: its text may come as bytes, its categories as codes."""
    return frame.select(pl.col(name).cast(kind) for name, kind in _TYPES.items())


_DATES = ("decided_on", "valid_to", "published_until")
_AMOUNTS = ("fine_fen", "confiscated_fen", "amount_fen")
_TYPES: dict[str, pl.DataType] = {
    name: pl.Date()
    if name in _DATES
    else pl.Int64()
    if name in _AMOUNTS
    else pl.Int32()
    if name == "rank"
    else pl.List(pl.String)
    if name in ("classes", "legal_bases")
    else pl.String()
    for name in COLUMNS
}
