"""From rows to events: what a mapping says happens, and what the line forbids does not get through."""

import inspect
import random
import re
import tomllib
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from adapter_cases import CASES
from hypothesis import given, settings
from hypothesis import strategies as st
from mapped_rows import GOOD_CODE, PENALTY, chunk_of, event, events, mapped, shipped, write_mapping

from producers import mapping_file
from producers.mapping import load, mappings
from producers.readers import Chunk
from producers.simulate.people import resident_number
from schemas.avro import CREDIT_EVENT
from schemas.catalogue import catalogue
from schemas.errors import InputError
from schemas.settings import Settings

# -- a penalty ---------------------------------------------------------------------------------------------------------


def test_a_penalty_becomes_one_event():
    found = event("penalty-2018", PENALTY)
    filled = {name: value for name, value in found.items() if value not in ("", None, [], 0)}
    assert filled == {
        "source_row": 2,
        "reported_at": datetime(1970, 1, 1),
        "category": "penalty",
        "operation": "report",
        "mapping": "penalty-2018@1",
        "subject_ids": [f"?:{GOOD_CODE}"],
        "subject_name": "泉城商贸有限公司",
        "authority_name": "济南市市场监督管理局（演示）",
        "document_number": "济市监罚〔2023〕7号",
        "classes": ["罚款"],
        "legal_bases": ["《中华人民共和国广告法》第五十五条"],
        "fine_fen": 200_000,
        "decided_on": date(2023, 5, 8),
    }
    assert mapped("penalty-2018", PENALTY).events.schema.equals(CREDIT_EVENT.arrow)


def test_the_column_codes_say_the_same_as_the_chinese_headers():
    codes = ("CF_XDR_MC", "CF_XDR_LB", "CF_XDR_SHXYM", "CF_WSH", "CF_CFLB", "CF_YJ", "CF_NR_FK", "CF_JDRQ", "CF_CFJG")
    assert event("penalty-2018", dict(zip(codes, PENALTY.values(), strict=True))) == event("penalty-2018", PENALTY)


def test_a_unit_in_the_header_wins_over_the_mappings():
    row = PENALTY | {"罚款金额（万元）": "", "罚款金额(元)": "2,000.00"}
    del row["罚款金额（万元）"]
    assert event("penalty-2018", row)["fine_fen"] == 200_000


def test_identifiers_come_in_the_order_of_the_mapping_and_words_for_none_give_none():
    row = PENALTY | {
        "行政相对人代码_4(税务登记号)": "无",
        "行政相对人代码_3(组织机构代码)": "XXXX0005-1",
        "行政相对人代码_2 (工商注册号)": "370100000000016",
    }
    assert event("penalty-2018", row)["subject_ids"] == [
        f"?:{GOOD_CODE}",
        "CN-REG:370100000000016",
        "CN-ORG:XXXX0005-1",
    ]


@pytest.mark.parametrize(
    ("written", "classes"),
    [
        ("警告;罚款", ["警告", "罚款"]),
        ("没收违法所得、没收非法财物", ["没收违法所得", "没收非法财物"]),
        ("暂扣或者吊销许可证、暂扣或者吊销执照", ["暂扣许可证件", "吊销许可证件"]),
        ("对张某罚款2万元并没收违法所得", ["罚款", "没收违法所得"]),
        ("其他-限制业务", ["其他"]),
        ("", []),
    ],
)
def test_kinds_of_a_penalty_have_one_name_each(written, classes):
    assert event("penalty-2018", PENALTY | {"处罚类别": written})["classes"] == classes


