"""What state a case is in on a day, computed from all facts about it and nothing else. Read this first.

A case is one rule on one document about one subject. It is never stepped: it is judged anew from its facts, so that
acts commute by construction, a replay ends where the first run did, and an end can not be missed. The line stands here:
a restriction is in force only between an accepted decision and the first of its ends.

    awaited     acts are there, the evidence is not (yet)
    drafted     a rule matched evidence that its authority stands behind
    noticed     the subject was told, by a document, through a channel
    objected    it objected within the window; reviewed once it was answered
    decided     a named authority decided, and the first day is still to come
    in_force    binds today
    suspended   decided, and does not bind for a while
    ended       for a reason: expired, repaired, annulled, withdrawn, ceased, corrected, objection_accepted, lapsed

Every act has its fate: accepted, waiting, or refused with a reason (`REFUSALS`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from schemas.calendar import Calendar
from stream_processors.cases.facts import VALID, Act, Evidence, Facts
from stream_processors.cases.months import add_months
from stream_processors.rules.rule import Rule

STATES = (
    "awaited", "drafted", "noticed", "objected", "reviewed", "decided", "in_force", "suspended", "ended",
)  # fmt: skip
ENDS = ("expired", "repaired", "annulled", "withdrawn", "ceased", "corrected", "objection_accepted", "lapsed")
REFUSALS = {
    "act_closed": "its own authority annulled or withdrew it",
    "rule_unknown": "no pack has a rule of that name",
    "subject_not_restrictable": "only an economic operator that is a legal person can be the subject of a restriction",
    "not_authorised": "the department does not speak for the authority, or the rule lets another one decide",
    "document_missing": "the act has no document number or no date",
    "channel_missing": "the notice does not say how it was served",
    "case_unknown": "no evidence of that number became known within the waiting time",
    "evidence_ended": "what the case rests on had ended before",
    "not_noticed": "there is no notice to the subject before the decision",
    "notice_after_decision": "the notice is not older than the decision",
    "window_open": "the window for objections had not elapsed",
    "objection_unanswered": "the subject objected in time, and nobody had answered",
    "objection_accepted": "the objection was accepted",
    "objection_late": "the window for objections had elapsed",
    "basis_missing": "the decision cites no provision",
    "end_missing": "the decision names no end",
    "end_before_start": "the end lies before the first day",
    "end_past_maximum": "the end lies beyond the legal maximum",
    "already_decided": "an earlier decision of the case stands",
    "not_decided": "there is no decision in force that it could be about",
    "no_objection": "there is no objection that it could answer",
    "incentive_needs_none": "an incentive starts and ends by itself; only a withdrawal can be about one",
}
WAIT_DAYS = 30
LAPSE_MONTHS = 12  # a draft on which nobody decides does not hang over the subject for ever
_PROVISIONAL_DAYS = 10  # no run of holidays is longer, so that an unannounced year shortens no window


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one act: accepted, waiting or refused, and why."""

    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Milestone:
    """One step that the case has taken: what happened, by which act or evidence, and on which day."""

    transition: str
    act_id: str
    day: date | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A case as it stands on the day of the judgement.

    Attributes:
        next_on: the first later day on which time alone may change it; None = never.
        fates: by the record id of each act.
    """

    case_id: str
    rule_name: str
    document: str
    state: str
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    notice: Act | None = None
    objection: Act | None = None
    review: Act | None = None
    decision: Act | None = None
    objection_until: date | None = None
    provisional: bool = False
    in_force_from: date | None = None
    ends_on: date | None = None
    ended_on: date | None = None
    next_on: date | None = None
    milestones: tuple[Milestone, ...] = ()
    fates: Mapping[str, Fate] = field(default_factory=dict)

    @property
    def binds(self) -> bool:
        return self.state == "in_force"


def case_id_of(subject_key: str, rule: str, document: str) -> str:
    """128-bit hex id of a case."""
    return hashlib.blake2b("\x1f".join((subject_key, rule, document)).encode(), digest_size=16).hexdigest()


def judge(facts: Facts, name: tuple[str, str], rules: Mapping[str, Rule], today: date, calendar: Calendar) -> Case:
    """The case of this name as it stands on `today`."""
    rule_name, document = name
    blank = Case(case_id_of(facts.subject_key, rule_name, document), rule_name, document, "awaited")
    evidence = tuple(
        sorted(
            (
                e
                for e in facts.evidence.values()
                if e.document == document and rule_name in (*e.rules, *e.once) and e.rank >= 2
            ),
            key=lambda e: e.record_id,
        )
    )
    acts = sorted((a for a in facts.acts.values() if a.case == name), key=_in_order)
    rule = rules.get(rule_name)
    if rule is None:
        return _all_refused(blank, acts, "rule_unknown")
    if rule.kind == "incentive":
        return _judge_incentive(blank, facts, rule, evidence, acts, today)
    if not facts.restrictable:
        return _all_refused(blank, acts, "subject_not_restrictable")
    return _Restriction(blank, facts, rule, evidence, acts, today, calendar).judge()


class _Restriction:
    """The judgement of one restriction, step by step in the order of the procedure."""

    def __init__(
        self,
        blank: Case,
        facts: Facts,
        rule: Rule,
        evidence: tuple[Evidence, ...],
        acts: Sequence[Act],
        today: date,
        calendar: Calendar,
    ) -> None:
        self.blank, self.facts, self.rule, self.evidence = blank, facts, rule, evidence
        self.today, self.calendar = today, calendar
        self.fates: dict[str, Fate] = {}
        self.days: list[date] = []  # on which time alone changes something
        self.acts = [act for act in acts if self._may_act(act)]

    def judge(self) -> Case:
        if not self.evidence:
            return self._awaited()
        ended = _evidence_end(self.evidence, self.rule)
        ended = _first_end(ended, _ceased(self.facts))
        notice = self._notice()
        until, provisional = self._window(notice)
        objection = self._objection(notice, until)
        review = self._review(objection)
        if review is not None and review.channel == "accepted":
            ended = _first_end(ended, _End("objection_accepted", review.day, review.record_id))
        decision, start = self._decision(notice, until, objection, review, ended)
        if decision is None:
            for act in self._of("suspension", "withdrawal"):
                self.fates.setdefault(act.record_id, Fate("waiting", "not_decided"))
        else:
            ended = self._ends_of(decision, ended)
        return self._stands(notice, until, provisional, objection, review, decision, start, ended)

    # -- the acts, in the order of the procedure -----------------------------------------------------------------

    def _may_act(self, act: Act) -> bool:
        """Whether the act counts at all; its fate is said here where it does not."""
        if act.status != VALID and act.kind != "decision":
            self.fates[act.record_id] = Fate("refused", "act_closed")
            return False
        reason = _act_fault(act, self.rule, self.evidence)
        if reason:
            self.fates[act.record_id] = Fate("refused", reason)
        return not reason

    def _of(self, *kinds: str) -> list[Act]:
        return [act for act in self.acts if act.kind in kinds]

    def _accept(self, act: Act) -> Act:
        self.fates[act.record_id] = Fate("accepted")
        return act

    def _refuse(self, act: Act, reason: str) -> None:
        self.fates[act.record_id] = Fate("refused", reason)

    def _notice(self) -> Act | None:
        first: Act | None = None
        for act in self._of("notice"):
            if not act.channel:
                self._refuse(act, "channel_missing")
            else:
                self._accept(act)
                first = first or act
        return first

    def _window(self, notice: Act | None) -> tuple[date | None, bool]:
        """Last day for objections. Where the calendar of a year is not announced, the doubt is for the subject."""
        if notice is None or notice.day is None:
            return None, False
        found = self.calendar.add_working_days(notice.day, self.rule.objection_days)
        until = found.day + timedelta(days=_PROVISIONAL_DAYS) if found.provisional else found.day
        self.days.append(until + timedelta(days=1))
        return until, found.provisional

    def _objection(self, notice: Act | None, until: date | None) -> Act | None:
        first: Act | None = None
        for act in self._of("objection"):
            if notice is None or until is None:
                self.fates[act.record_id] = Fate("waiting", "not_noticed")
            elif _day(act) > until:
                self._refuse(act, "objection_late")
            else:
                self._accept(act)
                first = first or act
        return first

    def _review(self, objection: Act | None) -> Act | None:
        last: Act | None = None
        for act in self._of("review"):
            if objection is None or _day(act) < _day(objection):
                self.fates[act.record_id] = Fate("waiting", "no_objection")
            else:
                last = self._accept(act)
        return last

    def _decision(
        self, notice: Act | None, until: date | None, objection: Act | None, review: Act | None, ended: _End | None
    ) -> tuple[Act | None, date | None]:
        """The first decision that meets every condition, and its first day in force."""
        taken: Act | None = None
        start: date | None = None
        for act in self._of("decision"):
            if taken is not None:
                self._refuse(act, "already_decided")
                continue
            reason = self._decision_fault(act, notice, until, objection, review, ended)
            if reason == "not_noticed":
                self.fates[act.record_id] = Fate("waiting", reason)
            elif reason:
                self._refuse(act, reason)
            else:
                taken, start = self._accept(act), max(act.starts_on or _day(act), _day(act))
        return taken, start

    def _decision_fault(
        self,
        act: Act,
        notice: Act | None,
        until: date | None,
        objection: Act | None,
        review: Act | None,
        ended: _End | None,
    ) -> str:
        if not act.bases:
            return "basis_missing"
        if act.ends_on is None:
            return "end_missing"
        start = max(act.starts_on or _day(act), _day(act))
        if act.ends_on < start:
            return "end_before_start"
        if act.ends_on > add_months(start, self.rule.max_months):
            return "end_past_maximum"
        if notice is None or until is None:
            return "not_noticed"
        if _day(notice) >= _day(act):
            return "notice_after_decision"
        if _day(act) <= until:
            return "window_open"
        if objection is not None and (review is None or _day(review) > _day(act)):
            return "objection_unanswered"
        if review is not None and review.channel == "accepted":
            return "objection_accepted"
        if ended is not None and ended.day is not None and ended.day <= _day(act):
            return "evidence_ended"
        return ""

    # -- the ends ------------------------------------------------------------------------------------------------

    def _ends_of(self, decision: Act, ended: _End | None) -> _End | None:
        if decision.status != VALID:
            ended = _first_end(ended, _End(decision.status, decision.closed_on, decision.record_id))
        for act in self._of("withdrawal"):
            self._accept(act)
            if _day(act) <= self.today:
                ended = _first_end(ended, _End("withdrawn", act.day, act.record_id))
            else:
                self.days.append(_day(act))
        if decision.ends_on is not None and decision.ends_on < self.today:
            ended = _first_end(ended, _End("expired", decision.ends_on + timedelta(days=1), decision.record_id))
        return ended

    def _suspended(self, decision: Act) -> Act | None:
        """The suspension that holds today; its end, or its own annulment, lets the measure go on."""
        holding: Act | None = None
        for act in self._of("suspension"):
            self._accept(act)
            self.days += [day for day in (act.day, _after(act.ends_on)) if day is not None]
            if _day(act) <= self.today and (act.ends_on is None or self.today <= act.ends_on):
                holding = act
        return holding

    # -- the answer ----------------------------------------------------------------------------------------------

    def _awaited(self) -> Case:
        for act in self.acts:
            gives_up = _day(act) + timedelta(days=WAIT_DAYS)
            if gives_up < self.today:
                self._refuse(act, "case_unknown")
            else:
                self.fates[act.record_id] = Fate("waiting", "case_unknown")
                self.days.append(gives_up + timedelta(days=1))
        return self._case("awaited", "", ())

    def _stands(
        self,
        notice: Act | None,
        until: date | None,
        provisional: bool,
        objection: Act | None,
        review: Act | None,
        decision: Act | None,
        start: date | None,
        ended: _End | None,
    ) -> Case:
        steps = [Milestone("drafted", self.evidence[0].record_id, self.evidence[0].decided_on)]
        state = "drafted"
        for found, word in ((notice, "noticed"), (objection, "objected"), (review, "reviewed"), (decision, "decided")):
            if found is not None:
                state = word
                steps.append(Milestone(word, found.record_id, found.day))
        suspension = None
        if decision is not None and start is not None:
            self.days += [day for day in (start, _after(decision.ends_on)) if day is not None]
            suspension = self._suspended(decision)
            if start <= self.today and (ended is None or ended.day is None or ended.day > start):
                state = "in_force"
                steps.append(Milestone("entered", decision.record_id, start))
        elif ended is None:
            last = max(day for day in (self._drafted_on(), *(_day(a) for a in (notice, objection, review) if a)))
            lapses = add_months(last, LAPSE_MONTHS)
            self.days.append(lapses)
            if self.today >= lapses:
                ended = _End("lapsed", lapses, "")
        if ended is not None:
            state = "ended"
            steps.append(Milestone("ended", ended.act_id, ended.day, ended.reason))
        elif suspension is not None and state == "in_force":
            state = "suspended"
            steps.append(Milestone("suspended", suspension.record_id, suspension.day))
        return self._case(
            state,
            "" if ended is None else ended.reason,
            tuple(steps),
            notice=notice,
            objection=objection,
            review=review,
            decision=decision,
            objection_until=until,
            provisional=provisional,
            in_force_from=start,
            ends_on=None if decision is None else decision.ends_on,
            ended_on=None if ended is None else ended.day,
        )

    def _drafted_on(self) -> date:
        return max((e.decided_on for e in self.evidence if e.decided_on is not None), default=self.today)

    def _case(self, state: str, reason: str, steps: tuple[Milestone, ...], **known: object) -> Case:
        later = [day for day in self.days if day > self.today]
        refused = tuple(
            Milestone("refused", act_id, None, fate.reason)
            for act_id, fate in sorted(self.fates.items())
            if fate.outcome == "refused"
        )
        waiting = tuple(
            Milestone("waiting", act_id, None, fate.reason)
            for act_id, fate in sorted(self.fates.items())
            if fate.outcome == "waiting"
        )
        return Case(
            self.blank.case_id,
            self.blank.rule_name,
            self.blank.document,
            state,
            reason,
            self.evidence,
            milestones=(*steps, *waiting, *refused),
            fates=self.fates,
            next_on=min(later, default=None),
            **known,  # pyrefly: ignore[bad-argument-type]
        )


@dataclass(frozen=True, slots=True)
class _End:
    """One reason for which a case ends; no day = as soon as it is known."""

    reason: str
    day: date | None
    act_id: str


def _judge_incentive(
    blank: Case, facts: Facts, rule: Rule, evidence: tuple[Evidence, ...], acts: Sequence[Act], today: date
) -> Case:
    """An incentive starts with its evidence and ends with it, at its own end, or when it is withdrawn."""
    fates = {
        act.record_id: Fate("accepted") if act.kind == "withdrawal" else Fate("refused", "incentive_needs_none")
        for act in acts
    }
    refused = tuple(
        Milestone("refused", act_id, None, fate.reason)
        for act_id, fate in sorted(fates.items())
        if fate.outcome == "refused"
    )
    if not evidence:
        return Case(blank.case_id, blank.rule_name, blank.document, "awaited", milestones=refused, fates=fates)
    start = min((e.decided_on for e in evidence if e.decided_on is not None), default=today)
    stated = [e.valid_to for e in evidence if e.valid_to is not None]
    ends_on = min(max(stated, default=date.max), add_months(start, rule.max_months))
    ended = _first_end(_evidence_end(evidence, rule), _ceased(facts))
    for act in acts:
        if act.kind == "withdrawal" and act.status == VALID and act.rank >= 2 and act.day is not None:
            ended = _first_end(ended, _End("withdrawn", act.day, act.record_id))
    if ends_on < today:
        ended = _first_end(ended, _End("expired", ends_on + timedelta(days=1), evidence[0].record_id))
    steps = [Milestone("drafted", evidence[0].record_id, evidence[0].decided_on)]
    state = "decided"
    if start <= today:
        state = "in_force"
        steps.append(Milestone("entered", evidence[0].record_id, start))
    if ended is not None:
        state = "ended"
        steps.append(Milestone("ended", ended.act_id, ended.day, ended.reason))
    days = [day for day in (start, ends_on + timedelta(days=1)) if day > today]
    return Case(
        blank.case_id,
        blank.rule_name,
        blank.document,
        state,
        "" if ended is None else ended.reason,
        evidence,
        in_force_from=start,
        ends_on=ends_on,
        ended_on=None if ended is None else ended.day,
        next_on=min(days, default=None),
        milestones=(*steps, *refused),
        fates=fates,
    )


def _act_fault(act: Act, rule: Rule, evidence: Sequence[Evidence]) -> str:
    """Why nobody may act so, whatever else is known; empty when somebody may."""
    if act.rank < 2:
        return "not_authorised"
    if rule.deciders and act.kind != "objection":
        if act.department not in rule.deciders:
            return "not_authorised"
    elif act.kind != "objection" and evidence and act.department not in {e.department for e in evidence}:
        return "not_authorised"
    if act.day is None or (not act.number and act.kind != "objection"):
        return "document_missing"
    return ""


def _evidence_end(evidence: Sequence[Evidence], rule: Rule) -> _End | None:
    """The end of what the case rests on: of the last piece that stood; None while one stands."""
    ends: list[_End] = []
    for piece in evidence:
        matches = rule.name in piece.rules
        if matches and (piece.status == VALID or (piece.status == "repaired" and not rule.repair_ends)):
            return None
        ends.append(_End(piece.status if piece.status != VALID else "corrected", piece.ended_on, piece.record_id))
    return max(ends, key=lambda end: (end.day or date.max, end.act_id))


def _ceased(facts: Facts) -> _End | None:
    return None if facts.ceased_on is None else _End("ceased", facts.ceased_on, "")


def _first_end(one: _End | None, other: _End | None) -> _End | None:
    """The earlier of two; one without a day is as early as can be."""
    ends = [end for end in (one, other) if end is not None]
    return min(ends, key=lambda end: (end.day or date.min, ENDS.index(end.reason), end.act_id), default=None)


def _all_refused(blank: Case, acts: Sequence[Act], reason: str) -> Case:
    fates = {act.record_id: Fate("refused", reason) for act in acts}
    steps = tuple(Milestone("refused", act.record_id, None, reason) for act in acts)
    return Case(blank.case_id, blank.rule_name, blank.document, "awaited", milestones=steps, fates=fates)


def _in_order(act: Act) -> tuple[date, str]:
    return (act.day or date.max, act.record_id)


def _day(act: Act) -> date:
    assert act.day is not None, "acts without a day were refused before"
    return act.day


def _after(day: date | None) -> date | None:
    return None if day is None else day + timedelta(days=1)
