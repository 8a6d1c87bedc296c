"""Register, the second lane: identified reports become records, their history and receipts. Read this second.

    credit.identified ──► authorise ──► fold ──► expire ──► credit.records (state), credit.history (every revision),
                                                           credit.receipts.<department>

Stateful by partition: what it knows of a partition is what `credit.records` says, nothing else (promise 3). The index
is changed in place with an undo list; after the commit the changes go to a local checkpoint, after an abort they are
taken back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import structlog

from schemas.avro import IDENTIFIED_EVENT
from schemas.calendar import LAW_TIME, load_calendar
from schemas.reference import Reference
from schemas.settings import Settings
from schemas.topics import HISTORY, IDENTIFIED, RECORDS
from stream_processors.checkpoint import Checkpoint
from stream_processors.counts import Units, register_counts
from stream_processors.fold import CONFIRMED, OUTCOME_NAMES, REPEAT, Folded, Reports, blank_folded, expire, fold
from stream_processors.index import Array, Index
from stream_processors.kafka import Batch, end_offsets, read_all
from stream_processors.lane import Output, Work
from stream_processors.messages import expired_messages, marker_messages, revision_messages
from stream_processors.receipts import receipts
from stream_processors.reports import department_hash, reports_of, select_reports
from stream_processors.restore import replay
from stream_processors.unknown_schemas import decode_heads

_FIRST_DAY = 719_163  # 1970-01-01 as an ordinal

log = structlog.get_logger("register")


class Register:
    """The processor of the register lane.

    Args:
        folder: where checkpoints are kept.
        identity: what the state belongs to, see `identity_of`.
        clock: seconds since 1970, handed in.
        metric: (name, labels, value) of gauges.
    """

    name = "register"
    topics: Sequence[str] = (IDENTIFIED,)

    def __init__(
        self,
        settings: Settings,
        reference: Reference,
        folder: Path,
        identity: dict[str, Any],
        clock: Callable[[], float],
        metric: Callable[[str, Sequence[str], float], None],
    ) -> None:
        self._settings = settings
        self._reference = reference
        self._folder = folder
        self._identity = identity
        self._clock = clock
        self._metric = metric
        self._partitions: list[int] = []
        self._indexes: dict[int, Index] = {}
        self._checkpoints: dict[int, Checkpoint] = {}
        self._capacities: dict[int, int] = {}
        self._touched: set[int] = set()
        self._scanned_on: dict[int, int] = {}
        self._unknown: list[tuple[int, int]] = []
        self._department_names = {department_hash(name): name for name in reference.departments}
        self._units = Units(reference.pilot_units)
        self._calendar = load_calendar(reference.directory)

    # -- the batch ----------------------------------------------------------------------------------------------

    def work(self, batch: Batch) -> Work:
        """Authorise, fold, write: every report gets its outcome."""
        batch, decoded = decode_heads(IDENTIFIED_EVENT, batch, "an identified event", "intake")
        self._unknown = decoded.unknown
        if len(batch) == 0:
            return Work([])
        frame = pl.DataFrame(pl.from_arrow(decoded.batch))
        ranks = self._reference.ranks(frame["department"], frame["authority_code"])
        reports = reports_of(decoded.batch, frame, ranks)
        folded = self._fold(reports, batch.partitions, self._today())
        outcomes = _outcomes(frame, folded)
        outputs = [*_records(batch, frame, reports, folded), *receipts("register", outcomes)]
        return Work(outputs, register_counts(frame, reports, folded, self._units, self._calendar))

    def _fold(self, reports: Reports, partitions: Array, today: int) -> Folded:
        """Fold each partition's reports against its own index."""
        held: list[int] = np.unique(partitions).tolist()
        self._touched.update(held)
        if len(held) == 1:
            return fold(self._indexes[held[0]], reports, today)
        whole = blank_folded(len(reports))
        for partition in held:
            at = np.flatnonzero(partitions == partition)
            whole.put(at, fold(self._indexes[partition], select_reports(reports, at), today))
        return whole

    # -- time ---------------------------------------------------------------------------------------------------

    def idle(self) -> Work | None:
        """Once a day for each partition: close what is not to be published any more."""
        today = self._today()
        values: list[bytes] = []
        keys: list[bytes] = []
        where: list[int] = []
        for partition in self._partitions:
            if self._scanned_on.get(partition) == today or partition not in self._indexes:
                continue
            self._scanned_on[partition] = today
            index = self._indexes[partition]
            places = expire(index, today).places
            if len(places) == 0:
                continue
            self._touched.add(partition)
            ended = expired_messages(index, places, int(self._clock() * 1000), self._department_names)
            values += ended.values
            keys += ended.keys
            where += [partition] * len(places)
        if not values:
            return None
        log.info("publication ended", records=len(values))
        outputs = [Output(HISTORY, values, keys, where), Output(RECORDS, values, keys, where, tracked=True)]
        return Work(outputs, [("xinliu_expired_total", (), len(values))])

    def _today(self) -> int:
        """Days since 1970, by the calendar that the law goes by."""
        local = datetime.fromtimestamp(self._clock(), LAW_TIME).date()
        return local.toordinal() - _FIRST_DAY

    # -- the state ----------------------------------------------------------------------------------------------

    def assigned(self, partitions: Sequence[int]) -> None:
        self.revoked()
        self._partitions = list(partitions)

    def revoked(self) -> None:
        for checkpoint in self._checkpoints.values():
            checkpoint.close()
        self._partitions = []
        for held in (self._indexes, self._checkpoints, self._touched, self._scanned_on):
            held.clear()

    def restore(self, keep_alive: Callable[[], None]) -> None:
        """The checkpoint first, then what `credit.records` holds beyond it, committed, to the end as it stands now."""
        started = time.monotonic()
        if not self._partitions:
            return
        ends = end_offsets(self._settings, RECORDS, partitions=self._partitions)
        starts: dict[int, int] = {}
        for partition in self._partitions:
            index = self._indexes[partition] = Index()
            checkpoint = self._checkpoints[partition] = Checkpoint(self._folder, partition, self._identity, index)
            starts[partition], why = checkpoint.load(ends[partition])
            if why:
                log.info("checkpoint not used to its end", partition=partition, why=why)
        replayed = 0
        start = {p: starts.get(p, ends[p]) for p in ends}
        for batch in read_all(self._settings, RECORDS, start=start, only=self._partitions, between=keep_alive):
            for partition in np.unique(batch.partitions).tolist():
                part = batch.select(np.flatnonzero(batch.partitions == partition))
                replay(self._indexes[partition], part)
                replayed += len(part)
        seconds = time.monotonic() - started
        for partition in self._partitions:
            index = self._indexes[partition]
            index.forget()
            self._capacities[partition] = index.capacity
            if starts[partition] < ends[partition] or starts[partition] == 0:
                self._checkpoints[partition].rewrite(ends[partition])
            self._metric("xinliu_state_rows", (str(partition),), len(index))
            self._metric("xinliu_restore_seconds", (str(partition),), seconds)
        rows = sum(map(len, self._indexes.values()))
        log.info("restored", rows=rows, replayed=replayed, seconds=round(seconds, 2))

    def committed(self, offsets: dict[int, int]) -> None:
        for partition in self._touched:
            index, checkpoint = self._indexes[partition], self._checkpoints[partition]
            changed = index.changed()
            if partition in offsets:
                if index.capacity != self._capacities[partition]:
                    self._capacities[partition] = index.capacity
                    checkpoint.rewrite(offsets[partition])
                else:
                    checkpoint.append(offsets[partition], changed)
                self._metric("xinliu_state_rows", (str(partition),), len(index))
            index.forget()
        self._touched.clear()

    def aborted(self) -> None:
        for partition in self._touched:
            if partition in self._indexes:
                self._indexes[partition].undo()
        self._touched.clear()
        self._scanned_on.clear()

    def unknown_schemas(self) -> list[tuple[int, int]]:
        return self._unknown

    def closed(self) -> None:
        self.revoked()


