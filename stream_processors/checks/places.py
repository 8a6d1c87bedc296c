"""The place of an event, department, partition and offset, as one number, so that millions compare as columns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from schemas.topics import events_topic

_OFFSET_BITS = 44
_PARTITION_BITS = 12
_OFFSET_MASK = (1 << _OFFSET_BITS) - 1
_PARTITION_MASK = (1 << _PARTITION_BITS) - 1

Ints = np.ndarray[Any, Any]


class Departments:
    """Numbers departments, the registered ones first; others that turn up on a topic get the next numbers."""

    def __init__(self, registered: Iterable[str]) -> None:
        self.names = list(registered)

    def numbers(self, names: pl.Series) -> Ints:
        """uint64 number of each name."""
        self.names += [name for name in names.unique().to_list() if name not in self.names]
        numbers = {name: number for number, name in enumerate(self.names)}
        return names.replace_strict(numbers, return_dtype=pl.UInt64).to_numpy()

    def named(self, place: int) -> str:
        """`credit.events.tax[3]@8812`."""
        department, partition = department_and_partition(int(place) >> _OFFSET_BITS)
        return f"{events_topic(self.names[department])}[{partition}]@{int(place) & _OFFSET_MASK}"


def places_of(department_numbers: Ints, partitions: Ints, offsets: Ints) -> Ints:
    """uint64 for each event. Sorting them sorts by department, partition, offset."""
    streams = department_numbers.astype(np.uint64) << np.uint64(_PARTITION_BITS) | partitions.astype(np.uint64)
    return streams << np.uint64(_OFFSET_BITS) | offsets.astype(np.uint64)


def frame_places(departments: Departments, frame: pl.DataFrame) -> pl.Series:
    """The places in columns department, source_partition, source_offset."""
    numbers = departments.numbers(frame["department"])
    partitions, offsets = frame["source_partition"].to_numpy(), frame["source_offset"].to_numpy()
    return pl.Series("place", places_of(numbers, partitions, offsets), dtype=pl.UInt64)


def streams_of(places: Ints) -> Ints:
    """The stream of each place: the number of one partition of one department's topic."""
    return places >> np.uint64(_OFFSET_BITS)


def offsets_of(places: Ints) -> Ints:
    """The offset of each place."""
    return (places & np.uint64(_OFFSET_MASK)).astype(np.int64)


def stream_number(department: int, partition: int) -> int:
    """See `streams_of`."""
    return department << _PARTITION_BITS | partition


def department_and_partition(stream: int) -> tuple[int, int]:
    """The other way round."""
    return stream >> _PARTITION_BITS, stream & _PARTITION_MASK


@dataclass(frozen=True, slots=True)
class Ranges:
    """Which offsets of each stream are looked at.

    Attributes:
        streams: ascending. kept_from: first offset that the topic still keeps.
        judged_to: behind the last event that intake has passed and that was read.
        grown_to: the stream's end after everything else was read: nothing beyond it can have had an outcome.
    """

    streams: Ints
    kept_from: Ints
    judged_to: Ints
    grown_to: Ints

    @classmethod
    def of(cls, ranges: Mapping[int, tuple[int, int, int]]) -> "Ranges":
        """From (kept_from, judged_to, grown_to) by stream number."""
        columns = np.array([ranges[stream] for stream in sorted(ranges)], np.int64).reshape(-1, 3)
        return cls(np.array(sorted(ranges), np.uint64), *columns.T)

    def looked_at(self, places: Ints) -> Ints:
        """Those of the places that may be held against the events that were read.

        Left out is what lies before the first kept event, and what was sent while we read.
        """
        if len(self.streams) == 0:
            return places[:0]
        streams, offsets = streams_of(places), offsets_of(places)
        at = np.minimum(np.searchsorted(self.streams, streams), len(self.streams) - 1)
        judged = (offsets >= self.kept_from[at]) & (offsets < self.judged_to[at])
        impossible = offsets >= self.grown_to[at]
        return places[(self.streams[at] == streams) & (judged | impossible)]
