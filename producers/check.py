"""What would become of a file, said offline: read, map, examine with the very code of the intake lane.

Non-goal: whether a row is new, a repeat or stale, since only the platform knows what is on record.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypedDict

import polars as pl
import pyarrow as pa

from producers.mapping import Mapped, Mapping
from producers.readers import read
from schemas.examine import Examined, examine
from schemas.reasons import REASONS, WORST_FIRST
from schemas.reference import Reference

CheckOutcome = Literal["good", "quarantined", "refused"]


class Rejected(TypedDict):
    """One row that would not be recorded, and why, as a clerk reads it."""

    row: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What would become of each row.

    Attributes:
        rows: rows of data in the file; the sum of `outcomes`.
        outcomes: good, quarantined, refused -> rows; of a row with several events the worst.
        reasons: reject reason -> rows.
        rejects: in the order of the rows; never a value of the file.
        skipped: note, total, sample, header -> rows that are no data.
    """

    rows: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    rejects: list[Rejected] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def all_good(self) -> bool:
        return self.outcomes["good"] == self.rows


def check(
    path: Path,
    mapping: Mapping,
    department: str,
    reference: Reference,
    progress: Callable[[int], None] = lambda bytes_done: None,
) -> Checked:
    """Say of each row of a file what would become of it if the department published it.

    Args:
        progress: called with the bytes read so far, see `readers.progress_total`.

    Raises:
        InputError: the file can not be read.
    """
    rows = 0
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    rejects: list[Rejected] = []
    now_ms = round(datetime.now(UTC).timestamp() * 1000)
    for chunk in read(path, mapping.layout):
        mapped = mapping.apply(chunk)
        worst = rejected_rows(mapped, examine_as_reported(mapped.events, department, reference, now_ms))
        rows += len(chunk.rows)
        outcomes.update(worst["outcome"].to_list())
        outcomes["good"] += len(chunk.rows) - worst.height
        reasons.update(worst["reason"].to_list())
        skipped.update(chunk.skipped["why"].to_list())
        rejects += [
            Rejected(row=row, reason=reason, message=REASONS[reason].message(detail))
            for row, reason, detail in worst.select("row", "reason", "detail").iter_rows()
        ]
        progress(chunk.bytes_done)
    return Checked(rows, outcomes, reasons, rejects, skipped)


def rejected_rows(mapped: Mapped, examined: Examined) -> pl.DataFrame:
    """Rows that would not be recorded: row, outcome, reason, detail; of several events the worst, then the first."""
    source_rows = pl.Series(pl.from_arrow(mapped.events.column("source_row")))
    found = pl.concat(
        [
            mapped.refused.select("row", pl.lit("refused").alias("outcome"), "reason", "detail"),
            examined.rejects.select(
                source_rows.gather(examined.rejects["row"]).cast(pl.Int32).alias("row"), "outcome", "reason", "detail"
            ),
        ]
    )
    badness = {outcome: number for number, outcome in enumerate(WORST_FIRST)}
    order = found["outcome"].replace_strict(badness, return_dtype=pl.Int64).rename("badness")
    return (
        found.with_columns(order)
        .sort("row", "badness", maintain_order=True)
        .unique("row", keep="first", maintain_order=True)
    )


def examine_as_reported(events: pa.RecordBatch, department: str, reference: Reference, reported_at_ms: int) -> Examined:
    """What intake would say of mapped events that are handed over at that moment: no decision is of a later day."""
    place = events.schema.get_field_index("reported_at")
    stamps = pa.repeat(pa.scalar(reported_at_ms, pa.timestamp("ms")), events.num_rows)
    return examine(events.set_column(place, events.schema.field(place), stamps), department, reference)