def _outcomes(frame: pl.DataFrame, folded: Folded) -> pl.DataFrame:
    """What became of each report, as receipts say it."""
    names = pl.Series(OUTCOME_NAMES).gather(folded.outcome.astype(np.uint32))
    return frame.select(
        "department",
        "submission",
        outcome=names,
        reason=pl.lit(""),
        detail=pl.lit(""),
        source_partition="source_partition",
        offset="source_offset",
        row="source_row",
        part="source_part",
        record_id="record_id",
    )


def _records(batch: Batch, frame: pl.DataFrame, reports: Reports, folded: Folded) -> list[Output]:
    """History, the new revisions, and the markers."""
    told = np.flatnonzero(folded.outcome != REPEAT)
    if len(told) == 0 and not folded.markers:
        return []
    partitions = batch.partitions[told]
    revisions = revision_messages(batch, reports, folded, told)
    rewritten = np.flatnonzero(folded.rewrites[told])
    values = [revisions.values[i] for i in rewritten.tolist()]
    keys = [revisions.keys[i] for i in rewritten.tolist()]
    where: list[int] = partitions[rewritten].tolist()
    if folded.markers:
        rows, high, low, status = (np.concatenate(column) for column in zip(*folded.markers, strict=True))
        seen = marker_messages(frame, reports, rows, high, low, status)
        values += seen.values
        keys += seen.keys
        where += batch.partitions[rows].tolist()
        if (status == CONFIRMED).any():
            # A restore tells by their order in the log whether a content was confirmed before or after it was replaced.
            in_order = np.argsort(np.concatenate([told[rewritten], rows]), kind="stable").tolist()
            values, keys, where = ([column[i] for i in in_order] for column in (values, keys, where))
    return [
        Output(HISTORY, revisions.values, revisions.keys, partitions.tolist()),
        Output(RECORDS, values, keys, where, tracked=True),
    ]
