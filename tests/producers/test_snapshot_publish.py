"""Full lists on a real broker: rows first, then the withdrawals, whatever interrupts them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from publishing import Department, answering, register_department, rows_and_parts
from snapshots import MAPPING, barred, write_list

from producers import publisher
from producers.__main__ import answer
from producers.journal import Journal
from producers.publisher import publish
from producers.snapshot_prepare import FullList, SnapshotOrder
from schemas.errors import EXIT_INPUT, EXIT_RETRY, InputError

NOW = datetime(2026, 5, 1, 4, 0, tzinfo=UTC)
FIRST = SnapshotOrder(first=True)
ANY = SnapshotOrder(shrink_max=1.0)


@pytest.fixture
def department(broker, settings_for, tmp_path) -> Department:
    return register_department(broker, settings_for, tmp_path)


class Clock:
    """Each submission is a minute later than the one before."""

    def __init__(self) -> None:
        self.minutes = 0

    def __call__(self) -> datetime:
        return NOW.replace(minute=self.minutes)


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Lister:
    """Publishes full lists of one department, each a minute after the one before."""

    def __init__(self, department: Department, folder: Path, clock: Clock) -> None:
        self.department, self.folder, self.clock, self.count = department, folder, clock, 0

    def file(self, *numbers: int, **changes: str) -> Path:
        self.count += 1
        return write_list(self.folder / f"list{self.count}.csv", [barred(number, **changes) for number in numbers])

    def publish(self, path: Path, order: SnapshotOrder = ANY, **options: object):
        self.clock.minutes += 1
        return publish(
            self.department.settings, self.department.order(path, MAPPING, snapshot=order, **options), self.clock
        )

    def events(self, submission: str) -> pl.DataFrame:
        return self.department.events().filter(pl.col("submission") == submission)


@pytest.fixture
def lister(department, tmp_path, clock, monkeypatch) -> Lister:
    monkeypatch.setattr(publisher, "_SETTLE_SECONDS", 0.05)  # the interrupted run is this process: nothing is under way
    return Lister(department, tmp_path, clock)


def withdrawn(events: pl.DataFrame) -> Counter[str]:
    """Document numbers of the withdrawals, each as often as it is there."""
    return Counter(events.filter(pl.col("operation") == "withdraw")["document_number"])


def documents(*numbers: int) -> Counter[str]:
    return Counter(f"演财采〔2023〕{number}号" for number in numbers)


def test_rows_go_out_first_and_withdrawals_after_them(lister):
    lister.publish(lister.file(*range(100)), FIRST)
    entry, sent = lister.publish(lister.file(*range(90), 200))
    events = lister.events(entry.submission)
    assert withdrawn(events) == documents(*range(90, 100))
    assert (entry.rows, entry.snapshot["withdrawn"], sent.filter(pl.col("row") == 0).height) == (91, 10, 10)
    acts, rows = (events.filter((pl.col("operation") == "withdraw") == acts) for acts in (True, False))
    assert acts["source_version"].min() == rows["source_version"].max()
    assert set(acts["change_decided_on"]) == {date(2026, 5, 1)}
    assert set(acts["mapping"]) == {f"{MAPPING}@1"}
    assert acts["event_id"].n_unique() == 10


def test_what_comes_back_is_sent_as_reinstated(lister):
    lister.publish(lister.file(1, 2), FIRST)
    lister.publish(lister.file(1))
    entry, _ = lister.publish(lister.file(1, 2, 3))
    events = lister.events(entry.submission).sort("source_row")
    assert events["operation"].to_list() == ["report", "reinstate", "report"]
    assert events["source_version"].n_unique() == 1


def test_the_same_list_again_withdraws_nothing_and_is_of_the_same_version(lister):
    lister.publish(lister.file(1, 2), FIRST)
    path = lister.file(1)
    first, again = lister.publish(path), lister.publish(path)
    assert (first[0].snapshot["withdrawn"], again[0].snapshot["withdrawn"]) == (1, 0)
    assert first[0].source_version_ms == again[0].source_version_ms


def test_a_list_that_must_not_be_sent_sends_nothing_and_leaves_the_last_one(lister):
    lister.publish(lister.file(*range(10)), FIRST)
    for numbers, order, words in (
        (range(7), SnapshotOrder(), "3 of the 10 records of the last list .* --shrink-max 0.4"),
        ((), ANY, "the list holds no row"),
        (range(10), FIRST, "so this is not the first"),
    ):
        with pytest.raises(InputError, match=words):
            lister.publish(lister.file(*numbers), order)
    assert lister.department.events().height == 10
    entry, _ = lister.publish(lister.file(*range(9)))
    assert (entry.snapshot["stood"], entry.snapshot["withdrawn"]) == (10, 1)


def test_an_older_list_is_refused(lister):
    lister.publish(lister.file(1, 2), FIRST, as_of=date(2026, 4, 2))
    with pytest.raises(InputError, match="the list is of 2026-04-01, older than the last one of 2026-04-02"):
        lister.publish(lister.file(1), as_of=date(2026, 4, 1))
    assert lister.publish(lister.file(1), as_of=date(2026, 4, 3))[0].snapshot["withdrawn"] == 1


def test_the_last_list_may_be_given_as_a_file(lister):
    previous = SnapshotOrder(shrink_max=1.0, previous=lister.file(1, 2))
    entry, _ = lister.publish(lister.file(2, 3), previous)
    assert withdrawn(lister.events(entry.submission)) == documents(1)


def test_lists_under_different_names_do_not_withdraw_each_other(lister):
    lister.publish(lister.file(1, 2), SnapshotOrder("one", first=True))
    entry, _ = lister.publish(lister.file(3), SnapshotOrder("two", first=True))
    assert entry.snapshot["withdrawn"] == 0
    assert entry.submission.startswith(f"{lister.department.name}-two-")


def test_a_file_that_changes_while_it_is_sent_withdraws_nothing(lister, monkeypatch):
    lister.publish(lister.file(1, 2), FIRST)
    path = lister.file(1)
    monkeypatch.setattr(publisher._Run, "send", _then(publisher._Run.send, lambda: write_list(path, [barred(2)])))
    with pytest.raises(InputError, match="changed while it was sent; nothing was withdrawn"):
        lister.publish(path)
    assert withdrawn(lister.department.events()) == Counter()


def _then(call, more):
    def both(*arguments):
        answer = call(*arguments)
        more()
        return answer

    return both


# -- interruptions ------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for the end of the process: nothing of ours is called any more."""


