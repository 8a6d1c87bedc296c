"""Reference tables: what they say, how they are replaced, and what they refuse."""

import csv
import re
import shutil
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from case_tables import cases, shared_file

from schemas import reference
from schemas.errors import ConfigurationError
from schemas.reference.pilot_units import UNITS_MAX, UNITS_MINIMUM, ZONE_GROUPS, load_pilot_units
from schemas.reference.regions import load_regions
from schemas.schemes import subject_tables
from schemas.subjects import resolve_subject
from schemas.uscc import examine_uscc

REGION_CASES = cases("regions")
SHIPPED = Path(reference.__file__).parent
MARKET_OF_JINAN = "11370100XXXX10022M"


def replaced(folder: Path, table: str, pattern: str, by: str) -> Path:
    """A folder with one shipped table in which lines were changed."""
    text = (SHIPPED / f"{table}.csv").read_text("utf-8")
    changed = re.sub(pattern, by, text, flags=re.MULTILINE)
    assert changed != text, "the test changed nothing"
    (folder / f"{table}.csv").write_text(changed, "utf-8")
    return folder


# -- regions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", REGION_CASES, ids=[f"{case['code']} {case['on']}" for case in REGION_CASES])
def test_a_region_is_what_it_was_or_became(case: dict[str, str]) -> None:
    on = date.fromisoformat(case["on"])
    assert load_regions().region_of(case["code"], on) == case["region"]
    column = load_regions().regions_of(pl.Series(["370100", case["code"], None]), pl.Series([on, on, on]))
    assert column.to_list() == ["370100", case["region"], ""]


def test_the_province_has_the_regions_of_2015_and_of_today() -> None:
    regions = load_regions().by_code.values()

    def standing(level: str, year: int) -> int:
        return sum(
            region.level == level and (region.from_year or 0) <= year < (region.to_year or 9999) for region in regions
        )

    assert (standing("prefecture", 2015), standing("county", 2015)) == (17, 137)
    assert (standing("prefecture", 2026), standing("county", 2026)) == (16, 136)


def test_lineage_goes_up_to_the_province() -> None:
    assert load_regions().lineage("371202", date(2015, 1, 1)) == ("371202", "371200", "370000")
    assert load_regions().lineage("371202", date(2020, 1, 1)) == ("370116", "370100", "370000")
    assert load_regions().lineage("110101", date(2020, 1, 1)) == ()


