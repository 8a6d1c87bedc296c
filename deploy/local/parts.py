"""A part of the local stack: a command, and the question whether it is ready; and a handle on one that runs."""

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.processes import end_process, process_identity, wait_until
from deploy.local.tether import tethered
from schemas.errors import Retryable

_LOG_BYTES_MAX = 16 << 20
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Part:
    """One process of the stack.

    `ready` is asked again and again after a start; it answers at once and raises nothing.
    `ports` is where the part listens; `url` is what a person may open or hand to a client; `note` says why a start
    may take long. A part that is there `once` runs to its end before the parts after it start, and that it ended with
    exit code 0 is its readiness; it may be run any number of times.
    """

    name: str
    argv: list[str]
    ready: Callable[[], bool]
    ports: tuple[int, ...] = ()
    url: str = ""
    note: str = ""
    once: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    grace_seconds: float = 20.0
    ready_seconds_max: float = 120.0


class PartProcess:
    """A part and the process that runs it now, if any; output goes to one log file. Not thread-safe.

    The process dies with the thread that started it (see `deploy.local.tether`): start from the main thread.
    """

    def __init__(self, part: Part, log_file: Path) -> None:
        self.part = part
        self.log_file = log_file
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id, None while it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def identity(self) -> str | None:
        """See `process_identity`."""
        return process_identity(self.pid) if self.pid is not None else None

    @property
    def exit_code(self) -> int | None:
        """Of the last process that ended; negative for a signal, as `subprocess` has it."""
        return self._process.poll() if self._process is not None else None

    def launch(self) -> None:
        """Start the process; returns at once."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        rotate(self.log_file)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                tethered(self.part.argv),
                env=_environment(self.part.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A Ctrl-C at the terminal goes to the whole group: only the owner of this handle may end the part.
                start_new_session=True,
            )

    def start(self) -> None:
        """Start the process and return once it is ready; Retryable where it ends or does not become ready."""
        self.launch()
        wait_until(lambda: self.pid is None or self.part.ready(), self.part.ready_seconds_max)
        if self.pid is None:
            raise Retryable(f"starting {self.part.name}: it ended with exit code {self.exit_code}; see {self.log_file}")
        if not self.part.ready():
            self.stop()
            raise Retryable(
                f"starting {self.part.name}: not ready after {self.part.ready_seconds_max:.0f} s; see {self.log_file}"
            )

    def stop(self) -> None:
        """End the process in order, by force after its grace; returns once it is gone."""
        identity = self.identity
        if identity is not None:
            end_process(identity, self.part.grace_seconds)
        if self._process is not None:
            self._process.wait()

    def kill9(self) -> None:
        """End the process as a power cut of this one process would; returns once it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _environment(additions: Mapping[str, str]) -> dict[str, str]:
    """Ours, with the product importable wherever the command was called from."""
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, **additions}


def rotate(log_file: Path) -> None:
    """Move a log that has grown large aside, so that a part keeps two files of bounded size across starts."""
    if log_file.exists() and log_file.stat().st_size > _LOG_BYTES_MAX:
        log_file.replace(log_file.with_name(log_file.name + ".1"))
