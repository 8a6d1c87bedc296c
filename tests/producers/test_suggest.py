"""`mappings new`: what a file of an unknown form becomes, what is asked, and that no value of it is copied."""

import csv
import io
import json
import random
import re
import tomllib
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from mapped_rows import GOOD_CODE, shipped

from producers.__main__ import answer
from producers.check import check
from producers.header_words import TABLE, folded, header_words
from producers.mapping import load_file
from producers.mapping_cases import cases_path, read_cases, try_cases
from producers.mapping_file import forbidden, parse
from producers.readers import read
from producers.simulate.files import write_files
from producers.simulate.people import resident_number
from producers.suggest import draft, looks_of, percent
from producers.suggest_columns import words_of
from producers.suggest_toml import cases_text, heading, mapping_text
from schemas import reference
from schemas.catalogue import catalogue
from schemas.errors import EXIT_INPUT, EXIT_SOME_NOT_GOOD, InputError
from schemas.settings import Settings

TABLES = reference.load(None)

PENALTIES = """\
某市水利局处罚台账,,,,,,,,
被处罚单位,统一社会信用代码,法定代表人,处罚决定书文号,违法事实,处罚种类,罚款金额（万元）,处罚决定日期,决定机关
泉城商贸有限公司,91370100XXXX01011Q,赵甲乙,泉水罚〔2026〕1号,未经批准取水,罚款,2,2026年3月2日,泉城市水利局
历下建材有限公司,91370100XXXX0102XG,钱丙丁,泉水罚〔2026〕2号,侵占河道,罚款；责令改正,0.5,2026-03-05,泉城市水利局
千佛山茶业有限公司,91370100XXXX01038G,孙戊己,泉水罚〔2026〕3号,擅自打井,约谈,,2026/3/9,泉城市水利局
大明湖餐饮有限公司,91370100XXXX00051M,李庚辛,泉水罚〔2026〕4号,超量取水,约谈,1,2026/3/9,泉城市水利局
"""


