"""Amounts of money to fen, in whole numbers from the first digit to the last; no floating point anywhere.

An amount that is not a whole number of fen, is negative or is in another currency is unreadable, never rounded.
"""

import re
from typing import Literal, get_args

import polars as pl

from producers.formats.parsed import Parsed, by_distinct

Unit = Literal["元", "万元"]
UNITS: tuple[Unit, ...] = get_args(Unit)

# Unit as written -> places that the decimal point moves to reach fen.
_PLACES = {"元": 2, "万": 6, "亿": 10}
_FEN_DIGITS_LONGEST = 18  # what surely fits 2^63
_FEN_MAX = 10**17  # a thousand times all money in China: more is a misprint

_NUMERALS = {c: i for i, c in enumerate("零壹贰叁肆伍陆柒捌玖")} | {c: i for i, c in enumerate("〇一二三四五六七八九")}
_NUMERALS |= {"两": 2, "貳": 2, "參": 3, "陸": 6}
_TENS = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000}
_MYRIADS = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}


def parse_amounts(texts: pl.Series, unit: Unit = "元", *, explicit_currency: bool = False) -> Parsed:
    """Amounts of a column of tidied text, Int64 in fen.

    Args:
        unit: unit of a number that names none.
        explicit_currency: read only what names the yuan (元, 人民币); a bare number or 万 says nothing of a currency.
    """
    return by_distinct(texts, lambda distinct: _read_amounts(distinct, unit, explicit_currency))


def _read_amounts(texts: pl.Series, unit: Unit, explicit_currency: bool) -> Parsed:
    folded = texts.str.normalize("NFKC").str.replace_all(r"[\s,()￥¥]", "")
    grouped = ~texts.str.contains("[,，]") | texts.str.contains(r"^\D*\d{1,3}(?:[,，]\d{3})+(?:[^\d,，].*)?$")
    named = folded.str.contains("元|圆|人民币|RMB|CNY")
    bare = folded.str.replace_all("人民币|RMB|CNY", "")
    parts = bare.str.extract_groups(r"^(\d*)(?:\.(\d*))?(万|亿)?(元|圆)?(?:整|正)?$").struct.unnest()
    parts.columns = ["whole", "fraction", "scale", "yuan"]
    default = unit[0]
    frame = parts.with_columns(
        text=folded,
        named=named,
        grouped=grouped,
        # 5万 names its scale; 5元 is yuan even in a column of 万元
        scale=pl.when(pl.col("scale").is_not_null())
        .then(pl.col("scale"))
        .when(pl.col("yuan").is_not_null())
        .then(pl.lit("元"))
        .otherwise(pl.lit(default)),
    ).with_columns(
        places=pl.col("scale").replace_strict(_PLACES, return_dtype=pl.Int64),
        fraction=pl.col("fraction").fill_null("").str.strip_chars_end("0"),
        whole=pl.col("whole").str.strip_chars_start("0"),
    )
    digits = pl.concat_str(pl.col("whole"), pl.col("fraction"))
    # The digits of whole and fraction in one number, then as many zeros as places are left over.
    zeros = pl.col("places") - pl.col("fraction").str.len_bytes().cast(pl.Int64)
    plausible = (digits.str.len_bytes().cast(pl.Int64) + zeros <= _FEN_DIGITS_LONGEST) & (zeros >= 0)
    fen = pl.when(digits == "").then(pl.lit(0, pl.Int64)).otherwise(digits.cast(pl.Int64, strict=False)) * (
        pl.lit(10, pl.Int64).pow(pl.when(plausible).then(zeros).otherwise(0)).cast(pl.Int64)
    )
    is_number = pl.col("grouped") & pl.col("text").str.contains(r"\d") & pl.col("whole").is_not_null()
    read = frame.select("text", "named", fen=pl.when(is_number & plausible).then(fen))
    rest = read.with_row_index("at").filter(pl.col("fen").is_null() & pl.col("text").str.contains(r"^\D+$"))
    if rest.height:
        found = [_chinese_amount(text, unit) for text in rest["text"]]
        known = [i for i, value in enumerate(found) if value is not None]
        read = read.with_columns(
            read["fen"].scatter(
                rest["at"].gather(known),
                pl.Series([found[i] for i in known], dtype=pl.Int64),
            )
        )
    good = pl.col("fen").is_not_null() & (pl.col("fen") <= _FEN_MAX)
    if explicit_currency:
        good = good & pl.col("named")
    judged = read.select(value=pl.when(good).then("fen"), unreadable=~good & (pl.col("text") != ""))
    return Parsed(judged["value"], judged["unreadable"])


def _chinese_amount(text: str, unit: Unit) -> int | None:
    """贰万元整, 三千五百元, 壹佰元伍角: fen, or None where it is no such amount."""
    found = re.fullmatch(
        r"(?:人民币)?([^元圆角分整正]+)([元圆]?)(?:([^元圆角分整正])角)?(?:([^元圆角分整正])分)?[整正]?",
        text,
    )
    if found is None or (whole := _chinese_number(found[1])) is None:
        return None
    small = [_NUMERALS.get(digit, -1) if digit else 0 for digit in (found[3], found[4])]
    if -1 in small or (any(small) and not found[2]):
        return None
    in_yuan = bool(found[2]) or re.search("[万萬亿億]", found[1]) is not None
    return whole * 10 ** _PLACES["元" if in_yuan else unit[0]] + small[0] * 10 + small[1]


def _chinese_number(text: str) -> int | None:
    """一万二千三百零五 = 12305; None where a character is no numeral, or none is a digit."""
    if not any(character in _NUMERALS or character in _TENS for character in text):
        return None
    total = section = digit = 0
    for character in text:
        if character in _NUMERALS:
            digit = _NUMERALS[character]
        elif character in _TENS:
            section += (digit or (1 if section == 0 else 0)) * _TENS[character]
            digit = 0
        elif character in _MYRIADS:
            total = (
                (total + section + digit) * _MYRIADS[character]
                if character in "亿億"
                else (total + (section + digit) * _MYRIADS[character])
            )
            section = digit = 0
        else:
            return None
    return total + section + digit
