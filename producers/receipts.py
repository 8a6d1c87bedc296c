"""What became of each row of a submission: receipts collected from the platform, folded to one outcome for each row.

A row that became several events has the outcome of its worst one (`schemas.reasons.WORST_FIRST`). Non-goal: judging;
the platform has judged, this only reads and counts.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from producers.journal import Entry
from producers.kafka import Reader, end_offsets, look, read_up_to
from producers.stamp import places_of
from schemas import codec
from schemas.avro import RECEIPT
from schemas.errors import InputError
from schemas.reasons import OUTCOMES, REASONS, WORST_FIRST
from schemas.settings import Settings
from schemas.topics import receipts_topic

_TAKE_SECONDS = 0.1
RECEIVED_SCHEMA = pl.Schema(
    {"row": pl.Int32, "part": pl.Int32, "outcome": pl.String, "reason": pl.String, "detail": pl.String}
)
"""What the platform said of events, at most one line for each."""
_WORST = pl.Enum(WORST_FIRST)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the rows of one submission, or of several together.

    Attributes:
        outcomes: rows for each outcome that occurred; with `waiting` they add up to `rows`.
        rejects: columns row, reason, detail, one for each refused or quarantined row, in the order of the rows.
        waiting: rows of which at least one event has no receipt yet.
        withdrawn: what became of the withdrawals of a full list, outcome -> records; those that wait under "waiting".
        snapshot: how a full list differs from the last one (`snapshot.Counts`); None for any other file.
    """

    submission: str
    rows: int
    outcomes: dict[str, int]
    rejects: pl.DataFrame
    waiting: int = 0
    withdrawn: dict[str, int] = field(default_factory=dict)
    snapshot: dict[str, int] | None = None

    @property
    def rejected(self) -> pl.DataFrame:
        """The rejects with their outcome."""
        return self.rejects.with_columns(
            outcome=pl.col("reason").replace_strict({name: r.outcome for name, r in REASONS.items()})
        )

    @property
    def reasons(self) -> dict[str, int]:
        """Rejected rows for each reason, most frequent first."""
        counted = self.rejects["reason"].value_counts(sort=True)
        return dict(counted.sort(["count", "reason"], descending=[True, False]).iter_rows())

    def as_json(self) -> dict[str, Any]:
        """The answer for machines; `waiting` is there only while rows wait."""
        answer: dict[str, Any] = {
            "submission": self.submission,
            "rows": self.rows,
            "outcomes": self.outcomes,
            "reasons": self.reasons,
            "rejects": [
                {"row": row, "reason": reason, "message": REASONS[reason].message(detail)}
                for row, reason, detail in self.rejects.iter_rows()
            ],
        }
        if self.waiting:
            answer["waiting"] = self.waiting
        if self.snapshot is not None:
            answer["snapshot"] = self.snapshot
            answer["withdrawn"] = self.withdrawn
        return answer


def settle(submission: str, rows: int, sent: pl.DataFrame, received: pl.DataFrame) -> Result:
    """One outcome for each row.

    Args:
        rows: rows of the file; each is in `sent` at least once.
        sent: `journal.SENT_SCHEMA`: events that were sent, and what the adapter refused.
        received: `RECEIVED_SCHEMA`.
    """
    withdrawn = _withdrawn(sent, received)
    sent, received = sent.filter(pl.col("row") != 0), received.filter(pl.col("row") != 0)
    refused = sent.filter(pl.col("reason") != "").select(
        "row", "part", pl.lit("refused").alias("outcome"), "reason", "detail"
    )
    events = sent.filter(pl.col("reason") == "")
    waiting = events.join(received, on=["row", "part"], how="anti")["row"].unique()
    judged = (
        pl.concat([refused, received.cast(RECEIVED_SCHEMA)])
        .filter(~pl.col("row").is_in(waiting.implode()))
        .with_columns(pl.col("outcome").cast(_WORST))
        .sort("row", "outcome", "part")
        .unique("row", keep="first", maintain_order=True)
    )
    assert judged.height + len(waiting) == rows, "a row was neither sent nor refused"
    counted = dict(judged.group_by("outcome").len().iter_rows())
    return Result(
        submission,
        rows,
        {outcome: counted[outcome] for outcome in OUTCOMES if outcome in counted},
        judged.filter(pl.col("outcome").is_in(["refused", "quarantined"])).select("row", "reason", "detail"),
        len(waiting),
        withdrawn,
    )


def of_entry(entry: Entry, sent: pl.DataFrame, received: pl.DataFrame) -> Result:
    """What became of a submission, with how it differs from the last one where it is a full list."""
    return replace(settle(entry.submission, entry.rows, sent, received), snapshot=entry.snapshot)


def _withdrawn(sent: pl.DataFrame, received: pl.DataFrame) -> dict[str, int]:
    """What became of the events that stand in no row: row 0, the withdrawals of a full list."""
    acts = sent.filter(pl.col("row") == 0).join(received, on=["row", "part"], how="left")
    counted = dict(acts.with_columns(pl.col("outcome").fill_null("waiting")).group_by("outcome").len().iter_rows())
    return {outcome: counted[outcome] for outcome in (*OUTCOMES, "waiting") if outcome in counted}