def written(folder: Path, text: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def proposed(path: Path, category: str = "", department: str = "", titles: bool = True):
    looks, above = looks_of(path, TABLES)
    return looks, draft(looks, TABLES, above if titles else (), category, department)


def text_of(path: Path, category: str = "", department: str = "") -> str:
    _, made = proposed(path, category, department)
    return mapping_text(made, heading(made, TABLES.departments.get(department), 4))


def column(header: str, *values: str) -> str:
    """A file of penalties with one column more."""
    buffer = io.StringIO()
    rows = [["处罚决定书文号", "统一社会信用代码", header], *(["", "", value] for value in values)]
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue()


def questions_of(path: Path) -> list[str]:
    return [question.text for question in proposed(path, "penalty")[1].questions]


# -- a form of its own -------------------------------------------------------------------------------------------------


def test_known_headers_load_without_an_edit_and_the_same_file_can_be_checked(tmp_path):
    path = written(tmp_path, PENALTIES)
    mapping = load_file(written(tmp_path, text_of(path), "water.toml"), Settings())
    found = check(path, mapping, "", TABLES)
    assert (found.rows, found.reasons) == (4, {"code_unknown": 2})  # 约谈 is no kind that our list knows
    assert mapping.category == "penalty"


def test_each_column_says_why_it_is_what_it_is(tmp_path):
    text = text_of(written(tmp_path, PENALTIES))
    assert "# 统一社会信用代码: by its header; 100 % of 4 values are good codes." in text
    assert "# 处罚决定日期: by its header; 100 % read as dates." in text
    assert "# 罚款金额（万元）: by its header; 100 % read as amounts; the unit stands in the header." in text
    assert '"法定代表人",  # about a person' in text
    assert '"违法事实",  # free text, in which names hide' in text


def test_a_word_of_a_code_list_is_asked_about_and_no_other_value_is_copied(tmp_path):
    text = text_of(written(tmp_path, PENALTIES))
    assert '# "约谈" = []  # in 2 rows' in text
    for row in csv.reader(PENALTIES.splitlines()[2:]):
        for cell in row:
            assert len(cell) < 2 or cell in ("罚款", "约谈") or cell not in text, cell


def test_the_first_case_of_a_proposal_passes_and_holds_no_cell_of_the_file(tmp_path):
    path = written(tmp_path, PENALTIES.replace("91370100XXXX00051M", "91370100XXXX000787"))
    _, made = proposed(path)
    toml = written(tmp_path, mapping_text(made, heading(made, None, 4)), "water.toml")
    cases = written(tmp_path, cases_text(made, "water"), cases_path(toml).name)
    assert all(tried.passed for tried in try_cases(load_file(toml, Settings()), read_cases(cases), TABLES))
    assert "泉水罚" not in cases.read_text("utf-8")


def test_a_proposal_loads_for_every_category(tmp_path):
    looks, titles = looks_of(written(tmp_path, PENALTIES), TABLES)
    for category in catalogue():
        made = draft(looks, TABLES, titles, category)
        text = mapping_text(made, heading(made, None, 4))
        assert parse(category, text).category == category


# -- what is never copied ----------------------------------------------------------------------------------------------


def test_nothing_of_the_rows_of_six_departments_gets_into_their_proposals(tmp_path):
    """Made-up files with persons and dirt; words of our own lists may stand in both."""
    ours = {word for groups in header_words().cells.values() for group in groups for word in group}
    for entry in write_files(tmp_path, 11, 60, date(2026, 11, 20), TABLES):
        path = tmp_path / entry.file
        looks, made = proposed(path, "penalty")
        text = mapping_text(made, heading(made, None, 1)) + cases_text(made, "own")
        may_stand = ours | {word for look in looks for word in look.words} | {look.header for look in looks}
        for cell in values_of(path, entry.mapping):
            assert cell in may_stand or len(cell) < 3 or f'"{cell}"' not in text, (entry.file, cell)


def values_of(path: Path, mapping: str) -> set[str]:
    chunks = read(path, shipped(mapping).layout)
    return {cell for chunk in chunks for name in chunk.cells.columns for cell in chunk.cells[name].to_list()}


@pytest.mark.parametrize("disguise", [lambda number: number, lambda number: " ".join(re.findall(".{1,4}", number))])
def test_a_personal_number_in_the_headers_row_is_not_copied(tmp_path, disguise):
    number = disguise(resident_number(random.Random(4)))
    path = written(tmp_path, PENALTIES.replace("决定机关\n", f"决定机关{number}\n"))
    text = text_of(path)
    assert number not in text
    assert "1 column has no header that can be shown here" in text


def test_a_file_without_a_header_is_refused_and_its_first_row_is_not_shown(tmp_path):
    path = written(tmp_path, f"泉城商贸有限公司,{GOOD_CODE},2026-03-02\n历下建材有限公司,{GOOD_CODE},2026-03-02\n")
    with pytest.raises(InputError) as caught:
        looks_of(path, TABLES)
    assert "no row among its first 20 looks like a header" in str(caught.value)
    assert GOOD_CODE not in str(caught.value)


def test_words_are_shown_only_where_they_can_tell_nobody(tmp_path):
    cells = ["罚款"] * 3 + ["罚款;警告"] * 2 + ["赵甲乙"] * 2 + ["泉城商行"] * 2 + ["编号7"] * 2 + ["约谈"]
    assert words_of(pl.Series("处罚种类", cells)) == ({"罚款": 5, "警告": 2}, True)
    assert words_of(pl.Series("名称", [f"词{'甲乙丙丁'[n % 4]}{chr(0x4E00 + n)}" for n in range(40)] * 2)) == (
        {},
        False,
    )


# -- what is asked -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "values", "asked"),
    [
        ("罚款数额", ["20000", "500"], "in 元 or in 万元?"),
        ("处罚日期", ["昨天", "前天"], "only 0 % of its values can be read as dates"),
        ("决定日期", ["01/02/2026", "03/04/2026"], "does the day stand first or the month?"),
        ("处罚种类", ["泉城市水利局", "历下区水务局"], "swapped columns?"),
        ("处罚机关", ["罚款", "罚款"], "are columns swapped?"),
        ("处罚文号", ["2026-01-02", "2026-03-04"], "look like dates"),
        ("纳税人识别号", ["泉城商贸有限公司"], "look like names; which column holds the code?"),
        ("甲", ["2026-01-02", "2026-03-04"], "甲: its values are dates; of what?"),
        ("乙", ["泉水罚〔2026〕1号"], "乙: its values look like document numbers"),
        ("丙", ["https://example.org/1"], "丙: its values are web addresses"),
        ("丁", ["一些话"], "丁: what is this?"),
    ],
)
def test_what_is_unsure_is_a_question(tmp_path, header, values, asked):
    assert any(asked in question for question in questions_of(written(tmp_path, column(header, *values))))


