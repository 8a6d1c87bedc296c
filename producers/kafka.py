"""The adapter's border to Kafka's client: what it asks of a broker, an idempotent sender, a reader without a group.

Kafka's errors become ours here. Non-goals: transactions and consumer groups; an adapter sends rows and reads what
became of them, and may be killed at any moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ClusterMetadata, OffsetSpec

from schemas.errors import InputError, Retryable
from schemas.settings import Settings

ANSWER_SECONDS_MAX = 10.0
_QUEUE_MESSAGES_MAX = 100_000
_QUEUE_KBYTES_MAX = 256 * 1024
_POLL_SECONDS = 0.1
_TAKE_MESSAGES = 10_000
# The client calls none of these retriable here, though a moment later the same question is answered.
_NOT_YET = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
)

_CLIENT: dict[str, Any] = {
    "log_level": 0,  # the client would write its own lines between ours; every error comes back as a value as well
    "reconnect.backoff.max.ms": 500,
    "socket.keepalive.enable": True,
}


def _client(settings: Settings, **options: Any) -> dict[str, Any]:
    named = {name.replace("_", "."): value for name, value in options.items()}
    return {"bootstrap.servers": settings.kafka, **_CLIENT, **named}


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a broker says about itself.

    Attributes:
        id: the cluster's own id: offsets mean something only within it.
        partitions: number of partitions of each topic.
    """

    id: str
    partitions: Mapping[str, int]

    def require(self, settings: Settings, *topics: str) -> None:
        """Raise one sentence that names the topics that are missing."""
        missing = [topic for topic in topics if topic not in self.partitions]
        if missing:
            raise InputError(
                f"looking for {' and '.join(missing)} on the broker at {settings.kafka}: no such topic; "
                "run xinliu topics apply"
            )


def look(settings: Settings) -> Cluster:
    """Ask the broker for its topics; raises Retryable when it does not answer within `ANSWER_SECONDS_MAX`."""
    admin = AdminClient(_client(settings))
    try:
        # All topics: asking for one by its name would create it where a broker creates topics by itself.
        found: ClusterMetadata = admin.list_topics(timeout=ANSWER_SECONDS_MAX)
    except KafkaException as error:
        raise _no_answer(settings, error) from error
    return Cluster(
        found.cluster_id or "",
        {name: len(topic.partitions) for name, topic in found.topics.items() if topic.error is None},
    )


def end_offsets(settings: Settings, topic: str, partitions: int) -> dict[int, int]:
    """The position behind the last message of each partition, committed or not."""
    return _offsets(settings, topic, partitions, OffsetSpec.latest())


def begin_offsets(settings: Settings, topic: str, partitions: int) -> dict[int, int]:
    """The first offset that is still kept, of each partition."""
    return _offsets(settings, topic, partitions, OffsetSpec.earliest())


def _offsets(settings: Settings, topic: str, partitions: int, spec: OffsetSpec | None) -> dict[int, int]:
    """Asked again for some seconds: a broker that has just started does not lead its partitions yet."""
    places = {TopicPartition(topic, number): cast(OffsetSpec, spec) for number in range(partitions)}
    end = time.monotonic() + ANSWER_SECONDS_MAX
    while True:
        admin = AdminClient(_client(settings))
        try:
            answers = admin.list_offsets(
                places, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=ANSWER_SECONDS_MAX
            )
            return {place.partition: answer.result().offset for place, answer in answers.items()}
        except KafkaException as error:
            if error.args[0].code() not in _NOT_YET or time.monotonic() > end:
                raise _no_answer(settings, error) from error
            time.sleep(_POLL_SECONDS)


def _no_answer(settings: Settings, error: KafkaException) -> Retryable:
    reason = error.args[0].str()
    return Retryable(
        f"asking the broker at {settings.kafka}: no answer ({reason}); start it (make up) or correct "
        "XINLIU_BOOTSTRAP_SERVERS, and run the same command again"
    )


