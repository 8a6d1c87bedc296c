"""What people are told of a case, and who acts for a department."""

from dataclasses import replace
from datetime import date

import pytest

from schemas.errors import InputError
from schemas.reference import load
from stream_processors import case_words
from stream_processors.cases.facts import Facts
from stream_processors.cases.judge import ENDS, REFUSALS, STATES, Case, Fate
from stream_processors.decide import ActOrder, authority_of, event_id_of
from stream_processors.rules.packs import load_packs

RULE = load_packs().rules["CN-36/M02"]
TODAY = date(2026, 11, 24)
CASE = Case("a" * 32, RULE.name, "鲁市监罚〔2026〕1号", "drafted", next_on=date(2027, 5, 1))
NAME = (RULE.name, CASE.document)


@pytest.mark.parametrize(
    ("different", "words"),
    [
        ({"state": "awaited"}, "its evidence becomes known"),
        ({"state": "drafted"}, "procurement serves a notice on the subject; it lapses on 2027-05-01"),
        (
            {"state": "noticed", "objection_until": TODAY},
            "the subject may object until 2026-11-24; after that procurement may decide",
        ),
        (
            {"state": "noticed", "objection_until": TODAY, "provisional": True},
            "(provisional: the calendar of a year is not announced)",
        ),
        (
            {"state": "noticed", "objection_until": date(2026, 11, 23)},
            "procurement may decide, on a day after 2026-11-23",
        ),
        ({"state": "objected"}, "answers the objection"),
        ({"state": "decided", "in_force_from": date(2026, 12, 1)}, "it binds from 2026-12-01"),
        ({"state": "in_force", "ends_on": date(2027, 12, 1)}, "ends by itself after 2027-12-01"),
        ({"state": "suspended", "ends_on": date(2027, 12, 1)}, "does not bind until the suspension ends"),
        ({"state": "ended"}, "it has ended"),
    ],
)
def test_what_comes_next_is_said_with_its_day(different: dict, words: str):
    assert words in case_words.what_next(replace(CASE, **different), RULE, TODAY)


def test_every_state_end_and_refusal_has_words():
    assert set(STATES) == set(case_words.STATES)
    assert set(ENDS) <= set(case_words.ENDS)
    for reason, sentence in REFUSALS.items():
        assert case_words.fate(Fate("refused", reason)) == f"refused: {sentence}"
    assert case_words.fate(Fate("accepted")) == "accepted"


def order(department: str, authority: str = "") -> ActOrder:
    return ActOrder("notice", department, "告〔2026〕1号", TODAY, authority)


def test_a_department_acts_for_the_authority_that_is_named_or_for_the_one_at_its_head():
    reference = load()
    facts = Facts("org:XXXX00051")
    assert authority_of(reference, order("procurement"), facts, NAME).name == "演示省政府采购监督管理办公室"
    assert authority_of(reference, order("procurement", "济南市采购办（演示）"), facts, NAME).region == "370100"
    for wrong in (order("nobody"), order("procurement", "某某局")):
        with pytest.raises(InputError):
            authority_of(reference, wrong, facts, NAME)


def test_the_id_of_an_act_is_that_of_the_only_row_of_its_submission():
    import polars as pl

    from producers.stamp import event_ids

    ids = event_ids("market-20260501-120000-abcd", pl.Series([1]), pl.Series([0]))
    assert event_id_of("market-20260501-120000-abcd") == ids[0].as_py()
