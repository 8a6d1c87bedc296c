"""What register writes: revisions, markers and stubs as messages of `credit.history` and `credit.records`.

A record is its header (revision, status, orders: the columns of REVISION_HEADER) followed by the identified event as
it was read. So the body of an event is passed on as bytes, and only what was closed is written anew, as a stub.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import polars as pl
import pyarrow as pa

from schemas import codec, wire
from schemas.avro import CREDIT_RECORD, IDENTIFIED_EVENT, REVISION_HEADER
from schemas.hashing import to_hex
from stream_processors.fold import (
    CONFLICT,
    CONFLICTING,
    OUTCOME_NAMES,
    STATUS_NAMES,
    SUPERSEDED,
    VALID,
    Folded,
    Reports,
)
from stream_processors.index import Array, Index
from stream_processors.kafka import Batch
from stream_processors.reports import CATEGORY_NAMES

# What a stub keeps: enough to find it, to say what closed it, and to bring the state back. The rest is blank.
_STUB_KEEPS = frozenset(
    (
        "record_id",
        "content",
        "subject_key",
        "department",
        "category",
        "operation",
        "authority_code",
        "effective_on",
        "source_version",
        "source_partition",
        "source_offset",
        "submission",
        "source_row",
        "source_part",
        "reported_at",
        "event_id",
        "change_document_number",
        "change_decided_on",
        "identity_version",
    )
)
# What a marker takes from the report that brought it; the facts stay with the record.
_MARKER_KEEPS = (
    "subject_key",
    "department",
    "category",
    "operation",
    "reported_at",
    "source_partition",
    "source_offset",
    "effective_on",
    "source_version",
    "submission",
    "source_row",
    "source_part",
)
_ID_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class Header:
    """The leading fields of records, a column each; codes as in `fold`.

    Attributes:
        variant_of: ids of the records that markers belong to; None where none of the rows is a marker.
    """

    revision: Array
    status: Array
    outcome: Array
    rank: Array
    content_order: Array
    status_order: Array
    variant_of: pl.Series | None = None


@dataclass(frozen=True, slots=True)
class Messages:
    """Framed records and their keys, the record's id each."""

    values: list[bytes]
    keys: list[bytes]


def revision_messages(batch: Batch, reports: Reports, folded: Folded, rows: Array) -> Messages:
    """One for each of these rows of the batch: the report as it was read, or a stub where the record is closed now."""
    bodies = [cast("bytes", batch.values[row])[wire.FRAME_BYTES :] for row in rows.tolist()]
    rewrites = folded.rewrites[rows]
    closed = np.flatnonzero(rewrites & (folded.status[rows] != VALID))
    if len(closed):
        stubs = _closed_bodies(batch, rows[closed], folded.content[rows[closed]])
        for place, stub in zip(closed.tolist(), stubs, strict=True):
            bodies[place] = stub
    # A report that changed nothing tells its own fate; the record keeps its status.
    fate = np.where(folded.outcome[rows] == CONFLICTING, CONFLICT, SUPERSEDED)
    header = Header(
        revision=folded.revision[rows],
        status=np.where(rewrites, folded.status[rows], fate),
        outcome=folded.outcome[rows],
        rank=folded.rank[rows],
        content_order=folded.content_order[rows],
        status_order=folded.status_order[rows],
    )
    return _records(header, bodies, to_hex(reports.high[rows], reports.low[rows]))


def marker_messages(
    frame: pl.DataFrame, reports: Reports, rows: Array, high: Array, low: Array, status: Array
) -> Messages:
    """Markers with the given ids, brought by these rows of the batch; `frame` holds the batch's head columns."""
    ids = to_hex(high, low)
    of = frame[rows]
    kept = {name: _arrow(of[name]) for name in _MARKER_KEEPS}
    bodies = _blank_bodies(of.height, kept | {"record_id": ids})
    header = Header(
        revision=np.ones(of.height, np.uint32),
        status=status,
        outcome=np.zeros(of.height, np.uint8),
        rank=reports.rank[rows],
        content_order=reports.order[rows],
        status_order=np.zeros(of.height, np.int64),
        variant_of=of["record_id"],
    )
    return _records(header, bodies, ids)


