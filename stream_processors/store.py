"""The store lane: what Kafka says of records, history, quarantine, receipts and measures becomes rows in ClickHouse.

`rows.rows_of` is the pure step, `pending.due` says when to insert, `StoreLane.run` is the loop.

At least once, made exactly once by the tables: offsets are committed only after every insert was acknowledged, and
an insert may be repeated without harm (`tables/0001_tables.sql`). While ClickHouse is away the batch is kept, and
Kafka is polled on with everything paused, so that the group does not lose this member.
"""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import polars as pl
import pyarrow as pa
import structlog
from confluent_kafka import KafkaException, TopicPartition

from schemas.errors import Retryable, Stop
from schemas.reference import Reference, load
from schemas.settings import Settings
from schemas.topics import HISTORY, MEASURES, QUARANTINE, RECEIPTS_PREFIX, RECORDS
from stream_processors.clickhouse import ClickHouse, TablesMissing, connect
from stream_processors.freshness import accepted_in, accepted_so_far
from stream_processors.kafka import Batch, Source
from stream_processors.pending import INSERT_ROWS_MAX, Pending, due
from stream_processors.rows import PARKED, Place, rows_of
from stream_processors.tables.identity import consumer_group
from stream_processors.tables.migrate import migrate
from stream_processors.tables.reference import load_reference

TOPICS = [RECORDS, HISTORY, QUARANTINE, MEASURES, f"^{RECEIPTS_PREFIX.replace('.', '[.]')}.*"]
_TABLES_IN_ORDER = ("records", "history", "quarantine", "receipts", "measures", PARKED)
_TAKE_SECONDS_MIN = 0.005
_IDLE_SECONDS = 0.2
_ANSWER_SECONDS_MAX = 30  # of one insert; well below Kafka's max.poll.interval.ms
_BACKOFF_SECONDS_MAX = 5.0
_LAG_EVERY_SECONDS = 5.0
_LATENCY_OF_LAST_SECONDS = 3600.0

Seconds = np.ndarray[Any, np.dtype[np.float64]]
Answer = TypeVar("Answer")


class Metrics(Protocol):
    """What the lane counts with."""

    def stored(self, table: str, rows: int, seconds: float) -> None:
        """An insert was acknowledged."""

    def accepted(self, newest_seconds: Mapping[str, float]) -> None:
        """When each of these departments was last heard, in seconds since 1970."""

    def readable(self, seconds: Seconds) -> None:
        """From reported by the adapter to read here as committed, for each record."""

    def queryable(self, seconds: Seconds) -> None:
        """From reported by the adapter to acknowledged by ClickHouse, for each record."""

    def lag(self, events: Mapping[Place, int], newest_ms: float) -> None:
        """Messages of each partition that are not inserted, and when Kafka took the newest one that is."""

    def paused(self, topic: str, partition: int, waits: bool) -> None:
        """Whether the partition waits for a process that knows its schema id."""


def insert(store: ClickHouse, table: str, parts: list[pa.Table]) -> int:
    """Insert rows into one table and wait for the acknowledgement; returns their number. May be repeated."""
    rows = pa.concat_tables(parts)
    store.insert(table, rows)
    return rows.num_rows


def prepare(store: ClickHouse, reference: Reference, directory: Path | None = None) -> None:
    """Bring the store to the tables, views and reference data of this version; `directory` as in `load`."""
    migrate(store)
    load_reference(store, reference, directory)


