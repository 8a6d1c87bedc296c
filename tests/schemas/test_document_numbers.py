"""What is the number of one document, and that 51 real ones each have one spelling."""

import csv
import hashlib
import re

import polars as pl
import pytest
from case_tables import shared_file

from schemas.documents import are_numbers, is_number, number_in_title
from schemas.normalise import document_identity, document_numbers

IDENTITIES = [
    "济环罚字〔2019〕第013号",
    "济环罚字[2019]13号",
    "济环罚〔2019〕第13号",
    "济环罚【2019】 13 号",
    "济环罚﹝2019﹞0013",
    "济环罚字（2019年）第 13 号。",
    "文号：济环罚字〔2019〕13号",
    "行政处罚决定书文号:济环罚字〔2019〕13号",
    "济环罚〔二〇一九〕第十三号",
    "济环罚字〔2019〕字第十三号",
]


@pytest.mark.parametrize("written", IDENTITIES)
def test_a_document_is_the_same_however_its_number_is_written(written: str) -> None:
    assert document_identity(document_numbers(pl.Series([written]))).to_list() == ["济环罚〔2019〕13"]


DIFFERENT = [
    ("济环罚〔2019〕13号", "济环罚〔2018〕13号", "another year"),
    ("济环罚〔2019〕13号", "济环罚〔2019〕130号", "a zero behind is none before"),
    ("济环罚〔2019〕13号", "济环责改〔2019〕13号", "another kind of decision"),
    ("济环罚〔2019〕13号", "济环罚〔2019〕13号之1", "a second part"),
    ("城管(路)罚〔2019〕1号", "城管(燃气)罚〔2019〕1号", "another unit"),
    ("济环罚〔2020〕TQ第Q-1008号", "济环罚〔2020〕LX第Q-1008号", "letters of another sub-unit"),
]


@pytest.mark.parametrize(("one", "other", "why"), DIFFERENT, ids=[case[-1] for case in DIFFERENT])
def test_different_documents_stay_different(one: str, other: str, why: str) -> None:
    assert document_identity(document_numbers(pl.Series([one, other]))).n_unique() == 2


@pytest.mark.parametrize("brackets", ["()", "（）", "[]", "［］", "【】", "〔〕", "﹝﹞", "{}"])
def test_every_kind_of_bracket_is_the_same_one(brackets: str) -> None:
    opening, closing = brackets
    written = f"泉城管局{opening} 路 {closing}处罚字{opening}2019{closing}第1号"
    assert document_numbers(pl.Series([written])).to_list() == ["泉城管局(路)处罚字〔2019〕第1号"]


NUMBERS = [
    ("济环罚字〔2019〕第13号", "the usual form"),
    ("〔2019〕第152019000001号", "without the authority's word"),
    ("示交罚决第ZD000001号", "without a year"),
    ("〔2017〕京0108刑初1562号", "a court's"),
    ("示环许可2019", "whatever a register calls its own"),
    ("91370100XXXX00051M001P", "a permit's"),
    ("500-05-2018-10001", "another country's"),
    ("00190.102345/2018-11", "another country's"),
    ("济工商处罚决定书〔2019〕12号", "the form's name is the word"),
    ("济环罚〔2019〕12号-1", "a second part"),
]
NO_NUMBERS = [
    ("擅自改变经营场所用途", None, "the name of the case"),
    ("XXX", None, "not filled in"),
    ("济环罚〔2019〕XXX号", None, "only its year filled in"),
    ("济环罚〔2019〕号", None, "only its year filled in"),
    ("2019", None, "a year"),
    ("济环罚〔2019〕1号、济环罚〔2019〕2号", None, "two numbers"),
    ("济环罚〔2019〕12号示例商贸有限公司", "济环罚〔2019〕12号", "a number at the head of a title"),
    ("关于示例公司的处罚决定(济环罚字〔2019〕第12号)", "济环罚字〔2019〕第12号", "a number in brackets"),
    ("《行政处罚决定书》济环罚〔2019〕12号", "济环罚〔2019〕12号", "a number behind the form's name in marks"),
    ("行政处罚决定书济环罚〔2019〕12号", "济环罚〔2019〕12号", "a number behind the form's name"),
    ("某法院裁定书〔2017〕京0108刑初1562号", "〔2017〕京0108刑初1562号", "a court's number behind the form's name"),
]


@pytest.mark.parametrize(("text", "why"), NUMBERS, ids=[f"{c[-1]} {n}" for n, c in enumerate(NUMBERS)])
def test_what_is_a_number(text: str, why: str) -> None:
    assert is_number(text)
    assert number_in_title(text) is None


@pytest.mark.parametrize(("text", "inside", "why"), NO_NUMBERS, ids=[f"{c[-1]} {n}" for n, c in enumerate(NO_NUMBERS)])
def test_what_is_no_number_and_which_one_stands_in_it(text: str, inside: str | None, why: str) -> None:
    assert not is_number(text)
    assert number_in_title(text) == inside
    assert inside is None or is_number(inside)


def test_columns_are_judged_like_single_texts() -> None:
    texts = [text for text, *_ in (*NUMBERS, *NO_NUMBERS)] * 2
    assert are_numbers(pl.Series(texts)).to_list() == [is_number(text) for text in texts]
    assert are_numbers(pl.Series(["", "济环罚〔2019〕12号"])).to_list() == [True, True]


def real_numbers() -> pl.Series:
    with shared_file("cn_document_numbers/document_numbers.csv").open(encoding="utf-8", newline="") as file:
        return pl.Series([row["document_number_as_printed"] for row in csv.DictReader(file)])


NO_NUMBER_AT = [23, 50]  # the name of a case, and a form with XXX
CHANGED_AT = [1, 9, 11, 12, 14, 15, 16, 17, 20, 28, 29, 34, 40, 41, 42, 44, 45, 48, 50]  # brackets and blanks
IDENTITIES_DIGEST = "88dc9fe885cb43d4"


def test_the_real_ones_have_one_spelling_each() -> None:
    written = real_numbers()
    spelled = document_numbers(written)
    assert [at for at in range(len(written)) if written[at] != spelled[at]] == CHANGED_AT
    assert [at for at, good in enumerate(are_numbers(spelled)) if not good] == NO_NUMBER_AT
    assert document_numbers(spelled).to_list() == spelled.to_list()
    identities = document_identity(spelled)
    assert document_identity(identities).to_list() == identities.to_list()
    assert hashlib.sha256("\n".join(identities).encode()).hexdigest()[:16] == IDENTITIES_DIGEST
    # One decision of 2019 stands in the list twice, with two kinds of brackets; no two others are taken for one.
    assert (len(written), identities.n_unique()) == (51, 50)


def test_the_real_ones_are_the_same_in_every_kind_of_bracket() -> None:
    written = real_numbers()
    expected = document_identity(document_numbers(written)).to_list()
    for opening, closing in ("()", "[]", "【】", "﹝﹞", "（）"):
        other = [re.sub(r"[〔【\[(（﹝]", opening, re.sub(r"[〕】\])）﹞]", closing, text)) for text in written]
        assert document_identity(document_numbers(pl.Series(other))).to_list() == expected
    bare = document_identity(document_numbers(written.str.replace_all("[第号]", "")))
    changed = [at for at in range(len(written)) if bare[at] != expected[at]]
    assert changed == []
