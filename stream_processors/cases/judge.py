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

STATES = {
    "awaited": "acts are there, the evidence is not; after 30 days they are refused",
    "drafted": "a rule matched evidence that its authority stands behind",
    "noticed": "the subject was told, by a document, through a channel; the window for objections runs",
    "objected": "the subject objected within the window, and nobody has answered",
    "reviewed": "the objection was answered",
    "decided": "a named authority decided, and the first day is still to come",
    "in_force": "binds, from its first day to its last",
    "suspended": "was decided, and does not bind for a while",
    "ended": "is over; for the reasons see below",
}
ENDS = {
    "expired": "its last day is over, or the publication of its evidence",
    "repaired": "what it rests on was repaired, where the law lets a repair end it",
    "annulled": "its evidence or its decision was annulled",
    "withdrawn": "its authority withdrew it, its decision, or its evidence",
    "ceased": "the body was struck off or merged; nothing passes on",
    "corrected": "its evidence was corrected, and the rule speaks of it no more",
    "objection_accepted": "an objection was accepted",
    "lapsed": "nobody did anything for as long as the rule lets a draft wait, and nobody had decided",
}
ACTS = (
    ("notice", "measure_notice", "opens the window for objections; a later one opens another"),
    ("objection", "measure_objection", "in time, it bars a decision until it is answered"),
    ("review", "measure_review", "answers it: accepted ends the case, rejected lets it go on"),
    ("decision", "measure_decision", "puts the measure in force from its first day to its last"),
    ("suspension", "measure_suspension", "keeps it from binding until its end, if it names one"),
    ("withdrawal", "measure_withdrawal", "ends it, before or after a decision"),
)
REFUSALS = {
    "act_closed": "its own authority annulled or withdrew it",
    "rule_unknown": "no pack has a rule of that name",
    "subject_not_restrictable": "only a legal person in trade, of the rule's own jurisdiction, can be its subject",
    "not_authorised": "the department does not speak for the authority, or the rule lets another one decide",
    "document_missing": "the act has no document number or no date",
    "channel_missing": "the notice does not say how it was served",
    "case_unknown": "no evidence of that number became known within the waiting time",
    "evidence_ended": "what the case rests on had ended before",
    "before_evidence": "the decision is older than what the case rests on now",
    "case_ended": "the case had ended before: withdrawn, lapsed, or decided and over",
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
    "answer_missing": "the answer to the objection says neither accepted nor rejected",
    "not_yet": "its day is still to come",
    "incentive_needs_none": "an incentive starts and ends by itself; only a withdrawal can be about one",
}
WAIT_DAYS = 30
_PROVISIONAL_DAYS = 10  # no run of holidays is longer, so that an unannounced year shortens no window
# Whether the record of an act is still shown is no matter (expired); whether its authority took it back is. A decision
# that was taken back is kept in view: it has to be told that it ended, and why.
_COUNTS = {False: (VALID, "expired"), True: (VALID, "expired", "annulled", "withdrawn", "repaired")}
_ORDER_OF_ENDS = tuple(ENDS)  # which of two on one day is told
_ANSWERS = ("accepted", "rejected")
_BARS = {"withdrawn": "case_ended", "objection_accepted": "objection_accepted"}


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
    """The case of this name as it stands on `today`. Pure: the same facts and day give the same case."""
    rule_name, document = name
    blank = Case(case_id_of(facts.subject_key, rule_name, document), rule_name, document, "awaited")
    evidence = tuple(sorted((e for e in facts.evidence.values() if name in e.names()), key=lambda e: e.record_id))
    acts = sorted((a for a in facts.acts.values() if a.case == name), key=_in_order)
    rule = rules.get(rule_name)
    if rule is None:
        return _all_refused(blank, acts, "rule_unknown")
    if rule.jurisdiction not in facts.restrictable:
        return _all_refused(blank, acts, "subject_not_restrictable")
    if rule.kind == "incentive":
        return _Incentive(blank, facts, rule, evidence, acts, today).judge()
    return _Restriction(blank, facts, rule, evidence, acts, today, calendar).judge()


