"""Any life of a few subjects, as Hypothesis thinks it up: what the cases say is held against the words of the law.

The conditions are written a second time here, by brute force over what was reported, and know nothing of how `judge`
goes about it. After every step each measure that binds must meet all of them, what was told must be what is so, and at
the end a replay must tell the same history and another order of arrival must end in the same state.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from schemas.calendar import load_calendar
from stream_processors.cases import judge as judging
from stream_processors.cases.book import Book, News, Now
from stream_processors.cases.facts import Act, Evidence, Facts, Registration
from stream_processors.cases.inputs import Input
from stream_processors.rules.rule import Rule

CALENDAR = load_calendar()
FIRST_DAY = date(2026, 6, 1)
AT = datetime(2026, 6, 1)
LONG_AGO, FOREVER = date(1949, 10, 1), date(2199, 12, 31)


def a_rule(code: str, kind: Any = "restriction", **given: Any) -> Rule:
    """A rule of a pack that only these tests have."""
    values: dict[str, Any] = {
        "name": f"T/{code}",
        "pack": "T",
        "measure": code,
        "kind": kind,
        "activity": "procurement",
        "categories": ("serious_list",),
        "from_day": LONG_AGO,
        "to_day": None,
        "deciders": (),
        "objection_days": 5,
        "max_months": 12,
        "min_months": 0,
        "repair_ends": True,
        "bases": ("provision",),
        "sentence_zh": "",
        "sentence_en": "",
        "repair_zh": "",
        "repair_en": "",
    }
    return Rule(**values | given)


RULES = {
    each.name: each
    for each in (
        a_rule("M02", deciders=("procurement",)),
        a_rule("M03", objection_days=0, max_months=36, repair_ends=False),
        a_rule("I02", "incentive", max_months=24),
    )
}
SUBJECTS = {  # what its records call it: a legal person always, one that may turn out to be another body, a public body
    "org:A": ("CN-USCC:91A",),
    "org:B": ("CN-USCC:91B", "CN-ORG:B", "CN-USCC:92B"),
    "org:C": ("CN-USCC:12C",),
    "org:D": ("CN-USCC:92D",),
}
DOCUMENTS = ("N1", "N2")
DEPARTMENTS = ("procurement", "market")
FLAWS = (
    "none", "none", "none", "basis", "end", "long", "channel", "notice", "window", "department", "rank", "number",
    "objected", "answered", "early", "suspended", "annulled", "withdrawn",
)  # fmt: skip

subjects = st.sampled_from(["org:A", "org:A", "org:A", "org:B", "org:C", "org:D"])
documents = st.sampled_from(DOCUMENTS)
rule_names = st.sampled_from(sorted(RULES))
days_off = st.integers(-40, 3)
picks = st.integers(0, 1000)


class Life(RuleBasedStateMachine):
    """What is reported, in its newest revision, beside the book that has to know what follows."""

    def __init__(self) -> None:
        super().__init__()
        self.book = Book(RULES, CALENDAR)
        self.book.open([0])
        self.today = FIRST_DAY
        self.newest: dict[tuple[str, str], Evidence | Act | Registration] = {}  # by subject and record
        self.spoken_of: set[tuple[str, str]] = set()  # records that a rule or an act is about; the lane reads no others
        self.reported: list[Input] = []
        self.steps: list[tuple[str, Any]] = []  # of which the history has to follow
        self.history: list[dict[str, object]] = []
        self.listed: dict[str, dict[str, object]] = {}
        self.stored: dict[str, tuple[date, str]] = {}  # the last message of each subject, as a compacted topic keeps it
        self.ids = dict(SUBJECTS)  # what its records call each subject
        self.count = 0

    # -- the book, as the lane drives it -------------------------------------------------------------------------

    def learn(self, subject: str, fact: Evidence | Act | Registration) -> None:
        found = Input(0, subject, fact)
        self.reported.append(found)
        self.steps.append(("learn", found))
        news = News()
        self.book.learn(found, self.now(), news)
        self.commit(news)

    def commit(self, news: News) -> None:
        for _, row in self.book.states(news):
            self.stored[str(row["subject_key"])] = (row["as_of"], row["facts"])  # pyrefly: ignore[unsupported-operation]
        self.book.committed()
        self.history += [row for _, row in news.transitions]
        self.listed |= {case_id: row for case_id, (_, row) in news.listed.items()}
        self.check()

    def now(self) -> Now:
        return Now(self.today, AT)

    def report(self, subject: str, fact: Evidence | Act | Registration) -> None:
        """The next revision of a record; a closing one is a stub, whose facts are those of the one before."""
        known = self.newest.get((subject, fact.record_id))
        fact = replace(fact, revision=1 if known is None else known.revision + 1)
        self.newest[subject, fact.record_id] = fact
        if isinstance(fact, Act) or (isinstance(fact, Evidence) and fact.rules):
            self.spoken_of.add((subject, fact.record_id))
        self.learn(subject, fact)

    def close(self, subject: str, record_id: str, status: str, day: date) -> None:
        known = self.newest[subject, record_id]
        assert isinstance(known, (Evidence, Act))
        self.count += 1
        closed = replace(known, revision=known.revision + 1, status=status, changed_on=day, event_id=f"v{self.count}")
        self.newest[subject, record_id] = closed
        stub: Evidence | Act
        if isinstance(closed, Evidence):
            stub = replace(closed, document="", rules=(), subject_id="", decided_on=None, valid_to=None, once=())
        else:
            stub = replace(closed, case=("", ""), number="", day=None, bases=(), channel="", subject_id="")
        self.learn(subject, stub)

    # -- what may happen -----------------------------------------------------------------------------------------

    @initialize(name=rule_names)
    def something_is_known(self, name: str) -> None:
        self.evidence("org:A", 0, "N1", [name], -60, 3, 0, 3)

    @rule(
        subject=subjects,
        number=st.integers(0, 2),
        document=documents,
        names=st.lists(rule_names, max_size=2, unique=True),
        off=days_off,
        rank=st.sampled_from([3, 3, 2, 1]),
        alias=st.integers(0, 2),
        months=st.integers(1, 30),
    )
    def evidence(
        self, subject: str, number: int, document: str, names: list[str], off: int, rank: int, alias: int, months: int
    ) -> None:
        """A report, or a correction of one: other rules, another document, another day."""
        self.count += 1
        ids = self.ids[subject]
        day = self.today + timedelta(days=off)
        piece = Evidence(
            f"e{number}",
            0,
            rank,
            "valid",
            document,
            tuple(sorted(names)) if rank >= 2 else (),
            "110000",
            "",
            "market",
            day,
            day + timedelta(days=30 * months) if months % 2 else None,
            self.today,
            f"v{self.count}",
            ids[alias % len(ids)],
        )
        self.report(subject, piece)

    @rule(
        subject=subjects,
        number=st.integers(0, 2),
        status=st.sampled_from(["annulled", "withdrawn", "repaired", "expired"]),
        off=st.integers(-30, 0),
    )
    def evidence_is_closed(self, subject: str, number: int, status: str, off: int) -> None:
        known = self.newest.get((subject, f"e{number}"))
        if isinstance(known, Evidence) and known.status == "valid":
            self.close(subject, known.record_id, status, self.today + timedelta(days=off))

    def cases(self) -> list[tuple[str, tuple[str, str]]]:
        """Subjects and the restrictions that evidence of theirs speaks of."""
        return sorted(
            (subject, (name, fact.document))
            for (subject, _), fact in self.newest.items()
            if isinstance(fact, Evidence)
            for name in fact.rules
            if name != "T/I02"
        )

    @rule(pick=picks, flaw=st.sampled_from(FLAWS), months=st.integers(1, 12))
    def procedure(self, pick: int, flaw: str, months: int) -> None:
        """A whole procedure, with one flaw or none, on evidence that there is; or on none."""
        cases = self.cases() or [("org:A", ("T/M02", "N2"))]
        self.proceed(*cases[pick % len(cases)], flaw, months)

    @rule(flaw=st.sampled_from(FLAWS), name=st.sampled_from(["T/M02", "T/M03"]), months=st.integers(1, 12))
    def procedure_from_the_start(self, flaw: str, name: str, months: int) -> None:
        """The same on a body that was not heard of before."""
        self.count += 1
        subject = f"org:{self.count}"
        self.ids[subject] = (f"CN-USCC:91{self.count}",)
        self.evidence(subject, 0, "N1", [name], 0 if flaw == "early" else -30, 3, 0, 2)
        self.proceed(subject, (name, "N1"), flaw, months)

    def proceed(self, subject: str, case: tuple[str, str], flaw: str, months: int) -> None:
        day = self.today - timedelta(days=1)
        notice_day = day - timedelta(days=4 if flaw == "window" else 25)
        if flaw != "notice":
            self.act(subject, "notice", case, notice_day, channel="" if flaw == "channel" else "post")
        if flaw in ("objected", "answered"):
            self.act(subject, "objection", case, notice_day + timedelta(days=1 if case[0] == "T/M02" else 0))
        if flaw == "answered":
            self.act(subject, "review", case, notice_day + timedelta(days=4), channel="rejected")
        decision = self.act(
            subject,
            "decision",
            case,
            day,
            number="" if flaw == "number" else f"J{self.count}",
            ends_on=None if flaw == "end" else day + timedelta(days=1200 if flaw == "long" else 30 * months),
            bases=() if flaw == "basis" else ("provision",),
            department="customs" if flaw == "department" else "",
            rank=1 if flaw == "rank" else 3,
        )
        if flaw == "suspended":
            self.act(subject, "suspension", case, day, ends_on=self.today + timedelta(days=31 * months))
        if flaw == "withdrawn":
            self.act(subject, "withdrawal", case, self.today)
        if flaw == "annulled":
            self.close(subject, decision, "annulled", day)

    @rule(
        subject=subjects,
        kind=st.sampled_from(["notice", "objection", "review", "decision", "suspension", "withdrawal"]),
        name=rule_names,
        document=documents,
        off=days_off,
        channel=st.sampled_from(["accepted", "rejected", ""]),
        length=st.sampled_from([None, 5, 200, 365, 1000]),
        starts=st.sampled_from([None, -10, 20]),
    )
    def any_act(
        self, subject: str, kind: str, name: str, document: str, off: int, channel: str, length: Any, starts: Any
    ) -> None:
        day = self.today + timedelta(days=off)
        self.act(
            subject,
            kind,
            (name, document),
            day,
            channel=channel,
            ends_on=None if length is None else day + timedelta(days=length),
            starts_on=None if starts is None else day + timedelta(days=starts),
        )

    def act(self, subject: str, kind: str, case: tuple[str, str], day: date, **given: Any) -> str:
        self.count += 1
        record_id = f"{kind}-{case[0]}-{case[1]}-{self.count % 4}"  # a few, so that some are corrections
        department = given.pop("department", "") or ("procurement" if case[0] == "T/M02" else "market")
        values: dict[str, Any] = {
            "rank": 3,
            "number": f"A{self.count}",
            "starts_on": None,
            "ends_on": None,
            "bases": ("provision",),
            "channel": "post",
        }
        values |= given
        act = Act(
            record_id,
            0,
            values.pop("rank"),
            "valid",
            kind,
            case,
            values.pop("number"),
            day,
            **values,
            authority_code="110000" if department == "market" else "220000",
            authority_name="",
            department=department,
            changed_on=self.today,
            event_id=f"v{self.count}",
            subject_id=self.ids[subject][0],
        )
        self.report(subject, act)
        return record_id

    @rule(pick=picks, status=st.sampled_from(["annulled", "withdrawn", "expired"]), off=st.integers(-9, 0))
    def act_is_closed(self, pick: int, status: str, off: int) -> None:
        acts = sorted(place for place, f in self.newest.items() if isinstance(f, Act) and f.status == "valid")
        if acts:
            subject, record_id = acts[pick % len(acts)]
            self.close(subject, record_id, status, self.today + timedelta(days=off))

    @rule(subject=subjects, gone=st.sampled_from([True, True, False]), off=st.integers(-30, 0))
    def registration(self, subject: str, gone: bool, off: int) -> None:
        day = self.today + timedelta(days=off)
        self.report(subject, Registration("reg", 0, gone, day, self.ids[subject][0]))

    @rule(days=st.sampled_from([1, 3, 10, 31, 120, 366, 1200]))
    def time_passes(self, days: int) -> None:
        self.today += timedelta(days=days)
        self.look_at_the_clock()

    def look_at_the_clock(self) -> None:
        self.steps.append(("clock", self.today))
        news = News()
        self.book.pass_time(self.now(), news, 1_000)
        self.commit(news)

    @rule()
    def restart(self) -> None:
        """The process dies; what it had told is what its topics hold."""
        self.book = Book(RULES, CALENDAR)
        self.book.open([0])
        for subject, (as_of, text) in self.stored.items():
            self.book.restore(0, subject, as_of, text)
        before = len(self.history)
        self.look_at_the_clock()
        assert len(self.history) == before, "a restart made news"

    @rule(pick=picks)
    def delivered_again(self, pick: int) -> None:
        """An old message once more."""
        if self.reported:
            before = len(self.history)
            news = News()
            self.book.learn(self.reported[pick % len(self.reported)], self.now(), news)
            self.commit(news)
            assert len(self.history) == before, "a message that was known made news"

    @rule(subject=subjects, off=days_off)
    def batch_is_aborted(self, subject: str, off: int) -> None:
        """What a batch changed that never was committed."""
        day = self.today + timedelta(days=off)
        news = News()
        piece = Evidence(
            "e9", 1, 3, "valid", "N1", ("T/M02", "T/I02"), "110000", "", "market", day, None, day, "x",
            self.ids[subject][0],
        )  # fmt: skip
        self.book.learn(Input(0, subject, piece), self.now(), news)
        self.book.pass_time(self.now(), news, 1_000)
        self.book.aborted()
        self.check()

    # -- what must hold ------------------------------------------------------------------------------------------

    def check(self) -> None:
        self.told_is_what_is_so()
        last: dict[str, dict[str, object]] = {}
        for row in self.history:
            number = int(str(last[str(row["case_id"])]["revision"])) if str(row["case_id"]) in last else 0
            assert row["revision"] == number + 1, "the transitions of a case are counted without a gap"
            last[str(row["case_id"])] = row
        for case_id, row in last.items():
            if row["state"] in ("in_force", "suspended"):
                assert case_id in self.listed, "what binds is listed"
            if case_id in self.listed:
                assert self.listed[case_id]["state"] == row["state"], "what is listed is what was told"
        for row in (*last.values(), *self.listed.values()):
            if row["state"] == "in_force":
                assert isinstance(row["in_force_from"], date)
                assert isinstance(row["ends_on"], date)
                if row["in_force_from"] <= self.today <= row["ends_on"]:
                    self.binds_rightly(row)

    def told_is_what_is_so(self) -> None:
        """No deadline was missed: each case judged anew is in the state and has the dates that were told last."""
        last = {row["case_id"]: row for row in self.history}
        for subject in self.ids:
            held = self.book.held((0, subject))
            for name in [] if held is None else held.facts.names():
                case = judging.judge(held.facts, name, RULES, self.today, CALENDAR)
                told = last.get(case.case_id)
                if told is None:
                    assert case.state == "awaited", "a case was told of"
                else:
                    assert told["state"] == case.state, "what was told is what is so"
                    if told["transition"] in ("ended", "changed"):
                        assert told["reason"] == case.reason, "the end that was told is the end"
                    told_dates = (told["in_force_from"], told["ends_on"])
                    assert told_dates == (case.in_force_from, case.ends_on), "the dates that were told are the dates"

    def binds_rightly(self, row: dict[str, object]) -> None:
        """Every condition of the law, by brute force over what was reported."""
        subject, name = str(row["subject_key"]), (str(row["rule"]), str(row["evidence_document"]))
        of_rule = RULES[name[0]]
        facts = [fact for (key, _), fact in self.newest.items() if key == subject]
        assert not any(isinstance(f, Registration) and f.gone for f in facts), "a measure outlives its subject"
        ids = {
            f.subject_id
            for f in facts
            if isinstance(f, (Act, Evidence)) and f.status == "valid" and (subject, f.record_id) in self.spoken_of
        }
        assert not any(each.startswith(("CN-USCC:92", "CN-USCC:12")) for each in ids), "a measure on another body"
        closed_ids = {f.subject_id for f in facts}
        assert any(each.startswith("CN-USCC:91") for each in closed_ids), "a measure on a body of no known kind"
        evidence = [
            f
            for f in facts
            if isinstance(f, Evidence)
            and (f.status == "valid" or (f.status == "repaired" and not of_rule.repair_ends))
            and f.rank >= 2
            and name[0] in f.rules
            and f.document == name[1]
        ]
        assert evidence, "a measure outlives its evidence"
        start, end = row["in_force_from"], row["ends_on"]
        assert isinstance(start, date)
        assert isinstance(end, date)
        assert end <= years_later(start, of_rule.max_months // 12), "a measure is longer than the law allows"
        acts = [f for f in facts if isinstance(f, Act) and f.case == name and f.day is not None and f.day <= self.today]
        undone = ("annulled", "withdrawn")
        for act in acts:
            if act.kind == "withdrawal" and act.status not in undone and rightful(act, of_rule) and act.number:
                raise AssertionError("a measure outlives its withdrawal")
        if of_rule.kind == "restriction":
            self.decided_rightly(row, acts, of_rule, evidence)

    def decided_rightly(self, row: dict[str, object], acts: list[Act], of_rule: Rule, evidence: list[Evidence]) -> None:
        undone = ("annulled", "withdrawn")
        (decision,) = [a for a in acts if a.kind == "decision" and a.number == row["decision_document"]][-1:] or [None]
        assert decision is not None, "a measure without a decision"
        assert decision.status == "valid", "a measure outlives its decision"
        assert decision.bases, "a measure without a basis"
        assert rightful(decision, of_rule), "decided by somebody who may not"
        assert decision.number, "a decision without a document"
        assert decision.day is not None
        assert decision.ends_on == row["ends_on"]
        assert min(e.decided_on or LONG_AGO for e in evidence) <= decision.day, "decided before there was evidence"
        notices = [
            a for a in acts
            if a.kind == "notice" and a.status not in undone and a.channel and rightful(a, of_rule) and a.number
            and a.day is not None and a.day < decision.day
        ]  # fmt: skip
        assert notices, "a measure without a notice"
        noticed_on = max(a.day for a in notices if a.day is not None)
        free_days = [
            day
            for day in (noticed_on + timedelta(days=n) for n in range(1, (decision.day - noticed_on).days))
            if CALENDAR.is_working_day(day)
        ]
        assert len(free_days) >= of_rule.objection_days, "decided within the window for objections"
        window = free_days[of_rule.objection_days - 1] if of_rule.objection_days else noticed_on
        objections = [
            a.day for a in acts
            if a.kind == "objection" and a.status not in undone and a.day is not None and a.day <= window
        ]  # fmt: skip
        answers = [
            a
            for a in acts
            if a.kind == "review"
            and a.status not in undone
            and rightful(a, of_rule)
            and a.number
            and a.channel in ("accepted", "rejected")
        ]
        if objections:
            heard = [a for a in answers if a.day is not None and max(objections) <= a.day <= decision.day]
            assert heard, "decided without an answer to an objection"
            assert not any(a.channel == "accepted" for a in heard), "decided though the objection was accepted"
        for act in acts:
            if act.kind == "suspension" and act.status not in undone and rightful(act, of_rule) and act.number:
                over = act.ends_on is not None and act.ends_on < self.today
                assert over, "a measure binds while it is suspended"

    def teardown(self) -> None:
        self.replay_tells_the_same()
        self.any_order_ends_the_same()

    def replay_tells_the_same(self) -> None:
        """The same facts on the same days, by one book that never stops, in one batch a day."""
        book, news, today = Book(RULES, CALENDAR), News(), FIRST_DAY
        book.open([0])
        history: list[dict[str, object]] = []
        for kind, what in self.steps:
            if kind == "learn":
                book.learn(what, Now(today, AT), news)
            else:
                book.committed()
                history += [row for _, row in news.transitions]
                news, today = News(), what
                book.pass_time(Now(today, AT), news, 1_000)
                book.committed()
        history += [row for _, row in news.transitions]
        assert history == self.history, "a replay tells another history"

    def any_order_ends_the_same(self) -> None:
        """Each record's revisions in their order, the records in any: as of today the same cases in the same states."""
        shuffled = list(range(len(self.reported)))
        random.Random(len(self.reported)).shuffle(shuffled)
        by_record: dict[tuple[str, str], list[Input]] = defaultdict(list)
        for found in self.reported:
            by_record[found.subject_key, found.fact.record_id].append(found)
        queues = {place: iter(queue) for place, queue in by_record.items()}
        others: dict[str, Facts] = {subject: Facts(subject) for subject in self.ids}
        for place in [(self.reported[n].subject_key, self.reported[n].fact.record_id) for n in shuffled]:
            others[place[0]] = others[place[0]].learn(next(queues[place]).fact)
        for subject, facts in others.items():
            held = self.book.held((0, subject))
            known = Facts(subject) if held is None else held.facts
            assert facts.names() == known.names(), "another order of arrival knows other cases"
            for name in facts.names():
                one = judging.judge(facts, name, RULES, self.today, CALENDAR)
                two = judging.judge(known, name, RULES, self.today, CALENDAR)
                assert one == two, "another order of arrival ends in another state"


def rightful(act: Act, of_rule: Rule) -> bool:
    """Who may act: the rule's deciders, else who speaks for the evidence, here always `market`."""
    return act.rank >= 2 and act.department in (of_rule.deciders or ("market",))


def years_later(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 2, 28)
