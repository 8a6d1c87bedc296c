"""Does the store hold what the log says, row by row: nothing missing, nothing doubled, nothing other?

The rows of both sides become one hash each, made here and not by ClickHouse; only the rows that differ are looked at
column by column. While the store lane works on, what it has not come to, and what it stored since, is left out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from schemas.avro import CREDIT_RECORD
from schemas.topics import HISTORY, RECORDS
from stream_processors.checks.columns import comparable, hash_rows, record_ids
from stream_processors.checks.findings import EXAMPLES_MAX, Check, Found, check, found_sentences
from stream_processors.checks.log import Say
from stream_processors.clickhouse import ClickHouse
from stream_processors.rows import TOPIC_EPOCH

_PAGE_ROWS = 200_000  # some hundred megabytes on both sides
_RECORD = ["high", "low"]
_PLACE = ["partition", "offset"]
_COMPARED = ["partition", "offset", "timestamp_ms", "whole"]

_AT = f"epoch = {TOPIC_EPOCH} AND partition = {{partition:Int32}} AND offset = {{offset:Int64}} LIMIT 1"

Columns = Mapping[str, Any]

OfLog = Callable[[int, int], Columns]
"""All columns of the message at a partition and offset, for words about a difference."""


def stored_records(store: ClickHouse, say: Say) -> pl.DataFrame:
    """Every row of `records` after FINAL: high, low, partition, offset, timestamp_ms, whole."""
    return _collected(_record_pages(store, say))


def stored_history(store: ClickHouse, ends: Mapping[int, int], say: Say) -> pl.DataFrame:
    """Every row of `history` after FINAL before the given end of each partition, with the same columns."""
    return _collected(_history_pages(store, ends, say))


def _record_pages(store: ClickHouse, say: Say) -> Iterator[pl.DataFrame]:
    """Pages in the order of the table's key, each beginning behind the last row of the one before."""
    last = ("", "")
    count = 0
    while True:
        page = _page(
            store,
            "records",
            "subject_key >= {subject:String} AND (subject_key, record_id) > ({subject:String}, {record:String}) "
            f"ORDER BY subject_key, record_id LIMIT {_PAGE_ROWS}",
            {"subject": last[0], "record": last[1]},
        )
        count += page.height
        say(f"reading the table records: {count:,} rows")
        yield page
        if page.height < _PAGE_ROWS:
            return
        last = (page["subject_key"][-1], page["record_id"][-1])


def _history_pages(store: ClickHouse, ends: Mapping[int, int], say: Say) -> Iterator[pl.DataFrame]:
    count = 0
    for partition, end in ends.items():
        for start in range(0, end, _PAGE_ROWS):
            page = _page(
                store,
                "history",
                f"epoch = {TOPIC_EPOCH} AND partition = {{partition:Int32}} "
                "AND offset >= {start:Int64} AND offset < {end:Int64}",
                {"partition": partition, "start": start, "end": min(end, start + _PAGE_ROWS)},
            )
            count += page.height
            say(f"reading the table history: {count:,} rows")
            yield page


def _page(store: ClickHouse, table: str, where: str, parameters: Mapping[str, Any]) -> pl.DataFrame:
    columns = ", ".join([*CREDIT_RECORD.names, "partition", "offset", "recorded_at"])
    answer = store.table(
        f"SELECT {columns} FROM {table} FINAL WHERE {where}",
        doing=f"reading the table {table}",
        parameters=parameters,
    )
    return pl.DataFrame(pl.from_arrow(answer))


