"""cases and register are killed by force during lives of measures; then the topics alone must show every invariant."""

import threading
from collections import Counter
from datetime import datetime

import pytest
from measure_events import RULE, Lives, send
from stacks import Stack, stack_in, wait_for

from schemas.calendar import load_calendar
from schemas.settings import Settings
from schemas.topics import IDENTIFIED, RECORDS, events_topic
from stream_processors.checks.cases import case_checks, read_said, whole_check
from stream_processors.positions import CASES_GROUP, INTAKE_GROUP, REGISTER_GROUP, committed, lag
from stream_processors.register import LAW_TIME
from stream_processors.rules.packs import load_packs

CASES = 20_000
KILLS = ("cases", "register", "cases", "cases", "register")


def passed(settings: Settings) -> dict[int, int]:
    """How far cases has come."""
    return {p: offset for (topic, p), offset in committed(settings, CASES_GROUP).items() if topic == RECORDS}


def quiet(settings: Settings) -> bool:
    """Whether nothing is left to do for register and cases."""
    return (
        all(lag(settings, events_topic(d), committed(settings, INTAKE_GROUP)) == 0 for d in ("market", "procurement"))
        and lag(settings, IDENTIFIED, committed(settings, REGISTER_GROUP)) == 0
        and lag(settings, RECORDS, committed(settings, CASES_GROUP)) == 0
    )


def live_and_die(stack: Stack, count: int, kills: tuple[str, ...], rows_per_second: float) -> None:
    lives = Lives(count, datetime.now(LAW_TIME).date())
    sent = threading.Event()
    failed: list[BaseException] = []

    def send_all() -> None:
        try:
            for department, rows in lives.phases():
                send(stack.settings, department, rows, rows_per_second)
        except BaseException as error:  # told to the test, which would wait for ever
            failed.append(error)
        sent.set()

    thread = threading.Thread(target=send_all, daemon=True)
    thread.start()
    for part in kills:
        sent.wait(count / rows_per_second * 3 / (len(kills) + 1))
        stack.kill9(part)
    thread.join(600)
    assert not failed, failed
    for part in ("register", "cases"):
        stack.wait_ready(part)
    wait_for(lambda: quiet(stack.settings), "register and cases have done all", 600)

    for department, expected in lives.sent().items():
        received = stack.received(department)
        assert (received["new"] + received["superseding"], received["events"]) == (expected, expected), received
    checks = whole_check(stack.settings, load_packs(), load_calendar(), lambda: passed(stack.settings))
    assert [(c.name, c.differences, c.examples[:3]) for c in checks if not c.ok] == []
    assert all(c.compared for c in checks)
    said = read_said(stack.settings)
    last = Counter(
        f"{steps[-1]['state']} {steps[-1]['reason'] if steps[-1]['state'] == 'ended' else ''}".strip()
        for steps in said.steps.values()
        if steps[-1]["rule"] == RULE
    )
    del last["awaited"]  # acts about bodies that no measure can be on: each was refused, and nothing was drafted
    assert last == lives.expected(), (last, lives.expected())
    case_id, steps = next((c, s) for c, s in said.steps.items() if s[-1]["state"] == "in_force")
    said.steps[case_id] = [*steps, steps[-1]]
    assert not case_checks(said, {})[0].ok, "a transition that was told twice is seen"


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_20000_cases_while_cases_and_register_are_killed(tmp_path):
    with stack_in(tmp_path, ("broker", "intake", "register", "cases")) as stack:
        live_and_die(stack, CASES, KILLS, 1_000)
