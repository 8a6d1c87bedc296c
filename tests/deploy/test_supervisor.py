"""The supervisor's keeper of one part, with small commands instead of servers and a clock that the test holds."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local.parts import Part
from deploy.local.processes import process_identity, wait_until
from deploy.local.supervisor import Backoff, Keeper

MakeKeeper = Callable[..., Keeper]


@pytest.fixture
def keep(tmp_path) -> Iterator[MakeKeeper]:
    """Makes a keeper of a Python one-liner; its process ends with the test."""
    made: list[Keeper] = []

    def make(code: str, ready: Callable[[], bool] = lambda: True, once: bool = False) -> Keeper:
        keeper = Keeper(Part("part", [sys.executable, "-c", code], ready, once=once), tmp_path / "part.log")
        made.append(keeper)
        return keeper

    yield make
    for keeper in made:
        keeper.stop()


FOREVER = "import signal; signal.pause()"


def has_ended(keeper: Keeper) -> bool:
    identity = keeper.status.identity
    return identity is None or process_identity(int(identity.split("/")[0])) is None


def test_waits_double_up_to_a_limit_and_begin_anew_after_some_time_of_being_ready():
    backoff = Backoff()
    assert [backoff.after_life_of(1) for _ in range(8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert backoff.after_life_of(5) == 0.2
    assert backoff.after_life_of(4.9) == 0.4


def test_a_part_that_ends_is_started_again_after_its_wait(keep):
    keeper = keep(FOREVER)
    keeper.tick(0.0, wanted=True)
    keeper.tick(1.0, wanted=True)
    assert (keeper.status.state, keeper.status.restarts) == ("ready", 0)
    first = keeper.status.pid
    os.kill(first, signal.SIGKILL)
    assert wait_until(lambda: has_ended(keeper), 10)
    keeper.tick(2.0, wanted=True)
    assert (keeper.status.state, keeper.status.pid, keeper.status.last_exit_code) == ("restarting", None, -9)
    keeper.tick(2.1, wanted=True)
    assert keeper.status.state == "restarting", "0.2 s have not passed"
    keeper.tick(2.3, wanted=True)
    assert (keeper.status.state, keeper.status.restarts) == ("starting", 1)
    assert keeper.status.pid not in (None, first)


def test_a_part_is_ready_only_when_it_says_so(keep, tmp_path):
    sign = tmp_path / "ready"
    keeper = keep(FOREVER, ready=sign.exists)
    for now_seconds in (0.0, 1.0, 2.0):
        keeper.tick(now_seconds, wanted=True)
        assert not keeper.is_up
    sign.touch()
    keeper.tick(3.0, wanted=True)
    assert keeper.is_up


def test_ends_before_the_first_readiness_are_counted_apart(keep):
    keeper = keep("raise SystemExit(3)", ready=lambda: False)
    now_seconds = 0.0
    for ends in (1, 2, 3):
        keeper.tick(now_seconds, wanted=True)
        assert wait_until(lambda: has_ended(keeper), 10)
        keeper.tick(now_seconds + 1, wanted=True)
        assert (keeper.status.early_ends, keeper.status.last_exit_code) == (ends, 3)
        now_seconds += 100


def test_an_unwanted_part_is_stopped_and_comes_back_when_wanted(keep):
    keeper = keep(FOREVER)
    keeper.tick(0.0, wanted=True)
    keeper.tick(1.0, wanted=True)
    keeper.tick(2.0, wanted=False)
    assert (keeper.status.state, keeper.status.pid) == ("stopped", None)
    keeper.tick(3.0, wanted=False)
    assert keeper.status.state == "stopped"
    keeper.tick(4.0, wanted=True)
    assert (keeper.status.state, keeper.status.restarts) == ("starting", 0)


def test_a_part_that_does_not_heed_sigterm_is_ended_by_force(tmp_path):
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
    log_file = tmp_path / "part.log"
    part = Part("deaf", [sys.executable, "-c", code], lambda: "deaf" in log_file.read_text(), grace_seconds=0.2)
    keeper = Keeper(part, log_file)
    keeper.tick(0.0, wanted=True)
    assert wait_until(part.ready, 10)
    pid = keeper.status.pid
    keeper.stop()
    assert process_identity(pid) is None


@pytest.mark.parametrize(("exit_code", "state"), [(0, "done"), (1, "restarting")])
def test_a_part_that_runs_once_is_done_when_it_succeeded(keep, exit_code, state):
    keeper = keep(f"raise SystemExit({exit_code})", ready=lambda: False, once=True)
    keeper.tick(0.0, wanted=True)
    assert wait_until(lambda: has_ended(keeper), 10)
    keeper.tick(1.0, wanted=True)
    assert keeper.status.state == state
    assert keeper.is_up is (exit_code == 0)


def test_a_log_that_has_grown_is_moved_aside_at_the_next_start(keep, tmp_path):
    log_file = tmp_path / "part.log"
    with log_file.open("wb") as log:
        log.truncate((16 << 20) + 1)
    keeper = keep("print('anew', flush=True); " + FOREVER)
    keeper.tick(0.0, wanted=True)
    assert wait_until(lambda: log_file.read_text() == "anew\n", 10)
    assert Path(f"{log_file}.1").stat().st_size == (16 << 20) + 1
