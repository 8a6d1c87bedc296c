"""Which record an event is about, and what it says: the two hashes that everything after intake compares.

`record_id` is the hash of the identity parts that the catalogue requires for the category, `content` that of the
material fields: what a reader of the record would call a change. Where it came from, when, and how the authority's
name is spelled is not material.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from schemas.catalogue import Category, Part
from schemas.hashing import hash_64, hash_128, to_hex
from schemas.normalise import document_identity

_MATERIAL = ("subject_id", "subject_name", "authority_code", "region", "item", "grade", "state")
_MATERIAL_LISTS = ("classes", "legal_bases")
_MATERIAL_NUMBERS = ("fine_fen", "confiscated_fen", "amount_fen", "decided_on", "valid_from", "valid_to")
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
    return Identified(
        to_hex(high, low), to_hex(hash_64(_material(frame), _MATERIAL_NAMES)), frame.select(missing=missing)["missing"]
    )


def _value(part: Part) -> pl.Expr:
    value = pl.lit("")
    for name in reversed(part.fields):
        candidate = _FIELD_OF_PART[name]
        value = candidate if name == part.fields[-1] else pl.when(candidate != "").then(candidate).otherwise(value)
    return value


_FIELD_OF_PART: dict[str, pl.Expr] = {
    "subject": pl.col("subject_key"),
    "authority": pl.col("authority_part"),
    "document_number": pl.col("document_number").map_batches(document_identity, pl.String),
    "item": pl.col("item"),
    "decided_on": pl.col("decided_on").cast(pl.Int32).cast(pl.String).fill_null(""),
}


def _material(frame: pl.DataFrame) -> pl.DataFrame:
    """The material fields as text. A closing operation says nothing but itself, its document and its date."""
    document = pl.col("document_number").map_batches(document_identity, pl.String)
    columns = [*(pl.col(name) for name in _MATERIAL), document]
    for name in _MATERIAL_LISTS:
        some = frame[name].list.len().any()
        columns.append(pl.col(name).list.sort().list.join("\x1e").alias(name) if some else pl.lit("").alias(name))
    for name in (*_MATERIAL_NUMBERS, "published_until"):
        if frame[name].null_count() == len(frame):
            columns.append(pl.lit("").alias(name))
        else:
            columns.append(pl.col(name).to_physical().cast(pl.String).alias(name))
    if not frame["operation"].is_in(CLOSING).any():
        return frame.select(*columns, closing=pl.lit(""))
    closes = pl.col("operation").is_in(CLOSING)
    closing = pl.concat_str(
        "operation",
        "change_document_number",
        pl.col("change_decided_on").to_physical().cast(pl.String).fill_null(""),
        separator="\x1e",
    )
    blanked = [pl.when(closes).then(pl.lit("")).otherwise(c).alias(c.meta.output_name()) for c in columns]
    return frame.select(*blanked, closing=pl.when(closes).then(closing).otherwise(pl.lit("")))


_MATERIAL_NAMES = [*_MATERIAL, "document_number", *_MATERIAL_LISTS, *_MATERIAL_NUMBERS, "published_until", "closing"]
