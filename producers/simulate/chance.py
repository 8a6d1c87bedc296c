"""Random numbers as a pure function of (seed, what they are for, which one): no generator, no order, any batch size.

SplitMix64 (Steele, Lea, Flood 2014) over columns. The same three always give the same number, on every machine.
"""

import zlib
from typing import Any

import numpy as np

U64 = np.ndarray[Any, np.dtype[np.uint64]]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))


def draw(seed: int, purpose: str, numbers: np.ndarray[Any, Any]) -> U64:
    """One 64-bit number for each of `numbers`."""
    start = np.uint64((seed * 0x1_0000_0000 + zlib.crc32(purpose.encode())) % (1 << 64))
    return _mix(_mix(np.atleast_1d(start)) + numbers.astype(np.uint64) * _STEP)


def below(seed: int, purpose: str, numbers: np.ndarray[Any, Any], limit: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """One number from 0 to `limit` - 1 for each of `numbers`."""
    return (draw(seed, purpose, numbers) % np.uint64(limit)).astype(np.int64)


def chosen(seed: int, purpose: str, numbers: np.ndarray[Any, Any], share: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """True for this share of `numbers`, at random."""
    return below(seed, purpose, numbers, 1_000_000) < round(share * 1_000_000)


def _mix(state: U64) -> U64:
    state = (state ^ (state >> _SHIFTS[0])) * _MIX_1
    state = (state ^ (state >> _SHIFTS[1])) * _MIX_2
    return state ^ (state >> _SHIFTS[2])