def _killed(*_):
    raise Killed


@pytest.mark.parametrize(
    ("where", "sent_before"),
    [
        ((publisher._Run, "send"), 0),
        ((publisher._Run, "send_withdrawals"), 3),
        pytest.param((FullList, "finish"), 5, marks=pytest.mark.nightly),
        pytest.param((Journal, "finish"), 5, marks=pytest.mark.nightly),
    ],
    ids=["before the rows", "before the withdrawals", "before it is the last list", "before the journal"],
)
def test_an_interrupted_list_is_completed_by_the_same_command(lister, monkeypatch, where, sent_before):
    lister.publish(lister.file(1, 2, 3), FIRST)
    path = lister.file(3, 4, 5)
    with monkeypatch.context() as patched:
        patched.setattr(*where, _killed)
        with pytest.raises(Killed):
            lister.publish(path)
    events = lister.department.events()
    assert events.height - 3 == sent_before
    entry, sent = lister.publish(path)
    events = lister.events(entry.submission)
    assert (withdrawn(events), set(rows_and_parts(events).values())) == (documents(1, 2), {1})
    assert sorted(sent["row"]) == [0, 0, 2, 3, 4]
    again, _ = lister.publish(path)
    assert (again.snapshot["stood"], again.snapshot["withdrawn"]) == (3, 0)


@pytest.mark.parametrize(
    ("where", "withdraws"),
    [
        pytest.param((publisher._Run, "send"), [1, 2], marks=pytest.mark.nightly),
        ((publisher._Run, "send_withdrawals"), [1, 2, 5]),
        pytest.param((FullList, "finish"), [5], marks=pytest.mark.nightly),
    ],
    ids=["before the rows", "before the withdrawals", "after all"],
)
def test_a_newer_list_after_an_interrupted_one_counts_what_was_sent(lister, monkeypatch, where, withdraws):
    lister.publish(lister.file(1, 2, 3), FIRST)
    with monkeypatch.context() as patched:
        patched.setattr(*where, _killed)
        with pytest.raises(Killed):
            lister.publish(lister.file(3, 4, 5))
    with monkeypatch.context() as patched:  # interrupted in its turn, before its first event
        patched.setattr(publisher._Run, "send", _killed)
        with pytest.raises(Killed):
            lister.publish(lister.file(3, 4, 7))
    entry, _ = lister.publish(lister.file(3, 4, 6))
    assert withdrawn(lister.events(entry.submission)) == documents(*withdraws)
    assert entry.snapshot["listed"] == 3


