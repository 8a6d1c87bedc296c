"""The operator's command: help says the next step, an error is one sentence and the right exit code."""

import json
import re
import subprocess
import sys

import pytest

from stream_processors import worker
from stream_processors.__main__ import answer
from stream_processors.status import Line
from stream_processors.topics import Change

PERSONAL_NUMBER = "370102199003070038"  # made up


@pytest.fixture
def away(monkeypatch, tmp_path):
    """Settings of a stack that is not there."""
    monkeypatch.setenv("XINLIU_HOME", str(tmp_path))
    monkeypatch.setenv("XINLIU_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    monkeypatch.setenv("XINLIU_CLICKHOUSE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("stream_processors.topics._ANSWER_SECONDS_MAX", 0.5)
    monkeypatch.setattr("stream_processors.status._BROKER_SECONDS_MAX", 0.5)


@pytest.mark.parametrize(
    ("command", "next_step"),
    [
        ([], "xinliu topics apply"),
        (["run"], "xinliu status"),
        (["topics", "plan"], "Next: apply"),
        (["topics", "apply"], "Next: xinliu run"),
        (["status"], "says what to do"),
        (["verify"], "a list where something differs"),
        (["statement"], "SUBJECT"),
    ],
)
def test_help_says_the_next_step(command, next_step, capsys):
    assert answer([*command, "--help"]) == 0
    assert next_step in " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().out).split())


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["topics", "plan"], 75),
        (["topics", "apply"], 75),
        (["verify"], 75),
        (["statement", "91370100XXXX00051M"], 75),
        (["status"], 1),
        (["statement", "91370100XXXX00051M", "--as-of", "yesterday"], 2),
        (["verify", "--department", "nobody"], 2),
        (["run", "nothing"], 2),
        (["verify", "--nonsense"], 2),
    ],
)
def test_what_can_not_be_done_is_one_sentence_and_its_exit_code(away, command, code, capsys):
    assert answer(command) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    if code != 1:
        assert captured.out == ""
        assert len(captured.err.strip().splitlines()) == 1


def test_a_wrong_setting_is_said_with_all_others(away, monkeypatch, capsys):
    monkeypatch.setenv("XINLIU_PARTITIONS", "none")
    monkeypatch.setenv("XINLIU_PORT_BASE", "1")
    assert answer(["status"]) == 2
    message = capsys.readouterr().err
    assert "XINLIU_PARTITIONS must be a whole number" in message
    assert "XINLIU_PORT_BASE must be between" in message


@pytest.mark.parametrize(
    "command",
    [
        ["statement", PERSONAL_NUMBER],
        ["statement", "91370100XXXX00051M", PERSONAL_NUMBER],
        [PERSONAL_NUMBER],
        ["statement", f"--{PERSONAL_NUMBER}"],
        ["verify", "--department", PERSONAL_NUMBER],
        ["verify", "--wait", PERSONAL_NUMBER + "x"],
    ],
)
def test_a_personal_number_is_never_repeated(away, command, capsys):
    assert answer(command) in (2, 75)
    captured = capsys.readouterr()
    assert PERSONAL_NUMBER not in captured.out + captured.err


@pytest.mark.parametrize("bare", [True, False])
def test_run_hosts_the_lane_or_runs_it_bare(bare, monkeypatch, tmp_path):
    ran: list[tuple[str, str]] = []
    monkeypatch.setenv("XINLIU_HOME", str(tmp_path))
    monkeypatch.setattr(worker, "run", lambda name, settings: ran.append(("hosted", name)))
    monkeypatch.setattr(worker, "run_bare", lambda name, settings: ran.append(("bare", name)))
    assert answer(["run", "intake", *(["--bare"] if bare else [])]) == 0
    assert ran == [("bare" if bare else "hosted", "intake")]


CHANGES = [
    Change("credit.history", "create", "is missing"),
    Change("credit.records", "by_hand", "has 2 partitions, not 4"),
]


def test_topics_are_told_as_json(monkeypatch, capsys):
    monkeypatch.setattr("stream_processors.topics.plan", lambda _: CHANGES)
    assert answer(["topics", "plan", "--json"]) == 1
    first = json.loads(capsys.readouterr().out)["changes"][0]
    assert first == {"topic": "credit.history", "action": "create", "sentence": "is missing"}


def test_apply_says_what_is_left_to_the_operator(monkeypatch, capsys):
    monkeypatch.setattr("stream_processors.topics.apply", lambda _: CHANGES)
    assert answer(["topics", "apply"]) == 1
    assert "left to you" in capsys.readouterr().out
    monkeypatch.setattr("stream_processors.topics.apply", lambda _: CHANGES[:1])
    assert answer(["topics", "apply"]) == 0
    monkeypatch.setattr("stream_processors.topics.apply", lambda _: [])
    assert answer(["topics", "apply"]) == 0
    assert "nothing to do: every topic stands as declared" in capsys.readouterr().out


def test_status_is_told_as_json(monkeypatch, capsys):
    lines = [Line("Kafka", "answers"), Line("lane intake", "9 events behind, has never run", False, "start it")]
    monkeypatch.setattr("stream_processors.status.status", lambda _: lines)
    assert answer(["status", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert told["lines"][1]["advice"] == "start it"


def test_help_does_not_wait_for_the_lanes_to_be_imported():
    assert imported_by("stream_processors.__main__") & {"faust", "polars"} == set()


def test_verify_uses_nothing_of_the_lanes_that_it_checks():
    lanes = {f"stream_processors.{name}" for name in ("intake", "register", "fold", "index", "restore", "lane")}
    assert imported_by("stream_processors.verify") & lanes == set()


def imported_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(found.stdout.split())