def test_both_class_columns_of_2015_are_one_list():
    row = PENALTY | {"处罚类别": "警告", "处罚类别2": "罚款"}
    assert event("penalty-2018", row)["classes"] == ["警告", "罚款"]


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        ({"处罚决定日期": "五月"}, "value_unreadable:decided_on"),
        ({"处罚决定日期": ""}, "value_missing:decided_on"),
        ({"罚款金额（万元）": "若干"}, "value_unreadable:fine_fen"),
        ({"处罚类别": "口头教育"}, "code_unknown:classes"),
        ({"处罚类别": "罚款;口头教育"}, "code_unknown:classes"),
        ({"当前状态": "不明"}, "code_unknown:operation"),
        ({"处罚有效期": "2022/1/1"}, "dates_disagree:valid_to"),
        ({"处罚内容": "罚款2万元"}, "amounts_disagree:fine_fen"),
        ({"行政处罚决定书文号": "济市监\ufffd罚7号"}, "value_unreadable:document_number"),
    ],
)
def test_what_can_not_be_read_is_a_fault_and_the_event_goes_all_the_same(cells, fault):
    found = event("penalty-2018", PENALTY | cells)
    assert found["faults"] == [fault]
    assert found["subject_ids"] == [f"?:{GOOD_CODE}"]
    assert "\ufffd" not in str(found)


@pytest.mark.parametrize(
    "content", ["罚款2000元", "罚款人民币贰仟元整（￥2000）", "警告；处以罚款：2,000元", "罚款1万元，罚款2万元", ""]
)
def test_a_text_that_states_the_same_fine_or_several_is_no_contradiction(content):
    assert event("penalty-2018", PENALTY | {"处罚内容": content})["faults"] == []


@pytest.mark.parametrize(
    ("state", "operation"),
    [("0", "report"), ("正常", "report"), ("", "report"), ("1", "annul"), ("撤销", "annul"), ("已修复", "repair")],
)
def test_the_state_of_a_decision_says_what_the_row_does(state, operation):
    found = event("penalty-2018", PENALTY | {"当前状态": state})
    assert (found["operation"], found["state"], found["faults"]) == (operation, state, [])


# -- the line ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ({"行政相对人类别": "自然人"}, "party_class"),
        ({"行政相对人类别": " 自 然 人 "}, "party_class"),
        ({"证件号码": "x"}, "papers"),
        ({"行政相对人代码_4（居民身份证号）": "x"}, "papers"),
        ({"处罚类别": "行政拘留"}, "penalty_class"),
    ],
)
def test_a_row_about_a_person_is_refused_whole(cells, column):
    result = mapped("penalty-2018", PENALTY, PENALTY | cells, PENALTY)
    assert [found["source_row"] for found in events(result)] == [2, 4]
    assert result.refused.rows(named=True) == [{"row": 3, "reason": "person_row", "detail": column}]


def test_papers_are_seen_in_each_of_two_columns_of_that_name():
    chunk = chunk_of([PENALTY | {"证件号码": "", "证件号码 #2": "x"}])
    assert shipped("penalty-2018").apply(chunk).refused["reason"].to_list() == ["person_row"]


def test_a_word_for_none_in_the_papers_column_is_no_person():
    assert events(mapped("penalty-2018", PENALTY | {"证件号码": "无"}))


KEPT_CELLS = [
    "行政相对人名称",
    "行政相对人代码_1（统一社会信用代码）",
    "行政相对人代码_4(税务登记号)",
    "行政处罚决定书文号",
    "处罚依据",
    "处罚机关",
    "处罚机关统一社会信用代码",
    "当前状态",
    "网址",
]


@pytest.mark.parametrize("header", KEPT_CELLS)
@pytest.mark.parametrize("disguise", ["{}", "经办{}号", "{}\u3000"], ids=["plain", "in a text", "with a space"])
def test_a_personal_number_in_a_kept_cell_refuses_the_row_and_goes_nowhere(header, disguise):
    number = resident_number(random.Random(7))
    if header == "处罚依据":
        disguise = "《" + disguise + "号文件》第一条"
    result = mapped("penalty-2018", PENALTY | {header: disguise.format(number)})
    assert number not in str(result.events.to_pydict())
    assert number not in str(result.refused.to_dicts())
    if result.events.num_rows:  # a state that is not on the list is dropped, and the number with it
        assert events(result)[0]["faults"] == ["code_unknown:operation"]
    else:
        assert result.refused["reason"][0] in ("personal_number", "subject_is_person")


