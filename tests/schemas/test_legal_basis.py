"""Provisions as people print them, read to instrument, article, paragraph and item; what is not understood stays."""

import csv

import polars as pl
import pytest
from case_tables import shared_file

from schemas.legal_basis import Provision, in_words, parse_legal_basis, spell, spell_lists
from tests.schemas.events import identified

READ = [
    (
        "《中华人民共和国水污染防治法》第八十三条第一款第二项",
        [Provision("中华人民共和国水污染防治法", article=83, paragraph=1, item=2)],
        "to the item",
    ),
    ("《广告法》第58条第1款", [Provision("广告法", article=58, paragraph=1)], "in digits"),
    ("《广告法》第十六条第一款第（二）项", [Provision("广告法", article=16, paragraph=1, item=2)], "item in brackets"),
    ("《广告法》 第 五十五 条 ".replace(" ", "\n"), [Provision("广告法", article=55)], "broken over lines"),
    ("《刑法》第一百二十条之一第二款", [Provision("刑法", "", 120, 1, 2)], "an article put in later"),
    ("《广告法（2018修正）》第四条", [Provision("广告法", "2018修正", 4)], "edition inside of the marks"),
    ("《行政处罚法》（2021年修订）第9条", [Provision("行政处罚法", "2021修订", 9)], "edition behind the marks"),
    ("水污染防治法(2008修订)", [Provision("水污染防治法", "2008修订")], "without marks, with an edition"),
    ("产品质量法第四十九条", [Provision("产品质量法", article=49)], "without marks"),
    ("广告法", [Provision("广告法")], "an instrument alone"),
    (
        "《甲条例》、《乙办法》第三条、《丙法》",
        [Provision("甲条例"), Provision("乙办法", article=3), Provision("丙法")],
        "several instruments",
    ),
    (
        "《广告法》第十六条第一款第（二）项、第（三）项和第五十八条",
        [
            Provision("广告法", article=16, paragraph=1, item=2),
            Provision("广告法", article=16, paragraph=1, item=3),
            Provision("广告法", article=58),
        ],
        "several places in one instrument",
    ),
    (
        "违反《甲法》第七条,依据《甲法》第六十四条、《乙办法》第十二条处罚",
        [Provision("甲法", article=7), Provision("甲法", article=64), Provision("乙办法", article=12)],
        "words that lead and join",
    ),
    (
        "依照税收征收管理法第六十条规定，予以处罚。",
        [Provision("税收征收管理法", article=60)],
        "a sentence of such words",
    ),
]


@pytest.mark.parametrize(("text", "provisions", "why"), READ, ids=[case[-1] for case in READ])
def test_what_is_a_provision_is_read(text: str, provisions: list[Provision], why: str) -> None:
    assert parse_legal_basis(text) == provisions
    spelled = [each for part in spell(text) for each in spell(part)]
    assert spelled == spell(text) == [str(provision) for provision in provisions]


KEPT = [
    ("《广告法》第四条至第六条", "a range"),
    ("《广告法》第五十五条罚款2万元", "a penalty behind it"),
    ("当事人违反了广告法第九条", "a sentence about the party"),
    ("第五条", "an article of nothing"),
    ("《广告法》第五条第三条第四条第一项第一款", "levels out of order"),
    ("没收非法", "no law"),
    ("甲", "anything"),
]


@pytest.mark.parametrize(("text", "why"), KEPT, ids=[case[-1] for case in KEPT])
def test_what_is_not_understood_stays_as_it_is(text: str, why: str) -> None:
    assert parse_legal_basis(text) is None
    assert spell(text) == [text]


def test_provisions_of_one_instrument_stand_behind_one_name() -> None:
    spelled = ["《广告法》第16条", "《广告法》第58条第1款", "《商标法》", "《商标法》（2019）第5条", "其他"]
    assert in_words(spelled) == ["《广告法》第16条、第58条第1款", "《商标法》", "《商标法》（2019）第5条", "其他"]


def test_lists_are_spelled_row_by_row() -> None:
    column = pl.Series(
        "legal_bases", [["产品质量法第四十九条、广告法第五条", "甲"], [], ["广告法第五条"] * 2], pl.List(pl.String)
    )
    assert spell_lists(column).to_list() == [
        ["《产品质量法》第49条", "《广告法》第5条", "甲"],
        [],
        ["《广告法》第5条"],
    ]
    assert spell_lists(spell_lists(column)).to_list() == spell_lists(column).to_list()


def test_one_decision_in_two_spellings_of_its_basis_says_the_same() -> None:
    one = identified(legal_bases=["《中华人民共和国广告法》第五十五条", "《安全生产法》第九条"])
    other = identified(legal_bases=["《安全生产法》第9条、广告法第五十五条"])
    assert one["content"] == other["content"]
    assert one["legal_bases"][0] == "《中华人民共和国广告法》第55条"  # as printed all the same
    assert identified(legal_bases=["《广告法》第五十六条"])["content"] != other["content"]


# The real ones by their place in the file: the article of each provision; None = kept as printed.
REAL: list[list[int] | None] = [
    [0], [0], [0], [0, 0, 0], [118], [7, 3, 64, 12], None, None, [161, 170, 171], [161], None, [4, 8, 16, 58], [25],
]  # fmt: skip


def test_the_real_ones() -> None:
    with shared_file("cn_document_numbers/legal_basis_as_printed.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["legal_basis_as_printed"] for row in csv.DictReader(file)]
    read = [parse_legal_basis(text) for text in texts]
    assert [None if found is None else [p.article for p in found] for found in read] == REAL
