"""What ops sees beyond single transitions: freshness of departments, counts of pilot units, what is due; for its pages.

It asks store and log now and then, writes new reminders into the outbox, and keeps the last answer. That the store is
away holds up no webhook and no notice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from schemas.calendar import LAW_TIME, Calendar
from schemas.errors import Retryable
from schemas.reference import Reference
from schemas.settings import Settings
from schemas.topics import HISTORY
from stream_processors.clickhouse import connect
from stream_processors.freshness import accepted_so_far, due_seconds
from stream_processors.kafka import end_offsets
from stream_processors.ops.ledger import Ledger
from stream_processors.ops.reminders import Milestone, Reminder, of_cases, of_departments, of_milestones
from stream_processors.ops.unit_counts import catch_up_counts
from stream_processors.rules.rule import Rule

_STORE_SECONDS_MAX = 30
_OF_CASES = (
    "case_id, state, rule, subject_id, evidence_document, authority_code, objection_until, ends_on, noticed_on, "
    "objected_on, reviewed_on"
)

log = structlog.get_logger("ops")


@dataclass(slots=True)
class Seen:
    """The last answers; JSON values."""

    departments: list[dict[str, Any]] = field(default_factory=list)
    units: list[dict[str, Any]] = field(default_factory=list)
    due: list[dict[str, Any]] = field(default_factory=list)


class Outlook:
    """One look after another; never two at once."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        reference: Reference,
        calendar: Calendar,
        milestones: tuple[Milestone, ...],
        rules: Mapping[str, Rule],
        clock: Callable[[], float],
        law_clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._reference = reference
        self._calendar = calendar
        self._milestones = milestones
        self._rules = rules
        self._clock = clock
        self._law_clock = law_clock
        self._ends: dict[int, int] = {}
        self.seen = Seen()

    def look_at_units(self) -> None:
        """Bring the counts to the end of the log. Raises Retryable while the broker is away."""
        ends = end_offsets(self._settings, HISTORY)
        if ends == self._ends:
            return
        catch_up_counts(self._settings, self._ledger, self._reference, lambda: None)
        self._ends = ends
        self.seen.units = units_json(self._reference, self._ledger.unit_counts())

    def look_at_terms(self) -> None:
        """Freshness and what is due, from the store. Raises Retryable while it is away."""
        today = datetime.fromtimestamp(self._law_clock(), LAW_TIME).date()
        reminders = of_milestones(self._milestones, today)
        try:
            store = connect(self._settings, answer_seconds_max=_STORE_SECONDS_MAX)
            try:
                accepted = accepted_so_far(store)
                query = f"SELECT {_OF_CASES} FROM cases_current WHERE state NOT IN ('ended', 'awaited')"
                cases = store.rows(query, doing="asking what is due of cases")
            finally:
                store.close()
            reminders += of_departments(accepted, self._reference.departments, self._calendar, self._clock())
            reminders += of_cases(cases, self._rules, today)
            self.seen.departments = departments_json(self._reference, accepted, self._calendar, self._clock())
        finally:
            self.seen.due = [_json(reminder) for reminder in reminders]
            told = tell(self._settings.home / "outbox" / "reminders", reminders)
            if told:
                log.info("reminders", new=told)


def tell(folder: Path, reminders: Iterable[Reminder]) -> int:
    """Write those that were not told yet, a file for each; returns how many. Raises Retryable without room."""
    new = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for reminder in reminders:
            target = folder / f"{reminder.id}.json"
            if target.exists():
                continue
            part = folder / f".{reminder.id}.part"
            part.write_text(json.dumps(_json(reminder), ensure_ascii=False, indent=1), "utf-8")
            os.replace(part, target)
            new += 1
    except OSError as error:
        raise Retryable(f"writing reminders to {folder}: {error.strerror}; make room there") from error
    return new


def departments_json(
    reference: Reference, accepted: Mapping[str, float], calendar: Calendar, now_seconds: float
) -> list[dict[str, Any]]:
    """When each department was last heard, and by when it has to be heard again; those that never were as well."""
    rows: list[dict[str, Any]] = []
    for name, department in reference.departments.items():
        heard = accepted.get(name)
        due = None if heard is None else due_seconds(heard, department.cadence_days, calendar)
        rows.append(
            {
                "department": name,
                "last_accepted": None if heard is None else _moment(heard),
                "due": None if due is None else _moment(due),
                "late": due is not None and now_seconds > due,
            }
        )
    return rows


def units_json(reference: Reference, counts: Mapping[tuple[str, str, str], int]) -> list[dict[str, Any]]:
    """Each unit, counted or not, with its last 30 days that had anything; in the order of the table."""
    rows: list[dict[str, Any]] = []
    for unit in reference.pilot_units.units:
        days: dict[str, dict[str, int]] = {}
        total: dict[str, int] = {}
        for (name, day, kind), number in counts.items():
            if name == unit.id:
                days.setdefault(day, {})[kind] = number
                total[kind] = total.get(kind, 0) + number
        newest = dict(sorted(days.items(), reverse=True)[:30])
        rows.append({"unit": unit.id, "kind": unit.kind, "fictional": unit.fictional, "total": total, "days": newest})
    return rows


def _json(reminder: Reminder) -> dict[str, Any]:
    return asdict(reminder) | {"on": reminder.on.isoformat()}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
