"""What is new about a case since the outside was last told: its transitions, in the order in which they happened."""

from __future__ import annotations

import hashlib

from stream_processors.cases.facts import Told
from stream_processors.cases.judge import Case, Milestone

_STATE_AFTER = {"entered": "in_force", "resumed": "in_force"}
_STEPS = ("drafted", "noticed", "objected", "reviewed", "decided", "suspended", "ended")


def transitions(told: Told, case: Case) -> list[tuple[Milestone, str]]:
    """New milestones, each with the state that the case had after it; empty where nothing changed."""
    known = set(told.steps)
    fresh = [m for m in case.milestones if _key(m) not in known]
    if told.state == "suspended" and case.state == "in_force":
        fresh.append(Milestone("resumed", "", None))
    if told.state == "ended" and case.state != "ended":
        fresh.insert(0, Milestone("reopened", "", None))
    if not fresh and told.state not in ("", case.state):
        fresh.append(Milestone(case.state, "", None, case.reason))
    if not fresh and told.state and told.terms != terms_of(case):
        fresh.append(
            Milestone("changed", "", None, case.reason)
        )  # an end was brought forward, say: who enforces has to know
    states = [*(_state_after(milestone, case) for milestone in fresh[:-1]), case.state]  # the last one is as it stands
    return list(zip(fresh, states[-len(fresh) :], strict=True)) if fresh else []


def after_telling(told: Told, case: Case, count: int) -> Told:
    """What the outside knows once these transitions are out."""
    return Told(
        told.revision + count,
        case.state,
        told.listed or case.state in ("in_force", "suspended"),
        tuple(_key(m) for m in case.milestones),
        terms_of(case),
    )


def terms_of(case: Case) -> str:
    """Digest of what a reader of the case acts on: dates, provisions and documents."""
    said = (
        case.ends_on,
        case.in_force_from,
        case.ended_on,
        case.objection_until,
        case.notice and (case.notice.number, case.notice.day, case.notice.channel),
        case.decision and (case.decision.number, case.decision.day, case.decision.bases, case.decision.authority_code),
        [piece.record_id for piece in case.evidence],
    )
    return hashlib.blake2b(repr(said).encode(), digest_size=8).hexdigest()


def _key(milestone: Milestone) -> tuple[str, str, str]:
    return milestone.transition, milestone.act_id, milestone.reason


def _state_after(milestone: Milestone, case: Case) -> str:
    if milestone.transition in _STATE_AFTER:
        return _STATE_AFTER[milestone.transition]
    return milestone.transition if milestone.transition in _STEPS else case.state
