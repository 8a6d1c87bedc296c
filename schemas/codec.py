"""Avro bytes <-> Arrow batches, by two codecs held equal.

The fast codec (pyruhvro) takes a whole batch and raises on its first bad message; it also accepts bad UTF-8, which
the validation after each decode finds. So a batch that fails is read message by message with the careful codec
(fastavro), and only the bad messages come out as faults. `tests/schemas/test_codec.py` fuzzes the two against each
other. Neither looks at bytes behind the end of a body.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyruhvro

from schemas import wire
from schemas.avro import Message

Indices = np.ndarray[Any, np.dtype[np.int64]]

# The two functions of the fast codec that are used. The package carries no types, so they are said here.
_deserialize: Callable[[Sequence[bytes], str], pa.RecordBatch] = pyruhvro.deserialize_array  # pyrefly: ignore[missing-attribute]
_serialize: Callable[[pa.RecordBatch, str, int], list[pa.BinaryArray]] = pyruhvro.serialize_record_batch  # pyrefly: ignore[missing-attribute]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a batch of messages held.

    Attributes:
        batch: the messages that could be read, in their order.
        rows: which of the values each row of `batch` came from.
        faults: (index of the value, reject reason) of each that is no message of this kind.
        unknown: (index, schema id) of each whose schema id this process does not know: not a bad message, it waits
            for a newer reader.
    """

    batch: pa.RecordBatch
    rows: Indices
    faults: list[tuple[int, str]]
    unknown: list[tuple[int, int]]


def decode(
    message: Message, values: Sequence[bytes | None], *, head: bool = False, careful: bool = False, bytes_max: int = 0
) -> Decoded:
    """Decode framed messages; `head` reads the leading fields only, `careful` goes message by message at once.

    `bytes_max` > 0 makes a larger message a fault instead of decoding it.
    """
    if not careful and (batch := decode_fast(message, values, head, bytes_max)) is not None:
        return Decoded(batch, np.arange(len(values)), [], [])
    return _decode_carefully(message, values, head, bytes_max)


def decode_fast(
    message: Message, values: Sequence[bytes | None], head: bool = False, bytes_max: int = 0
) -> pa.RecordBatch | None:
    """The whole batch at once, or None when anything about it is out of the ordinary."""
    frame = wire.frame(message.name)
    assert max(frame) < 128, "from schema id 128 on, the framing has to be cut off before decoding"
    if not values or not _all_framed(values, frame, bytes_max):
        return None
    try:
        framed = _deserialize(cast("list[bytes]", values), message.framed_head_json if head else message.framed_json)
        batch = framed.select(framed.schema.names[wire.FRAME_BYTES :])
        batch.validate(full=True)
    except BaseException as error:  # a panic of the codec is a BaseException
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return None
    return _cast(batch, _arrow_schema(message, head))


def _all_framed(values: Sequence[bytes | None], frame: bytes, bytes_max: int) -> bool:
    """Whether each value is there, begins with this very frame, and is not too large."""
    column = pa.array(values, pa.binary())
    offsets, data = column.buffers()[1:]
    if column.null_count or offsets is None or data is None:
        return False
    starts = np.frombuffer(memoryview(offsets), np.int32)[: len(values) + 1]
    lengths = np.diff(starts)
    if int(lengths.min()) < len(frame) or (bytes_max and int(lengths.max()) > bytes_max):
        return False
    every = np.frombuffer(memoryview(data), np.uint8)
    return all(bool((every[starts[:-1] + place] == byte).all()) for place, byte in enumerate(frame))


