"""Fictional organisations by number: code with right check digits, and name. All of them are made up.

The organisation code of each begins with XX, as no issued one does; region and kind are as on a real register.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from producers.simulate.chance import below
from schemas.uscc import ALPHABET

Numbers = np.ndarray[Any, np.dtype[np.int64]]

BODIES_MAX = 31**6
_LETTERS = np.frombuffer(ALPHABET.encode(), np.uint8)
_VALUE = np.zeros(128, np.int64)
_VALUE[_LETTERS] = np.arange(31)
# In GB 11714 every letter counts, A = 10.
_BODY_VALUE = np.zeros(128, np.int64)
for _index, _character in enumerate(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
    _BODY_VALUE[_character] = _index
_WEIGHTS = np.array([pow(3, position, 31) for position in range(17)], np.int64)
_BODY_WEIGHTS = np.array([3, 7, 9, 10, 5, 8, 4, 2], np.int64)
_BODY_CHECKS = np.frombuffer(b"0123456789X", np.uint8)

# Prefix and how many in a hundred bodies have it: enterprises, sole traders, cooperatives, public and social bodies.
_KINDS = {"91": 66, "92": 20, "93": 5, "12": 3, "51": 2, "52": 2, "11": 1, "N2": 1}
_PREFIXES = np.repeat(list(_KINDS), list(_KINDS.values()))

_CITIES = [
    "济南",
    "青岛",
    "淄博",
    "枣庄",
    "东营",
    "烟台",
    "潍坊",
    "济宁",
    "泰安",
    "威海",
    "日照",
    "临沂",
    "德州",
    "聊城",
    "滨州",
    "菏泽",
]
_FIRST: list[str] = list("恒瑞鼎华泰盛宏嘉博远信诚安隆汇丰润德凯森")
_SECOND: list[str] = list("达通源和业兴茂祥腾创联成昌川海山禾元辰宇")
_TRADES = [
    "商贸",
    "建材",
    "机械",
    "食品",
    "化工",
    "纺织",
    "物流",
    "农业",
    "环保",
    "电子",
    "医药",
    "餐饮",
    "建筑",
    "装饰",
    "水产",
    "园林",
    "包装",
    "能源",
]
_FORMS = {
    "91": "有限公司",
    "92": "经营部",
    "93": "专业合作社",
    "12": "服务中心",
    "51": "协会",
    "52": "学校",
    "11": "办公室",
    "N2": "经济合作社",
}


@dataclass(frozen=True, slots=True)
class Bodies:
    """Columns, one row for each body.

    Attributes:
        codes: unified social credit codes.
        names: with （演示） in them, so that nobody takes them for real ones.
        prefixes: first two characters of the codes.
    """

    codes: pl.Series
    names: pl.Series
    prefixes: pl.Series


def bodies(seed: int, numbers: Numbers, regions: Sequence[str]) -> Bodies:
    """The bodies of these numbers, registered in one of `regions` each."""
    assert len(numbers) == 0 or (numbers.min() >= 0 and numbers.max() < BODIES_MAX)
    prefixes = _PREFIXES[below(seed, "kind", numbers, len(_PREFIXES))]
    codes = _codes(prefixes, np.array(regions)[below(seed, "registrar", numbers, len(regions))], numbers)
    frame = pl.DataFrame(
        {
            "city": _picked(seed, "city", numbers, _CITIES),
            "first": _picked(seed, "first", numbers, _FIRST),
            "second": _picked(seed, "second", numbers, _SECOND),
            "trade": _picked(seed, "trade", numbers, _TRADES),
            "number": numbers,
            "prefix": prefixes,
        }
    )
    names = frame.select(
        pl.concat_str(
            "city",
            "first",
            "second",
            "trade",
            pl.lit("（演示"),
            "number",
            pl.lit("）"),
            pl.col("prefix").replace_strict(_FORMS),
        ).alias("name")
    )["name"]
    return Bodies(pl.Series("code", codes), names, frame["prefix"])


def _picked(seed: int, purpose: str, numbers: Numbers, words: list[str]) -> pl.Series:
    return pl.Series(words).gather(below(seed, purpose, numbers, len(words)))


def _codes(prefixes: np.ndarray[Any, Any], regions: np.ndarray[Any, Any], numbers: Numbers) -> list[str] | pl.Series:
    count = len(numbers)
    text = np.empty((count, 18), np.uint8)
    text[:, 0:2] = prefixes.astype("S2").view(np.uint8).reshape(count, 2)
    text[:, 2:8] = regions.astype("S6").view(np.uint8).reshape(count, 6)
    text[:, 8:10] = ord("X")
    rest = numbers.copy()
    for position in range(15, 9, -1):
        text[:, position] = _LETTERS[rest % 31]
        rest //= 31
    body = _BODY_VALUE[text[:, 8:16]] @ _BODY_WEIGHTS
    text[:, 16] = _BODY_CHECKS[-body % 11]
    text[:, 17] = _LETTERS[-(_VALUE[text[:, :17]] @ _WEIGHTS) % 31]
    return pl.Series(text.view("S18").reshape(count)).cast(pl.String)


def wrong_check(codes: pl.Series) -> pl.Series:
    """The codes with another last character: right in all but the check."""
    last = codes.str.slice(17)
    other = pl.select(pl.when(last == "0").then(pl.lit("1")).otherwise(pl.lit("0"))).to_series()
    return codes.str.slice(0, 17) + other


def wrong_check_digit(code: str) -> str:
    """`wrong_check` for one code."""
    return code[:17] + ("1" if code[17] == "0" else "0")