def test_dropped_columns_are_never_looked_at():
    number = resident_number(random.Random(3))
    row = PENALTY | {"法定代表人": "某人", "法定代表人证件号码": number, "违法事实": f"某人{number}", "备注": number}
    found = event("penalty-2018", row)
    assert found == event("penalty-2018", PENALTY)


def test_a_sole_trader_called_like_a_person_keeps_only_its_code():
    sole_trader = "92370100XXXX0006XA"
    code = "行政相对人代码_1（统一社会信用代码）"
    assert event("penalty-2018", PENALTY | {code: sole_trader, "行政相对人名称": "王小二"})["subject_name"] == ""
    assert event("penalty-2018", PENALTY | {code: sole_trader, "行政相对人名称": "小二百货商店"})["subject_name"]
    said = {code: "无", "行政相对人名称": "王小二", "行政相对人类别": "个体工商户"}
    assert event("penalty-2018", PENALTY | said)["subject_name"] == ""


@pytest.mark.parametrize(("name", "kept"), [("王小二", ""), ("泉城商贸有限公司", "泉城商贸有限公司")])
def test_a_name_without_a_good_code_is_kept_only_where_it_is_no_persons(name, kept):
    code = "行政相对人代码_1（统一社会信用代码）"
    for said in ("无", "91370100XXXX00052M"):
        assert event("penalty-2018", PENALTY | {code: said, "行政相对人名称": name})["subject_name"] == kept


def test_a_body_out_of_scope_is_refused_before_it_is_sent():
    church = "71370100XXXX00019"
    result = mapped(
        "penalty-2018", PENALTY, PENALTY | {"行政相对人代码_1（统一社会信用代码）": church + _check(church)}
    )
    assert result.refused.select("row", "reason").rows() == [(3, "subject_out_of_scope")]


def _check(first17: str) -> str:
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    return alphabet[(31 - sum(alphabet.index(c) * pow(3, i, 31) for i, c in enumerate(first17)) % 31) % 31]


# -- shapes ------------------------------------------------------------------------------------------------------------


def test_a_row_of_another_shape_is_an_event_with_nothing_but_that_fault():
    chunk = chunk_of([PENALTY, dict.fromkeys(PENALTY, "")])
    chunk = Chunk(chunk.cells, chunk.rows, pl.Series([None, "row_shape"]))
    found = events(shipped("penalty-2018").apply(chunk))
    assert [(row["source_row"], row["faults"], row["subject_ids"]) for row in found] == [
        (2, [], [f"?:{GOOD_CODE}"]),
        (3, ["row_shape:"], []),
    ]
    assert found[1]["category"] == "penalty"


def test_no_rows_give_no_events():
    result = shipped("penalty-2018").apply(
        chunk_of([PENALTY]).__class__(chunk_of([PENALTY]).cells.clear(), pl.Series("row", [], dtype=pl.Int32), None)
    )
    assert (result.events.num_rows, result.refused.height) == (0, 0)


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(6)))
def test_the_order_of_the_rows_changes_nothing_but_their_numbers(order):
    rows = [PENALTY | {"行政处罚决定书文号": f"第{i}号", "处罚类别": ["罚款", "?"][i % 2]} for i in range(6)]
    said = [dict(found, source_row=0) for found in events(mapped("penalty-2018", *(rows[i] for i in order)))]
    straight = [dict(found, source_row=0) for found in events(mapped("penalty-2018", *rows))]
    assert said == [straight[i] for i in order]


# -- other mappings ----------------------------------------------------------------------------------------------------


def test_a_licence_without_a_document_number_goes_by_its_own():
    row = {
        "XK_XDR_MC": "泉城商贸有限公司",
        "XK_XDR_SHXYM": GOOD_CODE,
        "XK_WSH": "/",
        "XK_XKBH": "JY137010000001",
        "XK_XKZS": "食品经营许可证",
        "XK_XKLB": "普通",
        "XK_JDRQ": "2022-03-01",
        "XK_YXQZ": "2022-03-01",
        "XK_YXQZI": "2099/12/31",
        "XK_ZT": "1",
    }
    found = event("licence-2018", row)
    assert (found["document_number"], found["item"], found["classes"]) == ("JY137010000001", "食品经营许可证", ["普通"])
    assert (found["valid_from"], found["valid_to"], found["operation"]) == (date(2022, 3, 1), None, "report")


