"""The checks of the measures see what is wrong: each of them is given one fault."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pytest

from schemas import codec
from schemas.avro import MEASURE
from schemas.calendar import load_calendar
from schemas.settings import Settings
from schemas.topics import MEASURES
from stream_processors.cases.book import Book, News, Now
from stream_processors.cases.facts import Act, Evidence, Facts
from stream_processors.cases.inputs import Input
from stream_processors.cases.judge import Case, case_id_of, judge
from stream_processors.checks import cases as checks_cases
from stream_processors.checks.cases import Said, case_checks, faults_of, read_said
from stream_processors.kafka import Batch
from stream_processors.rules.packs import load_packs

NAME = ("CN-36/M02", "N1")
TODAY = date(2026, 11, 2)
CASE_ID = case_id_of("org:A", *NAME)
FACTS = (
    Evidence(
        "e", 1, 3, "valid", "N1", ("CN-36/M02",), "1", "", "market", date(2026, 9, 1), None, TODAY, "v", "CN-USCC:91A"
    ),
    *(
        Act(kind, 1, 3, "valid", kind, NAME, "A1", day, None, ends_on, ("basis",), "post", "2", "", "procurement",
            TODAY, "w", "CN-USCC:91A")
        for kind, day, ends_on in (
            ("notice", date(2026, 9, 1), None),
            ("decision", date(2026, 10, 20), date(2027, 3, 1)),
        )
    ),
)  # fmt: skip


def lived() -> tuple[Said, dict[str, Case]]:
    """What was said of one measure that is in force, and the case as it is judged again."""
    book, news, facts = Book(load_packs().rules, load_calendar()), News(), Facts("org:A")
    book.open([0])
    for fact in FACTS:
        book.learn(Input(0, "org:A", fact), Now(TODAY, datetime(2026, 11, 2)), news)
        facts = facts.learn(fact)
    said = Said({CASE_ID: [row for _, row in news.transitions]}, {c: row for c, (_, row) in news.listed.items()})
    said.messages = len(news.transitions) + len(news.listed)
    return said, {CASE_ID: judge(facts, NAME, load_packs().rules, TODAY, load_calendar())}


def test_what_is_right_passes():
    said, cases = lived()
    checks = case_checks(said, cases)
    assert [check.ok for check in checks] == [True] * 5
    assert all(check.compared for check in checks)


def _told_twice(said: Said, cases: dict[str, Case]) -> None:
    said.steps[CASE_ID].append(said.steps[CASE_ID][-1])


def _lost(said: Said, cases: dict[str, Case]) -> None:
    del said.steps[CASE_ID][1]


def _not_listed(said: Said, cases: dict[str, Case]) -> None:
    said.listed.clear()


def _stale(said: Said, cases: dict[str, Case]) -> None:
    said.listed[CASE_ID] = dict(said.listed[CASE_ID]) | {"state": "ended"}


def _without(**fields: object) -> Callable[[Said, dict[str, Case]], None]:
    def plant(said: Said, cases: dict[str, Case]) -> None:
        said.steps[CASE_ID][-1] = dict(said.steps[CASE_ID][-1]) | fields

    return plant


def _over(said: Said, cases: dict[str, Case]) -> None:
    cases[CASE_ID] = replace(cases[CASE_ID], state="ended")


def _never_told(said: Said, cases: dict[str, Case]) -> None:
    cases["other"] = replace(cases[CASE_ID], case_id="other")


def _unreadable(said: Said, cases: dict[str, Case]) -> None:
    said.unreadable.append("credit.measures[0]@7, truncated")


@pytest.mark.parametrize(
    ("plant", "number"),
    [
        (_told_twice, 0),
        (_lost, 0),
        (_not_listed, 1),
        (_stale, 1),
        (_without(decision_document=""), 2),
        (_without(legal_bases=[]), 2),
        (_without(notice_channel=""), 2),
        (_without(objection_until=date(2026, 10, 21)), 2),
        (_without(objected_on=date(2026, 9, 3)), 2),
        (_without(evidence_ids=[]), 2),
        (_without(ends_on=date(2026, 10, 1)), 2),
        (_over, 3),
        (_never_told, 3),
        (_unreadable, 4),
    ],
)
def test_one_fault_is_seen(plant: Callable[[Said, dict[str, Case]], None], number: int):
    said, cases = lived()
    plant(said, cases)
    assert not case_checks(said, cases)[number].ok


def test_a_subject_with_newer_records_is_not_judged():
    said, cases = lived()
    _over(said, cases)
    assert case_checks(said, {}, busy=["org:A"])[3].compared == 0


def test_the_conditions_have_names():
    row = lived()[0].steps[CASE_ID][-1]
    assert faults_of(row) == []
    assert faults_of(dict(row) | {"notice_channel": "", "ends_on": None}) == ["end", "notice", "order"]


def test_a_message_that_can_not_be_read_is_told_and_shifts_no_other(monkeypatch: pytest.MonkeyPatch):
    said, _ = lived()
    rows = [dict(row) for row in said.steps[CASE_ID]]
    values = codec.encode(MEASURE, pa.RecordBatch.from_pylist(rows, schema=MEASURE.arrow))
    here = batch_of([b"\xff", *values], [1, *[2] * len(values)])
    monkeypatch.setattr(checks_cases, "read_all", lambda _, topic: [here] if topic == MEASURES else [])
    found = read_said(Settings())
    assert (found.day, found.messages, len(found.steps[CASE_ID])) == ({2: TODAY}, len(values) + 1, len(rows))
    assert [sentence.partition(",")[0] for sentence in found.unreadable] == ["credit.measures[1]@0"]


def batch_of(values: list[bytes | None], partitions: list[int]) -> Batch:
    count, offsets = len(values), np.arange(len(values))
    return Batch(values, [None] * count, [MEASURES] * count, np.array(partitions), offsets, offsets)
