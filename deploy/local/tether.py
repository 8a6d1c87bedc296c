"""Runs a command that dies with its parent: `python tether.py PARENT_PID COMMAND...`.

A supervisor that is killed by force can not stop its children, so on Linux the kernel does (PR_SET_PDEATHSIG, which
outlives execve). Elsewhere the command just runs, and the next `up` or `down` ends what the last one left.
No imports from the project: every child starts through this file.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tethered(command: list[str]) -> list[str]:
    """`command`, so that it dies with the thread that starts it."""
    # -I -S: nothing but the standard library is needed, and it starts in a third of the time.
    return [sys.executable, "-I", "-S", os.path.abspath(__file__), str(os.getpid()), *command]


def main(arguments: list[str]) -> None:
    """Tie this process to PARENT_PID, then become COMMAND."""
    parent_pid, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # the parent died before the line above took effect
            sys.exit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
