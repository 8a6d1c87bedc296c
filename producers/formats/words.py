"""Words that say nothing, and the folding by which two spellings of a header or a code word are the same."""

import html
import re
import unicodedata

import polars as pl

# What clerks and databases write into a cell that should be empty.
BLANK_WORDS = (
    "无", "暂无", "空", "不详", "未知", "没有", "/", "//", "\\", "-", "--", "---", "—", "——", "－", "_", "*", ".", "。",
    "null", "NULL", "Null", "(null)", "none", "None", "NONE", "nan", "NaN", "\\N", "N/A", "n/a", "#N/A", "undefined",
)  # fmt: skip
_EDGES = " \t\r\n\v\f\u00a0\u3000\u200b\u200c\u200d\u2060\ufeff\u00ad"


def tidy(values: pl.Series) -> pl.Series:
    """Text without white space and invisible characters at its edges; "" for a word that says nothing."""
    if not (values.str.len_bytes() > 0).any():  # a column that nobody fills in, of which forms have many
        return values
    stripped = values.str.strip_chars(_EDGES)
    if holds(stripped, "_x000D_"):  # a carriage return as Excel's XML escapes it
        stripped = stripped.str.replace_all("_x000D_", " ", literal=True).str.strip_chars(_EDGES)
    blank = stripped.is_in(BLANK_WORDS)
    if not blank.any():
        return stripped
    return stripped.set(blank, "")


def plain_text(values: pl.Series) -> pl.Series:
    """What a piece of a web page says: tags dropped, entities written out, edges tidied."""
    if not (holds(values, "<") or holds(values, "&")):
        return values
    parted = values.str.replace_all(r"(?i)</?(?:br|p|div|td|th|tr|li|h[1-6])\b[^<>]*>", " ")  # these end a line
    untagged = parted.str.replace_all(r"(?s)<!--.*?-->|</?[A-Za-z][^<>]*>", "")
    entities = untagged.str.contains("&", literal=True)
    if entities.any():
        rows = entities.arg_true()
        written = pl.Series([html.unescape(text) for text in untagged.gather(rows)], dtype=pl.String)
        untagged = untagged.clone().scatter(rows, written)
    return tidy(untagged.str.replace_all(r"\s+", " "))


def holds(values: pl.Series, needle: str) -> bool:
    """Whether the needle stands in any of the texts."""
    return bool(values.str.contains(needle, literal=True).any())


def fold(text: str) -> str:
    """Letters and digits only, width and case folded: 代码_1（统一社会信用代码） is 代码1统一社会信用代码."""
    folded = unicodedata.normalize("NFKC", text.replace("_x000D_", "")).casefold()
    return re.sub(r"[\W_]+", "", folded)
