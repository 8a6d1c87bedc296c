"""The acts of an authority without an adapter of its own: `xinliu notice|decide|object|review|suspend|withdraw`.

Each sends one event to the department's topic and says what became of it; the sending is `decide`'s work.
"""

from __future__ import annotations

import json
import os
import time
from datetime import date
from typing import Annotated, Any

from cyclopts import Parameter

from schemas.errors import EXIT_RETRY, EXIT_SOME_NOT_GOOD, InputError
from schemas.reasons import OUTCOME_SENTENCES, REASONS
from schemas.settings import Settings

# The modules behind the commands are imported by the commands, so that --help answers at once.

Case = Annotated[str, Parameter(help="Id of the case, or its beginning; with --subject RULE@DOCUMENT.")]
Subject = Annotated[str | None, Parameter(help="Whose case RULE@DOCUMENT is, where its evidence is not known yet.")]
Department = Annotated[str, Parameter(help="The authority's department; the act goes to its topic.")]
Authority = Annotated[str, Parameter(help="Code or name of the authority; by default the department's own.")]
Document = Annotated[str, Parameter(help="Number of the act's own document.")]
On = Annotated[str | None, Parameter(help="Day of the act, as 2026-05-01; today by default.")]
AnnulledBy = Annotated[
    str, Parameter(help="The act with this --document and --on was annulled, by the document of this number.")
]
AnnulledOn = Annotated[str | None, Parameter(help="Day of the annulment; today by default.")]
Wait = Annotated[float, Parameter(name="--timeout", help="Give up after so many seconds without any answer.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON value instead of sentences.")]


def notice(
    case: Case,
    /,
    *,
    department: Department,
    document: Document,
    channel: Annotated[str, Parameter(help="How it was served, e.g. registered mail.")] = "",
    on: On = None,
    authority: Authority = "",
    subject: Subject = None,
    annulled_by: AnnulledBy = "",
    annulled_on: AnnulledOn = None,
    timeout: Wait = 60.0,
    as_json: AsJson = False,
) -> int:
    """Report that a subject was told of an intended measure: the window for objections begins. Next: decide.

    Exit code 0: accepted; 1: refused or waiting, with the reason; 75: no answer in time.
    """
    if not annulled_by and not channel:
        raise InputError("reporting the notice: say the --channel by which it was served")
    act = _Act("notice", department, document, on, authority, {"state": channel}, annulled_by, annulled_on)
    return _report(case, subject, act, timeout, as_json)


def decide(
    case: Case,
    /,
    *,
    department: Department,
    document: Document,
    basis: Annotated[
        list[str] | None, Parameter(help="Provision that the decision rests on; may be given several times.")
    ] = None,
    ends: Annotated[str | None, Parameter(help="Last day in force, within the legal maximum.")] = None,
    starts: Annotated[str | None, Parameter(help="First day in force; the day of the decision by default.")] = None,
    on: On = None,
    authority: Authority = "",
    subject: Subject = None,
    annulled_by: AnnulledBy = "",
    annulled_on: AnnulledOn = None,
    timeout: Wait = 60.0,
    as_json: AsJson = False,
) -> int:
    """Report an authority's decision, which puts a measure in force if all conditions are met. Next: in-force.

    Exit code 0: accepted; 1: refused or waiting, with the reason; 75: no answer in time.
    """
    if not annulled_by and (not basis or ends is None):
        raise InputError("reporting the decision: say its --basis and when it --ends; nothing binds without them")
    details: dict[str, Any] = {"legal_bases": basis or [], "valid_to": None if ends is None else _day(ends, "--ends")}
    if starts is not None:
        details["valid_from"] = _day(starts, "--starts")
    act = _Act("decision", department, document, on, authority, details, annulled_by, annulled_on)
    return _report(case, subject, act, timeout, as_json)


def object_(
    case: Case,
    /,
    *,
    department: Annotated[str, Parameter(help="The department that received the objection.")],
    document: Annotated[str, Parameter(help="Number under which it was received, if it has one.")] = "",
    on: On = None,
    authority: Authority = "",
    subject: Subject = None,
    annulled_by: AnnulledBy = "",
    annulled_on: AnnulledOn = None,
    timeout: Wait = 60.0,
    as_json: AsJson = False,
) -> int:
    """Report a subject's objection: nobody may decide before it is answered. Next: review.

    Exit code 0: accepted; 1: refused or waiting, with the reason; 75: no answer in time.
    """
    act = _Act("objection", department, document, on, authority, {}, annulled_by, annulled_on)
    return _report(case, subject, act, timeout, as_json)


def review(
    case: Case,
    /,
    *,
    department: Department,
    document: Document,
    accepted: Annotated[bool, Parameter(negative="--rejected", help="Whether the objection was accepted.")],
    on: On = None,
    authority: Authority = "",
    subject: Subject = None,
    annulled_by: AnnulledBy = "",
    annulled_on: AnnulledOn = None,
    timeout: Wait = 60.0,
    as_json: AsJson = False,
) -> int:
    """Report the answer to an objection: --accepted ends the case, --rejected lets it go on. Next: decide.

    Exit code 0: accepted; 1: refused or waiting, with the reason; 75: no answer in time.
    """
    details = {"grade": "accepted" if accepted else "rejected"}
    act = _Act("review", department, document, on, authority, details, annulled_by, annulled_on)
    return _report(case, subject, act, timeout, as_json)


