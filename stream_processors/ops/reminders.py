"""What somebody has to be reminded of on a day: milestones of the pilot, terms of cases, departments that are late.

Pure: the day is handed in. A reminder has an id that is the same however often it is found, so it is told once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from schemas.calendar import Calendar
from schemas.errors import ConfigurationError
from schemas.reference import Department
from schemas.reference.tables import read_table
from stream_processors.cases.months import add_months
from stream_processors.freshness import due_seconds
from stream_processors.rules.rule import Rule

AHEAD_DAYS = 30  # of milestones, and of the ends of what binds
LAPSE_AHEAD_DAYS = 60
_OPEN = ("drafted", "noticed", "objected", "reviewed")


@dataclass(frozen=True, slots=True)
class Milestone:
    """One date of the pilot."""

    id: str
    on: date
    name_zh: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Reminder:
    """Attributes:
    id: of what it is about and its date.
    whom: a department's or an authority's code; empty = the operator of the platform.
    on: the day that it is about.
    """

    id: str
    kind: str
    whom: str
    on: date
    zh: str
    en: str


def load_milestones(directory: Path | None) -> tuple[Milestone, ...]:
    """From the reference table; ConfigurationError names a date that is none."""
    found: list[Milestone] = []
    for row in read_table("milestones", ("id", "on", "name_zh", "name_en"), directory):
        try:
            found.append(Milestone(row["id"], date.fromisoformat(row["on"]), row["name_zh"], row["name_en"]))
        except ValueError as error:
            raise ConfigurationError(
                f"reading the reference table milestones.csv: {row['id']} needs a day, 2016-12-31"
            ) from error
    return tuple(found)


def of_milestones(milestones: Iterable[Milestone], today: date) -> list[Reminder]:
    """Those from 30 days before on until they have passed."""
    return [
        Reminder(f"milestone-{m.id}-{m.on}", "milestone", "", m.on, f"{m.on}：{m.name_zh}", f"{m.on}: {m.name_en}")
        for m in milestones
        if m.on - timedelta(days=AHEAD_DAYS) <= today <= m.on
    ]


def of_cases(cases: Iterable[Mapping[str, Any]], rules: Mapping[str, Rule], today: date) -> list[Reminder]:
    """What is due of cases as they stand (columns of Measure, newest revision each), the most urgent first."""
    found = [reminder for case in cases if (reminder := _of_case(case, rules.get(case["rule"]), today)) is not None]
    return sorted(found, key=lambda reminder: (reminder.on, reminder.id))


def _of_case(case: Mapping[str, Any], rule: Rule | None, today: date) -> Reminder | None:
    state, until, ends_on = case["state"], case["objection_until"], case["ends_on"]
    if state == "objected" and case["objected_on"] is not None:
        return _reminder(
            "objection_open",
            case,
            case["objected_on"],
            "异议尚未答复，答复之前不能作出决定",
            "an objection waits for an answer",
        )
    if state in ("noticed", "reviewed") and until is not None and until < today:
        return _lapsing(case, rule, today) or _reminder(
            "decision_open",
            case,
            until,
            "异议期已过，可以作出决定或撤回",
            "the window has elapsed: decide, or withdraw",
        )
    if state in ("in_force", "suspended") and ends_on is not None and today <= ends_on <= today + timedelta(AHEAD_DAYS):
        return _reminder("ends_soon", case, ends_on, "措施即将届满并自动终止", "the measure ends by itself soon")
    return _lapsing(case, rule, today) if state in _OPEN else None


def _lapsing(case: Mapping[str, Any], rule: Rule | None, today: date) -> Reminder | None:
    days = [case[name] for name in ("noticed_on", "objected_on", "reviewed_on") if case[name] is not None]
    if not days or rule is None:
        return None  # of a draft the day is its evidence's, which the transition does not name
    lapses = add_months(max(days), rule.lapse_months)
    if lapses - timedelta(days=LAPSE_AHEAD_DAYS) <= today < lapses:
        return _reminder(
            "lapses_soon", case, lapses, "逾期不作决定，该案将自动终止", "without a decision the case ends by itself"
        )
    return None


def _reminder(kind: str, case: Mapping[str, Any], on: date, chinese: str, english: str) -> Reminder:
    place = f"{case['rule']} {case['subject_id']} {case['evidence_document']}"
    return Reminder(
        f"{kind}-{case['case_id']}-{on}",
        kind,
        case["authority_code"],
        on,
        f"{on} {place}：{chinese}",
        f"{on} {place}: {english}",
    )


def of_departments(
    accepted_seconds: Mapping[str, float], departments: Mapping[str, Department], calendar: Calendar, now_seconds: float
) -> list[Reminder]:
    """Departments that were heard once and are late now, by their declared cadence."""
    found: list[Reminder] = []
    for name, heard in sorted(accepted_seconds.items()):
        if name not in departments:
            continue
        due = due_seconds(heard, departments[name].cadence_days, calendar)
        if now_seconds > due:
            day = datetime.fromtimestamp(due, UTC).date()
            zh = f"{departments[name].name_zh}应于{day}前报送，尚未收到"
            en = f"{departments[name].name_en}: a report was due by {day} and has not come"
            found.append(Reminder(f"department_late-{name}-{day}", "department_late", name, day, zh, en))
    return found
