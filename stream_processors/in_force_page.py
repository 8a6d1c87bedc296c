"""What binds an organisation, as a page; asked by the very client that enforcement services use."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from datetime import date

from rich.table import Table
from rich.text import Text

from schemas.errors import EXIT_RETRY, EXIT_SOME_NOT_GOOD, InputError
from schemas.settings import Settings
from stream_processors.console import console
from stream_processors.enforcement import Enforcement
from stream_processors.in_force import Answer, Binding


def show(settings: Settings, subject: str, at: str | None, activity: str | None, *, as_json: bool) -> int:
    """Print what binds; returns 0 where something does, 1 where nothing does, 75 where that is not known.

    Raises InputError for a subject or a day that can not be read, Retryable while the broker does not answer.
    """
    day = None
    if at is not None:
        try:
            day = date.fromisoformat(at)
        except ValueError:
            raise InputError("reading --at: write a day as 2026-05-01") from None
    # Its attempts are of no interest here: where none succeeds, the error says why.
    logging.getLogger("xinliu.enforcement").addHandler(logging.NullHandler())
    with Enforcement(settings, subject=subject) as enforcement:
        answer = enforcement.in_force(subject, day, activity)
    if as_json:
        value = {
            "day": answer.day,
            "stale": answer.stale,
            "why": answer.why,
            "in_force": [asdict(binding) for binding in answer],
        }
        print(json.dumps(value, ensure_ascii=False, indent=1, default=str))
    else:
        _print(answer)
    if answer.stale:
        return EXIT_RETRY
    return 0 if answer else EXIT_SOME_NOT_GOOD


def _print(answer: Answer) -> None:
    if answer.stale:
        print(answer.why)
        return
    if not answer:
        print(f"{answer.day}: 没有生效的措施 / nothing binds")
        return
    for binding in answer:
        table = Table(show_header=False, box=None, padding=(0, 1, 0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for label, value in _lines(binding):
            if value:
                table.add_row(label, Text(value))
        console().print(Text(f"{binding.measure} · {binding.activity}", style="bold"))
        console().print(table)


def _lines(binding: Binding) -> list[tuple[str, str]]:
    return [
        ("机关 Authority", " · ".join(part for part in (binding.authority_name, binding.authority_code) if part)),
        ("决定 Decision", " · ".join(part for part in (binding.decision, str(binding.decided_on or "")) if part)),
        ("依据 Basis", "；".join(binding.legal_bases)),
        ("期限 In force", f"{binding.in_force_from} – {binding.ends_on}"),
        ("证据 Rests on", " · ".join((binding.evidence_document, *binding.evidence_ids))),
        ("修复 Repair", binding.repair_path),
        ("案件 Case", binding.case_id),
    ]
