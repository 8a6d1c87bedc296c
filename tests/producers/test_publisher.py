"""Files reach their department's topic on a real broker, each event once, whatever happens on the way."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from publishing import PARTITIONS, PERSON, Department, register_department, rows_and_parts, write_registrations

from producers import kafka, publisher, readers
from producers.journal import Journal
from producers.mapping import load
from producers.publisher import Order, Progress, publish
from schemas.errors import InputError, Retryable
from schemas.topics import events_topic

NOW = datetime(2026, 5, 1, 4, 0, tzinfo=UTC)


@pytest.fixture
def department(broker, settings_for, tmp_path) -> Department:
    return register_department(broker, settings_for, tmp_path)


def now() -> datetime:
    return NOW


def test_each_row_is_sent_once_with_its_key_and_its_submission(department, tmp_path):
    entry, sent = publish(department.settings, department.order(write_registrations(tmp_path / "a.csv", 500)), now)
    events = department.events()
    assert (entry.rows, entry.state, sent.height) == (500, "sent", 500)
    assert rows_and_parts(events) == Counter((row, 0) for row in range(2, 502))
    assert set(events["submission"]) == {entry.submission}
    assert entry.submission.startswith(f"{department.name}-20260501-120000-")
    assert events["event_id"].n_unique() == 500
    assert set(events["reported_at"].dt.epoch("ms")) == {round(NOW.timestamp() * 1000)}


def test_rows_about_persons_are_never_sent_and_leave_only_a_reason(department, tmp_path):
    path = write_registrations(tmp_path / "a.csv", 3, persons=2)
    entry, sent = publish(department.settings, department.order(path), now)
    assert rows_and_parts(department.events()) == Counter({(2, 0): 1, (3, 0): 1, (4, 0): 1})
    refused = sent.filter(pl.col("reason") != "")
    assert refused["row"].to_list() == [5, 6]
    for file in (department.settings.home / "adapter").iterdir():
        assert PERSON.encode() not in file.read_bytes()
    assert entry.rows == 5


def test_the_same_file_again_is_a_new_submission(department, tmp_path):
    order = department.order(write_registrations(tmp_path / "a.csv", 10))
    first, _ = publish(department.settings, order, now)
    second, _ = publish(department.settings, order, now)
    assert first.submission != second.submission
    assert set(rows_and_parts(department.events()).values()) == {2}


@pytest.mark.parametrize(
    ("options", "version"),
    [
        ({}, None),
        ({"as_of": date(2026, 4, 30)}, datetime(2026, 4, 29, 16)),  # midnight in Shanghai
        ({"corrects": True}, datetime(2026, 5, 1, 4)),
    ],
)
def test_how_new_the_rows_are_is_what_the_order_says(department, tmp_path, options, version):
    order = department.order(write_registrations(tmp_path / "a.csv", 2), **options)
    publish(department.settings, order, now)
    assert set(department.events()["source_version"]) == {version}


def test_two_ways_to_say_how_new_the_rows_are_exclude_each_other(department, tmp_path):
    path = write_registrations(tmp_path / "a.csv", 2)
    with pytest.raises(InputError, match="--as-of and --corrects exclude each other"):
        publish(department.settings, department.order(path, as_of=date(2026, 1, 1), corrects=True), now)


def test_an_unregistered_department_is_told_which_there_are(department, tmp_path):
    order = Order(write_registrations(tmp_path / "a.csv", 1), "nobody", load("registration-cn", department.settings))
    with pytest.raises(InputError, match=f"no such department is registered; registered are {department.name}, other"):
        publish(department.settings, order, now)


def test_a_missing_topic_is_named_with_the_command_that_makes_it(department, tmp_path):
    order = Order(write_registrations(tmp_path / "a.csv", 1), "other", load("registration-cn", department.settings))
    with pytest.raises(
        InputError, match=r"credit\.events\.other and credit\.receipts\.other .* run xinliu topics apply"
    ):
        publish(department.settings, order, now)
    assert not any(path.suffix == ".json" for path in (department.settings.home / "adapter").glob("*"))


def test_a_broker_that_is_away_at_the_start_costs_seconds_and_sends_nothing(department, tmp_path, monkeypatch):
    monkeypatch.setattr(kafka, "ANSWER_SECONDS_MAX", 1.0)
    away = replace(department.settings, bootstrap_servers="127.0.0.1:1")
    order = department.order(write_registrations(tmp_path / "a.csv", 1))
    with pytest.raises(
        Retryable, match=r"nothing was sent; asking the broker .*: no answer .* run the same command again"
    ):
        publish(away, order, now)
    assert not list((away.home / "adapter").glob("*.json"))


# -- interruptions ------------------------------------------------------------------------------------------------

_PUBLISH = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from producers.mapping import load
from producers.publisher import Order, Progress, publish
from producers import readers, publisher
from schemas.settings import Settings
import os
settings = Settings.from_env(os.environ)
def slowly(path, layout):
    for chunk in readers.read(path, layout, chunk_rows=500):
        print("chunk", flush=True)
        time.sleep(float(sys.argv[3]))
        yield chunk
publisher.read = slowly
order = Order(Path(sys.argv[1]), sys.argv[2], load("registration-cn", settings), silence_seconds_max=float(sys.argv[4]))
publish(settings, order, lambda: datetime.now(UTC))
"""


