"""Which organisation it is: cases, columns against one event at a time, and the line that we hold."""

import gzip

import polars as pl
import pytest
from case_tables import cases, shared_file
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.reasons import REASONS
from schemas.reference.codes import uscc_prefixes
from schemas.schemes import KEY_BYTES_MAX, SCHEMES, subject_tables
from schemas.subjects import (
    KINDS,
    Subject,
    keeps_name,
    keeps_names,
    may_be_persons,
    resolve_subject,
    resolve_subjects,
)
from schemas.uscc import org_code_check, registration_number_check, uscc_check_digit

CASES = cases("subjects")


def good_code(prefix: str, body8: str = "XXXX0101") -> str:
    code = f"{prefix}370100{body8}{org_code_check(body8)}"
    return code + uscc_check_digit(code)


def registration_number(first14: str) -> str:
    return first14 + registration_number_check(first14)


def as_row(subject: Subject) -> tuple[str | None, ...]:
    return (subject.key, subject.identifier, subject.kind, subject.reason, subject.detail, subject.warning)


def resolved(ids: list[list[str]]) -> list[tuple[str | None, ...]]:
    return list(resolve_subjects(pl.Series(ids, dtype=pl.List(pl.String))).iter_rows())


@pytest.mark.parametrize("case", CASES, ids=[case["ids"] or "nothing" for case in CASES])
def test_identifiers_give_a_subject_or_a_reason(case: dict[str, str]) -> None:
    ids = case["ids"].split(" ") if case["ids"] else []
    columns = ("key", "id", "kind", "reason", "detail", "warning")
    expected = tuple(case[column] or None for column in columns)
    assert as_row(resolve_subject(ids)) == expected
    assert resolved([["CN-USCC:91110000101623741K"], ids]) == [resolved([["CN-USCC:91110000101623741K"]])[0], expected]


def test_every_reason_is_declared_and_no_detail_holds_a_value() -> None:
    for case in CASES:
        if case["reason"]:
            assert case["reason"] in REASONS
            assert not any(character.isdigit() for character in case["detail"].replace("resident_id_15", ""))


def test_every_key_is_short_and_ascii() -> None:
    for case in CASES:
        assert case["key"].isascii()
        assert len(case["key"]) <= KEY_BYTES_MAX


def test_null_and_empty_lists_name_nobody() -> None:
    found = resolve_subjects(pl.Series([None, [], [None, ""]], dtype=pl.List(pl.String)))
    assert found["reason"].to_list() == ["subject_unresolved"] * 3
    assert resolve_subjects(pl.Series([], dtype=pl.List(pl.String))).height == 0


@pytest.mark.parametrize("first", "123456789ANYGJ")
def test_only_bodies_of_the_line_are_on_record(first: str) -> None:
    subject = resolve_subject(["CN-USCC:" + good_code(first + "1")])
    assert (subject.key is not None) == (first in "9N15AY")
    assert subject.reason in (None, "subject_out_of_scope")


def test_an_unknown_category_of_a_known_registrar_is_a_body_of_unknown_kind() -> None:
    subject = resolve_subject(["CN-USCC:" + good_code("98")])
    assert (subject.kind, subject.reason, subject.warning) == ("unknown", None, "prefix_unknown")


def test_every_prefix_on_record_has_a_kind_and_only_operators_may_be_restricted() -> None:
    operators = {prefix.characters for prefix in uscc_prefixes().values() if prefix.scope == "operator"}
    assert operators == {"91", "93", "N1", "N2", "N3", "N9"}
    assert {prefix.characters for prefix in uscc_prefixes().values() if prefix.scope == "sole_trader"} == {"92"}
    assert {prefix.kind for prefix in uscc_prefixes().values()} <= set(KINDS)
    assert subject_tables().registrars == frozenset("159ANY")


def test_a_registration_number_of_the_range_of_sole_traders_is_one() -> None:
    assert resolve_subject(["CN-REG:" + registration_number("37010260000001")]).kind == "sole_trader"
    assert resolve_subject(["CN-REG:110108000000016"]).kind == "unknown"


identifiers = st.one_of(
    st.sampled_from([part for case in CASES for part in case["ids"].split(" ")]),
    st.builds(
        lambda scheme, prefix, body: f"{scheme}{good_code(prefix, body)}",
        st.sampled_from(["CN-USCC:", "CN-USCC:", "?:", "CN-TAX:", ""]),
        st.sampled_from(["91", "92", "12", "N2", "81", "G1", "98"]),
        st.text("0123456789ABCDEFGHJKLMNPQRTUWXY", min_size=8, max_size=8),
    ),
    st.builds(lambda scheme, text: scheme + text, st.sampled_from([f"{s}:" for s in SCHEMES]), st.text(max_size=20)),
    st.text(max_size=20),
)


