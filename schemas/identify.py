"""Which record an event is about, and what it says: the two hashes that everything after intake compares.

`record_id` is the hash of the identity parts that the catalogue requires for the category, `content` that of the
material fields: what a reader of the record would call a change. Where it came from, when, and how the authority's
name is spelled is not material.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from schemas.catalogue import Category, Part
from schemas.hashing import U64, hash_64, hash_128, mix, to_hex
from schemas.legal_basis import for_comparison
from schemas.normalise import document_identity

_MATERIAL = (
    "subject_id",
    "subject_name",
    "authority_code",
    "region",
    "document_part",
    "item",
    "grade",
    "state",
)
_MATERIAL_LISTS = ("classes", "legal_bases")
_MATERIAL_NUMBERS = (
    "fine_fen",
    "confiscated_fen",
    "amount_fen",
    "decided_on",
    "valid_from",
    "valid_to",
    "published_until",
)
_NO_NUMBER = -(2**63)
_PARTS_MAX = 6  # of an identity; a constant, since the hash covers the empty places too
CLOSING = ("annul", "withdraw", "repair")


@dataclass(frozen=True, slots=True)
class Identified:
    """Columns beside the rows of the frame.

    Attributes:
        record_id: hex text; meaningless where `missing` is not null.
        content: hex text.
        missing: name of the identity part that the row lacks, else null.
    """

    record_id: pa.StringArray
    content: pa.StringArray
    missing: pl.Series


def identify(frame: pl.DataFrame, categories: Mapping[str, Category]) -> Identified:
    """Hash identity and content of each row.

    Args:
        frame: normalised rows with `subject_key`, `authority_part` (code after aliases, else name) and an event's
            columns; `published_until` as reported.
        categories: the catalogue; each row's category is one of them.
    """
    frame = frame.with_columns(document_part=document_identity(frame["document_number"]))
    used = [categories[name] for name in frame["category"].unique().to_list()]
    assert all(len(category.identity) <= _PARTS_MAX for category in used), "a part would be left out of the hash"
    places = [_place(used, position) for position in range(_PARTS_MAX)]
    names = [f"part {position}" for position in range(_PARTS_MAX)]
    parts = frame.select(
        "category",
        **dict(zip(names, (value for value, _ in places), strict=True)),
        missing=pl.coalesce(lacking for _, lacking in places),
    )
    high, low = hash_128(parts, ["category", *names])
    return Identified(to_hex(high, low), to_hex(_content(frame)), parts["missing"])


def _place(used: Sequence[Category], position: int) -> tuple[pl.Expr, pl.Expr]:
    """What stands at one position of each row's identity, and the name of the part that it lacks there, else null.

    Of the row's own category alone: an id must not depend on what else is in the batch.
    """
    value, lacking = pl.lit(""), pl.lit(None, pl.String)
    having: dict[Part, list[str]] = {}
    for category in used:
        if position < len(category.identity):
            having.setdefault(category.identity[position], []).append(category.name)
    for part, names in having.items():
        applies = pl.col("category").is_in(names)
        said = _value(part)
        value = said if len(names) == len(used) else pl.when(applies).then(said).otherwise(value)
        if not part.optional:
            lacking = pl.when(applies & (said == "")).then(pl.lit(part.name)).otherwise(lacking)
    return value, lacking


def _value(part: Part) -> pl.Expr:
    """The first field of the part that says something."""
    *others, value = (_FIELD_OF_PART[name] for name in part.fields)
    for candidate in reversed(others):
        value = pl.when(candidate != "").then(candidate).otherwise(value)
    return value


_FIELD_OF_PART: dict[str, pl.Expr] = {
    "subject": pl.col("subject_key"),
    "authority": pl.col("authority_part"),
    "document_number": pl.col("document_part"),
    "item": pl.col("item"),
    "decided_on": pl.col("decided_on").cast(pl.Int32).cast(pl.String).fill_null(""),
    "valid_to": pl.col("valid_to").cast(pl.Int32).cast(pl.String).fill_null(""),
}


def _content(frame: pl.DataFrame) -> U64:
    """Hash of the material fields, column by column: numbers are not spelled out, and an empty column costs nothing.

    A closing operation says nothing but itself, its document and its date.
    """
    content = np.zeros(frame.height, np.uint64)
    for position, column in enumerate(_material_columns(frame), start=1):
        content = mix(content ^ np.uint64(position), column)
    closes = frame["operation"].is_in(CLOSING)
    if closes.any():
        rows = closes.arg_true()
        acts = frame[rows].select(
            "operation", "change_document_number", day=pl.col("change_decided_on").to_physical().cast(pl.String)
        )
        content[rows.to_numpy()] = hash_64(acts, acts.columns)
    return content


def _one_text(column: pl.Series, spell: Callable[[pl.Expr], pl.Expr]) -> pl.Series:
    """The texts of each list as one, whatever their order; most lists hold one text, which then is it.

    Args:
        spell: makes texts the same that say the same.
    """
    if column.list.len().max() == 1:
        return column.list.first().fill_null("").to_frame("text").select(spell(pl.col("text")))["text"]
    return column.list.eval(spell(pl.element())).list.sort().list.join("\x1e")


def _as_it_is(text: pl.Expr) -> pl.Expr:
    return text


def _material_columns(frame: pl.DataFrame) -> Iterator[U64]:
    """A hash per row of each material field in a fixed order.

    Where the whole column says nothing it is one hash for all rows, that of the blank value: a row has the same content
    whatever stands beside it.
    """
    for name in _MATERIAL:
        column = frame[name]
        yield _text_hashes(column) if column.str.len_bytes().sum() else _BLANK_TEXT
    for name in _MATERIAL_LISTS:
        column = frame[name]
        if not column.list.len().sum():
            yield _BLANK_TEXT
        else:
            yield _text_hashes(_one_text(column, for_comparison if name == "legal_bases" else _as_it_is))
    for name in _MATERIAL_NUMBERS:
        column = frame[name]
        yield _numbers(column) if column.null_count() < len(column) else _BLANK_NUMBER


def _text_hashes(column: pl.Series) -> U64:
    return hash_64(column.to_frame("text"), ["text"])


def _numbers(column: pl.Series) -> U64:
    return column.to_physical().cast(pl.Int64).fill_null(_NO_NUMBER).to_numpy().view(np.uint64)


_BLANK_TEXT = _text_hashes(pl.Series([""]))
_BLANK_NUMBER = _numbers(pl.Series([None], dtype=pl.Int64))
