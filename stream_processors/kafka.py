"""The one border to Kafka's client: batches in, batches out, and its errors as ours.

Everything above sees `batch = source.take(n, seconds)` and lists of bytes; a batch-native client can take this
module's place. Non-goal: deciding anything about credit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import repeat
from operator import itemgetter
from typing import Any, cast

import numpy as np
import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.errors import Retryable
from schemas.settings import Settings

_ASK_SECONDS = 10.0
_CLIENT = {
    "log_level": 0,  # its own lines would stand between ours, a hundred a second while a broker is away
    "reconnect.backoff.max.ms": 500,  # else a client notices a broker's return only after up to 10 s
    "topic.metadata.refresh.interval.ms": 30_000,
}
_FETCH = {
    "queued.min.messages": 200_000,
    "queued.max.messages.kbytes": 262_144,
    "fetch.wait.max.ms": 100,  # at 20 an idle stack costs a fifth of a core in the broker alone
    "fetch.message.max.bytes": 8 * 1024 * 1024,
}

Ints = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages of one take, column by column.

    Attributes:
        values, keys, topics: one entry per message.
        partitions: int32; offsets: int64; timestamps_ms: int64, Kafka's CreateTime.
    """

    values: list[bytes | None]
    keys: list[bytes | None]
    topics: list[str]
    partitions: Ints
    offsets: Ints
    timestamps_ms: Ints

    def __len__(self) -> int:
        return len(self.values)

    def next_offsets(self) -> dict[tuple[str, int], int]:
        """The position behind the batch for each (topic, partition) in it."""
        if len(set(self.topics)) == 1:  # mostly, and then there is no need to look at each message
            ends = {int(p): int(self.offsets[self.partitions == p][-1]) + 1 for p in np.unique(self.partitions)}
            return {(self.topics[0], partition): end for partition, end in ends.items()}
        last = dict(zip(zip(self.topics, self.partitions.tolist(), strict=True), self.offsets.tolist(), strict=True))
        return {place: offset + 1 for place, offset in last.items()}

    def select(self, keep: Ints) -> Batch:
        """The messages at the given indices."""
        at = keep.tolist()
        return Batch(
            [self.values[i] for i in at],
            [self.keys[i] for i in at],
            [self.topics[i] for i in at],
            self.partitions[keep],
            self.offsets[keep],
            self.timestamps_ms[keep],
        )


def client_config(settings: Settings) -> dict[str, Any]:
    """What every client of ours is given."""
    return {"bootstrap.servers": settings.kafka, **_CLIENT}


def batch_of(messages: Sequence[Message], *, keyed: bool = True) -> Batch:
    """Kafka's messages as columns; errors must have been taken out. Not `keyed` leaves the keys out: None for each."""
    kind = type(messages[0]) if messages else Message
    count = len(messages)
    return Batch(
        list(map(kind.value, messages)),
        list(map(kind.key, messages)) if keyed else [None] * count,
        cast("list[str]", list(map(kind.topic, messages))),
        np.fromiter(map(kind.partition, messages), np.int32, count),
        np.fromiter(map(kind.offset, messages), np.int64, count),
        np.fromiter(map(itemgetter(1), map(kind.timestamp, messages)), np.int64, count),
    )


