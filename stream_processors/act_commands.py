"""The acts of an authority without an adapter of its own: `xinliu notice|decide|object|review|suspend|withdraw`.

Each sends one event to the department's topic and says what became of it; the sending is `decide`'s work.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from cyclopts import Parameter

from schemas.errors import EXIT_RETRY, EXIT_SOME_NOT_GOOD, InputError
from schemas.reasons import OUTCOME_SENTENCES, REASONS
from schemas.settings import Settings

# The modules behind the commands are imported by the commands, so that --help answers at once.

Case = Annotated[str, Parameter(help="Id of the case, or its beginning; with --subject RULE@DOCUMENT.")]
Department = Annotated[str, Parameter(help="The authority's department; the act goes to its topic.")]
Document = Annotated[str, Parameter(help="Number of the act's own document.")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What every act may say beyond its own: its day, its authority, whose case it is, and what undid it."""

    on: Annotated[str | None, Parameter(help="Day of the act, as 2026-05-01; today by default.")] = None
    authority: Annotated[str, Parameter(help="Code or name of the authority; by default the department's own.")] = ""
    subject: Annotated[
        str | None, Parameter(help="Whose case RULE@DOCUMENT is, where its evidence is not known yet.")
    ] = None
    annulled_by: Annotated[
        str, Parameter(help="The act with this --document and --on was annulled, by the document of this number.")
    ] = ""
    annulled_on: Annotated[str | None, Parameter(help="Day of the annulment; today by default.")] = None
    timeout: Annotated[float, Parameter(help="Give up after so many seconds without any answer.")] = 60.0
    as_json: Annotated[
        bool, Parameter(name="--json", negative="", help="Print one JSON value instead of sentences.")
    ] = False


_PLAIN = About()


def notice(
    case: Case,
    /,
    *,
    department: Department,
    document: Document,
    channel: Annotated[str, Parameter(help="How it was served, e.g. registered mail.")] = "",
    about: About = _PLAIN,
) -> int:
    """Report that a subject was told of an intended measure: the window for objections begins. Next: decide.

    Exit code 0: accepted; 1: refused or waiting, with the reason; 75: no answer in time.
    """
    if not about.annulled_by and not channel:
        raise InputError("reporting the notice: say the --channel by which it was served")
    return _report(case, "notice", department, document, {"state": channel}, about)


def decide(
    case: Case,
    /,
    *,
    department: Department,
    document: Document,
    basis: Annotated[
        list[str] | None,
        Parameter(negative="", help="Provision that the decision rests on; may be given several times."),
    ] = None,
    ends: Annotated[str | None, Parameter(help="Last day in force, within the legal maximum.")] = None,
    starts: Annotated[str | None, Parameter(help="First day in force; the day of the decision by default.")] = None,
    about: About = _PLAIN,
) -> int:
    """Report an authority's decision, which puts a measure in force if all conditions are met. Next: in-force.

    Exit code 0: accepted; 1: refused or waiting, with the reason; 75: no answer in time.
    """
    if not about.annulled_by and (not basis or ends is None):
        raise InputError("reporting the decision: say its --basis and when it --ends; nothing binds without them")
    details: dict[str, Any] = {"legal_bases": basis or [], "valid_to": None if ends is None else _day(ends, "--ends")}
    if starts is not None:
        details["valid_from"] = _day(starts, "--starts")
    return _report(case, "decision", department, document, details, about)


def object_(
    case: Case,
    /,
    *,
    department: Annotated[str, Parameter(help="The department that received the objection.")],
    document: Annotated[str, Parameter(help="Number under which it was received, if it has one.")] = "",
    about: About = _PLAIN,
) -> int:
    """Report a subject's objection: nobody may decide before it is answered. Next: review.

    Exit code 0: accepted; 1: refused or waiting, with the reason; 75: no answer in time.
    """
    return _report(case, "objection", department, document, {}, about)


def review(
    case: Case,
    /,
    *,
    department: Department,
    document: Document,
    accepted: Annotated[bool, Parameter(negative="--rejected", help="Whether the objection was accepted.")],
    about: About = _PLAIN,
) -> int:
    """Report the answer to an objection: --accepted ends the case, --rejected lets it go on. Next: decide.

    Exit code 0: accepted; 1: refused or waiting, with the reason; 75: no answer in time.
    """
    details = {"grade": "accepted" if accepted else "rejected"}
    return _report(case, "review", department, document, details, about)


def suspend(
    case: Case,
    /,
    *,
    department: Department,
    document: Document,
    until: Annotated[str | None, Parameter(help="Last day of the suspension; open by default.")] = None,
    about: About = _PLAIN,
) -> int:
    """Report that a measure does not bind for a while, e.g. by order of a court. With --annulled-by it goes on.

    Exit code 0: accepted; 1: refused or waiting, with the reason; 75: no answer in time.
    """
    details = {} if until is None else {"valid_to": _day(until, "--until")}
    return _report(case, "suspension", department, document, details, about)


def withdraw(
    case: Case,
    /,
    *,
    department: Department,
    document: Document,
    about: About = _PLAIN,
) -> int:
    """Report that the authority takes its measure back: it ends. Next: lifted.

    Exit code 0: accepted; 1: refused or waiting, with the reason; 75: no answer in time.
    """
    return _report(case, "withdrawal", department, document, {}, about)


COMMANDS = {
    "notice": notice,
    "decide": decide,
    "object": object_,
    "review": review,
    "suspend": suspend,
    "withdraw": withdraw,
}


def _report(case: str, kind: str, department: str, document: str, details: dict[str, Any], about: About) -> int:
    """The part that is common to all six: send it, and say what became of it."""
    from schemas.asked import subject_key_asked
    from stream_processors import case_words
    from stream_processors.case_reader import find_case, law_of, named_case
    from stream_processors.decide import ActOrder, report_act

    on = None if about.on is None else _day(about.on, "--on")
    annulled_on = None if about.annulled_on is None else _day(about.annulled_on, "--annulled-on")
    if about.annulled_by and on is None:
        raise InputError(f"annulling the {kind}: say its own day with --on, that is how it is found")
    settings = Settings.from_env(os.environ)
    law = law_of(settings, time.time)
    if about.subject is None:
        known, name = find_case(settings, case)
    else:
        known, name = named_case(settings, case, subject_key_asked(about.subject, f"reporting the {kind}"))
    order = ActOrder(
        kind,
        department,
        document,
        on or law.today,
        about.authority,
        details,
        about.annulled_by,
        annulled_on or law.today,
    )
    done = report_act(settings, law, known, name, order, about.timeout)
    became = done.known.facts.acts[done.record_id].status if done.known is not None else ""
    undone = bool(about.annulled_by) and became == "annulled"
    words = "annulled: the act counts no more" if undone else "" if done.fate is None else case_words.fate(done.fate)
    if about.as_json:
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
        print(f"{kind} {document} · record {done.record_id} · event {done.event_id}")
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
    return 0 if undone or (accepted and not about.annulled_by) else EXIT_SOME_NOT_GOOD


def _outcome_sentence(outcome: str) -> str:
    return next((sentence for name, sentence in OUTCOME_SENTENCES.items() if name == outcome), "")


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"reading {option}: write a day as 2026-05-01") from None
