"""The loop that runs a transactional lane: a batch is one Kafka transaction, outputs and input offsets together.

Every crash rule lives here. The lane is crash-only: an error that is not an abort, a transaction that stays open, and
lag without a commit end the process (exit 70), and its supervisor starts it again; librdkafka hangs at nearly every
death of a broker under load, so a restart is the normal way back (design, promise 5).

What a lane does with a batch is a `Processor`: `intake` and `register` are the two. Non-goal: anything about credit.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, cast

import numpy as np
import structlog
from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from schemas.errors import EXIT_STOP, Retryable, Stop
from schemas.settings import Settings
from stream_processors.kafka import Batch, Source, admin, client_config, ends_of, produce_all, topic_partitions
from stream_processors.metrics import LaneMetrics
from stream_processors.observations import Count

OPEN_SECONDS_MAX = 4.0  # an open transaction holds every reader's last stable offset: most of an outage is this wait
QUIET_SECONDS_MAX = 60.0  # lag and no commit for so long: the client is stuck
STOP_SECONDS_MAX = 10.0  # a batch and a commit take less; a client that is stuck takes for ever
_LOOK_SECONDS = 5.0
_TRANSACTION_TIMEOUT_MS = 10_000
_BROKER_SECONDS = 30.0
_BUSY_ROWS = 4_000  # a take of so many events says that there is lag: the next one may wait for a fuller batch
_BUSY_WAIT_SECONDS = 0.2
_TAKING = "taking a batch"
_BATCHES_PER_COLLECTION = 500


@dataclass(frozen=True, slots=True)
class Output:
    """Messages for one topic, column by column. With `tracked`, the last message of each partition goes out last and
    tells its offset."""

    topic: str
    values: Sequence[bytes]
    keys: Sequence[bytes | None]
    partitions: Sequence[int]
    tracked: bool = False


@dataclass(slots=True)
class Work:
    """What a batch becomes: messages, and what the metrics should know once it is committed."""

    outputs: list[Output]
    counts: list[Count] = field(default_factory=list)


class Processor(Protocol):
    """What a lane does. All calls come from one thread."""

    name: str
    topics: Sequence[str]

    def assigned(self, partitions: Sequence[int]) -> None:
        """These partitions (of every topic) are ours now."""

    def revoked(self) -> None:
        """No partition is ours any more; nothing of their state may be kept."""

    def restore(self, keep_alive: Callable[[], None]) -> None:
        """Load what is needed before the first batch; calls `keep_alive` often, so that the membership is kept."""

    def work(self, batch: Batch) -> Work: ...

    def idle(self) -> Work | None:
        """Called between batches: work that time alone brings."""

    def committed(self, offsets: dict[int, int]) -> None:
        """The transaction is committed; `offsets` lie behind the last tracked message of each partition."""
        ...

    def aborted(self) -> None:
        """The transaction was aborted: forget what the batch changed."""

    def unknown_schemas(self) -> list[tuple[int, int]]:
        """(index in the last batch, schema id) of messages that only a newer reader knows; they were not processed."""
        ...

    def closed(self) -> None:
        """The lane ends cleanly."""


class Lane:
    """One process's share of a lane.

    Args:
        stop: set it to end after the current batch.
        writes: topics of whose open transactions the metrics should tell as well, besides those that it reads.
        held: whether an operator has paused the lane: it then keeps its partitions, and takes and writes nothing.
    """

    def __init__(
        self,
        settings: Settings,
        processor: Processor,
        metrics: LaneMetrics,
        stop: threading.Event,
        writes: Sequence[str] = (),
        held: Callable[[], bool] = lambda: False,
    ) -> None:
        self._settings = settings
        self._processor = processor
        self._metrics = metrics
        self._stop = stop
        self._writes = writes
        self._held = held
        self._rests = False
        self._group = f"xinliu-{processor.name}"
        self._log = structlog.get_logger(processor.name)
        self._opened_at: float | None = None
        self._doing = "starting"
        self._committed_at = time.monotonic()
        self._beat = time.monotonic()
        self._restoring = False
        self._behind = 0
        self._behind_since = 0.0
        self._answered_at = self._looked_at = time.monotonic()
        self._ended = threading.Event()
        self._tracked: dict[int, int | None] = {}
        self._needs_restore = False
        self._paused: dict[tuple[str, int], int] = {}
        self.ready = threading.Event()
        self.batches = 0
        self._collected_at = 0

    @property
    def heartbeat_age_seconds(self) -> float:
        """Seconds since the loop last came round."""
        return time.monotonic() - self._beat

    def run(self) -> None:
        """Until `stop` is set. Raises Stop where the process has to end; the caller exits with 70."""
        # A batch makes tens of thousands of objects and no cycles: looking for cycles then costs a tenth of the time.
        # It is done while there is nothing else to do.
        gc.disable()
        for duty in (self._watch, self._look):
            threading.Thread(target=duty, name=f"{self._group}{duty.__name__}", daemon=True).start()
        try:
            self._follow()
        finally:
            self._ended.set()
        self._log.info("stopped", batches=self.batches)

    def _follow(self) -> None:
        try:
            self._connect()
            while not self._stop.is_set():
                self._beat = time.monotonic()
                self._turn()
        except KafkaException as error:
            raise Stop(f"{self._doing}: {error.args[0].str()}") from error
        finally:
            self.ready.clear()
        self._doing = "closing"
        self._source.close()
        self._processor.closed()

    # -- connecting ---------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._doing = "asking the broker for a transactional producer"
        self._producer = Producer(
            client_config(self._settings)
            | {
                "transactional.id": f"{self._group}-{self._settings.slot}",
                "transaction.timeout.ms": _TRANSACTION_TIMEOUT_MS,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
                "batch.size": 1_000_000,
                "batch.num.messages": 100_000,
                "queue.buffering.max.messages": 2_000_000,
                "queue.buffering.max.kbytes": 2_000_000,
                "message.max.bytes": 1_900_000,
                "compression.type": "lz4",
            }
        )
        self._producer.init_transactions(_BROKER_SECONDS)  # before subscribe: it fences an older self
        self._source = Source(
            self._settings,
            self._group,
            self._processor.topics,
            instance=str(self._settings.slot),
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
        )
        self._committed_at = time.monotonic()
        self._log.info("connected", group=self._group, broker=self._settings.kafka)

    def _on_assign(self, partitions: list[TopicPartition]) -> None:
        self._processor.assigned(sorted({place.partition for place in partitions}))
        self._source.consumer.pause(partitions)
        self._paused.clear()
        self._needs_restore = True
        self._log.info("assigned", partitions=len(partitions))

    def _on_revoke(self, partitions: list[TopicPartition]) -> None:
        # Called from within a take, where no transaction of ours is open: there is nothing to abort.
        self.ready.clear()
        self._processor.revoked()
        self._needs_restore = False
        self._log.info("revoked", partitions=len(partitions))

    def _restore(self) -> None:
        """Outside of the callback, paused, still polling."""
        self._doing = "restoring the state"
        self._restoring = True
        try:
            self._processor.restore(self.keep_alive)
        finally:
            self._restoring = False
        self._needs_restore = False
        self._committed_at = time.monotonic()
        self._source.consumer.resume(self._source.consumer.assignment())
        self._behind = 0
        self._rests = False
        self.ready.set()

    def keep_alive(self) -> None:
        """Poll while paused, so that a long restore does not lose the partitions."""
        self._beat = time.monotonic()
        message = self._source.consumer.poll(0)
        if message is not None and message.error() is None:
            raise Stop("restoring the state: a message came from a paused partition")

    # -- one turn -----------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        if self._needs_restore:
            self._restore()
        self._rest_or_go_on()
        self._doing = _TAKING
        wait = _BUSY_WAIT_SECONDS if self._metrics.last_rows >= _BUSY_ROWS else self._settings.batch_wait_ms / 1000
        batch = self._source.take(self._settings.batch_rows, wait)
        group = self._source.consumer.consumer_group_metadata()  # with the batch: it is what fencing goes by
        if self._needs_restore or not self.ready.is_set():
            return  # assigned or revoked within that take: whoever holds the partitions now reads on from the commit
        if len(batch) == 0 and self._rests:
            # No commit, no heartbeat and nothing that time brings: who follows this lane has to see that it rests.
            self._committed_at = time.monotonic()
            return
        if len(batch) == 0:
            self._metrics.last_rows = 0
            if self.batches - self._collected_at >= _BATCHES_PER_COLLECTION:
                gc.collect()
                self._collected_at = self.batches
            if (work := self._processor.idle()) is not None:
                self._commit(work, self._positions(), group)
            return
        started = time.perf_counter()
        self._doing = f"working on {len(batch)} events"
        work = self._processor.work(batch)
        offsets = batch.next_offsets() | self._pause_unknown(batch)
        if self._commit(work, offsets, group):
            self.batches += 1
            self._metrics.batch(batch, time.perf_counter() - started, self._source.consumer)
        if (work_due := self._processor.idle()) is not None:
            self._commit(work_due, self._positions(), group)

    def _rest_or_go_on(self) -> None:
        """What an operator ordered, once: the client stops fetching, and what it had fetched is still worked on."""
        if self._held() == self._rests:
            return
        self._rests = not self._rests
        consumer = self._source.consumer
        if self._rests:
            consumer.pause(consumer.assignment())
        else:
            places = consumer.assignment()
            consumer.resume([place for place in places if (place.topic, place.partition) not in self._paused])

    def _positions(self) -> dict[tuple[str, int], int]:
        """The committed position of one partition: librdkafka takes a transaction without any for done, unsent."""
        assignment = self._source.consumer.assignment()
        if not assignment:
            return {}
        place = self._source.consumer.committed(assignment[:1], timeout=_BROKER_SECONDS)[0]
        return {(place.topic, place.partition): max(place.offset, 0)}

    def _commit(self, work: Work, offsets: dict[tuple[str, int], int], group: object) -> bool:
        """One transaction; False when it was aborted and the batch will be taken again."""
        if not offsets:
            return False
        producer = self._producer
        positions = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
        started = time.perf_counter()
        try:
            self._doing, self._opened_at = "beginning a transaction", time.monotonic()
            producer.begin_transaction()
            self._doing = "producing"
            self._tracked = {}
            for output in work.outputs:
                self._produce(output)
            self._doing = "sending the offsets to the transaction"
            producer.send_offsets_to_transaction(positions, group, _BROKER_SECONDS)
            self._doing = "committing the transaction"
            producer.commit_transaction(_BROKER_SECONDS)
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise
            self._doing = "aborting the transaction"
            producer.abort_transaction(_BROKER_SECONDS)
            self._opened_at = None
            self._after_abort(error.args[0].str())
            return False
        except BufferError as error:
            raise Stop("producing: the producer's queue is full; lower XINLIU_BATCH_ROWS") from error
        self._opened_at = None
        self._committed_at = time.monotonic()
        producer.poll(0)
        tracked = {partition: offset for partition, offset in self._tracked.items() if offset is not None}
        if len(tracked) < len(self._tracked):
            raise Stop("committing: the broker did not say where the last message lies")
        self._doing = "keeping the state"
        self._processor.committed(tracked)
        self._metrics.committed(work.counts, time.perf_counter() - started)
        return True

    def _produce(self, output: Output) -> None:
        if not output.tracked:
            produce_all(self._producer.produce, output.topic, output.values, output.keys, output.partitions)
            return
        partitions = np.asarray(output.partitions)
        last = {
            partition: int(np.flatnonzero(partitions == partition)[-1]) for partition in np.unique(partitions).tolist()
        }
        rest = np.ones(len(partitions), bool)
        rest[list(last.values())] = False
        at = np.flatnonzero(rest).tolist()
        produce_all(
            self._producer.produce,
            output.topic,
            [output.values[i] for i in at],
            [output.keys[i] for i in at],
            partitions[rest].tolist(),
        )
        for partition, i in last.items():
            self._tracked[partition] = None
            self._producer.produce(
                output.topic, output.values[i], output.keys[i], partition, on_delivery=self._delivered
            )

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._tracked[cast("int", message.partition())] = cast("int", message.offset()) + 1

    def _after_abort(self, why: str) -> None:
        """Back to what is committed: the state without the batch, the consumer before it."""
        self._log.warning("transaction aborted, taking its events again", why=why)
        self._metrics.aborted()
        self._processor.aborted()
        consumer = self._source.consumer
        for place in consumer.committed(consumer.assignment(), timeout=_BROKER_SECONDS):
            consumer.seek(TopicPartition(place.topic, place.partition, place.offset if place.offset >= 0 else 0))

    def _pause_unknown(self, batch: Batch) -> dict[tuple[str, int], int]:
        """A partition with a schema id that this process does not know waits before it, for a newer reader."""
        positions: dict[tuple[str, int], int] = {}
        for index, schema_id in self._processor.unknown_schemas():
            place = (batch.topics[index], int(batch.partitions[index]))
            offset = int(batch.offsets[index])
            if place in positions:
                continue
            positions[place] = offset
            self._paused[place] = offset
            self._source.consumer.pause([TopicPartition(*place)])
            self._source.consumer.seek(TopicPartition(*place, offset))
            self._metrics.paused(*place)
            self._log.error(
                f"decoding {place[0]}[{place[1]}]@{offset}: unknown schema id {schema_id}; "
                "the partition waits: deploy a version that knows this id, then start this lane again"
            )
        return positions

    # -- the watchdog -------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Ends the process when it is stuck. Asks nobody, since whoever is asked may be what is stuck."""
        ready_at = time.monotonic()
        told_at: float | None = None
        while not self._ended.wait(0.5):
            now = time.monotonic()
            if (opened_at := self._opened_at) is not None and now - opened_at > OPEN_SECONDS_MAX:
                self._die(f"a transaction is open for more than {OPEN_SECONDS_MAX:.0f} s while {self._doing}")
            if self._stop.is_set():
                told_at = told_at or now
                if now - told_at > STOP_SECONDS_MAX:
                    self._die(f"told to stop and still {self._doing} after {STOP_SECONDS_MAX:.0f} s")
            elif self._restoring or not self.ready.is_set():
                if now - ready_at > QUIET_SECONDS_MAX:
                    self._not_ready_for_long()
                    ready_at = now
            else:
                ready_at = now
                self._watch_lag(now)

    def _watch_lag(self, now: float) -> None:
        """Lag without a commit says that the client is stuck; a broker that is slow to say how far we are does not."""
        # From the first sight of this lag on: a lane that was idle for an hour has an hour without a commit behind it.
        # And only a word that is newer than the last commit: what was said before may be done by now.
        quiet = now - max(self._committed_at, self._behind_since)
        if self._behind > 0 and self._answered_at > self._committed_at and quiet > QUIET_SECONDS_MAX:
            self._die(f"there is lag and no commit for {quiet:.0f} s while {self._doing}")
        # Each question has a time-out, so that a thread which does not come round is no slow broker.
        if now - self._looked_at > QUIET_SECONDS_MAX:
            self._die(f"nobody has looked for {QUIET_SECONDS_MAX:.0f} s how far this lane is")

    def _look(self) -> None:
        """Asks how far the lane is behind, in a thread of its own: a question takes long while a broker is away."""
        silent_since = time.monotonic()
        while not self._ended.wait(_LOOK_SECONDS):
            asked_at = self._looked_at = time.monotonic()
            if self._restoring or not self.ready.is_set():
                continue
            try:
                lag = self._lag()
            except (KafkaException, Retryable, RuntimeError) as error:  # the last: the consumer was closed meanwhile
                if asked_at - silent_since > QUIET_SECONDS_MAX:
                    self._log.warning("the broker does not say how far this lane is; it goes on", why=str(error))
                    silent_since = asked_at
                continue  # asked again; what the broker said last is what `_watch_lag` goes by
            silent_since = asked_at
            self._metrics.lag(lag)
            self._note_lag(sum(lag.values()), asked_at)
            with suppress(Retryable):  # it is a metric only
                self._tell_open_transactions()

    def _note_lag(self, behind: int, asked_at: float) -> None:
        """What the watchdog goes by: how far behind, since when, and when that was asked which the broker answered."""
        if self._behind == 0 and behind > 0:
            self._behind_since = asked_at
        self._behind = behind
        self._answered_at = asked_at

    def _not_ready_for_long(self) -> None:
        """A restore may take its time; a member that is given no partitions does not come by them any more."""
        if self._restoring:
            self._log.warning(
                f"restoring for {QUIET_SECONDS_MAX:.0f} s and more; it waits for ever behind a transaction that nobody "
                "ends: where kafka-transactions.sh find-hanging lists one, abort it"
            )
        elif self._doing == _TAKING:
            self._die(f"no partition was given to this process for {QUIET_SECONDS_MAX:.0f} s")

    def _lag(self) -> dict[tuple[str, int], int]:
        """Committed events that this process holds and has not passed; the marker of a transaction counts as none."""
        lag: dict[tuple[str, int], int] = {}
        held = [
            place for place in self._source.consumer.assignment() if (place.topic, place.partition) not in self._paused
        ]
        request = ConsumerGroupTopicPartitions(self._group, [TopicPartition(p.topic, p.partition) for p in held])
        client = admin(self._settings)  # kept until the answer is here: it is lost with the client
        (answer,) = client.list_consumer_group_offsets([request], request_timeout=5.0).values()
        committed = {(p.topic, p.partition): max(p.offset, 0) for p in answer.result().topic_partitions}
        for place, end in self._stable_ends([(place.topic, place.partition) for place in held]).items():
            lag[place] = max(0, end - committed.get(place, 0) - 1)
        return lag

    def _stable_ends(self, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Where readers of committed messages must stop; the metrics are told how far that is from the end."""
        self._looked_at = time.monotonic()
        stable = ends_of(self._settings, places, read_committed=True)
        self._looked_at = time.monotonic()
        high = ends_of(self._settings, places)
        for (topic, partition), end in stable.items():
            self._metrics.last_stable(topic, partition, end, high[topic, partition])
        return stable

    def _tell_open_transactions(self) -> None:
        """High watermark minus last stable offset of what this lane writes."""
        self._stable_ends(
            [(topic, partition) for topic in self._writes for partition in topic_partitions(self._settings, topic)]
        )

    def _die(self, why: str) -> None:
        self._log.error(f"{why}; ending the process, its supervisor starts it again", exit=EXIT_STOP)
        os._exit(EXIT_STOP)
