"""A case after a transition as a message of `credit.measures`."""

from __future__ import annotations

from datetime import date, datetime

from stream_processors.cases.facts import Act, Evidence, Facts
from stream_processors.cases.judge import Case, Milestone
from stream_processors.cases.months import add_months
from stream_processors.rules.rule import Rule

RECHECK_SECONDS = 60  # six heartbeats


def measure_row(
    facts: Facts,
    case: Case,
    rule: Rule | None,
    milestone: Milestone,
    state: str,
    revision: int,
    at: datetime,
    today: date,
) -> dict[str, object]:
    """Columns of MEASURE for one transition."""
    decision = case.decision
    source: Act | Evidence | None = decision or (case.evidence[0] if case.evidence else None)
    about: Act | Evidence | None = facts.acts.get(milestone.act_id) or facts.evidence.get(milestone.act_id)
    bases = (*(rule.bases if rule else ()), *(decision.bases if decision else ()))
    return {
        "case_id": case.case_id,
        "revision": revision,
        "transition": milestone.transition,
        "state": state,
        "reason": milestone.reason,
        "at": at,
        "as_of": today,
        "subject_key": facts.subject_key,
        "subject_id": facts.subject_id,
        "rule": case.rule_name,
        "measure": rule.measure if rule else "",
        "kind": rule.kind if rule else "",
        "activity": rule.activity if rule else "",
        "evidence_document": case.document,
        "evidence_ids": [piece.record_id for piece in case.evidence],
        "legal_bases": list(dict.fromkeys(bases)),
        "authority_code": source.authority_code if source else "",
        "authority_name": source.authority_name if source else "",
        "notice_document": case.notice.number if case.notice else "",
        "notice_channel": case.notice.channel if case.notice else "",
        "noticed_on": case.notice.day if case.notice else None,
        "objection_until": case.objection_until,
        "provisional": case.provisional,
        "objected_on": case.objection.day if case.objection else None,
        "reviewed_on": case.review.day if case.review else None,
        "decision_document": decision.number if decision else "",
        "decided_on": decision.day if decision else None,
        "in_force_from": case.in_force_from,
        "ends_on": case.ends_on,
        "ended_on": case.ended_on,
        "repair_path": repair_path(case, rule),
        "act_id": milestone.act_id,
        "event_id": about.event_id if about else "",
        "recheck_seconds": RECHECK_SECONDS,
        "reported_at": None,  # the lane knows it, where an event of its batch brought this
    }


def heartbeat_row(at: datetime, today: date) -> dict[str, object]:
    """A sign of life: up to `at`, everything that this lane was told is in its topics."""
    return {
        "case_id": "",
        "revision": 0,
        "transition": "heartbeat",
        "state": "",
        "reason": "",
        "at": at,
        "as_of": today,
        **dict.fromkeys(_TEXTS, ""),
        **dict.fromkeys(_DAYS),
        "evidence_ids": [],
        "legal_bases": [],
        "provisional": False,
        "recheck_seconds": RECHECK_SECONDS,
        "reported_at": None,
    }


def repair_path(case: Case, rule: Rule | None) -> str:
    """What the subject can do to end it, Chinese and English, and when at the earliest."""
    if rule is None or rule.kind == "incentive" or case.state == "ended":
        return ""
    if not rule.repair_ends:
        return "不适用提前修复 / the law bars an early end"
    if case.in_force_from is None:
        return f"{rule.repair_zh} / {rule.repair_en}"
    earliest = add_months(case.in_force_from, rule.min_months)
    return f"最早 {earliest}：{rule.repair_zh} / earliest {earliest}: {rule.repair_en}"


_TEXTS = (
    "subject_key", "subject_id", "rule", "measure", "kind", "activity", "evidence_document", "authority_code",
    "authority_name", "notice_document", "notice_channel", "decision_document", "repair_path", "act_id", "event_id",
)  # fmt: skip
_DAYS = (
    "noticed_on",
    "objection_until",
    "objected_on",
    "reviewed_on",
    "decided_on",
    "in_force_from",
    "ends_on",
    "ended_on",
)
