"""Dates, amounts and lists as departments write them."""

from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from adapter_cases import cases
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.formats import fold, parse_amounts, parse_dates, parse_timestamps, plain_text, tidy
from producers.formats.lists import split_list, split_provisions


def outcome(parsed) -> str:
    """What became of the first text."""
    if parsed.unreadable[0]:
        return "unreadable"
    return "empty" if parsed.values[0] is None else str(parsed.values[0])


@pytest.mark.parametrize("case", cases("dates"), ids=lambda case: f"{case['written']} {case['style']} {case['why']}")
def test_a_date_is_read_as_written_or_not_at_all(case):
    parsed = parse_dates(pl.Series([case["written"]]), case["style"], unlimited=case["unlimited"] == "yes")
    assert outcome(parsed) == case["read"]


@pytest.mark.parametrize("case", cases("amounts"), ids=lambda case: f"{case['written']} {case['unit']} {case['why']}")
def test_an_amount_is_exact_or_not_read_at_all(case):
    parsed = parse_amounts(pl.Series([case["written"]]), case["unit"], explicit_currency=case["currency"] == "explicit")
    assert outcome(parsed) == case["fen"]


def test_all_cases_in_one_column_read_like_each_alone():
    rows = [case for case in cases("dates") if case["style"] == "ymd" and not case["unlimited"]] * 20
    parsed = parse_dates(pl.Series([case["written"] for case in rows]))
    said = [
        "unreadable" if bad else "empty" if day is None else str(day)
        for day, bad in zip(parsed.values, parsed.unreadable, strict=True)
    ]
    assert said == [case["read"] for case in rows]


@settings(deadline=None)
@given(st.dates(date(1950, 1, 1), date(2090, 12, 31)))
def test_every_day_is_the_same_day_in_every_spelling(day):
    spellings = [
        f"{day:%Y-%m-%d}",
        f"{day:%Y%m%d}",
        f"{day.year}/{day.month}/{day.day}",
        f"{day.year}年{day.month}月{day.day}日",
        f"{day.year}.{day.month}.{day.day} 13:05",
    ]
    assert set(parse_dates(pl.Series(spellings)).values) == {day}


@settings(deadline=None)
@given(st.integers(0, 10**16))
def test_every_amount_of_fen_is_the_same_in_yuan_and_in_ten_thousands(fen):
    yuan, myriads = Decimal(fen) / 100, Decimal(fen) / 1_000_000
    assert parse_amounts(pl.Series([f"{yuan:f}"]), "元").values[0] == fen
    assert parse_amounts(pl.Series([f"{yuan:,f}"]), "元").values[0] == fen
    assert parse_amounts(pl.Series([f"{myriads:f}"]), "万元").values[0] == fen
    assert parse_amounts(pl.Series([f"{myriads:f}万元"]), "元").values[0] == fen


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2016-05-01 12:30:01.5", "2016-05-01 04:30:01.500"),
        ("2016-05-01", "2016-04-30 16:00:00"),
        ("2016年5月1日 8时5分", "2016-05-01 00:05:00"),
        ("20160501123001", "2016-05-01 04:30:01"),
        ("1568180781000", "2019-09-11 05:46:21"),
        ("2016-04-30T16:00:00Z", "2016-04-30 16:00:00"),
        ("2016-05-01 25:00", None),
        ("soon", None),
    ],
)
def test_a_moment_without_a_zone_is_chinas(written, utc):
    parsed = parse_timestamps(pl.Series([written]))
    expected = pl.Series([utc]).str.to_datetime(time_unit="ms", strict=False)[0] if utc else None
    assert parsed.values[0] == expected
    assert parsed.unreadable[0] == (utc is None)


def test_words_that_say_nothing_are_empty_and_edges_are_cut():
    written = ["无", " / ", "N/A", "\\N", "--", "\u3000甲公司\u200b", "无锡市某公司", "a_x000D_"]
    assert tidy(pl.Series(written)).to_list() == ["", "", "", "", "", "甲公司", "无锡市某公司", "a"]


@pytest.mark.parametrize(
    "header",
    [
        "行政相对人代码_1（统一社会信用代码）",
        "行政相对人代码_1 (统一社会信用代码)：",
        "*行政相对人代码-1\n(统一社会信用代码)",
        "行政相对人代码／１（统一社会信用代码）",
    ],
)
def test_one_header_in_its_spellings_folds_to_one(header):
    assert fold(header) == "行政相对人代码1统一社会信用代码"


def test_kinds_of_a_penalty_are_split_once_each():
    assert split_list("警告；罚款;罚款、 没收违法所得") == ["警告", "罚款", "没收违法所得"]


@pytest.mark.parametrize(
    ("written", "provisions"),
    [
        ("依据《行政处罚法》第二十八条第（一）项罚款2万元", ["《行政处罚法》第二十八条第（一）项"]),
        (
            "违反《建筑法》第七条、《施工许可管理办法》第三条,依据《建筑法》第六十四条处罚",
            ["《建筑法》第七条", "《施工许可管理办法》第三条", "《建筑法》第六十四条"],
        ),
        ("《保险法》第一百六\n十一条、第一百七十条", ["《保险法》第一百六十一条、第一百七十条"]),
        ("依据中华人民共和国水污染防治法(2008修订)第十条", ["中华人民共和国水污染防治法(2008修订)第十条"]),
        ("经理张某某未履行职责", []),
    ],
)
def test_of_a_legal_basis_only_the_provisions_are_kept(written, provisions):
    assert split_provisions(written) == provisions


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("<a href='x'>Example &amp; Sons, Inc.</a> <span>(82 KB)</span>", "Example & Sons, Inc. (82 KB)"),
        ("Anytown <abbr title='Water'>WPCF</abbr>, City of", "Anytown WPCF, City of"),
        ("第一行<br/>第二行<p>第三行</p>", "第一行 第二行 第三行"),
        ("<!-- a <b>note</b> -->泉城&nbsp;公司&#8203;", "泉城 公司"),
        ("2 < 3 & 4 > 1", "2 < 3 & 4 > 1"),
        ("泉城商贸有限公司", "泉城商贸有限公司"),
    ],
)
def test_a_piece_of_a_web_page_is_what_it_says(written, said):
    assert plain_text(pl.Series([written])).to_list() == [said]
