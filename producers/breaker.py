"""The breaker: a bad mapping must not drain a year of a department's files into quarantine.

Two questions stop a file. Before and while it is sent: would too large a share of its rows be set aside, by the very
code that the platform runs? And before the next one: was too large a share of the department's last file set aside?
Rows about persons are refused by design and do not count, neither as bad nor as rows; they are said. Pure.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from producers.check import examine_as_reported, rejected_rows
from producers.mapping import Mapped, Mapping
from producers.readers import Chunk
from schemas.errors import InputError
from schemas.examine import Examined
from schemas.reference import Reference
from schemas.settings import Settings

BAD_SHARE_MAX = 0.2
BAD_ROWS_MIN = 50
"""Fewer bad rows never stop a file: a clerk mends them by hand."""
SAMPLE_ROWS_FIRST = 5_000
SAMPLE_ROWS_LATER = 500
_REASONS_SAID = 3


@dataclass(frozen=True, slots=True)
class Judged:
    """What would become of some rows, or became of them.

    Attributes:
        rows: how many were judged; `set_aside` and `refused` are among them.
        reasons: (reason, detail) -> rows that were set aside.
    """

    rows: int = 0
    set_aside: int = 0
    refused: int = 0
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __add__(self, other: Judged) -> Judged:
        return Judged(
            self.rows + other.rows,
            self.set_aside + other.set_aside,
            self.refused + other.refused,
            self.reasons + other.reasons,
        )

    def scaled(self, rows: int) -> Judged:
        """The same shares of so many rows: what a sample says of the whole."""
        times = rows / max(1, self.rows)
        reasons = Counter({reason: round(count * times) for reason, count in self.reasons.items()})
        return Judged(rows, round(self.set_aside * times), round(self.refused * times), reasons)

    @property
    def share(self) -> float:
        """Rows set aside of those that the platform may hold."""
        return self.set_aside / max(1, self.rows - self.refused)

    def is_bad(self, share_max: float) -> bool:
        return self.set_aside >= BAD_ROWS_MIN and self.share > share_max

    @property
    def words(self) -> str:
        """The share, the most frequent reasons, and what does not count."""
        named = [
            f"{rows:,} {reason}{f' ({detail})' if detail else ''}"
            for (reason, detail), rows in self.reasons.most_common(_REASONS_SAID)
        ]
        more = len(self.reasons) - _REASONS_SAID
        refused = f"; {self.refused:,} refused rows do not count" if self.refused else ""
        return (
            f"{self.set_aside:,} of {self.rows:,} rows ({self.share:.0%}): {', '.join(named)}"
            f"{f' and {more} more reasons' if more > 0 else ''}{refused}"
        )


def share_of(asked: float | None, settings: Settings) -> float:
    """The share that --bad-share-max asks for, without it that of the settings; InputError where it is no share."""
    if asked is None:
        return settings.bad_percent_max / 100
    if not 0 <= asked <= 1:
        raise InputError("--bad-share-max is a share between 0 and 1, such as 0.2; 1 sends whatever it is")
    return asked


def judged_of(rows: int, rejects: pl.DataFrame) -> Judged:
    """Count rejects: columns outcome, reason, detail, one line for each row that is not good."""
    aside = rejects.filter(pl.col("outcome") == "quarantined")
    reasons = aside.group_by("reason", "detail").len()
    return Judged(
        rows,
        aside.height,
        rejects.height - aside.height,
        Counter({(reason, detail or ""): count for reason, detail, count in reasons.iter_rows()}),
    )


@dataclass(frozen=True, slots=True)
class Judge:
    """What would become of rows, by what the platform goes by.

    Attributes:
        now_ms: when they are handed over, milliseconds since 1970.
    """

    department: str
    reference: Reference
    now_ms: int

    def examine(self, mapped: Mapped) -> Examined:
        return examine_as_reported(mapped.events, self.department, self.reference, self.now_ms)

    def judge(self, rows: int, mapped: Mapped) -> Judged:
        """What would become of so many mapped rows."""
        return judged_of(rows, rejected_rows(mapped, self.examine(mapped)))

    def first(self, chunk: Chunk, mapping: Mapping) -> Judged:
        """What would become of the first rows of a file, before anything is sent."""
        first = replace(
            chunk,
            cells=chunk.cells.head(SAMPLE_ROWS_FIRST),
            rows=chunk.rows.head(SAMPLE_ROWS_FIRST),
            faults=None if chunk.faults is None else chunk.faults.head(SAMPLE_ROWS_FIRST),
        )
        return self.judge(len(first.rows), mapping.apply(first))

    def sample(self, chunk: Chunk, mapped: Mapped) -> Judged:
        """What would become of a chunk, from some of its rows at equal distances: while a file is sent."""
        sampled = chunk.rows.gather_every(max(1, len(chunk.rows) // SAMPLE_ROWS_LATER))
        among = sampled.implode()
        source_rows = pl.Series(pl.from_arrow(mapped.events.column("source_row")))
        events = mapped.events.take(np.flatnonzero(source_rows.is_in(among).to_numpy()))
        return self.judge(len(sampled), Mapped(events, mapped.refused.filter(pl.col("row").is_in(among))))
