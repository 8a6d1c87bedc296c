"""Reads a topic from outside into columns: committed messages only, up to the end as it stood when reading began.

Only the columns that a check needs stay in memory: two million identified events take some hundred megabytes.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import polars as pl
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from schemas.avro import Message
from schemas.codec import decode
from schemas.errors import Retryable
from schemas.settings import Settings
from stream_processors import kafka
from stream_processors.kafka import Batch

Say = Callable[[str], None]
"""Told how far the reading is, for a person who waits."""

_ASK_SECONDS = 10.0
_SILENCE_SECONDS_MAX = 45.0
"""Longest wait for the next message. An open transaction ends after at most 10 s, a broker's restart takes as long."""

POSITION = {"partition": pl.Int32, "offset": pl.Int64, "timestamp_ms": pl.Int64}
KEY = {"key": pl.String}


@dataclass(frozen=True, slots=True)
class Log:
    """What was read of one topic.

    Attributes:
        frame: partition, offset and the columns that were asked for, in the order of partition, offset.
        unreadable: (partition, offset, reason) of each message that is not of the expected kind.
        begins: first offset that the topic still keeps, for each partition; known once all topics were read (`kept`).
    """

    topic: str
    frame: pl.DataFrame
    unreadable: list[tuple[int, int, str]] = field(default_factory=list)
    begins: Mapping[int, int] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether the topic still has all that was ever written to it."""
        return not any(self.begins.values())

    def behind(self) -> dict[int, int]:
        """The position behind the last message of each partition; where there is none, where the partition begins."""
        last = self.frame.group_by("partition").agg(pl.col("offset").max() + 1)
        return dict(self.begins) | dict(last.iter_rows())


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
    return Log(topic, pl.concat(frames).sort("partition", "offset"))


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
    return Log(topic, *collect(batches(settings, topic, say), message, reduce, head=head))


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
        frames.append(_own(reduce(pl.concat([around[decoded.rows] if faults else around, rows], how="horizontal"))))
    return pl.concat(frames, rechunk=True).sort("partition", "offset", maintain_order=True), unreadable


def _own(frame: pl.DataFrame) -> pl.DataFrame:
    """A copy. A column that came out of a decoded batch as it was keeps the whole batch in memory, a kilobyte a row."""
    return frame.select(pl.all().gather(pl.int_range(pl.len())))


def _position(batch: Batch) -> pl.DataFrame:
    columns = {"partition": batch.partitions, "offset": batch.offsets, "timestamp_ms": batch.timestamps_ms}
    return pl.DataFrame(columns, schema=POSITION)


def _keys(batch: Batch) -> pl.Series:
    """Keys as text; null where a key is missing or no text."""
    return pl.Series("key", batch.keys, dtype=pl.Binary).cast(pl.String, strict=False)


def kept(settings: Settings, logs: Sequence[Log]) -> list[Log]:
    """The logs without what retention has taken away since, and with where each of their partitions begins now.

    Asked once, after all of them were read: what was taken away while we read must count as taken away.
    """
    begins = _begins(settings, [one.topic for one in logs])
    return [
        replace(
            one, begins=begins[one.topic], frame=one.frame.filter(pl.col("offset") >= _of_partition(begins[one.topic]))
        )
        for one in logs
    ]


def _of_partition(offsets: Mapping[int, int]) -> pl.Expr:
    return pl.col("partition").replace_strict(dict(offsets), default=0, return_dtype=pl.Int64)


def _begins(settings: Settings, topics: Sequence[str]) -> dict[str, dict[int, int]]:
    """First kept offset of each partition of these topics."""
    client = kafka.admin(settings)  # kept until the answers are here: they are lost with the client
    doing = f"asking the broker at {settings.kafka} where its topics begin"
    try:
        known = client.list_topics(timeout=_ASK_SECONDS).topics
        places = [TopicPartition(topic, partition) for topic in topics for partition in known[topic].partitions]
        earliest = cast("OffsetSpec", OffsetSpec.earliest())
        answers = client.list_offsets(dict.fromkeys(places, earliest), request_timeout=_ASK_SECONDS)
        begins: dict[str, dict[int, int]] = {topic: {} for topic in topics}
        for place, answer in answers.items():
            begins[place.topic][place.partition] = answer.result(_ASK_SECONDS).offset
    except KafkaException as error:
        raise Retryable(f"{doing}: {error.args[0].str()}") from error
    except (KeyError, TimeoutError) as error:
        raise Retryable(f"{doing}: not all are there; see xinliu topics plan") from error
    return begins