def test_an_interrupted_list_that_a_newer_one_has_overtaken_is_not_completed(lister, monkeypatch):
    lister.publish(lister.file(1, 2, 3), FIRST)
    interrupted = lister.file(3, 4, 5)
    with monkeypatch.context() as patched:
        patched.setattr(publisher._Run, "send_withdrawals", _killed)
        with pytest.raises(Killed):
            lister.publish(interrupted)
    lister.publish(lister.file(1, 2, 3, 4))
    with pytest.raises(InputError, match="sent before and a newer one after it"):
        lister.publish(interrupted)


_PUBLISH = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from producers import readers, publisher, snapshot_prepare
from producers.mapping import load
from producers.publisher import Order, publish
from producers.snapshot_prepare import SnapshotOrder
from schemas.settings import Settings
snapshot_prepare._EVENTS_AT_ONCE = 50
publisher.read = lambda path, layout: readers.read(path, layout, chunk_rows=200)
settings = Settings.from_env(os.environ)
order = Order(Path(sys.argv[1]), sys.argv[2], load("procurement-ban", settings), snapshot=SnapshotOrder(shrink_max=1.0))
print("begun", flush=True)
publish(settings, order, lambda: datetime.now(UTC))
"""


@pytest.mark.nightly
def test_a_list_that_is_killed_again_and_again_ends_like_one_that_is_not(lister, clock):
    department = lister.department
    lister.publish(lister.file(*range(4_000)), FIRST)
    path = lister.file(*range(1_000, 6_000))
    settings = department.settings
    environment = os.environ | {
        "XINLIU_HOME": str(settings.home),
        "XINLIU_BOOTSTRAP_SERVERS": settings.kafka,
        "XINLIU_REFERENCE": str(settings.reference_dir),
    }
    kills = 0
    for milliseconds in range(60, 6_000, 60):
        process = subprocess.Popen(
            [sys.executable, "-c", _PUBLISH, str(path), department.name], env=environment, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(milliseconds / 1000)
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        finally:
            process.stdout.close()
    assert (process.returncode, kills > 3) == (0, True)
    events = department.events().filter(pl.col("submission") != department.events()["submission"][0])
    assert withdrawn(events) == documents(*range(1_000))
    rows = events.filter(pl.col("operation") == "report")
    assert set(rows_and_parts(rows).values()) == {1}
    assert rows.height == 5_000


# -- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def command(department, monkeypatch):
    monkeypatch.setenv("XINLIU_HOME", str(department.settings.home))
    monkeypatch.setenv("XINLIU_BOOTSTRAP_SERVERS", department.settings.kafka)
    monkeypatch.setenv("XINLIU_REFERENCE", str(department.settings.reference_dir))

    def run(*arguments: object) -> int:
        options = ["--department", department.name, "--mapping", MAPPING]
        return answer(["publish", *map(str, arguments), *options])

    return run


def test_withdrawals_are_told_apart_from_rows(lister, command, capsys):
    with answering(lister.department, "superseding"):
        assert command(lister.file(1, 2, 3), "--snapshot", "--first", "--wait", "--json") == 0
        capsys.readouterr()
        assert command(lister.file(1, 2, 4), "--snapshot", "--shrink-max", "0.4", "--json") == 0
        said = json.loads(capsys.readouterr().out)
        assert (said["rows"], said["waiting"], said["withdrawn"]) == (3, 3, {"waiting": 1})
        assert answer(["receipts", said["submission"], "--json", "--timeout", "2"]) in (0, EXIT_RETRY)
        capsys.readouterr()
        deadline = time.monotonic() + 20
        code = EXIT_RETRY
        while code == EXIT_RETRY and time.monotonic() < deadline:
            code = answer(["receipts", said["submission"], "--json"])
            said = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (said["rows"], said["outcomes"], said["withdrawn"]) == (3, {"superseding": 3}, {"superseding": 1})
    assert said["snapshot"] == {
        "stood": 3,
        "listed": 3,
        "new": 1,
        "withdrawn": 1,
        "reinstated": 0,
        "kept_in_doubt": 0,
        "kept_by_other_lists": 0,
    }
    assert answer(["receipts", said["submission"]]) == 0
    assert "stood in the last list and are absent from this one" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--snapshot", "--corrects"], "--snapshot and --corrects exclude each other"),
        (["--snapshot", "--first", "--previous", "a.csv"], "--first and --previous exclude each other"),
        (["--first"], "say --snapshot, too"),
        (["--snapshot", "--source", "a/b"], "can not be the name of a list"),
        (["--snapshot", "--shrink-max", "20"], "between 0 and 1"),
        (["b.csv", "--snapshot"], "the one file that holds the whole list"),
    ],
)
def test_what_contradicts_itself_is_said(lister, command, capsys, arguments, words):
    assert command(lister.file(1), *arguments) == EXIT_INPUT
    said = capsys.readouterr()
    assert (words in said.err, said.out) == (True, "")
