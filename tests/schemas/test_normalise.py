"""One spelling for names, document numbers and texts."""

import polars as pl
import pytest

from schemas import normalise

NAMES = [
    ("济南示例商贸有限公司", "济南示例商贸有限公司", "already in the one spelling"),
    ("济南示例商贸有限公司(历下店)", "济南示例商贸有限公司（历下店）", "half-width brackets"),
    ("济南示例商贸有限公司 （历下店） ", "济南示例商贸有限公司（历下店）", "white space about the brackets"),
    ("济南 示例 商 贸\u3000有限公司", "济南示例商贸有限公司", "white space between Chinese characters"),
    ("ＡＢＣ（中国）有限公司", "ABC（中国）有限公司", "full-width letters"),
    ("\ufeff济南示例\u200b商贸有限公司\u00ad", "济南示例商贸有限公司", "characters that nobody sees"),
    ("济南示例商贸有限公司\r\n", "济南示例商贸有限公司", "line break"),
    (
        "ACME  (NORTH)\tS.A. DE C.V.",
        "ACME (NORTH) S.A. DE C.V.",
        "a name without Chinese keeps its brackets and spaces",
    ),
    ("7-11 便利店", "7-11 便利店", "a space beside a digit says something"),
    ("", "", "nothing"),
]


@pytest.mark.parametrize(("raw", "spelled", "why"), NAMES, ids=[case[-1] for case in NAMES])
def test_names(raw: str, spelled: str, why: str) -> None:
    assert normalise.names(pl.Series([raw])).to_list() == [spelled]


DOCUMENTS = [
    "济市监处罚〔2026〕12号",
    "济市监处罚[2026]12号",
    "济市监处罚【2026】12号",
    "济市监处罚(2026)12号",
    "济市监处罚（2026）12号",
    "济市监处罚﹝2026﹞12号",
    "济市监处罚{2026}12号",
    "济市监处罚<2026>12号",
    "济市监处罚〈2026〉12号",
    "济市监处罚［２０２６］１２号",
    "济市监处罚 〔2026〕 12 号",
    "济市监处罚〔2026年〕12号",
    "\u200b济市监处罚〔2026〕12号\n",
]


@pytest.mark.parametrize("raw", DOCUMENTS)
def test_document_numbers_have_one_spelling(raw: str) -> None:
    assert normalise.document_numbers(pl.Series([raw])).to_list() == ["济市监处罚〔2026〕12号"]


@pytest.mark.parametrize(
    ("raw", "spelled"),
    [
        ("jn-2026-001", "JN-2026-001"),
        ("（12）济市监（2026）3号", "(12)济市监〔2026〕3号"),  # a bracket without a year is no year
        ("济市监（3026）3号", "济市监(3026)3号"),
    ],
)
def test_document_numbers(raw: str, spelled: str) -> None:
    assert normalise.document_numbers(pl.Series([raw])).to_list() == [spelled]


def test_a_document_is_the_same_with_and_without_the_words_that_authorities_leave_out() -> None:
    written = pl.Series(["济市监处罚〔2026〕第12号", "济市监处罚〔2026〕12号", "济市监处罚〔2026〕12"])
    assert normalise.document_identity(written).n_unique() == 1


def test_texts_are_tidied_and_not_folded() -> None:
    assert normalise.texts(pl.Series(["① 停业\u200b整顿\t 三日 ", "停业整顿"])).to_list() == [
        "① 停业 整顿 三日",
        "停业整顿",
    ]


def test_lists_keep_their_rows_when_texts_are_tidied_and_empty_ones_dropped() -> None:
    column = pl.Series("classes", [[" a ", "", "b"], [], ["\u200b"], ["c"]], dtype=pl.List(pl.String))
    assert normalise.lists(column).to_list() == [["a", "b"], [], [], ["c"]]
    plain = pl.Series("classes", [["a"], [], ["b", "c"]], dtype=pl.List(pl.String))
    assert normalise.lists(plain).to_list() == [["a"], [], ["b", "c"]]


def test_spelling_twice_changes_nothing() -> None:
    for spell, raw in (
        (normalise.names, [case[0] for case in NAMES]),
        (normalise.document_numbers, DOCUMENTS),
        (normalise.texts, [case[0] for case in NAMES]),
    ):
        once = spell(pl.Series(raw))
        assert spell(once).to_list() == once.to_list()