class StoreLane:
    """The loop. `run` returns when told to stop, and raises Stop or ConfigurationError where it can not go on.

    Args:
        metrics: see `Metrics`.
        log: structlog's, or anything with its `info` and `warning`.
        held: whether an operator has paused the lane: what it has taken is still stored, and no more is taken.

    Attributes:
        ready: set while the store is prepared, Kafka is followed and ClickHouse answers.
    """

    def __init__(
        self, settings: Settings, metrics: Metrics, log: Any = None, held: Callable[[], bool] = lambda: False
    ) -> None:
        self.ready = threading.Event()
        self._held = held
        self._rests = False
        self._settings = settings
        self._metrics = metrics
        self._log = log if log is not None else structlog.get_logger("store")
        self._pending = Pending()
        self._inserting = Pending()
        self._uncommitted: dict[Place, int] = {}
        self._inserted: dict[Place, int] = {}
        self._newest_ms = 0.0
        self._lag_told_at = float("-inf")
        self._commit_fails = False
        self._waiting: set[Place] = set()
        self._away = False
        self._source: Source | None = None

    def run(self, stop: threading.Event) -> None:
        """Follow the topics until `stop` is set. What was not inserted by then is read again at the next start."""
        store = self._prepared(stop)
        if store is None:
            return
        group = consumer_group(store, self._settings)
        source = Source(
            self._settings,
            group,
            TOPICS,
            instance=str(self._settings.slot),
            on_assign=self._assigned,
            on_revoke=self._revoked,
        )
        self._source = source
        self._log.info("store_follows", group=group, store=store.url, database=store.database)
        try:
            self._follow(source, store, stop)
        except KafkaException as error:
            raise Stop(f"following the records in Kafka: {error.args[0].str()}; start the store lane again") from error
        finally:
            self.ready.clear()
            source.close()
            store.close()

    def _prepared(self, stop: threading.Event) -> ClickHouse | None:
        """The store with its tables, as soon as ClickHouse answers; None when told to stop before."""
        reference = load(self._settings.reference_dir)

        def attempt() -> ClickHouse:
            store = connect(self._settings, answer_seconds_max=_ANSWER_SECONDS_MAX)
            prepare(store, reference, self._settings.reference_dir)
            self._metrics.accepted(accepted_so_far(store))
            return store

        return self._until_it_answers(attempt, stop.wait, stop)

    def _follow(self, source: Source, store: ClickHouse, stop: threading.Event) -> None:
        inserted_at = float("-inf")
        while not stop.is_set():
            self.ready.set()
            self._rest_or_go_on(source)
            self._take(source)
            if due(self._pending, time.monotonic(), inserted_at):
                self._insert_all(source, store, stop)
                inserted_at = time.monotonic()
            self._commit(source)
            self._tell_lag(source)

    def _take(self, source: Source) -> None:
        """Take what has come, if anything, and measure how long it was on its way."""
        if not self._pending.is_empty:
            wait_seconds = max(self._settings.batch_wait_ms / 1000, _TAKE_SECONDS_MIN)
            batch = source.take(max(INSERT_ROWS_MAX - self._pending.rows, 1), wait_seconds)
        else:
            batch = source.take(1, _IDLE_SECONDS)
        self._keep(batch)

    def _keep(self, batch: Batch) -> None:
        batch = self._without_waiting(batch)
        if len(batch) == 0:
            return
        now_ms = time.time() * 1000
        rows = rows_of(batch)
        positions = batch.next_offsets()
        for place, offset in rows.waiting.items():
            self._wait(place, offset)
            positions[place] = offset
        reported_ms = reported_ms_of(rows.tables.get("records"), now_ms)
        self._metrics.readable((now_ms - reported_ms) / 1000)
        self._pending.add(rows.tables, positions, time.monotonic(), float(batch.timestamps_ms.max()))
        self._pending.reported_ms.append(reported_ms)
        if PARKED in rows.tables:
            self._say_parked(rows.tables[PARKED])

    def _insert_all(self, source: Source, store: ClickHouse, stop: threading.Event) -> None:
        """Insert what is pending, table by table, however long it takes; leave early only when told to stop."""
        pending, self._pending = self._pending, Pending()
        self._inserting = pending
        for table in _TABLES_IN_ORDER:
            parts = pending.tables.get(table)
            if not parts:
                continue

            def attempt(table: str = table, parts: list[pa.Table] = parts) -> tuple[int, float]:
                started = time.monotonic()
                try:
                    return insert(store, table, parts), time.monotonic() - started
                except TablesMissing as error:
                    raise Stop(
                        f"inserting into {table}: the store's tables are gone; start the store lane again, "
                        "it makes them anew and reads everything from the beginning"
                    ) from error

            done = self._until_it_answers(attempt, lambda seconds: self._poll_paused(source, seconds), stop)
            if done is None:
                return
            self._metrics.stored(table, *done)
            if table == "receipts":
                for receipts in parts:
                    self._metrics.accepted(accepted_in(receipts))
        now_ms = time.time() * 1000
        for reported_ms in pending.reported_ms:
            self._metrics.queryable((now_ms - reported_ms) / 1000)
        self._uncommitted |= pending.positions
        self._inserted |= pending.positions
        self._newest_ms = max(self._newest_ms, pending.newest_ms)

    def _commit(self, source: Source) -> None:
        """Commit the position behind what was inserted. Where that fails it is tried again; it costs repeats only."""
        if not self._uncommitted:
            return
        try:
            source.commit(_positions(self._uncommitted))
        except Retryable as error:
            if not self._commit_fails:
                self._log.warning("store_commit_failed", error=str(error))
            self._commit_fails = True
            return
        self._commit_fails = False
        self._uncommitted = {}

    def _tell_lag(self, source: Source) -> None:
        """From what the client knows already, asking nobody. A transaction's marker at the end is no message.

        While ClickHouse is away nothing is fetched, and the client learns of no new end: then Kafka is asked.
        """
        if time.monotonic() - self._lag_told_at < _LAG_EVERY_SECONDS:
            return
        self._lag_told_at = time.monotonic()
        lag: dict[Place, int] = {}
        asking = self._away
        for place in source.consumer.position(source.consumer.assignment()):
            end = _end_of(source, place) if asking else None
            asking = end is not None
            if end is None:
                _, end = source.consumer.get_watermark_offsets(place, cached=True)
            begun = self._inserted.get((place.topic, place.partition), place.offset)
            if end >= 0 and begun >= 0:
                lag[place.topic, place.partition] = max(0, end - begun - 1)
        self._metrics.lag(lag, self._newest_ms)

    def _until_it_answers(
        self, attempt: Callable[[], Answer], wait: Callable[[float], object], stop: threading.Event
    ) -> Answer | None:
        """Try until ClickHouse does it, longer apart each time, and say once that it is away and that it is back."""
        backoff = 0.1
        since = time.monotonic()
        while not stop.is_set():
            try:
                done = attempt()
            except Retryable as error:
                self.ready.clear()
                if not self._away:
                    self._log.warning("store_away", error=str(error))
                self._away = True
                wait(backoff)
                backoff = min(2 * backoff, _BACKOFF_SECONDS_MAX)
                continue
            if self._away:
                self._log.info("store_back", away_seconds=round(time.monotonic() - since, 1))
                self._away = False
                self._resume()
            return done
        return None

    def _poll_paused(self, source: Source, seconds: float) -> None:
        """Stay a member of the group for so long, and take nothing; what slips through is kept for later."""
        source.consumer.pause(source.consumer.assignment())
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._keep(source.take(1, left))
            self._tell_lag(source)

    def _rest_or_go_on(self, source: Source) -> None:
        if self._held() == self._rests:
            return
        self._rests = not self._rests
        if self._rests:
            source.consumer.pause(source.consumer.assignment())
        else:
            self._resume()

    def _resume(self) -> None:
        if self._source is None or self._rests:
            return
        consumer = self._source.consumer
        consumer.resume([p for p in consumer.assignment() if (p.topic, p.partition) not in self._waiting])

    def _wait(self, place: Place, offset: int) -> None:
        """Read on in the other partitions only."""
        topic, partition = place
        self._waiting.add(place)
        if self._source is not None:
            self._source.consumer.pause([TopicPartition(topic, partition)])
        self._metrics.paused(topic, partition, True)
        self._log.warning(
            "store_partition_waits",
            error=f"storing {topic}[{partition}]@{offset}: its schema id is not in this version's lock file; "
            "start a version of the store lane that knows it",
        )

    def _without_waiting(self, batch: Batch) -> Batch:
        if not self._waiting or len(batch) == 0:
            return batch
        places = zip(batch.topics, batch.partitions.tolist(), strict=True)
        return batch.select(np.flatnonzero([place not in self._waiting for place in places]))

    def _assigned(self, partitions: list[TopicPartition]) -> None:
        if (self._away or self._rests) and self._source is not None:
            self._source.consumer.pause(partitions)

    def _revoked(self, partitions: list[TopicPartition]) -> None:
        """Whoever has them next reads again what was not committed; that does no harm."""
        for gone in ((p.topic, p.partition) for p in partitions):
            for positions in (self._pending.positions, self._inserting.positions, self._uncommitted, self._inserted):
                positions.pop(gone, None)
            if gone in self._waiting:
                self._waiting.discard(gone)
                self._metrics.paused(*gone, False)

    def _say_parked(self, parked: pa.Table) -> None:
        first = parked.slice(0, 1).to_pylist()[0]
        self._log.warning(
            "store_parked",
            error=f"storing {first['topic']}[{first['partition']}]@{first['offset']}: {first['reason']}; "
            "the table parked has its position, its bytes are in Kafka",
            messages=parked.num_rows,
        )


