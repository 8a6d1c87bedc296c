"""Proposals for real forms, where they lie; skipped with a reason where they do not."""

import csv

import polars as pl
import pytest
from test_real_files import shared_file

from producers.header_words import header_words
from producers.mapping_file import forbidden, parse
from producers.readers import read
from producers.suggest import DROPPED, AnyForm, draft, looks_of
from producers.suggest_toml import cases_text, heading, mapping_text
from schemas import reference

_TABLES = reference.load(None)
_MEANINGS = {
    "document_number": {"document_number"},
    "case_name": {"free_text"},
    "penalty_class": {"classes"},
    "facts": {"free_text"},
    "legal_basis": {"legal_bases"},
    "subject_name": {"subject_name"},
    "subject_uscc": {"subject_code"},
    "subject_uscc_or_tax_number": {"subject_code"},
    "subject_org_code": {"organisation_code", "other_code"},
    "subject_tax_number": {"tax_number", "subject_code", "other_code"},
    "subject_registration_number": {"registration_number"},
    "PERSONAL_id_number": {"papers"},
    "PERSONAL_representative": {"representative", "person"},
    "result": {"content"},
    "decision_date": {"decided_on"},
    "authority": {"authority_name"},
    "state": {"state"},
    "region": {"region"},
    "updated": {"source_version"},
    "publication_end": {"published_until"},
    "remark": {"free_text"},
    "performance": {"free_text"},
}


def test_each_spelling_that_crawlers_met_is_known_by_its_meaning():
    with shared_file("cn_field_templates/header_variants.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wrong = []
    for row in rows:
        recognised = header_words().recognise(row["header_as_printed"])
        if recognised is None or recognised.meaning not in _MEANINGS[row["meaning"]]:
            wrong.append((row["header_as_printed"], recognised))
    assert len(rows) == 107
    assert wrong == []


def test_no_header_that_is_marked_personal_in_real_templates_is_read_into_a_field():
    with shared_file("cn_field_templates/field_templates.csv").open(encoding="utf-8", newline="") as file:
        headers = {row["header"] or row["column_code"] for row in csv.DictReader(file) if row["personal"] == "1"}
    read = set()
    for header in headers:
        recognised = header_words().recognise(header)
        if recognised is not None and recognised.meaning not in (*DROPPED, "papers") and not forbidden(header):
            read.add(header)
    # Mixed columns: they may hold an organisation's name or code, and the guard reads their cells.
    assert read <= {"失信被执行人姓名/名称", "身份证号码/组织机构代码"}


@pytest.mark.parametrize(
    ("name", "category", "identified_by"),
    [
        ("cn_credit_blacklists/ecommerce_serious_2017.xlsx", "serious_list", "subject_code"),
        ("cn_credit_blacklists/logistics_serious_2017.xls", "serious_list", "subject_code"),
        ("cn_credit_blacklists/finance_judgment_debtors_2017.xlsx", "judgment_debtor", "organisation_code"),
        ("cn_field_templates/xzcf.xls", "", "registration_number"),
        ("cn_penalties_small/city_platform_penalty_row.json", "", "subject_code"),
        ("br_cgu_sanctions/cepim_2023-09.json.gz", "", "brazilian_code"),
        ("mx_sat_69b/listado_69b_2021-05-18.csv.gz", "serious_list", "mexican_code"),
    ],
)
def test_a_proposal_for_a_real_form_loads_and_copies_none_of_its_cells(name, category, identified_by):
    looks, titles = looks_of(shared_file(name), _TABLES)
    made = draft(looks, _TABLES, titles, category)
    text = mapping_text(made, heading(made, None, 1))
    parse("own", text)
    assert identified_by in made.ids, made.ids
    ours = header_words()
    known = {word for groups in ours.cells.values() for group in groups for word in group}
    known |= {look.header for look in looks} | {word for look in looks for word in look.words}
    for cell in values_of(name):
        assert cell in known or len(cell) < 4 or cell not in text + cases_text(made, "own"), cell


def values_of(name: str) -> set[str]:
    """The first cells of each column, as the proposal saw them."""
    chunk = next(iter(read(shared_file(name), AnyForm(mapping="any", columns=()), chunk_rows=300)))
    return set(pl.concat([chunk.cells[column] for column in chunk.cells.columns]).str.strip_chars().to_list())
