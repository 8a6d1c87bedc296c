"""verify on a real broker and a real store: what is sound passes, and each planted fault is found and named."""

import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from small_platform import DEPARTMENTS, P, fill_store, messages, send, stand_at_end, two_departments, write_platform

from deploy.local.broker import SESSION_TIMEOUT_MS_TEST, BrokerConfig, broker_part
from deploy.local.parts import PartProcess
from deploy.local.processes import free_port_base
from schemas import codec
from schemas.avro import CREDIT_RECORD, IDENTIFIED_EVENT, Message
from schemas.errors import Retryable
from schemas.settings import Settings
from schemas.topics import HISTORY, IDENTIFIED, RECORDS, events_topic
from stream_processors import topics
from stream_processors.clickhouse import ClickHouse, connect
from stream_processors.kafka import end_offsets
from stream_processors.positions import INTAKE_GROUP, REGISTER_GROUP
from stream_processors.status import status
from stream_processors.verify import Report, verify
from stream_processors.verify_page import show

EVENTS_OF_EACH = 300
REFERENCE = two_departments()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A broker for this file alone, with everything on it that two departments' events become."""
    folder = tmp_path_factory.mktemp("verify-broker")
    port = free_port_base(2)
    config = BrokerConfig(folder / "data", port, port + 1, heap_mb=256, session_timeout_ms=SESSION_TIMEOUT_MS_TEST)
    process = PartProcess(broker_part(config), folder / "broker.log")
    settings = Settings(home=folder, bootstrap_servers=process.part.url, partitions=P)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stream_processors.topics.departments", lambda _: list(DEPARTMENTS))
        try:
            process.start()
            topics.apply(settings)
            write_platform(settings, REFERENCE, EVENTS_OF_EACH)
            yield settings
        finally:
            process.stop()
            shutil.rmtree(config.data_dir, ignore_errors=True)


@pytest.fixture(scope="module")
def stored(platform: Settings, clickhouse: Any) -> Iterator[tuple[Settings, ClickHouse]]:
    """A store that holds everything."""
    yield from a_store(platform, clickhouse)


@pytest.fixture
def own_store(platform: Settings, clickhouse: Any) -> Iterator[tuple[Settings, ClickHouse]]:
    """A store that may be spoiled."""
    yield from a_store(platform, clickhouse)


def a_store(platform: Settings, clickhouse: Any) -> Iterator[tuple[Settings, ClickHouse]]:
    name = f"v{uuid.uuid4().hex[:12]}"
    settings = replace(platform, clickhouse_url=clickhouse.url, clickhouse_database=name)
    store = connect(settings)
    fill_store(settings, store, REFERENCE)
    yield settings, store
    store.command(f"DROP DATABASE `{name}`", doing="clearing up")
    store.close()


def look(settings: Settings, wait_seconds: float = 5.0, department: str | None = None) -> Report:
    return verify(
        settings,
        REFERENCE,
        department=department,
        wait_seconds=wait_seconds,
        now_ms=int(time.time() * 1000),
        say=lambda _: None,
    )


def failed(report: Report) -> dict[str, str]:
    """Examples of each check that failed."""
    return {check.name: "\n".join(check.examples) for check in report.checks if not check.ok}


def alter(store: ClickHouse, statement: str) -> None:
    store.command(f"{statement} SETTINGS mutations_sync = 2", doing="planting a fault")


REPLAY = "a replay of the log makes the tables of the store, by their digests"
RECORDS_TABLE = "the table records is what credit.records says"
HISTORY_TABLE = "the table history is what credit.history says"
OUTCOME = "every event was identified, quarantined or refused, exactly once"
FOLDED = "every identified event has exactly one outcome of register"


def test_a_sound_platform_passes_and_everything_was_compared(stored):
    settings, store = stored
    report = look(settings)
    assert failed(report) == {}
    assert report.unjudged == []
    assert sum(row["events"] for row in report.counts) == 2 * EVENTS_OF_EACH
    outcomes = ("new", "repeat", "superseding", "stale", "conflicting", "quarantined", "refused")
    assert all(row["events"] == sum(row[outcome] for outcome in outcomes) for row in report.counts)
    assert all(check.compared for check in report.checks)
    assert {digest.table for digest in report.digests} == {"records", "history", "quarantine", "receipts"}
    assert report.current is not None and report.current.rows > 0
    assert store.rows("SHOW TABLES LIKE '%verify%'", doing="looking") == []


