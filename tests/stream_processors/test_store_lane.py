"""The store lane on a real broker and the real engine: outages, repeats, poison, and where it begins."""

import re
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from store_builders import closed, encoded, messages, quarantined, receipt, record

from deploy.local.broker import SESSION_TIMEOUT_MS_TEST, BrokerConfig, broker_part
from deploy.local.parts import PartProcess
from deploy.local.processes import free_port_base, wait_until
from schemas.avro import CREDIT_RECORD, QUARANTINED, RECEIPT
from schemas.errors import ConfigurationError, Retryable, Stop
from schemas.settings import Settings
from schemas.topics import HISTORY, QUARANTINE, RECORDS, receipts_topic
from stream_processors import topics
from stream_processors.clickhouse import ClickHouse, connect
from stream_processors.digests import table_digest
from stream_processors.kafka import Source, end_offsets
from stream_processors.pending import Pending, due
from stream_processors.rebuild import drop_rebuild, rebuild
from stream_processors.rows import rows_of
from stream_processors.store import StoreLane, reported_ms_of
from stream_processors.tables.identity import consumer_group

UNKNOWN_SCHEMA = b"\0\0\0\x27\x0fbody of a schema that is not in the lock file"
SECONDS_MAX = 60.0


# -- when to insert ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "waited_seconds", "since_insert_seconds", "inserts"),
    [
        (1, 0.0, 10.0, False),  # company may come within 50 ms
        (1, 0.06, 10.0, True),  # it was quiet: at once
        (1, 0.06, 0.3, False),  # busy: a part a second is enough
        (1, 1.0, 1.0, True),
        (99_999, 0.5, 0.5, False),
        (100_000, 0.0, 0.1, True),
    ],
)
def test_when_to_insert(rows: int, waited_seconds: float, since_insert_seconds: float, inserts: bool):
    now = 1000.0
    pending = Pending(rows=rows, positions={(RECORDS, 0): 7}, since=now - waited_seconds)
    assert due(pending, now, now - since_insert_seconds) is inserts


def test_nothing_pending_is_never_due():
    assert due(Pending(), 1000.0, float("-inf")) is False


def test_markers_expiries_and_replays_say_nothing_of_how_long_a_report_took():
    now = datetime(2026, 3, 4, 12, tzinfo=UTC)
    rows = [
        record(reported_at=now - timedelta(seconds=2)),
        record(reported_at=now - timedelta(seconds=3), variant_of="a" * 32, status="superseded"),
        closed(reported_at=now - timedelta(seconds=4), status="expired"),
        closed(reported_at=now - timedelta(seconds=5), status="annulled"),
        record(reported_at=now - timedelta(hours=2)),
    ]
    now_ms = now.timestamp() * 1000
    table = rows_of(messages(CREDIT_RECORD, rows)).tables["records"]
    assert [(now_ms - reported_ms) / 1000 for reported_ms in reported_ms_of(table, now_ms)] == [2, 5]
    assert len(reported_ms_of(None, now_ms)) == 0


# -- the loop ---------------------------------------------------------------------------------------------------------


@dataclass
class Counts:
    """What the lane told of itself."""

    rows: dict[str, int] = field(default_factory=dict)
    readable_seconds: list[float] = field(default_factory=list)
    queryable_seconds: list[float] = field(default_factory=list)
    waiting: dict[tuple[str, int], bool] = field(default_factory=dict)
    lag_events: int | None = None
    heard: dict[str, float] = field(default_factory=dict)

    def stored(self, table: str, rows: int, seconds: float) -> None:
        self.rows[table] = self.rows.get(table, 0) + rows

    def accepted(self, newest_seconds: Mapping[str, float]) -> None:
        self.heard |= newest_seconds

    def readable(self, seconds: Any) -> None:
        self.readable_seconds += seconds.tolist()

    def queryable(self, seconds: Any) -> None:
        self.queryable_seconds += seconds.tolist()

    def lag(self, events: Mapping[tuple[str, int], int], newest_ms: float) -> None:
        self.lag_events = sum(events.values())

    def paused(self, topic: str, partition: int, waits: bool) -> None:
        self.waiting[topic, partition] = waits