def _end_of(source: Source, place: TopicPartition) -> int | None:
    """The end of the partition by Kafka's own word; None where it does not answer soon."""
    try:
        _, end = source.consumer.get_watermark_offsets(place, timeout=1.0, cached=False)
    except KafkaException:
        return None
    return end


def _positions(positions: Mapping[Place, int]) -> Batch:
    """A batch that ends right before these positions, for `Source.commit`."""
    topics = [topic for topic, _ in positions]
    nothing: list[bytes | None] = [None] * len(topics)
    partitions = np.array([partition for _, partition in positions], np.int32)
    last = np.array(list(positions.values()), np.int64) - 1
    return Batch(nothing, nothing, topics, partitions, last, np.zeros(len(topics), np.int64))


def reported_ms_of(records: pa.Table | None, now_ms: float) -> Seconds:
    """When each new state of a record was reported, where that tells of today's way: no markers, no expiries, and
    nothing older than an hour, which is a replay."""
    if records is None:
        return np.zeros(0)
    frame = pl.DataFrame(pl.from_arrow(records.select(["variant_of", "status", "reported_at"])))
    told = frame.filter(pl.col("variant_of") == "", pl.col("status") != "expired")
    reported_ms = told["reported_at"].cast(pl.Int64).cast(pl.Float64).to_numpy()
    return reported_ms[reported_ms >= now_ms - _LATENCY_OF_LAST_SECONDS * 1000]
