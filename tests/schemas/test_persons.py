"""The guard: cases, ten thousand numbers in disguise, and the column against one text at a time."""

import gzip
import random
from collections.abc import Callable

import polars as pl
import pytest
import synthetic_persons as made
from case_tables import cases, shared_file
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.persons import PERSONAL_KINDS, mask, screen, screen_text, words_to_show

CASES = cases("persons")


@pytest.mark.parametrize("case", CASES, ids=[f"{case['value']} {case['is_code']}" for case in CASES])
def test_a_value_has_its_verdict(case: dict[str, str]) -> None:
    is_code = case["is_code"] == "yes"
    expected = case["kind"] or None
    assert expected is None or expected in PERSONAL_KINDS
    assert screen_text(case["value"], is_code) == expected
    frame = pl.DataFrame({"value": ["a", case["value"], "b"], "values": [[], ["", case["value"]], ["c"]]})
    for column in ("value", "values"):
        found = screen(frame, [], [column]) if is_code else screen(frame, [column])
        assert found.to_list() == [None, expected, None]


def disguised(dice: random.Random) -> str:
    """A personal number as a file may carry it."""
    kind = dice.randrange(10)
    if kind < 6:
        maker: Callable[[random.Random], str] = dice.choice(made.MAKERS)
        number = maker(dice)
        disguise = dice.choice([name for name in made.PLAIN if maker not in made.WORDS or name != "after a letter"])
        number = made.PLAIN[disguise](number)
    elif kind < 9:
        number = made.SPREAD[dice.choice(list(made.SPREAD))](dice.choice(made.SPREAD_MAKERS)(dice))
    else:
        number = made.MASKED[dice.choice(list(made.MASKED))](dice.choice(made.MASKED_MAKERS)(dice))
    return number


def test_ten_thousand_disguised_numbers_are_found_in_texts() -> None:
    dice = random.Random(20150930)
    values = [dice.choice(made.WRAPS).format(disguised(dice)) for _ in range(10_000)]
    found = screen(pl.DataFrame({"text": values}), ["text"])
    missed = found.is_null().arg_true().to_list()
    assert [values[row] for row in missed] == []  # made numbers: they may be shown


def test_disguised_numbers_are_found_in_code_columns() -> None:
    dice = random.Random(5)
    values = [_any(dice, made.PLAIN)(dice.choice(made.MAKERS[:7] + made.MAKERS[10:11])(dice)) for _ in range(3_000)]
    values += [_any(dice, made.SPREAD)(dice.choice(made.SPREAD_MAKERS)(dice)) for _ in range(3_000)]
    values += [_any(dice, made.MASKED)(dice.choice(made.MASKED_MAKERS)(dice)) for _ in range(1_000)]
    values += [dice.choice(made.WORDS)(dice) for _ in range(500)]
    values = [dice.choice(("", "CN-USCC:", "?:", "MX-RFC:")) + value for value in values]
    found = screen(pl.DataFrame({"code": values}), [], ["code"])
    assert [values[row] for row in found.is_null().arg_true().to_list()] == []


def _any(dice: random.Random, disguises: dict[str, Callable[[str], str]]) -> Callable[[str], str]:
    return disguises[dice.choice(list(disguises))]


fragments = st.one_of(
    st.sampled_from(list(" -_./·　 \u00a0\u200b\u00ad,，。()（）*＊×●Xx:年月日号第罚字证ABEGHMabN№")),
    st.sampled_from(["0", "1", "3", "19", "2024", "370102", "19900101", "1237", "１", "９０", "110101199003074258"]),
    st.sampled_from(
        ["91110000600056171L", "911101066976941872", "身份证", "护照", "13912345678", "E1234567", "济南市"]
    ),
    st.text("0123456789", max_size=12),
    st.builds(lambda seed: disguised(random.Random(seed)), st.integers(0, 10**6)),
)
any_text = st.one_of(st.lists(fragments, max_size=14).map("".join), st.text(max_size=30))


@given(st.lists(any_text, min_size=1, max_size=6), st.booleans())
@settings(max_examples=500, deadline=None)
def test_the_columns_say_what_one_text_at_a_time_says(values: list[str], is_code: bool) -> None:
    frame = pl.DataFrame({"value": values, "other": list(reversed(values)), "all": [values] * len(values)})
    columns = ["value", "other", "all"]
    texts, codes = ([], columns) if is_code else (columns, [])
    found = screen(frame, texts, codes)
    expected = []
    for row in frame.iter_rows():
        kinds = [screen_text(cell, is_code) for cell in (row[0], row[1], *row[2])]
        expected.append(next((kind for kind in kinds if kind is not None), None))
    assert found.to_list() == expected
    assert screen(frame, texts, codes, repetitive=columns).to_list() == expected


