"""How far a source has been read: one small file for each source, written so that it is always whole.

A pull leaves one of three things behind, whenever it is killed: nothing new; a read whose events lie whole in the
spool, are being sent and are named here as pending; or a watermark that has moved because all of them were
acknowledged. Files of the spool that are not named here are rests of a broken read and are removed.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from producers.durable import held, write_whole, writing
from producers.journal import key_of
from schemas.errors import InputError

WHAT = "the state of a source"


@dataclass(frozen=True, slots=True)
class Pending:
    """A read that is whole and not yet acknowledged; with it the state that follows.

    Attributes:
        spool: name of the file that holds its events.
        rows: rows that it holds.
        watermark, seen: as in `State`, once it is acknowledged.
        submission: under which it is being sent; empty before that began, and never on the disk.
    """

    spool: str
    rows: int
    watermark: str | None
    seen: str
    submission: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a source for one department, mapping and cluster.

    Attributes:
        identity: short name of what is read; a watermark means nothing for anything else.
        watermark: text of the newest value that was acknowledged, None before the first.
        seen: name of the file with the hashes of rows that the next read may meet again; empty = none.
        rows: rows that were acknowledged so far, over all pulls.
        pulls: pulls that brought rows.
        pulled_at: when the last pull ended, ISO 8601; empty = never.
        submission: of the last pull that brought rows.
    """

    source: str
    department: str
    mapping: str
    cluster: str
    identity: str
    watermark: str | None = None
    seen: str = ""
    rows: int = 0
    pulls: int = 0
    pulled_at: str = ""
    submission: str = ""
    pending: Pending | None = None

    def status(self) -> dict[str, Any]:
        """What a person asks for."""
        return {
            "source": self.source,
            "department": self.department,
            "mapping": self.mapping,
            "watermark": self.watermark,
            "rows": self.rows,
            "pulls": self.pulls,
            "pending_rows": self.pending.rows if self.pending else 0,
            "pulled_at": self.pulled_at,
            "submission": self.submission,
        }


class Shelf:
    """The files of one source, department, mapping and cluster."""

    def __init__(self, home: Path, source: str, department: str, mapping: str, cluster: str) -> None:
        self._states = home / "adapter" / "sources"
        self._spool = home / "adapter" / "spool"
        self._name = f"{source}.{key_of([source, department, mapping], cluster)}"
        self._empty = State(source, department, mapping, cluster, "")
        with writing(home / "adapter", WHAT):
            self._states.mkdir(parents=True, exist_ok=True)
            self._spool.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the source for oneself; the system lets go of it when the process ends, however it ends."""
        busy = f"pulling {self._empty.source}: another process is pulling this source now; wait until it has ended"
        with held(self._states / f"{self._name}.lock", WHAT, busy):
            yield

    def load(self) -> State:
        """The state, an empty one before the first pull; removes what a broken read left behind."""
        path = self._states / f"{self._name}.json"
        state = _read(path) if path.exists() else self._empty
        if state.pending is not None and not self.spool_file(state.pending.spool).exists():
            state = replace(state, pending=None)  # somebody removed it: the watermark has not moved, it is read again
        kept = {path.name, f"{self._name}.lock", state.seen}
        if state.pending is not None:
            kept |= {state.pending.spool, state.pending.seen}
        with writing(self._states, WHAT):
            for folder in (self._states, self._spool):
                for rest in folder.glob(f"{self._name}.*"):
                    if rest.name not in kept:
                        rest.unlink(missing_ok=True)
        return state

    def save(self, state: State) -> None:
        """Either the old or the new state is there, whatever happens."""
        write_whole(self._states / f"{self._name}.json", json.dumps(asdict(state), indent=1).encode(), WHAT)

    def new_name(self, state: State, ending: str) -> str:
        """A file name that this state does not name."""
        taken = {state.seen, state.pending.seen if state.pending else "", state.pending.spool if state.pending else ""}
        numbers = range(state.pulls, state.pulls + len(taken) + 2)
        return next(name for n in numbers if (name := f"{self._name}.{n}.{ending}") not in taken)

    def spool_file(self, name: str) -> Path:
        return self._spool / name

    def seen_file(self, name: str) -> Path:
        return self._states / name


def states(home: Path) -> list[State]:
    """All sources that were ever pulled from this home, by name."""
    folder = home / "adapter" / "sources"
    found = [_read(path) for path in sorted(folder.glob("*.json"))] if folder.is_dir() else []
    return sorted(found, key=lambda state: (state.source, state.department, state.mapping))


def _read(path: Path) -> State:
    try:
        fields = json.loads(path.read_text("utf-8"))
        pending = fields.pop("pending", None)
        return State(**fields, pending=Pending(**pending) if pending else None)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"reading {path}: this is not the state of a source as this version writes it; remove the file and pull "
            "again, which reads the source from its beginning (rows that were sent come back as repeats)"
        ) from error
