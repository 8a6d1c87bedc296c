"""Ops as a process of its own, as `xinliu run ops` starts it; a test may plant what Faust does to agents."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.local.stack import environment
from schemas.settings import Settings


class OpsProcess:
    """One running ops."""

    def __init__(self, settings: Settings, secret: str, plant: str = "") -> None:
        self.log = settings.home / "ops.log"
        root = Path(__file__).resolve().parents[2]
        env = environment(settings) | {"OPS_TEST_SECRET": secret, "OPS_TEST_PLANT": plant, "PYTHONPATH": str(root)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([sys.executable, __file__], env=env, stdout=log, stderr=log)

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def end(self, number: int = signal.SIGTERM, seconds_max: float = 30.0) -> int:
        """Send the signal, and return its exit code once it is gone."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(seconds_max)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def kill9(self) -> None:
        self.end(signal.SIGKILL)


@contextmanager
def ops_running(settings: Settings, secret: str, plant: str = "") -> Iterator[OpsProcess]:
    process = OpsProcess(settings, secret, plant)
    try:
        yield process
    finally:
        process.kill9()


def _plant(name: str) -> None:
    from stream_processors.ops import desk
    from stream_processors.ops.desk import Desk

    rings = [0]
    genuine = Desk.ring

    def raising(self: Desk, topic: str) -> None:
        rings[0] += 1
        if rings[0] % 2:
            raise RuntimeError("planted: the agent's body raises")
        genuine(self, topic)

    def told(self: Desk, topic: str) -> None:
        sys.stderr.write("a ring\n")
        sys.stderr.flush()
        genuine(self, topic)

    plants: dict[str, Any] = {"ring_raises": raising, "only_rings": told}
    if name:
        Desk.ring = plants[name]  # type: ignore[method-assign]
    if name == "only_rings":
        desk.LOOK_SECONDS = 3_600.0


if __name__ == "__main__":
    from stream_processors.ops import app

    _plant(os.environ["OPS_TEST_PLANT"])
    app.run(Settings.from_env(os.environ))
