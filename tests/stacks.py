"""A whole local stack for tests, started as people start it: parts that a test may kill, and questions to it.

Non-goal: one server alone; those are the fixtures of `conftest`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local import control
from deploy.local.http import http_get
from deploy.local.processes import free_port_base, process_identity, wait_until
from deploy.local.stack import environment
from deploy.local.status import PartStatus
from schemas.avro import RECEIPT
from schemas.codec import decode
from schemas.errors import EXIT_SOME_NOT_GOOD
from schemas.reasons import OUTCOMES
from schemas.settings import Settings
from schemas.topics import receipts_topic
from stream_processors.kafka import read_all

PORTS = 16
SECONDS_MAX = 120.0


@dataclass(frozen=True)
class Stack:
    """A running stack. Commands run in processes of their own, as a user's do."""

    settings: Settings

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to find this stack."""
        return environment(self.settings)

    def python(self, module: str) -> list[str]:
        """The beginning of a command line."""
        return [sys.executable, "-m", module]

    def command(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What `python -m module` answers."""
        return subprocess.run(
            [*self.python(module), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def xinliu(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.command("stream_processors", *arguments)

    def adapter(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.command("producers", *arguments)

    def publish(self, *files: Path, department: str, mapping: str, more: Sequence[str] = ()) -> dict[str, Any]:
        """Publish and wait for every receipt; returns the answer for machines."""
        names = [str(file) for file in files]
        line = ["publish", *names, "--department", department, "--mapping", mapping, "--wait", "--json", *more]
        done = self.adapter(*line)
        assert done.returncode in (0, EXIT_SOME_NOT_GOOD), done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return json.loads(done.stdout)

    @contextmanager
    def simulating(
        self, department: str, seed: int, count: int, events_per_second: float
    ) -> Iterator[subprocess.Popen[str]]:
        """Made-up events in the background; at the end of the block all of them are acknowledged."""
        line = ["simulate", "events", "--department", department, "--seed", str(seed), "--json"]
        line += ["--count", str(count), "--rate", str(events_per_second)]
        sender = subprocess.Popen(
            [*self.python("producers"), *line],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield sender
            out, err = sender.communicate(timeout=600)
            assert sender.returncode == 0, err
            assert json.loads(out)["events"] == count
        finally:
            if sender.poll() is None:
                sender.kill()
                sender.communicate()

    def part(self, name: str) -> PartStatus:
        """How the supervisor sees it now."""
        status = control.status(self.settings)
        assert status is not None, "the stack is not up"
        return next(part for part in status.parts if part.name == name)

    def wait_ready(self, name: str) -> PartStatus:
        """Return once the part says that it is ready, and holds now."""
        found: list[PartStatus] = []

        def ready() -> bool:
            found.append(self.part(name))
            return found[-1].state == "ready"

        assert wait_until(ready, SECONDS_MAX), f"{name} is {found[-1].state}; {self.tail(name)}"
        return found[-1]

    def kill9(self, name: str) -> int:
        """Kill a ready part by force; returns when that was, in milliseconds since 1970."""
        part = self.wait_ready(name)
        assert part.pid is not None
        assert part.identity == process_identity(part.pid), f"{name} ended by itself; {self.tail(name)}"
        os.kill(part.pid, signal.SIGKILL)
        return time.time_ns() // 1_000_000

    def verify(self, wait_seconds: float = SECONDS_MAX) -> dict[str, Any]:
        """The proof from outside, which must hold; returns its answer for machines."""
        done = self.xinliu("verify", "--json", "--wait", str(wait_seconds))
        assert done.returncode == 0, (done.stderr, _differences(done.stdout))
        return json.loads(done.stdout)

    def outcomes(self, report: dict[str, Any], department: str) -> Counter[str]:
        """Events of a department in all, and by what became of them, from the report of `verify`."""
        rows = [row for row in report["events"] if row["department"] == department]
        return +Counter({name: sum(row[name] for row in rows) for name in ("events", *OUTCOMES)})

    def received(self, department: str) -> Counter[str]:
        """The same by the receipts as they stand, without any proof: for what was there before a test."""
        counts: Counter[str] = Counter()
        for batch in read_all(self.settings, receipts_topic(department)):
            receipts = decode(RECEIPT, batch.values).batch
            for outcome, offsets in zip(receipts["outcome"].to_pylist(), receipts["offsets"].to_pylist(), strict=True):
                counts += Counter({outcome: len(offsets), "events": len(offsets)})
        return counts

    def log(self, name: str) -> str:
        """All that a part has printed."""
        path = control.StackPaths(self.settings.home).log_file(name)
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def tail(self, name: str) -> str:
        """The last lines that a part has printed, for words about a failure."""
        return f"the log of {name} ends with:\n" + "\n".join(self.log(name).splitlines()[-12:])

    def metric(self, port: int, name: str, *labels: str) -> float | None:
        """A sample of a lane's /metrics page by its name and pieces of its labels; None where there is none."""
        page = (http_get(port, "/metrics") or b"").decode()
        for line in page.splitlines():
            series, _, value = line.rpartition(" ")
            if series.split("{")[0] == name and all(label in series for label in labels):
                return float(value)
        return None


def _differences(answer: str) -> Any:
    """What a failed verification says, in short."""
    try:
        report = json.loads(answer)
    except ValueError:
        return answer
    failed = [
        (check["name"], check["differences"], check["examples"][:5]) for check in report["checks"] if not check["ok"]
    ]
    return failed, report["unjudged"]


@contextmanager
def stack_in(home: Path, parts: Sequence[str] = (), **fields: Any) -> Iterator[Stack]:
    """A stack in this folder, on free ports, for the length of the block."""
    settings = Settings(home=home, port_base=free_port_base(PORTS), **fields)
    try:
        control.up(settings, parts)
        yield Stack(settings)
    finally:
        control.down(settings)


def wait_for(condition: Callable[[], bool], what: str, seconds_max: float = SECONDS_MAX) -> None:
    """Return once the condition holds; fail with words about it otherwise."""
    assert wait_until(condition, seconds_max), f"not within {seconds_max:.0f} s: {what}"
