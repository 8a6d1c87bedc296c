"""The place of an event, department, partition and offset, as one number, so that millions compare as columns."""

from collections.abc import Mapping, Sequence
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


def places_of(departments: Sequence[str], frame: pl.DataFrame) -> Ints:
    """uint64 for each row of (department, source_partition, source_offset); every department is one of `departments`.

    Sorting the numbers sorts by department (in the order given), partition, offset.
    """
    numbers = frame.select(
        pl.col("department").replace_strict(
            {name: number for number, name in enumerate(departments)}, return_dtype=pl.UInt64
        ),
        pl.col("source_partition").cast(pl.UInt64),
        pl.col("source_offset").cast(pl.UInt64),
    )
    department, partition, offset = (column.to_numpy() for column in numbers.iter_columns())
    return department << np.uint64(_OFFSET_BITS + _PARTITION_BITS) | partition << np.uint64(_OFFSET_BITS) | offset


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


def named(departments: Sequence[str], place: int) -> str:
    """`credit.events.tax[3]@8812`."""
    department, partition = department_and_partition(int(place) >> _OFFSET_BITS)
    return f"{events_topic(departments[department])}[{partition}]@{int(place) & _OFFSET_MASK}"


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