@dataclass(frozen=True, slots=True)
class _End:
    """One reason for which a case ends, and since when."""

    reason: str
    day: date
    act_id: str


class _Judgement:
    """What both kinds of measures have in common: the fates of the acts, and the days on which time changes something.

    Attributes:
        acts: those that count, in order of their days.
    """

    def __init__(
        self, blank: Case, facts: Facts, rule: Rule, evidence: tuple[Evidence, ...], acts: Sequence[Act], today: date
    ) -> None:
        self.blank, self.facts, self.rule, self.evidence, self.today = blank, facts, rule, evidence, today
        self.name = (blank.rule_name, blank.document)
        self.fates: dict[str, Fate] = {}
        self.days: list[date] = []
        self.acts = [act for act in acts if self._counts(act)]

    def _counts(self, act: Act) -> bool:
        """Whether the act counts at all; its fate is said here where it does not."""
        if act.status not in _COUNTS[act.kind == "decision"]:
            self._refuse(act, "act_closed")
            return False
        reason = _act_fault(act, self.rule, self.evidence)
        if reason:
            self._refuse(act, reason)
        elif _day(act) > self.today:
            self.fates[act.record_id] = Fate("waiting", "not_yet")
            self.days.append(_day(act))
            return False
        return not reason

    def _of(self, *kinds: str) -> list[Act]:
        return [act for act in self.acts if act.kind in kinds]

    def _accept(self, act: Act) -> Act:
        self.fates[act.record_id] = Fate("accepted")
        return act

    def _refuse(self, act: Act, reason: str) -> None:
        self.fates[act.record_id] = Fate("refused", reason)

    def _foundations(self) -> list[Evidence]:
        """The pieces of evidence that stand; all of them, where none does."""
        return [e for e in self.evidence if _stands(e, self.name, self.rule)] or list(self.evidence)

    def _foundations_end(self) -> _End | None:
        """The first end of what no measure outlives: its evidence, its subject, and the will of its authority."""
        ended = _evidence_end(self.evidence, self.name, self.rule)
        if self.facts.ceased_on is not None:
            ended = _first_end(ended, _End("ceased", self.facts.ceased_on, ""))
        for act in self._of("withdrawal"):
            self._accept(act)
            ended = _first_end(ended, _End("withdrawn", _day(act), act.record_id))
        return ended

    def _case(self, state: str, steps: Sequence[Milestone], ended: _End | None = None, **known: object) -> Case:
        fates = sorted(self.fates.items())
        told = [
            Milestone(outcome, act_id, None, fate.reason)
            for outcome in ("waiting", "refused")
            for act_id, fate in fates
            if fate.outcome == outcome
        ]
        if ended is not None:
            steps = (*steps, Milestone("ended", ended.act_id, ended.day, ended.reason))
        return Case(
            self.blank.case_id,
            self.blank.rule_name,
            self.blank.document,
            "ended" if ended is not None else state,
            "" if ended is None else ended.reason,
            self.evidence,
            ended_on=None if ended is None else ended.day,
            milestones=(*steps, *told),
            fates=self.fates,
            next_on=min((day for day in self.days if day > self.today), default=None),
            **known,  # pyrefly: ignore[bad-argument-type]
        )


@dataclass(frozen=True, slots=True)
class _Hearing:
    """Notice, objections and answers, as they stood before a day.

    Attributes:
        notice: the last one; a new notice opens a new window.
        until: last day of its window.
        objection: the last one in time.
        review: the last answer.
        accepted: an answer that accepted an objection; the first one.
    """

    notice: Act | None
    until: date | None
    provisional: bool
    objection: Act | None
    review: Act | None
    accepted: Act | None


