"""Files of which too many rows would be set aside are not sent, and stop those that come after them."""

import json
import time
from pathlib import Path

import polars as pl
import pytest
from publishing import PERSON, Department, answering, register_department
from snapshots import MAPPING, barred, write_list

from producers import commands, publisher, readers
from producers.__main__ import answer
from producers.breaker import BAD_ROWS_MIN, Judged, judged_of, share_of
from producers.journal import Journal
from producers.publisher import Order
from schemas.errors import EXIT_INPUT, EXIT_RETRY, EXIT_SOME_NOT_GOOD, InputError
from schemas.settings import Settings


@pytest.mark.parametrize(
    ("rows", "set_aside", "refused", "bad"),
    [
        (1_000, 201, 0, True),
        (1_000, 200, 0, False),
        (100, BAD_ROWS_MIN, 0, True),
        (49, 49, 0, False),  # so few are mended by hand
        (1_000, 0, 1_000, False),  # the guard does its work
        (1_000, 60, 800, True),  # of 200 rows that may be held
        (0, 0, 0, False),
    ],
)
def test_what_is_bad_is_a_share_of_the_rows_that_may_be_held(rows, set_aside, refused, bad):
    assert Judged(rows, set_aside, refused).is_bad(0.2) == bad


def test_the_words_name_the_share_the_top_reasons_and_what_does_not_count():
    rejects = pl.DataFrame(
        [("quarantined", "value_unreadable", "decided_on")] * 5
        + [("quarantined", "subject_unresolved", "")] * 3
        + [("quarantined", "value_missing", name) for name in ("item", "item", "document_number")]
        + [("refused", "person_row", "kind")],
        schema=["outcome", "reason", "detail"],
        orient="row",
    )
    assert judged_of(23, rejects).words == (
        "11 of 23 rows (50%): 5 value_unreadable (decided_on), 3 subject_unresolved, 2 value_missing (item) and 1 more "
        "reasons; 1 refused rows do not count"
    )


@pytest.mark.parametrize("asked", [20, -0.1, float("nan")])
def test_a_percentage_is_no_share_and_does_not_switch_the_breaker_off(asked):
    with pytest.raises(InputError, match="between 0 and 1"):
        share_of(asked, Settings())


@pytest.fixture
def department(broker, settings_for, tmp_path, monkeypatch) -> Department:
    made = register_department(broker, settings_for, tmp_path)
    monkeypatch.setenv("XINLIU_HOME", str(made.settings.home))
    monkeypatch.setenv("XINLIU_BOOTSTRAP_SERVERS", made.settings.kafka)
    monkeypatch.setenv("XINLIU_REFERENCE", str(made.settings.reference_dir))
    return made


def publish(department: Department, path: Path, *arguments: str) -> int:
    return answer(["publish", str(path), "--department", department.name, "--mapping", MAPPING, *arguments])


def mixed(path: Path, good: int, bad: int) -> Path:
    """Good rows, then rows whose date can not be read."""
    rows = [barred(number) for number in range(good)]
    return write_list(path, rows + [barred(good + number, date="gestern") for number in range(bad)])


def test_a_bad_file_is_not_sent_but_for_this_once(department, tmp_path, capsys):
    path = mixed(tmp_path / "a.csv", 100, 60)
    assert publish(department, path) == EXIT_INPUT
    said = capsys.readouterr().err
    assert "nothing was sent" in said
    assert "60 of 160 rows (38%): 60 value_unreadable (decided_on)" in said
    assert "--bad-share-max 1" in said
    assert department.events().height == 0
    with answering(department, "quarantined"):
        assert publish(department, path, "--bad-share-max", "1", "--wait") == EXIT_SOME_NOT_GOOD
    assert department.events().height == 160
    # Whoever allowed it knows about it: the next file is not stopped.
    assert publish(department, mixed(tmp_path / "b.csv", 5, 0)) == 0