def expired_messages(index: Index, places: Array, now_ms: int, department_names: Mapping[int, str]) -> Messages:
    """Stubs of the records at these places of the index, whose publication ended.

    Args:
        now_ms: milliseconds since 1970.
        department_names: by the number that stands in a slot, see `reports.department_hash`.
    """
    slots = index.at(places)
    count = len(places)
    ids = to_hex(slots["high"], slots["low"])
    kept = {
        "record_id": ids,
        "content": to_hex(slots["content"]),
        "subject_key": pa.array([key.decode() for key in index.keys[places].tolist()]),
        "department": pa.array([department_names.get(number, "") for number in slots["department"].tolist()]),
        "category": pa.array([CATEGORY_NAMES[code] for code in slots["category"].tolist()]),
        "operation": pa.array(["expire"] * count),
        "reported_at": pa.array([now_ms] * count, pa.timestamp("ms")),
    }
    header = Header(
        revision=slots["revision"],
        status=slots["status"],
        outcome=np.zeros(count, np.uint8),
        rank=slots["rank"],
        content_order=slots["content_order"],
        status_order=slots["status_order"],
    )
    return _records(header, _blank_bodies(count, kept), ids)


def _records(header: Header, bodies: list[bytes], ids: pa.StringArray) -> Messages:
    frame = wire.frame(CREDIT_RECORD.name)
    values = [frame + head + body for head, body in zip(_encode_headers(header), bodies, strict=True)]
    return Messages(values, _keys(ids))


def _keys(ids: pa.StringArray) -> list[bytes]:
    """The ids as Kafka's keys; ids as `to_hex` made them, so that the buffer holds them and nothing else."""
    text = cast("pa.Buffer", ids.buffers()[2]).to_pybytes()
    return [text[start : start + _ID_CHARACTERS] for start in range(0, len(text), _ID_CHARACTERS)]


def _encode_headers(header: Header) -> list[bytes]:
    """The leading fields of records as Avro bytes."""
    count = len(header.revision)
    variant_of = pa.array([""] * count, pa.string()) if header.variant_of is None else _arrow(header.variant_of)
    columns: list[pa.Array[Any]] = [
        pa.array(header.revision.astype(np.int32)),
        pa.array(STATUS_NAMES).take(header.status),
        pa.array(OUTCOME_NAMES).take(header.outcome),
        variant_of.cast(pa.string()),
        pa.array(header.rank.astype(np.int32)),
        pa.array(header.content_order),
        pa.array(header.status_order),
    ]
    batch = pa.RecordBatch.from_arrays(columns, schema=REVISION_HEADER.arrow)
    return codec.as_bytes(codec.encode_bodies(REVISION_HEADER, batch))


def _closed_bodies(batch: Batch, rows: Array, contents: Array) -> list[bytes]:
    """Bodies of these events with the facts blanked.

    The content is that of the record, not of the event that closed it: a restore has to find it again.
    """
    whole = codec.decode(IDENTIFIED_EVENT, [batch.values[row] for row in rows.tolist()]).batch
    kept = {name: whole[name] for name in IDENTIFIED_EVENT.names if name in _STUB_KEEPS}
    return _blank_bodies(len(rows), kept | {"content": to_hex(contents)})


def _blank_bodies(count: int, kept: Mapping[str, pa.Array[Any]]) -> list[bytes]:
    """Bodies of identified events in which only the columns that are kept are not blank."""
    columns = [
        kept[field.name].cast(field.type) if field.name in kept else _blank(field, count)
        for field in IDENTIFIED_EVENT.arrow
    ]
    batch = pa.RecordBatch.from_arrays(columns, schema=IDENTIFIED_EVENT.arrow)
    return codec.as_bytes(codec.encode_bodies(IDENTIFIED_EVENT, batch))


def _blank(field: pa.Field[Any], count: int) -> pa.Array[Any]:
    """A column that says nothing."""
    if field.nullable:
        return pa.nulls(count, field.type)
    if pa.types.is_list(field.type):
        return pa.array([[]] * count, field.type)
    if pa.types.is_string(field.type):
        return pa.array([""] * count, pa.string())
    return pa.array(np.zeros(count, np.int64)).cast(field.type)


def _arrow(column: pl.Series) -> pa.Array[Any]:
    return column.to_arrow(compat_level=pl.CompatLevel.oldest())