class Source:
    """A member of a consumer group that reads batches and commits only when told to.

    Classic protocol with a static membership (`group.instance.id`), since a restart then takes its partitions back
    within 0.1 s. Offsets are neither stored nor committed automatically.

    Args:
        instance: makes `group.instance.id` stable for this process among its group.
        on_assign, on_revoke: called with the partitions, from within `take`. `on_assign` must not block for long.
    """

    def __init__(
        self,
        settings: Settings,
        group: str,
        topics: Sequence[str],
        *,
        instance: str = "0",
        read_committed: bool = True,
        on_assign: Callable[[list[TopicPartition]], None] | None = None,
        on_revoke: Callable[[list[TopicPartition]], None] | None = None,
    ) -> None:
        self._consumer = Consumer(
            client_config(settings)
            | _FETCH
            | {
                "group.id": group,
                "group.instance.id": f"{group}-{instance}",
                "session.timeout.ms": 30_000,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "isolation.level": "read_committed" if read_committed else "read_uncommitted",
                "error_cb": self._on_error,
            }
        )
        self._log = structlog.get_logger(group)
        self._broker = settings.kafka
        self._away = False
        self._on_assign = on_assign
        self._on_revoke = on_revoke
        self._consumer.subscribe(list(topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.assign(partitions)
        if self._on_assign:
            self._on_assign(partitions)

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._on_revoke:
            self._on_revoke(partitions)
        consumer.unassign()

    @property
    def consumer(self) -> Consumer:
        """Kafka's own client, for the lane's transactions."""
        return self._consumer

    def take(self, batch_rows: int, wait_seconds: float) -> Batch:
        """Up to `batch_rows` messages without their keys, waiting at most `wait_seconds`; an empty batch for none.

        No lane asks for a key: whose an event is stands in the event.
        """
        batch = batch_of(without_errors(self._consumer.consume(batch_rows, wait_seconds)), keyed=False)
        if self._away and len(batch):
            self._away = False
            self._log.info("the broker is back", broker=self._broker)
        return batch

    def _on_error(self, error: KafkaError) -> None:
        """Called by the client from within `take`: what it can mend by itself, told once for each outage."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN and not self._away:
            self._away = True
            self._log.warning("no broker answers, trying on", broker=self._broker)

    def commit(self, batch: Batch) -> None:
        """Commit the position behind the batch, and wait for the broker's word."""
        positions = [
            TopicPartition(topic, partition, offset) for (topic, partition), offset in batch.next_offsets().items()
        ]
        try:
            self._consumer.commit(offsets=positions, asynchronous=False)
        except KafkaException as error:
            raise Retryable(f"committing offsets to Kafka: {error.args[0].str()}") from error

    def close(self) -> None:
        self._consumer.close()


def without_errors(messages: list[Message]) -> list[Message]:
    """Messages without the client's notices; a notice that the client can not recover from is raised."""
    if not any(map(Message.error, messages)):
        return messages
    for message in messages:
        error = message.error()
        if error is not None and error.fatal():
            raise KafkaException(error)
    return [message for message in messages if message.error() is None]


def produce_all(
    produce: Callable[..., None],
    topic: str,
    values: Sequence[bytes | None],
    keys: Sequence[bytes | None],
    partitions: Sequence[int],
) -> None:
    """Hand messages to a producer at C speed. Unlike `produce_batch` it raises where one is not taken."""
    deque(map(produce, repeat(topic), values, keys, partitions), 0)


def admin(settings: Settings) -> AdminClient:
    """A fresh one for each question: an old one was seen blind for minutes after a broker's restart."""
    return AdminClient(client_config(settings) | {"socket.timeout.ms": 10_000})


def topic_partitions(settings: Settings, topic: str) -> list[int]:
    """Partitions of a topic; raises Retryable when the broker does not answer or does not know the topic."""
    try:
        metadata = admin(settings).list_topics(topic, timeout=_ASK_SECONDS).topics[topic]
    except KafkaException as error:
        raise Retryable(
            f"asking the broker at {settings.kafka} for {topic}: {error.args[0].str()}; see that it runs and try again"
        ) from error
    if metadata.error is not None or not metadata.partitions:
        raise Retryable(f"asking the broker at {settings.kafka}: there is no topic {topic}; run xinliu topics apply")
    return sorted(metadata.partitions)


def end_offsets(
    settings: Settings, topic: str, *, read_committed: bool = False, partitions: Sequence[int] | None = None
) -> dict[int, int]:
    """End of each partition: the high watermark, or the last stable offset for a read-committed reader."""
    wanted = topic_partitions(settings, topic) if partitions is None else partitions
    ends = ends_of(settings, [(topic, partition) for partition in wanted], read_committed=read_committed)
    return {partition: end for (_, partition), end in ends.items()}


def ends_of(
    settings: Settings, places: Sequence[tuple[str, int]], *, read_committed: bool = False
) -> dict[tuple[str, int], int]:
    """`end_offsets` of partitions of any topics, in one question."""
    level = IsolationLevel.READ_COMMITTED if read_committed else IsolationLevel.READ_UNCOMMITTED
    return _offsets(settings, places, cast("OffsetSpec", OffsetSpec.latest()), level)


def begin_offsets(settings: Settings, topic: str) -> dict[int, int]:
    """First offset still kept of each partition."""
    places = [(topic, partition) for partition in topic_partitions(settings, topic)]
    spec = cast("OffsetSpec", OffsetSpec.earliest())
    begins = _offsets(settings, places, spec, IsolationLevel.READ_UNCOMMITTED)
    return {partition: begin for (_, partition), begin in begins.items()}


def _offsets(
    settings: Settings, places: Sequence[tuple[str, int]], spec: OffsetSpec, level: IsolationLevel
) -> dict[tuple[str, int], int]:
    if not places:
        return {}
    client = admin(settings)  # kept until the answers are here: they are lost with the client
    try:
        answers = client.list_offsets(
            {TopicPartition(topic, partition): spec for topic, partition in places},
            isolation_level=level,
            request_timeout=_ASK_SECONDS,
        )
        return {(place.topic, place.partition): answer.result().offset for place, answer in answers.items()}
    except KafkaException as error:
        topics = ", ".join(sorted({topic for topic, _ in places})[:3])
        raise Retryable(
            f"asking the broker at {settings.kafka} for the offsets of {topics}: {error.args[0].str()}; "
            "see that it runs and try again"
        ) from error


def read_all(
    settings: Settings,
    topic: str,
    *,
    start: Mapping[int, int] | None = None,
    only: Sequence[int] | None = None,
    batch_rows: int = 50_000,
    read_committed: bool = True,
    between: Callable[[], None] | None = None,
) -> Iterator[Batch]:
    """Everything committed on a topic up to its end as it stood at the call, without joining a group.

    The end is taken as read-uncommitted and reading goes on, committed only, until each partition's end is reached:
    librdkafka's own end-of-partition is the last stable offset, and the last transaction's marker may still be on
    its way. Stops waiting for an open transaction only when it ends (at most the transaction time-out).

    Args:
        start: offset per partition to start from; a partition that is not named starts at its beginning.
        only: partitions to read; all by default.
        between: called between polls, e.g. to keep another consumer alive.
    """
    ends = end_offsets(settings, topic, partitions=only)
    begins = {partition: (start or {}).get(partition, OFFSET_BEGINNING) for partition in ends}
    left = {
        partition for partition, end in ends.items() if end > 0 and (begins[partition] < 0 or begins[partition] < end)
    }
    if not left:
        return
    consumer = Consumer(
        client_config(settings)
        | _FETCH
        | {
            "group.id": f"xinliu-reader-of-{topic}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed" if read_committed else "read_uncommitted",
        }
    )
    try:
        # Who leads the partitions, before the first fetch: to find out in the middle of it costs half a second.
        with suppress(KafkaException):
            consumer.list_topics(topic, timeout=_ASK_SECONDS)
        consumer.assign([TopicPartition(topic, partition, begins[partition]) for partition in sorted(left)])
        while left:
            messages = consumer.consume(batch_rows, 0.1)
            good: list[Message] = []
            for message in messages:
                error = message.error()
                if error is None:
                    good.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    partition, offset = cast("int", message.partition()), message.offset()
                    if offset is not None and offset >= ends.get(partition, 0):
                        left.discard(partition)
                elif error.fatal():
                    raise Retryable(f"reading {topic}: {error.str()}")
            if good:
                yield batch_of(good)
            if between:
                between()
    finally:
        consumer.close()