class Log:
    """The names of the events that were logged, and their sentences."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.sentences: list[str] = []

    def info(self, event: str, **fields: Any) -> None:
        self.events.append(event)

    def warning(self, event: str, **fields: Any) -> None:
        self.events.append(event)
        self.sentences.append(fields["error"])


@dataclass
class Running:
    lane: StoreLane
    counts: Counts
    log: Log


@contextmanager
def running(settings: Settings) -> Iterator[Running]:
    """A store lane in a thread, ready; an error of it fails the test."""
    stop, errors = threading.Event(), []
    run = Running(StoreLane(settings, counts := Counts(), log := Log()), counts, log)

    def follow() -> None:
        try:
            run.lane.run(stop)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        assert wait_until(lambda: run.lane.ready.is_set() or not thread.is_alive(), SECONDS_MAX)
        yield run
    finally:
        stop.set()
        thread.join()
        if errors:
            raise errors[0]


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker for this file alone, since the lane reads the topics by their real names and the tests poison them."""
    folder = tmp_path_factory.mktemp("store-broker")
    port = free_port_base(2)
    config = BrokerConfig(folder / "data", port, port + 1, heap_mb=256, session_timeout_ms=SESSION_TIMEOUT_MS_TEST)
    process = PartProcess(broker_part(config), folder / "broker.log")
    try:
        process.start()
        yield process.part.url
    finally:
        process.stop()
        shutil.rmtree(config.data_dir, ignore_errors=True)


@pytest.fixture
def settings(own_broker: str, clickhouse, settings_for: Callable[..., Settings], tmp_path: Path) -> Iterator[Settings]:
    """All topics there, and a database of one's own."""
    made = settings_for(tmp_path, clickhouse=clickhouse, clickhouse_database=f"t{uuid.uuid4().hex[:12]}")
    made = replace(made, bootstrap_servers=own_broker)
    topics.apply(made)
    yield made
    store = connect(made)
    store.create_database()
    store.command(f"DROP DATABASE `{made.clickhouse_database}`", doing="clearing up")
    store.close()


@pytest.fixture
def store(settings: Settings) -> Iterator[ClickHouse]:
    """A second connection, for looking."""
    connection = connect(settings)
    yield connection
    connection.close()


def send(settings: Settings, topic: str, values: list[bytes | None], partition: int = 0) -> int:
    """Write messages; returns the offset of the first."""
    delivered: list[tuple[Any, int]] = []
    producer = Producer({"bootstrap.servers": settings.kafka, "enable.idempotence": True})
    for value in values:
        producer.produce(
            topic,
            value,
            uuid.uuid4().hex,  # a compacted topic takes no message without a key
            partition=partition,
            on_delivery=lambda error, message: delivered.append((error, message.offset())),
        )
    assert producer.flush(30) == 0
    assert not any(error for error, _ in delivered)
    return delivered[0][1]


def records(count: int, submission: str, **changes: Any) -> list[bytes]:
    now = datetime.now(UTC)
    rows = [record(record_id=uuid.uuid4().hex, submission=submission, reported_at=now, **changes) for _ in range(count)]
    return encoded(CREDIT_RECORD, rows)


def stored(store: ClickHouse, submission: str, table: str = "records") -> int:
    query = f"SELECT count() AS n FROM {table} FINAL WHERE submission = {{s:String}}"
    try:
        return store.rows(query, doing="looking", parameters={"s": submission})[0]["n"]
    except Retryable:
        return -1


def committed(settings: Settings, store: ClickHouse, topic: str, partition: int) -> int:
    consumer = Consumer({"bootstrap.servers": settings.kafka, "group.id": consumer_group(store, settings)})
    try:
        return consumer.committed([TopicPartition(topic, partition)], timeout=10)[0].offset
    finally:
        consumer.close()


