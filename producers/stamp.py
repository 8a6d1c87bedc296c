"""Turns mapped events into the messages of one submission: ids, times, version, key and Avro bytes. Pure.

The same row of the same submission gives the same event id whenever it is sent.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from schemas import codec
from schemas.avro import CREDIT_EVENT
from schemas.hashing import hash_128, to_hex
from schemas.topics import EVENT_BYTES_MAX

Keys = np.ndarray[Any, np.dtype[np.int64]]

_PART_BITS = 32
_LONG_FIELDS = (
    "subject_name",
    "authority_name",
    "document_number",
    "item",
    "grade",
    "state",
    "change_document_number",
    "source_url",
    "subject_ids",
    "classes",
    "legal_bases",
)


@dataclass(frozen=True, slots=True)
class Messages:
    """Events ready to be sent, in the order of their rows.

    Attributes:
        places: row and part of each event as one number (`places_of`).
        values: framed Avro.
        keys: the subject's first identifier, None where there is none.
    """

    places: Keys
    values: list[bytes]
    keys: list[bytes | None]


def places_of(rows: pl.Series, parts: pl.Series) -> Keys:
    """Row and part as one number that sorts like the pair."""
    return rows.cast(pl.Int64).to_numpy() << _PART_BITS | parts.cast(pl.Int64).to_numpy()


def rows_of(places: Keys) -> Keys:
    """The rows of some places."""
    return places >> _PART_BITS


def messages(
    events: pa.RecordBatch, submission: str, reported_at_ms: int, source_version_ms: int | None, without: Keys
) -> Messages:
    """Stamp and encode events.

    Args:
        events: CREDIT_EVENT columns; submission, event_id and reported_at are filled in here.
        source_version_ms: replaces the events' own version where it is not None.
        without: places that are left out, sorted: they were sent before.
    """
    places = places_of(_series(events, "source_row"), _series(events, "source_part"))
    missing = np.flatnonzero(~np.isin(places, without)) if len(without) else np.arange(len(places))
    if len(missing) < len(places):
        events, places = events.take(missing), places[missing]
    if events.num_rows == 0:
        return Messages(places, [], [])
    stamped = stamp(events, submission, reported_at_ms, source_version_ms)
    values = codec.encode(CREDIT_EVENT, stamped)
    for index in [index for index, value in enumerate(values) if len(value) > EVENT_BYTES_MAX]:
        values[index] = codec.encode(CREDIT_EVENT, _without_long_fields(stamped.slice(index, 1)))[0]
    return Messages(places, values, _keys(stamped))


def _series(events: pa.RecordBatch, name: str) -> pl.Series:
    return pl.Series(name, pl.from_arrow(events.column(name)))


def stamp(
    events: pa.RecordBatch, submission: str, reported_at_ms: int, source_version_ms: int | None
) -> pa.RecordBatch:
    count = events.num_rows
    made: dict[str, pa.Array[Any]] = {
        "submission": pa.repeat(pa.scalar(submission, pa.string()), count),
        "event_id": event_ids(submission, _series(events, "source_row"), _series(events, "source_part")),
        "reported_at": pa.repeat(pa.scalar(reported_at_ms, pa.timestamp("ms")), count),
    }
    if source_version_ms is not None:
        made["source_version"] = pa.repeat(pa.scalar(source_version_ms, pa.timestamp("ms")), count)
    columns = [made.get(field.name, events.column(field.name)) for field in CREDIT_EVENT.arrow]
    return pa.RecordBatch.from_arrays(columns, schema=CREDIT_EVENT.arrow)


def event_ids(submission: str, rows: pl.Series, parts: pl.Series) -> pa.StringArray:
    """128-bit hex hash of submission, row and part."""
    frame = pl.DataFrame({"row": rows.cast(pl.String), "part": parts.cast(pl.String)}).with_columns(
        submission=pl.lit(submission)
    )
    return to_hex(*hash_128(frame, ["submission", "row", "part"]))


def _keys(events: pa.RecordBatch) -> list[bytes | None]:
    """First identifier of each event: one subject's events then keep their order."""
    return _series(events, "subject_ids").list.first().cast(pl.Binary).to_list()


def _without_long_fields(event: pa.RecordBatch) -> pa.RecordBatch:
    """The event without its texts, marked so that the platform sets the row aside with the right reason.

    A message above the limit would be set aside unread, and its row would never get a receipt.
    """
    columns = []
    for field in CREDIT_EVENT.arrow:
        if field.name == "faults":
            columns.append(pa.array([[f"event_too_large:{_longest_field(event)}"]], field.type))
        elif field.name in _LONG_FIELDS:
            columns.append(pa.array([[] if pa.types.is_list(field.type) else ""], field.type))
        else:
            columns.append(event.column(field.name))
    return pa.RecordBatch.from_arrays(columns, schema=CREDIT_EVENT.arrow)


def _longest_field(event: pa.RecordBatch) -> str:
    sizes = {name: len(str(event.column(name)[0].as_py())) for name in _LONG_FIELDS}
    return max(sizes, key=lambda name: sizes[name])
