"""The cases lane: what `credit.records` says of a subject becomes the life of its measures.

    credit.records ──► match, learn ──► judge ──► credit.measures           every transition
                                                  credit.measures.in-force  what binds, its end, a heartbeat
                                                  credit.cases              the facts: the state of this lane

State is one `Facts` for each subject that a rule or an act speaks of. Changes of a batch sit in an overlay until its
transaction is committed. Time is handed in, and never goes back: the day of the law is the latest that was seen.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pyarrow as pa
import structlog

from schemas import codec
from schemas.avro import CREDIT_RECORD, MEASURE, SUBJECT_CASES
from schemas.calendar import Calendar
from schemas.errors import Stop
from schemas.settings import Settings
from schemas.topics import CASES, IN_FORCE, MEASURES, RECORDS
from stream_processors.cases.facts import Facts, Told, from_json, to_json
from stream_processors.cases.inputs import Ceased, Input, inputs, relevant
from stream_processors.cases.judge import judge
from stream_processors.cases.rows import heartbeat_row, measure_row
from stream_processors.cases.transitions import after_telling, transitions
from stream_processors.kafka import Batch, end_offsets, read_all
from stream_processors.lane import Output, Work
from stream_processors.observations import Count
from stream_processors.register import LAW_TIME
from stream_processors.rules.packs import Packs
from stream_processors.unknown_schemas import before_unknown

HEARTBEAT_SECONDS = 10.0
_DUE_AT_ONCE = 5_000  # subjects in one transaction that time alone brings

log = structlog.get_logger("cases")


@dataclass(frozen=True, slots=True)
class Held:
    """One subject as the lane holds it: its facts, and the day for which it was last judged."""

    facts: Facts
    as_of: date


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
        self._calendar = calendar
        self._clock = clock
        self._metric = metric
        self._partitions: list[int] = []
        self._held: dict[int, dict[str, Held]] = {}
        self._due: dict[int, list[tuple[date, str]]] = {}
        self._overlay: dict[tuple[int, str], Held] = {}
        self._judged_next: list[tuple[int, date, str]] = []
        self._taken_due: list[tuple[int, date, str]] = []
        self._latest = date.min
        self._beat_at = 0.0
        self._unknown: list[tuple[int, int]] = []

    # -- the batch ----------------------------------------------------------------------------------------------

    def work(self, batch: Batch) -> Work:
        """Learn what the records say, judge the subjects that they are about, tell what changed."""
        decoded = codec.decode(CREDIT_RECORD, batch.values, head=True)
        self._unknown = decoded.unknown
        if decoded.faults:
            index = decoded.faults[0][0]
            raise Stop(
                f"decoding {batch.topics[index]}[{batch.partitions[index]}]@{batch.offsets[index]}: not a record, and "
                "only register may write there; restore the topic's access rights and skip this offset"
            )
        if decoded.unknown:
            batch, decoded = before_unknown(batch, decoded)
            if len(batch) == 0:
                return Work([])
        rows = relevant(pl.DataFrame(pl.from_arrow(decoded.batch)), self._packs)
        some = batch.select(rows)
        touched: dict[tuple[int, str], None] = {}
        events: dict[tuple[int, str], int] = {}
        for found in inputs([v for v in some.values if v is not None], some.partitions.tolist(), self._packs):
            place = (found.partition, found.subject_key)
            facts = self._facts(place)
            learnt = _learn(facts, found)
            if learnt is not facts:
                self._overlay[place] = Held(learnt, self._as_of(place))
                touched[place] = None
                events[place] = found.reported_ms
        return self._tell(touched)

    def idle(self) -> Work | None:
        """What time alone brings: deadlines that are due, and the heartbeat."""
        today = self._today()
        touched: dict[tuple[int, str], None] = {}
        for partition, due in self._due.items():
            while due and due[0][0] <= today and len(touched) < _DUE_AT_ONCE:
                day, key = heapq.heappop(due)
                self._taken_due.append((partition, day, key))
                if (partition, key) not in touched and key in self._held.get(partition, ()):
                    touched[partition, key] = None
        beats = self._clock() - self._beat_at >= HEARTBEAT_SECONDS
        if not touched and not (beats and self._partitions):
            return None
        work = self._tell(touched)
        if beats:
            self._beat_at = self._clock()
            work.outputs.append(self._heartbeats(today))
        return work

    def _tell(self, touched: Iterable[tuple[int, str]]) -> Work:
        """Judge these subjects for today; transitions, listings and the new state as messages."""
        today, at = self._today(), datetime.fromtimestamp(self._clock(), UTC).replace(tzinfo=None)
        told: list[tuple[int, dict[str, object]]] = []
        listed: list[tuple[int, dict[str, object]]] = []
        states: list[tuple[int, dict[str, object]]] = []
        counts: dict[tuple[str, str], int] = {}
        for partition, key in touched:
            facts = self._facts((partition, key))
            changed = False
            nearest: date | None = None
            for name in facts.names():
                case = judge(facts, name, self._packs.rules, today, self._calendar)
                if case.next_on is not None:
                    nearest = case.next_on if nearest is None else min(nearest, case.next_on)
                before = facts.told.get(case.case_id, Told())
                news = transitions(before, case)
                if not news:
                    continue
                changed = True
                after = after_telling(before, case, len(news))
                rule = self._packs.rules.get(case.rule_name)
                for number, (milestone, state) in enumerate(news, start=before.revision + 1):
                    row = measure_row(facts, case, rule, milestone, state, number, at, today)
                    told.append((partition, row))
                    counts[case.rule_name if rule else "unknown", milestone.transition] = (
                        counts.get((case.rule_name if rule else "unknown", milestone.transition), 0) + 1
                    )
                if after.listed:
                    milestone, _ = news[-1]
                    listed.append(
                        (partition, measure_row(facts, case, rule, milestone, case.state, after.revision, at, today))
                    )
                facts = replace(facts, told={**facts.told, case.case_id: after})
            learnt = (partition, key) in self._overlay
            if changed or learnt:
                self._overlay[partition, key] = Held(facts, today)
                states.append((partition, {"subject_key": key, "as_of": today, "facts": to_json(facts)}))
            if nearest is not None:
                self._judged_next.append((partition, nearest, key))
        outputs = [
            _output(MEASURES, told, "case_id"),
            _output(IN_FORCE, listed, "case_id"),
            _output(CASES, states, "subject_key"),
        ]
        tallies: list[Count] = [("xinliu_transitions_total", labels, n) for labels, n in counts.items()]
        return Work([output for output in outputs if output.values], tallies)

    def _heartbeats(self, today: date) -> Output:
        at = datetime.fromtimestamp(self._clock(), UTC).replace(tzinfo=None)
        rows = [heartbeat_row(at, today) for _ in self._partitions]
        values = codec.encode(MEASURE, _batch(MEASURE.arrow, rows))
        return Output(IN_FORCE, values, [b"heartbeat"] * len(rows), list(self._partitions))

    def _today(self) -> date:
        """The law's day; a clock that steps back is not followed."""
        shown = datetime.fromtimestamp(self._clock(), LAW_TIME).date()
        self._latest = max(self._latest, shown)
        return self._latest

    # -- the state ----------------------------------------------------------------------------------------------

    def _facts(self, place: tuple[int, str]) -> Facts:
        held = self._overlay.get(place) or self._held.get(place[0], {}).get(place[1])
        return Facts(place[1]) if held is None else held.facts

    def _as_of(self, place: tuple[int, str]) -> date:
        held = self._held.get(place[0], {}).get(place[1])
        return self._today() if held is None else held.as_of

    def assigned(self, partitions: Sequence[int]) -> None:
        self.revoked()
        self._partitions = list(partitions)

    def revoked(self) -> None:
        self._partitions = []
        self._held.clear()
        self._due.clear()
        self.aborted()

    def restore(self, keep_alive: Callable[[], None]) -> None:
        """All of `credit.cases` of these partitions, committed, to the end as it stands now; then judge what is due."""
        started = time.monotonic()
        if not self._partitions:
            return
        end_offsets(self._settings, CASES, partitions=self._partitions)
        newest: dict[tuple[int, str], tuple[Any, Any]] = {}
        for batch in read_all(self._settings, CASES, only=self._partitions, between=keep_alive):
            decoded = codec.decode(SUBJECT_CASES, batch.values)
            if decoded.faults or decoded.unknown:
                raise Stop("restoring from credit.cases: a message is of no known version; deploy a newer version")
            for partition, row in zip(batch.partitions.tolist(), decoded.batch.to_pylist(), strict=True):
                newest[partition, row["subject_key"]] = (row["as_of"], row["facts"])
        self._held = {partition: {} for partition in self._partitions}
        self._due = {partition: [] for partition in self._partitions}
        for (partition, key), (day, text) in newest.items():
            as_of = day or self._today()
            self._held[partition][key] = Held(from_json(key, text), as_of)
            self._latest = max(self._latest, as_of)
            self._due[partition].append((as_of, key))  # judged once, by the rules as they are now
        for due in self._due.values():
            heapq.heapify(due)
        seconds = time.monotonic() - started
        for partition in self._partitions:
            self._metric("xinliu_state_rows", (str(partition),), len(self._held[partition]))
            self._metric("xinliu_restore_seconds", (str(partition),), seconds)
        log.info("restored", subjects=len(newest), seconds=round(seconds, 2))

    def committed(self, offsets: dict[int, int]) -> None:
        for (partition, key), held in self._overlay.items():
            self._held.setdefault(partition, {})[key] = held
        for partition, day, key in self._judged_next:
            heapq.heappush(self._due.setdefault(partition, []), (day, key))
        for partition in {partition for partition, _ in self._overlay}:
            self._metric("xinliu_state_rows", (str(partition),), len(self._held[partition]))
        self._forget()

    def _forget(self) -> None:
        self._overlay.clear()
        self._judged_next.clear()
        self._taken_due.clear()

    def aborted(self) -> None:
        for partition, day, key in self._taken_due:
            if partition in self._due:
                heapq.heappush(self._due[partition], (day, key))
        self._forget()
        self._beat_at = 0.0

    def unknown_schemas(self) -> list[tuple[int, int]]:
        return self._unknown

    def closed(self) -> None:
        self.revoked()


def _learn(facts: Facts, found: Input) -> Facts:
    """The facts with one more; the same object where it says nothing new."""
    if isinstance(found.fact, Ceased):
        if found.fact.revision <= facts.ceased_revision or (found.fact.day is None and not facts.ceased_revision):
            return facts
        return replace(facts, ceased_on=found.fact.day, ceased_revision=found.fact.revision)
    learnt = facts.learn(found.fact)
    if learnt is facts or not found.subject_id:  # a stub does not name its subject
        return learnt
    return replace(learnt, subject_id=found.subject_id, restrictable=found.restrictable)


def _output(topic: str, rows: list[tuple[int, dict[str, object]]], key: str) -> Output:
    message = SUBJECT_CASES if topic == CASES else MEASURE
    values = codec.encode(message, _batch(message.arrow, [row for _, row in rows])) if rows else []
    return Output(topic, values, [str(row[key]).encode() for _, row in rows], [partition for partition, _ in rows])


def _batch(schema: pa.Schema, rows: list[dict[str, object]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=schema)
