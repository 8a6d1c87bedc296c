"""The client of a service that enforces measures: asks what binds a subject now, and says when it has stopped.

    with Enforcement("broker:9092", service="procurement-portal") as enforcement:
        for measure in enforcement.in_force("91370000MA3C000000", activity="government procurement"):
            print(measure.measure, measure.authority_name, measure.decision, measure.ends_on)

It reads `credit.measures.in-force` as a snapshot and then live. A measure ends at its last day even if nobody says so;
who has heard no sign of life for longer than an entry allows gets no measure and the reason (`Answer.stale`). Each end
is told to `on_end` and then acknowledged, at least once, so that `xinliu lifted` can show who has not stopped.

Needs `schemas` and Kafka's client only. Non-goal: deciding anything; what binds is decided by authorities.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, cast

import pyarrow as pa
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas import codec
from schemas.asked import subject_key_asked
from schemas.avro import ACKNOWLEDGEMENT, MEASURE
from schemas.calendar import LAW_TIME
from schemas.errors import InputError, Retryable
from schemas.hashing import partition_of
from schemas.settings import Settings
from schemas.topics import ACKS, IN_FORCE
from stream_processors.in_force import Answer, Binding, Book, Entry, Heartbeat, is_service_name

__all__ = ["Answer", "Binding", "Ended", "Enforcement"]

_ASK_SECONDS = 10.0
_POLL_SECONDS = 0.1
_AGAIN_SECONDS = 1.0
_AT_ONCE = 10_000
_CLOCK_SLACK_SECONDS = 5.0  # a heartbeat further in the future says that the clock here is behind
_CLIENT = {"log_level": 0, "reconnect.backoff.max.ms": 500, "topic.metadata.refresh.interval.ms": 30_000}

log = logging.getLogger("xinliu.enforcement")


@dataclass(frozen=True, slots=True)
class Ended:
    """A measure that does not bind any more.

    Attributes:
        state: of its case: ended, suspended, or back in an earlier step.
        reason: why it ended, e.g. annulled, repaired, expired.
    """

    binding: Binding
    state: str
    reason: str
    ended_on: date | None


class Enforcement:
    """What binds now, kept up to date in a thread of its own.

    Args:
        kafka: bootstrap servers, or the settings that name them.
        service: the name under which ends are acknowledged; empty = only asks, acknowledges nothing.
        on_end: called from the thread for each measure that ceases to bind, before that is acknowledged. It may be
            called again after a crash or an error of its own, so calling it twice must do no harm.
        subject: follow the partition of this subject only.
        clock, steady: seconds since 1970, and seconds that never step; handed in by tests.
    """

    def __init__(
        self,
        kafka: Settings | str,
        service: str = "",
        *,
        on_end: Callable[[Ended], None] | None = None,
        subject: str | None = None,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kafka = kafka if isinstance(kafka, str) else kafka.kafka
        if service and not is_service_name(service):
            raise InputError(
                "enforcing measures: a service's name has up to 64 letters, digits, dots and hyphens, and holds no "
                "personal number"
            )
        self._service = service
        self._on_end = on_end
        self._only = None if subject is None else _key_of(subject)
        self._clock, self._steady = clock, steady
        self._book = Book()
        self._lock = threading.Lock()
        self._stop, self._ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="enforcement", daemon=True)
        self._partitions = 0
        self._problem = ""
        self._bound: set[str] = set()  # cases that were seen to bind
        self._told: set[str] = set()  # cases of which `on_end` knows
        self._acked: dict[str, int] = {}
        self._since_ms = 0
        self._unsettled: dict[str, Entry] = {}
        self._swept = date.min
        self._producer: Producer | None = None

    # -- asking -------------------------------------------------------------------------------------------------

    def in_force(self, subject: str, at: date | None = None, activity: str | None = None) -> Answer:
        """What binds a subject: a sequence of bindings, empty and `stale` where that is not known.

        Args:
            subject: unified social credit code, organisation code, registration number, SCHEME:NUMBER or subject key.
            at: the day, in Shanghai; None = today. For a past day it is what is known today about that day.
            activity: only measures in this regulated activity.

        Raises:
            InputError: the subject is no organisation, in a sentence that does not repeat it.
        """
        key = _key_of(subject)
        with self._lock:
            day = at or self._today()
            if not self._partitions:
                return Answer((), day, True, "stale: nothing was read from the platform yet; do not enforce anything")
            partition = int(partition_of([key.encode()], self._partitions)[0])
            return self._book.answer(key, partition, day, activity, self._steady())

    def entries(self, subject: str) -> Sequence[Entry]:
        """Every entry of a subject as it was last said, those that ended included."""
        with self._lock:
            return self._book.of(_key_of(subject))

    def age_seconds(self) -> float:
        """Age of the oldest partition's last sign of life; infinite before the first."""
        with self._lock:
            followed = self._followed()
            return max((self._book.age_seconds(p, self._steady()) for p in followed), default=math.inf)

    # -- running ------------------------------------------------------------------------------------------------

    def start(self, seconds_max: float = 30.0) -> Enforcement:
        """Return once the snapshot is read. Raises Retryable where that takes longer."""
        self._thread.start()
        if not self._ready.wait(seconds_max):
            problem = self._problem or f"{IN_FORCE} was not read to its end within {seconds_max:.0f} s"
            self._stop.set()  # the thread ends once its question is answered, and no one waits for that
            raise Retryable(f"reading what binds from {self._kafka}: {problem}; is the platform up? (xinliu status)")
        return self

    def close(self) -> None:
        """Stop following; acknowledgements that are under way are sent first."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Enforcement:
        return self if self._thread.is_alive() else self.start()

    def __exit__(self, *error: object) -> None:
        self.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except (KafkaException, Retryable) as error:
                said = error.args[0].str() if isinstance(error, KafkaException) else str(error)
                self._problem = said
                log.warning("reading what binds from %s: %s; trying again", self._kafka, said)
                self._stop.wait(_AGAIN_SECONDS)
            except Exception:  # whatever it is: what is known turns stale, and nothing is enforced by it
                log.exception("reading what binds from %s failed; trying again", self._kafka)
                self._stop.wait(_AGAIN_SECONDS)
        if self._producer is not None:
            self._producer.flush(_ASK_SECONDS)

    def _follow(self) -> None:
        """A snapshot, then live, until told to stop. What was known before answers until the snapshot is whole."""
        if self._service:
            self._register()
        ends = self._ends(IN_FORCE)
        book = Book()
        with _consumer(self._kafka) as consumer:
            wanted = self._followed(len(ends))
            consumer.assign([TopicPartition(IN_FORCE, partition, OFFSET_BEGINNING) for partition in wanted])
            left = {partition for partition in wanted if ends[partition] > 0}
            while left and not self._stop.is_set():
                messages = _take(consumer, left, ends)
                self._read(book, messages, live=False)
            if self._stop.is_set():
                return
            with self._lock:
                book.today(self._today())
                self._book, self._partitions = book, len(ends)
            self._look_back(book)
            self._settle()
            self._ready.set()
            while not self._stop.is_set():
                messages = _take(consumer, left, ends)
                with self._lock:
                    changed = self._read(book, messages, live=True)
                self._unsettled |= {entry.binding.case_id: entry for entry in changed}
                self._settle()

    def _look_back(self, book: Book) -> None:
        """What this service may have to hear about: what binds, and ends since it is there or has seen it bind."""
        today = book.today(date.min)
        for entry in book.entries():
            case_id = entry.binding.case_id
            concerns = entry.said_ms >= self._since_ms if self._service else case_id in self._bound
            if entry.binds_on(today) or concerns:
                self._unsettled[case_id] = entry
            else:
                self._told.add(case_id)

    def _followed(self, count: int = 0) -> list[int]:
        count = count or self._partitions
        if self._only is None or not count:
            return list(range(count))
        return [int(partition_of([self._only.encode()], count)[0])]

    def _today(self) -> date:
        return self._book.today(datetime.fromtimestamp(self._clock(), LAW_TIME).date())

    def _read(self, book: Book, messages: list[Message], *, live: bool) -> list[Entry]:
        """Take messages into the book; returns the entries."""
        if not messages:
            return []
        decoded = codec.decode(MEASURE, [message.value() for message in messages])
        if decoded.faults or decoded.unknown:
            raise Retryable("a message is of no known version, deploy a newer version of this client")
        entries: list[Entry] = []
        for message, row in zip(messages, decoded.batch.to_pylist(), strict=True):
            said_ms = message.timestamp()[1]
            if row["transition"] == "heartbeat":
                beat = self._heartbeat(said_ms / 1000, row["recheck_seconds"], live)
                book.hear(cast("int", message.partition()), beat, row["as_of"])
            else:
                entries.append(book.take(row, said_ms))
        return entries

    def _heartbeat(self, said: float, recheck_seconds: int, live: bool) -> Heartbeat:
        """Its age counts from here on a clock that never steps. Where the clock here is behind, the age of what lay in
        the topic before can not be known."""
        age = self._clock() - said
        if age < -_CLOCK_SLACK_SECONDS and not live:
            age = math.inf
        return Heartbeat(self._steady(), max(0.0, age), recheck_seconds)

    def _ends(self, topic: str) -> dict[int, int]:
        """End of each partition, what is not committed yet included."""
        admin = AdminClient({"bootstrap.servers": self._kafka, **_CLIENT})
        found = admin.list_topics(topic, timeout=_ASK_SECONDS).topics[topic]
        if found.error is not None or not found.partitions:
            raise Retryable(f"there is no topic {topic}, run xinliu topics apply")
        latest = cast("OffsetSpec", OffsetSpec.latest())
        answers = admin.list_offsets(
            {TopicPartition(topic, partition): latest for partition in found.partitions},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=_ASK_SECONDS,
        )
        return {place.partition: answer.result().offset for place, answer in answers.items()}

    # -- telling that it stopped --------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Tell and acknowledge what does not bind any more; what fails is tried again at the next turn."""
        with self._lock:
            today = self._today()
            if today != self._swept:  # a last day has passed: that ends a measure, whoever says so
                self._swept = today
                for entry in self._book.entries():
                    if entry.state == "in_force" and not entry.binds_on(today):
                        self._unsettled.setdefault(entry.binding.case_id, entry)
        for case_id, entry in list(self._unsettled.items()):
            if entry.binds_on(today):
                self._told.discard(case_id)
                self._bound.add(case_id)
            elif not self._tell(entry):
                continue
            del self._unsettled[case_id]
        if self._producer is not None:
            self._producer.poll(0)

    def _tell(self, entry: Entry) -> bool:
        case_id, revision = entry.binding.case_id, entry.binding.revision
        if self._acked.get(case_id, 0) >= revision:
            self._told.add(case_id)
            return True
        if case_id not in self._told and self._on_end is not None:
            reason = entry.reason or ("expired" if entry.state == "in_force" else entry.state)
            try:
                self._on_end(Ended(entry.binding, entry.state, reason, entry.ended_on))
            except Exception:  # the service's own code: what it raises is its fault, and the end must still be told
                log.exception("the service failed to stop enforcing %s; trying again", case_id)
                self._stop.wait(_POLL_SECONDS)
                return False
        self._told.add(case_id)
        self._bound.discard(case_id)
        if self._service and entry.state != "in_force":
            self._acknowledge(case_id, revision, entry.reported_at)
        return True

    def _acknowledge(self, case_id: str, revision: int, reported_at: datetime | None = None) -> None:
        if self._producer is None:
            self._producer = Producer(
                {"bootstrap.servers": self._kafka, **_CLIENT, "enable.idempotence": True, "acks": "all", "linger.ms": 0}
            )
        row = {
            "case_id": case_id,
            "revision": revision,
            "service": self._service,
            "at": datetime.fromtimestamp(self._clock(), UTC).replace(tzinfo=None),
            "reported_at": reported_at,
        }
        value = codec.encode(ACKNOWLEDGEMENT, pa.RecordBatch.from_pylist([row], schema=ACKNOWLEDGEMENT.arrow))[0]

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                self._acked[case_id] = max(revision, self._acked.get(case_id, 0))
                return
            for entry in self._book.entries():  # rare: the broker was away for minutes; say it again
                if entry.binding.case_id == case_id:
                    self._unsettled.setdefault(case_id, entry)

        self._producer.produce(ACKS, value, f"{case_id}/{self._service}".encode(), on_delivery=delivered)

    def _register(self) -> None:
        """Learn what this service has acknowledged before; a new one says that it is there from now on."""
        if self._since_ms:
            return
        for said_ms, row in read_acknowledgements(self._kafka, self._ends(ACKS), self._stop):
            if row["service"] != self._service:
                continue
            if row["case_id"] == "":
                self._since_ms = self._since_ms or said_ms
            else:
                self._acked[row["case_id"]] = max(row["revision"], self._acked.get(row["case_id"], 0))
        if not self._since_ms and not self._stop.is_set():
            self._acknowledge("", 0)
            if self._producer is None or self._producer.flush(_ASK_SECONDS):
                raise Retryable("the broker did not take the name of this service")
            self._since_ms = int(self._clock() * 1000)


