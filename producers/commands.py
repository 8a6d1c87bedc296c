"""The publish command: several files, one submission each, with progress for people and one answer for machines."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import polars as pl
from rich.progress import Progress as Bars

from producers import show
from producers.journal import Entry, Journal, key_of, sha256_of
from producers.mapping import load
from producers.publisher import Interrupted, Order, Progress, publish
from producers.readers import progress_total
from producers.receipts import RECEIVED_SCHEMA, Result, collect, settle, total
from schemas.errors import EXIT_RETRY, InputError
from schemas.settings import Settings


@dataclass(frozen=True, slots=True)
class Wanted:
    """The command line of `publish`."""

    files: list[Path]
    department: str
    mapping: str
    wait: bool
    corrects: bool
    as_of: date | None
    silence_seconds_max: float
    as_json: bool


def publish_files(settings: Settings, wanted: Wanted, now: Callable[[], datetime]) -> int:
    """Send all files, then wait for their receipts; returns the exit code.

    A file that can not be used is said on stderr and the others are sent all the same. When the broker is away the
    run ends, and the same command goes on with the file that was under way.
    """
    mapping = load(wanted.mapping, settings)
    command = _name_of(wanted)
    sent: list[tuple[Entry, pl.DataFrame]] = []
    exit_code = 0
    with show.bars() as bars:
        for number, path in enumerate(wanted.files):
            order = Order(
                path,
                wanted.department,
                mapping,
                wanted.as_of,
                wanted.corrects,
                wanted.silence_seconds_max,
                f"{command}.{number}" if command else "",
            )
            try:
                sent.append(publish(settings, order, now, _on_bar(bars, path)))
            except InputError as error:
                if len(wanted.files) == 1:
                    raise
                print(error, file=sys.stderr)
                exit_code = error.exit_code
        if command:
            Journal(settings.home).end_steps(command)
        results = _results(settings, wanted, bars, sent)
    _say(wanted, results)
    if wanted.wait and any(result.waiting for result in results):
        return EXIT_RETRY
    return exit_code


def _name_of(wanted: Wanted) -> str:
    """A name for a command of several files by their content; empty for one file, which needs none."""
    if len(wanted.files) == 1:
        return ""
    order = [wanted.department, wanted.mapping, str(wanted.as_of), str(wanted.corrects)]
    return key_of(order, " ".join(sha256_of(path) for path in wanted.files))


def _on_bar(bars: Bars, path: Path) -> Progress:
    """One bar for a file: how far it has been read and handed to the broker."""
    task = bars.add_task(f"sending {path.name}", total=None)

    def begun(submission: str, events_there: int) -> None:
        bars.update(task, total=progress_total(path))
        if events_there:
            print(f"going on with {submission}: {events_there} of its events are there already", file=sys.stderr)

    def mapped(rows: int, bytes_done: int) -> None:
        bars.update(task, completed=bytes_done)

    return Progress(begun, mapped)


def _results(settings: Settings, wanted: Wanted, bars: Bars, sent: list[tuple[Entry, pl.DataFrame]]) -> list[Result]:
    try:
        return [_result(settings, wanted, bars, entry, lines) for entry, lines in sent]
    except KeyboardInterrupt:
        commands = " and ".join(f"xinliu-adapter receipts {entry.submission}" for entry, _ in sent)
        raise Interrupted(f"waiting for receipts: interrupted; every row is sent, ask later with {commands}") from None


def _result(settings: Settings, wanted: Wanted, bars: Bars, entry: Entry, lines: pl.DataFrame) -> Result:
    if not wanted.wait:
        return settle(entry.submission, entry.rows, lines, pl.DataFrame(schema=RECEIVED_SCHEMA))
    task = bars.add_task(f"receipts of {entry.submission}", total=None)
    return collect(
        settings,
        entry,
        lines,
        wanted.silence_seconds_max,
        lambda collected, events: bars.update(task, completed=collected, total=events),
    )


def _say(wanted: Wanted, results: list[Result]) -> None:
    if wanted.as_json:
        answer = results[0].as_json() if len(wanted.files) == 1 else total(results)
        print(json.dumps(answer, ensure_ascii=False, indent=1))
    else:
        for result in results:
            show.result(result)
        if len(results) > 1:
            show.outcomes_table("all files", show.with_waiting(total(results)), show.SENTENCES)
    if wanted.wait:
        for result in results:
            if result.waiting:
                print(
                    f"waiting for receipts: {result.waiting} of the {result.rows} rows of {result.submission} still "
                    f"wait after {wanted.silence_seconds_max:.0f} s without an answer; ask later with "
                    f"xinliu-adapter receipts {result.submission}",
                    file=sys.stderr,
                )
