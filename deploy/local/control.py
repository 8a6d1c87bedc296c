"""Brings a local stack up and down, and asks how it is: what people, tests and benchmarks call.

A stack belongs to its folder (XINLIU_HOME): two folders, two stacks, each with ports of its own.
"""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from deploy.local.parts import Part, rotate
from deploy.local.processes import end_process, process_identity, require_free_port, wait_until
from deploy.local.stack import environment, select, stack
from deploy.local.status import PartStatus, StackStatus, read_status
from deploy.local.supervisor import StackPaths
from schemas.errors import EXIT_INPUT, InputError, Retryable, XinliuError
from schemas.settings import Settings

Say = Callable[[str], None]

_EARLY_ENDS_MAX = 5
_POLL_SECONDS = 0.1
_SUPERVISOR_START_SECONDS_MAX = 20.0
_STOP_SECONDS_MAX = 120.0
_LEFTOVER_GRACE_SECONDS = 5.0


def up(settings: Settings, parts: Iterable[str] = (), say: Say = lambda line: None) -> StackStatus:
    """Start the stack in the background, or those `parts` of it, and return once all are ready.

    A stack that is up already is left as it is. `say` gets a line for each thing that is waited for.
    Raises ConfigurationError for a port in use, InputError for other parts than those that are up, Retryable for a
    part that does not come up; nothing is left running then.
    """
    paths = StackPaths(settings.home)
    wanted = select(stack(settings), parts)
    with _one_at_a_time(paths):
        if is_up(settings):
            return _already_up(paths, wanted, say)
        _end_leftovers(paths, say)
        for part in wanted:
            for port in part.ports:
                require_free_port(port, part.name, "XINLIU_PORT_BASE")
        _launch_supervisor(settings, paths, [part.name for part in wanted])
    try:
        return _wait_until_ready(paths, wanted, say)
    except BaseException:
        down(settings)
        raise


def down(settings: Settings, say: Say = lambda line: None) -> bool:
    """Stop the stack, in reverse order; when this returns nothing of it runs. Whether there was anything to stop."""
    paths = StackPaths(settings.home)
    with _one_at_a_time(paths):
        was_up = is_up(settings)
        if was_up:
            found = wait_for_status(paths)
            say(f"stopping {', '.join(part.name for part in reversed(found.parts) if part.pid is not None)}")
            end_process(found.supervisor, _STOP_SECONDS_MAX)
        return _end_leftovers(paths, say) or was_up


def status(settings: Settings) -> StackStatus | None:
    """How the stack is now; None when it is not up. A part that was ready and answers no more is `not ready`."""
    paths = StackPaths(settings.home)
    if not is_up(settings):
        return None
    found = wait_for_status(paths)
    by_name = {part.name: part for part in stack(settings)}
    return replace(found, parts=[_look_again(known, by_name.get(known.name)) for known in found.parts])


def stop_part(settings: Settings, name: str) -> None:
    """Stop one part and keep it stopped; returns once it is gone."""
    paths = _paths_with_part(settings, name)
    (paths.stopped / name).touch()
    _wait_for_state(paths, name, ("stopped",))


def start_part(settings: Settings, name: str) -> None:
    """Start a stopped part; returns once it is ready."""
    paths = _paths_with_part(settings, name)
    (paths.stopped / name).unlink(missing_ok=True)
    _wait_for_state(paths, name, ("ready", "done"))


def restart(settings: Settings, name: str) -> None:
    """Stop one part in order and start it again; returns once it is ready."""
    stop_part(settings, name)
    start_part(settings, name)


