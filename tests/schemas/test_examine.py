"""What would become of an event: every way out, and that each event takes exactly one."""

import csv
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.avro import CREDIT_EVENT, IDENTIFIED_EVENT
from schemas.reasons import REASONS
from tests.schemas.events import (
    AUTHORITY,
    AUTHORITY_NAME,
    REPORTED_AT,
    RESIDENT_ID,
    SOLE_TRADER,
    USCC,
    event,
    examined,
    identified,
    rejected,
)

_CASES = Path(__file__).parents[1] / "cases" / "examine"

# -- what a sound event becomes -------------------------------------------------------------------------------------


def test_a_sound_event_is_identified_whole() -> None:
    found = identified()
    assert found["subject_key"] == "org:600056171"
    assert found["subject_id"] == f"CN-USCC:{USCC}"
    assert found["subject_kind"] == "legal_person"
    assert found["department"] == "market"
    assert (found["authority_code"], found["region"]) == (AUTHORITY, "370100")
    assert found["legal_bases"] == ["《广告法》第55条"]
    assert found["effective_on"] == date(2026, 3, 2)
    assert found["published_until"] == date(2029, 3, 2)
    assert (found["source_partition"], found["source_offset"]) == (0, 0)  # only a lane knows them
    as_reported = event()
    for name in (
        "submission",
        "source_row",
        "event_id",
        "mapping",
        "fine_fen",
        "classes",
        "reported_at",
    ):
        assert found[name] == (as_reported[name].replace(tzinfo=None) if name == "reported_at" else as_reported[name])


def test_the_department_is_the_topics_for_one_or_for_each() -> None:
    rows = [event(), event(faults=["row_shape:"]), event(source_row=4)]
    result = examined(*rows, departments=pl.Series(["market", "tax", "court"]))
    assert result.identified["department"].to_pylist() == ["market", "court"]
    assert result.rows.tolist() == [0, 2]


def test_no_events_become_nothing() -> None:
    result = examined()
    assert result.identified.schema == IDENTIFIED_EVENT.arrow
    assert (result.identified.num_rows, len(result.rows), result.rejects.height) == (0, 0, 0)


AUTHORITIES = [
    ("", AUTHORITY_NAME, AUTHORITY, "370100", "by its name"),
    ("", "济南市工商行政管理局（演示）", AUTHORITY, "370100", "by the name that it had"),
    ("", "济南市市监局(演示)", AUTHORITY, "370100", "by an alias with other brackets"),
    (AUTHORITY, "", AUTHORITY, "370100", "by its code"),
    (AUTHORITY, "某某局", AUTHORITY, "370100", "a code says more than a name"),
    ("", "演示省市场监督管理局", "11370000XXXX10014M", "370000", "another one"),
    ("", "某某局", "", "", "not in the tables: its name stands for it"),
]


@pytest.mark.parametrize(
    ("code", "name", "found", "region", "why"), AUTHORITIES, ids=[case[-1] for case in AUTHORITIES]
)
def test_authorities(code: str, name: str, found: str, region: str, why: str) -> None:
    result = identified(authority_code=code, authority_name=name)
    assert (result["authority_code"], result["region"]) == (found, region)


def test_a_region_that_the_source_gives_is_kept() -> None:
    assert identified(region="370102")["region"] == "370102"


ENDS = list(csv.DictReader((_CASES / "publication_end.csv").read_text("utf-8").splitlines()))


@pytest.mark.parametrize("case", ENDS, ids=[case["why"] for case in ENDS])
def test_end_of_publication(case: dict[str, str]) -> None:
    found = identified(
        category=case["category"],
        subject_ids=[case["subject"]],
        classes=[kind for kind in case["classes"].split(";") if kind],
        decided_on=_day(case["decided_on"]),
        published_until=_day(case["reported"]),
    )
    assert found["published_until"] == _day(case["end"])


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def test_no_version_is_from_the_future() -> None:
    later = REPORTED_AT + timedelta(days=400)
    assert identified(source_version=later)["source_version"] == REPORTED_AT.replace(tzinfo=None)
    earlier = datetime(2026, 4, 1, tzinfo=UTC)
    assert identified(source_version=earlier)["source_version"] == earlier.replace(tzinfo=None)
    assert identified()["source_version"] is None