def read_acknowledgements(
    kafka: str, ends: dict[int, int], stop: threading.Event | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every acknowledgement up to these ends: when it was written, in milliseconds since 1970, and its fields.

    One with an empty case is the first word of a service: it is there from then on.
    """
    left = {partition for partition, end in ends.items() if end > 0}
    with _consumer(kafka) as consumer:
        consumer.assign([TopicPartition(ACKS, partition, OFFSET_BEGINNING) for partition in sorted(left)])
        while left and not (stop is not None and stop.is_set()):
            messages = _take(consumer, left, ends)
            if messages:
                decoded = codec.decode(ACKNOWLEDGEMENT, [message.value() for message in messages])
                rows = decoded.batch.to_pylist()
                for place, row in zip(decoded.rows.tolist(), rows, strict=True):
                    yield messages[place].timestamp()[1], row


@contextmanager
def _consumer(kafka: str) -> Iterator[Consumer]:
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            **_CLIENT,
            "group.id": "xinliu-enforcement",  # never joined: partitions are assigned by hand, nothing is committed
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",  # a topic that was made anew is read anew from its beginning
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 50,
            "fetch.message.max.bytes": 8 * 1024 * 1024,
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()


def _take(consumer: Consumer, left: set[int], ends: dict[int, int]) -> list[Message]:
    """What has come, at once when something has; partitions that have come to their end are taken out of `left`."""
    first = consumer.poll(_POLL_SECONDS)
    if first is None:
        return []
    good: list[Message] = []
    for message in (first, *consumer.consume(_AT_ONCE, 0)):
        error = message.error()
        if error is None:
            good.append(message)
        elif error.code() == KafkaError._PARTITION_EOF:
            partition, offset = cast("int", message.partition()), message.offset()
            if offset is not None and offset >= ends.get(partition, 0):
                left.discard(partition)
        elif error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE) or error.fatal():
            raise KafkaException(error)
    return good


@lru_cache(maxsize=100_000)
def _key_of(subject: str) -> str:
    return subject_key_asked(subject, "asking what binds")
