"""`make demo`: the main job from six departments' files to a verified store, in a stack of its own.

Everything runs as a user would run it, by the commands of the README, in a temporary home and on free ports, so that
it can be run beside a stack that is up. What it started is stopped again, however it ends.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from deploy.demo_measures import Story, StoryFailed
from deploy.local.processes import free_port_base
from schemas.reasons import OUTCOMES
from schemas.settings import Settings
from stream_processors.clickhouse import connect

ROWS = 1500
SEED = 7


class DemoFailed(Exception):
    """A command did not do what the demo shows."""


def main() -> int:
    """Exit 0 when every step did what it must, else 1 with the step's own words."""
    console = Console(width=max(100, Console().width))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="xinliu-demo-") as folder:
        home = Path(folder)
        environment = os.environ | {"XINLIU_HOME": str(home), "XINLIU_PORT_BASE": str(free_port_base(16))}
        for outside in ("XINLIU_BOOTSTRAP_SERVERS", "XINLIU_CLICKHOUSE_URL"):
            environment.pop(outside, None)
        demo = Demo(console, home, environment)
        try:
            demo.run()
        except DemoFailed as failure:
            console.print(f"[red]{failure}[/red]")
            demo.show_logs()
            return 1
        finally:
            demo.command("deploy.local", "down", may_fail=True)
    console.print(f"done in {time.monotonic() - started:.0f} s; nothing is left running")
    return 0


class Demo:
    """The steps, each one command line."""

    def __init__(self, console: Console, home: Path, environment: dict[str, str]) -> None:
        self._console = console
        self._home = home
        self._environment = environment

    def run(self) -> None:
        self._title("1  Bring up a real Kafka broker, the ClickHouse engine and the lanes")
        self._show("deploy.local", "up")
        self._title("2  Six departments write their files (fictional bodies; persons and dirt among the rows)")
        files = self._home / "files"
        self._show("producers", "simulate", "files", "--out", str(files), "--seed", str(SEED), "--rows", str(ROWS))
        manifest = json.loads((files / "manifest.json").read_text("utf-8"))
        self._title("3  Publish them through the adapters and wait for every receipt")
        self._outcomes(self._publish(manifest, files))
        self._title("4  What came in, by pilot unit (fictional)")
        self._pilot_units()
        self._title("5  All that is on record about one body")
        self._show("stream_processors", "statement", self._subject())
        self._title("6  Measures: from a record to a restriction, and to its end")
        self._measures()
        self._title("7  Prove it: nothing lost, nothing doubled, the store equals the log")
        self._show("stream_processors", "verify", "--wait", "60")
        self._title("8  Stop everything")

    def _measures(self) -> None:
        """The story of four bodies; see `deploy.demo_measures`."""
        settings = Settings.from_env(self._environment)
        story = Story(self._console, self._home, settings, self.command, self._put_clock_forward, date.today())
        try:
            story.run()
        except StoryFailed as failure:
            raise DemoFailed(str(failure)) from None

    def _put_clock_forward(self, days: int) -> None:
        self.command("deploy.local", "down")
        self._environment["XINLIU_CLOCK_AHEAD_DAYS"] = str(days)
        self.command("deploy.local", "up")

    def _publish(self, manifest: dict[str, Any], files: Path) -> dict[str, dict[str, int]]:
        """Outcomes per department; every row has one."""
        result: dict[str, dict[str, int]] = {}
        for entry in manifest["files"]:
            file, department, mapping = entry["file"], entry["department"], entry["mapping"]
            line = ("publish", str(files / file), "--department", department, "--mapping", mapping, "--wait", "--json")
            answer = json.loads(self.command("producers", *line, *(["--corrects"] if entry["corrects"] else [])))
            if answer["rows"] != sum(answer["outcomes"].values()):
                raise DemoFailed(f"publishing {file}: {answer['rows']} rows, but {answer['outcomes']}")
            counts = result.setdefault(department, {})
            counts["rows"] = counts.get("rows", 0) + answer["rows"]
            for outcome, rows in answer["outcomes"].items():
                counts[outcome] = counts.get(outcome, 0) + rows
        return result

    def _outcomes(self, result: dict[str, dict[str, int]]) -> None:
        table = Table("department", "rows", *OUTCOMES)
        for column in table.columns[1:]:
            column.justify = "right"
        for department, counts in result.items():
            table.add_row(department, *(str(counts.get(name, 0) or "·") for name in ("rows", *OUTCOMES)))
        self._console.print(table)

    def _pilot_units(self) -> None:
        rows = self._ask(
            "SELECT u.unit AS unit, u.name_zh AS name, u.kind AS kind, sum(c.records) AS records "
            "FROM pilot_units AS u LEFT JOIN pilot_unit_counts AS c ON c.unit = u.unit "
            "GROUP BY unit, name, kind ORDER BY kind, unit"
        )
        table = Table("unit", "名称", "kind", "records")
        table.columns[-1].justify = "right"
        for row in rows:
            table.add_row(*(str(row[name]) for name in ("unit", "name", "kind", "records")))
        self._console.print(table)

    def _subject(self) -> str:
        """A body with records of several categories, found by asking the store."""
        rows = self._ask(
            "SELECT subject_key FROM current_records "
            "GROUP BY subject_key ORDER BY uniq(category) DESC, subject_key LIMIT 1"
        )
        return str(rows[0]["subject_key"])

    def _ask(self, query: str) -> list[dict[str, Any]]:
        store = connect(Settings.from_env(self._environment))
        try:
            return store.rows(query, doing="showing the demo's records")
        finally:
            store.close()

    def _title(self, text: str) -> None:
        self._console.print(f"\n[bold]{text}[/bold]")

    def _show(self, module: str, *arguments: str) -> None:
        """Run a command and show what it prints."""
        name = {"producers": "xinliu-adapter", "stream_processors": "xinliu"}.get(module, f"python -m {module}")
        self._console.print(f"[dim]$ {name} {' '.join(arguments)}[/dim]")
        self._console.out(self.command(module, *arguments), end="", highlight=False)

    def command(self, module: str, *arguments: str, may_fail: bool = False) -> str:
        """What a command printed on standard output; raises DemoFailed with its words where it failed."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=self._environment | {"COLUMNS": str(self._console.width)},
            capture_output=True,
            text=True,
        )
        good = (0, 1) if arguments[0] == "publish" else (0,)  # 1 = some rows were not recorded, which is the point
        if done.returncode not in good and not may_fail:
            raise DemoFailed(
                f"python -m {module} {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def show_logs(self) -> None:
        """The last words of every part, where something went wrong."""
        for log in sorted((self._home / "logs").glob("*.log")):
            tail = log.read_text("utf-8", "replace").splitlines()[-15:]
            self._console.print(f"[dim]-- {log.name}[/dim]")
            self._console.out("\n".join(tail), highlight=False)


if __name__ == "__main__":
    sys.exit(main())
