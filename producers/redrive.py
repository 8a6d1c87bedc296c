"""Sends rows that were set aside once more, after their mapping was mended: read again from the file by the new one.

What a cell said is not in an event that could not be read, so only the department can do this, with its file. The rows
keep their submission, number and time of report, and bear the new mapping's version. Rows that were recorded are left
alone; first it is said what would become of the others.

Non-goal: events that rules or reference tables let through by now; the platform sends those (xinliu quarantine
redrive).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from producers.check import rejected_rows
from producers.journal import SENT_SCHEMA, Entry, Journal, sha256_of
from producers.kafka import Sender, Undelivered, begin_offsets, end_offsets, look, read_up_to
from producers.mapping import Mapped, Mapping
from producers.readers import read
from producers.receipts import Collector, Result, collect
from producers.stamp import messages
from schemas import codec
from schemas.avro import CREDIT_EVENT
from schemas.errors import InputError, Retryable
from schemas.examine import examine
from schemas.reference import Reference
from schemas.settings import Settings
from schemas.topics import events_topic, receipts_topic

_DOING = "redriving"
_SHA_SHOWN = 12


@dataclass(frozen=True, slots=True)
class RedriveOrder:
    """What a clerk asks for.

    Attributes:
        submission: the one that the rows came with; empty = the newest one of this very file.
        apply: send; else only say.
    """

    path: Path
    mapping: Mapping
    submission: str = ""
    apply: bool = False
    silence_seconds_max: float = 60.0


@dataclass(slots=True)
class Redriven:
    """What the mended mapping makes of the rows that are set aside, and with `apply` what became of them.

    Attributes:
        rows: rows that were set aside until now. outcomes: good, quarantined or refused -> rows, by the new mapping.
        reasons: (reason, detail) -> rows that are still not good.
        changed: rows that are still set aside, for another reason than before: they are sent as well, so that
            quarantine holds what can be read of them now.
        sent: events. result: what became of the rows that were sent, None where none were.
    """

    submission: str
    mapping_before: str
    mapping: str
    rows: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: int = 0
    sent: int = 0
    result: Result | None = None

    def as_json(self, applied: bool) -> dict[str, Any]:
        """The answer for machines."""
        answer: dict[str, Any] = {
            "applied": applied,
            "submission": self.submission,
            "mapping_before": self.mapping_before,
            "mapping": self.mapping,
            "rows": self.rows,
            "would_be": {name: self.outcomes[name] for name in ("good", "quarantined", "refused")},
            "reasons": [
                {"reason": reason, "detail": detail, "rows": rows}
                for (reason, detail), rows in self.reasons.most_common()
            ],
            "changed": self.changed,
        }
        if applied:
            answer["sent"] = self.sent
            answer["outcomes"] = dict[str, int]() if self.result is None else self.result.outcomes
            answer["waiting"] = 0 if self.result is None else self.result.waiting
        return answer


def redrive(settings: Settings, reference: Reference, order: RedriveOrder) -> Redriven:
    """Judge the rows that are set aside by the mapping as it is now and, where the order says so, send them.

    Raises:
        InputError: the file is not the one that was published, or its mapping is the one that it was published by.
        Retryable: the broker does not answer; the same command again sends what is still set aside.
    """
    journal = Journal(settings.home)
    entry, sent = _published(journal, order)
    name = f"{order.mapping.name}@{order.mapping.version}"
    if name == entry.mapping:
        raise InputError(
            f"{_DOING} {order.path}: it was published by {name}, which is still the mapping's version; raise the "
            "version in the mapping's file, so that its events can be told from those before"
        )
    partitions = look(settings).partitions
    topic, receipts = events_topic(entry.department), receipts_topic(entry.department)
    found = Redriven(entry.submission, entry.mapping, name)
    with journal.lock(entry.key):
        said = _said(settings, entry, sent, partitions.get(receipts, 1), order.silence_seconds_max)
        # Row 0 holds the withdrawals of a full list, which no row of the file says.
        aside = said.filter((pl.col("outcome") == "quarantined") & (pl.col("row") != 0))
        found.rows = aside["row"].n_unique()
        if found.rows == 0:
            return found
        times = _times(settings, entry, aside["row"], partitions.get(topic, 1), order.silence_seconds_max)
        starts = end_offsets(settings, receipts, partitions.get(receipts, 1))
        run = _Run(settings, reference, entry, order, aside, times, found)
        lines = run.all_chunks()
        if order.apply and lines.height:
            _note_new_events(journal, entry, sent, lines)
            asked = replace(entry, receipt_starts=starts, rows=lines["row"].n_unique(), snapshot=None)
            found.result = collect(settings, asked, lines, order.silence_seconds_max)
    return found


def _published(journal: Journal, order: RedriveOrder) -> tuple[Entry, pl.DataFrame]:
    """The submission of the file, which must be the very one that was published."""
    if not order.path.exists() and not order.submission:
        raise InputError(
            f"{_DOING}: no file of that name is there; the journal keeps no names of files, so give the file that was "
            "published: xinliu-adapter redrive FILE --mapping NAME"
        )
    content = sha256_of(order.path)
    if not order.submission:
        entries = journal.of_content(content)
        if not entries:
            raise InputError(
                f"{_DOING} {order.path}: this very file was not published from here (its SHA-256 begins with "
                f"{content[:_SHA_SHOWN]}); give the file as it was published, or set XINLIU_HOME to the folder that it "
                "was published from"
            )
        return journal.load(entries[-1].submission)
    entry, sent = journal.load(order.submission)
    if entry.file_sha256 != content:
        wanted = f"begins with {entry.file_sha256[:_SHA_SHOWN]}" if entry.file_sha256 else "is not known"
        raise InputError(
            f"{_DOING} {order.path}: this is not the file that was published as {entry.submission}; its SHA-256 begins "
            f"with {content[:_SHA_SHOWN]}, that of the published one {wanted}"
        )
    return entry, sent


def _said(
    settings: Settings, entry: Entry, sent: pl.DataFrame, partitions: int, silence_seconds_max: float
) -> pl.DataFrame:
    """What stands of each event of the submission (`receipts.RECEIVED_SCHEMA`)."""
    topic = receipts_topic(entry.department)
    collector = Collector(entry.submission, sent)
    for values in read_up_to(
        settings, topic, entry.receipt_starts, end_offsets(settings, topic, partitions), silence_seconds_max
    ):
        collector.add(values)
    return collector.received()


def _times(
    settings: Settings, entry: Entry, rows: pl.Series, partitions: int, silence_seconds_max: float
) -> dict[int, int]:
    """When each of these rows was reported, in milliseconds, as far as the topic still keeps its events (7 days)."""
    topic = events_topic(entry.department)
    begins = begin_offsets(settings, topic, partitions)
    starts = {number: max(entry.event_starts.get(number, 0), begins[number]) for number in range(partitions)}
    name, wanted = entry.submission.encode(), set(rows.to_list())
    found: dict[int, int] = {}
    for values in read_up_to(settings, topic, starts, end_offsets(settings, topic, partitions), silence_seconds_max):
        decoded = codec.decode(CREDIT_EVENT, [value for value in values if name in value])
        events = pl.DataFrame(pl.from_arrow(decoded.batch.select(["submission", "source_row", "reported_at"])))
        mine = events.filter(pl.col("submission") == entry.submission)
        for row, at in mine.select("source_row", pl.col("reported_at").dt.epoch("ms")).iter_rows():
            if row in wanted:
                found.setdefault(row, at)
    return found


class _Run:
    """One pass through the file: judges the rows that are set aside, and sends those that may go."""

    def __init__(
        self,
        settings: Settings,
        reference: Reference,
        entry: Entry,
        order: RedriveOrder,
        aside: pl.DataFrame,
        times: dict[int, int],
        found: Redriven,
    ) -> None:
        self._reference = reference
        self._entry = entry
        self._order = order
        self._rows = aside["row"].unique().sort()
        self._before = set(aside.select("row", "reason", "detail").iter_rows())
        self._times = times
        self._found = found
        self._lines = [pl.DataFrame(schema=SENT_SCHEMA)]
        self._sender = (
            Sender(settings, events_topic(entry.department), order.silence_seconds_max) if order.apply else None
        )

    def all_chunks(self) -> pl.DataFrame:
        """One line for each event that was sent (`SENT_SCHEMA`)."""
        try:
            for chunk in read(self._order.path, self._order.mapping.layout):
                if chunk.rows.is_in(self._rows.implode()).any():
                    self._one_chunk(self._order.mapping.apply(chunk))
            if self._sender is not None:
                self._sender.finish()
        except Undelivered as failure:
            raise Retryable(
                f"{_DOING} {self._order.path}: the broker stopped answering ({failure}); run the same command again, "
                "it sends what is still set aside"
            ) from failure
        judged = self._found.outcomes.total()
        if judged < self._found.rows:
            # By its content it is the same file: these rows are no data by the new mapping's layout.
            self._found.outcomes["quarantined"] += self._found.rows - judged
            self._found.reasons["row_shape", "no row of data by this mapping"] += self._found.rows - judged
        return pl.concat(self._lines)

    def _one_chunk(self, mapped: Mapped) -> None:
        rows = pl.Series(pl.from_arrow(mapped.events.column("source_row")))
        events = mapped.events.take(rows.is_in(self._rows.implode()).arg_true().to_numpy())
        refused = mapped.refused.filter(pl.col("row").is_in(self._rows.implode()))
        events = _reported_at(events, self._times, self._entry.started_at_ms)
        mine = Mapped(events, refused)
        rejects = rejected_rows(mine, examine(events, self._entry.department, self._reference))
        rows = pl.Series(pl.from_arrow(events.column("source_row")))
        present = pl.concat([rows.cast(pl.Int32), refused["row"].cast(pl.Int32)]).unique()
        self._found.outcomes.update(rejects["outcome"].to_list())
        self._found.outcomes["good"] += len(present) - rejects.height
        for reason, detail in rejects.select("reason", "detail").iter_rows():
            self._found.reasons[reason, detail or ""] += 1
        changed = [
            row
            for row, outcome, reason, detail in rejects.select("row", "outcome", "reason", "detail").iter_rows()
            if outcome == "quarantined" and (row, reason, detail) not in self._before
        ]
        self._found.changed += len(changed)
        keeps = ~rows.is_in(rejects["row"].implode()) | rows.is_in(pl.Series(changed, dtype=rows.dtype).implode())
        if self._sender is not None and keeps.any():
            self._send(events.take(keeps.arg_true().to_numpy()))

    def _send(self, events: pa.RecordBatch) -> None:
        """Each event with the time at which its row was reported."""
        assert self._sender is not None
        times = pl.Series(pl.from_arrow(events.column("reported_at"))).dt.epoch("ms").to_numpy()
        for at in np.unique(times).tolist():
            part = events.take(np.flatnonzero(times == at))
            out = messages(part, self._entry.submission, at, self._entry.source_version_ms, np.zeros(0, np.int64))
            self._sender.send(out.values, out.keys)
            self._found.sent += len(out.values)
        places = pl.DataFrame(pl.from_arrow(events.select(["source_row", "source_part"])))
        lines = places.select(row="source_row", part="source_part", reason=pl.lit(""), detail=pl.lit(""))
        self._lines.append(lines.cast(SENT_SCHEMA))


def _reported_at(events: pa.RecordBatch, times: dict[int, int], otherwise_ms: int) -> pa.RecordBatch:
    """The events as of when their rows were reported; where that is not known, when their submission began."""
    rows = pl.Series(pl.from_arrow(events.column("source_row"))).to_list()
    stamps = pa.array([times.get(row, otherwise_ms) for row in rows], pa.timestamp("ms"))
    place = events.schema.get_field_index("reported_at")
    return events.set_column(place, events.schema.field(place), stamps)


def _note_new_events(journal: Journal, entry: Entry, sent: pl.DataFrame, lines: pl.DataFrame) -> None:
    """A row may become more events by the new mapping: their receipts belong to the submission as well."""
    fresh = lines.join(sent, on=["row", "part"], how="anti")
    if fresh.height:
        journal.finish(entry, entry.rows, pl.concat([sent, fresh]))
