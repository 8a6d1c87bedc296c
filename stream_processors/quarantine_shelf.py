"""Where an operator's commands find what was set aside: the store's tables, or Kafka's topics while the store is away.

Both answer the same questions with the same columns. The store answers at once and remembers for ever; the topics are
read from their beginning, and keep 90 days of quarantine and 30 of receipts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, cast

import numpy as np
import polars as pl
import pyarrow as pa

from schemas import codec
from schemas.avro import CREDIT_RECORD, QUARANTINED, RECEIPT
from schemas.errors import Retryable
from schemas.hashing import partition_of
from schemas.settings import Settings
from schemas.topics import QUARANTINE, RECORDS, receipts_topic
from stream_processors.clickhouse import ClickHouse, connect
from stream_processors.kafka import Batch, read_all
from stream_processors.quarantine import GOOD_OUTCOMES, ITEMS, Wanted

_DOING = "reading what was set aside"
_ANSWER_SECONDS_MAX = 120
_ROW = ("department", "submission", "source_row", "source_part")
_ROW_SCHEMA = pl.Schema({name: ITEMS[name] for name in _ROW})

# What narrows every part of the question: an item is judged with all others of its event, whatever their reason.
_ASKED = """({department:String} = '' OR department = {department:String})
      AND ({submission:String} = '' OR submission = {submission:String})
      AND ({id:Int64} < 0 OR (department, submission, source_row, source_part) IN
          (SELECT department, submission, source_row, source_part FROM quarantine WHERE offset = {id:Int64}))"""
_FROM_STORE = """
SELECT
    q.id AS id, q.set_aside_at AS set_aside_at, q.department AS department, q.source_partition AS source_partition,
    q.source_offset AS source_offset, q.submission AS submission, q.source_row AS source_row,
    q.source_part AS source_part, q.event_id AS event_id, q.mapping AS mapping, q.category AS category,
    q.reason AS reason, q.detail AS detail, q.reported_at AS reported_at,
    multiIf(g.good = 1, 'repaired', q.id < q.newest, 'again', 'open') AS state
FROM
(
    SELECT
        offset AS id, recorded_at AS set_aside_at, department, source_partition, source_offset, submission, source_row,
        source_part, event_id, mapping, category, reason, detail, reported_at,
        max(offset) OVER (
            PARTITION BY department, submission, source_row, source_part, if(source_row = 0, offset, 0)
        ) AS newest
    FROM quarantine FINAL
    WHERE {asked}
) AS q
LEFT ANY JOIN
(
    SELECT DISTINCT department, submission, source_row, source_part, 1 AS good
    FROM
    (
        SELECT department, submission, rows, parts
        FROM receipts FINAL
        WHERE outcome IN {good:Array(String)} AND submission IN (SELECT submission FROM quarantine WHERE {asked})
    )
    ARRAY JOIN rows AS source_row, parts AS source_part
    WHERE source_row != 0 AND (department, submission, source_row, source_part) IN
        (SELECT department, submission, source_row, source_part FROM quarantine WHERE {asked})
) AS g
ON q.department = g.department AND q.submission = g.submission
   AND q.source_row = g.source_row AND q.source_part = g.source_part
ORDER BY id
""".replace("{asked}", _ASKED)
_WITHOUT_ROW = """
SELECT DISTINCT event_id FROM history
WHERE event_id IN (SELECT event_id FROM quarantine WHERE source_row = 0 AND event_id != '')
"""
_EVENTS = "SELECT offset AS id, event FROM quarantine FINAL WHERE offset IN {ids:Array(Int64)} ORDER BY id"
_RECORDS = "SELECT * FROM records FINAL WHERE subject_key IN {keys:Array(String)} ORDER BY partition, offset"


class Shelf(Protocol):
    """What the commands ask. All methods raise Retryable when the other side does not answer."""

    place: str
    """Where the answers come from, in words."""

    def items(self, wanted: Wanted) -> pl.DataFrame:
        """`ITEMS` that are asked for, in the order in which they were set aside."""
        ...

    def events(self, ids: Sequence[int]) -> dict[int, str]:
        """The event of each item as JSON, empty where it could not be read."""
        ...

    def records(self, subject_keys: Sequence[str]) -> Batch:
        """All that register knows of these subjects: messages of `credit.records`, in the order of the log."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


def open_shelf(settings: Settings, *, away: bool = False) -> Shelf:
    """The store where it answers, else the topics, which is said on stderr.

    Args:
        away: do not ask the store at all.
    """
    if away:
        return TopicShelf(settings)
    try:
        store = connect(settings, answer_seconds_max=_ANSWER_SECONDS_MAX)
        store.rows("SELECT 1 AS one FROM quarantine LIMIT 1", doing=_DOING)
    except Retryable:
        print("the store does not answer: reading Kafka's topics instead", file=sys.stderr)
        return TopicShelf(settings)
    return StoreShelf(store)


