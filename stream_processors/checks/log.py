"""Reads a topic from outside into columns: committed messages only, up to the end as it stood when reading began.

Only the columns that a check needs stay in memory: two million identified events take some hundred megabytes.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from schemas.avro import Message
from schemas.codec import decode
from schemas.errors import Retryable
from schemas.settings import Settings
from stream_processors import kafka
from stream_processors.kafka import Batch

Say = Callable[[str], None]
"""Told how far the reading is, for a person who waits."""

_SILENCE_SECONDS_MAX = 45.0
"""Longest wait for the next message. An open transaction ends after at most 10 s, a broker's restart takes as long."""

POSITION = {"partition": pl.Int32, "offset": pl.Int64, "timestamp_ms": pl.Int64}
KEY = {"key": pl.String}


@dataclass(frozen=True, slots=True)
class Log:
    """What was read of one topic.

    Attributes:
        frame: partition, offset, timestamp_ms and the columns that were asked for, in the order of partition, offset.
        begins: first offset that the topic still keeps, for each partition.
        unreadable: (partition, offset, reason) of each message that is not of the expected kind.
    """

    topic: str
    frame: pl.DataFrame
    begins: Mapping[int, int]
    unreadable: list[tuple[int, int, str]] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether the topic still has all that was ever written to it."""
        return not any(self.begins.values())

    def behind(self) -> dict[int, int]:
        """The position behind the last message of each partition."""
        last = self.frame.group_by("partition").agg(pl.col("offset").max() + 1)
        return dict.fromkeys(self.begins, 0) | dict(last.iter_rows())


def batches(settings: Settings, topic: str, say: Say) -> Iterator[Batch]:
    """Every committed message; raises Retryable when the broker stays silent, and says how far it is."""
    heard = time.monotonic()
    count = 0

    def give_up() -> None:
        if time.monotonic() - heard > _SILENCE_SECONDS_MAX:
            raise Retryable(f"reading {topic}: no message for {_SILENCE_SECONDS_MAX:.0f} s; see xinliu status")

    say(f"reading {topic}")
    for batch in kafka.read_all(settings, topic, between=give_up):
        yield batch
        count += len(batch)
        heard = time.monotonic()
        say(f"reading {topic}: {count:,} messages")


def positions(settings: Settings, topic: str, say: Say) -> Log:
    """Where each message of a topic lies, whatever it is."""
    frames = [pl.DataFrame(schema=POSITION), *(_position(batch) for batch in batches(settings, topic, say))]
    return _log(settings, topic, pl.concat(frames).sort("partition", "offset"), [])


def read(
    settings: Settings,
    topic: str,
    message: Message,
    reduce: Callable[[pl.DataFrame], pl.DataFrame],
    say: Say,
    *,
    head: bool = False,
) -> Log:
    """The messages of a topic as columns.

    Args:
        reduce: from all columns of some messages (with POSITION and KEY) to those that are kept; one message may become
            several rows.
        head: decode the message's leading fields only.
    """
    frame, unreadable = collect(batches(settings, topic, say), message, reduce, head=head)
    return _log(settings, topic, frame, unreadable)


def collect(
    batches: Iterable[Batch], message: Message, reduce: Callable[[pl.DataFrame], pl.DataFrame], *, head: bool = False
) -> tuple[pl.DataFrame, list[tuple[int, int, str]]]:
    """Columns of the messages and what could not be read, see `Log`. Pure."""
    empty = pl.DataFrame(pl.from_arrow(decode(message, [], head=head).batch))
    frames = [reduce(pl.concat([pl.DataFrame(schema=POSITION | KEY), empty], how="horizontal"))]
    unreadable: list[tuple[int, int, str]] = []
    for batch in batches:
        decoded = decode(message, batch.values, head=head)
        faults = [*decoded.faults, *((index, f"schema id {number} unknown") for index, number in decoded.unknown)]
        unreadable += [(int(batch.partitions[i]), int(batch.offsets[i]), reason) for i, reason in faults]
        around = _position(batch).with_columns(_keys(batch))
        rows = pl.DataFrame(pl.from_arrow(decoded.batch))
        frames.append(reduce(pl.concat([around[decoded.rows] if faults else around, rows], how="horizontal")))
    return pl.concat(frames, rechunk=True).sort("partition", "offset", maintain_order=True), unreadable


def _position(batch: Batch) -> pl.DataFrame:
    columns = {"partition": batch.partitions, "offset": batch.offsets, "timestamp_ms": batch.timestamps_ms}
    return pl.DataFrame(columns, schema=POSITION)


def _keys(batch: Batch) -> pl.Series:
    """Keys as text; null where a key is missing or no text."""
    return pl.Series("key", batch.keys, dtype=pl.Binary).cast(pl.String, strict=False)


def _log(settings: Settings, topic: str, frame: pl.DataFrame, unreadable: list[tuple[int, int, str]]) -> Log:
    # Asked for last: what retention took away while we read must count as taken away.
    begins = kafka.begin_offsets(settings, topic)
    kept = pl.col("offset") >= pl.col("partition").replace_strict(begins, default=0, return_dtype=pl.Int64)
    return Log(topic, frame.filter(kept), begins, unreadable)