def test_a_bad_full_list_is_not_sent_either(department, tmp_path, capsys):
    assert publish(department, mixed(tmp_path / "a.csv", 100, 60), "--snapshot", "--first") == EXIT_INPUT
    assert "60 of 160 rows (38%)" in capsys.readouterr().err
    assert department.events().height == 0


def test_a_file_that_turns_bad_is_stopped_on_the_way(department, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(publisher, "read", lambda path, layout: readers.read(path, layout, chunk_rows=200))
    path = mixed(tmp_path / "a.csv", 600, 400)
    assert publish(department, path) == EXIT_INPUT
    said = capsys.readouterr().err
    assert "stopped, since about 200 of 800 rows (25%)" in said
    assert "600 rows before that were sent as" in said
    assert department.events().height == 600
    assert publish(department, path, "--bad-share-max", "1") == 0
    assert department.events().height == 1_000


def test_rows_about_persons_stop_nothing(department, tmp_path):
    rows = [barred(number, code=PERSON) for number in range(100)]
    assert publish(department, write_list(tmp_path / "a.csv", [*rows, barred(1)])) == 0


@pytest.mark.parametrize("resume", ["publish", "resume"])
def test_a_department_is_stopped_by_its_last_file_until_somebody_says_so(department, tmp_path, capsys, resume):
    first, second = (mixed(tmp_path / f"{number}.csv", 60 + number, 0) for number in (0, 1))
    with answering(department, "quarantined"):
        assert publish(department, first, "--json") == 0  # its receipts come later
        submission = json.loads(capsys.readouterr().out)["submission"]
        deadline = time.monotonic() + 20
        while answer(["receipts", submission]) == EXIT_RETRY and time.monotonic() < deadline:
            capsys.readouterr()
    before = department.events().height
    assert publish(department, second) == EXIT_INPUT
    said = capsys.readouterr().err
    assert f"{department.name} is stopped because too many rows of its last file were set aside, 60 of 60" in said
    assert f"xinliu-adapter receipts {submission}" in said
    assert department.events().height == before
    assert publish(department, second) == EXIT_INPUT
    if resume == "resume":
        assert answer(["resume", "--department", department.name]) == 0
        assert publish(department, second) == 0
    else:
        assert publish(department, second, "--resume") == 0
    assert department.events().height == before + 61
    assert publish(department, first) == 0


def test_resume_lets_a_command_begin_and_not_its_later_files_pass(tmp_path, monkeypatch):
    monkeypatch.setenv("XINLIU_HOME", str(tmp_path / "home"))
    journal = Journal(tmp_path / "home")
    journal.stop("market", "the file before was bad")
    found: list[tuple[str | None, bool]] = []

    def turns_out_bad(settings: Settings, order: Order, *_: object) -> None:
        found.append((journal.stopped("market"), order.resume))
        journal.stop("market", "the first was bad")
        raise InputError("bad")

    monkeypatch.setattr(commands, "publish", turns_out_bad)
    files = [str(mixed(tmp_path / f"{number}.csv", 0, 1)) for number in (0, 1)]
    words = ["publish", *files, "--department", "market", "--mapping", MAPPING, "--resume"]
    assert answer(words) == EXIT_INPUT
    assert found == [(None, False), ("the first was bad", False)]


def test_the_receipts_of_the_last_file_are_looked_at_though_nobody_asked_for_them(department, tmp_path, capsys):
    path = mixed(tmp_path / "a.csv", 60, 0)
    with answering(department, "quarantined"):
        assert publish(department, path, "--json") == 0
        submission = json.loads(capsys.readouterr().out)["submission"]
        deadline = time.monotonic() + 20
        while publish(department, path, "--json") == 0:  # until the receipts are there
            assert time.monotonic() < deadline
    assert "is stopped" in capsys.readouterr().err
    assert Journal(department.settings.home).stopped(department.name) is not None
    assert submission
