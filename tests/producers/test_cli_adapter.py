"""`xinliu-adapter` as people and machines use it."""

import json
import subprocess
import sys

import pytest
from publishing import (
    PERSON,
    Department,
    answering,
    register_department,
    rows_and_parts,
    write_registrations,
)

from producers.__main__ import answer
from schemas.errors import EXIT_INPUT, EXIT_RETRY, EXIT_SOME_NOT_GOOD


@pytest.fixture
def department(broker, settings_for, tmp_path, monkeypatch) -> Department:
    """Registered, and the environment is that of its clerk."""
    made = register_department(broker, settings_for, tmp_path)
    monkeypatch.setenv("XINLIU_HOME", str(made.settings.home))
    monkeypatch.setenv("XINLIU_BOOTSTRAP_SERVERS", made.settings.kafka)
    monkeypatch.setenv("XINLIU_REFERENCE", str(made.settings.reference_dir))
    monkeypatch.setenv("COLUMNS", "200")
    return made


def publish(department: Department, *arguments: object) -> int:
    options = ["--department", department.name, "--mapping", "registration-cn"]
    return answer(["publish", *map(str, arguments), *options])


# -- check --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("persons", "exit_code"), [(0, 0), (2, EXIT_SOME_NOT_GOOD)])
def test_check_says_by_its_exit_code_whether_all_rows_are_good(tmp_path, capsys, persons, exit_code):
    path = write_registrations(tmp_path / "a.csv", 5, persons=persons)
    assert answer(["check", str(path), "--mapping", "registration-cn"]) == exit_code
    said = capsys.readouterr().out
    assert "would be recorded" in said
    assert ("personal_number" in said) == bool(persons)
    assert PERSON not in said


def test_check_for_machines_adds_up(tmp_path, capsys):
    path = write_registrations(tmp_path / "a.csv", 5, persons=2)
    answer(["check", str(path), "--mapping", "registration-cn", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (said["rows"], said["outcomes"]) == (7, {"good": 5, "refused": 2})
    assert [reject["row"] for reject in said["rejects"]] == [7, 8]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "{missing}", "--mapping", "registration-cn"], "missing.csv"),
        (["check", "{good}", "--mapping", "registration"], "did you mean registration-cn? xinliu-adapter mappings"),
        (["publish", "{good}", "--mapping", "registration-cn", "--department", "nobody"], "registered are"),
        (["receipts", "market-20260101-000000-abcd"], "was not published from"),
        (["simulate", "events", "--department", "market", "--count", "1"], "--rate EVENTS_PER_SECOND or --full-speed"),
        (["simulate", "events", "--department", "market", "--full-speed"], "--count N or --seconds S"),
        (["simulate", "events", "--department", "market", "--rate", "0", "--count", "1"], "more than 0"),
        (["simulate", "files", "--out", "{good}"], "choose another folder"),
        (["simulate", "files", "--out", "{missing}", "--rows", "0"], "at least 1"),
    ],
)
def test_an_error_is_one_sentence_and_no_stack_trace(tmp_path, capsys, monkeypatch, arguments, words):
    monkeypatch.setenv("XINLIU_HOME", str(tmp_path / "home"))
    good = write_registrations(tmp_path / "a.csv", 1)
    filled = [argument.format(good=good, missing=tmp_path / "missing.csv") for argument in arguments]
    assert answer(filled) == EXIT_INPUT
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1


def test_a_wrong_word_shows_the_usage(capsys):
    assert answer(["publihs"]) == EXIT_INPUT
    assert "publish" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["check", "publish", "receipts", "mappings", "simulate files", "simulate events"])
def test_the_help_of_each_command_says_the_next_step(capsys, command):
    answer([*command.split(), "--help"])
    said = capsys.readouterr().out
    assert "Next:" in said or "ask again later" in said


def test_mappings_are_listed_for_people_and_machines(capsys):
    assert answer(["mappings"]) == 0
    assert "penalty-2018" in capsys.readouterr().out
    assert answer(["mappings", "--json"]) == 0
    assert {"penalty-2018", "mx-sat-69b"} <= {entry["name"] for entry in json.loads(capsys.readouterr().out)}


# -- publish and receipts -----------------------------------------------------------------------------------------


