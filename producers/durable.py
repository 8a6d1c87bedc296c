"""What the adapter keeps on disk: files that are there whole or not at all, and locks that no dead process keeps."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import InputError, Retryable


def write_whole(path: Path, content: bytes, what: str) -> None:
    """Either the old or the new content is there, after a power cut too; Retryable where `what` finds no room."""
    new = path.with_name(f"{path.name}.new")
    with writing(path.parent, what):
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        put_in_place(new, path)


def put_in_place(new: Path, path: Path) -> None:
    """Give a file that is synced its name, and sync the name."""
    os.replace(new, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def writing(folder: Path, what: str) -> Iterator[None]:
    """Raise Retryable, in one sentence, where the folder can not be written; `what` is being written there."""
    try:
        yield
    except OSError as error:
        raise Retryable(
            f"writing {what} in {folder}: {(error.strerror or str(error)).lower()}; make room there or set XINLIU_HOME "
            "to another folder, and run the same command again"
        ) from error


@contextmanager
def held(path: Path, what: str, busy: str) -> Iterator[None]:
    """Hold a lock file for oneself; the system lets go of it when the process ends, however it ends.

    Args:
        what: is written in its folder, for the sentence where that can not be.
        busy: the sentence of the InputError where another process holds it.
    """
    with writing(path.parent, what):
        file = path.open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(busy) from error
        yield
