"""The invariants of the measures hold over any interleaving; and each is seen to fail where somebody breaks it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cases_machine import Life
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from stream_processors.cases import book, judge, transitions
from stream_processors.cases.facts import Evidence, Facts
from stream_processors.rules.operators import OPERATORS

STEPS = 30
QUICK = settings(max_examples=200, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck))


def test_no_measure_binds_without_its_conditions_or_outlives_them():
    run_state_machine_as_test(Life, settings=QUICK)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_no_measure_binds_without_its_conditions_or_outlives_them_10_000_lives():
    run_state_machine_as_test(Life, settings=settings(QUICK, max_examples=10_000))


def test_a_decision_is_not_revived_by_evidence_that_came_after_it():
    """Found among the 10,000: evidence was corrected away, and a newer piece of the same number took its place."""
    life = Life()
    life.something_is_known(name="T/I02")
    seen = {"alias": 0, "document": "N1", "months": 1, "rank": 3, "subject": "org:A"}
    life.evidence(names=["T/I02", "T/M03"], number=0, off=0, **seen)
    life.procedure(flaw="none", months=1, pick=0)
    life.evidence(names=[], number=0, off=-1, **seen)
    life.evidence(names=["T/M03"], number=1, off=0, **seen)
    life.teardown()


def _overlooks(*reasons: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Decisions are taken in spite of these faults."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        right = judge._Restriction._decision_fault

        def wrong(self: Any, *given: Any) -> str:
            found = right(self, *given)
            return "" if found in reasons else found

        patch.setattr(judge._Restriction, "_decision_fault", wrong)

    return plant


def _set(place: Any, name: str, value: Any) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(place, name, value)


_add_months = judge.add_months
_first_end = judge._first_end
_learn = Facts.learn
_after = Evidence.after

BUGS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "evidence that ended still carries": _set(judge, "_stands", lambda *_: True),
    "a correction is not an end": _set(
        Evidence, "after", lambda self, known: replace(_after(self, known), rules=known.rules, document=known.document)
    ),
    "no legal maximum": _set(judge, "add_months", lambda day, months: _add_months(day, months + 60)),
    "the subject is gone": _set(Facts, "ceased_on", property(lambda self: None)),
    "anybody can be restricted": _set(Facts, "restrictable", property(lambda self: frozenset(OPERATORS))),
    "no basis": _overlooks("basis_missing"),
    "no notice": _overlooks("not_noticed", "notice_after_decision"),
    "within the window": _overlooks("window_open"),
    "objection unheard": _overlooks("objection_unanswered"),
    "evidence had ended": _overlooks("before_evidence"),
    "anybody decides": _set(judge, "_authorised", lambda *_: True),
    "withdrawals are nothing": _set(
        judge, "_first_end", lambda one, other: one if other.reason == "withdrawn" else _first_end(one, other)
    ),
    "annulled decisions stand": lambda patch: patch.setattr(
        judge._Restriction,
        "_decided",
        _with_decision_made_valid(judge._Restriction._decided),
    ),
    "suspensions are nothing": _set(judge._Restriction, "_suspension", lambda self: None),
    "the last to arrive is the newest": _set(
        Facts,
        "learn",
        lambda self, item: _learn(
            replace(self, evidence={i: replace(e, revision=0) for i, e in self.evidence.items()}), item
        ),
    ),
    "deadlines are forgotten": _set(book.Book, "pass_time", lambda *_: 0),
    "a new end is not told": _set(transitions, "terms_of", lambda case: ""),
    "a restart forgets what was told": _set(
        book, "from_json", lambda key, text: replace(_from_json(key, text), told={})
    ),
    "a restart tells with a wrong number": _set(
        book,
        "from_json",
        lambda key, text: replace(
            (facts := _from_json(key, text)),
            told={case: replace(told, revision=0, steps=()) for case, told in facts.told.items()},
        ),
    ),
    "an aborted batch stays": _set(book.Book, "aborted", lambda self: None),
    "an end is told and not listed": lambda patch: patch.setattr(
        book,
        "after_telling",
        lambda before, case, count: replace(_after_telling(before, case, count), listed=case.state == "in_force"),
    ),
}
_from_json = book.from_json
_after_telling = book.after_telling


def _with_decision_made_valid(right: Any) -> Any:
    return lambda self, decision, *rest: right(self, replace(decision, status="valid"), *rest)


# The shortest life in which each of them is seen, as Hypothesis found and shrank it, and what it breaks.
Step = tuple[str, dict[str, Any]]
PIECE = {"alias": 0, "document": "N1", "months": 1, "number": 0, "off": 0, "rank": 3}


def _proceeds(flaw: str) -> Step:
    return "procedure_from_the_start", {"flaw": flaw, "months": 1, "name": "T/M02"}


SEEN: dict[str, tuple[str, list[Step]]] = {
    "evidence that ended still carries": (
        "a measure outlives its evidence",
        [("evidence_is_closed", {"number": 0, "off": 0, "status": "annulled", "subject": "org:A"})],
    ),
    "a correction is not an end": (
        "a measure outlives its evidence",
        [("evidence", PIECE | {"names": [], "subject": "org:A"})],
    ),
    "no legal maximum": ("a measure is longer than the law allows", [_proceeds("long")]),
    "the subject is gone": (
        "a measure outlives its subject",
        [("registration", {"gone": True, "off": 0, "subject": "org:A"})],
    ),
    "anybody can be restricted": (
        "a measure on another body",
        [("evidence", PIECE | {"names": ["T/I02"], "subject": "org:C"})],
    ),
    "no basis": ("a measure without a basis", [_proceeds("basis")]),
    "no notice": ("a measure without a notice", [_proceeds("channel")]),
    "within the window": ("decided within the window for objections", [_proceeds("window")]),
    "objection unheard": ("decided without an answer to an objection", [_proceeds("objected")]),
    "evidence had ended": ("decided before there was evidence", [_proceeds("early")]),
    "anybody decides": ("decided by somebody who may not", [_proceeds("department")]),
    "withdrawals are nothing": ("a measure outlives its withdrawal", [_proceeds("withdrawn")]),
    "annulled decisions stand": (
        "a measure outlives its decision",
        [_proceeds("none"), ("act_is_closed", {"off": 0, "pick": 0, "status": "annulled"})],
    ),
    "suspensions are nothing": ("a measure binds while it is suspended", [_proceeds("suspended")]),
    "the last to arrive is the newest": (
        "another order of arrival ends in another state",
        [("procedure", {"flaw": "none", "months": 1, "pick": 0})],
    ),
    "deadlines are forgotten": ("what was told is what is so", [("time_passes", {"days": 31})]),
    "a new end is not told": (
        "a measure without a decision",
        [_proceeds("none"), ("procedure", {"flaw": "answered", "months": 1, "pick": 0})],
    ),
    "a restart forgets what was told": ("the transitions of a case are counted without a gap", [("restart", {})]),
    "a restart tells with a wrong number": ("the transitions of a case are counted without a gap", [("restart", {})]),
    "an aborted batch stays": (
        "the dates that were told are the dates",
        [("batch_is_aborted", {"off": 0, "subject": "org:A"})],
    ),
    "an end is told and not listed": (
        "what is listed is what was told",
        [("registration", {"gone": True, "off": 0, "subject": "org:A"})],
    ),
}


def _live(steps: list[Step]) -> None:
    life = Life()
    life.something_is_known(name="T/I02")
    for name, given in steps:
        getattr(life, name)(**given)
    life.teardown()


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_seen(bug: str, monkeypatch: pytest.MonkeyPatch):
    words, steps = SEEN[bug]
    _live(steps)  # which is without fault as long as the bug is not there
    BUGS[bug](monkeypatch)
    with pytest.raises(AssertionError, match=words):
        _live(steps)


@pytest.mark.nightly
@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_by_search(bug: str, monkeypatch: pytest.MonkeyPatch):
    BUGS[bug](monkeypatch)
    search = settings(QUICK, max_examples=5_000, database=None, phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Life, settings=search)
