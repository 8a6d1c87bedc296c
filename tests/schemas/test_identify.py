"""Which reports are of the same record, and which say the same."""

from datetime import date
from typing import Any

import pytest

from schemas.catalogue import catalogue
from tests.schemas.events import AUTHORITY, AUTHORITY_NAME, USCC, event, examined, identified, rejected

CLOSING = ("annul", "withdraw", "repair")

SPELLINGS: list[dict[str, Any]] = [
    {"document_number": "济市监处罚[2026]12号"},
    {"document_number": "济市监处罚（２０２６） 第12号 "},
    {"subject_name": "济南示例 商贸有限公司\u200b"},
    {"subject_ids": [f"CN-USCC:{USCC.lower()}"]},
    {"subject_ids": [f"?:{USCC}", "CN-ORG:60005617-1"]},
    {"authority_code": "", "authority_name": "济南市工商行政管理局（演示）"},
    {"authority_name": ""},
    {"region": "370100"},
    {"classes": ["", " fine "]},
    {"source_url": "https://example.org/1", "mapping": "penalty-58@2", "source_row": 77, "event_id": "f" * 32},
    {"operation": "correct"},
]


@pytest.mark.parametrize("changes", SPELLINGS, ids=str)
def test_another_spelling_is_the_same_record_and_the_same_content(changes: dict[str, Any]) -> None:
    one, other = identified(), identified(**changes)
    assert (other["record_id"], other["content"]) == (one["record_id"], one["content"])


def test_the_order_of_classes_and_bases_says_nothing() -> None:
    one = identified(classes=["fine", "warning"], legal_bases=["甲", "乙"])
    assert identified(classes=["warning", "fine"], legal_bases=["乙", "甲"])["content"] == one["content"]


MATERIAL: dict[str, Any] = {
    "subject_name": "济南示例贸易有限公司",
    "region": "370000",
    "item": "名单",
    "grade": "A",
    "state": "已履行",
    "classes": ["warning"],
    "legal_bases": [],
    "fine_fen": 500_001,
    "confiscated_fen": 0,  # stated as nothing, which is not the same as not stated
    "amount_fen": 1,
    "decided_on": date(2026, 3, 3),
    "valid_from": date(2026, 3, 2),
    "valid_to": date(2027, 3, 2),
    "published_until": date(2027, 3, 2),
}


def test_each_material_field_makes_another_content_of_the_same_record() -> None:
    one = identified()
    contents = {one["content"]}
    for name, value in MATERIAL.items():
        other = identified(**{name: value})
        assert other["record_id"] == one["record_id"], name
        assert other["content"] not in contents, name
        contents.add(other["content"])


def test_a_value_in_the_field_beside_is_another_content() -> None:
    assert identified(item="甲")["content"] != identified(grade="甲")["content"]
    assert (
        identified(classes=["甲"], legal_bases=[])["content"] != identified(classes=[], legal_bases=["甲"])["content"]
    )
    assert identified(fine_fen=None, amount_fen=7)["content"] != identified(fine_fen=7)["content"]
    assert identified(classes=["a", "b"])["content"] != identified(classes=["ab"])["content"]


@pytest.mark.parametrize(
    "changes",
    [
        {"document_number": "济市监处罚〔2026〕13号"},
        {"subject_ids": ["CN-USCC:91110000101623741K"]},
        {"authority_code": "11370000XXXX10014M"},
        {"category": "compulsory"},
    ],
    ids=str,
)
def test_each_identity_part_makes_another_record(changes: dict[str, Any]) -> None:
    assert identified(**changes)["record_id"] != identified()["record_id"]


def test_an_optional_part_tells_records_apart_and_may_be_missing() -> None:
    assert identified(category="licence")["record_id"] != identified(category="licence", item="甲")["record_id"]


def test_where_one_of_two_parts_will_do_the_first_that_is_there_counts() -> None:
    numbered, dated = identified(category="inspection"), identified(category="inspection", document_number="")
    assert numbered["record_id"] != dated["record_id"]
    same_number = identified(category="inspection", decided_on=date(2026, 3, 9))
    assert same_number["record_id"] == numbered["record_id"]
    another_day = identified(category="inspection", document_number="", decided_on=date(2026, 3, 9))
    assert another_day["record_id"] != dated["record_id"]


def test_an_authority_that_no_table_knows_stands_by_its_name() -> None:
    unknown = identified(authority_code="", authority_name="某某局")
    assert unknown["record_id"] == identified(authority_code="", authority_name=" 某某局\u200b")["record_id"]
    assert unknown["record_id"] != identified(authority_code="", authority_name="某某厅")["record_id"]


REQUIRED = {
    "authority": {"authority_code": "", "authority_name": ""},
    "document_number": {"document_number": ""},
    "decided_on": {"decided_on": None},
    "item": {"item": ""},
}


@pytest.mark.parametrize("category", catalogue())
def test_each_required_part_of_each_category_is_required(category: str) -> None:
    whole = {"category": category, "item": "名单"}
    assert identified(**whole)["record_id"]
    for part in catalogue()[category].identity:
        if part.optional or "subject" in part.fields:
            continue
        lacking = {name: value for field in part.fields for name, value in REQUIRED[field].items()}
        assert rejected(**whole | lacking) == ("quarantined", "identity_incomplete", part.name)


@pytest.mark.parametrize("operation", CLOSING)
def test_a_closing_says_nothing_but_itself_its_document_and_its_date(operation: str) -> None:
    act = {
        "operation": operation,
        "change_document_number": "济市监撤〔2026〕1号",
        "change_decided_on": date(2026, 4, 1),
    }
    one = identified(**act)
    for name, value in MATERIAL.items():
        assert identified(**act | {name: value})["content"] == one["content"], name
    spelled = act | {"change_document_number": "济市监撤[2026]1号"}
    assert identified(**spelled)["content"] == one["content"]
    for name, value in {
        "operation": CLOSING[CLOSING.index(operation) - 1],
        "change_document_number": "济市监撤〔2026〕2号",
        "change_decided_on": date(2026, 4, 2),
    }.items():
        assert identified(**act | {name: value})["content"] != one["content"], name


def test_a_closing_is_of_the_record_that_it_closes() -> None:
    assert identified(operation="annul")["record_id"] == identified()["record_id"]


def test_hashes_do_not_depend_on_what_stands_beside_them() -> None:
    rows = [event(), event(operation="annul"), event(**MATERIAL), event(item="甲"), event(classes=[], fine_fen=None)]
    rows += [event(category=category, item="名单") for category in catalogue()]
    together = examined(*rows).identified.select(["record_id", "content"]).to_pylist()
    alone = [examined(row).identified.select(["record_id", "content"]).to_pylist()[0] for row in rows]
    assert together == alone


def test_ids_outlive_versions() -> None:
    """Frozen: a change of one of these numbers means that old rows get other ids; raise IDENTITY_VERSION with it."""
    one = identified()
    assert one["authority_code"] == AUTHORITY and one["authority_name"] == AUTHORITY_NAME
    assert (one["identity_version"], one["record_id"], one["content"]) == (
        1,
        "89076222b0a1bd02f2b8b282b3621e60",
        "9dcf40b15bdd2e00",
    )
