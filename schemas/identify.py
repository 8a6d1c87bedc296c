"""Which record an event is about, and what it says: the two hashes that everything after intake compares.

`record_id` is the hash of the identity parts that the catalogue requires for the category, `content` that of the
material fields: what a reader of the record would call a change. Where it came from, when, and how the authority's
name is spelled is not material.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from schemas.catalogue import Category, Part
from schemas.hashing import U64, hash_64, hash_128, mix, to_hex
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
    present = frame["category"].unique().to_list()
    used = [categories[name] for name in present]
    values: dict[str, pl.Expr] = {}
    missing = pl.lit(None, pl.String)
    for part in dict.fromkeys(part for category in used for part in category.identity):
        with_part = [category.name for category in used if part in category.identity]
        applies = pl.lit(True) if len(with_part) == len(used) else pl.col("category").is_in(with_part)
        value = _value(part)
        values[f"part {part.name} {part.optional}"] = pl.when(applies).then(value).otherwise(pl.lit(""))
        if not part.optional:
            missing = pl.when(missing.is_null() & applies & (value == "")).then(pl.lit(part.name)).otherwise(missing)
    parts = frame.select("category", **values)
    high, low = hash_128(parts, sorted(parts.columns))
    return Identified(to_hex(high, low), to_hex(_content(frame)), frame.select(missing=missing)["missing"])


def _value(part: Part) -> pl.Expr:
    value = pl.lit("")
    for name in reversed(part.fields):
        candidate = _FIELD_OF_PART[name]
        value = candidate if name == part.fields[-1] else pl.when(candidate != "").then(candidate).otherwise(value)
    return value


_FIELD_OF_PART: dict[str, pl.Expr] = {
    "subject": pl.col("subject_key"),
    "authority": pl.col("authority_part"),
    "document_number": pl.col("document_part"),
    "item": pl.col("item"),
    "decided_on": pl.col("decided_on").cast(pl.Int32).cast(pl.String).fill_null(""),
}


def _content(frame: pl.DataFrame) -> U64:
    """Hash of the material fields, column by column: numbers are not spelled out, and an empty column costs nothing.

    A closing operation says nothing but itself, its document and its date.
    """
    content = np.zeros(frame.height, np.uint64)
    for position, column in enumerate(_material_columns(frame), start=1):
        seed = np.uint64(position)
        said = np.full(1, seed) if column is None else _hash_of(column)
        content = mix(content ^ seed, said)
    closes = frame["operation"].is_in(CLOSING)
    if closes.any():
        rows = closes.arg_true()
        acts = frame[rows].select(
            "operation", "change_document_number", day=pl.col("change_decided_on").to_physical().cast(pl.String)
        )
        content[rows.to_numpy()] = hash_64(acts, acts.columns)
    return content


def _material_columns(frame: pl.DataFrame) -> Iterator[pl.Series | None]:
    """Each material field in a fixed order, None where the whole column says nothing."""
    for name in _MATERIAL:
        column = frame[name]
        yield column if column.str.len_bytes().sum() else None
    for name in _MATERIAL_LISTS:
        column = frame[name]
        yield column.list.sort().list.join("\x1e") if column.list.len().sum() else None
    for name in _MATERIAL_NUMBERS:
        column = frame[name]
        yield column if column.null_count() < len(column) else None


def _hash_of(column: pl.Series) -> U64:
    if column.dtype == pl.String:
        return hash_64(column.to_frame("text"), ["text"])
    number = column.to_physical().cast(pl.Int64).fill_null(_NO_NUMBER)
    return number.to_numpy().view(np.uint64)
