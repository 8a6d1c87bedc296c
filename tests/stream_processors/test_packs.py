"""The packs as they are shipped, what a folder of one's own changes, and each fault in one sentence."""

import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from schemas.errors import ConfigurationError
from schemas.legal_basis import parse_legal_basis
from schemas.reference import load
from stream_processors.rules.packs import SHIPPED, load_packs
from stream_processors.rules.rule import Rule

RULES = load_packs().rules


def test_every_measure_and_incentive_has_a_rule() -> None:
    assert {rule.measure for rule in RULES.values() if rule.kind == "restriction"} == {
        f"M{number:02d}" for number in range(1, 12)
    }
    assert {rule.measure for rule in RULES.values() if rule.kind == "incentive"} == {f"I0{n}" for n in range(1, 6)}


def test_every_measure_of_the_table_is_named_by_a_pack() -> None:
    table = tomllib.loads((SHIPPED / "measures.toml").read_text("utf-8"))["measure"]
    assert {entry["code"] for entry in table} == {name.split("/")[1] for name in RULES}


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_says_who_decides_on_what_ground_and_for_how_long(rule: Rule) -> None:
    assert rule.bases and rule.sentence_zh and rule.sentence_en and rule.activity
    assert rule.max_months > 0 and rule.min_months <= rule.max_months
    assert set(rule.deciders) <= set(load(None).departments)
    for basis in rule.bases:
        if basis.startswith("《"):
            assert [str(provision) for provision in parse_legal_basis(basis) or []] in ([basis], []), basis
    if rule.kind == "restriction":
        assert rule.objection_days > 0
        assert not rule.repair_ends or (rule.repair_zh and rule.repair_en)
        assert rule.from_memory and "working days" in rule.memory, "no source was read for the window"


def test_no_field_of_a_rule_is_about_whom_it_restricts() -> None:
    assert not {field.name for field in fields(Rule)} & {"subjects", "subject_kind", "kinds", "persons", "restrictable"}


def test_the_maxima_of_the_law() -> None:
    """政府采购法第77条: 1 to 3 years; 招标投标法: Art. 53 1 to 2, Art. 54 1 to 3, contract breach 2 to 5 years."""
    maxima = {code: RULES[f"CN-36/{code}"].max_months for code in ("M02", "M03-53", "M03-54", "M03-60")}
    assert maxima == {"M02": 36, "M03-53": 24, "M03-54": 36, "M03-60": 60}


def test_a_folder_adds_packs_and_replaces_those_of_the_same_name(tmp_path: Path) -> None:
    shipped = (SHIPPED / "packs" / "mx-69b.toml").read_text("utf-8")
    (tmp_path / "mx-69b.toml").write_text(shipped.replace("objection_days = 15", "objection_days = 20"), "utf-8")
    (tmp_path / "more.toml").write_text(PACK, "utf-8")
    packs = load_packs(tmp_path)
    assert packs.rules["MX-69B/M09"].objection_days == 20
    assert "OWN/M08" in packs.rules
    assert set(RULES) < set(packs.rules)
    assert packs.heads["OWN"].title_en == "own"


def test_a_folder_changes_one_measure_for_every_pack(tmp_path: Path) -> None:
    table = (SHIPPED / "measures.toml").read_text("utf-8")
    entry = next(part for part in table.split("[[measure]]") if 'code = "M11"' in part)
    (tmp_path / "measures.toml").write_text("[[measure]]" + entry.replace("max_months = 12", "max_months = 6"), "utf-8")
    rules = load_packs(tmp_path).rules
    assert {rules[f"{pack}/M11"].max_months for pack in ("CN-2018", "CN-58", "CN-36")} == {6}
    assert rules["CN-36/M02"].max_months == 36


PACK = """name = "OWN"
title_zh = "自"
title_en = "own"
source = "made up"
from_day = 2020-01-01
[[rule]]
code = "M08"
min_months = 3
repair_zh = "改正"
repair_en = "correct"
"""
FAULTS = [
    ("min_months = 3", "min_months = 37", "no shortest duration beyond it"),
    ("min_months = 3", "max_months = 0", "needs a legal maximum"),
    ("min_months = 3", "min_months = true", "min_months is of the wrong type"),
    ("min_months = 3", "objection_days = 0", "needs a window for objections"),
    ("min_months = 3", "subjects = ['92']", "has a field subjects, which no rule has"),
    ("min_months = 3", "categories = ['x']", "names the category x, which the catalogue does not know"),
    ("min_months = 3", "categories = ['registration']", "nothing of the category registration can be evidence"),
    ("min_months = 3", "categories = ['listing']", "nothing of the category listing can be evidence"),
    ("min_months = 3", "categories = ['measure_notice']", "nothing of the category measure_notice can be evidence"),
    ("min_months = 3", "kind = 'score'", "is neither a restriction nor an incentive"),
    ("min_months = 3", "measure = 'M12'", "a restriction's measure is M01 to M11"),
    ("min_months = 3", "measure = 'I01'", "a restriction's measure is M01 to M11"),
    ("min_months = 3", "bases = []", "lacks bases"),
    ("min_months = 3", "bases = ['《法》']", "each of bases is a table with instrument, article"),
    ("min_months = 3", "bases = [{ instrument = '法' }]", "each of bases is a table with instrument, article"),
    ("min_months = 3", "when = { subject_kind = ['x'] }", "asks about subject_kind, which no condition can be about"),
    ("min_months = 3", "when = { item = 'x' }", "needs a list of words for item"),
    ("min_months = 3", "when = { fine_fen_from = 0 }", "needs a whole number of fen above 0"),
    ('repair_en = "correct"', "", "needs a repair path in Chinese and English"),
    ('code = "M08"', 'code = "M99"', "rule M99 lacks"),
    ('code = "M08"', "", "each rule needs a code"),
    ('code = "M08"', 'code = "I02"\nobjection_days = 3', "an incentive starts by itself"),
    ('name = "OWN"', 'name = "O/N"', "holds neither / nor @"),
    ('name = "OWN"', 'name = "CN-36"', "there is another pack of the name CN-36"),
    ('name = "OWN"', "name = ", "it is not TOML in UTF-8"),
    ('title_en = "own"', "", "the pack lacks title_en"),
    ("from_day = 2020-01-01", "", "the pack needs from_day"),
    ("from_day = 2020-01-01", "from_day = 2020-01-01\nto_day = 2019-01-01", "to_day is before from_day"),
    ("from_day = 2020-01-01", "from_day = 2020-01-01\nscore = 1", "a pack has no field score"),
    ("from_day = 2020-01-01", "from_day = 2020-01-01\njurisdiction = 'China'", "jurisdiction is CN, or the letters"),
    ("from_day = 2020-01-01", "from_day = 2020-01-01\njurisdiction = 'BR'", "no identifier of BR says which bodies"),
    ("[[rule]]", "[[rule]]\ncode = 'M08'\nrepair_ends = false\n[[rule]]", "OWN/M08 stands there twice"),
]


@pytest.mark.parametrize(("old", "new", "sentence"), FAULTS, ids=[f"{fault[1]!r}: {fault[2]}" for fault in FAULTS])
def test_each_fault_is_one_sentence(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    (tmp_path / "own.toml").write_text(PACK.replace(old, new, 1), "utf-8")
    with pytest.raises(ConfigurationError, match=r"^reading the rule pack own.toml: ") as found:
        load_packs(tmp_path)
    assert sentence in str(found.value)
    assert "\n" not in str(found.value)