def total(results: list[Result]) -> dict[str, Any]:
    """Several submissions as one answer for machines: each of them, and their sums."""
    answers = [result.as_json() for result in results]
    answer: dict[str, Any] = {
        "submissions": answers,
        "rows": sum(result.rows for result in results),
        "outcomes": _sum(result.outcomes for result in results),
        "reasons": _sum(result.reasons for result in results),
        "rejects": [{"submission": a["submission"], **reject} for a in answers for reject in a["rejects"]],
    }
    if waiting := sum(result.waiting for result in results):
        answer["waiting"] = waiting
    return answer


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for count in counts:
        for name, number in count.items():
            sums[name] = sums.get(name, 0) + number
    return sums


class Collector:
    """Gathers the receipts of one submission, whatever else is on the topic; see `_standing` for which one counts."""

    def __init__(self, submission: str, sent: pl.DataFrame) -> None:
        self._submission = submission
        events = sent.filter(pl.col("reason") == "")
        self._expected = np.unique(places_of(events["row"], events["part"]))
        self._there = np.zeros(len(self._expected), bool)
        self._found = [pl.DataFrame(schema=RECEIVED_SCHEMA)]

    @property
    def events(self) -> int:
        """How many receipts there must be."""
        return len(self._expected)

    @property
    def collected(self) -> int:
        """How many events have theirs."""
        return int(self._there.sum())

    def add(self, values: list[bytes]) -> None:
        """Take what concerns this submission from some messages of the receipts topic."""
        decoded = codec.decode(RECEIPT, values)
        if decoded.unknown:
            raise InputError(
                f"reading receipts: schema id {decoded.unknown[0][1]} is newer than this adapter; upgrade it and run "
                f"xinliu-adapter receipts {self._submission}"
            )
        frame = pl.DataFrame(pl.from_arrow(decoded.batch)).filter(pl.col("submission") == self._submission)
        if frame.height == 0:
            return
        lines = (
            frame.select("rows", "parts", "outcome", "reason", "detail")
            .explode("rows", "parts")
            .rename({"rows": "row", "parts": "part"})
            .select(list(RECEIVED_SCHEMA))
        )
        keys = places_of(lines["row"], lines["part"])
        at = np.searchsorted(self._expected, keys)
        at[at == len(self._expected)] = 0
        mine = self._expected[at] == keys if len(self._expected) else np.zeros(len(keys), bool)
        self._there[at[mine]] = True
        self._found.append(lines.filter(pl.Series(mine)))

    def received(self) -> pl.DataFrame:
        """`RECEIVED_SCHEMA`."""
        return _standing(pl.concat(self._found))


def _standing(said: pl.DataFrame) -> pl.DataFrame:
    """Of all that was said of each event what stands: its first good outcome, else the last that was said.

    An event that was set aside may be sent again, and one that is on record is only repeated after that.
    """
    if said.height == said.select(pl.struct("row", "part").n_unique()).item():
        return said
    good = ~pl.col("outcome").is_in(["quarantined", "refused"])
    turn = pl.int_range(pl.len())
    return (
        said.with_columns(good=good, turn=pl.when(good).then(turn).otherwise(-turn))
        .sort("good", "turn", descending=[True, False])
        .unique(["row", "part"], keep="first", maintain_order=True)
        .select(list(RECEIVED_SCHEMA))
    )


def collect(
    settings: Settings,
    entry: Entry,
    sent: pl.DataFrame,
    silence_seconds_max: float,
    progress: Callable[[int, int], None] = lambda collected, events: None,
) -> Result:
    """Wait until each row has its outcome, or until nothing came for so long: then some rows still wait."""
    collector = Collector(entry.submission, sent)
    progress(0, collector.events)
    reader = Reader(settings, receipts_topic(entry.department), entry.receipt_starts)
    try:
        heard = time.monotonic()
        while collector.collected < collector.events and time.monotonic() - heard < silence_seconds_max:
            before = collector.collected
            collector.add(reader.take(_TAKE_SECONDS))
            if collector.collected > before:
                heard = time.monotonic()
                progress(collector.collected, collector.events)
    finally:
        reader.close()
    return of_entry(entry, sent, collector.received())


def so_far(settings: Settings, entry: Entry, sent: pl.DataFrame, silence_seconds_max: float) -> Result:
    """What became of the rows until now, without waiting for more."""
    topic = receipts_topic(entry.department)
    cluster = look(settings)
    cluster.require(settings, topic)
    collector = Collector(entry.submission, sent)
    ends = end_offsets(settings, topic, cluster.partitions[topic])
    for values in read_up_to(settings, topic, entry.receipt_starts, ends, silence_seconds_max):
        collector.add(values)
    return of_entry(entry, sent, collector.received())