class Reader:
    """Reads one topic from given offsets on, committed messages only, outside of any consumer group.

    Args:
        start: offset for each partition to read; a partition that is not named is not read.
    """

    def __init__(self, settings: Settings, topic: str, start: Mapping[int, int]) -> None:
        self._ended: dict[int, int] = {}
        self._consumer = Consumer(
            _client(
                settings,
                group_id="xinliu-adapter-reader",  # required by the client, never joined
                enable_auto_commit=False,
                enable_auto_offset_store=False,
                enable_partition_eof=True,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                fetch_wait_max_ms=50,
                fetch_message_max_bytes=8 << 20,
            )
        )
        self._consumer.assign([TopicPartition(topic, number, offset) for number, offset in start.items()])

    def take(self, wait_seconds: float) -> list[bytes]:
        """The next values, in their order within each partition; empty when none came in time."""
        values: list[bytes] = []
        for message in self._consumer.consume(_TAKE_MESSAGES, wait_seconds):
            error = message.error()
            if error is None:
                values.append(message.value() or b"")
            elif error.code() == KafkaError._PARTITION_EOF:
                self._ended[_number(message)] = message.offset() or 0
        return values

    def ended(self, ends: Mapping[int, int]) -> bool:
        """Whether every partition has been read up to the offset in `ends`."""
        return all(self._ended.get(number, -1) >= end for number, end in ends.items())

    def close(self) -> None:
        self._consumer.close()


def _number(message: Message) -> int:
    partition = message.partition()
    return -1 if partition is None else partition


def read_up_to(
    settings: Settings, topic: str, start: Mapping[int, int], ends: Mapping[int, int], silence_seconds_max: float
) -> Iterator[list[bytes]]:
    """Values from `start` to `ends`; raises Retryable after so long without any."""
    left = {number: offset for number, offset in start.items() if offset < ends[number]}
    if not left:
        return
    wanted = {number: ends[number] for number in left}
    reader = Reader(settings, topic, left)
    try:
        heard = time.monotonic()
        while not reader.ended(wanted):
            values = reader.take(_POLL_SECONDS)
            if values:
                heard = time.monotonic()
                yield values
            elif time.monotonic() - heard > silence_seconds_max:
                raise Retryable(
                    f"reading {topic} from the broker at {settings.kafka}: no answer for {silence_seconds_max:.0f} s; "
                    "run the same command again"
                )
    finally:
        reader.close()


class Undelivered(Exception):
    """The broker did not take some messages in time. `values` are those that it did not acknowledge."""

    def __init__(self, reason: str, values: list[bytes]) -> None:
        super().__init__(reason)
        self.values = values


class Sender:
    """Sends messages to one topic, each stored exactly once however often the client has to repeat itself.

    Args:
        delivery_seconds_max: how long a message may wait for its acknowledgement.
        acknowledged: told how many messages the broker has taken, from within `send` and `finish`.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        delivery_seconds_max: float,
        acknowledged: Callable[[int], None] = lambda count: None,
        linger_ms: int = 20,
    ) -> None:
        self._topic = topic
        self._acknowledged = acknowledged
        self.sent = 0
        self._failed: list[bytes] = []
        self._reason = ""
        self._producer = Producer(
            _client(
                settings,
                enable_idempotence=True,
                acks="all",
                compression_type="lz4",
                partitioner="murmur2_random",
                linger_ms=linger_ms,
                message_timeout_ms=max(1_000, round(delivery_seconds_max * 1000)),
                queue_buffering_max_messages=_QUEUE_MESSAGES_MAX,
                queue_buffering_max_kbytes=_QUEUE_KBYTES_MAX,
            )
            | {"delivery.report.only.error": True, "on_delivery": self._not_delivered}
        )

    def send(self, values: Sequence[bytes], keys: Sequence[bytes | None]) -> None:
        """Queue messages, waiting for room. Raises Undelivered once any message has failed."""
        produce, topic = self._producer.produce, self._topic
        for value, key in zip(values, keys, strict=True):
            while True:
                try:
                    produce(topic, value, key)
                    break
                except BufferError:
                    self._poll(_POLL_SECONDS)
            self.sent += 1
        self._poll(0.0)

    def finish(self) -> None:
        """Wait until the broker has acknowledged every message. Raises Undelivered."""
        while len(self._producer):
            self._poll(_POLL_SECONDS)
        self._poll(0.0)

    def give_up(self, wait_seconds: float) -> list[bytes]:
        """Wait a little for acknowledgements, drop what is left, and return the values that were not acknowledged."""
        self._producer.flush(wait_seconds)
        self._producer.purge()
        self._producer.flush(wait_seconds)
        return self._failed

    def _poll(self, wait_seconds: float) -> None:
        self._producer.poll(wait_seconds)
        if self._failed:
            raise Undelivered(self._reason, self.give_up(1.0))
        self._acknowledged(self.sent - len(self._producer))

    def _not_delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._reason = self._reason or error.str()
            self._failed.append(message.value() or b"")
