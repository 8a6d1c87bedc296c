"""What is known of one subject: the evidence and the acts, each in its newest revision, whatever order they came in.

The revisions of one record come in their order; the records themselves in any. Each is kept for itself, and whatever is
said of the subject as a whole is computed from all of them, so learning is commutative and idempotent, and the cases
are computed from nothing else. Non-goal: what follows from the facts, see `judge.py`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, fields, replace
from datetime import date
from typing import Any

from schemas import normalise
from stream_processors.rules.operators import ANY_OPERATOR, OPERATORS

ACT_KINDS = {
    "measure_notice": "notice",
    "measure_objection": "objection",
    "measure_review": "review",
    "measure_decision": "decision",
    "measure_suspension": "suspension",
    "measure_withdrawal": "withdrawal",
}
VALID = "valid"
_ANOTHER_BODY = re.compile(f"(?!{OPERATORS['CN']})CN-USCC:")  # sole traders, public and social bodies


@dataclass(frozen=True, slots=True)
class Evidence:
    """One record that rules speak about, in its newest revision.

    Attributes:
        rank: who stands behind it.
        status: valid, annulled, withdrawn, repaired or expired.
        document: number of its document in its identifying spelling; what acts name it by.
        rules: names of the rules that matched this revision; those of the last valid one, once it is closed.
        changed_on: day of the document that brought this revision, at the latest the day on which it was reported.
        once: (rule, document, last day) of the cases that an earlier revision was evidence of, and this one is not.
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
    changed_on: date
    event_id: str
    subject_id: str = ""
    once: tuple[tuple[str, str, date], ...] = ()

    def names(self) -> set[tuple[str, str]]:
        """The cases that it is, or was, evidence of."""
        return {(rule, self.document) for rule in self.rules} | {(rule, document) for rule, document, _ in self.once}

    def after(self, known: Evidence) -> Evidence:
        """This revision with what has to be kept of the one before; a stub has no facts, they stay what they were."""
        if self.status != VALID:
            return replace(
                known,
                revision=self.revision,
                status=self.status,
                changed_on=self.changed_on,
                event_id=self.event_id,
            )
        now = {(rule, self.document) for rule in self.rules}
        left = {(rule, known.document, self.changed_on) for rule in known.rules} | set(known.once)
        once = {}
        for rule, document, day in sorted(left, key=lambda each: each[2], reverse=True):
            if (rule, document) not in now:
                once[rule, document] = (rule, document, day)
        return replace(self, once=tuple(sorted(once.values())), subject_id=self.subject_id or known.subject_id)


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
    changed_on: date
    event_id: str
    subject_id: str = ""

    def names(self) -> set[tuple[str, str]]:
        """The case that it is about."""
        return {self.case}

    def after(self, known: Act) -> Act:
        """As for evidence."""
        if self.status != VALID:
            return replace(
                known,
                revision=self.revision,
                status=self.status,
                changed_on=self.changed_on,
                event_id=self.event_id,
            )
        return replace(self, subject_id=self.subject_id or known.subject_id)