@pytest.mark.parametrize(
    "number", ["110101199003074258", "13912345678", "E12345678", "GODE561231GR8", "１３９１２３４５６７８"]
)
def test_a_number_at_the_border_of_two_blocks_is_found(number: str) -> None:
    block = 1 << 18
    for before in range(block - 40, block + 4):
        frame = pl.DataFrame({"text": ["a" * (before - 1) + " " + number]})
        assert screen(frame, ["text"]).to_list() == [screen_text(number)]


def test_a_card_of_a_country_that_is_none_is_no_card() -> None:
    """All-digit codes of enterprises begin with 9 as well: region 3701 would be province 13 and country 701."""
    dice = random.Random(7)
    for country, kind in (("840", "foreign_permanent_resident"), ("101", None), ("701", None)):
        card = made.card(dice, country)
        assert screen_text(card, is_code=True) == kind
        assert screen(pl.DataFrame({"code": [card]}), [], ["code"]).to_list() == [kind]


def test_nulls_and_empty_frames_hold_nothing() -> None:
    frame = pl.DataFrame(
        {"text": [None, ""], "list": [None, [None, ""]]}, schema={"text": pl.String, "list": pl.List(pl.String)}
    )
    assert screen(frame, ["text", "list"], ["text", "list"]).to_list() == [None, None]
    assert screen(frame.clear(), ["text", "list"], ["text"]).to_list() == []


def test_a_list_after_a_null_list_keeps_its_row() -> None:
    frame = pl.DataFrame({"list": [None, [], ["a", "13912345678"], ["b"]]}, schema={"list": pl.List(pl.String)})
    assert screen(frame, ["list"]).to_list() == [None, None, "mobile_phone", None]


@given(st.text(max_size=40))
def test_a_masked_value_shows_four_and_two_characters_at_most(value: str) -> None:
    shown = mask(value)
    assert len(shown) == len(value)
    kept = [place for place, character in enumerate(value) if shown[place] == character and character != "*"]
    assert len(kept) <= 6
    assert all(place < 4 or place >= len(value) - 2 for place in kept)
    assert len(value) < 2 or len(kept) <= len(value) // 2


def test_the_register_of_enterprises_gives_no_false_alarm() -> None:
    for name in ("shandong_1978_2000.csv.gz", "national_sample.csv.gz", "sole_trader_codes.csv"):
        frame = pl.read_csv(shared_file(f"cn_registrations/{name}"), infer_schema=False).fill_null("")
        code = "统一社会信用代码"
        typed = frame.with_columns(pl.concat_str(pl.lit("CN-ANY:"), code).alias(code))
        alarms = screen(typed, [column for column in frame.columns if column != code], [code])
        assert alarms.null_count() == len(frame)


def test_numbers_of_the_register_that_no_column_vouches_for_are_few() -> None:
    """15 digits with a birth date in them are refused where no column says that they are registration numbers."""
    frame = pl.read_csv(shared_file("cn_registrations/national_sample.csv.gz"), infer_schema=False).fill_null("")
    found = screen(frame, [], ["统一社会信用代码"])
    assert found.drop_nulls().to_list() == ["resident_id_15"] * 10


def test_long_texts_of_what_enterprises_do_give_no_false_alarm() -> None:
    frame = pl.read_csv(shared_file("cn_registrations/shandong_1998_1999_scope.csv.gz"), infer_schema=False).fill_null(
        ""
    )
    assert len(frame) == 11_899
    assert screen(frame, ["企业名称", "注册资金", "经营范围"]).null_count() == len(frame)


def test_real_lists_of_other_countries_give_no_false_alarm() -> None:
    for name in ("listado_69b_2021-05-18.csv.gz", "listado_69b_2022-11-30.csv.gz"):
        text = gzip.decompress(shared_file(f"mx_sat_69b/{name}").read_bytes()).decode("cp1252")
        frame = pl.read_csv(text.encode(), infer_schema=False, skip_rows=2).fill_null("")
        assert screen(frame, [column for column in frame.columns if column != "RFC"], ["RFC"]).null_count() == len(
            frame
        )


def test_words_to_show_lack_every_disguised_number_and_keep_the_rest() -> None:
    dice = random.Random(11)
    for _ in range(1_500):
        number = disguised(dice)
        shown = words_to_show(
            f"reading {dice.choice(made.WRAPS).format(number)}: there is no such file; check the path"
        )
        assert number not in shown
        assert "withheld" in shown
        assert screen_text(shown) is None
    assert words_to_show("reading 13912345678.csv: no such file") == "reading (withheld): no such file"
    assert (
        words_to_show("reading 名单.csv, row 20161131: no such file") == "reading 名单.csv, row 20161131: no such file"
    )
