"""The pull command: one source, once or for ever, with progress for people and one answer for machines."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from rich.progress import Progress as Bars

from producers import show
from producers.journal import Journal
from producers.mapping import load
from producers.publisher import Interrupted, Progress, note_result
from producers.receipts import RECEIVED_SCHEMA, Result, collect, of_entry
from producers.sources import source_file
from producers.sources.pull import Pulled, PullOrder, PullProgress, pull
from producers.sources.state import states
from schemas.errors import EXIT_RETRY, EXIT_SOME_NOT_GOOD, InputError, Retryable
from schemas.persons import words_to_show
from schemas.settings import Settings

_STATUS_COLUMNS = ("source", "department", "mapping", "watermark", "rows", "pulls", "pending_rows", "pulled_at")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The command line of `pull`."""

    source: Path
    department: str
    mapping: str
    wait: bool
    once: bool
    from_start: bool
    corrects: bool
    silence_seconds_max: float
    bad_share_max: float
    resume: bool
    as_json: bool


def pull_source(
    settings: Settings,
    wanted: Wanted,
    environ: Mapping[str, str],
    now: Callable[[], datetime],
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Pull, once or as often as the source file says; returns the exit code."""
    source = source_file.load(wanted.source, environ)
    mapping = load(wanted.mapping, settings)
    order = PullOrder(
        source,
        wanted.department,
        mapping,
        wanted.from_start,
        wanted.corrects,
        wanted.silence_seconds_max,
        wanted.bad_share_max,
        wanted.resume,
    )
    if wanted.once or not source.every_seconds:
        return _pull_once(settings, order, wanted, now)
    while True:
        try:
            _pull_once(settings, order, wanted, now)
        except Interrupted:
            raise
        except Retryable as error:  # what is away now may be there at the next pull
            print(words_to_show(str(error)), file=sys.stderr)
        order = replace(order, from_start=False, resume=False)  # said once, meant once
        sleep(source.every_seconds)


def say_status(settings: Settings, wanted: Path | None, environ: Mapping[str, str], as_json: bool) -> int:
    """Say how far each source has been read, or the one of a source file."""
    name = source_file.load(wanted, environ).name if wanted is not None else ""
    found = [state.status() for state in states(settings.home) if not name or state.source == name]
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
    elif not found:
        print(f"nothing was pulled from {settings.home} yet; begin with: xinliu-adapter pull SOURCE.toml")
    else:
        show.rows_table(_STATUS_COLUMNS, [[_cell(state[column]) for column in _STATUS_COLUMNS] for state in found])
    return 0


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _pull_once(settings: Settings, order: PullOrder, wanted: Wanted, now: Callable[[], datetime]) -> int:
    with show.bars() as bars:
        pulled = pull(settings, order, now, _on_bars(bars, order.source.name))
        result = _result(settings, wanted, bars, pulled)
    _say(wanted, pulled, result)
    if wanted.wait and result is not None and result.waiting:
        print(
            f"waiting for receipts: {result.waiting} of the {result.rows} rows of {result.submission} still wait; ask "
            f"later with xinliu-adapter receipts {result.submission}",
            file=sys.stderr,
        )
        return EXIT_RETRY
    return EXIT_SOME_NOT_GOOD if wanted.wait and result is not None and result.outcomes.get("quarantined") else 0


def _on_bars(bars: Bars, name: str) -> PullProgress:
    """One bar for the read, one for the sending."""
    reading = bars.add_task(f"reading {name}", total=None)
    sending = bars.add_task(f"sending {name}", total=None, visible=False)

    def read(rows: int, total: int | None) -> None:
        bars.update(reading, completed=rows, total=total)

    def begun(submission: str, events_there: int) -> None:
        bars.update(sending, visible=True)
        if events_there:
            print(f"going on with {submission}: {events_there} of its events are there already", file=sys.stderr)

    def mapped(rows: int, bytes_done: int) -> None:
        bars.update(sending, completed=rows)

    return PullProgress(
        read, Progress(begun=begun, mapped=mapped), lambda sentence: print(f"{name}: {sentence}", file=sys.stderr)
    )


def _result(settings: Settings, wanted: Wanted, bars: Bars, pulled: Pulled) -> Result | None:
    entry = pulled.entry
    if entry is None:
        return None
    if not wanted.wait:
        return of_entry(entry, pulled.sent, pl.DataFrame(schema=RECEIVED_SCHEMA))
    task = bars.add_task(f"receipts of {entry.submission}", total=None)
    try:
        result = collect(
            settings,
            entry,
            pulled.sent,
            wanted.silence_seconds_max,
            lambda collected, events: bars.update(task, completed=collected, total=events),
        )
    except KeyboardInterrupt:
        raise Interrupted(
            f"waiting for receipts: interrupted; every row is sent, ask later with xinliu-adapter receipts "
            f"{entry.submission}"
        ) from None
    note_result(Journal(settings.home), entry, result)
    return result


def _say(wanted: Wanted, pulled: Pulled, result: Result | None) -> None:
    state = pulled.state
    if wanted.as_json:
        nothing: dict[str, Any] = {"submission": "", "rows": 0, "outcomes": {}, "reasons": {}, "rejects": []}
        answer = nothing if result is None else result.as_json()
        print(
            json.dumps(
                {
                    **answer,
                    "source": state.source,
                    "rows_read": pulled.rows_read,
                    "rows_so_far": state.rows,
                    "watermark": state.watermark,
                },
                ensure_ascii=False,
                indent=1,
            ),
            flush=True,
        )
    elif result is None:
        seen = f", {pulled.rows_read:,} rows were met before" if pulled.rows_read else ""
        print(f"{state.source}: nothing new{seen}; watermark {state.watermark or 'none'}", flush=True)
    else:
        show.result(result)
        print(f"{state.source}: {pulled.rows_sent:,} rows sent; watermark {state.watermark or 'none'}", flush=True)


def require_options(source: Path | None, department: str, mapping: str) -> Path:
    """The three things that a pull needs, said together where one is missing."""
    missing = [
        name
        for name, there in (("SOURCE.toml", source), ("--department", department), ("--mapping", mapping))
        if not there
    ]
    if missing or source is None:
        raise InputError(f"pulling: say {' and '.join(missing)}; xinliu-adapter pull --status lists what was pulled")
    return source