class _Restriction(_Judgement):
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
        super().__init__(blank, facts, rule, evidence, acts, today)
        self.calendar = calendar

    def judge(self) -> Case:
        if not self.evidence:
            return self._awaited()
        notices = self._notices()
        objections = self._objections(notices)
        reviews = self._reviews(objections)
        now = self._heard(notices, objections, reviews, None)
        ended = self._foundations_end()
        if now.accepted is not None:
            ended = _first_end(ended, _End("objection_accepted", _day(now.accepted), now.accepted.record_id))
        decision = self._decision(notices, objections, reviews, ended)
        for act in self._of("suspension"):
            if decision is None:
                self.fates[act.record_id] = Fate("waiting", "not_decided")
            else:
                self._accept(act)
        if decision is None:
            return self._undecided(now, ended)
        return self._decided(decision, self._heard(notices, objections, reviews, decision), ended)

    # -- the acts, in the order of the procedure -----------------------------------------------------------------

    def _notices(self) -> list[Act]:
        for act in self._of("notice"):
            if act.channel:
                self._accept(act)
            else:
                self._refuse(act, "channel_missing")
        return [act for act in self._of("notice") if act.channel]

    def _window(self, notice: Act) -> tuple[date, bool]:
        """Last day for objections. Where the calendar of a year is not announced, the doubt is for the subject."""
        found = self.calendar.add_working_days(_day(notice), self.rule.objection_days)
        until = found.day + timedelta(days=_PROVISIONAL_DAYS) if found.provisional else found.day
        return until, found.provisional

    def _objections(self, notices: list[Act]) -> list[Act]:
        """Those in time: within the window of a notice, or before it."""
        last = max((self._window(notice)[0] for notice in notices), default=None)
        for act in self._of("objection"):
            if last is None:
                self.fates[act.record_id] = Fate("waiting", "not_noticed")
            elif _day(act) > last:
                self._refuse(act, "objection_late")
            else:
                self._accept(act)
        return [act for act in self._of("objection") if last is not None and _day(act) <= last]

    def _reviews(self, objections: list[Act]) -> list[Act]:
        answers: list[Act] = []
        for act in self._of("review"):
            if act.channel not in _ANSWERS:
                self._refuse(act, "answer_missing")
            elif not any(_day(objection) <= _day(act) for objection in objections):
                self.fates[act.record_id] = Fate("waiting", "no_objection")
            else:
                answers.append(self._accept(act))
        return answers

    def _heard(self, notices: list[Act], objections: list[Act], reviews: list[Act], decision: Act | None) -> _Hearing:
        """What a decision could look back on; without one, all there is."""
        served = [act for act in notices if decision is None or _day(act) < _day(decision)]
        answers = [act for act in reviews if decision is None or _day(act) <= _day(decision)]
        until, provisional = self._window(served[-1]) if served else (None, False)
        said = [act for act in objections if decision is None or until is None or _day(act) <= until]
        return _Hearing(
            served[-1] if served else None,
            until,
            provisional,
            said[-1] if said else None,
            answers[-1] if answers else None,
            next((act for act in reviews if act.channel == "accepted"), None),
        )

    def _decision(
        self, notices: list[Act], objections: list[Act], reviews: list[Act], ended: _End | None
    ) -> Act | None:
        """The first decision that meets every condition and stands; else the last that did, and was annulled."""
        taken: Act | None = None
        for act in self._of("decision"):
            reason = self._decision_fault(act, self._heard(notices, objections, reviews, act), bool(notices), ended)
            if reason == "not_noticed":
                self.fates[act.record_id] = Fate("waiting", reason)
            elif reason:
                self._refuse(act, reason)
            elif taken is not None and taken.status == VALID:
                over = taken.ends_on is not None and taken.ends_on < _day(act)
                self._refuse(act, "case_ended" if over else "already_decided")
            elif taken is not None and _day(act) < taken.changed_on:
                self._refuse(act, "already_decided")  # it was when it was made; an annulment does not revive it
            else:
                if taken is not None:
                    self._refuse(taken, "act_closed")
                taken = self._accept(act)
        return taken

    def _decision_fault(self, act: Act, heard: _Hearing, was_noticed: bool, ended: _End | None) -> str:
        """Why this decision decides nothing; empty when it does."""
        if not act.bases:
            return "basis_missing"
        if act.ends_on is None:
            return "end_missing"
        if act.ends_on < _start(act):
            return "end_before_start"
        if act.ends_on > add_months(_start(act), self.rule.max_months):
            return "end_past_maximum"
        if _day(act) < self._drafted_on():
            return "before_evidence"
        if heard.notice is None or heard.until is None:
            return "notice_after_decision" if was_noticed else "not_noticed"
        if _day(act) <= heard.until:
            return "window_open"
        if heard.objection is not None and (heard.review is None or _day(heard.review) < _day(heard.objection)):
            return "objection_unanswered"
        if ended is not None and ended.day <= _day(act):
            return _BARS.get(ended.reason, "evidence_ended")
        if _day(act) >= self._lapses(heard):
            return "case_ended"
        return ""

    # -- the answer ----------------------------------------------------------------------------------------------

    def _awaited(self) -> Case:
        for act in self.acts:
            gives_up = _day(act) + timedelta(days=WAIT_DAYS)
            if gives_up < self.today:
                self._refuse(act, "case_unknown")
            else:
                self.fates[act.record_id] = Fate("waiting", "case_unknown")
                self.days.append(gives_up + timedelta(days=1))
        return self._case("awaited", ())

    def _undecided(self, heard: _Hearing, ended: _End | None) -> Case:
        lapses = self._lapses(heard)
        self.days.append(lapses)
        if lapses <= self.today:
            ended = _first_end(ended, _End("lapsed", lapses, ""))
        steps = self._procedure(heard)
        return self._case(steps[-1].transition, steps, ended, **self._terms(heard, None))

    def _decided(self, decision: Act, heard: _Hearing, ended: _End | None) -> Case:
        start, ends_on = _start(decision), decision.ends_on
        assert ends_on is not None, "a decision without an end was refused"
        steps = [*self._procedure(heard), Milestone("decided", decision.record_id, decision.day)]
        self.days += [start, ends_on + timedelta(days=1)]
        if decision.status != VALID:
            ended = _first_end(ended, _End(decision.status, decision.changed_on, decision.record_id))
        if ends_on < self.today:
            ended = _first_end(ended, _End("expired", ends_on + timedelta(days=1), decision.record_id))
        state = "decided"
        if start <= self.today and (ended is None or ended.day > start):
            state = "in_force"
            steps.append(Milestone("entered", decision.record_id, start))
        suspension = self._suspension()
        if suspension is not None and state == "in_force" and ended is None:
            state = "suspended"
            steps.append(Milestone("suspended", suspension.record_id, suspension.day))
        return self._case(state, steps, ended, **self._terms(heard, decision))

    def _suspension(self) -> Act | None:
        """The suspension that holds today; its end, or its own annulment, lets the measure go on."""
        holding: Act | None = None
        for act in self._of("suspension"):
            if act.ends_on is None or self.today <= act.ends_on:
                holding = act
            if act.ends_on is not None:
                self.days.append(act.ends_on + timedelta(days=1))
        return holding

    def _procedure(self, heard: _Hearing) -> list[Milestone]:
        steps = [Milestone("drafted", self.evidence[0].record_id, self.evidence[0].decided_on)]
        for act, word in ((heard.notice, "noticed"), (heard.objection, "objected"), (heard.review, "reviewed")):
            if act is not None:
                steps.append(Milestone(word, act.record_id, act.day))
        return steps

    def _terms(self, heard: _Hearing, decision: Act | None) -> dict[str, object]:
        return {
            "notice": heard.notice,
            "objection": heard.objection,
            "review": heard.review,
            "decision": decision,
            "objection_until": heard.until,
            "provisional": heard.provisional,
            "in_force_from": None if decision is None else _start(decision),
            "ends_on": None if decision is None else decision.ends_on,
        }

    def _drafted_on(self) -> date:
        """The day of the earliest piece of evidence that stands; of all, where none does.

        A decision on what was taken back is not revived by a newer piece: nobody has decided on that.
        """
        return min(e.decided_on or e.changed_on for e in self._foundations())

    def _lapses(self, heard: _Hearing) -> date:
        """The day on which the draft lapses, unless somebody acts before; a new notice opens it again."""
        days = [e.decided_on or e.changed_on for e in self.evidence]
        days += [_day(act) for act in (heard.notice, heard.objection, heard.review) if act is not None]
        return add_months(max(days), self.rule.lapse_months)