def test_a_capital_that_is_not_plainly_yuan_is_left_out_and_is_no_fault():
    def capital(text: str) -> int | None:
        found = event(
            "registration-cn", {"企业名称": "泉城商贸有限公司", "统一社会信用代码": GOOD_CODE, "注册资金": text}
        )
        assert found["faults"] == []
        return found["amount_fen"]

    assert capital("200万人民币") == 200_000_000
    assert capital("1,000(万元人民币)") == 1_000_000_000
    assert [capital(text) for text in ("200(万)", "10(万美元)", "N/A", "若干")] == [None] * 4


def test_a_name_that_slid_into_the_column_of_types_is_not_kept():
    found = event("registration-cn", {"统一社会信用代码": GOOD_CODE, "企业类型": "张某某"})
    assert "张某某" not in str(found)


def test_a_rating_without_a_date_is_of_the_last_day_of_its_year():
    row = {"年份": "2016", "纳税人识别号": "370100XXXX00051", "评价单位": "演示省税务局", "纳税信用评级": "A"}
    found = event("tax-rating", row)
    assert (found["item"], found["grade"], found["decided_on"]) == ("纳税信用评价 2016", "A", date(2016, 12, 31))


def test_a_debtor_that_is_a_person_is_refused_by_its_number():
    number = resident_number(random.Random(1))
    row = {
        "失信被执行人姓名/名称": "某某",
        "身份证号码/组织机构代码": number,
        "案号": "（2024）鲁01执123号",
        "执行法院": "济南市中级人民法院（演示）",
    }
    result = mapped("court-debtor", row)
    assert result.events.num_rows == 0
    assert number not in str(result.refused.to_dicts())


# -- the Mexican list: one row, several events -------------------------------------------------------------------------

SAT = {
    "RFC": "ZZZ010101VZ4",
    "Nombre del Contribuyente": "EJEMPLO, S.A. DE C.V.",
    "Situación del contribuyente": "Presunto",
    "Número y fecha de oficio global de presunción SAT": "500-05-2018-1 de fecha 01 de junio de 2018",
    "Publicación página SAT presuntos": "02/06/2018",
    "Número y fecha de oficio global de contribuyentes que desvirtuaron SAT": "",
    "Número y fecha de oficio global de definitivos SAT": "",
    "Número y fecha de oficio global de sentencia favorable SAT": "",
}
DEFINITIVE = {"Número y fecha de oficio global de definitivos SAT": "500-05-2018-2 de fecha 27 de septiembre de 2018"}
RULING = {"Número y fecha de oficio global de sentencia favorable SAT": "500-05-2019-3 de fecha 5 de marzo de 2019"}
REBUTTAL = {
    "Número y fecha de oficio global de contribuyentes que desvirtuaron SAT": "500-05-2018-4 de 3 de julio de 2018"
}


def stages(row: dict[str, str]) -> list[tuple[str, str, str, str]]:
    return [
        (found["category"], found["operation"], found["document_number"], found["change_document_number"])
        for found in events(mapped("mx-sat-69b", row))
        if not found["category"].startswith("measure_")
    ]


def acts(row: dict[str, str]) -> list[tuple[str, str, str]]:
    return [
        (found["category"], found["operation"], found["document_number"])
        for found in events(mapped("mx-sat-69b", row))
        if found["category"].startswith("measure_")
    ]