def test_what_a_record_of_the_category_needs_and_has_not_is_asked_for(tmp_path):
    path = written(tmp_path, "企业名称,处罚种类\n泉城商贸有限公司,罚款\n")
    asked = questions_of(path)
    assert asked[0].startswith("Which column identifies the organisation?")
    assert any("needs document_number" in question for question in asked)
    assert any(question.startswith("Who decides?") for question in asked)


def test_the_one_authority_of_a_department_decides_where_no_column_names_it(tmp_path):
    text = text_of(written(tmp_path, PENALTIES.replace("决定机关", "甲")), department="procurement")
    only = [a.name for a in TABLES.authorities.by_code.values() if a.department == "procurement"]
    assert ('constant = "' + only[0] in text) == (len(only) == 1)
    assert ("Who decides?" in text) == (len(only) != 1)


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        (["2万元", "5000元"], ["explicit_currency = true"]),
        (["31/12/2025", "01/02/2026"], ['date = "dmy"']),
    ],
)
def test_what_the_values_prove_is_written_without_a_question(tmp_path, values, lines):
    header = "罚款数额" if "元" in values[0] else "决定日期"
    text = text_of(written(tmp_path, column(header, *values)), "penalty")
    assert all(f"\n{line}\n" in text for line in lines)


def test_states_that_are_words_become_operations_and_numbers_become_a_question(tmp_path):
    words = text_of(written(tmp_path, column("当前状态", "有效", "撤销", "有效", "冻结", "冻结")), "penalty")
    assert '\n[fields.operation]\nfrom = "state_code"' in words
    assert '#   "冻结" in 2 rows' in words
    numbers = text_of(written(tmp_path, column("当前状态", "0", "1", "0")), "penalty")
    assert "\n# [fields.operation]\n" in numbers


def test_a_code_that_proves_itself_needs_no_header(tmp_path):
    codes = ["91370100XXXX01011Q", "91370100XXXX0102XG", "91370100XXXX01038G"]
    path = written(tmp_path, "企业名称,编码,处罚决定书文号\n" + "".join(f"公司,{code},1号\n" for code in codes))
    _, made = proposed(path)
    assert [use.why for use in made.uses["subject_code"]] == ["its values: 100 % of 3 are good codes of organisations"]


def test_of_two_columns_for_one_field_the_fuller_known_one_is_taken_and_the_other_asked_about(tmp_path):
    path = written(tmp_path, "处罚决定书文号,处罚决定日期,决定日期\n1号,2026-01-02,\n2号,2026-01-03,2026-01-04\n")
    _, made = proposed(path, "penalty")
    assert [use.look.header for use in made.uses["decided_on"]] == ["处罚决定日期"]
    assert any("决定日期: also looks like decided_on" in question.text for question in made.questions)


def test_rows_deep_in_json_are_named_and_a_name_below_a_name_of_something_is_asked_about(tmp_path):
    party = {
        "企业名称": "泉城商贸有限公司",
        "agent": {"name": "赵甲乙"},
        "ids": {"统一社会信用代码": "91370100XXXX01011Q"},
    }
    document = {"data": [{"decision": {"文号": "泉罚〔2026〕1号"}, "parties": [party]}]}
    path = written(tmp_path, json.dumps(document, ensure_ascii=False), "a.json")
    toml = tmp_path / "deep.toml"
    arguments = ["--out", str(toml), "--rows", "data[].parties[]", "--category", "penalty"]
    assert answer(["mappings", "new", str(path), *arguments]) == 0
    text = toml.read_text("utf-8")
    assert 'rows = "data[].parties[]"' in text
    assert 'headers = ["ids.统一社会信用代码"]' in text
    assert 'headers = ["decision.文号"]' in text
    assert "# agent.name: what is this?" in text
    assert "赵甲乙" not in text


def test_no_share_below_all_is_said_to_be_all():
    assert [percent(share) for share in (0, 0.5, 0.991, 0.9999, 1)] == [
        "0 %",
        "50 %",
        "over 99 %",
        "over 99 %",
        "100 %",
    ]


# -- the table of words ------------------------------------------------------------------------------------------------

_DROPPED = ("representative", "person", "free_text", "score", "other", "currency")


def test_each_spelling_means_one_thing():
    lines = [line for line in table_lines() if line["match"] == "exact"]
    seen: dict[str, str] = {}
    for line in lines:
        for word in line["words"].split("|"):
            meaning = seen.setdefault(folded(word), line["meaning"])
            assert meaning == line["meaning"], word