class _Incentive(_Judgement):
    """An incentive starts with its evidence and ends with it, at its own end, or when it is withdrawn."""

    def judge(self) -> Case:
        for act in self.acts:
            if act.kind != "withdrawal":
                self._refuse(act, "incentive_needs_none")
        if not self.evidence:
            for act in self._of("withdrawal"):
                self.fates[act.record_id] = Fate("waiting", "case_unknown")
            return self._case("awaited", ())
        standing = self._foundations()
        first = min(standing, key=lambda e: (e.decided_on or e.changed_on, e.record_id))
        start = first.decided_on or first.changed_on
        ends_on = min(max(e.valid_to or date.max for e in standing), add_months(start, self.rule.max_months))
        ended = self._foundations_end()
        if ends_on < self.today:
            ended = _first_end(ended, _End("expired", max(ends_on + timedelta(days=1), start), first.record_id))
        self.days += [start, ends_on + timedelta(days=1)]
        steps = [Milestone("drafted", first.record_id, start)]
        state = "decided"
        if start <= self.today and (ended is None or ended.day > start):
            state = "in_force"
            steps.append(Milestone("entered", first.record_id, start))
        return self._case(state, steps, ended, in_force_from=start, ends_on=ends_on)


def _act_fault(act: Act, rule: Rule, evidence: Sequence[Evidence]) -> str:
    """Why nobody may act so, whatever else is known; empty when somebody may."""
    if act.kind != "objection" and not _authorised(act, rule, evidence):  # whoever heard the subject may say so
        return "not_authorised"
    if act.day is None or (not act.number and act.kind != "objection"):
        return "document_missing"
    return ""


