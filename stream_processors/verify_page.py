"""Shows what `verify` found: checks, differences, outcomes and digests, to a person or as one JSON value."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table

from schemas.errors import EXIT_RETRY, EXIT_SOME_NOT_GOOD, InputError
from schemas.reasons import OUTCOMES
from schemas.reference import load
from schemas.settings import Settings
from schemas.topics import events_topic
from stream_processors.console import console
from stream_processors.verified import Verified, remember
from stream_processors.verify import Report, verify

_COUNTED = ("events", *OUTCOMES)


def show(settings: Settings, department: str | None, wait_seconds: float, *, as_json: bool) -> int:
    """Verify and print; returns the exit code: 0 proven, 1 something differs, 75 a lane has not come to all of it."""
    reference = load(settings.reference_dir)
    if department is not None and department not in reference.departments:
        raise InputError(
            f"verifying one department: it is not registered; these are: {', '.join(reference.departments)}"
        )
    waiting = Console(stderr=True).status("reading") if Console(stderr=True).is_terminal else nullcontext()
    with waiting as shown:
        report = verify(
            settings,
            reference,
            department=department,
            wait_seconds=wait_seconds,
            now_ms=int(time.time() * 1000),
            say=shown.update if isinstance(shown, Status) else lambda _: None,
        )
    if department is None:
        remember(settings.home, Verified(time.time(), report.ok))
    if as_json:
        print(json.dumps(report_json(report), ensure_ascii=False, indent=1))
    else:
        render(report, console(), by_partition=department is not None)
    if not report.ok:
        return EXIT_SOME_NOT_GOOD
    return EXIT_RETRY if report.unjudged else 0


def report_json(report: Report) -> dict[str, Any]:
    """The report as plain values."""
    return {
        "ok": report.ok,
        "checks": [asdict(check) | {"ok": check.ok} for check in report.checks],
        "unjudged": report.unjudged,
        "events": report.counts,
        "digests": [asdict(digest) for digest in report.digests],
        "current": asdict(report.current) if report.current else None,
    }


def render(report: Report, page: Console, *, by_partition: bool = False) -> None:
    """Print the report; with a row for each partition, or for each department."""
    page.print(_outcomes(report.counts, by_partition))
    page.print(_checks(report))
    for check in report.checks:
        if check.ok:
            continue
        page.print(f"\n{check.name}: {check.differences:,} differ", style="bold", highlight=False)
        for example in check.examples:
            page.print(f"  {example}", highlight=False, soft_wrap=True, markup=False)
        if check.differences > len(check.examples):
            page.print(f"  and {check.differences - len(check.examples):,} more", highlight=False)
    for sentence in report.unjudged:
        page.print(f"not judged: {sentence}", highlight=False, soft_wrap=True)
    if report.current is not None:
        page.print(
            f"\ncurrent records: {report.current.rows:,}, digest {report.current.digest}",
            highlight=False,
            soft_wrap=True,
        )
    page.print(_conclusion(report), style="bold", highlight=False)


def _conclusion(report: Report) -> str:
    if not report.ok:
        return "FAILED: something was lost, doubled or changed; the list above says what and where"
    if report.unjudged:
        return "ok as far as the lanes have come; run it again when they have caught up"
    return "ok: nothing is lost and nothing doubled"


def _checks(report: Report) -> Table:
    table = Table("check", "", title="from outside", title_justify="left")
    table.add_column("compared", justify="right")
    table.add_column("differ", justify="right")
    for check in report.checks:
        table.add_row(check.name, "ok" if check.ok else "FAILED", f"{check.compared:,}", f"{check.differences:,}")
    return table


def _outcomes(counts: Sequence[Mapping[str, Any]], by_partition: bool) -> Table:
    """Events in and outcomes out; in each row the outcomes add up to the events."""
    table = Table(
        "topic and offsets" if by_partition else "topic", title="events in, outcomes out", title_justify="left"
    )
    for name in _COUNTED:
        table.add_column(name, justify="right")
    for name, rows in groupby(counts, lambda row: _where(row, by_partition)):
        table.add_row(name, *_sums(list(rows)))
    table.add_section()
    table.add_row("sum", *_sums(counts))
    return table


def _where(row: Mapping[str, Any], by_partition: bool) -> str:
    topic = events_topic(row["department"])
    return f"{topic}[{row['partition']}] {row['first_offset']}-{row['last_offset']}" if by_partition else topic


def _sums(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"{sum(row[name] for row in rows):,}" for name in _COUNTED]