@pytest.mark.parametrize(
    ("pattern", "by", "sentence"),
    [
        (r"^370181,.*$", "370181,章丘市,county,370100,,2016,370199", "successor"),
        (r"^370181,.*$", "370181,章丘市,county,370100,,2016,370181", "successor"),
        (r"^370181,.*$", "370181,章丘市,county,379900,,,", "parent"),
        (r"^370181,.*$", "370181,章丘市,village,370100,,,", "level"),
        (r"^370181,.*$", "370181,章丘市,county,370100,,twenty,", "year"),
        (r"^370000,.*$", "", "parent"),
    ],
)
def test_regions_that_contradict_themselves_are_refused(tmp_path: Path, pattern: str, by: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        load_regions(replaced(tmp_path, "regions", pattern, by))


# -- departments and authorities ------------------------------------------------------------------------------------


def test_an_authority_is_found_by_its_code_or_by_any_of_its_names() -> None:
    names = [
        "任意名称",
        "济南市市场监督管理局（演示）",
        " 济南市 市场监督管理局(演示) ",
        "济南市工商行政管理局（演示）",
        "无名局",
    ]
    names += ["济南市市场监督管理局（演示）", "SAT", "controladoria", "某局"]
    codes = [
        MARKET_OF_JINAN,
        None,
        "",
        "/",
        "无",
        "11370100XXXX10022N",
        "",
        "mx-rfc:SAT970701NN3",
        "11370100XXXX00019J",
    ]
    found = reference.load().resolve_authorities(pl.Series(names), pl.Series(codes, dtype=pl.String))
    assert found["authority_code"].to_list() == [
        *[MARKET_OF_JINAN] * 4,
        "",
        MARKET_OF_JINAN,  # its code fails the check: the name decides
        *["MX-RFC:SAT970701NN3"] * 2,
        "11370100XXXX00019J",  # a good code that no table holds
    ]
    assert found["authority_known"].to_list() == [True] * 4 + [False] + [True] * 3 + [False]
    assert found["authority_region"].to_list() == ["370100"] * 4 + ["", "370100", "", "", "370100"]


def test_codes_of_chinese_authorities_are_good_and_marked_fictional() -> None:
    for authority in reference.load().authorities.by_code.values():
        if authority.region:
            assert examine_uscc(authority.code)[1] is None
            assert authority.code[2:8] == authority.region
            assert authority.fictional
            assert "XXXX" in authority.code


def test_ranks_are_decider_superior_anyone() -> None:
    tables = reference.load()
    purchase = next(a.code for a in tables.authorities.by_code.values() if a.department == "procurement")
    pairs = [("market", MARKET_OF_JINAN), ("tax", MARKET_OF_JINAN), ("reform", purchase), ("procurement", purchase)]
    pairs += [("market", ""), ("market", "nobody"), ("nobody", MARKET_OF_JINAN)]
    expected = [3, 1, 2, 3, 1, 1, 1]
    assert [tables.rank(department, code) for department, code in pairs] == expected
    found = tables.ranks(pl.Series([d for d, _ in pairs]), pl.Series([c for _, c in pairs]))
    assert found.dtype == np.uint8
    assert found.tolist() == expected


def test_a_department_of_a_superior_authority_is_its_superior(tmp_path: Path) -> None:
    """Where county and city report through different departments, the city's may correct the county's."""
    folder = replaced(
        tmp_path, "authorities", rf"^(11370102\w+,.*),market,{MARKET_OF_JINAN},", r"\1,tax," + MARKET_OF_JINAN + ","
    )
    tables = reference.load(folder)
    county = next(
        a.code
        for a in tables.authorities.by_code.values()
        if a.superior_code == MARKET_OF_JINAN and a.department == "tax"
    )
    assert [tables.rank(department, county) for department in ("tax", "market", "court")] == [3, 2, 1]


def test_the_departments_are_the_six_of_the_demonstration_and_the_publishers_of_open_registers() -> None:
    departments = reference.load().departments
    assert [d.id for d in departments.values() if d.fictional] == [
        "market", "court", "tax", "environment", "procurement", "reform",
    ]  # fmt: skip
    assert [d.id for d in departments.values() if not d.fictional] == [
        "mx-sat", "br-cgu", "br-mg", "world-bank", "iadb", "us-epa",
    ]  # fmt: skip
    assert all(re.fullmatch("[a-z-]+", d) for d in departments)


@pytest.mark.parametrize(
    ("table", "pattern", "by", "sentence"),
    [
        ("departments", ",reform,7,true", ",nobody,7,true", "superior that is no department"),
        ("departments", ",,,7,true", ",,,weekly,true", "whole number of days"),
        ("authorities", ",mx-sat,,", ",nobody,,", "department that is none"),
        ("authorities", ",market,11370000XXXX10014M,370200", ",market,nobody,370200", "superior that is no authority"),
        ("authorities", "^MX-RFC:SAT970701NN3", "BR-CNPJ:26664015000148", "twice"),
    ],
)
def test_tables_that_do_not_fit_together_are_refused(
    tmp_path: Path, table: str, pattern: str, by: str, sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        reference.load(replaced(tmp_path, table, pattern, by))


# -- pilot units ----------------------------------------------------------------------------------------------------


def test_the_shipped_units_meet_the_minimum_and_are_fictional() -> None:
    units = load_pilot_units().units
    for kind, fewest in UNITS_MINIMUM.items():
        assert sum(unit.kind == kind for unit in units) >= fewest
    assert {unit.zone_group for unit in units if unit.kind == "county"} == set(ZONE_GROUPS)
    assert all(unit.fictional for unit in units)
    assert len(units) <= UNITS_MAX


@pytest.mark.parametrize(
    ("region", "department", "units"),
    [
        ("370114", "tax", {"county-zhangqiu", "city-jinan"}),
        ("370181", "tax", {"county-zhangqiu", "city-jinan"}),
        ("370171", "tax", {"park-lishan", "city-jinan"}),
        ("370100", "market", {"city-jinan", "sector-market"}),
        ("371202", "court", {"city-jinan"}),
        ("370200", "court", set()),
        ("", "environment", {"sector-environment"}),
        ("110101", "court", set()),
    ],
)
def test_an_event_counts_for_each_unit_it_belongs_to(region: str, department: str, units: set[str]) -> None:
    tables = reference.load()
    assert set(tables.units_of(region, department)) == units
    column = tables.pilot_units.units_for(pl.Series([region, None]), pl.Series([department, None]))
    assert [set(ids) for ids in column.to_list()] == [units, set()]


@pytest.mark.parametrize(
    ("pattern", "by", "sentence"),
    [
        (r"^city-linyi.*\n", "", "2 cities are fewer than the 3"),
        (r"^sector-market.*\n", "", "1 sector departments are fewer than the 2"),
        (r"^park-lishan.*\n", "", "9 parks are fewer than the 10"),
        (r"^county-yishui.*\n", "", "4 counties are fewer than the 5"),
        ("yimeng", "western_uplift", "yimeng has 0 counties"),
        ("yimeng", "elsewhere", "zone group"),
        (r"^(county-yishui)(.*)$", r"\1\2\n\1-b\2\n\1-c\2", "yimeng has 3 counties"),
        ("^city-linyi", "city-jinan", "twice"),
        (",371300,", ",371323,", "region code of a city"),
        (",,market,", ",,nobody,", "registered department"),
        (",P0171,", ",,", "code of its park"),
        (r"^(park-lishan)(.*)$", "\n".join(rf"\g<1>-{n}\2" for n in range(40)), "more than the 40"),
    ],
)
def test_fewer_units_than_the_guidance_asks_for_are_refused(
    tmp_path: Path, pattern: str, by: str, sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape("reading the reference table pilot_units.csv: ")) as error:
        load_pilot_units(replaced(tmp_path, "pilot_units", pattern, by))
    assert sentence in str(error.value)


# -- all tables -----------------------------------------------------------------------------------------------------


def test_a_folder_replaces_tables_file_by_file(tmp_path: Path) -> None:
    folder = replaced(tmp_path, "departments", "^court,", "courts,")
    shutil.copy(SHIPPED / "authorities.csv", folder / "authorities.csv")
    replaced_text = (folder / "authorities.csv").read_text("utf-8").replace(",court,", ",courts,")
    (folder / "authorities.csv").write_text(replaced_text, "utf-8")
    tables = reference.load(folder)
    assert "courts" in tables.departments
    assert "court" in reference.load().departments
    assert tables.regions.is_known("370100")


def test_subjects_are_resolved_with_the_tables_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "uscc_overrides.csv").write_text("code,source\n91110000600056171M,a test\n", "utf-8")
    ids = ["CN-USCC:91110000600056171M"]
    assert resolve_subject(ids, subject_tables(reference.load(tmp_path).directory)).warning == "check_overridden"
    assert resolve_subject(ids, subject_tables(reference.load().directory)).reason == "subject_code_invalid"


def test_a_table_without_a_column_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "departments.csv").write_text("id,name_zh\nmarket,x\n", "utf-8")
    with pytest.raises(ConfigurationError, match=r"departments\.csv in .*: the column name_en is missing"):
        reference.load(tmp_path)


