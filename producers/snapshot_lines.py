"""What stands in a full list, as columns: the records, the parts that identify them, and what could not be read. Pure.

A line holds what a `withdraw` event needs and no more: codes, document number, dates; of names only hashes.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from schemas.avro import CREDIT_EVENT
from schemas.examine import Examined
from schemas.hashing import from_hex, hash_64
from schemas.identify import CLOSING
from schemas.normalise import document_identity, document_numbers, names
from schemas.subjects import resolve_subjects

LISTED, CLOSED, WITHDRAWN, WITHDRAW, REOPENED, UNREADABLE = (
    "listed",
    "closed",
    "withdrawn",
    "withdraw",
    "reopened",
    "unreadable",
)
"""Kinds of lines: a record that stands in the list; one that the list itself closes; one that an earlier list held and
a later one withdrew; one that this list withdraws; one that it opens again; an event that could not be read."""

PARTS = (
    "category",
    "authority_code",
    "authority_name",
    "document_number",
    "item",
    "decided_on",
    "valid_to",
    "subject_id",
)
"""Fields that make a record's id (`catalogue.toml`), in the spelling of an identified event."""

LINE_SCHEMA = pl.Schema(
    {
        "kind": pl.String,
        "row": pl.Int32,
        "part": pl.Int32,
        "high": pl.UInt64,
        "low": pl.UInt64,
        **{name: pl.Date if name in ("decided_on", "valid_to") else pl.String for name in PARTS},
        "subject_key": pl.String,
        "document": pl.String,
        "name": pl.UInt64,
        "seen_as": pl.UInt64,
    }
)
"""`row` and `part`: which event of the list. `high`, `low`: the record's id. `document`, `name` (0 = none): document
number and subject's name as they are compared. `seen_as`: of an unreadable event, a hash of what could be read."""

ID = ["high", "low"]
_UNREADABLE_BY = ("category", "document_number", "item", "subject_name", "authority_name")


def no_lines() -> pl.DataFrame:
    """No line at all."""
    return pl.DataFrame(schema=LINE_SCHEMA)


def lines_of(events: pa.RecordBatch, examined: Examined) -> pl.DataFrame:
    """`LINE_SCHEMA`: what the events of a chunk say stands in the list. Refused events leave no line."""
    kind = pl.when(pl.col("operation").is_in(CLOSING)).then(pl.lit(CLOSED)).otherwise(pl.lit(LISTED))
    identified = pl.DataFrame(pl.from_arrow(examined.identified)).with_columns(kind=kind)
    listed = of_records(identified, "source_row", "source_part")
    aside = examined.rejects.filter(pl.col("outcome") == "quarantined")
    if aside.height == 0:
        return listed
    return pl.concat([listed, _unreadable(pl.DataFrame(pl.from_arrow(events))[aside["row"]])])


def of_records(records: pl.DataFrame, row: str | None = None, part: str | None = None) -> pl.DataFrame:
    """`LINE_SCHEMA` of identified events or records, whose `kind` is given; without `row` and `part` they have no place
    in a list."""
    high, low = from_hex(records["record_id"].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string()), 2)
    return records.select(
        "kind",
        row=pl.col(row) if row else pl.lit(-1),
        part=pl.col(part) if part else pl.lit(0),
        high=pl.Series(high, dtype=pl.UInt64),
        low=pl.Series(low, dtype=pl.UInt64),
        **{name: pl.col(name) for name in PARTS},
        subject_key="subject_key",
        document=document_identity(records["document_number"]),
        name=_name_hashes(records["subject_name"]),
        seen_as=pl.lit(0, pl.UInt64),
    ).cast(LINE_SCHEMA)