PRESUMED = ("abnormal_list", "report", "500-05-2018-1", "")
CONFIRMED = ("serious_list", "report", "500-05-2018-2", "")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({}, [PRESUMED]),
        (DEFINITIVE, [PRESUMED, CONFIRMED]),
        (REBUTTAL, [PRESUMED, ("abnormal_list", "annul", "500-05-2018-1", "500-05-2018-4")]),
        (DEFINITIVE | RULING, [PRESUMED, CONFIRMED, ("serious_list", "annul", "500-05-2018-2", "500-05-2019-3")]),
        (RULING, [PRESUMED, ("abnormal_list", "annul", "500-05-2018-1", "500-05-2019-3")]),
        (
            DEFINITIVE
            | {
                "Número y fecha de oficio global de contribuyentes que desvirtuaron SAT": (
                    "500-05-2019-5 de fecha 2 de enero de 2019"
                ),
                "Situación del contribuyente": "Desvirtuado",
            },
            [
                PRESUMED,
                CONFIRMED,
                ("abnormal_list", "annul", "500-05-2018-1", "500-05-2019-5"),
                ("serious_list", "annul", "500-05-2018-2", "500-05-2019-5"),
            ],
        ),
        (
            RULING
            | {
                "Número y fecha de oficio global de definitivos SAT": (
                    "500-05-2020-9 de fecha 1 de mayo de 2020 // 500-05-2018-2 de fecha 27 de septiembre de 2018"
                )
            },
            [PRESUMED, ("serious_list", "report", "500-05-2020-9", "")],
        ),
    ],
    ids=[
        "presumed",
        "confirmed",
        "rebutted",
        "annulled by a court",
        "cleared before any resolution",
        "rebutted after the resolution",
        "confirmed again after the ruling",
    ],
)
def test_each_stage_of_a_case_is_an_event(cells, expected):
    assert stages(SAT | cells) == expected


NOTICE = ("measure_notice", "report", "500-05-2018-1")
DECISION = ("measure_decision", "report", "500-05-2018-2")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({}, [NOTICE]),
        (REBUTTAL, [NOTICE]),
        (DEFINITIVE, [NOTICE, DECISION]),
        (DEFINITIVE | RULING, [NOTICE, DECISION, ("measure_decision", "annul", "500-05-2018-2")]),
        (
            {
                "Número y fecha de oficio global de definitivos SAT": (
                    "500-05-2020-9 de fecha 1 de mayo de 2020 // 500-05-2018-2 de fecha 27 de septiembre de 2018"
                )
            },
            [
                NOTICE,
                ("measure_decision", "report", "500-05-2020-9"),
                ("measure_decision", "annul", "500-05-2018-2"),
            ],
        ),
    ],
    ids=["presumed", "rebutted", "confirmed", "annulled by a court", "a newer resolution in the place of the older"],
)
def test_each_stage_of_a_case_is_an_act_about_its_measure(cells, expected):
    assert acts(SAT | cells) == expected


def test_an_act_names_rule_and_presumption_its_channel_and_its_end():
    found = [one for one in events(mapped("mx-sat-69b", SAT | DEFINITIVE)) if one["category"].startswith("measure_")]
    assert {one["item"] for one in found} == {"MX-69B/M09@500-05-2018-1"}
    notice, decision = found
    assert (notice["decided_on"], notice["state"]) == (date(2018, 6, 2), "publicación en la página del SAT")
    assert (decision["valid_to"], bool(decision["legal_bases"])) == (date(2063, 12, 31), True)


def test_the_older_of_two_resolutions_is_annulled_by_the_newer_on_its_day():
    cell = "500-05-2020-9 de fecha 1 de mayo de 2020 // 500-05-2018-2 de fecha 27 de septiembre de 2018"
    *_, older = events(mapped("mx-sat-69b", SAT | {"Número y fecha de oficio global de definitivos SAT": cell}))
    assert (older["decided_on"], older["change_decided_on"]) == (date(2018, 9, 27), date(2020, 5, 1))
    assert older["change_document_number"] == "500-05-2020-9"