def test_publish_and_wait_gives_one_object_whose_outcomes_add_up(department, tmp_path, capsys):
    path = write_registrations(tmp_path / "a.csv", 50, persons=1)
    with answering(department):
        assert publish(department, path, "--wait", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert sorted(said) == ["outcomes", "reasons", "rejects", "rows", "submission"]
    assert (said["rows"], said["outcomes"], said["reasons"]) == (51, {"new": 50, "refused": 1}, {"personal_number": 1})
    assert (said["rejects"][0]["row"], said["rejects"][0]["reason"]) == (52, "personal_number")
    assert PERSON not in json.dumps(said)


def test_publish_and_wait_tells_people_why_and_which_rows(department, tmp_path, capsys):
    path = write_registrations(tmp_path / "a.csv", 12)
    with answering(department, "quarantined"):
        assert publish(department, path, "--wait") == EXIT_SOME_NOT_GOOD
    said = capsys.readouterr().out
    assert "the required field item is empty" in said
    assert "2, 3, 4, 5, 6, 7, 8, 9 and 4 more" in said


def test_receipts_that_do_not_come_are_said_with_how_to_ask_later(department, tmp_path, capsys):
    path = write_registrations(tmp_path / "a.csv", 10)
    with answering(department, leave_out=3):
        assert publish(department, path, "--wait", "--json", "--timeout", "3") == EXIT_RETRY
    captured = capsys.readouterr()
    said = json.loads(captured.out)
    assert (said["outcomes"], said["waiting"]) == ({"new": 7}, 3)
    assert f"3 of the 10 rows of {said['submission']} still wait" in captured.err
    assert f"xinliu-adapter receipts {said['submission']}" in captured.err


def test_receipts_can_be_asked_for_later(department, tmp_path, capsys):
    path = write_registrations(tmp_path / "a.csv", 10)
    with answering(department):
        assert publish(department, path, "--json") == 0
        sent = json.loads(capsys.readouterr().out)
        assert (sent["rows"], sent["waiting"]) == (10, 10)
        assert answer(["receipts", sent["submission"], "--wait", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outcomes"] == {"new": 10}
    assert answer(["receipts", sent["submission"]]) == 0
    assert "became a record" in capsys.readouterr().out


def test_receipts_asked_for_too_early_say_that_rows_wait(department, tmp_path, capsys):
    publish(department, write_registrations(tmp_path / "a.csv", 4), "--json")
    submission = json.loads(capsys.readouterr().out)["submission"]
    assert answer(["receipts", submission, "--json"]) == EXIT_RETRY
    assert json.loads(capsys.readouterr().out)["waiting"] == 4


def test_several_files_are_several_submissions_with_a_sum(department, tmp_path, capsys):
    paths = [write_registrations(tmp_path / f"{n}.csv", 10 + n, first=100 * n, persons=n) for n in (0, 1)]
    with answering(department):
        assert publish(department, *paths, "--wait", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [one["rows"] for one in said["submissions"]] == [10, 12]
    assert (said["rows"], said["outcomes"], said["reasons"]) == (22, {"new": 21, "refused": 1}, {"personal_number": 1})


def test_one_bad_file_among_several_does_not_keep_back_the_others(department, tmp_path, capsys):
    bad = tmp_path / "bad.xlsx"
    bad.write_bytes(b"%PDF-1.4")
    good = write_registrations(tmp_path / "a.csv", 3)
    with answering(department):
        assert publish(department, bad, good, "--wait", "--json") == EXIT_INPUT
    captured = capsys.readouterr()
    assert json.loads(captured.out)["outcomes"] == {"new": 3}
    assert "bad.xlsx" in captured.err


def test_an_interrupted_command_of_several_files_goes_on_with_the_second(department, tmp_path, capsys, monkeypatch):
    from producers import publisher, readers
    from schemas.errors import Retryable

    paths = [write_registrations(tmp_path / f"{n}.csv", 10, first=100 * n) for n in (0, 1)]

    def broken(path, layout):
        if path.name == "1.csv":
            raise Retryable("the broker is away")
        return readers.read(path, layout)

    with monkeypatch.context() as patched:
        patched.setattr(publisher, "read", broken)
        assert publish(department, *paths) == EXIT_RETRY
    assert publish(department, *paths, "--json") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 20
    events = department.events()
    assert events["submission"].n_unique() == 2
    assert set(rows_and_parts(events).values()) == {2}  # the rows of both files have the same numbers
    assert publish(department, *paths) == 0  # the command had ended, so this is a new one
    assert department.events()["submission"].n_unique() == 4


def test_the_same_file_twice_in_one_command_is_two_submissions(department, tmp_path, capsys):
    path = write_registrations(tmp_path / "a.csv", 5)
    assert publish(department, path, path, "--json") == 0
    submissions = {one["submission"] for one in json.loads(capsys.readouterr().out)["submissions"]}
    assert len(submissions) == 2
    assert department.events().height == 10


def test_the_module_runs_as_a_command(tmp_path):
    path = write_registrations(tmp_path / "a.csv", 1)
    command = [sys.executable, "-m", "producers", "check", str(path), "--mapping", "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (EXIT_INPUT, "")
    assert "Traceback" not in done.stderr


# -- simulate -----------------------------------------------------------------------------------------------------


def test_simulated_files_say_how_to_publish_them(tmp_path, capsys):
    assert answer(["simulate", "files", "--out", str(tmp_path), "--rows", "20", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    manifest = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    assert said["files"] == manifest["files"]
    assert all((tmp_path / entry["file"]).exists() for entry in manifest["files"])


def test_simulated_events_are_counted_and_acknowledged(department, capsys):
    options = ["--department", department.name, "--count", "2000", "--json"]
    assert answer(["simulate", "events", *options, "--full-speed"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["events"] == 2_000
    events = department.events()
    assert (events.height, set(events["submission"])) == (2_000, {said["submission"]})


def test_simulated_events_keep_to_their_rate_and_end_in_time(department, capsys):
    options = ["--department", department.name, "--rate", "300", "--seconds", "1.5", "--json"]
    assert answer(["simulate", "events", *options]) == 0
    said = json.loads(capsys.readouterr().out)
    assert 1 <= said["events"] <= 450
    assert department.events().height == said["events"]