@pytest.mark.parametrize("operation", ["annul", "withdraw", "repair", "reinstate"])
def test_a_change_takes_effect_with_its_own_document(operation: str) -> None:
    changed_on = date(2026, 4, 9)
    assert identified(operation=operation, change_decided_on=changed_on)["effective_on"] == changed_on
    assert identified(operation=operation)["effective_on"] == date(2026, 3, 2)
    assert identified(operation="report", change_decided_on=changed_on)["effective_on"] == date(2026, 3, 2)


@pytest.mark.parametrize(
    ("ids", "name", "kept"),
    [
        (f"CN-USCC:{SOLE_TRADER}", "张某某", ""),
        (f"CN-USCC:{SOLE_TRADER}", "历下区张某某商行", "历下区张某某商行"),
        (f"CN-USCC:{USCC}", "示例一二三", "示例一二三"),
    ],
    ids=["the owner's own name", "a name of business", "a legal person"],
)
def test_names_of_sole_traders(ids: str, name: str, kept: str) -> None:
    assert identified(subject_ids=[ids], subject_name=name)["subject_name"] == kept


# -- every reason ---------------------------------------------------------------------------------------------------

LONG = "市" * 401
REJECTS: list[tuple[str, str, dict[str, Any]]] = [
    ("personal_number", "resident_id", {"item": f"当事人{RESIDENT_ID}"}),
    ("personal_number", "resident_id", {"subject_ids": [f"CN-USCC:{RESIDENT_ID}"]}),
    ("personal_number", "mobile_phone", {"source_url": "https://example.org/?tel=13912345678"}),
    ("subject_out_of_scope", "trade unions", {"subject_ids": ["CN-USCC:81370100XXXX00051N"]}),
    ("value_unreadable", "decided_on", {"faults": ["value_unreadable:decided_on", "value_missing:item"]}),
    ("value_missing", "document_number", {"faults": ["value_missing:document_number"]}),
    ("code_unknown", "classes", {"faults": ["code_unknown:classes"]}),
    ("dates_disagree", "valid_to", {"faults": ["dates_disagree:valid_to"]}),
    ("dates_disagree", "valid_to", {"valid_to": date(2026, 3, 1)}),
    ("dates_disagree", "published_until", {"published_until": date(2026, 3, 1)}),
    ("dates_disagree", "change_decided_on", {"operation": "annul", "change_decided_on": date(2026, 3, 1)}),
    ("date_implausible", "decided_on", {"decided_on": date(1949, 9, 30)}),
    ("date_implausible", "decided_on", {"decided_on": date(2026, 5, 2)}),
    ("date_implausible", "change_decided_on", {"operation": "annul", "change_decided_on": date(2026, 5, 2)}),
    ("date_implausible", "valid_from", {"valid_from": date(1899, 12, 31)}),
    ("date_implausible", "valid_to", {"valid_to": date(9999, 12, 31)}),
    ("date_implausible", "published_until", {"published_until": date(2300, 1, 1)}),
    ("date_implausible", "source_version", {"source_version": datetime(1800, 1, 1, tzinfo=UTC)}),
    ("date_implausible", "reported_at", {"reported_at": datetime(2300, 1, 1, tzinfo=UTC)}),
    ("person_row", "subject_name", {"subject_name": "济南示例商贸有限公司、张三丰"}),
    ("subject_is_authority", "subject_ids", {"subject_ids": [f"CN-USCC:{AUTHORITY}"]}),
    ("personal_number", "resident_id", {"subject_name": f"示例公司{RESIDENT_ID[:6]}<b>{RESIDENT_ID[6:]}</b>"}),
    ("several_subjects", "subject_name", {"subject_name": "济南示例商贸有限公司、潍坊示例物流有限公司"}),
    ("several_subjects", "subject_ids", {"subject_ids": [f"?:{USCC}、91370100XXXX00051M"]}),
    ("document_number_invalid", "document_number", {"document_number": "擅自改变用途提供服务"}),
    ("document_number_invalid", "document_number", {"document_number": "济市监处罚〔2026〕1号、济市监处罚〔2026〕2号"}),
    ("amounts_disagree", "fine_fen", {"faults": ["amounts_disagree:fine_fen"]}),
    ("event_too_large", "legal_bases", {"faults": ["event_too_large:legal_bases"]}),
    ("row_shape", "", {"faults": ["row_shape:"]}),
    ("text_damaged", "", {"faults": ["text_damaged:"]}),
    ("value_unreadable", "item", {"faults": ["a_word_of_a_newer_adapter:item"]}),
    ("value_unreadable", "", {"faults": ["person_row"]}),  # a refusal is the platform's to say
    ("value_unreadable", "", {"faults": ["value_unreadable:张某某"]}),  # what a cell held is not repeated
    ("category_unknown", "category", {"category": "gossip"}),
    ("category_unknown", "category", {"category": ""}),
    ("operation_unknown", "operation", {"operation": "delete"}),
    ("value_too_long", "subject_name", {"subject_name": LONG}),
    ("value_too_long", "document_number", {"document_number": LONG}),
    ("value_too_long", "item", {"item": LONG}),
    ("value_too_long", "source_url", {"source_url": "https://example.org/" + "a" * 400}),
    ("value_too_long", "legal_bases", {"legal_bases": [f"{LONG}{n}" for n in range(20)]}),
    ("value_too_long", "classes", {"classes": [LONG] * 20}),
    ("subject_unresolved", "no identifier", {"subject_ids": []}),
    ("subject_placeholder", "placeholder", {"subject_ids": ["CN-USCC:00000000000000000X"]}),
    ("subject_code_invalid", "check_digit", {"subject_ids": ["CN-USCC:91110000600056171M"]}),
    ("subject_codes_disagree", "identifiers", {"subject_ids": [f"CN-USCC:{USCC}", "CN-ORG:10162374-1"]}),
    ("identity_incomplete", "document_number", {"document_number": " \u200b"}),
    ("identity_incomplete", "authority", {"authority_code": "", "authority_name": ""}),
]


