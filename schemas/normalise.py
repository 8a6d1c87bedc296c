"""One spelling for what different departments spell differently: names, document numbers, authorities, texts.

Compatibility folding (NFKC) is applied to names and codes only: in free text it does harm (① to 1). Rows that hold
nothing but characters that folding leaves alone, most of them, are not touched at all.
"""

from typing import Any

import numpy as np
import polars as pl

# Raise it whenever a change here can give an old row another record id; `identity_version` on each record tells.
IDENTITY_VERSION = 1

# Letters, digits, CJK ideographs and the brackets of document numbers are the same before and after; but for 年, which
# a bracket may hold beside its year.
_STABLE_NAME = "^[0-9A-Za-z\u4e00-\u9fff（）]*$"
_STABLE_DOCUMENT = "^[0-9A-Z\u4e00-\u5e73\u5e75-\u9fff〔〕-]*$"
_INVISIBLE = "[\u200b-\u200f\u2060\ufeff\u00ad\x00-\x1f\x7f]"
_CJK = "[\u3400-\u9fff]"


def names(column: pl.Series) -> pl.Series:
    """Names of bodies: width folded, white space collapsed (none between Chinese characters), one kind of bracket."""
    return _where_unstable(column, _STABLE_NAME, _fold_names)


def document_numbers(column: pl.Series) -> pl.Series:
    """Document and case numbers: width folded, no white space, 〔year〕 for any kind of bracket, capital letters."""
    return _where_unstable(column, _STABLE_DOCUMENT, _fold_documents)


def texts(column: pl.Series) -> pl.Series:
    """Short free text: invisible characters dropped, white space collapsed; nothing else is changed."""
    return _where_unstable(column, "^[0-9A-Za-z\u4e00-\u9fff〔〕（）《》、，。;；-]*$", _tidy)


def document_identity(column: pl.Series) -> pl.Series:
    """A normalised document number without the words that authorities write or leave out: 第, 号 and the space."""
    return column.str.replace_many({"第": "", "号": ""})


def lists(column: pl.Series) -> pl.Series:
    """List columns of short texts: each text tidied, empty ones dropped."""
    lengths = column.list.len()
    if not lengths.sum():
        return column
    written = column.list.explode(empty_as_null=False).fill_null("")
    flat = texts(written)
    if flat is written and written.str.len_bytes().min():
        return column  # nothing to tidy, nothing to drop
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
    unstable = (~column.str.contains(stable)).arg_true()
    if len(unstable) == 0:
        return column
    # Of a copy: `scatter` writes into the series that it is called on.
    return column.clone().scatter(unstable, fold(column.gather(unstable)))


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
    folded = folded.str.to_uppercase()
    return folded.str.replace_all(r"[\[【(﹝〔{<〈]((?:19|20)\d\d)年?[\]】)﹞〕}>〉]", "〔${1}〕")