def table_lines() -> list[dict[str, str]]:
    return list(csv.DictReader(line for line in TABLE.read_text("utf-8").splitlines() if not line.startswith("#")))


def test_no_spelling_that_a_mapping_may_not_read_is_given_to_a_field():
    allowed = ("papers", "content", "party_class")
    for line in table_lines():
        if line["match"] in ("exact", "within") and line["meaning"] not in (*_DROPPED, *allowed):
            assert not [word for word in line["words"].split("|") if forbidden(word)], line["meaning"]


@pytest.mark.parametrize(
    ("header", "meaning"),
    [
        ("行行政政处处罚罚决决定定书书文文号号", "document_number"),
        ("行政处罚决定书文号：", "document_number"),
        ("行政处罚决定文书号 东地一所", "document_number"),
        ("公司 统一社会信用代码", "subject_code"),
        ("处罚机关统一社会信用代码", "authority_code"),
        ("处罚机关负责人", "representative"),
        ("法定代表人居民身份证号", "representative"),
        ("行政相对人代码-4（居民身份证号）", "papers"),
        ("data início sanção", "valid_from"),
        ("Razon Social", "subject_name"),
        ("companyName", "subject_name"),
        ("信用分", "score"),
        ("出发事由", "free_text"),
    ],
)
def test_headers_are_known_by_whole_or_part(header, meaning):
    recognised = header_words().recognise(header)
    assert recognised is not None
    assert recognised.meaning == meaning


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command_writes_a_mapping_and_its_case_and_says_what_comes_next(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, PENALTIES)
    assert answer(["mappings", "new", str(path), "--name", "water"]) == 0
    said = capsys.readouterr().out
    assert "water.toml: a proposed mapping, category penalty" in said
    assert "mappings test water.toml" in said
    assert answer(["mappings", "test", "water.toml"]) == 0
    assert answer(["check", str(path), "--mapping", "water.toml"]) == EXIT_SOME_NOT_GOOD


def test_the_answer_for_machines_names_columns_questions_and_outcomes(tmp_path, capsys):
    path = written(tmp_path, PENALTIES)
    assert answer(["mappings", "new", str(path), "--out", str(tmp_path / "water.toml"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["columns"]["决定机关"]["becomes"] == "authority_name"
    assert said["dropped"] == {"法定代表人": "about a person", "违法事实": "free text, in which names hide"}
    assert (said["loads"], said["outcomes"], said["known_already"][0]) == (
        True,
        {"good": 2, "quarantined": 2},
        "penalty-2018",
    )
    assert tomllib.loads((tmp_path / "water.toml").read_text("utf-8"))["category"] == "penalty"


def test_a_proposal_with_no_identifier_says_that_it_does_not_load_yet(tmp_path, capsys):
    path = written(tmp_path, "企业名称,处罚决定书文号\n泉城商贸有限公司,1号\n")
    assert answer(["mappings", "new", str(path), "--out", str(tmp_path / "own.toml")]) == EXIT_SOME_NOT_GOOD
    assert "does not load yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{missing}"], "there is no such file"),
        (["{good}", "--category", "penality"], "penality is no category of the catalogue"),
        (["{good}", "--department", "nobody"], "registered are"),
        (["{good}", "--name", "Wasser Nr 1"], "lower-case letters, digits and hyphens"),
        (["{good}", "--out", "{folder}/a.csv"], "a file NAME.toml"),
        (["{good}", "--out", "{folder}/water.toml", "--name", "fire"], "say different names"),
        (["{good}", "--out", "{folder}/there.toml"], "it is there already"),
        (["{good}", "--out", "{folder}/no/water.toml"], "choose another folder"),
        (["{plain}"], "say it with --category"),
        (["{empty}"], "has no rows"),
    ],
)
def test_an_error_is_one_sentence_and_nothing_is_written(tmp_path, capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    files = {
        "good": written(tmp_path, PENALTIES),
        "plain": written(tmp_path, "企业名称,统一社会信用代码\n泉城商贸有限公司,91370100XXXX01011Q\n", "plain.csv"),
        "empty": written(tmp_path, "企业名称,统一社会信用代码\n", "empty.csv"),
        "missing": tmp_path / "missing.csv",
        "folder": tmp_path,
    }
    written(tmp_path, "", "there.toml")
    before = sorted(tmp_path.iterdir())
    assert answer(["mappings", "new", *(argument.format(**files) for argument in arguments)]) == EXIT_INPUT
    said = capsys.readouterr()
    assert words in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before
