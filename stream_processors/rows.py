"""Messages of the topics that the store keeps, as rows of its tables: the pure step of the store lane.

Non-goal: judging a message. What no table can hold is *parked*: named by its position and a reason, never by its value.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from schemas import codec
from schemas.avro import CREDIT_RECORD, MEASURE, QUARANTINED, RECEIPT, Message
from schemas.topics import HISTORY, MEASURES, QUARANTINE, RECEIPTS_PREFIX, RECORDS
from stream_processors.kafka import Batch

TOPIC_EPOCH = 1  # counts the sets of topics that a platform has had: more partitions mean new topics and a replay
PARKED = "parked"
MESSAGE_OF: dict[str, Message] = {
    "records": CREDIT_RECORD,
    "history": CREDIT_RECORD,
    "quarantine": QUARANTINED,
    "receipts": RECEIPT,
    "measures": MEASURE,
}

# ClickHouse's Date32 and DateTime64 hold the years 1900 to 2299.
_DAY_MIN, _DAY_MAX = -25_567, 120_529
_DAY_MS = 86_400_000

_PARKED_SCHEMA = pa.schema(
    [("topic", pa.string()), ("partition", pa.int32()), ("offset", pa.int64()), ("reason", pa.string())]
)

Ints = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Place = tuple[str, int]
"""A topic and a partition of it."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What a batch of messages is in the store.

    Attributes:
        tables: rows by table, with the columns of its DDL; only tables that have any.
        waiting: the first offset of each partition whose schema id this process does not know. Nothing from there on
            is in `tables`: it is no bad message, it waits for a newer process.
    """

    tables: dict[str, pa.Table]
    waiting: dict[Place, int]


def rows_of(batch: Batch, *, epoch: int = TOPIC_EPOCH) -> Rows:
    """Every message of the batch is a row of its table, a row of `parked`, or behind an offset in `waiting`."""
    tables: dict[str, pa.Table] = {}
    waiting: dict[Place, int] = {}
    parked: list[pa.Table] = []
    for table, at in _by_table(batch.topics).items():
        part = batch if len(at) == len(batch) else batch.select(at)
        decoded = codec.decode(MESSAGE_OF[table], part.values)
        if decoded.unknown:
            waits = _first_offsets(part, np.array([index for index, _ in decoded.unknown]))
            waiting |= waits
            part = part.select(np.flatnonzero(_before(part, waits)))
            decoded = codec.decode(MESSAGE_OF[table], part.values)
        bad = np.array([index for index, _ in decoded.faults], np.int64)
        parked.append(_parked(part, bad, [reason for _, reason in decoded.faults]))
        fits = np.flatnonzero(_in_range(decoded.batch))
        if len(fits) < decoded.batch.num_rows:
            outside = np.setdiff1d(np.arange(decoded.batch.num_rows), fits)
            parked.append(_parked(part, decoded.rows[outside], ["time_out_of_range"] * len(outside)))
        rows = decoded.batch if len(fits) == decoded.batch.num_rows else decoded.batch.take(fits)
        tables[table] = _with_position(rows, part, decoded.rows[fits], table, epoch)
    if parked:
        tables[PARKED] = pa.concat_tables(parked)
    return Rows({name: rows for name, rows in tables.items() if rows.num_rows}, waiting)


def table_of(topic: str) -> str:
    """The table that keeps the messages of a topic."""
    known = {RECORDS: "records", HISTORY: "history", QUARANTINE: "quarantine", MEASURES: "measures"}
    if topic in known:
        return known[topic]
    if topic.startswith(RECEIPTS_PREFIX):
        return "receipts"
    raise ValueError(f"storing the messages of {topic}: no table keeps them")


def _by_table(topics: list[str]) -> dict[str, Ints]:
    """Indices of the messages of each table."""
    names = {topic: table_of(topic) for topic in set(topics)}
    of_message = np.array([names[topic] for topic in topics])
    return {table: np.flatnonzero(of_message == table) for table in MESSAGE_OF if table in names.values()}


def _first_offsets(part: Batch, at: Ints) -> dict[Place, int]:
    """The smallest offset of each partition among the messages at these indices."""
    first: dict[Place, int] = {}
    for index in at.tolist():
        place = (part.topics[index], int(part.partitions[index]))
        first[place] = min(first.get(place, 1 << 62), int(part.offsets[index]))
    return first


def _before(part: Batch, ends: dict[Place, int]) -> Flags:
    """Which messages lie before the end of their partition."""
    limits = [ends.get(place, 1 << 62) for place in zip(part.topics, part.partitions.tolist(), strict=True)]
    return part.offsets < np.array(limits, np.int64)


def _in_range(rows: pa.RecordBatch) -> Flags:
    """Which rows hold only days and moments that ClickHouse can hold."""
    good = np.ones(rows.num_rows, bool)
    for field, column in zip(rows.schema, rows.columns, strict=True):
        if pa.types.is_date32(field.type):
            numbers = column.cast(pa.int32()).fill_null(0).to_numpy()
            good &= (numbers >= _DAY_MIN) & (numbers <= _DAY_MAX)
        elif pa.types.is_timestamp(field.type):
            numbers = column.cast(pa.int64()).fill_null(0).to_numpy()
            good &= (numbers >= _DAY_MIN * _DAY_MS) & (numbers < (_DAY_MAX + 1) * _DAY_MS)
    return good


def _with_position(rows: pa.RecordBatch, part: Batch, at: Ints, table: str, epoch: int) -> pa.Table:
    """The rows with where each message lies, and when Kafka took it."""
    columns: dict[str, Any] = dict(zip(rows.schema.names, rows.columns, strict=True))
    if MESSAGE_OF[table] is CREDIT_RECORD:
        columns["epoch"] = pa.array(np.full(len(at), epoch, np.uint16))
    else:
        columns["topic"] = pa.array([part.topics[index] for index in at.tolist()], pa.string())
    columns["partition"] = pa.array(part.partitions[at].astype(np.int32))
    columns["offset"] = pa.array(part.offsets[at].astype(np.int64))
    columns["recorded_at"] = pa.array(part.timestamps_ms[at].astype(np.int64)).cast(pa.timestamp("ms"))
    return pa.table(columns)


def _parked(part: Batch, at: Ints, reasons: list[str]) -> pa.Table:
    columns = [
        pa.array([part.topics[index] for index in at.tolist()], pa.string()),
        pa.array(part.partitions[at].astype(np.int32)),
        pa.array(part.offsets[at].astype(np.int64)),
        pa.array(reasons, pa.string()),
    ]
    return pa.table(columns, schema=_PARKED_SCHEMA)