def suspend(
    case: Case,
    /,
    *,
    department: Department,
    document: Document,
    until: Annotated[str | None, Parameter(help="Last day of the suspension; open by default.")] = None,
    on: On = None,
    authority: Authority = "",
    subject: Subject = None,
    annulled_by: AnnulledBy = "",
    annulled_on: AnnulledOn = None,
    timeout: Wait = 60.0,
    as_json: AsJson = False,
) -> int:
    """Report that a measure does not bind for a while, e.g. by order of a court. With --annulled-by it goes on.

    Exit code 0: accepted; 1: refused or waiting, with the reason; 75: no answer in time.
    """
    details = {} if until is None else {"valid_to": _day(until, "--until")}
    act = _Act("suspension", department, document, on, authority, details, annulled_by, annulled_on)
    return _report(case, subject, act, timeout, as_json)


def withdraw(
    case: Case,
    /,
    *,
    department: Department,
    document: Document,
    on: On = None,
    authority: Authority = "",
    subject: Subject = None,
    annulled_by: AnnulledBy = "",
    annulled_on: AnnulledOn = None,
    timeout: Wait = 60.0,
    as_json: AsJson = False,
) -> int:
    """Report that the authority takes its measure back: it ends. Next: lifted.

    Exit code 0: accepted; 1: refused or waiting, with the reason; 75: no answer in time.
    """
    act = _Act("withdrawal", department, document, on, authority, {}, annulled_by, annulled_on)
    return _report(case, subject, act, timeout, as_json)


COMMANDS = {
    "notice": notice,
    "decide": decide,
    "object": object_,
    "review": review,
    "suspend": suspend,
    "withdraw": withdraw,
}


class _Act:
    """The part that is common to all six command lines."""

    def __init__(
        self,
        kind: str,
        department: str,
        document: str,
        on: str | None,
        authority: str,
        details: dict[str, Any],
        annulled_by: str,
        annulled_on: str | None,
    ) -> None:
        self.kind, self.department, self.document, self.authority = kind, department, document, authority
        self.details, self.annulled_by = details, annulled_by
        self.on = None if on is None else _day(on, "--on")
        self.annulled_on = None if annulled_on is None else _day(annulled_on, "--annulled-on")
        if annulled_by and self.on is None:
            raise InputError(f"annulling the {kind}: say its own day with --on, that is how it is found")


def _report(case: str, subject: str | None, act: _Act, wait_seconds: float, as_json: bool) -> int:
    from schemas.asked import subject_key_asked
    from stream_processors import case_words
    from stream_processors.case_reader import find_case, law_of, named_case
    from stream_processors.decide import ActOrder, report_act

    settings = Settings.from_env(os.environ)
    law = law_of(settings, time.time)
    if subject is None:
        known, name = find_case(settings, case)
    else:
        known, name = named_case(settings, case, subject_key_asked(subject, f"reporting the {act.kind}"))
    order = ActOrder(
        act.kind,
        act.department,
        act.document,
        act.on or law.today,
        act.authority,
        act.details,
        act.annulled_by,
        act.annulled_on or law.today,
    )
    done = report_act(settings, law, known, name, order, wait_seconds)
    became = done.known.facts.acts[done.record_id].status if done.known is not None else ""
    undone = bool(act.annulled_by) and became == "annulled"
    words = "annulled: the act counts no more" if undone else "" if done.fate is None else case_words.fate(done.fate)
    if as_json:
        answer: dict[str, Any] = {
            "submission": done.submission,
            "event_id": done.event_id,
            "record_id": done.record_id,
            "outcome": done.outcome,
            "reason": done.reason,
            "fate": None if done.fate is None else {"outcome": done.fate.outcome, "reason": done.fate.reason},
            "annulled": undone,
            "words": words,
            "case": None if done.known is None or done.case is None else case_words.as_json(done.known, done.case, law),
        }
        print(json.dumps(answer, ensure_ascii=False, indent=1))
    else:
        print(f"{act.kind} {act.document} · record {done.record_id} · event {done.event_id}")
        if not done.outcome:
            print("no receipt came in time: it is sent, and nothing is lost; see xinliu status, then ask again")
        elif done.reason:
            print(f"{done.outcome}: {REASONS[done.reason].message(done.detail)}")
        elif done.case is None:
            print(f"{done.outcome}: it {_outcome_sentence(done.outcome)}")
        else:
            rule = law.rules.get(done.case.rule_name)
            print(words)
            print(f"case {done.case.case_id}: {case_words.state(done.case.state)}")
            print(f"next: {case_words.what_next(done.case, rule, law.today)}")
    if not done.outcome or (done.case is None and not done.reason and done.outcome != "conflicting"):
        return EXIT_RETRY
    accepted = done.fate is not None and done.fate.outcome == "accepted"
    return 0 if undone or (accepted and not act.annulled_by) else EXIT_SOME_NOT_GOOD


def _outcome_sentence(outcome: str) -> str:
    return next((sentence for name, sentence in OUTCOME_SENTENCES.items() if name == outcome), "")


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"reading {option}: write a day as 2026-05-01") from None
