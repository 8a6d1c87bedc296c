"""When each consumer group committed, read from Kafka's own topic of offsets: exact, and after the fact."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from schemas.settings import Settings
from stream_processors.kafka import read_all

_OFFSETS_TOPIC = "__consumer_offsets"


@dataclass(frozen=True)
class Commits:
    """The moments of one group's commits, in milliseconds since 1970, ascending."""

    times_ms: np.ndarray

    def next_after(self, moment_ms: int) -> float | None:
        """Seconds from this moment to the next commit; None where there was none."""
        at = int(np.searchsorted(self.times_ms, moment_ms, "right"))
        return None if at == len(self.times_ms) else float(self.times_ms[at] - moment_ms) / 1000


def commits(settings: Settings) -> dict[str, Commits]:
    """Commits by group, aborted ones left out."""
    times: dict[str, list[int]] = {}
    for group, moment in _entries(settings):
        times.setdefault(group, []).append(moment)
    return {group: Commits(np.sort(np.array(moments))) for group, moments in times.items()}


def _entries(settings: Settings) -> Iterator[tuple[str, int]]:
    for batch in read_all(settings, _OFFSETS_TOPIC):
        for key, value, moment in zip(batch.keys, batch.values, batch.timestamps_ms.tolist(), strict=True):
            # Versions 0 and 1 of a key are positions; others are the membership of groups. No value = deleted.
            if key is None or value is None or struct.unpack_from(">h", key)[0] > 1:
                continue
            (length,) = struct.unpack_from(">h", key, 2)
            yield key[4 : 4 + length].decode(), moment