def is_up(settings: Settings) -> bool:
    """Whether a supervisor holds the lock of this stack."""
    lock = StackPaths(settings.home).lock
    if not lock.exists():
        return False
    with lock.open("r+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def wait_for_status(paths: StackPaths) -> StackStatus:
    """What the living supervisor wrote; it writes first of all."""
    found: list[StackStatus] = []

    def written() -> bool:
        status = read_status(paths.status)
        if status is not None and process_identity(_pid(status.supervisor)) == status.supervisor:
            found.append(status)
        return bool(found)

    if not wait_until(written, _SUPERVISOR_START_SECONDS_MAX):
        raise Retryable(f"asking the supervisor of {paths.home}: it does not tell its state; see {paths.logs}")
    return found[0]


@contextmanager
def _one_at_a_time(paths: StackPaths) -> Iterator[None]:
    """Two commands that come at once do their work one after the other."""
    paths.make()
    with paths.control_lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _already_up(paths: StackPaths, wanted: list[Part], say: Say) -> StackStatus:
    running = wait_for_status(paths)
    missing = [part.name for part in wanted if part.name not in {known.name for known in running.parts}]
    if missing:
        raise InputError(
            f"starting {', '.join(missing)}: the stack in {paths.home} is up without; run down first, then up"
        )
    say(f"the stack in {paths.home} is up already")
    return running


def _launch_supervisor(settings: Settings, paths: StackPaths, names: list[str]) -> None:
    log_file = paths.log_file("supervisor")
    rotate(log_file)
    command = [sys.executable, "-m", "deploy.local", "supervise", "--parts", ",".join(names)]
    with log_file.open("ab") as log:
        done = subprocess.run(
            command, env=environment(settings), stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
        )
    if done.returncode != 0:
        raise XinliuError(f"starting the supervisor failed with exit code {done.returncode}; see {log_file}")
    wait_for_status(paths)


def _wait_until_ready(paths: StackPaths, wanted: list[Part], say: Say) -> StackStatus:
    started_at = time.monotonic()
    waiting_for = ""
    while True:
        now = wait_for_status(paths)
        for known, part in zip(now.parts, wanted, strict=True):
            if known.state in ("ready", "done"):
                continue
            _raise_if_it_can_not_start(known, part, time.monotonic() - started_at)
            if waiting_for != known.name:
                waiting_for, started_at = known.name, time.monotonic()
                say(f"waiting for {known.name}" + (f" ({part.note})" if part.note else ""))
            break
        else:
            return now
        time.sleep(_POLL_SECONDS)


def _raise_if_it_can_not_start(known: PartStatus, part: Part, waited_seconds: float) -> None:
    # Exit code 2 says that something has to be mended first: trying again can not help.
    if known.early_ends >= _EARLY_ENDS_MAX or (known.early_ends and known.last_exit_code == EXIT_INPUT):
        why = f"it ended with exit code {known.last_exit_code} (tried {known.early_ends} times)"
    elif waited_seconds > part.ready_seconds_max:
        why = f"it is not ready after {waited_seconds:.0f} s"
    else:
        return
    raise Retryable(f"starting {known.name}: {why}; its log {known.log_file} ends with: {_last_line(known.log_file)}")


def _last_line(log_file: str) -> str:
    try:
        with open(log_file, "rb") as log:
            log.seek(max(0, os.path.getsize(log_file) - 4096))
            lines = log.read().decode(errors="replace").split("\n")
    except FileNotFoundError:
        return "(nothing)"
    return next((line.strip() for line in reversed(lines) if line.strip()), "(nothing)")


def _end_leftovers(paths: StackPaths, say: Say) -> bool:
    """End what a supervisor that was killed left behind; only processes that are still the very ones it started."""
    left = read_status(paths.status)
    if left is None:
        return False
    alive = [identity for identity in left.identities if process_identity(_pid(identity)) == identity]
    if alive:
        say(f"ending {len(alive)} processes that a supervisor left behind")
    for identity in reversed(alive):
        end_process(identity, _LEFTOVER_GRACE_SECONDS)
    paths.status.unlink(missing_ok=True)
    return bool(alive)


def _look_again(known: PartStatus, part: Part | None) -> PartStatus:
    if known.state == "ready" and part is not None and not part.ready():
        return replace(known, state="not ready")
    return known


def _paths_with_part(settings: Settings, name: str) -> StackPaths:
    paths = StackPaths(settings.home)
    if not is_up(settings):
        raise InputError(f"looking for {name}: the stack in {paths.home} is not up; run up first")
    names = [part.name for part in wait_for_status(paths).parts]
    if name not in names:
        raise InputError(f"looking for {name}: the stack in {paths.home} has no such part; it has {', '.join(names)}")
    return paths


def _wait_for_state(paths: StackPaths, name: str, states: tuple[str, ...]) -> None:
    def reached() -> bool:
        return any(part.name == name and part.state in states for part in wait_for_status(paths).parts)

    if not wait_until(reached, _STOP_SECONDS_MAX):
        raise Retryable(f"waiting for {name} to be {states[0]}: it is not after {_STOP_SECONDS_MAX:.0f} s")


def _pid(identity: str) -> int:
    return int(identity.split("/", 1)[0])