def test_parts_of_a_row_are_numbered_and_the_date_comes_from_the_text_or_else_the_page():
    row = SAT | DEFINITIVE | {"Número y fecha de oficio global de presunción SAT": "500-05-2018-1"}
    found = events(mapped("mx-sat-69b", row, row))
    assert [(one["source_row"], one["source_part"]) for one in found] == [
        *((2, 0), (2, 1), (2, 2), (2, 3)),
        *((3, 0), (3, 1), (3, 2), (3, 3)),
    ]
    assert [one["decided_on"] for one in found[:2]] == [date(2018, 6, 2), date(2018, 9, 27)]


def test_the_date_above_the_header_is_the_version_of_every_row():
    title = ("Información actualizada al 30 de noviembre de 2022", "Listado completo")
    found = events(mapped("mx-sat-69b", SAT | DEFINITIVE, title=title))
    assert [one["source_version"] for one in found] == [datetime(2022, 11, 30)] * 4
    assert events(mapped("mx-sat-69b", SAT))[0]["source_version"] is None


def test_a_taxpayer_blanked_by_court_order_keeps_no_text_of_the_order():
    row = SAT | {
        "RFC": "XXXXXXXXXXXX",
        "Nombre del Contribuyente": "Información suprimida en cumplimiento a la sentencia",
    }
    for found in events(mapped("mx-sat-69b", row)):
        assert (found["subject_ids"], found["subject_name"]) == (["MX-RFC:XXXXXXXXXXXX"], "")


def test_a_row_that_makes_no_event_counts_as_an_incomplete_one():
    row = SAT | {"Número y fecha de oficio global de presunción SAT": ""}
    *_, found = events(mapped("mx-sat-69b", SAT, row))
    assert (found["category"], found["operation"], found["faults"]) == (
        "abnormal_list",
        "report",
        ["value_missing:presumption"],
    )


def test_a_persons_tax_number_is_refused():
    result = mapped("mx-sat-69b", SAT | DEFINITIVE | {"RFC": "PEGJ800101AB1"})
    assert result.events.num_rows == 0
    assert result.refused.height == 1


# -- loading -----------------------------------------------------------------------------------------------------------


def test_all_shipped_mappings_load_and_name_a_category_of_the_catalogue():
    found = mappings(Settings())
    assert {one.name for one in found} >= {"penalty-2018", "licence-2018", "registration-cn", "mx-sat-69b"}
    assert all(one.category in catalogue() and one.title_zh and one.title_en and one.rules.source for one in found)


def test_an_unknown_mapping_names_the_nearest():
    with pytest.raises(InputError) as caught:
        load("penalti", Settings())
    assert str(caught.value) == (
        "unknown mapping penalti; did you mean penalty-2018? xinliu-adapter mappings lists them"
    )


ERRORS = tomllib.loads((CASES / "mapping_errors.toml").read_text("utf-8"))


@pytest.mark.parametrize("case", ERRORS["case"], ids=lambda case: case["why"])
def test_a_mapping_that_asks_for_the_impossible_is_refused_by_name_of_the_key(tmp_path, case):
    text = ERRORS["good"].replace(*case["replace"]) if "replace" in case else ERRORS["good"] + case["add"]
    assert text != ERRORS["good"]
    own = write_mapping(tmp_path, "own", text)
    with pytest.raises(InputError) as caught:
        load("own", own)
    assert str(caught.value).startswith("reading mapping own: ")
    assert case["says"] in str(caught.value)


def test_a_mapping_of_ones_own_takes_the_place_of_a_shipped_one(tmp_path):
    own = write_mapping(tmp_path, "honour", ERRORS["good"])
    assert load("honour", own).title_en == "example"
    assert load("penalty-2018", own).title_en != "example"


def test_the_page_about_the_language_names_each_key_that_a_mapping_may_have():
    source = inspect.getsource(mapping_file)
    asked = set(re.findall(r'\.(?:text|texts|number|flag|lists|table|tables|raw)\("(\w+)"', source))
    assert {"blank_words", "group_titles", "explicit_currency", "change_follows"} <= asked
    page = (Path(mapping_file.__file__).parent / "mappings" / "README.md").read_text("utf-8")
    explained = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`]+`", page))))
    assert sorted(asked - explained) == []
