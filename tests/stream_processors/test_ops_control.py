"""Commands count only from a desk that may give them, and follow to the same end however often they are read."""

from datetime import UTC, datetime

import numpy as np
import pytest

from schemas import codec
from schemas.avro import COMMAND
from schemas.errors import ConfigurationError, InputError, Retryable
from schemas.settings import Settings
from stream_processors import control_topic
from stream_processors.kafka import Batch
from stream_processors.ops.control import LANES, REFUSALS, load_operators, standing
from stream_processors.worker import LANES as HOSTED

OPERATORS = {"desk": ("pause", "resume", "redrive"), "night": ("pause",)}
READERS = ("notices", "webhook-customs")


def command(action: str = "pause", target: str = "cases", operator: str = "desk", because: str = "drill") -> dict:
    return {"operator": operator, "action": action, "target": target, "because": because}


def follow(*commands):
    return standing(enumerate(commands), OPERATORS, READERS)


def test_pause_and_resume_leave_what_was_ordered_last():
    assert set(follow(command(), command(target="notices")).paused) == {"cases", "notices"}
    assert set(follow(command(), command(target="notices"), command("resume")).paused) == {"notices"}
    assert follow(command(), command(), command("resume")).paused == {}


def test_who_paused_is_said():
    assert follow(command(operator="night"), command()).paused["cases"].operator == "night"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (command(operator=""), "operator_missing"),
        (command(operator="stranger"), "operator_unknown"),
        (command("resume", operator="night"), "operator_may_not"),
        (command("delete"), "action_unknown"),
        (command(target="webhook-nobody"), "target_unknown"),
        (command("redrive", target="register"), "nothing_to_redrive"),
        (command(because="free words"), "because_unknown"),
        (None, "unreadable"),
    ],
)
def test_what_does_not_count_changes_nothing_and_says_why(row, reason):
    found = follow(command(target="notices"), row)
    assert (set(found.paused), found.redrives, found.refused) == ({"notices"}, [], [(1, reason)])
    assert reason in REFUSALS


def test_redrives_keep_their_place_so_that_each_is_done_once():
    found = follow(command(), command("redrive", "notices"), command("redrive", "webhook-customs"))
    assert [(c.offset, c.target) for c in found.redrives] == [(1, "notices"), (2, "webhook-customs")]


def test_a_lane_follows_commands_without_knowing_the_readers():
    found = standing(enumerate([command(target="webhook-any"), command()]), OPERATORS, None)
    assert set(found.paused) == {"webhook-any", "cases"}


def test_every_hosted_lane_can_be_paused():
    assert set(HOSTED) == set(LANES)


def test_the_shipped_desk_is_a_desk_and_an_odd_action_is_a_fault_of_the_table(tmp_path):
    assert load_operators(None) == {"duty-desk": ("pause", "resume", "redrive")}
    (tmp_path / "operators.csv").write_text("id,name_zh,name_en,actions,fictional\nx,x,x,explode,true\n")
    with pytest.raises(ConfigurationError, match="x may explode"):
        load_operators(tmp_path)


def test_an_order_that_nobody_would_follow_is_not_sent(tmp_path):
    with pytest.raises(InputError, match="no such desk; nothing was sent"):
        control_topic.send_command(Settings(home=tmp_path), "stranger", "pause", "cases", "drill", READERS)


def test_what_is_no_command_is_passed_over(monkeypatch, tmp_path):
    row = command() | {"operator": "duty-desk", "command_id": "1", "at": datetime(2026, 5, 1, tzinfo=UTC)}
    batch = Batch(
        [b"odd", codec.encode_one(COMMAND, row)], [], [], np.array([0, 0]), np.array([4, 7]), np.array([0, 0])
    )
    monkeypatch.setattr(control_topic, "read_all", lambda *_: [batch])
    found = control_topic.standing_now(Settings(home=tmp_path))
    assert found.refused == [(4, "unreadable")] and found.paused["cases"].offset == 7


def test_a_command_of_a_newer_version_is_not_passed_over(monkeypatch, tmp_path):
    newer = b"\x00" + (1_000).to_bytes(4, "big")
    batch = Batch([newer + b"odd"], [], [], np.array([0]), np.array([9]), np.array([0]))
    monkeypatch.setattr(control_topic, "read_all", lambda *_: [batch])
    with pytest.raises(Retryable, match="offset 9 is of schema 1000"):
        control_topic.standing_now(Settings(home=tmp_path))


def test_the_commands_say_what_is_paused_and_who_is_still_to_be_told(monkeypatch, tmp_path, capsys):
    from stream_processors.__main__ import answer
    from stream_processors.ops.ledger import Entry, Ledger

    monkeypatch.setenv("XINLIU_HOME", str(tmp_path))
    assert answer(["deliveries"]) == 2
    assert "ops has not run here yet" in capsys.readouterr().err
    ledger = Ledger(tmp_path / "ops" / "ledger.sqlite")
    ledger.advance({("notices", 0): 2}, [Entry("notices", 0, n, f"c.{n}", b"{}") for n in range(2)], 0.0)
    ledger.failed(1, "outbox_not_writable", dead=True)
    ledger.close()
    assert answer(["deliveries"]) == 1
    assert "notices: 1 waiting, 1 dead letters" in capsys.readouterr().out
    paused = follow(command(), command("delete"))
    monkeypatch.setattr("stream_processors.control_topic.standing_now", lambda *_: paused)
    assert answer(["control", "list"]) == 1
    assert "cases is paused by desk (drill)" in capsys.readouterr().out
    assert answer(["control", "pause", "cases", "--operator", "stranger", "--because", "drill"]) == 2
    assert "no such desk" in capsys.readouterr().err
