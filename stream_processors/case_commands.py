"""`xinliu cases`: which cases there are, and where one of them stands. Each command calls one function and shows it."""

from __future__ import annotations

import json
import os
import time
from typing import Annotated, Any

from cyclopts import App, Parameter

from schemas.errors import EXIT_SOME_NOT_GOOD, InputError
from schemas.settings import Settings

# The modules behind the commands are imported by the commands, so that --help answers at once.

app = App(
    name="cases",
    help="Cases about measures: what a record triggered, and where it stands. Begin with: xinliu cases list.",
)

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON value instead of a table.")]


@app.command(name="list")
def list_cases(
    *,
    state: Annotated[str | None, Parameter(help="Only cases in this state, e.g. drafted, in_force.")] = None,
    rule: Annotated[str | None, Parameter(help="Only cases of this rule, e.g. CN-36/M02.")] = None,
    department: Annotated[str | None, Parameter(help="Only cases that this department may decide.")] = None,
    limit: Annotated[int, Parameter(help="Cases to show, at most; the newest first.")] = 100,
    as_json: AsJson = False,
) -> int:
    """List cases as they stand, the newest first. Next: cases show CASE; then notice, decide."""
    from rich.table import Table

    from schemas.reference import load
    from stream_processors import case_words
    from stream_processors.case_list import Wanted, cases
    from stream_processors.clickhouse import connect
    from stream_processors.console import console
    from stream_processors.rules.packs import load_packs

    settings = Settings.from_env(os.environ)
    reference = load(settings.reference_dir)
    wanted = Wanted(state, rule, department, limit).checked(reference, load_packs(settings.rules_dir).rules)
    store = connect(settings)
    try:
        found, count = cases(store, wanted, reference, load_packs(settings.rules_dir).rules)
    finally:
        store.close()
    if as_json:
        print(json.dumps({"cases": found, "count": count}, ensure_ascii=False, indent=1, default=str))
        return 0
    if not found:
        print("there is no case" + (" that was asked for" if wanted != Wanted(limit=limit) else " yet"))
        return 0
    table = Table("case", "state", "rule", "subject", "rests on", "objections until", "in force", "reason")
    for row in found:
        span = f"{row['in_force_from']} – {row['ends_on']}" if row["in_force_from"] else ""
        table.add_row(
            row["case_id"][:12],
            case_words.state(row["state"]),
            row["rule"],
            row["subject_id"],
            row["evidence_document"],
            str(row["objection_until"] or ""),
            span,
            case_words.end(row["reason"]) if row["state"] == "ended" else "",
        )
    console().print(table)
    if count > len(found):
        print(f"and {count - len(found):,} more; --limit shows them, --state, --rule and --department narrow it down")
    return 0


@app.command
def show(
    case: Annotated[str, Parameter(help="Id of the case, or its beginning.")], /, *, as_json: AsJson = False
) -> int:
    """Show one case: what it rests on, every act and what became of it, the windows, and what would come next when."""
    from stream_processors import case_words
    from stream_processors.case_reader import find_case, law_of
    from stream_processors.console import console

    settings = Settings.from_env(os.environ)
    law = law_of(settings, time.time)
    known, name = find_case(settings, case)
    shown = case_words.as_json(known, known.judged(name, law), law)
    if as_json:
        print(json.dumps(shown, ensure_ascii=False, indent=1))
    else:
        _print(shown, console())
    return 0


def _print(shown: dict[str, Any], console: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    from stream_processors import case_words

    console.print(Text(f"{shown['case_id']} · {case_words.state(shown['state'])}", style="bold"))
    lines = [
        ("主体 Subject", shown["subject_id"] or shown["subject_key"]),
        ("规则 Rule", " · ".join(p for p in (shown["rule"], shown["activity"]) if p)),
        ("", shown["sentence_zh"]),
        ("", shown["sentence_en"]),
        ("依据 Basis", "；".join(shown["legal_bases"])),
        ("证据 Rests on", shown["document"]),
        ("异议截止 Objections until", _window(shown)),
        ("生效 In force", f"{shown['in_force_from']} – {shown['ends_on']}" if shown["in_force_from"] else ""),
        ("终止 Ended", _ended(shown)),
        ("修复 Repair", shown["repair_path"]),
        ("下一步 Next", shown["next"]),
    ]
    table = Table(show_header=False, box=None, padding=(0, 1, 0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in lines:
        if value:
            table.add_row(label, Text(value))
    for piece in shown["evidence"]:
        words = (piece["record_id"], piece["status"], piece["decided_on"] or "", piece["authority_name"])
        table.add_row("记录 Record", Text(" · ".join(word for word in words if word)))
    console.print(table)
    acts = Table("act", "document", "day", "department", "what became of it", "record")
    for act in shown["acts"]:
        kind = case_words.ACTS.get(act["kind"], act["kind"])
        acts.add_row(kind, act["document"], act["on"] or "", act["department"], act["words"], act["record_id"][:12])
    if shown["acts"]:
        console.print(acts)


def _window(shown: dict[str, Any]) -> str:
    doubt = " （暂定 provisional）" if shown["provisional"] else ""
    return f"{shown['objection_until']}{doubt}" if shown["objection_until"] else ""


def _ended(shown: dict[str, Any]) -> str:
    from stream_processors import case_words

    if shown["state"] != "ended":
        return ""
    return " · ".join(part for part in (case_words.end(shown["reason"]), shown["ended_on"]) if part)


def in_force(
    subject: Annotated[str, Parameter(help="Code of the organisation, or SCHEME:NUMBER.")],
    /,
    *,
    at: Annotated[str | None, Parameter(help="The day, as 2026-05-01; today by default.")] = None,
    activity: Annotated[str | None, Parameter(help="Only measures in this regulated activity.")] = None,
    as_json: AsJson = False,
) -> int:
    """Show what binds an organisation, as an enforcement service sees it: by whom, on what ground, until when.

    Exit code 0: something binds; 1: nothing does; 75: the data are stale, and nothing may be enforced by them.
    """
    from stream_processors import in_force_page

    return in_force_page.show(Settings.from_env(os.environ), subject, at, activity, as_json=as_json)


def lifted(
    what: Annotated[str, Parameter(help="Id of a case or its beginning, or a measure (M02) or rule (CN-36/M02).")],
    /,
    *,
    as_json: AsJson = False,
) -> int:
    """Show which enforcement services have acknowledged the end of a measure, and which have not.

    Exit code 0: all have; 1: somebody has not.
    """
    from stream_processors import lifted as module

    if not what.strip():
        raise InputError("asking who has stopped: name a case, a measure or a rule")
    return EXIT_SOME_NOT_GOOD if module.show(Settings.from_env(os.environ), what.strip(), as_json=as_json) else 0