@dataclass(frozen=True, slots=True)
class Registration:
    """What one record of a business register says of the body, in its newest revision.

    Attributes:
        gone: it was struck off, merged into another or dissolved; nothing passes on.
        day: the day on which that happened, at the latest the day on which it was reported.
    """

    record_id: str
    revision: int
    gone: bool
    day: date
    subject_id: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What the outside was told of a case so far; the next judgement is compared with it.

    Attributes:
        revision: how many transitions went out.
        listed: it has bound at some time, so that its end has to be told as well.
        steps: (transition, act id, reason) of the milestones as they stood.
        terms: digest of the dates and provisions as they stood.
    """

    revision: int = 0
    state: str = ""
    listed: bool = False
    steps: tuple[tuple[str, str, str], ...] = ()
    terms: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of one subject; each by the id of its record, `told` by case id."""

    subject_key: str
    evidence: dict[str, Evidence] = field(default_factory=dict)
    acts: dict[str, Act] = field(default_factory=dict)
    registrations: dict[str, Registration] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)

    def learn(self, item: Evidence | Act | Registration) -> Facts:
        """With one more fact; the same object where it says nothing new.

        An older or equal revision of what is known changes nothing. Evidence that no rule speaks of, stubs of what was
        never known, and bodies that were there all along are not kept.
        """
        if isinstance(item, Registration):
            word = self.registrations.get(item.record_id)
            if (word is None and not item.gone) or (word is not None and word.revision >= item.revision):
                return self
            return replace(self, registrations={**self.registrations, item.record_id: item})
        if isinstance(item, Act):
            act = self.acts.get(item.record_id)
            if (act is None and item.status != VALID) or (act is not None and act.revision >= item.revision):
                return self
            return replace(self, acts={**self.acts, item.record_id: item if act is None else item.after(act)})
        piece = self.evidence.get(item.record_id)
        if (piece is None and not item.rules) or (piece is not None and piece.revision >= item.revision):
            return self
        return replace(self, evidence={**self.evidence, item.record_id: item if piece is None else item.after(piece)})

    def names(self) -> list[tuple[str, str]]:
        """Every case that the facts speak of, or spoke of once, as (rule, evidence document), in a fixed order."""
        found: set[tuple[str, str]] = set()
        for item in (*self.evidence.values(), *self.acts.values()):
            found |= item.names()
        return sorted(found)

    def names_touched(self, item: Evidence | Act | Registration) -> list[tuple[str, str]]:
        """The cases that this fact, learnt just now, may change; all of them where it is about the body itself."""
        known = self.evidence.get(item.record_id) or self.acts.get(item.record_id)
        return self.names() if known is None else sorted(known.names())

    @property
    def subject_id(self) -> str:
        """The identifier that its records give, one of a legal person before others."""
        ids = {item.subject_id for item in self._items() if item.subject_id}
        return min(ids, key=lambda each: (re.match(ANY_OPERATOR, each) is None, each), default="")

    @property
    def restrictable(self) -> frozenset[str]:
        """The jurisdictions under whose law a measure can be about it, as an economic operator that is a legal person.

        Some record says so, and none that stands says otherwise.
        """
        items = self._items()
        if any(_ANOTHER_BODY.match(item.subject_id) and _stands(item) for item in items):
            return frozenset()
        return frozenset(
            law for law, begins in OPERATORS.items() if any(re.match(begins, item.subject_id) for item in items)
        )

    @property
    def ceased_on(self) -> date | None:
        """Day on which a register says that the body was struck off or merged, the earliest; None while it is there."""
        return min((word.day for word in self.registrations.values() if word.gone), default=None)

    def _items(self) -> tuple[Evidence | Act | Registration, ...]:
        return (*self.evidence.values(), *self.acts.values(), *self.registrations.values())


def _stands(item: Evidence | Act | Registration) -> bool:
    return isinstance(item, Registration) or item.status == VALID


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
            "evidence": [_row(e) for e in facts.evidence.values()],
            "acts": [_row(a) for a in facts.acts.values()],
            "registrations": [_row(r) for r in facts.registrations.values()],
            "told": {case_id: [t.revision, t.state, t.listed, t.steps, t.terms] for case_id, t in facts.told.items()},
        },
        ensure_ascii=False,
        separators=(",", ":"),
        default=date.isoformat,
    )


def from_json(subject_key: str, text: str) -> Facts:
    """Facts as `to_json` wrote them."""
    read = json.loads(text)
    evidence = [
        Evidence(**_values(row, ("decided_on", "valid_to", "changed_on"), ("rules",)) | {"once": _once(row["once"])})
        for row in read["evidence"]
    ]
    days = ("day", "starts_on", "ends_on", "changed_on")
    acts = [Act(**_values(row, days, ("bases", "case"))) for row in read["acts"]]
    registrations = [Registration(**_values(row, ("day",), ())) for row in read["registrations"]]
    return Facts(
        subject_key,
        {e.record_id: e for e in evidence},
        {a.record_id: a for a in acts},
        {r.record_id: r for r in registrations},
        {
            case_id: Told(revision, state, listed, tuple((step, act, reason) for step, act, reason in steps), terms)
            for case_id, (revision, state, listed, steps, terms) in read["told"].items()
        },
    )


def _row(item: Evidence | Act | Registration) -> dict[str, Any]:
    return {each.name: getattr(item, each.name) for each in fields(item)}


def _values(row: dict[str, Any], days: tuple[str, ...], tuples: tuple[str, ...]) -> dict[str, Any]:
    return row | {name: _day(row[name]) for name in days} | {name: tuple(row[name]) for name in tuples}


def _once(rows: list[list[str]]) -> tuple[tuple[str, str, date], ...]:
    return tuple((rule, document, date.fromisoformat(day)) for rule, document, day in rows)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
