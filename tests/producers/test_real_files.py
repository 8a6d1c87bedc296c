"""Real files that nobody here wrote, read in full where they lie; skipped with a reason where they do not."""

import csv
import os
from pathlib import Path

import polars as pl
import pytest
from mapped_rows import shipped
from real_sources import SOURCES

from producers.check import Checked, check
from producers.mapping_file import forbidden
from producers.readers import read
from schemas import reference

_SHARED = Path(os.environ.get("XINLIU_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


def shared_file(name: str) -> Path:
    path = _SHARED / name
    if not path.is_file():
        pytest.skip(f"real data is not there: {name} (set XINLIU_SHARED_DATA to its folder)")
    return path


def checked(name: str, mapping: str, department: str) -> Checked:
    return check(shared_file(name), shipped(mapping), department, reference.load(None))


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("shandong_1978_2000.csv.gz", 44_510),
        ("national_sample.csv.gz", 57_685),
        ("code_dirt.csv", 1_229),
        ("sole_trader_codes.csv", 3_754),
    ],
)
def test_every_registration_has_its_outcome(name, rows):
    found = checked(f"cn_registrations/{name}", "registration-cn", "market")
    assert found.rows == sum(found.outcomes.values()) == rows
    assert not found.skipped
    assert not {"value_unreadable", "row_shape", "code_unknown"} & set(found.reasons)
    if "dirt" not in name:
        assert found.outcomes["good"] > 0.999 * rows


@pytest.mark.parametrize(
    ("name", "rows", "blanked"),
    [("listado_69b_2021-05-18.csv.gz", 9_838 + 82, 82), ("listado_69b_2022-11-30.csv.gz", 9_963 + 81, 81)],
)
def test_the_mexican_list_is_read_whole_and_only_blanked_taxpayers_are_set_aside(name, rows, blanked):
    found = checked(f"mx_sat_69b/{name}", "mx-sat-69b", "mx-sat")
    assert found.rows == rows
    assert found.outcomes == {"good": rows - blanked, "quarantined": blanked}
    assert found.reasons == {"subject_placeholder": blanked}


def test_each_row_of_the_mexican_list_presumes_and_no_annulment_comes_before_what_it_annuls():
    mapping = shipped("mx-sat-69b")
    path = shared_file("mx_sat_69b/listado_69b_2022-11-30.csv.gz")
    frames = [pl.DataFrame(pl.from_arrow(mapping.apply(chunk).events)) for chunk in read(path, mapping.layout)]
    found = pl.concat(frames)
    assert found.filter(pl.col("source_part") == 0)["operation"].unique().to_list() == ["report"]
    assert (found["decided_on"].null_count(), found["source_version"].n_unique()) == (0, 1)
    assert found["document_number"].str.contains(r"^\d{3}(?:-\d+)+$").all()
    closing = found.filter(pl.col("operation") == "annul")
    assert (closing["change_decided_on"] >= closing["decided_on"]).all()
    confirmed = found.filter((pl.col("state") == "Definitivo") & (pl.col("category") == "serious_list"))
    assert confirmed["operation"].unique().to_list() == ["report"]


def test_lists_of_debtors_and_rows_of_a_citys_platform_are_read():
    assert checked("cn_credit_blacklists/finance_judgment_debtors_2017.xlsx", "court-debtor", "court").rows == 181
    assert checked("cn_penalties_small/city_platform_penalty_row.json", "penalty-2018", "market").all_good
    assert checked("cn_penalties_small/city_platform_licence_row.json", "licence-2018", "market").all_good
    assert checked("cn_penalties_small/tax_credit_ratings.csv", "tax-rating", "tax").all_good
    assert checked("cn_field_templates/xzcf.xls", "penalty-2018", "market").reasons == {"code_unknown": 1}


_FIELD_OF_MEANING = {
    "document_number": {"document_number"},
    "penalty_class": {"penalty_class", "second_class"},
    "subject_name": {"subject_name"},
    "subject_uscc": {"subject_code"},
    "subject_uscc_or_tax_number": {"subject_code"},
    "subject_org_code": {"organisation_code", "other_code"},
    "subject_tax_number": {"tax_number", "subject_code", "other_code"},
    "subject_registration_number": {"registration_number"},
    "decision_date": {"decided_on"},
    "authority": {"authority_name"},
    "state": {"state_code"},
    "legal_basis": {"legal_bases"},
    "PERSONAL_id_number": {"papers"},
}
_UNREADABLE_HEADERS = {"行政处罚决定文书号 东地一所", "行行政政处处罚罚决决定定书书文文号号"}


def test_the_headers_that_crawlers_met_are_known_by_their_meaning():
    layout = shipped("penalty-2018").layout
    with shared_file("cn_field_templates/header_variants.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["meaning"] in _FIELD_OF_MEANING]
    unknown = [
        row["header_as_printed"]
        for row in rows
        if not _FIELD_OF_MEANING[row["meaning"]] & set(layout.locate([row["header_as_printed"]]))
    ]
    assert set(unknown) <= _UNREADABLE_HEADERS


def test_no_header_that_is_marked_personal_in_real_templates_can_be_mapped():
    with shared_file("cn_field_templates/field_templates.csv").open(encoding="utf-8", newline="") as file:
        personal = [row for row in csv.DictReader(file) if row["personal"] == "1"]
    allowed = {row["header"] for row in personal if not (forbidden(row["header"]) or forbidden(row["column_code"]))}
    # Mixed columns: they may hold an organisation's name or code, and the guard reads their cells.
    assert allowed == {"失信被执行人姓名/名称", "身份证号码/组织机构代码"}


_NAMES_ONLY = ("emission", "drug", "environment", "penalty-platform", "mdb", "us-epa")


@pytest.mark.parametrize("source", [s for s in SOURCES if s.rows < 1_300], ids=lambda source: source.name)
def test_every_small_source_is_read_whole_and_a_name_alone_records_nobody(source):
    found = checked(source.name, source.mapping, source.department)
    assert found.rows == sum(found.outcomes.values()) == source.rows
    assert found.outcomes["refused"] == 0
    if source.mapping.startswith(_NAMES_ONLY) and "popup" not in source.name:
        assert found.outcomes["good"] == 0
        assert found.reasons["subject_unresolved"] >= source.rows - 1
    if source.mapping.startswith("br-"):
        assert found.outcomes["good"] > 0.93 * source.rows