class StoreShelf:
    """The tables `quarantine`, `receipts` and `records`."""

    def __init__(self, store: ClickHouse) -> None:
        self.place = "the store"
        self._store = store

    def items(self, wanted: Wanted) -> pl.DataFrame:
        parameters = {
            "department": wanted.department or "",
            "submission": wanted.submission or "",
            "id": -1 if wanted.id is None else wanted.id,
            "good": list(GOOD_OUTCOMES),
        }
        found = self._store.table(_FROM_STORE, doing=_DOING, parameters=parameters)
        items = pl.DataFrame(pl.from_arrow(found)).cast(ITEMS)
        without_row = (items["source_row"] == 0) & (items["event_id"] != "")
        if without_row.any():
            # What came by no row is known by its event only; what repeats a record leaves no trace of it.
            known = [row["event_id"] for row in self._store.rows(_WITHOUT_ROW, doing=_DOING)]
            repaired = without_row & items["event_id"].is_in(known)
            items = items.with_columns(state=pl.when(repaired).then(pl.lit("repaired")).otherwise("state"))
        return wanted.keep(items)

    def events(self, ids: Sequence[int]) -> dict[int, str]:
        rows = self._store.rows(_EVENTS, doing=_DOING, parameters={"ids": list(ids)})
        return {row["id"]: row["event"] for row in rows}

    def records(self, subject_keys: Sequence[str]) -> Batch:
        found = self._store.table(_RECORDS, doing=_DOING, parameters={"keys": list(subject_keys)})
        columns = [_one(found[field.name]).cast(field.type) for field in CREDIT_RECORD.arrow]
        records = pa.RecordBatch.from_arrays(columns, schema=CREDIT_RECORD.arrow)
        return _batch(codec.encode(CREDIT_RECORD, records))

    def close(self) -> None:
        self._store.close()


class TopicShelf:
    """The topics `credit.quarantine`, `credit.receipts.*` and `credit.records`, each read to its end."""

    def __init__(self, settings: Settings) -> None:
        self.place = "Kafka's topics"
        self._settings = settings

    def items(self, wanted: Wanted) -> pl.DataFrame:
        frames = [pl.DataFrame(schema=ITEMS)]
        for batch in read_all(self._settings, QUARANTINE):
            rows = pl.DataFrame(pl.from_arrow((decoded := codec.decode(QUARANTINED, batch.values)).batch))
            position = pl.DataFrame(
                {
                    "id": pl.Series(batch.offsets[decoded.rows]),
                    "set_aside_at": pl.Series(batch.timestamps_ms[decoded.rows]).cast(pl.Datetime("ms")),
                    "state": pl.Series(["open"] * len(decoded.rows), dtype=pl.String),
                }
            )
            whole = pl.concat([position, rows], how="horizontal").with_columns(
                pl.col("set_aside_at", "reported_at").dt.replace_time_zone("UTC")
            )
            frames.append(Wanted(wanted.department, submission=wanted.submission).keep(whole).select(list(ITEMS)))
        items = pl.concat(frames).sort("id")
        return wanted.keep(with_states(items, self._good(items)))

    def _good(self, items: pl.DataFrame) -> pl.DataFrame:
        """Which of these rows have a good outcome (`_ROW_SCHEMA`)."""
        asked = items.filter(pl.col("source_row") != 0).select(_ROW).unique()
        frames = [pl.DataFrame(schema=_ROW_SCHEMA)]
        for department in asked["department"].unique().to_list():
            for batch in read_all(self._settings, receipts_topic(department)):
                receipts = pl.DataFrame(pl.from_arrow(codec.decode(RECEIPT, batch.values).batch))
                rows = (
                    receipts.filter(pl.col("outcome").is_in(GOOD_OUTCOMES))
                    .select("department", "submission", source_row="rows", source_part="parts")
                    .explode("source_row", "source_part", empty_as_null=False)
                )
                frames.append(rows.cast(_ROW_SCHEMA).join(asked, on=_ROW, how="semi"))
        return pl.concat(frames).unique()

    def events(self, ids: Sequence[int]) -> dict[int, str]:
        asked = np.array(sorted(ids), np.int64)
        found: dict[int, str] = {}
        if len(asked) == 0:
            return found
        for batch in read_all(self._settings, QUARANTINE, start={0: int(asked[0])}):
            batch = batch.select(np.flatnonzero(np.isin(batch.offsets, asked)))
            decoded = codec.decode(QUARANTINED, batch.values)
            texts = _texts(decoded.batch["event"])
            found |= dict(zip(batch.offsets[decoded.rows].tolist(), texts, strict=True))
        return found

    def records(self, subject_keys: Sequence[str]) -> Batch:
        asked = set(subject_keys)
        partitions = partition_of([key.encode() for key in asked], self._settings.partitions)
        values: list[bytes | None] = []
        for partition in sorted(set(partitions.tolist())):
            for batch in read_all(self._settings, RECORDS, only=[partition]):
                decoded = codec.decode(CREDIT_RECORD, batch.values, head=True)
                keys = _texts(decoded.batch["subject_key"])
                values += [batch.values[row] for row, key in zip(decoded.rows, keys, strict=True) if key in asked]
        return _batch(values)

    def close(self) -> None:
        """Each reading closed its own."""


def with_states(items: pl.DataFrame, good: pl.DataFrame) -> pl.DataFrame:
    """The items with their state. Pure.

    Args:
        items: all of each event that is among them, `ITEMS`. good: rows with a good outcome: department, submission,
            source_row, source_part.
    """
    marked = items.join(good.with_columns(good=pl.lit(True)), on=_ROW, how="left", maintain_order="left")
    its_own = pl.when(pl.col("source_row") == 0).then(pl.col("id")).otherwise(0)
    newest = pl.col("id").max().over([*_ROW, its_own])
    state = (
        pl.when(pl.col("good").fill_null(False) & (pl.col("source_row") != 0))
        .then(pl.lit("repaired"))
        .when(pl.col("id") < newest)
        .then(pl.lit("again"))
        .otherwise(pl.lit("open"))
    )
    return marked.with_columns(state=state).select(list(ITEMS))


def _batch(values: Iterable[bytes | None]) -> Batch:
    """Messages of `credit.records` whose places do not matter."""
    values = list(values)
    count = len(values)
    zeros = np.zeros(count, np.int64)
    return Batch(values, [None] * count, [RECORDS] * count, zeros.astype(np.int32), zeros, zeros)


def _one(column: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    return cast("pa.Array[Any]", column.combine_chunks())


def _texts(column: pa.Array[Any]) -> list[str]:
    return cast("list[str]", column.to_pylist())
