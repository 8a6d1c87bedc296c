"""Which rules speak about which record: the tables of cases of each pack, and what a rule can not ask."""

import csv
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.calendar import load_calendar
from stream_processors.match import match
from stream_processors.rules.conditions import cited_pattern
from stream_processors.rules.packs import Packs, load_packs, only

TABLES = Path(__file__).parents[1] / "cases" / "packs"
_PLAIN: dict[str, Any] = {
    "status": "valid",
    "subject_key": "org:XXXX00051",
    "category": "serious_list",
    "decided_on": date(2026, 5, 6),
    "item": "严重违法失信企业名单",
    "state": "",
    "grade": "",
    "authority_name": "",
    "region": "",
    "classes": [],
    "legal_bases": [],
    "fine_fen": None,
    "confiscated_fen": None,
    "amount_fen": None,
}
_TYPES = {
    "classes": pl.List(pl.String),
    "legal_bases": pl.List(pl.String),
    "decided_on": pl.Date,
    **dict.fromkeys(("fine_fen", "confiscated_fen", "amount_fen"), pl.Int64),
}


def records(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([_PLAIN | row for row in rows], schema_overrides=_TYPES)


def drafted(packs: Packs, **row: Any) -> list[str]:
    return match(records(row), packs)["rule"].to_list()


def rows_of(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader((TABLES / f"{table}.csv").read_text("utf-8").splitlines()))


@pytest.mark.parametrize("table", ["CN-2018", "CN-58", "CN-36", "SAMR-45", "SD-2020", "MX-69B"])
def test_every_row_of_the_table_drafts_what_it_says(table: str) -> None:
    rows = rows_of(table)
    frame = records(
        *(
            {name: row[name] for name in ("category", "item", "grade", "region")}
            | {
                "subject_key": "MX-RFC:ZZZ010101VZ4" if table == "MX-69B" else "org:XXXX00051",
                "decided_on": date.fromisoformat(row["decided_on"]),
                "classes": [kind for kind in row["kinds"].split(";") if kind],
                "legal_bases": [basis for basis in row["bases"].split(";") if basis],
            }
            for row in rows
        )
    )
    found: dict[int, list[str]] = {}
    for number, rule in match(frame, load_packs()).select("row", "rule").iter_rows():
        pack, code = rule.split("/")
        if pack == table:
            found.setdefault(number, []).append(code)
    for line, row in enumerate(rows, start=2):
        said = sorted(found.get(line - 2, []))
        assert said == sorted(filter(None, row["measures"].split(";"))), f"{table}.csv line {line}: {row['why']}"


def test_the_windows_for_objections() -> None:
    rules, calendar = load_packs().rules, load_calendar()
    rows = [row for row in rows_of("working_days") if not row["clock"]]
    assert rows
    for row in rows:
        days = rules[row["pack_or_rule"]].objection_days
        assert days == int(row["working_days"])
        found = calendar.add_working_days(date.fromisoformat(row["from"]), days)
        assert (str(found.day), "yes" if found.provisional else "no") == (row["until"], row["provisional"]), row


@pytest.mark.parametrize("status", ["annulled", "withdrawn", "repaired", "expired", "superseded", "conflicting"])
def test_only_a_valid_record_is_spoken_of(status: str) -> None:
    assert "CN-36/M02" in drafted(load_packs())
    assert drafted(load_packs(), status=status) == []


def test_a_law_speaks_of_no_bodies_of_another_jurisdiction() -> None:
    listed = {"item": "Definitivos, artículo 69-B del CFF"}
    assert drafted(load_packs(), **listed, subject_key="MX-RFC:ZZZ010101VZ4") == ["MX-69B/M09"]
    assert drafted(load_packs(), **listed) == ["CN-36/M02"]
    assert drafted(load_packs(), subject_key="BR-CNPJ:11222333000181") == []
    assert "CN-36/M02" in drafted(load_packs(), subject_key="reg:110108000000016")


def test_a_record_without_a_day_of_decision_is_not_spoken_of() -> None:
    assert drafted(load_packs(), decided_on=None) == []


def test_rows_are_those_of_the_batch_and_say_why() -> None:
    found = match(records({"status": "annulled"}, {"category": "licence"}, {"item": "名单"}), load_packs())
    assert found.rows() == [
        (
            2,
            "CN-36/M02",
            "CN-36 speaks of every valid record of serious_list decided from 2026-04-01 on: "
            "《政府采购法》（2014修正）第77条, 《政府采购法》（2014修正）第22条",
        )
    ]
    assert match(records({})[:0], load_packs()).height == 0


def test_conditions_are_all_met(tmp_path: Path) -> None:
    packs = own_pack(
        tmp_path,
        'when = { classes = ["吊销", "责令关闭"], fine_fen_from = 100, region = ["37", "36"], grade = ["D"] }',
    )
    whole = {
        "category": "penalty",
        "classes": ["罚款", "吊销许可证件"],
        "fine_fen": 100,
        "region": "360100",
        "grade": "D",
    }
    assert drafted(packs, **whole) == ["OWN/M08"]
    for change in (
        {"classes": ["罚款"]},
        {"classes": []},
        {"fine_fen": 99},
        {"fine_fen": None},
        {"region": "130736"},
        {"grade": "DD"},
    ):
        assert drafted(packs, **whole | change) == [], change


def test_a_pack_alone_speaks_for_its_days_or_for_all() -> None:
    old = {"decided_on": date(2025, 1, 1)}
    assert drafted(only(load_packs(), "CN-36"), **old) == []
    assert "CN-36/M02" in drafted(only(load_packs(), "CN-36", always=True), **old)
    assert set(only(load_packs(), "CN-36").heads) == {"CN-36"}


@pytest.mark.parametrize(
    ("cited", "found"),
    [
        ("《招标投标法》第53条", True),
        ("《中华人民共和国招标投标法》（2017修正）第53条第2款", True),
        ("《广告法》第1条\x1f《招标投标法》第53条", True),
        ("《招标投标法》第530条", False),
        ("《招标投标法》第53条之1", False),
        ("《招标投标法》第3条", False),
        ("《招标投标法实施条例》第53条", False),
        ("招标投标法第53条", False),
    ],
)
def test_a_provision_is_found_in_every_spelling_and_no_other_is(cited: str, found: bool) -> None:
    assert pl.Series([cited]).str.contains(cited_pattern("《招标投标法》第53条")).item() is found


def own_pack(folder: Path, line: str) -> Packs:
    """A folder's one pack alone, with one rule about penalties that holds this line."""
    (folder / "own.toml").write_text(
        'name = "OWN"\ntitle_zh = "自"\ntitle_en = "own"\nsource = "made up"\nfrom_day = 2020-01-01\n[[rule]]\n'
        'code = "M08"\nmin_months = 3\nrepair_zh = "改正"\nrepair_en = "correct"\ncategories = ["penalty"]\n' + line,
        "utf-8",
    )
    return only(load_packs(folder), "OWN")