def _collected(pages: Iterator[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat([_reduced(page) for page in pages] or [pl.DataFrame(schema=_SCHEMA)])


_SCHEMA = {
    "high": pl.UInt64,
    "low": pl.UInt64,
    "partition": pl.Int32,
    "offset": pl.Int64,
    "timestamp_ms": pl.Int64,
    "whole": pl.UInt64,
}


def _reduced(page: pl.DataFrame) -> pl.DataFrame:
    high, low = record_ids(page["record_id"].cast(pl.String))
    return pl.DataFrame(
        [
            high.alias("high"),
            low.alias("low"),
            page["partition"].cast(pl.Int32),
            page["offset"].cast(pl.Int64),
            page["recorded_at"].dt.epoch("ms").cast(pl.Int64).alias("timestamp_ms"),
            hash_rows(page.select(CREDIT_RECORD.names)).alias("whole"),
        ]
    )


def stored_checks(
    store: ClickHouse,
    records: pl.DataFrame,
    history: pl.DataFrame,
    read_to: Mapping[str, Mapping[int, int]],
    stored_to: Mapping[str, Mapping[int, int]],
    ends_now: Callable[[str], Mapping[int, int]],
    of_log: Callable[[str], OfLog],
    say: Say,
) -> list[Check]:
    """Hold both tables against what was read of their topics.

    Args:
        records, history: columns of `columns.record_columns`; of `records` every message, the newest counts.
        read_to: by topic, the offset behind the last message of each partition that was read.
        stored_to: by topic, the offset before which the store lane has stored everything.
        ends_now: asks for the ends of a topic: no row can come from beyond them.
    """
    newest = records.unique(_RECORD, keep="last", maintain_order=True)
    kept = stored_records(store, say)
    # A record that was written again after we had read it is judged the next time.
    since = pl.col("offset") >= _of_partition(read_to[RECORDS])
    moved = kept.filter(since & (pl.col("offset") < _of_partition(ends_now(RECORDS)))).select(_RECORD).unique()
    settled = newest.join(moved, on=_RECORD, how="anti")
    judged = settled.filter(pl.col("offset") < _of_partition(stored_to[RECORDS]))
    waiting = settled.join(judged, on=_RECORD, how="anti").select(_RECORD)
    held = kept.join(moved, on=_RECORD, how="anti").join(waiting, on=_RECORD, how="anti")
    rows = stored_history(store, read_to[HISTORY], say)
    told = history.filter(pl.col("offset") < _of_partition(stored_to[HISTORY]))
    told_later = history.filter(pl.col("offset") >= _of_partition(stored_to[HISTORY])).select(_PLACE)
    return [
        check(
            "the table records is what credit.records says",
            judged.height,
            *_compare(judged, held, _RECORD, _named_record, _record_columns(store, of_log(RECORDS))),
        ),
        check(
            "the table history is what credit.history says",
            told.height,
            *_compare(
                told,
                rows.join(told_later, on=_PLACE, how="anti"),
                _PLACE,
                _named_place,
                _history_columns(store, of_log(HISTORY)),
            ),
            _beyond(store, ends_now(HISTORY)),
        ),
    ]


def _of_partition(limits: Mapping[int, int]) -> pl.Expr:
    return pl.col("partition").replace_strict(dict(limits), default=0, return_dtype=pl.Int64)


def _beyond(store: ClickHouse, ends: Mapping[int, int]) -> Found:
    """Rows of the history from places where there is no message."""
    within = " OR ".join(f"(partition = {partition} AND offset < {end})" for partition, end in ends.items()) or "0"
    where = f"history WHERE epoch = {TOPIC_EPOCH} AND NOT ({within})"
    doing = "looking for rows that no message made"
    count = store.rows(f"SELECT count() AS n FROM {where}", doing=doing)[0]["n"]
    some = store.rows(f"SELECT partition, offset FROM {where} LIMIT {EXAMPLES_MAX}", doing=doing) if count else []
    return found_sentences(count, (f"unknown: {_named_place(row)} is in the table only" for row in some))


def _compare(
    log: pl.DataFrame,
    table: pl.DataFrame,
    key: Sequence[str],
    named: Callable[[Columns], str],
    differing_columns: Callable[[Columns], list[str]],
) -> tuple[Found, Found, Found, Found]:
    """Missing, doubled, unknown and differing rows of the table."""
    counted = table.group_by(key).agg(rows=pl.len())
    doubled = counted.filter(pl.col("rows") > 1).sort(key)
    missing = log.join(table, on=key, how="anti").sort(key)
    unknown = table.unique(key).join(log, on=key, how="anti").sort(key)
    both = log.select([*key, *(c for c in _COMPARED if c not in key)]).join(
        table.join(doubled, on=key, how="anti"), on=key, how="inner", suffix="_stored"
    )
    others = [column for column in _COMPARED if column not in key]
    same = pl.all_horizontal(pl.col(column) == pl.col(f"{column}_stored") for column in others)
    differing = both.filter(~same).sort(key)
    return (
        found_sentences(missing.height, (f"missing: {named(row)} is not in the table" for row in _some(missing))),
        found_sentences(
            doubled.height, (f"doubled: {named(row)} is in the table {row['rows']} times" for row in _some(doubled))
        ),
        found_sentences(unknown.height, (f"unknown: {named(row)} is in the table only" for row in _some(unknown))),
        found_sentences(
            differing.height,
            (f"differing: {named(row)} in {', '.join(differing_columns(row))}" for row in _some(differing)),
        ),
    )


def _some(rows: pl.DataFrame) -> list[dict[str, Any]]:
    return rows.head(EXAMPLES_MAX).to_dicts()


def _named_record(row: Columns) -> str:
    return f"record {row['high']:016x}{row['low']:016x}"


def _named_place(row: Columns) -> str:
    return f"{HISTORY}[{row['partition']}]@{row['offset']}"


def _record_columns(store: ClickHouse, of_log: OfLog) -> Callable[[Columns], list[str]]:
    def columns(row: Columns) -> list[str]:
        identity = f"{row['high']:016x}{row['low']:016x}"
        page = _page(store, "records", "record_id = {record:String} LIMIT 1", {"record": identity})
        return _differing(page, of_log(row["partition"], row["offset"]), row)

    return columns


def _history_columns(store: ClickHouse, of_log: OfLog) -> Callable[[Columns], list[str]]:
    def columns(row: Columns) -> list[str]:
        place = {"partition": row["partition"], "offset": row["offset"]}
        page = _page(store, "history", _AT, place)
        return _differing(page, of_log(row["partition"], row["offset"]), row)

    return columns


def _differing(page: pl.DataFrame, message: Columns, row: Columns) -> list[str]:
    """Names of the columns in which the row of the table is not the message. Never the values."""
    stored = comparable(page.select(CREDIT_RECORD.names)).to_dicts()[0] if page.height else {}
    names = [name for name in CREDIT_RECORD.names if name not in stored or stored[name] != message[name]]
    moved = [name for name in ("partition", "offset") if row.get(f"{name}_stored", row[name]) != row[name]]
    if row["timestamp_ms"] != row["timestamp_ms_stored"]:
        moved.append("recorded_at")
    return [*names, *moved] or ["nothing any more"]
