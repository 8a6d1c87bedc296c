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
from producers.breaker import BAD_SHARE_MAX
from producers.journal import Entry, Journal, key_of, sha256_of
from producers.mapping import load
from producers.publisher import Interrupted, Order, Progress, note_result, publish, require_department
from producers.readers import progress_total
from producers.receipts import RECEIVED_SCHEMA, Result, collect, of_entry, total
from producers.snapshot_base import source_name
from producers.snapshot_prepare import SnapshotOrder
from schemas.errors import EXIT_RETRY, EXIT_SOME_NOT_GOOD, InputError
from schemas.persons import words_to_show
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
    snapshot: SnapshotOrder | None = None
    bad_share_max: float = BAD_SHARE_MAX
    resume: bool = False


def snapshot_order(
    snapshot: bool, source: str, shrink_max: float, first: bool, previous: Path | None
) -> SnapshotOrder | None:
    """What --snapshot and the flags beside it ask for; InputError where they contradict each other."""
    if not snapshot:
        if source or first or previous is not None:
            raise InputError("publishing: --source, --first and --previous are about full lists; say --snapshot, too")
        return None
    if not 0 <= shrink_max <= 1:
        raise InputError("publishing: --shrink-max is a share between 0 and 1, such as 0.2")
    if first and previous is not None:
        raise InputError("publishing: --first and --previous exclude each other; say which of them is true")
    return SnapshotOrder(source_name(source), shrink_max, first, previous)


def publish_files(settings: Settings, wanted: Wanted, now: Callable[[], datetime]) -> int:
    """Send all files, then wait for their receipts; returns the exit code.

    A file that can not be used is said on stderr and the others are sent all the same. When the broker is away the
    run ends, and the same command goes on with the file that was under way.
    """
    if wanted.snapshot is not None and len(wanted.files) > 1:
        raise InputError(
            f"publishing {len(wanted.files)} files: --snapshot takes the one file that holds the whole list; join the "
            "files, or publish each under a --source name of its own"
        )
    mapping = load(wanted.mapping, settings)
    if wanted.resume:  # once: a bad file among these stops those behind it all the same
        require_department(settings, wanted.department)
        Journal(settings.home).resume(wanted.department)
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
                wanted.snapshot,
                wanted.bad_share_max,
            )
            try:
                sent.append(publish(settings, order, now, _on_bar(bars, path)))
            except InputError as error:
                if len(wanted.files) == 1:
                    raise
                print(words_to_show(str(error)), file=sys.stderr)
                exit_code = error.exit_code
        if command:
            Journal(settings.home).end_steps(command)
        results = _results(settings, wanted, bars, sent)
    _say(wanted, results)
    if not wanted.wait:
        return exit_code
    if any(result.waiting or result.withdrawn.get("waiting") for result in results):
        return EXIT_RETRY
    set_aside = any(result.outcomes.get("quarantined") or result.withdrawn.get("quarantined") for result in results)
    return exit_code or (EXIT_SOME_NOT_GOOD if set_aside else 0)


def _name_of(wanted: Wanted) -> str:
    """A name for a command of several files by their content; empty for one file, which needs none."""
    if len(wanted.files) == 1:
        return ""
    order = [wanted.department, wanted.mapping, str(wanted.as_of), str(wanted.corrects)]
    return key_of(order, " ".join(sha256_of(path) for path in wanted.files))


def _on_bar(bars: Bars, path: Path) -> Progress:
    """One bar for a file: how far it has been read and handed to the broker."""
    task = bars.add_task(f"sending {path.name}", total=None)

    def judged(rows: int, bytes_done: int) -> None:
        bars.update(task, description=f"comparing {path.name}", total=progress_total(path), completed=bytes_done)

    def begun(submission: str, events_there: int) -> None:
        bars.update(task, description=f"sending {path.name}", total=progress_total(path), completed=0)
        if events_there:
            print(f"going on with {submission}: {events_there} of its events are there already", file=sys.stderr)

    def mapped(rows: int, bytes_done: int) -> None:
        bars.update(task, completed=bytes_done)

    return Progress(judged, begun, mapped)


def _results(settings: Settings, wanted: Wanted, bars: Bars, sent: list[tuple[Entry, pl.DataFrame]]) -> list[Result]:
    try:
        return [_result(settings, wanted, bars, entry, lines) for entry, lines in sent]
    except KeyboardInterrupt:
        commands = " and ".join(f"xinliu-adapter receipts {entry.submission}" for entry, _ in sent)
        raise Interrupted(f"waiting for receipts: interrupted; every row is sent, ask later with {commands}") from None


def _result(settings: Settings, wanted: Wanted, bars: Bars, entry: Entry, lines: pl.DataFrame) -> Result:
    if not wanted.wait:
        return of_entry(entry, lines, pl.DataFrame(schema=RECEIVED_SCHEMA))
    task = bars.add_task(f"receipts of {entry.submission}", total=None)
    result = collect(
        settings,
        entry,
        lines,
        wanted.silence_seconds_max,
        lambda collected, events: bars.update(task, completed=collected, total=events),
    )
    note_result(Journal(settings.home), entry, result)
    return result


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
            if result.waiting or result.withdrawn.get("waiting"):
                print(
                    f"waiting for receipts: {result.waiting} of the {result.rows} rows of {result.submission} still "
                    f"wait after {wanted.silence_seconds_max:.0f} s without an answer; ask later with "
                    f"xinliu-adapter receipts {result.submission}",
                    file=sys.stderr,
                )