def _authorised(act: Act, rule: Rule, evidence: Sequence[Evidence]) -> bool:
    if act.rank < 2:
        return False
    if rule.deciders:
        return act.department in rule.deciders
    return not evidence or any(
        act.department == e.department or act.authority_code == e.authority_code for e in evidence
    )


def _stands(piece: Evidence, name: tuple[str, str], rule: Rule) -> bool:
    """Whether the case may rest on it; a repair does not end what the law lets no repair end."""
    if rule.name not in piece.rules or piece.document != name[1]:
        return False
    return piece.status == VALID or (piece.status == "repaired" and not rule.repair_ends)


def _evidence_end(evidence: Sequence[Evidence], name: tuple[str, str], rule: Rule) -> _End | None:
    """The end of what the case rests on: of the last piece that stood; None while one stands."""
    ends: list[_End] = []
    for piece in evidence:
        if _stands(piece, name, rule):
            return None
        left = next((day for each, document, day in piece.once if (each, document) == name), None)
        if left is not None:
            ends.append(_End("corrected", left, piece.record_id))
        else:
            ends.append(_End(piece.status, piece.changed_on, piece.record_id))
    return max(ends, key=lambda end: (end.day, end.act_id))


def _first_end(one: _End | None, other: _End) -> _End:
    """The earlier of two."""
    ends = (other,) if one is None else (one, other)
    return min(ends, key=lambda end: (end.day, _ORDER_OF_ENDS.index(end.reason), end.act_id))


def _all_refused(blank: Case, acts: Sequence[Act], reason: str) -> Case:
    fates = {act.record_id: Fate("refused", reason) for act in acts}
    steps = tuple(Milestone("refused", act.record_id, None, reason) for act in acts)
    return Case(blank.case_id, blank.rule_name, blank.document, "awaited", milestones=steps, fates=fates)


def _in_order(act: Act) -> tuple[date, str]:
    return (act.day or date.max, act.record_id)


def _day(act: Act) -> date:
    assert act.day is not None, "acts without a day were refused before"
    return act.day


def _start(decision: Act) -> date:
    """First day in force: as the decision says, and not before it."""
    return max(decision.starts_on or _day(decision), _day(decision))
