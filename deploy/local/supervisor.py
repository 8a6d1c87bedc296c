"""Starts the parts of the stack in order, starts again what ends, and stops all in reverse order.

The process runs in the background, one for each XINLIU_HOME (a file lock says so); `deploy.local.control` starts and
stops it. Parts die with it even when it is killed by force (`deploy.local.tether`). What it did stands in
`logs/supervisor.log`, what runs in `run/status.json`. A part whose name stands in `run/stopped/` is kept stopped.
"""

import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from deploy.local.parts import Part, PartProcess
from deploy.local.processes import process_identity, wait_until
from deploy.local.stack import environment, select, stack
from deploy.local.status import PartStatus, StackStatus
from schemas.errors import ConfigurationError
from schemas.settings import Settings

logger = logging.getLogger(__name__)

_TICK_SECONDS = 0.1
_LOCK_SECONDS_MAX = 2.0
RESTART_SECONDS_FIRST = 0.2
RESTART_SECONDS_MAX = 10.0
HEALTHY_AFTER_SECONDS = 5.0  # of being ready: what fails at its start never comes so far


class StackPaths:
    """Where a stack keeps what is not data."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.run = self.home / "run"
        self.lock = self.run / "supervisor.lock"
        self.control_lock = self.run / "control.lock"
        self.status = self.run / "status.json"
        self.stopped = self.run / "stopped"
        self.logs = self.home / "logs"

    def log_file(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def make(self) -> None:
        """Make the folders; ConfigurationError where that can not be done."""
        try:
            for folder in (self.stopped, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"making the folder of the local stack {self.home} failed ({error.strerror}); "
                "set XINLIU_HOME to a folder that can be written"
            ) from error


class Backoff:
    """How long to wait before the next start: doubling, and from the beginning after some time of being ready."""

    def __init__(self) -> None:
        self._next_seconds = RESTART_SECONDS_FIRST

    def after_life_of(self, ready_seconds: float) -> float:
        """The wait after a process that was ready for so long."""
        if ready_seconds >= HEALTHY_AFTER_SECONDS:
            self._next_seconds = RESTART_SECONDS_FIRST
        wait_seconds = self._next_seconds
        self._next_seconds = min(2 * wait_seconds, RESTART_SECONDS_MAX)
        return wait_seconds


class Keeper:
    """Keeps one part alive. `tick` is called again and again with a monotonic clock; it never waits for the part."""

    def __init__(self, part: Part, log_file: Path) -> None:
        self._process = PartProcess(part, log_file)
        self._part = part
        self._backoff = Backoff()
        self._launched_at = 0.0
        self._ready_at: float | None = None
        self._launch_at = 0.0
        self._was_ready = False
        self.status = PartStatus(part.name, ports=list(part.ports), url=part.url, log_file=str(log_file))

    def tick(self, now_seconds: float, wanted: bool) -> None:
        """Look at the part once, and do what is to be done now."""
        state = self.status.state
        if state == "done":
            return
        if not wanted:
            if state != "stopped":
                self.stop()
        elif state in ("starting", "ready") and self._process.pid is None:
            self._note_end(now_seconds)
        elif state == "stopped" or (state in ("waiting", "restarting") and now_seconds >= self._launch_at):
            self._launch(now_seconds)
        elif state == "starting" and self._part.ready():
            self.status.state = "ready"
            self._was_ready = True
            self._ready_at = now_seconds
            logger.info("%s is ready, %.1f s after its start", self._part.name, now_seconds - self._launched_at)

    @property
    def is_up(self) -> bool:
        """Whether the parts after this one may start."""
        return self.status.state in ("ready", "done", "stopped")

    def stop(self) -> None:
        """End the part in order; returns once it is gone, or was not there."""
        if self._process.pid is not None:
            logger.info("stopping %s", self._part.name)
            self._process.stop()
            logger.info("%s has stopped with exit code %s", self._part.name, self._process.exit_code)
        self.status.state, self.status.pid, self.status.identity = "stopped", None, None

    def _launch(self, now_seconds: float) -> None:
        self._process.launch()
        self._launched_at = now_seconds
        self._ready_at = None
        self.status.state = "starting"
        self.status.pid, self.status.identity = self._process.pid, self._process.identity
        logger.info("started %s as process %s", self._part.name, self.status.pid)

    def _note_end(self, now_seconds: float) -> None:
        self.status.pid, self.status.identity = None, None
        self.status.last_exit_code = self._process.exit_code
        if self._part.once and self._process.exit_code == 0:
            self.status.state = "done"
            logger.info("%s is done", self._part.name)
            return
        lived_seconds = now_seconds - self._launched_at
        wait_seconds = self._backoff.after_life_of(0.0 if self._ready_at is None else now_seconds - self._ready_at)
        self._launch_at = now_seconds + wait_seconds
        self.status.state = "restarting"
        self.status.restarts += 1
        self.status.early_ends += not self._was_ready
        logger.warning(
            "%s ended with exit code %s after %.1f s; starting it again in %.1f s (restart %d)",
            self._part.name,
            self._process.exit_code,
            lived_seconds,
            wait_seconds,
            self.status.restarts,
        )


class Supervisor:
    """Runs the stack until it is told to stop."""

    def __init__(self, paths: StackPaths, parts: Sequence[Part]) -> None:
        self._paths = paths
        self._keepers = [Keeper(part, paths.log_file(part.name)) for part in parts]
        self._stop_asked = False
        self._last_written = ""

    def run(self) -> None:
        """Start all, keep all alive, and stop all at SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        try:
            for count, keeper in enumerate(self._keepers, start=1):
                self._keep_until(lambda last=keeper: last.is_up, self._keepers[:count])
            self._keep_until(lambda: False, self._keepers)
        finally:
            for keeper in reversed(self._keepers):
                keeper.stop()
                self._write_status()

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._stop_asked = True

    def _keep_until(self, condition: Callable[[], bool], keepers: Sequence[Keeper]) -> None:
        """Keep these parts alive until the condition holds, or the stack is to stop."""
        while not self._stop_asked:
            for keeper in keepers:
                wanted = not (self._paths.stopped / keeper.status.name).exists()
                keeper.tick(time.monotonic(), wanted)
            self._write_status()
            if condition():
                return
            time.sleep(_TICK_SECONDS)

    def _write_status(self) -> None:
        status = StackStatus(
            supervisor=process_identity(os.getpid()) or "",
            home=str(self._paths.home),
            parts=[keeper.status for keeper in self._keepers],
        )
        if repr(status) != self._last_written:
            status.write(self._paths.status)
            self._last_written = repr(status)


def _locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def supervise(settings: Settings, names: Sequence[str]) -> None:
    """Be the supervisor of the stack in `settings.home`: in the background, until SIGTERM. Does not return.

    The caller's process ends at once; its child, in a session of its own, goes on.
    """
    paths = StackPaths(settings.home)
    paths.make()
    if os.fork() != 0:
        os._exit(0)
    os.setsid()
    lock = paths.lock.open("w")
    # Whoever asks whether a supervisor runs holds the lock for a moment; another supervisor holds it for good.
    if not wait_until(lambda: _locked(lock), _LOCK_SECONDS_MAX):
        os._exit(0)
    for stopped in paths.stopped.iterdir():
        stopped.unlink()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    os.environ.update(environment(settings))
    os.chdir(paths.home)
    try:
        Supervisor(paths, select(stack(settings), names)).run()
    except Exception:
        logger.exception("the supervisor itself failed")
        os._exit(1)
    logger.info("all parts have stopped")
    os._exit(0)