def test_the_command_says_it_as_json_and_counts_one_department_alone(stored, monkeypatch, capsys):
    settings, _ = stored
    monkeypatch.setattr("stream_processors.verify_page.load", lambda _: REFERENCE)
    assert show(settings, "tax", 5, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is True
    assert {row["department"] for row in told["events"]} == {"tax"}
    assert told["current"]["rows"] > 0


def test_every_fault_planted_in_the_store_is_found_and_named(own_store, monkeypatch, capsys):
    settings, store = own_store
    rows = store.rows("SELECT record_id AS id FROM records FINAL WHERE variant_of = '' LIMIT 4", doing="choosing")
    altered, deleted, doubled, copied = (row["id"] for row in rows)
    alter(store, f"ALTER TABLE records UPDATE fine_fen = 1, grade = 'A' WHERE record_id = '{altered}'")
    alter(store, f"ALTER TABLE records DELETE WHERE record_id = '{deleted}'")
    copy(store, "records", "'org:OTHER0001' AS subject_key", doubled)
    copy(store, "records", "'f00d' AS record_id, 7 AS partition", copied)
    copy(store, "history", "7 AS partition, 1 AS offset", copied)
    alter(store, "ALTER TABLE history UPDATE state = 'x' WHERE partition = 0 AND offset = 0")
    alter(store, "ALTER TABLE history DELETE WHERE partition = 1 AND offset = 0")
    alter(store, "ALTER TABLE receipts UPDATE outcome = 'new' WHERE outcome = 'repeat'")
    alter(store, "ALTER TABLE quarantine DELETE WHERE partition = 0 AND offset = 0")

    report = look(settings)
    found = failed(report)
    assert set(found) == {RECORDS_TABLE, HISTORY_TABLE, REPLAY}
    assert found[RECORDS_TABLE].splitlines() == [
        f"missing: record {deleted} is not in the table",
        f"doubled: record {doubled} is in the table 2 times",
        "unknown: record 00000000000000000000000000000000 is in the table only",
        f"differing: record {altered} in grade, fine_fen",
    ]
    assert found[HISTORY_TABLE].splitlines() == [
        "missing: credit.history[1]@0 is not in the table",
        "differing: credit.history[0]@0 in state",
        "unknown: credit.history[7]@1 is in the table only",
    ]
    for place in (
        "credit.records[",
        "credit.history[0]",
        "credit.history[1]",
        "credit.quarantine[0]",
        "credit.receipts.",
    ):
        assert f", {place}" in found[REPLAY]
    assert "the current records: " in found[REPLAY]

    monkeypatch.setattr("stream_processors.verify_page.verify", lambda *_, **__: report)
    monkeypatch.setattr("stream_processors.verify_page.load", lambda _: REFERENCE)
    assert show(settings, None, 5, as_json=False) == 1
    printed = capsys.readouterr().out
    assert f"missing: record {deleted} is not in the table" in printed
    assert "FAILED: something was lost, doubled or changed" in printed


def copy(store: ClickHouse, table: str, changes: str, record: str) -> None:
    rows = f"SELECT * REPLACE ({changes}) FROM (SELECT * FROM records FINAL WHERE record_id = '{record}')"
    store.command(f"INSERT INTO {table} {rows}", doing="planting a fault")


def test_a_store_that_is_away_is_one_sentence(platform, settings_for: Callable[..., Settings], tmp_path: Path):
    away = settings_for(tmp_path, bootstrap_servers=platform.kafka)
    with pytest.raises(Retryable, match="does not answer"):
        look(away)


def test_status_of_a_sound_platform_is_well(stored):
    settings, _ = stored
    lines = status(settings)
    assert [line for line in lines if not line.ok and line.what != "lane cases"] == []  # it does not run here
    assert {line.what for line in lines} >= {"topics", "lane intake", "lane register", "lane store", "table parked"}
    assert next(line.found for line in lines if line.what == "lane store") == "0 events behind"


# From here on the log itself is changed, and stays so.


def test_what_retention_took_away_is_not_counted_and_the_rest_still_passes(stored):
    settings, _ = stored
    # The market's events came first: they go, and so does what they became on credit.identified.
    identified = messages(settings, IDENTIFIED)
    heads = codec.decode(IDENTIFIED_EVENT, identified.values, head=True).batch
    of_tax = np.array([department == "tax" for department in heads["department"].to_pylist()])
    limits = {(events_topic("market"), p): end for p, end in end_offsets(settings, events_topic("market")).items()}
    for partition in range(P):
        limits[IDENTIFIED, partition] = int(identified.offsets[of_tax & (identified.partitions == partition)].min())
    places = [TopicPartition(topic, partition, offset) for (topic, partition), offset in limits.items()]
    admin = AdminClient({"bootstrap.servers": settings.kafka})
    for answer in admin.delete_records(places).values():
        answer.result(20)
    report = look(settings)
    assert failed(report) == {}
    assert report.unjudged == []
    assert sum(row["events"] for row in report.counts) == EVENTS_OF_EACH


def test_what_a_lane_has_not_passed_is_said_and_not_judged(stored):
    settings, _ = stored
    event = messages(settings, events_topic("tax"))
    send(settings, events_topic("tax"), event.values[:1], event.keys[:1], [0])
    report = look(settings, wait_seconds=0.3)
    assert failed(report) == {}
    assert report.unjudged[0].startswith("intake has not passed 1 messages")


def test_every_fault_planted_in_the_log_is_found_and_named(stored):
    settings, store = stored
    # The event that the test before sent is lost: intake stands behind it and said nothing.
    stand_at_end(settings, INTAKE_GROUP, [events_topic("tax")])
    identified = messages(settings, IDENTIFIED)
    first, key, partition = identified.values[0], identified.keys[:1], identified.partitions[:1].tolist()
    # Doubled, and one that no department sent and register says nothing of.
    stranger = changed(IDENTIFIED_EVENT, first, source_offset=100_000, content="0" * 16)
    send(settings, IDENTIFIED, [first, stranger], key * 2, partition * 2)
    stand_at_end(settings, REGISTER_GROUP, [IDENTIFIED])
    # A revision that no event made, in the history and in the records, and a message that is none.
    history, records = messages(settings, HISTORY), messages(settings, RECORDS)
    gap = changed(CREDIT_RECORD, history.values[-1], revision=9)
    send(settings, HISTORY, [gap], history.keys[-1:], history.partitions[-1:].tolist())
    other = changed(CREDIT_RECORD, records.values[0], revision=77)
    send(settings, RECORDS, [other, b"anything"], [*records.keys[:1], b"key"], [int(records.partitions[0]), 0])
    fill_store(settings, store, REFERENCE)

    found = failed(look(settings))
    assert "missing: credit.events.tax[0]@" in found[OUTCOME]
    assert "intake says nothing of it" in found[OUTCOME]
    assert "has more than one outcome" in found[OUTCOME]
    assert "@100000 has an outcome but is not there" in found[OUTCOME]
    assert "@100000, register says nothing of it" in found[FOLDED]
    assert (
        "out of order: credit.identified["
        in found["every message lies in its subject's partition, under its key, in the order of its source"]
    )
    assert "record " in found["the history is what a second fold of the identified events says"]
    assert "is expected in the history, 9 is there" in found["the revisions of each record are 1, 2, 3 and so on"]
    assert (
        "revision 77, is not as the history has it" in found["credit.records holds the newest revision of each record"]
    )
    assert found["every message on the platform's own topics can be read"].startswith("unreadable: credit.records[0]@")


def changed(message: Message, value: bytes | None, **changes: Any) -> bytes:
    row = codec.decode(message, [value]).batch.to_pylist()[0] | changes
    return codec.encode_one(message, row)
