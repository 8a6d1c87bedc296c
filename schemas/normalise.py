"""One spelling for what different departments spell differently: names, document numbers, authorities, texts.

Compatibility folding (NFKC) is applied to names and codes only: in free text it does harm (① to 1). Rows that hold
nothing but characters that folding leaves alone, most of them, are not touched at all.
"""

import re
from html import unescape
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

# Raise it whenever a change here can give an old row another record id; `identity_version` on each record tells.
IDENTITY_VERSION = 1

# Letters, digits, CJK ideographs and the brackets of a year are the same before and after.
_STABLE_NAME = "^[0-9A-Za-z\u4e00-\u9fff（）]*$"
_INVISIBLE = "[\u200b-\u200f\u2060\ufeff\u00ad\x00-\x1f\x7f]"
_CJK = "[\u3400-\u9fff]"

_MARKUP = r"</?[A-Za-z][^<>]{0,200}>|&#?[A-Za-z0-9]{2,8};"
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_NUMBERED = re.compile("&#[A-Za-z0-9]{1,7};")  # whoever writes a letter as its number may want to hide something

_NUMERALS = {numeral: digit for digit, numeral in enumerate("〇一二三四五六七八九")} | {"零": 0, "○": 0}
_BELOW_THOUSAND = re.compile("(?:([一-九])百)?零?(?:([一-九])?(十))?([一-九])?".replace("一-九", "一二三四五六七八九"))
_NUMERAL = "[〇零○一二三四五六七八九十百]"
_OPENING, _CLOSING = r"[\[【(﹝〔{<〈［]", r"[\]】)﹞〕}>〉］]"


def _ideographs_but(left_out: str) -> str:
    """A character class of the ideographs, without some."""
    borders = [0x4DFF, *sorted(map(ord, left_out)), 0xA000]
    return "".join(f"{chr(low + 1)}-{chr(high - 1)}" for low, high in pairwise(borders) if high - low > 1)


# Numerals may have to become digits, 年 may stand in a bracket beside its year, and 号 may be the end of a label.
_PLAIN = f"[0-9A-Z{_ideographs_but('一二三四五六七八九十百零年')}-]"
_STABLE_DOCUMENT = f"^{_PLAIN}*(?:〔(?:19|20)[0-9][0-9]〕{_PLAIN}*)?$"
_LABEL = r"^[\u4e00-\u9fff]{0,12}(?:文号|文书号|书号|案号|编号|证号|字号):"


def names(column: pl.Series) -> pl.Series:
    """Names of bodies: width folded, white space collapsed (none between Chinese characters), one kind of bracket."""
    return _where_unstable(column, _STABLE_NAME, _fold_names)


def document_numbers(column: pl.Series) -> pl.Series:
    """Document and case numbers: width folded, no white space, capital letters, 〔year〕 and (word) for any bracket.

    A label before it (文号：) and a full stop behind it are left out; 〔二〇一九〕第十二号 is written in digits.
    """
    return _where_unstable(column, _STABLE_DOCUMENT, _fold_documents)


def texts(column: pl.Series) -> pl.Series:
    """Short free text: invisible characters dropped, white space collapsed; nothing else is changed."""
    return _where_unstable(column, "^[0-9A-Za-z\u4e00-\u9fff〔〕（）《》、，。;；-]*$", _tidy)


def document_identity(column: pl.Series) -> pl.Series:
    """A normalised document number without what authorities write or leave out: 字, 第, 号, zeros before the serial."""
    bare = column.str.replace_many({"字〔": "〔", "字第": "", "第": "", "号": ""})
    return bare.str.replace("〕0+", "〕")


def lists(column: pl.Series) -> pl.Series:
    """List columns of short texts: each text tidied, empty ones dropped."""
    lengths = column.list.len()
    if not lengths.sum():
        return column
    written = column.list.explode(empty_as_null=False).fill_null("")
    distinct = written.unique()  # a batch names few classes and provisions
    if texts(distinct) is distinct and distinct.str.len_bytes().min():
        return column  # nothing to tidy, nothing to drop
    flat = texts(written)
    if (flat == "").any():
        frame = pl.DataFrame({"row": _owner_rows(lengths), "text": flat}).filter(pl.col("text") != "")
        packed = frame.group_by("row", maintain_order=True).agg("text")
        full = pl.DataFrame({"row": pl.Series(range(len(column)), dtype=pl.UInt32)}).join(packed, "row", "left")
        return full["text"].fill_null(pl.Series([[]], dtype=pl.List(pl.String))).rename(column.name)
    ends = np.concatenate([[0], np.cumsum(lengths.to_numpy())])
    return _lists_from(flat, ends, column.name)