@contextmanager
def publishing(
    department: Department, path: Path, pause_seconds: float, silence_seconds: float = 60
) -> Iterator[subprocess.Popen[str]]:
    """A process that publishes a file in small chunks with a pause before each, killed at the end if it is there."""
    settings = department.settings
    environment = os.environ | {
        "XINLIU_HOME": str(settings.home),
        "XINLIU_BOOTSTRAP_SERVERS": settings.kafka,
        "XINLIU_REFERENCE": str(settings.reference_dir),
    }
    command = [sys.executable, "-c", _PUBLISH, str(path), department.name, str(pause_seconds), str(silence_seconds)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def events_on_topic(department: Department) -> int:
    return sum(kafka.end_offsets(department.settings, events_topic(department.name), PARTITIONS).values())


def test_a_killed_run_is_taken_up_and_each_event_is_there_once(department, tmp_path):
    path = write_registrations(tmp_path / "big.csv", 20_000)
    for events_before_the_kill in (2_000, 6_000):
        with publishing(department, path, 0.05) as process:
            wait_for(lambda events=events_before_the_kill: events_on_topic(department) >= events)
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert 6_000 <= events_on_topic(department) < 20_000
    told: list[int] = []
    entry, _ = publish(
        department.settings,
        department.order(path),
        now,
        Progress(begun=lambda submission, events: told.append(events)),
    )
    events = department.events()
    assert rows_and_parts(events) == Counter((row, 0) for row in range(2, 20_002))
    assert set(events["submission"]) == {entry.submission}
    assert told[0] >= 6_000


def test_a_run_that_was_killed_behind_its_last_event_sends_nothing_more(department, tmp_path):
    path = write_registrations(tmp_path / "a.csv", 100)
    entry, _ = publish(department.settings, department.order(path), now)
    journal = Journal(department.settings.home)
    journal.begin(replace(entry, state="sending", rows=0))  # as if the last line had not been written
    again, sent = publish(department.settings, department.order(path), now)
    assert (again.submission, again.rows, sent.height) == (entry.submission, 100, 100)
    assert set(rows_and_parts(department.events()).values()) == {1}


def test_another_order_of_the_same_file_does_not_take_up_the_interrupted_one(department, tmp_path):
    path = write_registrations(tmp_path / "a.csv", 10)
    entry, _ = publish(department.settings, department.order(path), now)
    Journal(department.settings.home).begin(replace(entry, state="sending", rows=0))
    corrected, _ = publish(department.settings, department.order(path, corrects=True), now)
    assert corrected.submission != entry.submission


def test_an_interrupted_run_says_what_is_there_and_how_to_go_on(department, tmp_path):
    path = write_registrations(tmp_path / "big.csv", 20_000)
    with publishing(department, path, 0.05) as process:
        wait_for(lambda: events_on_topic(department) >= 1_000)
        process.send_signal(signal.SIGINT)
        _, words = process.communicate(timeout=30)
    assert "interrupted;" in words
    assert "run the same command again to send the rest" in words
    acknowledged = int(words.split("interrupted; ")[1].split(" of the ")[0])
    assert acknowledged == len(rows_and_parts(department.events()))


def test_a_broker_that_dies_under_way_costs_no_row(department, broker, tmp_path):
    path = write_registrations(tmp_path / "big.csv", 20_000)
    with publishing(department, path, 0.05, silence_seconds=3) as process:
        wait_for(lambda: events_on_topic(department) >= 1_000)
        broker.kill9()
        try:
            _, words = process.communicate(timeout=60)
        finally:
            broker.start()
    assert process.returncode != 0
    assert "the broker stopped answering" in words
    acknowledged = int(words.split("; ")[1].split(" of the ")[0])
    assert 0 < acknowledged <= len(rows_and_parts(department.events()))
    publish(department.settings, department.order(path), now)
    assert rows_and_parts(department.events()) == Counter((row, 0) for row in range(2, 20_002))


@pytest.mark.nightly
def test_a_broker_that_comes_back_in_time_is_not_noticed(department, broker, tmp_path):
    path = write_registrations(tmp_path / "big.csv", 20_000)
    with publishing(department, path, 0.05, silence_seconds=60) as process:
        wait_for(lambda: events_on_topic(department) >= 1_000)
        broker.kill9()
        broker.start()
        _, words = process.communicate(timeout=90)
    assert (process.returncode, words) == (0, "")
    assert rows_and_parts(department.events()) == Counter((row, 0) for row in range(2, 20_002))


def test_a_file_that_breaks_off_says_how_much_of_it_was_sent(department, tmp_path, monkeypatch):
    def broken(path, layout):
        chunks = readers.read(path, layout, chunk_rows=50)
        yield next(chunks)
        raise InputError("reading a.csv: it ends within row 52")

    monkeypatch.setattr(publisher, "read", broken)
    with pytest.raises(InputError, match=r"ends within row 52; 50 rows before that were sent as .* mend the file"):
        publish(department.settings, department.order(write_registrations(tmp_path / "a.csv", 100)), now)
    assert len(rows_and_parts(department.events())) == 50


def test_a_file_that_can_not_be_used_begins_nothing(department, tmp_path):
    path = tmp_path / "a.xlsx"
    path.write_bytes(b"%PDF-1.4 not a workbook")
    with pytest.raises(InputError, match="PDF"):
        publish(department.settings, department.order(path), now)
    assert not list((department.settings.home / "adapter").glob("*.json"))
