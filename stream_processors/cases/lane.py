"""The cases lane: what `credit.records` says of a subject becomes the life of its measures.

    credit.records ──► match, learn ──► judge ──► credit.measures           every transition
                                                  credit.measures.in-force  what binds, its end, a heartbeat
                                                  credit.cases              the facts: the state of this lane

State is one `Facts` for each subject that a rule or an act speaks of, see `book.py`. Time is handed in, and never goes
back: the day of the law is the latest that was seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pyarrow as pa
import structlog

from schemas import codec
from schemas.avro import CREDIT_RECORD, MEASURE, SUBJECT_CASES
from schemas.calendar import LAW_TIME, Calendar
from schemas.errors import Stop
from schemas.settings import Settings
from schemas.topics import CASES, IN_FORCE, MEASURES, RECORDS
from stream_processors.cases.book import Book, News, Now, Row
from stream_processors.cases.facts import Registration
from stream_processors.cases.inputs import inputs, relevant
from stream_processors.cases.judge import STATES
from stream_processors.cases.rows import heartbeat_row
from stream_processors.kafka import Batch, read_all
from stream_processors.lane import Output, Work
from stream_processors.observations import Count
from stream_processors.rules.packs import Packs
from stream_processors.unknown_schemas import decode_heads

HEARTBEAT_SECONDS = 10.0
_DUE_AT_ONCE = 5_000  # subjects in one transaction that time alone brings

log = structlog.get_logger("cases")


class Cases:
    """The processor of the cases lane.

    Args:
        clock: seconds since 1970, handed in.
        metric: (name, labels, value) of gauges.
    """

    name = "cases"
    topics: Sequence[str] = (RECORDS,)

    def __init__(
        self,
        settings: Settings,
        packs: Packs,
        calendar: Calendar,
        clock: Callable[[], float],
        metric: Callable[[str, Sequence[str], float], None],
    ) -> None:
        self._settings = settings
        self._packs = packs
        self._clock = clock
        self._metric = metric
        self._partitions: list[int] = []
        self._book = Book(packs.rules, calendar)
        self._latest = date.min
        self._beat_at = 0.0
        self._unknown: list[tuple[int, int]] = []

    # -- the batch ----------------------------------------------------------------------------------------------

    def work(self, batch: Batch) -> Work:
        """Learn what the records say, judge the subjects that they are about, tell what changed."""
        batch, decoded = decode_heads(CREDIT_RECORD, batch, "a record", "register")
        self._unknown = decoded.unknown
        if len(batch) == 0:
            return Work([])
        rows = relevant(pl.DataFrame(pl.from_arrow(decoded.batch)), self._packs)
        some = batch.select(rows)
        news, now = News(), self._now()
        reported: dict[str, datetime | None] = {}
        for found in inputs([v for v in some.values if v is not None], some.partitions.tolist(), self._packs):
            self._book.learn(found, now, news)
            if not isinstance(found.fact, Registration):
                reported[found.fact.event_id] = found.reported_at
        # So that whoever acts on a row knows how late it is; what time alone brings was reported by nobody.
        for _, row in (*news.transitions, *news.listed.values()):
            row["reported_at"] = reported.get(str(row["event_id"]))
        return self._work(news)

    def idle(self) -> Work | None:
        """What time alone brings: deadlines that are due, and the heartbeat."""
        news, now = News(), self._now()
        judged = self._book.pass_time(now, news, _DUE_AT_ONCE)
        beats = self._clock() - self._beat_at >= HEARTBEAT_SECONDS
        if not judged and not (beats and self._partitions):
            return None
        work = self._work(news)
        if beats:
            self._beat_at = self._clock()
            work.outputs.append(self._heartbeats(now))
        return work

    def _work(self, news: News) -> Work:
        outputs = [
            _output(MEASURES, news.transitions, "case_id"),
            _output(IN_FORCE, list(news.listed.values()), "case_id"),
            _output(CASES, self._book.states(news), "subject_key"),
        ]
        tallies: list[Count] = [("xinliu_transitions_total", labels, n) for labels, n in news.counts.items()]
        return Work([output for output in outputs if output.values], tallies)

    def _heartbeats(self, now: Now) -> Output:
        rows = [heartbeat_row(now.at, now.today) for _ in self._partitions]
        values = codec.encode(MEASURE, _batch(MEASURE.arrow, rows))
        return Output(IN_FORCE, values, [b"heartbeat"] * len(rows), list(self._partitions))

    def _now(self) -> Now:
        """The law's day, which never goes back though the clock may, and the moment."""
        seconds = self._clock()
        self._latest = max(self._latest, datetime.fromtimestamp(seconds, LAW_TIME).date())
        return Now(self._latest, datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None))

    # -- the state ----------------------------------------------------------------------------------------------

    def assigned(self, partitions: Sequence[int]) -> None:
        self.revoked()
        self._partitions = list(partitions)

    def revoked(self) -> None:
        self._partitions = []
        self._book.open([])
        self._beat_at = 0.0

    def restore(self, keep_alive: Callable[[], None]) -> None:
        """All of `credit.cases` of these partitions, committed, to the end as it stands now; then judge what is due."""
        started = time.monotonic()
        if not self._partitions:
            return
        newest: dict[tuple[int, str], tuple[Any, Any]] = {}
        for batch in read_all(self._settings, CASES, only=self._partitions, between=keep_alive):
            decoded = codec.decode(SUBJECT_CASES, batch.values)
            if decoded.faults or decoded.unknown:
                raise Stop("restoring from credit.cases: a message is of no known version; deploy a newer version")
            for partition, row in zip(batch.partitions.tolist(), decoded.batch.to_pylist(), strict=True):
                newest[partition, row["subject_key"]] = (row["as_of"], row["facts"])
        self._book.open(self._partitions)
        for (partition, key), (as_of, text) in newest.items():
            as_of = as_of or date.min
            self._latest = max(self._latest, as_of)
            self._book.restore(partition, key, as_of, text)
        seconds = time.monotonic() - started
        for partition, count in self._book.subjects().items():
            self._metric("xinliu_state_rows", (str(partition),), count)
            self._metric("xinliu_restore_seconds", (str(partition),), seconds)
        self._tell_states()
        log.info("restored", subjects=len(newest), seconds=round(seconds, 2))

    def committed(self, offsets: dict[int, int]) -> None:
        changed = self._book.committed()
        sizes = self._book.subjects()
        for partition in changed:
            self._metric("xinliu_state_rows", (str(partition),), sizes[partition])
        if changed:
            self._tell_states()

    def _tell_states(self) -> None:
        found = self._book.cases()
        for state in STATES:
            self._metric("xinliu_cases", (state,), found.get(state, 0))

    def aborted(self) -> None:
        self._book.aborted()
        self._beat_at = 0.0

    def unknown_schemas(self) -> list[tuple[int, int]]:
        return self._unknown

    def closed(self) -> None:
        self.revoked()


def _output(topic: str, rows: list[Row], key: str) -> Output:
    message = SUBJECT_CASES if topic == CASES else MEASURE
    values = codec.encode(message, _batch(message.arrow, [row for _, row in rows])) if rows else []
    return Output(topic, values, [str(row[key]).encode() for _, row in rows], [partition for partition, _ in rows])


def _batch(schema: pa.Schema, rows: list[dict[str, object]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=schema)
