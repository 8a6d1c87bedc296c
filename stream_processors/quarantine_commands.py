"""`xinliu quarantine`: what an operator does with what was set aside. Each command calls one function and shows it."""

import getpass
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import App, Parameter

from schemas.errors import EXIT_RETRY, EXIT_SOME_NOT_GOOD, InputError
from schemas.settings import Settings

# The modules behind the commands are imported by the commands, so that --help answers at once.

app = App(
    name="quarantine",
    help="What was set aside with a reason: list it, look at it, repair it. Begin with: xinliu quarantine list.",
)

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON value instead of a table.")]
Department = Annotated[str | None, Parameter(name="--department", help="Only what this department reported.")]
Reason = Annotated[str | None, Parameter(name="--reason", help="Only what was set aside for this reason.")]
MappingVersion = Annotated[
    str | None, Parameter(name="--mapping", help="Only what this mapping version made, e.g. penalty-2018@1.")
]
Submission = Annotated[str | None, Parameter(name="--submission", help="Only what came with this submission.")]
By = Annotated[str | None, Parameter(name="--by", help="Who has this done, for the log; by default the user's name.")]
Silence = Annotated[
    float, Parameter(name="--timeout", help="Give up after so many seconds without any answer from the platform.")
]


@app.command(name="list")
def list_groups(
    *,
    department: Department = None,
    reason: Reason = None,
    mapping: MappingVersion = None,
    submission: Submission = None,
    as_json: AsJson = False,
) -> int:
    """List what was set aside, by department, reason and mapping: rows, open, repaired. Next: show GROUP."""
    from schemas.reference import load
    from stream_processors import quarantine_page
    from stream_processors.console import console
    from stream_processors.quarantine import Wanted, groups
    from stream_processors.quarantine_shelf import open_shelf

    settings = _settings()
    wanted = Wanted(department, reason, mapping, submission).checked(load(settings.reference_dir))
    with _closing(open_shelf(settings)) as shelf:
        found = groups(shelf.items(wanted))
    if as_json:
        _print_json({"source": shelf.place, "groups": quarantine_page.groups_json(found)})
    elif found.height == 0:
        print("nothing is in quarantine" + (" that was asked for" if wanted != Wanted() else ""))
    else:
        quarantine_page.print_groups(found, console())
    return 0


