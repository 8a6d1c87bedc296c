"""The proof from outside that nothing is lost and nothing doubled, from the departments' topics to the store's tables.

It reads every topic with consumers of its own and believes no lane. `verify` reads top to bottom in the order of the
flow; what must hold is in `stream_processors.checks`. A busy system passes: ends are taken first, then each lane is
given time to pass them, and what it has not passed is said and not judged.

Non-goal: mending. A difference is a list of places; a replay, or a department that sends again, mends.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from schemas.avro import CREDIT_RECORD, IDENTIFIED_EVENT, QUARANTINED, RECEIPT
from schemas.calendar import load_calendar
from schemas.reference import Reference
from schemas.settings import Settings
from schemas.topics import HISTORY, IDENTIFIED, QUARANTINE, RECORDS, events_topic, receipts_topic, topics
from stream_processors import kafka
from stream_processors.checks import log
from stream_processors.checks.cases import whole_check as case_checks
from stream_processors.checks.columns import comparable, identified_columns, record_columns
from stream_processors.checks.findings import Check, check, found_sentences
from stream_processors.checks.history import align, fold_again
from stream_processors.checks.log import Log, Say
from stream_processors.checks.outcomes import Reported, counted, outcome_checks, receipt_rows
from stream_processors.checks.places import Departments, Ranges, frame_places, places_of, stream_number
from stream_processors.checks.records import record_checks
from stream_processors.checks.replay import Compared, replay_digests
from stream_processors.checks.stored import stored_checks
from stream_processors.clickhouse import connect
from stream_processors.digests import Digest
from stream_processors.positions import CASES_GROUP, INTAKE_GROUP, REGISTER_GROUP, Place, committed
from stream_processors.rules.packs import load_packs
from stream_processors.tables.identity import consumer_group

_POLL_SECONDS = 0.2
Ints = np.ndarray[Any, Any]

_MARGIN_MS = 3_600_000  # retention takes whole segments; an event this close to its end may have lost its outcome


@dataclass(slots=True)
class Report:
    """What was found.

    Attributes:
        checks: in the order of the flow. unjudged: one sentence for each lane that has not passed what was read.
        counts: see `checks.outcomes.counted`. digests: of each table and partition, by store and replay.
        current: digest of the current records by the log.
    """

    checks: list[Check] = field(default_factory=list)
    unjudged: list[str] = field(default_factory=list)
    counts: list[dict[str, Any]] = field(default_factory=list)
    digests: list[Compared] = field(default_factory=list)
    current: Digest | None = None

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


def verify(
    settings: Settings, reference: Reference, *, department: str | None, wait_seconds: float, now_ms: int, say: Say
) -> Report:
    """Compare every topic with the next, and the store with the log.

    Args:
        department: count this one's events only; records and store are compared as a whole all the same.
        wait_seconds: how long each lane is given to pass what was read.
        now_ms: the present; tells events that are about to fall out of their topics.

    Raises Retryable when Kafka or ClickHouse does not answer.
    """
    report = Report()
    departments = Departments(reference.departments)
    counted_departments = [department] if department else list(reference.departments)
    store = connect(settings)
    try:
        store_group = consumer_group(store, settings)
        lanes = _Lanes(settings, wait_seconds, report.unjudged, say)

        events = {name: log.positions(settings, events_topic(name), say) for name in counted_departments}
        by_intake = lanes.wait("intake", INTAKE_GROUP, [*events.values()])

        identified = _read_identified(settings, reference, departments, say)
        by_register = lanes.wait("register", REGISTER_GROUP, [identified])
        # What is stable in the history by now was committed together with its records, so these show it.
        history_stable_to = kafka.end_offsets(settings, HISTORY, read_committed=True)

        records = _read_records(settings, RECORDS, reference, departments, say)
        history = _read_records(settings, HISTORY, reference, departments, say)
        receipts = [_read_receipts(settings, name, departments, say) for name in reference.departments]
        quarantine = _read_quarantine(settings, departments, say)
        for_store = [records, history, quarantine, *receipts]
        by_store = lanes.wait("store", store_group, for_store)
        all_logs = log.kept(settings, [*events.values(), identified, *for_store])
        events = dict(zip(events, all_logs, strict=False))
        identified, records, history, quarantine, *receipts = all_logs[len(events) :]
        for_store = all_logs[len(events) + 1 :]

        say("comparing events with their outcomes")
        folded = identified.frame.with_columns(folded=pl.col("offset") < _limit(by_register, IDENTIFIED))
        reported = _reported(settings, departments, events, by_intake, identified, folded, receipts, quarantine, now_ms)
        report.counts = counted(reported).to_dicts()
        report.checks += [
            _readable([identified, *for_store]),
            *outcome_checks(reported),
            _placed(identified, records, history),
        ]

        say("folding a second time")
        aligned = align(folded, history.frame, whole=identified.whole)
        said_by_register = reported.receipts.filter(pl.col("lane") == "register")
        report.checks += record_checks(
            aligned, fold_again(aligned, departments), records.frame, history_stable_to, said_by_register, departments
        )

        read_to = {one.topic: one.behind() for one in for_store}
        stored_to = {
            one.topic: {p: min(end, by_store.get((one.topic, p), 0)) for p, end in read_to[one.topic].items()}
            for one in for_store
        }
        report.checks += stored_checks(
            store,
            records.frame,
            history.frame,
            read_to,
            stored_to,
            partial(kafka.end_offsets, settings),
            partial(_message_of, settings),
            say,
        )
        report.checks += _measures(settings, reference, lanes, records, say)
        say("replaying the log into tables of its own")
        replay = replay_digests(
            store,
            settings,
            since={(one.topic, p): begin for one in for_store for p, begin in one.begins.items()},
            until={(topic, p): end for topic, ends in stored_to.items() for p, end in ends.items()},
        )
        report.checks.append(replay.check)
        report.digests, report.current = replay.compared, replay.current
    finally:
        store.close()
    return report


def _measures(settings: Settings, reference: Reference, lanes: "_Lanes", records: Log, say: Say) -> list[Check]:
    """The cases against the records; nothing where the cases lane never ran here."""
    if not committed(settings, CASES_GROUP):
        return []
    lanes.wait("cases", CASES_GROUP, [records])
    say("judging the cases a second time")

    def passed() -> dict[int, int]:
        return {
            partition: at for (topic, partition), at in committed(settings, CASES_GROUP).items() if topic == RECORDS
        }

    return case_checks(settings, load_packs(settings.rules_dir), load_calendar(reference.directory), passed)


class _Lanes:
    """Waits until a lane has passed what was read, and says where it has not."""

    def __init__(self, settings: Settings, wait_seconds: float, unjudged: list[str], say: Say) -> None:
        self._settings = settings
        self._wait_seconds = wait_seconds
        self._unjudged = unjudged
        self._say = say

    def wait(self, lane: str, group: str, logs: list[Log]) -> dict[Place, int]:
        """The lane's committed positions, as soon as they lie behind all that was read, or time is up."""
        wanted = {(one.topic, partition): end for one in logs for partition, end in one.behind().items()}
        deadline = time.monotonic() + self._wait_seconds
        while True:
            positions = committed(self._settings, group)
            behind = sum(max(0, end - positions.get(place, 0)) for place, end in wanted.items())
            if behind == 0 or time.monotonic() >= deadline:
                break
            self._say(f"waiting for {lane}: {behind:,} messages to go")
            time.sleep(_POLL_SECONDS)
        if behind:
            self._unjudged.append(
                f"{lane} has not passed {behind:,} messages, which are not judged; "
                f"see xinliu status, or give it longer with --wait"
            )
        return positions


