"""`mappings test`: cases that pass, cases that fail and say how, and the cases of every shipped mapping."""

import json
from pathlib import Path

import polars as pl
import pytest
from mapped_rows import GOOD_CODE, write_mapping

from producers.__main__ import answer
from producers.mapping import load, load_file, mappings
from producers.mapping_cases import cases_path, read_cases, try_cases
from producers.mapping_commands import find
from producers.readers import Chunk
from schemas import reference
from schemas.errors import EXIT_INPUT, EXIT_SOME_NOT_GOOD, InputError
from schemas.settings import Settings

MAPPING = """
version = 3
title_zh = "示例"
title_en = "example"
source = "a test"
category = "penalty"
subject_ids = [{ scheme = "?", column = "code" }]
[columns.code]
headers = ["统一社会信用代码"]
[persons]
dropped = ["备注"]
words.party = ["自然人"]
[columns.party]
headers = ["类别"]
[fields.subject_name]
headers = ["企业名称"]
[fields.authority_name]
headers = ["机关"]
[fields.document_number]
headers = ["文号"]
[fields.decided_on]
headers = ["日期"]
required = true
[fields.fine_fen]
headers = ["罚款"]
[fields.source_version]
headers = ["更新时间"]
[fields.classes]
headers = ["种类"]
"""
ROW = f"""
[row]
"统一社会信用代码" = "{GOOD_CODE}"
"企业名称" = "泉城商贸有限公司"
"机关" = "某机关"
"文号" = "泉罚〔2026〕7号"
"日期" = "2026-03-02"
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    write_mapping(tmp_path, "own", MAPPING)
    return tmp_path / "own.toml"


def tried(own: Path, case: str):
    cases_path(own).write_text(ROW + '[[case]]\nwhy = "it"\n' + case, "utf-8")
    (one,) = try_cases(load_file(own, Settings()), read_cases(cases_path(own)), reference.load(None))
    return one


@pytest.mark.parametrize(
    "case",
    [
        f'event = {{ subject_ids = ["?:{GOOD_CODE}"], decided_on = 2026-03-02, valid_to = "", faults = [] }}',
        'cells = { "罚款" = "20元", "种类" = "罚款；警告" }\nevent = { fine_fen = 2000, classes = ["罚款", "警告"] }',
        'cells = { "更新时间" = "2026-03-02 08:00:00" }\nevent = { source_version = 2026-03-02T00:00:00 }',
        'cells = { "日期" = "昨天" }\nevent = { faults = ["value_unreadable:decided_on"] }'
        '\nreason = "value_unreadable"',
        'cells = { "类别" = "自然人" }\nreason = "person_row"\nevents = []',
        'cells = { "备注" = "不读" }\nevent = { operation = "report" }',
        'cells = { "文号" = "" }\nreason = "identity_incomplete"',
    ],
)
def test_a_case_that_says_what_becomes_of_the_row_passes(own, case):
    assert tried(own, case).differences == ()


@pytest.mark.parametrize(
    ("case", "difference"),
    [
        ("event = { decided_on = 2026-03-03 }", ("decided_on", "2026-03-03", "2026-03-02")),
        ('event = { classes = ["罚款"] }', ("classes", "罚款", "")),
        (
            'cells = { "日期" = "昨天" }\nevent = { operation = "report" }',
            ("reason", "none: a good row", "value_unreadable"),
        ),
        ('reason = "person_row"', ("reason", "person_row", "none: a good row")),
        ("events = [{}, {}]", ("events", "2", "1")),
        ('cells = { "曰期" = "昨天" }\nevent = {}', ("header", "one that the mapping knows", "曰期")),
    ],
)
def test_a_case_that_says_something_else_fails_with_expected_and_got(own, case, difference):
    assert tried(own, case).differences == (difference,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[case]]\nwhy = 1", "why is missing"),
        ("", "it holds no [[case]]"),
        ('[[case]]\nwhy = "x"', "it must say event, events or reason"),
        ('[[case]]\nwhy = "x"\nevnt = {}', "evnt is no part of a case"),
        ('[[case]]\nwhy = "x"\nevent = { decided = "" }', "decided is no field of an event"),
        ('[[case]]\nwhy = "x"\nreason = "bad"', "bad is no reason"),
        ('[[case]]\nwhy = "x"\nevent = {}\nevents = []', "exclude each other"),
        ('[[case]]\nwhy = "x"\nevents = 1', "must be a list of tables"),
        ('[[case]]\nwhy = "x"\nevent = 1', "must be a list of tables"),
        ('row = 1\n[[case]]\nwhy = "x"\nevent = {}', "row must be a table of texts"),
        ('[[case]]\nwhy = "x"\ncells = { a = 1 }\nevent = {}', "cells must be a table of texts"),
        ('title = "x"\n[[case]]\nwhy = "x"\nevent = {}', "title must be a list of texts"),
        ("case = [1]", "must be a table"),
        ("[[case", "this is not TOML"),
    ],
)
def test_what_is_wrong_with_a_file_of_cases_is_said_in_one_sentence(tmp_path, text, words):
    path = tmp_path / "own.cases.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError) as caught:
        read_cases(path)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_no_cases_is_said_with_what_to_do(tmp_path):
    with pytest.raises(InputError, match="there is no such file; mappings new writes one"):
        read_cases(tmp_path / "own.cases.toml")


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command_says_pass_or_fail_and_its_exit_code_says_so_too(own, capsys):
    cases_path(own).write_text(ROW + '[[case]]\nwhy = "good"\nevent = { decided_on = 2026-03-02 }\n', "utf-8")
    assert answer(["mappings", "test", str(own)]) == 0
    assert "own: 1 of 1 cases pass" in capsys.readouterr().out
    with cases_path(own).open("a", encoding="utf-8") as file:
        file.write('[[case]]\nwhy = "bad"\nevent = { fine_fen = 1 }\n')
    assert answer(["mappings", "test", str(own)]) == EXIT_SOME_NOT_GOOD
    said = capsys.readouterr().out
    assert "FAIL" in said
    assert "own: 1 of 2 cases pass" in said


def test_the_command_for_machines_lists_each_case(own, capsys):
    cases_path(own).write_text(ROW + '[[case]]\nwhy = "bad"\nevent = { fine_fen = 1 }\n', "utf-8")
    assert answer(["mappings", "test", str(own), "--json"]) == EXIT_SOME_NOT_GOOD
    said = json.loads(capsys.readouterr().out)
    assert (said["mapping"], said["version"], said["passed"], said["failed"]) == ("own", 3, 0, 1)
    assert said["cases"][0]["differences"] == [{"what": "fine_fen", "expected": "1", "got": ""}]


def test_cases_may_lie_elsewhere(own, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XINLIU_MAPPINGS", str(tmp_path))
    elsewhere = tmp_path / "cases.txt"
    elsewhere.write_text(ROW + '[[case]]\nwhy = "good"\nevent = {}\n', "utf-8")
    assert answer(["mappings", "test", "own", "--cases", str(elsewhere)]) == 0
    assert answer(["mappings", "test", "own"]) == EXIT_INPUT
    assert "there is no such file" in capsys.readouterr().err


def test_a_file_of_cases_beside_a_mapping_is_no_mapping(own, tmp_path):
    cases_path(own).write_text("", "utf-8")
    assert "own.cases" not in {one.name for one in mappings(Settings(mappings_dir=tmp_path))}


def test_a_mapping_is_found_by_name_or_by_the_path_of_its_file(own, tmp_path):
    assert find(str(own), Settings()).name == find("own", Settings(mappings_dir=tmp_path)).name == "own"
    with pytest.raises(InputError, match="there is no such file"):
        find(str(tmp_path / "none.toml"), Settings())


def test_the_adapter_refuses_by_the_reference_tables_that_the_settings_name(tmp_path):
    """A folder that takes cooperatives out of scope: their rows are refused before anything is sent."""
    shipped = Path(reference.__file__).parent / "uscc_prefixes.csv"
    lines = shipped.read_text("utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("9,")]
    (tmp_path / "uscc_prefixes.csv").write_text("\n".join(kept) + "\n", "utf-8")
    cells = pl.DataFrame({"统一社会信用代码": ["91370100XXXX00051M"], "企业名称": ["泉城商贸有限公司"]})
    chunk = Chunk(cells, pl.Series("row", [2], dtype=pl.Int32), None)
    assert load("registration-cn", Settings()).apply(chunk).refused.height == 0
    refused = load("registration-cn", Settings(reference_dir=tmp_path)).apply(chunk).refused
    assert refused["reason"].to_list() == ["subject_out_of_scope"]
