"""`xinliu`, the operator's command: run the lanes, keep the topics, and ask whether all is well.

Non-goals: nothing about credit is decided here; each command calls one function of a module and shows its answer.
"""

import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter
from rich.table import Table

from schemas.errors import EXIT_INPUT, EXIT_SOME_NOT_GOOD, EXIT_STOP, XinliuError
from schemas.settings import Settings
from stream_processors import act_commands, case_commands, ops_commands, packs_commands
from stream_processors.console import console
from stream_processors.quarantine_commands import app as quarantine_app

# The modules behind the commands are imported by the commands, so that --help answers at once.

app = App(
    name="xinliu",
    help="Xinliu 信流: public credit records of registered organisations. Begin with: xinliu topics apply, then "
    "xinliu run intake, register, cases and store (make up does all of it), then xinliu status.",
    version_flags=["--version"],
)
topics_app = App(
    name="topics", help="Compare Kafka's topics with the declaration. Next: xinliu topics plan, then apply."
)
authorities_app = App(name="authorities", help="Who decides: what the table of authorities lacks.")
app.command(topics_app)
app.command(authorities_app)
app.command(quarantine_app)
app.command(case_commands.app)
app.command(case_commands.in_force, name="in-force")
app.command(case_commands.lifted)
app.command(packs_commands.app)
app.command(ops_commands.control)
app.command(ops_commands.deliveries)
for name, command in act_commands.COMMANDS.items():
    app.command(command, name=name)

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON value instead of a table.")]


@app.command
def run(
    lane: Literal["intake", "register", "cases", "store", "ops"],
    *,
    bare: Annotated[
        bool, Parameter(negative="", help="Run the loop alone, without Faust, /metrics and /healthz.")
    ] = False,
) -> int:
    """Run one lane, or ops, until it is told to stop. Next: xinliu status.

    Exit code 70 is the lane's normal way back from trouble: start it again (a supervisor does), nothing is lost.
    """
    if lane == "ops":
        from stream_processors.ops import app as ops

        ops.run(_settings())
        return 0
    from stream_processors import memory

    memory.keep()
    from stream_processors import worker

    return (worker.run_bare if bare else worker.run)(lane, _settings()) or 0


@topics_app.command(name="plan")
def topics_plan(*, as_json: AsJson = False) -> int:
    """List what differs between the broker and the declaration; exit 1 when something does. Next: apply."""
    from stream_processors import topics

    changes = topics.plan(_settings())
    rows = [{"topic": c.topic, "action": c.action, "sentence": c.sentence} for c in changes]
    if as_json:
        _print_json({"changes": rows})
    elif rows:
        _print_rows(("topic", "action", "sentence"), rows)
    else:
        print("nothing to do: every topic stands as declared")
    return EXIT_SOME_NOT_GOOD if rows else 0


@topics_app.command(name="apply")
def topics_apply(*, as_json: AsJson = False) -> int:
    """Create missing topics and mend settings; exit 1 when something is left to do by hand. Next: xinliu run."""
    from stream_processors import topics

    changes = topics.apply(_settings())
    words = {"create": "created", "configure": "configured", "by_hand": "left to you"}
    rows = [{"topic": c.topic, "done": words[c.action], "sentence": c.sentence} for c in changes]
    if as_json:
        _print_json({"changes": rows})
    elif rows:
        _print_rows(("topic", "done", "sentence"), rows)
    else:
        print("nothing to do: every topic stands as declared")
    return EXIT_SOME_NOT_GOOD if any(c.action == "by_hand" for c in changes) else 0


@authorities_app.command(name="unknown")
def authorities_unknown(*, as_json: AsJson = False) -> int:
    """List authorities on record that authorities.csv does not know. Next: add them, or an alias, and run it again."""
    from stream_processors.authorities import show

    return show(_settings(), as_json=as_json)


@app.command
def status(*, as_json: AsJson = False) -> int:
    """Show how everything is; exit 1 when something is not well, and then the line says what to do."""
    from stream_processors.status import status as look

    lines = look(_settings())
    if as_json:
        _print_json({"ok": all(line.ok for line in lines), "lines": [asdict(line) for line in lines]})
    else:
        rows = [{"what": c.what, "found": c.found, "": "ok" if c.ok else c.advice} for c in lines]
        _print_rows(("what", "found", ""), rows)
    return 0 if all(line.ok for line in lines) else EXIT_SOME_NOT_GOOD


@app.command
def verify(
    *,
    department: str | None = None,
    wait: Annotated[float, Parameter(name="--wait")] = 30.0,
    as_json: AsJson = False,
) -> int:
    """Prove from outside that nothing is lost or doubled, from the departments' topics to the store.

    Exit 1 and a list where something differs.

    Parameters
    ----------
    department
        Count the events of this department only; records and store are compared as a whole all the same.
    wait
        Seconds for each lane to come to what was read; what it has not come to is not judged (exit 75).
    """
    from stream_processors.verify_page import show

    return show(_settings(), department, wait, as_json=as_json)


@app.command
def statement(subject: str, *, as_of: str | None = None, as_json: AsJson = False) -> int:
    """Print all that is on record about one organisation; exit 1 when there is nothing.

    Parameters
    ----------
    subject
        Unified social credit code, organisation code, registration number, or SCHEME:NUMBER.
    as_of
        A past day (2026-05-01) or moment (2026-05-01T12:00, Shanghai); now by default.
    """
    from stream_processors.statement_page import show

    return show(_settings(), subject, as_of, as_json=as_json)


@app.command
def explain(what: str, /, *, as_json: AsJson = False) -> int:
    """Say step by step how something came to be on record as it is, or why it did not.

    From the row of the file to the mapping, the event, what each lane decided, the record's revisions and the store.

    Parameters
    ----------
    what
        A record's or an event's id, a row as SUBMISSION:ROW, or a place: credit.receipts.market/0/12,
        credit.events.market/1/120, credit.quarantine/0/7.
    """
    from stream_processors.explain_page import show

    return show(_settings(), what, as_json=as_json)


def _settings() -> Settings:
    return Settings.from_env(os.environ)


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=1))


def _print_rows(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    table = Table(*columns)
    for row in rows:
        table.add_row(*(str(row[column]) for column in columns))
    console().print(table)


def _said(error: CycloptsError) -> str:
    """What is wrong with the command line; a word of it that may be a personal number is not repeated."""
    from schemas.persons import screen_text

    message = " ".join(str(error).split()).rstrip(".")
    if screen_text(message) is not None:
        message = "the command line can not be read"
    return f"{message}; see xinliu --help"


def _say(error: Exception | str) -> None:
    from schemas.persons import words_to_show

    print(words_to_show(str(error)), file=sys.stderr)


def answer(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code. Errors are one sentence on stderr, with no stack trace."""
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        print(_said(error), file=sys.stderr)
        return EXIT_INPUT
    except XinliuError as error:
        _say(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception:  # a fault of ours: the stack trace is for whoever mends it, and may quote what was read
        _say(traceback.format_exc())
        return EXIT_STOP
    return code if isinstance(code, int) else 0


def main() -> None:
    """The console script."""
    sys.exit(answer(sys.argv[1:]))


if __name__ == "__main__":
    main()
