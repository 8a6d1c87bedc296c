"""What would become of events that were set aside if they came today: examined and folded by the lanes' own code.

Pure. The fold runs on a copy of what register knows of the subjects, and nothing of it is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa

from schemas.examine import examine
from schemas.reference import Reference
from stream_processors.fold import OUTCOME_NAMES, fold
from stream_processors.index import Index
from stream_processors.kafka import Batch
from stream_processors.quarantine_events import Events
from stream_processors.reports import reports_of
from stream_processors.restore import replay


@dataclass(frozen=True, slots=True)
class Judged:
    """Some events as today's code sees them.

    Attributes:
        good: CREDIT_EVENT columns of those that would come through intake. ids, departments, outcomes: of each of them;
            the outcome is register's: new, repeat, superseding, stale or conflicting.
        rejects: columns id, outcome, reason, detail of the others.
        unreadable: items that hold no event.
    """

    good: pa.RecordBatch
    ids: list[int]
    departments: list[str]
    outcomes: list[str]
    rejects: pl.DataFrame
    unreadable: list[int]


class Judge:
    """Says it of one batch after the other; later ones know of the earlier ones, as register would.

    Args:
        records: all that register knows of some subjects, see `quarantine_shelf.Shelf.records`.
        today: days since 1970 in Shanghai.
    """

    def __init__(self, reference: Reference, records: Callable[[Sequence[str]], Batch], today: int) -> None:
        self._reference = reference
        self._records = records
        self._today = today
        self._index = Index()
        self._known: set[str] = set()

    def judge(self, events: Events, departments: Sequence[str]) -> Judged:
        """What would become of each event.

        Args:
            departments: of each row of `events.batch`.
        """
        who = pl.Series("department", departments, dtype=pl.String)
        examined = examine(events.batch, who, self._reference)
        rows = examined.rows.tolist()
        rejects = examined.rejects.select(
            pl.Series("id", [events.ids[row] for row in examined.rejects["row"].to_list()], dtype=pl.Int64),
            "outcome",
            "reason",
            "detail",
        )
        return Judged(
            events.batch.take(examined.rows),
            [events.ids[row] for row in rows],
            [departments[row] for row in rows],
            self._fold(examined.identified),
            rejects,
            events.unreadable,
        )

    def _fold(self, identified: pa.RecordBatch) -> list[str]:
        if identified.num_rows == 0:
            return []
        frame = pl.DataFrame(pl.from_arrow(identified))
        fresh = sorted(set(frame["subject_key"].to_list()) - self._known)
        self._known.update(fresh)
        replay(self._index, self._records(fresh))
        ranks = self._reference.ranks(frame["department"], frame["authority_code"])
        folded = fold(self._index, reports_of(identified, frame, ranks), self._today)
        self._index.forget()
        return [OUTCOME_NAMES[code] for code in folded.outcome.tolist()]


@dataclass(slots=True)
class Counted:
    """How many events would become what.

    Attributes:
        outcomes: of register, by name. still_bad: by reason, of today. refused: by reason: today's guard would not have
            let them come here at all.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    still_bad: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0

    def add(self, judged: Judged) -> None:
        """Count a batch."""
        self.outcomes.update(judged.outcomes)
        for outcome, reason in judged.rejects.select("outcome", "reason").iter_rows():
            (self.refused if outcome == "refused" else self.still_bad)[reason] += 1
        self.unreadable += len(judged.unreadable)


def first_of(judged: Judged, count: int) -> Judged:
    """The same with only the first `count` of the good ones."""
    if len(judged.ids) <= count:
        return judged
    return Judged(
        judged.good.slice(0, count),
        judged.ids[:count],
        judged.departments[:count],
        judged.outcomes[:count],
        judged.rejects,
        judged.unreadable,
    )
