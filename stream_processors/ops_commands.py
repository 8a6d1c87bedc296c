"""`xinliu control` and `xinliu deliveries`: what an operator orders, and who is still to be told."""

from __future__ import annotations

import json
import os
from typing import Annotated, Literal

from cyclopts import App, Parameter

from schemas.errors import EXIT_SOME_NOT_GOOD
from schemas.settings import Settings

# The modules behind the commands are imported by the commands, so that --help answers at once.

control = App(
    name="control",
    help="Order a lane or a reader of ops to pause, to go on, or to send dead letters again. Begin with: control list.",
)

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON value instead of a table.")]
Operator = Annotated[str, Parameter(help="Who orders it: a desk of the table operators.csv, never a person's name.")]
Because = Annotated[Literal["incident", "maintenance", "mended", "drill"], Parameter(help="Why, for the record.")]
Target = Annotated[
    str, Parameter(help="A lane (intake, register, cases, store) or a reader of ops (notices, webhook-<id>).")
]


@control.command
def pause(target: Target, /, *, operator: Operator, because: Because) -> int:
    """Stop a lane from taking anything, or ops from telling a reader; nothing is lost. Next: control resume."""
    return _order("pause", target, operator, because)


@control.command
def resume(target: Target, /, *, operator: Operator, because: Because) -> int:
    """Go on where it was paused."""
    return _order("resume", target, operator, because)


@control.command
def redrive(target: Target, /, *, operator: Operator, because: Because) -> int:
    """Put a reader's dead letters back into its queue. For quarantined events: xinliu quarantine redrive."""
    return _order("redrive", target, operator, because)


@control.command(name="list")
def list_standing(*, as_json: AsJson = False) -> int:
    """Show what is paused and by whom, and which commands were not followed; exit 1 when something is paused."""
    from stream_processors.control_topic import standing_now
    from stream_processors.ops.control import REFUSALS

    found = standing_now(settings := Settings.from_env(os.environ), _readers(settings))
    if as_json:
        paused = [
            {"target": target, "operator": command.operator, "because": command.because, "offset": command.offset}
            for target, command in found.paused.items()
        ]
        refused = [{"offset": offset, "reason": reason} for offset, reason in found.refused]
        print(json.dumps({"paused": paused, "refused": refused}, ensure_ascii=False, indent=1))
    else:
        for target, command in found.paused.items():
            print(
                f"{target} is paused by {command.operator} ({command.because}); go on: xinliu control resume {target}"
            )
        for offset, reason in found.refused:
            print(f"command {offset} was not followed: {REFUSALS[reason]}")
        if not found.paused:
            print("nothing is paused")
    return EXIT_SOME_NOT_GOOD if found.paused else 0


def deliveries(*, as_json: AsJson = False) -> int:
    """Show for each reader of ops how many transitions it is still to be told, and the dead letters; exit 1 for any."""
    from stream_processors.ops.ledger import look

    counts, letters = look(Settings.from_env(os.environ).home / "ops" / "ledger.sqlite")
    if as_json:
        rows = [{"reader": name, "waiting": waiting, "dead": dead} for name, (waiting, dead) in counts.items()]
        dead = [{"reader": q.reader, "id": q.id, "why": q.why, "attempts": q.attempts} for q in letters]
        print(json.dumps({"readers": rows, "dead_letters": dead}, ensure_ascii=False, indent=1))
    else:
        for name, (waiting, dead_count) in counts.items():
            print(f"{name}: {waiting:,} waiting, {dead_count:,} dead letters")
        for letter in letters[:20]:
            print(f"  {letter.reader} {letter.id}: {letter.why}, {letter.attempts} attempts")
        if letters:
            print(f"send them again: xinliu control redrive {letters[0].reader} --operator DESK --because mended")
        if not counts:
            print("everybody was told everything")
    return EXIT_SOME_NOT_GOOD if letters else 0


def _order(action: str, target: str, operator: str, because: str) -> int:
    from stream_processors.control_topic import send_command

    settings = Settings.from_env(os.environ)
    send_command(settings, operator, action, target, because, _readers(settings))
    print(f"ordered: {action} {target}; it is followed within seconds, and xinliu control list shows it")
    return 0


def _readers(settings: Settings) -> tuple[str, ...]:
    from stream_processors.ops.notices import READER
    from stream_processors.ops.subscribers import reader_names

    return READER, *reader_names(settings.reference_dir)