@given(st.lists(st.lists(identifiers, max_size=4), min_size=1, max_size=8))
@settings(max_examples=300, deadline=None)
def test_columns_say_what_one_event_at_a_time_says(ids: list[list[str]]) -> None:
    assert resolved(ids) == [as_row(resolve_subject(each)) for each in ids]


@given(st.lists(identifiers, min_size=1, max_size=4))
@settings(max_examples=300, deadline=None)
def test_a_subject_has_a_key_or_a_reason_and_a_short_ascii_key(ids: list[str]) -> None:
    subject = resolve_subject(ids)
    assert (subject.key is None) == (subject.reason is not None) == (subject.identifier is None)
    if subject.key is not None:
        assert subject.key.isascii()
        assert len(subject.key) <= KEY_BYTES_MAX
        assert "XXXXXXXXXXXX" not in subject.key


@given(st.sampled_from(list(SCHEMES)), st.text(max_size=24))
@settings(max_examples=500, deadline=None)
def test_a_good_identifier_is_good_again_in_its_normal_spelling(scheme: str, number: str) -> None:
    subject = resolve_subject([f"{scheme}:{number}"])
    if subject.identifier is not None:
        again = resolve_subject([subject.identifier])
        assert (again.key, again.identifier) == (subject.key, subject.identifier)


@pytest.mark.parametrize(
    ("name", "kind", "kept"),
    [
        ("张三", "sole_trader", False),
        ("欧阳建国", "sole_trader", False),
        ("历下区老王面馆", "sole_trader", True),
        ("张三商行", "sole_trader", True),
        ("", "sole_trader", False),
        ("张三", "legal_person", True),
        ("某某公司", "unknown", True),
    ],
)
def test_a_sole_traders_name_is_kept_only_with_a_word_of_business(name: str, kind: str, kept: bool) -> None:
    assert keeps_name(name, kind) is kept
    assert keeps_names(pl.Series(["x", name]), pl.Series(["unknown", kind])).to_list() == [True, kept]


def test_the_register_of_enterprises_resolves_but_for_known_rows() -> None:
    expected = {
        "shandong_1978_2000.csv.gz": {},
        "national_sample.csv.gz": {"subject_out_of_scope": 17, "subject_code_invalid": 10},
    }
    for name, reasons in expected.items():
        codes = pl.read_csv(shared_file(f"cn_registrations/{name}"), infer_schema=False)["统一社会信用代码"]
        ids = pl.DataFrame({"code": codes.fill_null("")}).select(ids=pl.concat_list("CN-ANY:" + pl.col("code")))["ids"]
        found = resolve_subjects(ids)
        assert dict(found["reason"].drop_nulls().value_counts().iter_rows()) == reasons


def test_the_dirt_of_the_register_is_sorted_as_it_should_be() -> None:
    codes = pl.read_csv(shared_file("cn_registrations/code_dirt.csv"), infer_schema=False)["统一社会信用代码"]
    found = resolve_subjects(pl.Series([[f"CN-ANY:{code}"] for code in codes.to_list()]))
    schemes = found["subject_id"].drop_nulls().str.split(":").list.first().value_counts()
    assert dict(schemes.iter_rows())["CN-REG"] >= 770  # 616 of 15 digits, 156 of 13
    invalid = found.filter(pl.col("reason") == "subject_code_invalid")["reason_detail"].value_counts()
    assert dict(invalid.iter_rows())["check_digit"] >= 40


def test_the_mexican_list_has_organisations_and_blanked_rows_only() -> None:
    text = gzip.decompress(shared_file("mx_sat_69b/listado_69b_2022-11-30.csv.gz").read_bytes()).decode("cp1252")
    frame = pl.read_csv(text.encode(), infer_schema=False, skip_rows=2)
    found = resolve_subjects(pl.Series([[f"MX-RFC:{number}"] for number in frame["RFC"].to_list()]))
    assert dict(found["reason"].drop_nulls().value_counts().iter_rows()) == {"subject_placeholder": 81}


@pytest.mark.parametrize(
    ("name", "doubtful"),
    [
        ("张三", True),
        ("欧阳 某某", True),
        ("买买提·艾力", True),
        ("张三百货商店", False),
        ("某县污水处理厂", False),
        ("某市渔业管理处", False),
        ("JOHN SMITH", True),
        ("Mr. João de Sá", True),
        ("MEI LIN", True),
        ("SMITH ENGINEERING LIMITED", False),
        ("Exemplo S/A", False),
        ("Smith & Sons", False),
        ("Town of Anywhere", False),
        ("", False),
    ],
)
def test_a_name_without_a_code_may_be_a_persons_unless_it_says_otherwise(name: str, doubtful: bool) -> None:
    assert may_be_persons(pl.Series([name])).to_list() == [doubtful]
