"""The unified social credit code: cases from the standard and from files, and the column against one code at a time."""

from pathlib import Path

import polars as pl
import pytest
from case_tables import cases, shared_file
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_uscc import plain_fault
from stdnum.cn import uscc as stdnum_uscc

from schemas.reference.codes import uscc_tables
from schemas.uscc import (
    ALPHABET,
    compact_code,
    compact_codes,
    examine_uscc,
    examine_usccs,
    is_uscc,
    org_code_check,
    registration_number_check,
    uscc_check_digit,
)

CASES = cases("uscc")


def good_code(prefix: str, region: str, body8: str) -> str:
    code = prefix + region + body8 + org_code_check(body8)
    return code + uscc_check_digit(code)


bodies = st.text("0123456789ABCDEFGHJKLMNPQRTUWXY", min_size=8, max_size=8)
regions = st.text("0123456789", min_size=6, max_size=6)
good_codes = st.builds(good_code, st.sampled_from(["91", "12", "N2", "Y1", "51", "G1", "99"]), regions, bodies)
nearly_codes = st.builds(
    lambda code, position, character: code[:position] + character + code[position + 1 :],
    good_codes,
    st.integers(0, 17),
    st.sampled_from(ALPHABET + "IOSVZ x中-９"),
)
texts = st.one_of(
    good_codes,
    nearly_codes,
    st.text(max_size=24),
    st.text("0123456789X ", max_size=20),
    st.sampled_from([case["written"] for case in CASES]),
)


@pytest.mark.parametrize("case", CASES, ids=[case["why"] or case["written"] for case in CASES])
def test_a_code_as_written_has_its_verdict(case: dict[str, str]) -> None:
    expected = (case["code"], case["fault"] or None, case["warning"] or None)
    assert examine_uscc(case["written"]) == expected
    together = examine_usccs(pl.Series([case["written"]]))
    assert together.row(0)[:3] == expected


def test_all_cases_together_have_the_same_verdicts_as_one_by_one() -> None:
    written = [case["written"] for case in CASES] * 9  # more than the few that are judged one by one
    found = examine_usccs(pl.Series(written))
    assert found["code"].to_list() == [case["code"] for case in CASES] * 9
    assert found["fault"].to_list() == [case["fault"] or None for case in CASES] * 9
    assert found["warning"].to_list() == [case["warning"] or None for case in CASES] * 9


def test_null_is_empty() -> None:
    assert examine_usccs(pl.Series([None], dtype=pl.String)).row(0) == ("", "empty", None, None)
    assert examine_usccs(pl.Series([], dtype=pl.String)).height == 0


def test_a_good_code_gives_its_organisation_code_and_a_faulty_one_gives_none() -> None:
    found = examine_usccs(pl.Series(["91110000600056171L", "91110000600056171M"]))
    assert found["org_code"].to_list() == ["600056171", None]


def test_unknown_prefixes_and_regions_are_warnings() -> None:
    codes = [good_code("G1", "370100", "XXXX0101"), good_code("91", "990100", "XXXX0101")]
    codes += [good_code("91", "379999", "XXXX0101"), good_code("91", "370181", "XXXX0101")]
    found = examine_usccs(pl.Series(codes))
    assert found["fault"].to_list() == [None] * 4
    assert found["warning"].to_list() == ["prefix_unknown", "region_unknown", "region_unknown", None]


def test_a_check_value_of_31_is_written_as_0() -> None:
    zeros = [code for code in (good_code("91", "370100", f"XXXX{n:04d}") for n in range(200)) if code[17] == "0"]
    assert zeros
    assert examine_usccs(pl.Series(zeros))["fault"].null_count() == len(zeros)
    for code in zeros:
        assert stdnum_uscc.is_valid(code)


def test_an_override_is_read_from_the_folder_that_replaces_the_table(tmp_path: Path) -> None:
    (tmp_path / "uscc_overrides.csv").write_text("code,source\n91110000600056171M,test\n", "utf-8")
    tables = uscc_tables(tmp_path)
    assert examine_uscc("91110000600056171M", tables)[1:] == (None, "check_overridden")
    assert examine_usccs(pl.Series(["91350211M0000XUF46"]), tables)["fault"].to_list() == ["check_digit"]


@given(st.lists(texts, min_size=1, max_size=12), st.booleans())
@settings(max_examples=100, deadline=None)
def test_the_column_says_what_one_code_at_a_time_says(codes: list[str], many: bool) -> None:
    written = codes * (260 // len(codes) + 1 if many else 1)  # both ways of judging codes that are not plain
    found = examine_usccs(pl.Series(written, dtype=pl.String))
    expected = [examine_uscc(code) for code in written]
    assert [row[:3] for row in found.iter_rows()] == expected


@given(st.one_of(good_codes, nearly_codes))
@settings(max_examples=500, deadline=None)
def test_the_arithmetic_agrees_with_the_standard_spelled_out(code: str) -> None:
    compacted = compact_code(code)
    fault = examine_uscc(code)[1]
    if fault not in ("placeholder", "empty"):
        assert fault == plain_fault(compacted)
    assert is_uscc(compacted) == (plain_fault(compacted) is None)


@given(good_codes)
@settings(max_examples=200, deadline=None)
def test_good_codes_that_begin_with_eight_digits_are_good_to_stdnum(code: str) -> None:
    if code[:8].isdigit():
        assert stdnum_uscc.is_valid(code)
        assert examine_uscc(code)[1] in (None, "placeholder")


@given(st.text(max_size=30))
@settings(max_examples=300, deadline=None)
def test_compacting_a_column_is_compacting_each(value: str) -> None:
    if all(
        ord(character) < 0x3400 for character in value
    ):  # later characters are as new as the library that knows them
        assert compact_codes(pl.Series([value])).item() == compact_code(value)


@pytest.mark.parametrize(
    ("first14", "check"), [("11010800000001", "6"), ("32040400007327", "4"), ("32020000000044", "3")]
)
def test_the_check_of_a_registration_number(first14: str, check: str) -> None:
    assert registration_number_check(first14) == check


def test_a_check_character_of_too_short_a_code_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="17 characters"):
        uscc_check_digit("9111")
    with pytest.raises(ValueError, match="8 characters"):
        org_code_check("6000")
    with pytest.raises(ValueError, match="14 digits"):
        registration_number_check("1")


@pytest.mark.parametrize(
    ("name", "rows", "faults"),
    [
        ("shandong_1978_2000.csv.gz", 44_510, {}),
        ("national_sample.csv.gz", 57_685, {"length": 208, "check_digit": 6, "body_check": 4}),
    ],
)
def test_the_register_of_enterprises_has_the_faults_that_are_known_of_it(
    name: str, rows: int, faults: dict[str, int]
) -> None:
    """Its README counts lower-case codes as failing (19 in Shandong); here they are codes in another spelling."""
    codes = pl.read_csv(shared_file(f"cn_registrations/{name}"), infer_schema=False)["统一社会信用代码"]
    found = examine_usccs(codes)
    assert len(found) == rows
    assert dict(found["fault"].drop_nulls().cast(pl.String).value_counts().iter_rows()) == faults