@app.command
def show(
    what: str,
    /,
    *,
    limit: Annotated[int, Parameter(help="Items to show, at most.")] = 10,
    everything: Annotated[
        bool, Parameter(name="--all", negative="", help="Repaired ones as well, not open ones only.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Show items of a group, or one by its number: where each came from, why it lies here, its fields masked.

    Next: propose, redrive; or the department mends its file.

    Parameters
    ----------
    what
        The number of an item, or a group as DEPARTMENT/REASON/MAPPING; what is left out at its end means all.
    """
    import polars as pl

    from schemas.reference import load
    from stream_processors import quarantine_page
    from stream_processors.console import console
    from stream_processors.quarantine import wanted_of
    from stream_processors.quarantine_events import events_of, shown_event
    from stream_processors.quarantine_shelf import open_shelf

    _more_than_none("looking into quarantine", limit)
    settings = _settings()
    reference = load(settings.reference_dir)
    wanted = wanted_of(what).checked(reference)
    with _closing(open_shelf(settings)) as shelf:
        items = shelf.items(wanted)
        if wanted.id is None and not everything:
            items = items.filter(pl.col("state") == "open")
        rest = max(0, items.height - limit)
        items = items.head(limit)
        ids: list[int] = items["id"].to_list()
        texts = shelf.events(ids)
    if items.height == 0:
        open_only = wanted.id is None and not everything
        raise InputError(
            "looking into quarantine: nothing is there under that name"
            + (
                " that is still open; --all shows repaired ones as well"
                if open_only
                else "; see xinliu quarantine list"
            )
        )
    events = events_of(ids, [texts.get(number, "") for number in ids])
    by_id = dict(zip(events.ids, events.batch.to_pylist(), strict=True))
    shown = []
    for item in items.to_dicts():
        event = by_id.get(item["id"])
        readable = event is not None
        shown.append((item, None if event is None else shown_event(event, item["department"], reference), readable))
    if as_json:
        _print_json({"items": [quarantine_page.item_json(*one) for one in shown], "more": rest})
        return 0
    for one in shown:
        quarantine_page.print_item(*one, console())
    if rest:
        print(f"and {rest:,} more; --limit shows them")
    return 0


@app.command
def propose(
    what: Annotated[str | None, Parameter(help="The number of an item, or a group as list shows it.")] = None,
    /,
    *,
    accept: Annotated[
        str | None, Parameter(help="Id of a proposal to accept: the corrected event is sent like every event.")
    ] = None,
    by: By = None,
    limit: Annotated[int, Parameter(help="Items to make proposals for, at most.")] = 50,
    timeout: Silence = 60.0,
    as_json: AsJson = False,
) -> int:
    """List repairs that a check digit confirms, or accept one. None is ever applied by itself.

    Exit code with --accept 0: on record now; 1: set aside or refused all the same; 75: no receipt in time.
    """
    from schemas.reference import load
    from stream_processors import quarantine_page
    from stream_processors.console import console
    from stream_processors.quarantine import GOOD_OUTCOMES, wanted_of
    from stream_processors.quarantine_log import who
    from stream_processors.quarantine_propose import accept as accept_one
    from stream_processors.quarantine_propose import offers, raise_if_silent
    from stream_processors.quarantine_shelf import open_shelf

    if (what is None) == (accept is None):
        raise InputError("proposing repairs: name an item or a group, or accept one proposal with --accept ID")
    _more_than_none("proposing repairs", limit)
    settings = _settings()
    reference = load(settings.reference_dir)
    if accept is None:
        wanted = wanted_of(what or "").checked(reference)
        with _closing(open_shelf(settings)) as shelf:
            found = offers(shelf, reference, wanted, limit)
        if as_json:
            _print_json({"proposals": [offered.as_json() for offered in found]})
        elif found:
            quarantine_page.print_offers([offered.as_json() for offered in found], console())
        else:
            print("no proposal: nothing open there can be repaired in exactly one way that a check digit confirms")
        return 0
    with _closing(open_shelf(settings)) as shelf:
        done = accept_one(settings, reference, shelf, accept, who(_by(by)), _now, timeout)
    raise_if_silent(done)
    if as_json:
        answer = {"outcome": done.outcome, "reason": done.reason, "detail": done.detail}
        _print_json({"accepted": done.offered.as_json(), **answer})
    else:
        print(f"{done.offered.id}: {done.outcome}{f' ({done.reason})' if done.reason else ''}")
    return 0 if done.outcome in GOOD_OUTCOMES else EXIT_SOME_NOT_GOOD


@app.command
def redrive(
    what: Annotated[str | None, Parameter(help="The number of an item, or a group as list shows it.")] = None,
    /,
    *,
    department: Department = None,
    reason: Reason = None,
    mapping: MappingVersion = None,
    submission: Submission = None,
    limit: Annotated[int | None, Parameter(help="Events to send, at most; the oldest first.")] = None,
    rate: Annotated[float | None, Parameter(help="Events per second, at most.")] = None,
    apply: Annotated[bool, Parameter(negative="--dry-run", help="Send them; without it only say.")] = False,
    by: By = None,
    timeout: Silence = 60.0,
    as_json: AsJson = False,
) -> int:
    """After a rule or a reference table was mended: say what would become of the open items, and with --apply send
    those that pass, as they were reported.

    Exit code 0: nothing is still bad (with --apply: and each that was sent has its receipt); 1: some are; 75: the
    platform did not answer for some. After a mended mapping the department runs xinliu-adapter redrive instead.
    """
    from dataclasses import replace

    from schemas.reference import load
    from stream_processors import quarantine_page
    from stream_processors.console import console
    from stream_processors.quarantine import Wanted, wanted_of
    from stream_processors.quarantine_log import who
    from stream_processors.quarantine_redrive import Order
    from stream_processors.quarantine_redrive import redrive as redrive_items
    from stream_processors.quarantine_shelf import open_shelf

    if (limit is not None and limit < 1) or (rate is not None and rate <= 0):
        raise InputError("redriving: --limit and --rate must be more than 0")
    settings = _settings()
    reference = load(settings.reference_dir)
    named = Wanted(department, reason, mapping, submission)
    if what is not None:
        if named != replace(named, department=None, reason=None, mapping=None):
            raise InputError("redriving: name a group, or filter with --department, --reason and --mapping, not both")
        named = wanted_of(what, named)
    order = Order(named.checked(reference), limit, rate, apply, who(_by(by)) if apply else "", timeout)
    with _closing(open_shelf(settings)) as shelf, _progress() as progress:
        found = redrive_items(settings, reference, shelf, order, _now, progress)
    if as_json:
        _print_json(quarantine_page.redriven_json(found, apply))
    elif found.open == 0:
        print("nothing to redrive: no open item of that kind is in quarantine")
    else:
        quarantine_page.print_redriven(found, apply, console())
    if found.silent:
        return EXIT_RETRY
    bad = found.foreseen.still_bad.total() + found.foreseen.refused.total() + found.foreseen.unreadable
    return EXIT_SOME_NOT_GOOD if bad else 0


def _more_than_none(doing: str, limit: int) -> None:
    if limit < 1:
        raise InputError(f"{doing}: --limit must be more than 0")


@contextmanager
def _closing(shelf: Any) -> Iterator[Any]:
    try:
        yield shelf
    finally:
        shelf.close()


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Tells a person who waits how many items were looked at; says nothing to a pipe."""
    from rich.console import Console

    errors = Console(stderr=True)
    with errors.status("looking") if errors.is_terminal else nullcontext() as status:

        def tell(seen: int, open_items: int) -> None:
            if status is not None:
                status.update(f"{seen:,} of {open_items:,} items")

        yield tell


def _settings() -> Settings:
    import os

    return Settings.from_env(os.environ)


def _by(by: str | None) -> str:
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def _now() -> datetime:
    return datetime.now(UTC)


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=1))