def _owner_rows(lengths: pl.Series) -> pl.Series:
    return pl.Series(np.repeat(np.arange(len(lengths), dtype=np.uint32), lengths.to_numpy()))


def _lists_from(flat: pl.Series, ends: np.ndarray[Any, Any], name: str) -> pl.Series:
    import pyarrow as pa

    values = flat.to_arrow(compat_level=pl.CompatLevel.oldest())
    array = pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), values)
    return pl.Series(name, array)


def _where_unstable(column: pl.Series, stable: str, fold: Any) -> pl.Series:
    """Apply `fold` to the rows that do not match `stable`; the others stay as they are."""
    if not column.str.len_bytes().sum():
        return column  # a column that no row fills
    unstable = (~column.str.contains(stable)).arg_true()
    if len(unstable) == 0:
        return column
    # Of a copy: `scatter` writes into the series that it is called on.
    return column.clone().scatter(unstable, fold(column.gather(unstable)))


def without_markup(column: pl.Series) -> pl.Series:
    """Without tags and named entities of HTML that were pasted along: <b>…</b>, &nbsp;, &amp;."""
    marked = column.str.contains(_MARKUP).arg_true()
    if len(marked) == 0:
        return column
    plain = [unescape(_TAG.sub(" ", _NUMBERED.sub("", text))) for text in column.gather(marked).to_list()]
    return column.clone().scatter(marked, pl.Series(plain, dtype=pl.String))


def _tidy(column: pl.Series) -> pl.Series:
    return column.str.replace_all(_INVISIBLE, " ").str.replace_all(r"\s+", " ").str.strip_chars()


def _fold_names(column: pl.Series) -> pl.Series:
    folded = _tidy(column.str.normalize("NFKC"))
    folded = folded.str.replace_all(f"({_CJK}) +({_CJK})", "${1}${2}").str.replace_all(
        f"({_CJK}) +({_CJK})", "${1}${2}"
    )
    chinese = folded.str.contains(_CJK)
    bracketed = folded.str.replace_all(r" ?\( ?", "（").str.replace_all(r" ?\) ?", "）")
    return pl.select(pl.when(chinese).then(bracketed).otherwise(folded)).to_series()


def _fold_documents(column: pl.Series) -> pl.Series:
    folded = column.str.normalize("NFKC").str.replace_all(_INVISIBLE, "").str.replace_all(r"\s+", "")
    folded = folded.str.to_uppercase().str.replace(_LABEL, "").str.strip_chars("。.,;、")
    folded = _digits_for_numerals(folded)
    folded = folded.str.replace_all(f"{_OPENING}((?:19|20)\\d\\d)年?{_CLOSING}", "\ue000${1}\ue001")
    folded = folded.str.replace_all(_OPENING, "(").str.replace_all(_CLOSING, ")")
    return folded.str.replace_many({"\ue000": "〔", "\ue001": "〕"})


def _digits_for_numerals(column: pl.Series) -> pl.Series:
    """〔二〇一九〕第十二号 with the digits that it says; numerals elsewhere are part of a name (三环罚)."""
    held = column.str.contains(
        f"{_OPENING}{_NUMERAL}{{4}}年?{_CLOSING}|(?:第|{_CLOSING}){_NUMERAL}{{1,7}}号"
    ).arg_true()
    if len(held) == 0:
        return column
    return column.clone().scatter(held, pl.Series([_with_digits(text) for text in column.gather(held).to_list()]))


def _with_digits(text: str) -> str:
    text = re.sub(f"({_OPENING})({_NUMERAL}{{4}})(年?{_CLOSING})", lambda m: m[1] + _digits(m[2]) + m[3], text)
    return re.sub(f"(第|{_CLOSING})({_NUMERAL}{{1,7}})号", lambda m: f"{m[1]}{_digits(m[2])}号", text)


def _digits(numerals: str) -> str:
    """二〇一九 = 2019, 十二 = 12, 一百零五 = 105; what is no number stays as it is."""
    if not re.search("[十百]", numerals):
        return "".join(str(_NUMERALS[numeral]) for numeral in numerals)
    found = _BELOW_THOUSAND.fullmatch(numerals)
    if found is None:
        return numerals
    hundreds, tens, ten, ones = found.groups()
    total = _NUMERALS.get(hundreds or "", 0) * 100 + _NUMERALS.get(ones or "", 0)
    return str(total + (_NUMERALS[tens] * 10 if tens else 10 if ten else 0))