def _read_identified(settings: Settings, reference: Reference, departments: Departments, say: Say) -> Log:
    def reduce(frame: pl.DataFrame) -> pl.DataFrame:
        return identified_columns(frame, departments, reference, settings.partitions)

    return log.read(settings, IDENTIFIED, IDENTIFIED_EVENT, reduce, say, head=True)


def _read_records(settings: Settings, topic: str, reference: Reference, departments: Departments, say: Say) -> Log:
    def reduce(frame: pl.DataFrame) -> pl.DataFrame:
        return record_columns(frame, departments, reference, settings.partitions)

    return log.read(settings, topic, CREDIT_RECORD, reduce, say)


def _read_receipts(settings: Settings, department: str, departments: Departments, say: Say) -> Log:
    def reduce(frame: pl.DataFrame) -> pl.DataFrame:
        rows = receipt_rows(frame)
        return rows.select("partition", "offset", "lane", "outcome").with_columns(frame_places(departments, rows))

    return log.read(settings, receipts_topic(department), RECEIPT, reduce, say)


def _read_quarantine(settings: Settings, departments: Departments, say: Say) -> Log:
    def reduce(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.select("partition", "offset").with_columns(frame_places(departments, frame))

    return log.read(settings, QUARANTINE, QUARANTINED, reduce, say)


def _limit(positions: Mapping[Place, int], topic: str) -> pl.Expr:
    ends = {partition: end for (name, partition), end in positions.items() if name == topic}
    return pl.col("partition").replace_strict(ends, default=0, return_dtype=pl.Int64)


def _reported(
    settings: Settings,
    departments: Departments,
    events: Mapping[str, Log],
    by_intake: Mapping[Place, int],
    identified: Log,
    folded: pl.DataFrame,
    receipts: list[Log],
    quarantine: Log,
    now_ms: int,
) -> Reported:
    """Events and what was said of them, cut to what may be judged."""
    ranges: dict[int, tuple[int, int, int]] = {}
    places: list[Ints] = []
    ages: list[Ints] = []
    for name, one in events.items():
        number = departments.names.index(name)
        grown_to = kafka.end_offsets(settings, one.topic)
        behind = one.behind()
        for partition, begin in one.begins.items():
            passed = min(behind[partition], by_intake.get((one.topic, partition), begin))
            ranges[stream_number(number, partition)] = (begin, passed, grown_to[partition])
        mine = one.frame.filter(pl.col("offset") < _limit(by_intake, one.topic))
        numbers = np.full(mine.height, number)
        places.append(places_of(numbers, mine["partition"].to_numpy(), mine["offset"].to_numpy()))
        ages.append(now_ms - mine["timestamp_ms"].to_numpy())
    all_places, all_ages = np.concatenate(places), np.concatenate(ages)
    order = np.argsort(all_places)
    due = np.ones(len(order), bool)
    if not (identified.whole and all(one.whole for one in receipts)):
        due = all_ages[order] < _kept_ms() - _MARGIN_MS
    said = pl.concat([one.frame.select("lane", "outcome", "place") for one in receipts])
    return Reported(
        departments,
        Ranges.of(ranges),
        all_places[order],
        due,
        folded["place"].to_numpy(),
        folded["folded"].to_numpy(),
        said,
        quarantine.frame["place"].to_numpy(),
    )


def _kept_ms() -> float:
    """How long events and their outcomes are kept, whichever is shorter."""
    kept = [
        topic.retention for topic in topics(["any"]) if topic.message in ("CreditEvent", "IdentifiedEvent", "Receipt")
    ]
    return min(span.total_seconds() for span in kept if span is not None) * 1000


def _readable(logs: list[Log]) -> Check:
    """No message on a topic of the platform's own is foreign."""
    faults = [(one.topic, *fault) for one in logs for fault in one.unreadable]
    return check(
        "every message on the platform's own topics can be read",
        sum(one.frame.height for one in logs),
        found_sentences(
            len(faults),
            (f"unreadable: {topic}[{partition}]@{offset}, {reason}" for topic, partition, offset, reason in faults),
        ),
    )


def _placed(identified: Log, records: Log, history: Log) -> Check:
    """Promise 6: everything about a subject lies in the subject's partition, and in the order of its source."""
    logs = (identified, records, history)
    misplaced = [(one.topic, one.frame.filter(~pl.col("well_placed"))) for one in logs]
    jumps = identified.frame.filter(
        pl.col("place") <= pl.col("place").shift(1).over("partition", pl.col("place") // (1 << 44))
    )
    return check(
        "every message lies in its subject's partition, under its key, in the order of its source",
        sum(one.frame.height for one in logs),
        *(
            found_sentences(
                frame.height,
                (f"misplaced: {topic}[{p}]@{offset}" for p, offset in frame.select("partition", "offset").iter_rows()),
            )
            for topic, frame in misplaced
        ),
        found_sentences(
            jumps.height,
            (
                f"out of order: {IDENTIFIED}[{p}]@{offset} comes after a later event of its source"
                for p, offset in jumps.select("partition", "offset").iter_rows()
            ),
        ),
    )


def _message_of(settings: Settings, topic: str) -> Callable[[int, int], Mapping[str, Any]]:
    """Reads one message again, for words about a difference."""

    def read(partition: int, offset: int) -> Mapping[str, Any]:
        for batch in kafka.read_all(settings, topic, start={partition: offset}, only=[partition], batch_rows=1):
            frame, _ = log.collect([batch], CREDIT_RECORD, lambda frame: frame)
            return comparable(frame.select(CREDIT_RECORD.names)).to_dicts()[0]
        return {}

    return read
