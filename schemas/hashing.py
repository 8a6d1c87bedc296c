"""Ids and places as columns: 128-bit ids in hex, 64-bit content hashes, Kafka's partition of a key.

One representation of an id everywhere: two uint64 columns (high, low) in native order inside the process, hex text on
the wire. The hash functions are fixed by their specifications (xxh3, murmur2), so ids outlive a library version.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import polars as pl
import polars_hash as plh
import pyarrow as pa

U64 = np.ndarray[Any, np.dtype[np.uint64]]

_SEPARATOR = "\x1f"  # a unit separator: it can not occur in normalised text
_HEX = np.frombuffer(b"".join(b"%02x" % i for i in range(256)), np.uint16)
_NIBBLE = np.zeros(256, np.uint8)
for _value, _character in enumerate(b"0123456789abcdef"):
    _NIBBLE[_character] = _value


def hash_128(frame: pl.DataFrame, columns: list[str]) -> tuple[U64, U64]:
    """xxh3-128 of the columns' text, joined by a unit separator, as (high, low); nulls count as empty text."""
    joined = plh.concat_str([pl.col(c).fill_null("") for c in columns], separator=_SEPARATOR)
    wide = frame.select(id=joined.nchash.xxh3_128())
    halves = wide.select(
        high=(pl.col("id") // (1 << 64)).cast(pl.UInt64), low=(pl.col("id") % (1 << 64)).cast(pl.UInt64)
    )
    return halves["high"].to_numpy(), halves["low"].to_numpy()


def hash_64(frame: pl.DataFrame, columns: list[str]) -> U64:
    """xxh3-64 of the columns' text, joined by a unit separator; nulls count as empty text."""
    joined = plh.concat_str([pl.col(c).fill_null("") for c in columns], separator=_SEPARATOR)
    return frame.select(hash=joined.nchash.xxh3_64())["hash"].to_numpy()


def to_hex(*columns: U64) -> pa.StringArray:
    """uint64 columns to one column of hex text, 16 characters for each, most significant first."""
    count = len(columns[0])
    big_endian = np.ascontiguousarray(np.stack(columns, axis=1).astype(">u8")).view(np.uint8)
    digits = _HEX[big_endian.reshape(count, 8 * len(columns))]
    width = digits.shape[1] * 2
    ends = pa.py_buffer(np.arange(0, (count + 1) * width, width, dtype=np.int32).data)
    return pa.StringArray.from_buffers(count, ends, pa.py_buffer(digits.tobytes()))


def from_hex(column: pa.Array[Any], words: int) -> list[U64]:
    """Hex text of `words` × 16 characters back to uint64 columns; raises ValueError for another width."""
    count, width = len(column), words * 16
    if count == 0:
        return [np.zeros(0, np.uint64) for _ in range(words)]
    ends = _buffer(column, 1, np.int32)[column.offset : column.offset + count + 1]
    if not (np.diff(ends) == width).all():
        raise ValueError(f"an id is not {width} characters long")
    text = _buffer(column, 2, np.uint8)[ends[0] : ends[-1]].reshape(count, width)
    nibbles = _NIBBLE[text]
    joined = ((nibbles[:, 0::2] << 4) | nibbles[:, 1::2]).reshape(count, words, 8)
    return [np.ascontiguousarray(joined[:, word]).view(">u8").reshape(count).astype(np.uint64) for word in range(words)]


def _buffer(column: pa.Array[Any], number: int, kind: type[np.generic]) -> np.ndarray[Any, Any]:
    """One of the buffers of a column that is not empty, so that it has them all."""
    return np.frombuffer(memoryview(cast("pa.Buffer", column.buffers()[number])), kind)


_MIX_1, _MIX_2 = np.uint64(0x9E3779B185EBCA87), np.uint64(0xC2B2AE3D27D4EB4F)
_SHIFT = np.uint64(29)


def mix(first: U64, second: U64) -> U64:
    """Combine two hashes into one (multiply, fold, add), as columns."""
    mixed = first * _MIX_1
    mixed = (mixed ^ (mixed >> _SHIFT)) * _MIX_2 + second
    mixed = mixed * _MIX_1
    return mixed ^ (mixed >> _SHIFT)


_MURMUR_M = np.uint32(0x5BD1E995)
_MURMUR_SEED = 0x9747B28C


def partition_of(keys: list[bytes], partitions: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Kafka's default partition of each key: murmur2 as the Java client computes it, positive, modulo P.

    Works on groups of keys of one length, which subject keys mostly are.
    """
    lengths = np.fromiter(map(len, keys), np.int64, len(keys))
    hashes = np.zeros(len(keys), np.uint32)
    for length in np.unique(lengths).tolist():
        at = np.flatnonzero(lengths == length)
        same = keys if len(at) == len(keys) else [keys[i] for i in at.tolist()]
        hashes[at] = _murmur2(np.frombuffer(b"".join(same), np.uint8).reshape(len(at), length))
    return ((hashes & np.uint32(0x7FFFFFFF)) % np.uint32(partitions)).astype(np.int32)


def _murmur2(keys: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.uint32]]:
    count, length = keys.shape
    hashes = np.full(count, _MURMUR_SEED ^ length, np.uint32)
    whole = length // 4
    words = np.zeros((count, 0), np.uint32)
    if whole:
        words = np.ascontiguousarray(keys[:, : whole * 4]).view("<u4").astype(np.uint32)
    for index in range(whole):
        word = words[:, index] * _MURMUR_M
        word ^= word >> np.uint32(24)
        word *= _MURMUR_M
        hashes *= _MURMUR_M
        hashes ^= word
    tail = keys[:, whole * 4 :]
    if tail.shape[1]:
        for position in range(tail.shape[1] - 1, -1, -1):
            hashes ^= tail[:, position].astype(np.uint32) << np.uint32(8 * position)
        hashes *= _MURMUR_M
    hashes ^= hashes >> np.uint32(13)
    hashes *= _MURMUR_M
    hashes ^= hashes >> np.uint32(15)
    return hashes
