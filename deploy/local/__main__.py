"""`python -m deploy.local`: bring the local stack up and down, and see how it is."""

import json
import os
import sys
from dataclasses import asdict
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.table import Table

from deploy.local import control
from deploy.local.status import StackStatus
from deploy.local.supervisor import supervise
from schemas.errors import EXIT_INPUT, EXIT_SOME_NOT_GOOD, XinliuError
from schemas.settings import Settings

app = App(
    name="python -m deploy.local",
    help="The local stack: a real Kafka broker, the ClickHouse engine and the lanes, all on this machine. "
    "Begin with: up. Data and logs are in XINLIU_HOME; XINLIU_PORT_BASE moves the ports.",
    version_flags=[],
)

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON value instead of a table.")]
Parts = Annotated[str, Parameter(help="Names of parts, with commas between; empty for all of them.")]


@app.command
def up(*, parts: Parts = "", as_json: AsJson = False) -> int:
    """Start the stack in the background and wait until all of it is ready. Next: status."""
    found = control.up(_settings(), _names(parts), _say)
    _print(found, as_json)
    return 0


@app.command
def down() -> int:
    """Stop the stack; nothing of it runs afterwards. Its data stays."""
    print("stopped" if control.down(_settings(), _say) else "nothing was running")
    return 0


@app.command(name=("status", "ps"))
def status(*, as_json: AsJson = False) -> int:
    """Show the parts: process, address, state, restarts. Exit 0 when all are ready, else 1."""
    found = control.status(_settings())
    if found is None:
        print(json.dumps({"up": False, "parts": []}) if as_json else "the stack is not up; start it with: up")
        return EXIT_SOME_NOT_GOOD
    _print(found, as_json)
    return 0 if all(part.state in ("ready", "done") for part in found.parts) else EXIT_SOME_NOT_GOOD


@app.command
def restart(part: str) -> int:
    """Stop one part and start it again; returns once it is ready."""
    control.restart(_settings(), part)
    return 0


@app.command
def stop_part(part: str) -> int:
    """Stop one part and keep it stopped until start-part."""
    control.stop_part(_settings(), part)
    return 0


@app.command
def start_part(part: str) -> int:
    """Start a part that was stopped; returns once it is ready."""
    control.start_part(_settings(), part)
    return 0


@app.command(name="supervise", show=False)
def run_supervisor(*, parts: Parts = "") -> None:
    """Be the supervisor, in the background; `up` starts it."""
    supervise(_settings(), _names(parts))


def _settings() -> Settings:
    return Settings.from_env(os.environ)


def _names(parts: str) -> list[str]:
    return [name.strip() for name in parts.split(",") if name.strip()]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print(found: StackStatus, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"up": True, **asdict(found)}, indent=1))
        return
    table = Table("part", "process", "address", "state", "restarts")
    for part in found.parts:
        table.add_row(part.name, str(part.pid or ""), part.url, part.state, str(part.restarts))
    Console().print(table)


def answer(arguments: list[str]) -> int:
    """Run one command line; returns its exit code. Errors are one sentence on stderr, with no stack trace."""
    try:
        code = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:  # said by cyclopts already, with the usage
        return EXIT_INPUT
    except XinliuError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(answer(sys.argv[1:]))
