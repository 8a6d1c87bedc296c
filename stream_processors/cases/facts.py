"""What is known of one subject: the evidence and the acts, each in its newest revision, whatever order they came in.

Facts only grow by newer revisions, so learning them is commutative and idempotent: any order of arrival ends in the
same facts, and the cases are computed from nothing else. Non-goal: what follows from them, see `judge.py`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

from schemas import normalise

ACT_KINDS = {
    "measure_notice": "notice",
    "measure_objection": "objection",
    "measure_review": "review",
    "measure_decision": "decision",
    "measure_suspension": "suspension",
    "measure_withdrawal": "withdrawal",
}
VALID = "valid"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One record that rules speak about, in its newest revision.

    Attributes:
        rank: who stands behind it; below 2 nobody who may decide, and nothing follows from it.
        status: valid, annulled, withdrawn, repaired or expired.
        document: number of its document in its identifying spelling; what acts name it by.
        rules: names of the rules that matched this revision; those of the last valid one, once it is closed.
        once: those that matched an earlier revision and do not match this one.
        ended_on: day of the document that closed it, where it is closed and the day is known.
    """

    record_id: str
    revision: int
    rank: int
    status: str
    document: str
    rules: tuple[str, ...]
    authority_code: str
    authority_name: str
    department: str
    decided_on: date | None
    valid_to: date | None
    ended_on: date | None
    event_id: str
    once: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Act:
    """One act in the life of a measure, in its newest revision.

    Attributes:
        kind: notice, objection, review, decision, suspension or withdrawal.
        case: rule and evidence document that it names.
        status: valid, or how its own record was closed: an annulled decision decides nothing.
        number: number of the act's own document; day: its date.
        channel: how a notice was served; the answer of a review (accepted, rejected).
    """

    record_id: str
    revision: int
    rank: int
    status: str
    kind: str
    case: tuple[str, str]
    number: str
    day: date | None
    starts_on: date | None
    ends_on: date | None
    bases: tuple[str, ...]
    channel: str
    authority_code: str
    authority_name: str
    department: str
    closed_on: date | None
    event_id: str


@dataclass(frozen=True, slots=True)
class Told:
    """What the outside was told of a case so far; the next judgement is compared with it.

    Attributes:
        revision: how many transitions went out.
        listed: it has bound at some time, so that its end has to be told as well.
        steps: (transition, act id, reason) of the milestones as they stood.
    """

    revision: int = 0
    state: str = ""
    listed: bool = False
    steps: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of one subject.

    Attributes:
        restrictable: an economic operator that is a legal person (USCC 91, 93, N); only such a body can be restricted.
        ceased_on: day on which the register says that it was struck off or merged; nothing passes on.
        told: by case id.
    """

    subject_key: str
    subject_id: str = ""
    restrictable: bool = False
    ceased_on: date | None = None
    ceased_revision: int = 0
    evidence: dict[str, Evidence] = field(default_factory=dict)
    acts: dict[str, Act] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)

    def learn(self, item: Evidence | Act) -> Facts:
        """With one more fact; an older or equal revision of what is known changes nothing."""
        known = self.evidence.get(item.record_id) if isinstance(item, Evidence) else self.acts.get(item.record_id)
        if known is not None and known.revision >= item.revision:
            return self
        if isinstance(item, Act):
            if item.status != VALID and isinstance(known, Act):  # a stub has no facts: they stay what they were
                item = replace(
                    known, revision=item.revision, status=item.status, closed_on=item.closed_on, event_id=item.event_id
                )
            return replace(self, acts={**self.acts, item.record_id: item})
        if item.status != VALID and isinstance(known, Evidence):
            item = replace(
                known, revision=item.revision, status=item.status, ended_on=item.ended_on, event_id=item.event_id
            )
        elif isinstance(known, Evidence):
            before = {*known.rules, *known.once} - set(item.rules)
            item = replace(item, once=tuple(sorted(before)))
        return replace(self, evidence={**self.evidence, item.record_id: item})

    def names(self) -> list[tuple[str, str]]:
        """Every case that the facts speak of, as (rule, evidence document), in a fixed order."""
        by_evidence = {(rule, e.document) for e in self.evidence.values() for rule in e.rules}
        return sorted(by_evidence | {act.case for act in self.acts.values()})


def case_name(item: str) -> tuple[str, str]:
    """`RULE@NUMBER` of an act's item as (rule, document in its identifying spelling)."""
    rule, _, document = item.partition("@")
    return rule.strip(), document_spelling(document)


def document_spelling(number: str) -> str:
    """The spelling in which acts and evidence find each other: that which identifies a document."""
    import polars as pl

    return normalise.document_identity(normalise.document_numbers(pl.Series([number]))).item()


def to_json(facts: Facts) -> str:
    """As text for `credit.cases`; `from_json` gives the same facts back."""
    return json.dumps(
        {
            "subject_id": facts.subject_id,
            "restrictable": facts.restrictable,
            "ceased_on": _text(facts.ceased_on),
            "ceased_revision": facts.ceased_revision,
            "evidence": [_row(e) for e in facts.evidence.values()],
            "acts": [_row(a) for a in facts.acts.values()],
            "told": {case_id: [t.revision, t.state, t.listed, t.steps] for case_id, t in facts.told.items()},
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def from_json(subject_key: str, text: str) -> Facts:
    """Facts as `to_json` wrote them."""
    read = json.loads(text)
    evidence = [
        Evidence(**_values(row, ("decided_on", "valid_to", "ended_on"), ("rules", "once"))) for row in read["evidence"]
    ]
    days = ("day", "starts_on", "ends_on", "closed_on")
    acts = [Act(**_values(row, days, ("bases", "case"))) for row in read["acts"]]
    return Facts(
        subject_key,
        read["subject_id"],
        read["restrictable"],
        _day(read["ceased_on"]),
        read["ceased_revision"],
        {e.record_id: e for e in evidence},
        {a.record_id: a for a in acts},
        {
            case_id: Told(revision, state, listed, tuple((step, act, reason) for step, act, reason in steps))
            for case_id, (revision, state, listed, steps) in read["told"].items()
        },
    )


def _row(item: Evidence | Act) -> dict[str, Any]:
    return {name: _text(value) if isinstance(value, date) else value for name, value in asdict(item).items()}


def _values(row: dict[str, Any], days: tuple[str, ...], tuples: tuple[str, ...]) -> dict[str, Any]:
    return row | {name: _day(row[name]) for name in days} | {name: tuple(row[name]) for name in tuples}


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