@pytest.mark.parametrize(("reason", "detail", "changes"), REJECTS, ids=[f"{c[0]} {c[1]}" for c in REJECTS])
def test_reject_reasons(reason: str, detail: str, changes: dict[str, Any]) -> None:
    assert rejected(**changes) == (REASONS[reason].outcome, reason, detail)


# Said by the adapter, or before there is an event, or by the guard before the subject is looked at.
ELSEWHERE = {"event_undecodable", "event_empty", "subject_is_person"}


def test_every_reason_has_its_case() -> None:
    assert set(REASONS) == {reason for reason, _, _ in REJECTS} | ELSEWHERE


def test_the_first_reason_wins_and_a_refusal_before_all() -> None:
    everything: dict[str, Any] = {"faults": ["row_shape:"], "category": "gossip", "subject_ids": [], "item": LONG}
    assert rejected(**everything)[1] == "row_shape"
    out_of_scope: dict[str, Any] = {"subject_ids": ["CN-USCC:81370100XXXX00051N"]}
    assert rejected(**everything | out_of_scope)[:2] == ("refused", "subject_out_of_scope")
    assert rejected(**everything | out_of_scope | {"state": RESIDENT_ID})[:2] == ("refused", "personal_number")


# -- the line -------------------------------------------------------------------------------------------------------

HIDDEN: dict[str, Any] = {
    field.name: [RESIDENT_ID] if field.type == CREDIT_EVENT.arrow.field("classes").type else RESIDENT_ID
    for field in CREDIT_EVENT.arrow
    if str(field.type) in ("string", "list<item: string not null>")
} | {"fine_fen": int(RESIDENT_ID), "confiscated_fen": int(RESIDENT_ID), "amount_fen": int(RESIDENT_ID)}


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("faults", [[], ["row_shape:"]], ids=["sound", "with a fault"])
def test_a_personal_number_in_any_field_is_refused_and_appears_nowhere(name: str, faults: list[str]) -> None:
    result = examined(event(**{"faults": faults, name: HIDDEN[name]}), event(source_row=3))
    assert result.rows.tolist() == [1]
    assert result.rejects.rows() == [(0, "refused", "personal_number", "resident_id")]
    assert RESIDENT_ID not in json.dumps(result.identified.to_pylist(), default=str)