def test_every_topic_reaches_its_table_and_the_position_is_committed(settings: Settings, store: ClickHouse):
    with running(settings) as run:
        send(settings, RECORDS, records(3, "first"), partition=1)
        send(settings, HISTORY, records(2, "first"), partition=2)
        send(settings, QUARANTINE, encoded(QUARANTINED, [quarantined(submission="first")]))
        accepted = receipt(submission="first", lane="register", department="tax")
        send(settings, receipts_topic("tax"), encoded(RECEIPT, [accepted]))
        tables = {"records": 3, "history": 2, "quarantine": 1, "receipts": 1}
        assert wait_until(lambda: {t: stored(store, "first", t) for t in tables} == tables, SECONDS_MAX)
        end = end_offsets(settings, RECORDS)[1]
        assert wait_until(lambda: committed(settings, store, RECORDS, 1) == end, SECONDS_MAX)
    assert run.log.events == ["store_follows"]
    assert len(run.counts.readable_seconds) == len(run.counts.queryable_seconds) == 3
    assert all(0 <= seconds < SECONDS_MAX for seconds in run.counts.readable_seconds)
    assert np.max(run.counts.queryable_seconds) >= np.max(run.counts.readable_seconds)
    with running(settings) as again:
        send(settings, RECORDS, records(1, "second"))
        assert wait_until(lambda: stored(store, "second") == 1, SECONDS_MAX)
    assert again.counts.rows["records"] == 1, "what was committed is not taken again"
    assert again.counts.heard == pytest.approx(run.counts.heard), "a restart knows when a department was heard"
    assert time.time() - SECONDS_MAX < run.counts.heard["tax"] <= time.time()


def test_an_outage_of_clickhouse_loses_nothing_and_is_said_once(settings: Settings, store: ClickHouse, clickhouse):
    with running(settings) as run:
        send(settings, RECORDS, records(5, "outage"))
        assert wait_until(lambda: stored(store, "outage") == 5, SECONDS_MAX)
        clickhouse.kill9()
        try:
            send(settings, RECORDS, records(7, "outage"))
            assert wait_until(lambda: "store_away" in run.log.events, SECONDS_MAX)
            assert not run.lane.ready.is_set()
            send(settings, RECORDS, records(9, "outage"), partition=2)
            assert wait_until(lambda: bool(run.counts.lag_events), SECONDS_MAX)
        finally:
            clickhouse.start()
        assert wait_until(lambda: stored(store, "outage") == 21, SECONDS_MAX)
        assert wait_until(run.lane.ready.is_set, SECONDS_MAX)
        assert wait_until(lambda: run.counts.lag_events == 0, SECONDS_MAX)
    assert run.log.events == ["store_follows", "store_away", "store_back"]
    assert re.match(r"inserting \d+ rows into \w+: ClickHouse at .* does not answer", run.log.sentences[0])


def test_a_start_while_clickhouse_is_away_waits_for_it(settings: Settings, store: ClickHouse, clickhouse):
    send(settings, RECORDS, records(2, "late"))
    clickhouse.kill9()
    stop, log = threading.Event(), Log()
    lane = StoreLane(settings, Counts(), log)
    thread = threading.Thread(target=lane.run, args=(stop,))
    thread.start()
    try:
        assert wait_until(lambda: "store_away" in log.events, SECONDS_MAX)
        clickhouse.start()
        assert wait_until(lambda: stored(store, "late") == 2, SECONDS_MAX)
    finally:
        stop.set()
        thread.join()
        if clickhouse.pid is None:
            clickhouse.start()


def test_what_was_inserted_but_not_committed_is_taken_again_without_harm(
    settings: Settings, store: ClickHouse, monkeypatch: pytest.MonkeyPatch
):
    def fails(self: Source, batch: object) -> None:
        raise Retryable("committing offsets to Kafka: not today")

    with monkeypatch.context() as broken:
        broken.setattr(Source, "commit", fails)
        with running(settings) as first:
            send(settings, HISTORY, records(4, "twice"))
            assert wait_until(lambda: stored(store, "twice", "history") == 4, SECONDS_MAX)
            assert wait_until(lambda: "store_commit_failed" in first.log.events, SECONDS_MAX)
    before = table_digest(store, "history")
    with running(settings) as second:
        assert wait_until(lambda: second.counts.rows.get("history") == first.counts.rows["history"], SECONDS_MAX)
    assert table_digest(store, "history") == before
    assert first.log.events.count("store_commit_failed") == 1


