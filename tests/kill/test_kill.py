"""Parts are killed by force under load, by a seeded plan; then `verify` must find nothing lost and nothing doubled.

The figures that are printed (kill to next commit) are for people: no test depends on a time.
"""

import shutil
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from statistics import median

import pytest
from commits import commits
from stacks import Stack, stack_in, wait_for

from deploy.local import control
from producers.simulate.events import expected_outcomes
from producers.simulate.send import department_stream
from schemas.errors import Retryable
from schemas.settings import Settings
from schemas.topics import events_topic
from stream_processors.clickhouse import connect
from stream_processors.kafka import end_offsets
from stream_processors.positions import INTAKE_GROUP, REGISTER_GROUP
from stream_processors.tables.identity import consumer_group

SEEDS = {"market": 11, "environment": 12}
LANES = ("intake", "register", "store")


@dataclass(frozen=True)
class Size:
    """How many events, how fast, and how often each part is killed meanwhile."""

    events: int
    events_per_second: float
    lane_kills: int
    broker_kills: int


QUICK = Size(20_000, 2_000, lane_kills=1, broker_kills=0)
NIGHTLY = Size(300_000, 1_250, lane_kills=10, broker_kills=2)


@dataclass(frozen=True)
class Kill:
    """Kill this part once so many events are on the departments' topics."""

    part: str
    at_events: int


def plan(size: Size, seed: int) -> list[Kill]:
    """Which part dies when: each as often as the size says, in random order, spread over the whole run."""
    random = Random(seed)
    parts = [*LANES * size.lane_kills, *["broker"] * size.broker_kills]
    random.shuffle(parts)
    step = size.events * 0.95 / len(parts)
    return [Kill(part, int(step * (number + random.random()))) for number, part in enumerate(parts)]


def arrived(settings: Settings) -> int:
    """Events on the topics of the departments that send; -1 while the broker does not answer."""
    try:
        return sum(sum(end_offsets(settings, events_topic(department)).values()) for department in SEEDS)
    except Retryable:
        return -1


def kill_under_load(stack: Stack, size: Size, seed: int) -> list[tuple[str, int]]:
    """Send all events while the plan is carried out; returns what was killed, and when in milliseconds since 1970."""
    killed: list[tuple[str, int]] = []
    with ExitStack() as senders:
        for department, of_stream in SEEDS.items():
            count, rate = size.events // len(SEEDS), size.events_per_second / len(SEEDS)
            senders.enter_context(stack.simulating(department, of_stream, count, rate))
        for kill in plan(size, seed):
            wait_for(lambda due=kill: arrived(stack.settings) >= due.at_events, f"{kill.at_events} events", 600)
            killed.append((kill.part, stack.kill9(kill.part)))
    return killed


def expected(settings: Settings, department: str, count: int) -> Counter[str]:
    """What must become of the first events of the department's stream, sent once."""
    stream = department_stream(settings, department, SEEDS[department], datetime.now(UTC))
    return +Counter(expected_outcomes(stream, count), events=count)


def print_times(settings: Settings, killed: list[tuple[str, int]]) -> None:
    """Kill to next commit: of a lane its own, of the broker each lane's."""
    store = connect(settings)
    groups = {"intake": INTAKE_GROUP, "register": REGISTER_GROUP, "store": consumer_group(store, settings)}
    store.close()
    by_group = commits(settings)
    print(f"\n{'killed':<10}{'commits of':<12}{'kills':>6}{'again':>6}{'median s':>10}{'max s':>8}   all")
    for part in sorted({part for part, _ in killed}):
        for lane in LANES if part == "broker" else [part]:
            moments = [moment for name, moment in killed if name == part]
            seconds = [by_group[groups[lane]].next_after(moment) for moment in moments]
            counted = sorted(
                s for m, s in zip(moments, seconds, strict=True) if s and not hit_again(killed, lane, m, s)
            )
            each = " ".join(f"{value:.1f}" for value in counted)
            figures = f"{median(counted):>10.2f}{counted[-1]:>8.2f}" if counted else f"{'':>18}"
            print(f"{part:<10}{lane:<12}{len(moments):>6}{len(moments) - len(counted):>6}{figures}   {each}")


def hit_again(killed: list[tuple[str, int]], lane: str, moment: int, seconds: float) -> bool:
    """Whether the lane or the broker was killed once more before the commit: the time then tells of several kills."""
    return any(name in (lane, "broker") and moment < later < moment + 1000 * seconds for name, later in killed)


def forget_state(stack: Stack) -> None:
    """Delete register's folder while it is down, and start it again."""
    control.stop_part(stack.settings, "register")
    shutil.rmtree(stack.settings.home / "state" / f"register-{stack.settings.slot}")
    control.start_part(stack.settings, "register")


def survives(stack: Stack, size: Size, seed: int) -> None:
    killed = kill_under_load(stack, size, seed)
    report = stack.verify(wait_seconds=300)
    print_times(stack.settings, killed)
    for department in SEEDS:
        count = size.events // len(SEEDS)
        assert stack.outcomes(report, department) == expected(stack.settings, department, count)

    forget_state(stack)
    department = next(iter(SEEDS))
    again = 2_000
    with stack.simulating(department, SEEDS[department], again, 10_000):
        pass
    after = stack.verify(wait_seconds=300)
    assert after["current"] == report["current"], "without its local state register must know the same"
    gained = stack.outcomes(after, department) - stack.outcomes(report, department)
    bad = expected(stack.settings, department, again)["quarantined"]
    assert gained == Counter(events=again, repeat=again - bad, quarantined=bad)


def test_the_plan_kills_each_part_as_often_as_it_says():
    kills = plan(NIGHTLY, 1)
    assert sorted(kill.part for kill in kills) == sorted(["broker"] * 2 + list(LANES) * 10)
    assert [kill.at_events for kill in kills] == sorted(kill.at_events for kill in kills)
    assert 0 <= kills[0].at_events <= kills[-1].at_events < NIGHTLY.events
    assert kills == plan(NIGHTLY, 1) != plan(NIGHTLY, 2)


@pytest.mark.nightly
def test_each_lane_killed_once_nothing_is_lost_or_doubled(running_stack):
    survives(running_stack, QUICK, seed=1)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_each_lane_killed_ten_times_and_the_broker_twice(tmp_path):
    with stack_in(tmp_path) as stack:
        survives(stack, NIGHTLY, seed=2)
