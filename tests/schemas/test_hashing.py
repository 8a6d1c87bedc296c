"""Ids survive the way to text and back, and a key's partition is the one that Kafka's own client computes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from schemas.hashing import from_hex, partition_of, to_hex

# Positive murmur2 of each key, from Kafka's own test of its default partitioner (UtilsTest.testMurmur2), as unsigned.
KAFKAS_VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


def test_partitions_are_kafkas() -> None:
    keys = list(KAFKAS_VECTORS)
    for partitions in (1, 4, 12, 512):
        expected = [(value & 0x7FFFFFFF) % partitions for value in KAFKAS_VECTORS.values()]
        assert partition_of(keys, partitions).tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), min_size=1, max_size=20))
def test_hex_and_back(ids: list[tuple[int, int]]) -> None:
    high = np.array([h for h, _ in ids], np.uint64)
    low = np.array([low for _, low in ids], np.uint64)
    text = to_hex(high, low)
    assert text.to_pylist() == [f"{h:016x}{low:016x}" for h, low in ids]
    back = from_hex(text.slice(1), 2)
    assert back[0].tolist() == high.tolist()[1:]
    assert back[1].tolist() == low.tolist()[1:]
