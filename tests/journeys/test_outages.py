"""Servers that go away and disks that fill up: it is said in one sentence, and nothing is lost.

`make nightly` has the long outages (30 s and 60 s), `make test` the same with 5 s.
"""

import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from stacks import Stack, wait_for

from deploy.local import control
from producers.simulate.events import expected_outcomes
from producers.simulate.files import write_files
from producers.simulate.send import department_stream
from schemas import reference
from schemas.errors import Retryable
from schemas.topics import events_topic
from stream_processors.kafka import end_offsets

pytestmark = pytest.mark.nightly  # minutes of real outages: not in every run
RATE = 500


def lengths(quick: int, nightly: int) -> list[object]:
    return [
        pytest.param(quick, id=f"{quick} s"),
        pytest.param(nightly, id=f"{nightly} s", marks=[pytest.mark.nightly, pytest.mark.timeout(900)]),
    ]


def keep_away(stack: Stack, part: str, seconds: float) -> None:
    """Kill a part by force and start it again after so long; the length of the outage is what is tested."""
    stack.kill9(part)
    control.stop_part(stack.settings, part)
    time.sleep(seconds)
    control.start_part(stack.settings, part)


def arrived(stack: Stack, department: str) -> int:
    try:
        return sum(end_offsets(stack.settings, events_topic(department)).values())
    except Retryable:
        return -1


def survives(stack: Stack, department: str, seed: int, part: str, seconds: int) -> None:
    """An outage in the midst of events; afterwards each of them has the outcome that it must have."""
    before = stack.received(department)
    count = RATE * (seconds + 4)
    there = arrived(stack, department)
    with stack.simulating(department, seed, count, RATE):
        wait_for(lambda: arrived(stack, department) > there + RATE, "events are on their way")
        keep_away(stack, part, seconds)
    report = stack.verify(wait_seconds=180)
    stream = department_stream(stack.settings, department, seed, datetime.now(UTC))
    due = Counter(expected_outcomes(stream, count), events=count)
    assert stack.outcomes(report, department) - before == +due


@pytest.mark.parametrize("seconds", lengths(5, 30))
def test_the_broker_is_gone_while_the_lanes_run(running_stack, seconds):
    survives(running_stack, "procurement", 40 + seconds, "broker", seconds)
    for lane in ("intake", "register", "store"):
        assert "Traceback" not in running_stack.log(lane), running_stack.tail(lane)


@pytest.mark.parametrize("seconds", lengths(5, 60))
def test_clickhouse_is_away(running_stack, seconds):
    survives(running_stack, "procurement", 140 + seconds, "clickhouse", seconds)
    log = running_stack.log("store")
    assert "Traceback" not in log
    assert "store_away" in log
    assert "store_back" in log


@pytest.fixture(scope="module")
def penalties(tmp_path_factory) -> Path:
    """A department's file of some thousand rows."""
    folder = tmp_path_factory.mktemp("penalties")
    written = write_files(folder, 5, 8_000, date(2026, 11, 20), reference.load(None))
    return folder / next(w.file for w in written if w.department == "environment")


def one_sentence(done: subprocess.CompletedProcess[str], exit_code: int) -> str:
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_publishing_while_the_broker_is_down_says_so_and_the_same_command_sends_all_later(running_stack, penalties):
    line = ["publish", str(penalties), "--department", "reform", "--mapping", "penalty-2018", "--json"]
    control.stop_part(running_stack.settings, "broker")
    try:
        said = one_sentence(running_stack.adapter(*line), 75)
        assert "run the same command again" in said
        for command in ("status", "verify"):
            done = running_stack.xinliu(command)
            assert done.returncode != 0
            assert "Traceback" not in done.stderr
            assert "%3|" not in done.stderr
    finally:
        control.start_part(running_stack.settings, "broker")
    answer = running_stack.publish(penalties, department="reform", mapping="penalty-2018")
    assert answer["rows"] == sum(answer["outcomes"].values()) > 1_000


def test_lanes_that_start_before_the_broker_wait_for_it_or_come_back(running_stack):
    settings = running_stack.settings
    control.stop_part(settings, "broker")
    starts = {lane: running_stack.part(lane).pid for lane in ("intake", "register", "store")}
    for lane in starts:
        control.stop_part(settings, lane)
        (control.StackPaths(settings.home).stopped / lane).unlink()  # start it, and do not wait until it is ready
    wait_for(lambda: all(running_stack.part(lane).state == "starting" for lane in starts), "all try to start")
    control.start_part(settings, "broker")
    for lane, pid in starts.items():
        assert running_stack.wait_ready(lane).pid != pid
        assert "Traceback" not in running_stack.log(lane), running_stack.tail(lane)


def test_the_broker_dies_in_the_middle_of_publishing_and_no_row_is_lost(running_stack, tmp_path):
    written = write_files(tmp_path, 6, 30_000, date(2026, 11, 20), reference.load(None))
    file = tmp_path / next(w.file for w in written if w.department == "tax")
    there = arrived(running_stack, "tax")
    line = ["publish", str(file), "--department", "tax", "--mapping", "tax-rating", "--timeout", "2", "--json"]
    publishing = subprocess.Popen(
        [*running_stack.python("producers"), *line],
        env=running_stack.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: arrived(running_stack, "tax") > there, "the first rows are there")
    running_stack.kill9("broker")
    out, err = publishing.communicate(timeout=120)
    if publishing.returncode != 0:  # else it was through before the broker died
        said = one_sentence(subprocess.CompletedProcess(line, publishing.returncode, out, err), 75)
        assert "run the same command again" in said
    running_stack.wait_ready("broker")
    answer = running_stack.publish(file, department="tax", mapping="tax-rating")
    assert answer["rows"] == sum(answer["outcomes"].values())


@pytest.fixture
def small_state(running_stack) -> Iterator[Path]:
    """The lanes' state folder as a disk of its own that is full but for a few pages."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small disk needs root")
    folder = running_stack.settings.home.resolve() / "state"
    lanes = ("register", "intake")
    for lane in lanes:
        control.stop_part(running_stack.settings, lane)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "xinliu-test", str(folder)], capture_output=True
    )
    try:
        if mounted.returncode != 0:
            pytest.skip(f"mounting a small disk is not allowed here: {mounted.stderr.decode().strip()}")
        (folder / "ballast").write_bytes(b"\0" * (56 << 10))
        for lane in lanes:
            control.start_part(running_stack.settings, lane)
        yield folder
    finally:
        for lane in lanes:
            control.stop_part(running_stack.settings, lane)
        if mounted.returncode == 0:
            subprocess.run(["umount", str(folder)], check=True)
        for lane in lanes:
            control.start_part(running_stack.settings, lane)


def test_a_full_state_folder_is_said_and_register_goes_on(running_stack, small_state):
    before = running_stack.received("court")
    with running_stack.simulating("court", 51, 3_000, 3_000):
        pass
    assert (running_stack.outcomes(running_stack.verify(), "court") - before)["events"] == 3_000
    said = [line for line in running_stack.log("register").splitlines() if "checkpoint given up" in line]
    assert said
    assert all("No space left on device" in line and "make room in" in line for line in said)
    assert "Traceback" not in running_stack.log("register")
    assert running_stack.part("register").state == "ready"


def test_after_a_full_state_folder_the_next_start_knows_the_same(running_stack):
    running_stack.verify()