def _unreadable(events: pl.DataFrame) -> pl.DataFrame:
    """Lines of events that would be set aside, with whatever of subject, document and name can be read of each.

    An event whose source has put a placeholder where the subject stood and names it nowhere leaves none: that is no
    doubt, the source says that it names nobody (a court has had the subject blanked, say).
    """
    subjects = resolve_subjects(events["subject_ids"])
    spelled = document_numbers(events["document_number"])
    seen_as = events.select(
        *_UNREADABLE_BY,
        ids=pl.col("subject_ids").list.join("\x1e"),
        faults=pl.col("faults").list.join("\x1e"),
        day=pl.col("decided_on").cast(pl.String),
    )
    spelled_names = _name_hashes(names(events["subject_name"]))
    names_nobody = (subjects["reason"] == "subject_placeholder").fill_null(False) & (spelled_names == 0)
    nothing = {name: pl.lit(None, dtype) for name, dtype in LINE_SCHEMA.items() if name in PARTS}
    return (
        events.select(
            kind=pl.lit(UNREADABLE),
            row="source_row",
            part="source_part",
            high=pl.lit(0),
            low=pl.lit(0),
            **nothing,
            subject_key=subjects["subject_key"].fill_null(""),
            document=document_identity(spelled),
            name=spelled_names,
            seen_as=pl.Series(hash_64(seen_as, seen_as.columns)),
        )
        .with_columns(pl.col(name).fill_null("") for name in PARTS if LINE_SCHEMA[name] == pl.String)
        .cast(LINE_SCHEMA)
        .filter(~names_nobody)
    )


def _name_hashes(column: pl.Series) -> pl.Series:
    """A hash of each name, 0 where there is none."""
    hashes = hash_64(column.rename("name").to_frame(), ["name"])
    return pl.select(pl.when(column != "").then(pl.Series(hashes)).otherwise(pl.lit(0, pl.UInt64))).to_series()


def withdrawals(lines: pl.DataFrame, mapping: str, day: date | None, version_ms: int) -> pa.RecordBatch:
    """CREDIT_EVENT columns: a `withdraw` for each line, in their order; row 0, since they stand in no row of a file.

    Args:
        mapping: name@version.
        day: date of the list that they are absent from; None asks only for ids.
        version_ms: orders them behind whatever the earlier list said.
    """
    said = lines.select(
        *(name for name in PARTS if name != "subject_id"),
        subject_ids=pl.concat_list("subject_id"),
        operation=pl.lit("withdraw"),
        mapping=pl.lit(mapping),
        change_decided_on=pl.lit(day, pl.Date),
        source_version=pl.lit(version_ms, pl.Int64).cast(pl.Datetime("ms")),
        source_row=pl.lit(0, pl.Int32),
        source_part=pl.int_range(pl.len(), dtype=pl.Int32),
    ).to_arrow(compat_level=pl.CompatLevel.oldest())
    columns = []
    for field in CREDIT_EVENT.arrow:
        if field.name in said.column_names:
            columns.append(said[field.name].cast(field.type).combine_chunks())
        else:
            columns.append(_blank(field, lines.height))
    return pa.RecordBatch.from_arrays(columns, schema=CREDIT_EVENT.arrow)


def _blank(field: Any, count: int) -> pa.Array[Any]:
    if field.nullable:
        return pa.nulls(count, field.type)
    if pa.types.is_list(field.type):
        return pa.array([[]] * count, field.type)
    if pa.types.is_string(field.type):
        return pa.repeat(pa.scalar("", pa.string()), count)
    return pa.array(np.zeros(count, np.int64)).cast(field.type)


def with_ids_of(lines: pl.DataFrame, examined: Examined) -> pl.DataFrame:
    """The lines under the records that their withdrawals would close today.

    A correction of an authority's code, or another rule of identity, gives a line another id than it had when its list
    was sent: lists are compared by what the ids are now, and a withdrawal can close no other record than it means. A
    line whose withdrawal would be set aside keeps its id: if it comes to that, its receipt says why.

    Args:
        examined: of `withdrawals(lines, ...)`.
    """
    high, low = from_hex(examined.identified["record_id"], 2)
    ids = lines.select("high", "low", "subject_key").with_row_index("at")
    today = pl.DataFrame(
        {
            "at": pl.Series(examined.rows, dtype=pl.UInt32),
            "high": pl.Series(high, dtype=pl.UInt64),
            "low": pl.Series(low, dtype=pl.UInt64),
            "subject_key": pl.Series(pl.from_arrow(examined.identified.column("subject_key")), dtype=pl.String),
        }
    )
    return lines.with_columns(ids.update(today, on="at").drop("at").get_columns())
