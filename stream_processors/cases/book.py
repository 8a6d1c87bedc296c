"""The subjects that the cases lane holds, what their cases wait for, and what a batch changes about them.

Changes sit in an overlay until the batch is committed, or are forgotten. Each fact is judged for itself, so that the
history does not depend on where a batch ends. Pure: days and moments are handed in. Non-goals: Kafka, see `lane.py`,
and what state a case is in, see `judge.py`.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from schemas.calendar import Calendar
from stream_processors.cases.facts import Facts, Told, from_json, to_json
from stream_processors.cases.inputs import Input
from stream_processors.cases.judge import judge
from stream_processors.cases.rows import measure_row
from stream_processors.cases.transitions import after_telling, transitions
from stream_processors.rules.rule import Rule

Place = tuple[int, str]  # partition and subject key
Name = tuple[str, str]  # rule and evidence document
Due = tuple[date, str, Name]  # day, subject key, case
Row = tuple[int, dict[str, object]]  # partition and columns
EVERY = ("", "")  # in the place of a case: all of the subject's


@dataclass(frozen=True, slots=True)
class Now:
    """The day of the law for which cases are judged, and the moment (UTC) at which that is told."""

    today: date
    at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """One subject: its facts, the latest day of a judgement that changed something, and what its cases wait for."""

    facts: Facts
    as_of: date
    next_on: Mapping[Name, date] = field(default_factory=dict)


@dataclass(slots=True)
class News:
    """What judgements brought; of a subject and of a listing only the newest goes out.

    Attributes:
        transitions: rows of `credit.measures`.
        listed: by case id, rows of `credit.measures.in-force`.
        subjects: whose facts changed.
        counts: by rule and transition.
    """

    transitions: list[Row] = field(default_factory=list)
    listed: dict[str, Row] = field(default_factory=dict)
    subjects: dict[Place, None] = field(default_factory=dict)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)


class Book:
    """Subjects by partition, with one heap of deadlines each."""

    def __init__(self, rules: Mapping[str, Rule], calendar: Calendar) -> None:
        self._rules = rules
        self._calendar = calendar
        self._held: dict[int, dict[str, Held]] = {}
        self._due: dict[int, list[Due]] = {}
        self._overlay: dict[Place, Held] = {}
        self._to_push: list[tuple[int, Due]] = []
        self._taken: list[tuple[int, Due]] = []
        self._states: Counter[str] = Counter()

    # -- the partitions -----------------------------------------------------------------------------------------

    def open(self, partitions: Sequence[int]) -> None:
        """Hold these partitions and no others, all of them empty."""
        self.aborted()
        self._held = {partition: {} for partition in partitions}
        self._due = {partition: [] for partition in partitions}
        self._states.clear()

    def restore(self, partition: int, subject_key: str, as_of: date, facts: str) -> None:
        """One subject as `states` gave it; it is judged once when it is next looked at, by the rules as they are."""
        held = self._held[partition][subject_key] = Held(from_json(subject_key, facts), as_of)
        self._states.update(_states_of(held))
        heapq.heappush(self._due[partition], (date.min, subject_key, EVERY))

    def subjects(self) -> dict[int, int]:
        """How many subjects each partition holds."""
        return {partition: len(held) for partition, held in self._held.items()}

    def cases(self) -> Mapping[str, int]:
        """How many cases are in each state, as it was told."""
        return self._states

    def held(self, place: Place) -> Held | None:
        """A subject as it stands within the batch."""
        return self._overlay.get(place) or self._held.get(place[0], {}).get(place[1])

    # -- what happens -------------------------------------------------------------------------------------------

    def learn(self, found: Input, now: Now, news: News) -> None:
        """One fact, and what follows from it at once."""
        place = (found.partition, found.subject_key)
        held = self.held(place) or Held(Facts(found.subject_key), now.today)
        learnt = held.facts.learn(found.fact)
        if learnt is held.facts:
            return
        self._overlay[place] = replace(held, facts=learnt)
        news.subjects[place] = None
        same_body = (learnt.restrictable, learnt.ceased_on) == (held.facts.restrictable, held.facts.ceased_on)
        self._judge(place, learnt.names_touched(found.fact) if same_body else learnt.names(), now, news)

    def pass_time(self, now: Now, news: News, most: int) -> int:
        """Judge what is due; returns how many deadlines that were, `most` at a time."""
        count = 0
        for partition, due in self._due.items():
            while due and due[0][0] <= now.today and count < most:
                entry = heapq.heappop(due)
                self._taken.append((partition, entry))
                day, key, name = entry
                held = self.held((partition, key))
                if held is None or (name != EVERY and held.next_on.get(name) != day):
                    continue  # the case waits for another day meanwhile
                count += 1
                self._judge((partition, key), held.facts.names() if name == EVERY else [name], now, news)
        return count

    def states(self, news: News) -> list[Row]:
        """Rows of `credit.cases` for the subjects whose facts changed."""
        rows: list[Row] = []
        for place in news.subjects:
            held = self._overlay[place]
            rows.append((place[0], {"subject_key": place[1], "as_of": held.as_of, "facts": to_json(held.facts)}))
        return rows

    def committed(self) -> set[int]:
        """The batch stands; returns the partitions that it changed."""
        for (partition, key), held in self._overlay.items():
            of_partition = self._held.setdefault(partition, {})
            self._states.subtract(_states_of(of_partition.get(key)))
            self._states.update(_states_of(held))
            of_partition[key] = held
        for partition, due in self._to_push:
            heapq.heappush(self._due.setdefault(partition, []), due)
        changed = {partition for partition, _ in self._overlay}
        self._taken.clear()
        self.aborted()
        return changed

    def aborted(self) -> None:
        """The batch does not stand: as if it had not been."""
        for partition, due in self._taken:
            if partition in self._due:
                heapq.heappush(self._due[partition], due)
        self._taken.clear()
        self._overlay.clear()
        self._to_push.clear()

    # -- one judgement ------------------------------------------------------------------------------------------

    def _judge(self, place: Place, names: Iterable[Name], now: Now, news: News) -> None:
        """These cases of a subject as they stand today; what is new about them is told."""
        held = self.held(place)
        assert held is not None, "a subject is judged after something was learnt of it"
        facts, next_on = held.facts, dict(held.next_on)
        for name in names:
            case = judge(facts, name, self._rules, now.today, self._calendar)
            if case.next_on is None:
                next_on.pop(name, None)
            elif next_on.get(name) != case.next_on:
                next_on[name] = case.next_on
                self._to_push.append((place[0], (case.next_on, place[1], name)))
            before = facts.told.get(case.case_id, Told())
            fresh = transitions(before, case)
            if not fresh:
                continue
            rule = self._rules.get(case.rule_name)
            after = after_telling(before, case, len(fresh))
            for number, (milestone, state) in enumerate(fresh, start=before.revision + 1):
                row = measure_row(facts, case, rule, milestone, state, number, now.at, now.today)
                news.transitions.append((place[0], row))
                news.counts[case.rule_name if rule else "unknown", milestone.transition] += 1
            if after.listed:
                newest = replace(fresh[-1][0], reason=case.reason)
                last = measure_row(facts, case, rule, newest, case.state, after.revision, now.at, now.today)
                news.listed[case.case_id] = (place[0], last)
            facts = replace(facts, told={**facts.told, case.case_id: after})
            news.subjects[place] = None
        self._overlay[place] = Held(facts, now.today if facts is not held.facts else held.as_of, next_on)


def _states_of(held: Held | None) -> list[str]:
    """The state of each of a subject's cases."""
    return [] if held is None else [told.state for told in held.facts.told.values()]
