"""A case in words, Chinese and English: where it stands, what became of each act, what comes next and when."""

from __future__ import annotations

from datetime import date
from typing import Any

from stream_processors.case_reader import Known, Law
from stream_processors.cases.facts import Act
from stream_processors.cases.judge import REFUSALS, Case, Fate
from stream_processors.cases.rows import repair_path
from stream_processors.rules.rule import Rule

STATES = {
    "awaited": "待查证 awaiting evidence",
    "drafted": "拟实施 drafted",
    "noticed": "已告知 noticed",
    "objected": "有异议 objected to",
    "reviewed": "已复核 reviewed",
    "decided": "已决定 decided",
    "in_force": "生效中 in force",
    "suspended": "中止 suspended",
    "ended": "已终止 ended",
}
ENDS = {
    "expired": "期满 expired",
    "repaired": "已修复 repaired",
    "annulled": "依据被撤销 annulled",
    "withdrawn": "已撤回 withdrawn",
    "ceased": "主体终止 the subject ceased",
    "corrected": "依据已更正 its evidence was corrected",
    "objection_accepted": "异议成立 the objection was accepted",
    "lapsed": "逾期未决定 nobody decided in time",
}
ACTS = {
    "notice": "告知 notice",
    "objection": "异议 objection",
    "review": "复核 answer to the objection",
    "decision": "决定 decision",
    "suspension": "中止 suspension",
    "withdrawal": "撤回 withdrawal",
}


def state(name: str) -> str:
    """A state as people read it."""
    return STATES.get(name, name)


def end(reason: str) -> str:
    """Why a case ended, as people read it."""
    return ENDS.get(reason, reason)


def fate(found: Fate) -> str:
    """What became of an act, with the reason as a sentence."""
    if found.outcome == "accepted":
        return "accepted"
    why = REFUSALS.get(found.reason, found.reason)
    return f"waits: {why}" if found.outcome == "waiting" else f"refused: {why}"


def what_next(case: Case, rule: Rule | None, today: date) -> str:
    """What would come next, by whom, and when."""
    who = ", ".join(rule.deciders) if rule is not None and rule.deciders else "the authority of its evidence"
    later = f"; on {case.next_on} time alone may change it" if case.next_on else ""
    match case.state:
        case "awaited":
            return "its evidence becomes known, or the acts about it are refused" + later
        case "drafted":
            lapse = f"; it lapses on {case.next_on} if nobody does" if case.next_on else ""
            return f"{who} serves a notice on the subject{lapse}"
        case "noticed" if case.objection_until is not None and today <= case.objection_until:
            doubt = " (provisional: the calendar of a year is not announced)" if case.provisional else ""
            return f"the subject may object until {case.objection_until}{doubt}; after that {who} may decide"
        case "noticed" | "reviewed":
            lapse = f"; it lapses on {case.next_on} if nobody does" if case.next_on else ""
            return f"{who} may decide, on a day after {case.objection_until}{lapse}"
        case "objected":
            return f"{who} answers the objection; nobody may decide before that"
        case "decided":
            return f"it binds from {case.in_force_from}"
        case "in_force":
            ways = "repair, annulment or withdrawal" if rule is None or rule.repair_ends else "annulment or withdrawal"
            return f"it ends by itself after {case.ends_on}, earlier by {ways}"
        case "suspended":
            resumes = f"; it may go on on {case.next_on}" if case.next_on else ""
            return f"it does not bind until the suspension ends, and ends after {case.ends_on}{resumes}"
    return "nothing: it has ended, and comes back only if what ended it is undone"


def as_json(known: Known, case: Case, law: Law) -> dict[str, Any]:
    """A case as plain values: days in ISO 8601, each act with its fate."""
    rule = law.rules.get(case.rule_name)
    return {
        "case_id": case.case_id,
        "subject_key": known.facts.subject_key,
        "subject_id": known.facts.subject_id,
        "rule": case.rule_name,
        "measure": rule.measure if rule else "",
        "kind": rule.kind if rule else "",
        "activity": rule.activity if rule else "",
        "sentence_zh": rule.sentence_zh if rule else "",
        "sentence_en": rule.sentence_en if rule else "",
        "legal_bases": list(rule.bases) if rule else [],
        "deciders": list(rule.deciders) if rule else [],
        "document": case.document,
        "state": case.state,
        "reason": case.reason,
        "binds": case.binds,
        "objection_until": _day(case.objection_until),
        "provisional": case.provisional,
        "in_force_from": _day(case.in_force_from),
        "ends_on": _day(case.ends_on),
        "ended_on": _day(case.ended_on),
        "next_on": _day(case.next_on),
        "next": what_next(case, rule, law.today),
        "repair_path": repair_path(case, rule),
        "evidence": [
            {
                "record_id": piece.record_id,
                "status": piece.status,
                "department": piece.department,
                "authority_name": piece.authority_name,
                "decided_on": _day(piece.decided_on),
            }
            for piece in case.evidence
        ],
        "acts": [_act(known.facts.acts[act_id], found) for act_id, found in _in_order(known, case)],
    }


def _in_order(known: Known, case: Case) -> list[tuple[str, Fate]]:
    found = [(act_id, fate) for act_id, fate in case.fates.items() if act_id in known.facts.acts]
    return sorted(found, key=lambda each: (known.facts.acts[each[0]].day or date.max, each[0]))


def _act(act: Act, found: Fate) -> dict[str, Any]:
    return {
        "record_id": act.record_id,
        "kind": act.kind,
        "document": act.number,
        "on": _day(act.day),
        "department": act.department,
        "authority_name": act.authority_name,
        "starts_on": _day(act.starts_on),
        "ends_on": _day(act.ends_on),
        "legal_bases": list(act.bases),
        "answer" if act.kind == "review" else "channel": act.channel,
        "status": act.status,
        "outcome": found.outcome,
        "reason": found.reason,
        "words": fate(found),
    }


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