@pytest.mark.parametrize(
    "disguised",
    [
        f"market-{RESIDENT_ID}-20260101-120000-abcd",
        f"market {RESIDENT_ID[:6]} {RESIDENT_ID[6:14]} {RESIDENT_ID[14:]}",
        f"penalty-2018@{RESIDENT_ID}",
        f"value_unreadable:{RESIDENT_ID}",
        "13912345678",
    ],
)
@pytest.mark.parametrize("name", ["submission", "mapping", "event_id", "category", "operation", "subject_kind"])
def test_words_of_the_adapter_are_read_where_they_are_odd(name: str, disguised: str) -> None:
    assert rejected(**{name: disguised})[:2] == ("refused", "personal_number")


def test_one_persons_row_costs_no_other_row() -> None:
    rows = [event(source_row=n, item=RESIDENT_ID if n % 3 == 0 else "") for n in range(30)]
    result = examined(*rows)
    assert result.rows.tolist() == [n for n in range(30) if n % 3]
    assert result.rejects["row"].to_list() == list(range(0, 30, 3))


# -- each event exactly once ----------------------------------------------------------------------------------------

_TEXT = st.one_of(
    st.sampled_from(
        ["", "penalty", "report", "annul", USCC, RESIDENT_ID, AUTHORITY, AUTHORITY_NAME, "济市监〔2026〕1号"]
    ),
    st.text(st.characters(codec="utf-8"), max_size=12),
)
_IDS = st.sampled_from(
    [
        f"CN-USCC:{USCC}",
        f"CN-USCC:{SOLE_TRADER}",
        "MX-RFC:ZZZ010101VZ4",
        "?:",
        ":",
        "CN-REG:1",
        f"CN-USCC:{RESIDENT_ID}",
    ]
)
_DATES = st.none() | st.dates(date(1800, 1, 1), date(2200, 1, 1))
_INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))


def _anything(name: str) -> st.SearchStrategy[Any]:
    field = CREDIT_EVENT.arrow.field(name)
    kind = str(field.type)
    if name == "subject_ids":
        return st.lists(_IDS | _TEXT, max_size=3)
    if kind == "string":
        return _TEXT
    if kind.startswith("list"):
        return st.lists(_TEXT, max_size=3)
    if kind == "date32[day]":
        return _DATES
    if kind.startswith("timestamp"):
        return st.none() | _INSTANTS if field.nullable else _INSTANTS
    bits = 31 if kind == "int32" else 63
    whole = st.integers(-(2**bits), 2**bits - 1)
    return st.none() | whole if field.nullable else whole


_GARBAGE = st.sampled_from(CREDIT_EVENT.names).flatmap(lambda name: st.tuples(st.just(name), _anything(name)))
_EVENTS = st.lists(st.lists(_GARBAGE, max_size=6).map(lambda changes: event(**dict(changes))), max_size=8)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_EVENTS)
def test_each_event_is_exactly_once_on_one_side_whatever_stands_beside_it(events: list[dict[str, Any]]) -> None:
    result = examined(*events)
    assert sorted([*result.rows.tolist(), *result.rejects["row"].to_list()]) == list(range(len(events)))
    assert result.rows.tolist() == sorted(result.rows.tolist())
    assert len(result.rows) == result.identified.num_rows
    result.identified.validate(full=True)
    assert set(result.rejects["reason"]) <= set(REASONS)
    assert RESIDENT_ID not in json.dumps([result.identified.to_pylist(), result.rejects.rows()], default=str)
    apart = [examined(one) for one in events]
    assert [row for one in apart for row in one.identified.to_pylist()] == result.identified.to_pylist()
    assert [row[1:] for one in apart for row in one.rejects.rows()] == [row[1:] for row in result.rejects.rows()]
