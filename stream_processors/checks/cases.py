"""What must hold of the measures, from the topics alone: no transition lost or doubled, nothing binds without cause.

The cases are judged a second time, from `credit.records` and from nothing that the cases lane remembers, and compared
with the last word that the lane had on each. Conditions of what binds are looked for in the messages themselves, as a
reader of them would. Non-goal: reading topics while a lane writes them, see `verify`; `cases` waits for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl

from schemas import codec
from schemas.avro import CREDIT_RECORD, MEASURE
from schemas.calendar import Calendar
from schemas.settings import Settings
from schemas.topics import IN_FORCE, MEASURES, RECORDS
from stream_processors.cases.facts import Facts
from stream_processors.cases.inputs import inputs, relevant
from stream_processors.cases.judge import Case, case_id_of, judge
from stream_processors.checks.findings import Check, check, found_sentences
from stream_processors.kafka import read_all
from stream_processors.rules.packs import Packs

Row = Mapping[str, Any]


@dataclass(slots=True)
class Said:
    """What the lane said, in the order in which it said it.

    Attributes:
        steps: by case id, its transitions; listed: by case id, the newest entry of what binds.
        day: by partition, the latest day for which the lane judged.
        messages: how many there are; unreadable: a sentence about each that is no word of the lane.
    """

    steps: dict[str, list[Row]] = field(default_factory=dict)
    listed: dict[str, Row] = field(default_factory=dict)
    day: dict[int, date] = field(default_factory=dict)
    messages: int = 0
    unreadable: list[str] = field(default_factory=list)


def read_said(settings: Settings) -> Said:
    """All of both topics of measures."""
    said = Said()
    for topic in (MEASURES, IN_FORCE):
        for batch in read_all(settings, topic):
            decoded = codec.decode(MEASURE, batch.values)
            said.messages += len(batch)
            faults = [*decoded.faults, *((index, f"schema id {number} unknown") for index, number in decoded.unknown)]
            said.unreadable += [f"{topic}[{batch.partitions[i]}]@{batch.offsets[i]}, {reason}" for i, reason in faults]
            partitions = batch.partitions[decoded.rows].tolist()
            for partition, row in zip(partitions, decoded.batch.to_pylist(), strict=True):
                if row["as_of"] is not None:
                    said.day[partition] = max(said.day.get(partition, row["as_of"]), row["as_of"])
                if topic == MEASURES:
                    said.steps.setdefault(row["case_id"], []).append(row)
                elif row["case_id"]:
                    said.listed[row["case_id"]] = row
    return said


def judge_again(
    settings: Settings,
    packs: Packs,
    calendar: Calendar,
    day: Mapping[int, date],
    until: Mapping[int, int] | None = None,
) -> tuple[dict[str, Case], set[str]]:
    """Every case by id, from the records up to `until` in each partition; and the subjects of whom there is more."""
    facts: dict[tuple[int, str], Facts] = {}
    busy: set[str] = set()
    for batch in read_all(settings, RECORDS):
        decoded = codec.decode(CREDIT_RECORD, batch.values, head=True)  # what can not be read is found by `verify`
        some = batch.select(decoded.rows[relevant(pl.DataFrame(pl.from_arrow(decoded.batch)), packs)])
        whole = [value for value in some.values if value is not None]
        for offset, found in zip(some.offsets.tolist(), inputs(whole, some.partitions.tolist(), packs), strict=True):
            if until is not None and offset >= until.get(found.partition, 0):
                busy.add(found.subject_key)
                continue
            place = (found.partition, found.subject_key)
            facts[place] = facts.get(place, Facts(found.subject_key)).learn(found.fact)
    cases: dict[str, Case] = {}
    for (partition, key), known in facts.items():
        if key in busy:
            continue
        for name in known.names():
            case = judge(known, name, packs.rules, day.get(partition, date.min), calendar)
            cases[case_id_of(key, *name)] = case
    return cases, busy


def case_checks(said: Said, cases: Mapping[str, Case], busy: Iterable[str] = ()) -> list[Check]:
    """What must hold.

    Args:
        cases: as they are judged again.
        busy: subjects whose newest records the lane has not passed; they are not judged.
    """
    skipped = set(busy)
    newest = {case_id: steps[-1] for case_id, steps in said.steps.items() if steps[-1]["subject_key"] not in skipped}
    again = {case_id: case for case_id, case in cases.items() if case_id in newest or case_id not in said.steps}
    binding = [row for row in (*newest.values(), *said.listed.values()) if row["state"] == "in_force"]
    return [
        _check(
            "every transition of a case was told once, in order",
            len(said.steps),
            (c for c, steps in said.steps.items() if [s["revision"] for s in steps] != list(range(1, len(steps) + 1))),
        ),
        _check(
            "what binds or ever bound is listed as it stands",
            len(said.listed),
            _listed_otherwise(said, newest),
        ),
        _check(
            "nothing binds without evidence, notice, elapsed window, decision, basis and end",
            len(binding),
            (row["case_id"] for row in binding if faults_of(row)),
        ),
        _check(
            "the cases, judged again from the records, are what was told last",
            len(newest),
            _judged_otherwise(newest, again),
        ),
        check(
            "every message about a measure can be read",
            said.messages,
            found_sentences(len(said.unreadable), said.unreadable),
        ),
    ]


def faults_of(row: Row) -> list[str]:
    """Which conditions a measure that is said to bind does not meet, by its own message."""
    tests: dict[str, bool] = {
        "evidence": bool(row["evidence_ids"]),
        "basis": bool(row["legal_bases"]),
        "start": row["in_force_from"] is not None,
        "end": row["ends_on"] is not None,
    }
    if row["kind"] != "incentive":
        noticed, decided, until = row["noticed_on"], row["decided_on"], row["objection_until"]
        tests |= {
            "notice": bool(row["notice_document"] and row["notice_channel"] and noticed),
            "decision": bool(row["decision_document"] and decided),
            "window": None not in (noticed, decided, until) and noticed <= until < decided,
            "answer": row["objected_on"] is None
            or (row["reviewed_on"] is not None and row["objected_on"] <= row["reviewed_on"] <= decided),
            "order": None not in (decided, row["in_force_from"], row["ends_on"])
            and decided <= row["in_force_from"] <= row["ends_on"],
        }
    return [name for name, holds in tests.items() if not holds]


def _listed_otherwise(said: Said, newest: Mapping[str, Row]) -> list[str]:
    bound = {c for c in newest if any(step["state"] in ("in_force", "suspended") for step in said.steps[c])}
    missing = sorted(bound - set(said.listed))
    differing = [
        case_id
        for case_id, row in said.listed.items()
        if case_id in newest and (row["state"], row["revision"]) != _word(newest[case_id])
    ]
    # What entered and ended in one judgement never was a reader's to enforce.
    never = {c for c in missing if newest[c]["state"] == "ended" and _at_once(said.steps[c])}
    return [*(c for c in missing if c not in never), *differing]


def _at_once(steps: Sequence[Row]) -> bool:
    return all(
        any(later["transition"] == "ended" and later["at"] == step["at"] for later in steps)
        for step in steps
        if step["state"] in ("in_force", "suspended")
    )


def _word(row: Row) -> tuple[str, int]:
    return row["state"], row["revision"]


def _judged_otherwise(newest: Mapping[str, Row], again: Mapping[str, Case]) -> list[str]:
    differing: list[str] = []
    for case_id, row in newest.items():
        case = again.get(case_id)
        if case is None:  # compaction took the revision that the rule spoke of: then it must be over
            if row["state"] not in ("ended", "awaited"):
                differing.append(case_id)
        elif (case.state, case.in_force_from, case.ends_on) != (row["state"], row["in_force_from"], row["ends_on"]):
            differing.append(case_id)
    untold = [case_id for case_id, case in again.items() if case_id not in newest and case.state != "awaited"]
    return [*differing, *untold]


def _check(name: str, compared: int, differing: Iterable[str]) -> Check:
    cases = sorted(set(differing))
    return check(name, compared, found_sentences(len(cases), (f"case {case_id}" for case_id in cases)))


def whole_check(
    settings: Settings,
    packs: Packs,
    calendar: Calendar,
    passed: Callable[[], Mapping[int, int]],
) -> list[Check]:
    """All of the above: `passed` tells how far the lane has come in each partition of `credit.records`."""
    until = passed()
    said = read_said(settings)
    after = passed()
    cases, busy = judge_again(settings, packs, calendar, said.day, until)
    if after != until:  # it went on meanwhile; whoever has newer records is not judged
        said.listed = {case_id: row for case_id, row in said.listed.items() if row["subject_key"] not in busy}
    return case_checks(said, cases, busy)
