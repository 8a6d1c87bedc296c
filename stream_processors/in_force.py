"""What binds an organisation on a day, from the entries of `credit.measures.in-force`; pure, no client and no clock.

An entry never says by itself that a measure binds: its dates do, and only while the platform is heard. Who has heard
nothing of a partition for longer than an entry allows does not enforce it. Doubt is for the subject.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, overload

from schemas.persons import screen_text

RECHECK_SECONDS = 60  # where no heartbeat has told yet
_SERVICE_NAME = re.compile(r"[\w.-]{1,64}")


def is_service_name(name: str) -> bool:
    """Whether a service may go by it: it is shown, and a label of metrics, so it must not hold a personal number."""
    return _SERVICE_NAME.fullmatch(name) is not None and screen_text(name) is None


@dataclass(frozen=True, slots=True)
class Binding:
    """One measure as a service enforces it, with all that it needs to say why.

    Attributes:
        activity: the regulated activity in which it binds, and nowhere else.
        decision: number of the decision document; empty for an incentive, which needs none.
        in_force_from, ends_on: first and last day.
        evidence_document, evidence_ids: what it rests on; `xinliu explain` takes the ids.
        revision: of the case.
    """

    case_id: str
    revision: int
    subject_key: str
    subject_id: str
    rule: str
    measure: str
    kind: str
    activity: str
    authority_code: str
    authority_name: str
    decision: str
    decided_on: date | None
    legal_bases: tuple[str, ...]
    in_force_from: date | None
    ends_on: date | None
    evidence_document: str
    evidence_ids: tuple[str, ...]
    repair_path: str


@dataclass(frozen=True, slots=True)
class Entry:
    """The newest that was said of a case that has ever bound.

    Attributes:
        as_of: the day for which it was said. said_ms: when it was written, milliseconds since 1970.
        reported_at: when the event that brought it was reported (UTC); None where time alone did.
    """

    binding: Binding
    state: str
    reason: str
    ended_on: date | None
    as_of: date | None
    recheck_seconds: int
    said_ms: int
    reported_at: datetime | None = None

    def binds_on(self, day: date) -> bool:
        """Whether it binds, by its dates. For days before a suspension that goes on it says no: it is not known."""
        first, last = self.binding.in_force_from, self.binding.ends_on
        if first is None or last is None or not first <= day <= last:
            return False
        if self.state == "ended":
            ends = [end for end in (self.ended_on, self.as_of) if end is not None]
            return bool(ends) and day < min(ends)
        return self.state == "in_force"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last sign of life of a partition.

    Attributes:
        heard: on a clock that never steps, in seconds.
        age_seconds: how old it was then; infinite where that is not known.
    """

    heard: float
    age_seconds: float
    recheck_seconds: int


@dataclass(frozen=True, slots=True)
class Answer(Sequence[Binding]):
    """What binds: a sequence of bindings, empty where nothing does *or* where that is not known.

    Attributes:
        day: the day that was asked about.
        stale: nobody has told for too long: enforce nothing. `why` says it in one sentence.
    """

    bindings: tuple[Binding, ...]
    day: date
    stale: bool = False
    why: str = ""

    @overload
    def __getitem__(self, index: int) -> Binding: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Binding, ...]: ...
    def __getitem__(self, index: int | slice) -> Binding | tuple[Binding, ...]:
        return self.bindings[index]

    def __len__(self) -> int:
        return len(self.bindings)


class Book:
    """All entries by subject and case, and the heartbeats of the partitions."""

    def __init__(self) -> None:
        self._subjects: dict[str, dict[str, Entry]] = {}
        self._beats: dict[int, Heartbeat] = {}
        self._latest = date.min

    def entries(self) -> Iterator[Entry]:
        for cases in self._subjects.values():
            yield from cases.values()

    def of(self, subject_key: str) -> Sequence[Entry]:
        """Every entry of a subject, those that ended included."""
        return tuple(self._subjects.get(subject_key, {}).values())

    def take(self, row: Mapping[str, Any], said_ms: int) -> Entry:
        """Keep an entry; what was written last of a case counts."""
        entry = entry_of(row, said_ms)
        self._seen(row["as_of"])
        self._subjects.setdefault(row["subject_key"], {})[row["case_id"]] = entry
        return entry

    def hear(self, partition: int, beat: Heartbeat, as_of: date | None) -> None:
        """Keep a sign of life."""
        self._seen(as_of)
        self._beats[partition] = beat

    def _seen(self, day: date | None) -> None:
        if day is not None:
            self._latest = max(self._latest, day)

    def today(self, shown: date) -> date:
        """The day of the law; a clock that shows an earlier one than was seen before is not followed."""
        self._seen(shown)
        return self._latest

    def age_seconds(self, partition: int, now: float) -> float:
        """How old the last sign of life of a partition is; infinite where there was none."""
        beat = self._beats.get(partition)
        return math.inf if beat is None else beat.age_seconds + max(0.0, now - beat.heard)

    def answer(self, subject_key: str, partition: int, day: date, activity: str | None, now: float) -> Answer:
        """What binds a subject on a day.

        Args:
            activity: only measures in this activity; None = all.
            now: on the clock of the heartbeats.
        """
        found = [entry for entry in self._subjects.get(subject_key, {}).values() if entry.binds_on(day)]
        if activity is not None:
            found = [entry for entry in found if entry.binding.activity == activity]
        beat = self._beats.get(partition)
        general = RECHECK_SECONDS if beat is None else beat.recheck_seconds
        limit = min((entry.recheck_seconds for entry in found), default=general)
        age = self.age_seconds(partition, now)
        if age > limit:
            return Answer((), day, True, _why(age, limit))
        bindings = sorted((entry.binding for entry in found), key=lambda b: (b.measure, b.case_id))
        return Answer(tuple(bindings), day)


def entry_of(row: Mapping[str, Any], said_ms: int) -> Entry:
    """An entry from the columns of MEASURE."""
    same = {name: row[name] for name in Binding.__slots__ if name in row}
    same |= {name: tuple(row[name]) for name in ("legal_bases", "evidence_ids")}
    return Entry(
        Binding(**same, decision=row["decision_document"]),
        row["state"],
        row["reason"],
        row["ended_on"],
        row["as_of"],
        row["recheck_seconds"],
        said_ms,
        row["reported_at"],
    )


def _why(age_seconds: float, limit_seconds: int) -> str:
    if math.isinf(age_seconds):
        return "stale: the platform has not given a sign of life for these data yet; do not enforce anything by them"
    return (
        f"stale: the last sign of life for these data is {age_seconds:.0f} s old, and {limit_seconds} s are allowed; "
        "do not enforce anything by them until the platform is heard again (and compare this machine's clock)"
    )