def test_a_row_of_another_width_is_refused_with_a_sentence(tmp_path: Path) -> None:
    folder = replaced(tmp_path, "departments", "^court,", "court,one,more,")
    with pytest.raises(ConfigurationError, match="another number of cells"):
        reference.load(folder)


def test_a_file_that_is_no_text_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "departments.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="put a readable UTF-8 file there"):
        reference.load(tmp_path)


def test_the_table_agrees_with_the_revisions_of_the_standard() -> None:
    """Each code that GB/T 2260 listed from 2012 on, and when it went; parks and xx01 are their city's."""
    regions = load_regions(None)
    with shared_file("cn_gb2260_history/gb2260_1980_2019.csv").open(encoding="utf-8", newline="") as file:
        spans = [row for row in csv.DictReader(file) if row["code"].startswith("37")]
    listed = [row for row in spans if not row["last_revision"] or row["last_revision"] >= "201201"]
    for row in listed:
        code, ended = row["code"], row["last_revision"]
        if code[4] == "7" or code.endswith("01"):
            assert not regions.is_known(code) and regions.region_of(code, date(2015, 6, 1)) == code[:4] + "00"
            continue
        assert regions.is_known(code), code
        successor = regions.by_code[code].successor
        renamed = code == "371324"  # Cangshan became Lanling and kept its code
        gone = bool(ended) and not renamed
        assert bool(successor) == gone or successor in _AFTER_THE_LAST_REVISION, code
        if gone:
            assert abs((regions.by_code[code].to_year or 0) - int(ended[:4])) <= 1, code


_AFTER_THE_LAST_REVISION = {"370100", "370116", "370117", "370614", "371503"}