def test_what_no_table_can_hold_is_parked_by_its_position(settings: Settings, store: ClickHouse):
    offset = send(settings, QUARANTINE, [b"random bytes 370102198001011234"])
    with running(settings) as run:
        send(settings, QUARANTINE, encoded(QUARANTINED, [quarantined(submission="after")]))
        assert wait_until(lambda: stored(store, "after", "quarantine") == 1, SECONDS_MAX)
        query = f"SELECT topic, partition, reason FROM parked FINAL WHERE offset = {offset}"
        assert wait_until(lambda: len(store.rows(query, doing="looking")) == 1, SECONDS_MAX)
    assert store.rows(query, doing="looking") == [{"topic": QUARANTINE, "partition": 0, "reason": "event_undecodable"}]
    assert "random" not in str(run.log.sentences)


def test_a_new_store_reads_from_the_beginning_and_equals_its_rebuild(settings: Settings, store: ClickHouse):
    send(settings, RECORDS, records(6, "replay"))
    with pytest.raises(Stop, match="tables are gone; start the store lane again"), running(settings) as run:
        assert wait_until(lambda: stored(store, "replay") == 6, SECONDS_MAX)
        store.command(f"DROP DATABASE `{settings.clickhouse_database}` SYNC", doing="losing the store")
        send(settings, RECORDS, records(1, "replay"))
        assert wait_until(lambda: not run.lane.ready.is_set(), SECONDS_MAX)
    with running(settings):
        assert wait_until(lambda: stored(store, "replay") == 7, SECONDS_MAX)
        ends = end_offsets(settings, QUARANTINE)
        assert wait_until(lambda: committed(settings, store, QUARANTINE, 0) == ends[0], SECONDS_MAX)
    inserted = rebuild(store, settings, into="_again")
    try:
        for table in ("records", "history", "quarantine", "receipts"):
            assert table_digest(store, table, suffix="_again") == table_digest(store, table)
        assert inserted["records"] >= 7
        store.command(
            "ALTER TABLE records UPDATE fine_fen = 1 WHERE submission = 'replay' SETTINGS mutations_sync = 1",
            doing="corrupting it",
        )
        assert table_digest(store, "records", suffix="_again") != table_digest(store, "records")
    finally:
        drop_rebuild(store, "_again")
    assert "records_again" not in {row["name"] for row in store.rows("SHOW TABLES", doing="looking")}


def test_a_store_that_another_cluster_filled_is_refused(settings: Settings, store: ClickHouse):
    with running(settings):
        pass
    store.command("ALTER TABLE identity UPDATE cluster = 'another' WHERE 1 SETTINGS mutations_sync = 1", doing="moving")
    with pytest.raises(ConfigurationError, match="was filled from another Kafka cluster than the one at 127"):
        StoreLane(settings, Counts(), Log()).run(threading.Event())


def test_an_unknown_schema_id_holds_its_partition_and_no_other(settings: Settings, store: ClickHouse):
    # Last in this file: the message stays on the topic, and from here on no store gets past it.
    poison = send(settings, HISTORY, [UNKNOWN_SCHEMA], partition=3)
    send(settings, HISTORY, records(2, "behind"), partition=3)
    for _ in range(2):
        with running(settings) as run:
            send(settings, HISTORY, records(1, "beside"), partition=0)
            assert wait_until(lambda: run.counts.waiting == {(HISTORY, 3): True}, SECONDS_MAX)
            end = end_offsets(settings, HISTORY)[0]
            assert wait_until(lambda end=end: committed(settings, store, HISTORY, 0) == end, SECONDS_MAX)
        assert run.log.events.count("store_partition_waits") == 1
    assert stored(store, "beside", "history") == 2
    assert stored(store, "behind", "history") == 0
    assert committed(settings, store, HISTORY, 3) in (poison, -1001)
