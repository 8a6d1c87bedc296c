"""Facts about processes and ports of this machine, read from the operating system."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from schemas.errors import ConfigurationError

LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.05


def process_identity(pid: int) -> str | None:
    """A text that no other process of this machine ever has again; None where `pid` has ended.

    A process id alone is given to another program sooner or later, so its start time is part of the identity.
    """
    if sys.platform != "linux":
        return _identity_from_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    after_command = stat.rpartition(")")[2].split()
    state, threads, start_ticks = after_command[0], after_command[17], after_command[19]  # fields 3, 20, 22 of proc(5)
    # A dead process shows as a zombie while its last threads still hold its ports and files.
    if state == "X" or (state == "Z" and int(threads) <= 1):
        return None
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{pid}/{start_ticks}/{boot_id}"


def _identity_from_ps(pid: int) -> str | None:
    answer = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = answer.stdout.strip().partition(" ")
    return f"{pid}/{started.strip()}" if started and not state.startswith("Z") else None


def end_process(identity: str, grace_seconds: float) -> None:
    """End exactly the process with this identity, by force after `grace_seconds`; returns once it is gone."""
    pid = int(identity.split("/", 1)[0])
    for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 30.0)):
        if process_identity(pid) != identity:
            return
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        if wait_until(lambda: process_identity(pid) != identity, seconds):
            return


def wait_until(condition: Callable[[], bool], seconds_max: float) -> bool:
    """Whether `condition` came true within `seconds_max`."""
    deadline = time.monotonic() + seconds_max
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def port_answers(port: int) -> bool:
    """Whether something listens on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0


def require_free_port(port: int, user: str, setting: str) -> None:
    """Raise the one sentence that a person needs when `user` can not have `port`."""
    if not port_is_free(port):
        raise ConfigurationError(
            f"starting {user}: port {port} is in use by another program; stop that program, or set {setting} "
            "to the first of 16 free ports"
        )


def free_port_base(count: int) -> int:
    """First of `count` consecutive free loopback ports, below the range that outgoing connections take theirs from."""
    for _ in range(1000):
        base = random.randrange(20_000, 32_000 - count)
        if all(port_is_free(base + i) for i in range(count)):
            return base
    raise ConfigurationError(f"looking for {count} free ports in a row between 20000 and 32000: there are none")