def _decode_carefully(message: Message, values: Sequence[bytes | None], head: bool, bytes_max: int) -> Decoded:
    reader = _parsed(message.head_json if head else message.json)
    newest_id = wire.newest(message.name).id
    rows: list[int] = []
    records: list[dict[str, Any]] = []
    faults: list[tuple[int, str]] = []
    unknown: list[tuple[int, int]] = []
    for index, value in enumerate(values):
        if not value:
            faults.append((index, "event_empty"))
            continue
        if bytes_max and len(value) > bytes_max:
            faults.append((index, "event_too_large"))
            continue
        schema_id = wire.schema_id(value)
        version = wire.lock().get(schema_id) if schema_id is not None else None
        if schema_id is None or (version is not None and version.message != message.name):
            faults.append((index, "event_undecodable"))
            continue
        if version is None:
            unknown.append((index, schema_id))
            continue
        try:
            records.append(_read(value, version.schema if schema_id != newest_id else None, reader))
            rows.append(index)
        except Exception:  # fastavro raises many kinds; each says the same: these bytes are not that record
            faults.append((index, "event_undecodable"))
    schema = _arrow_schema(message, head)
    try:
        batch = _from_records(records, schema)
    except (pa.ArrowInvalid, OverflowError):  # a number beyond its type, which this codec reads: find whose
        fits = [_fits(record, schema) for record in records]
        faults += [(row, "event_undecodable") for row, fit in zip(rows, fits, strict=True) if not fit]
        rows = [row for row, fit in zip(rows, fits, strict=True) if fit]
        batch = _from_records([record for record, fit in zip(records, fits, strict=True) if fit], schema)
    return Decoded(batch, np.array(rows, np.int64), sorted(faults), unknown)


def _fits(record: dict[str, Any], schema: pa.Schema) -> bool:
    try:
        _from_records([record], schema)
    except (pa.ArrowInvalid, OverflowError):
        return False
    return True


def _read(value: bytes, older: dict[str, Any] | None, reader: Any) -> dict[str, Any]:
    body = io.BytesIO(value)
    body.seek(wire.FRAME_BYTES)
    if older is None:
        return _whole(fastavro.schemaless_reader(body, reader, None))
    return _whole(fastavro.schemaless_reader(body, fastavro.parse_schema(older), reader))


def _whole(record: Any) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise ValueError("not a record")
    return record


def _from_records(records: list[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    columns = [pa.array([r[f.name] for r in records], f.type) for f in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


@cache
def _parsed(schema_json: str) -> Any:
    return fastavro.parse_schema(json.loads(schema_json))


def _arrow_schema(message: Message, head: bool) -> pa.Schema:
    return pa.schema([message.arrow.field(name) for name in message.head_names]) if head else message.arrow


def _cast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    return batch if batch.schema.equals(schema) else batch.cast(schema)


def encode_bodies(message: Message, batch: pa.RecordBatch) -> pa.BinaryArray:
    """A batch with the message's columns (any order, more are ignored) to Avro bodies without framing."""
    narrow = _narrow(message, batch)
    return _serialize(narrow, message.json, 1)[0]


def encode(message: Message, batch: pa.RecordBatch) -> list[bytes]:
    """A batch to framed messages."""
    if batch.num_rows == 0:
        return []
    return as_bytes(join(wire.frame(message.name), encode_bodies(message, batch)))


def join(*parts: bytes | pa.BinaryArray) -> pa.BinaryArray:
    """Concatenate constants and columns of bytes, row by row."""
    constants = [pa.scalar(part, pa.binary()) if isinstance(part, bytes) else part for part in parts]
    separator = pa.scalar(b"", pa.binary())
    # The stubs know this function for columns alone or for constants alone; it takes both.
    return pc.binary_join_element_wise(*constants, separator)  # pyrefly: ignore[no-matching-overload]


def as_bytes(column: pa.Array[Any]) -> list[bytes]:
    """A column without nulls as Python's bytes."""
    return cast("list[bytes]", column.to_pylist())


def encode_one(message: Message, record: dict[str, Any]) -> bytes:
    """One record with the careful codec, validated; raises ValueError where it is not of the schema."""
    buffer = io.BytesIO()
    buffer.write(wire.frame(message.name))
    fastavro.schemaless_writer(buffer, _parsed(message.json), record, strict=True)
    return buffer.getvalue()


def _narrow(message: Message, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The message's columns with the exact types that the codec takes (it knows no large_string)."""
    columns = []
    for field in message.arrow:
        column = batch.column(field.name)
        columns.append(column if column.type.equals(field.type) else column.cast(field.type))
    return pa.RecordBatch.from_arrays(columns, schema=message.arrow)
