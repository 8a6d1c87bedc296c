"""What is still to be told to whom, and up to where `credit.measures` was read for it: one small file.

A reader's position and what that reading put into its queue are one transaction of the file, so a kill at any moment
neither skips a message nor queues it twice. Lost as a whole, it is read anew from the log, and everything is told again
under the same ids: at least once. Not safe for two processes; `ops` is one.

Non-goals: when to try again (`sender.py`), and what is told (`webhook.py`, `notices.py`).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from schemas.errors import InputError, Retryable

P = ParamSpec("P")
R = TypeVar("R")
UnitCounts = Mapping[tuple[str, str, str], int]  # unit, day, kind of change → how many

_TABLES = """
CREATE TABLE IF NOT EXISTS log (topic TEXT PRIMARY KEY, identity TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS positions (
    reader TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL, PRIMARY KEY (reader, partition)
);
CREATE TABLE IF NOT EXISTS queue (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    reader TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
    id TEXT NOT NULL, body BLOB NOT NULL, queued_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, why TEXT NOT NULL DEFAULT '', dead INTEGER NOT NULL DEFAULT 0,
    UNIQUE (reader, partition, offset)
);
CREATE TABLE IF NOT EXISTS counts (
    reader TEXT NOT NULL, unit TEXT NOT NULL, day TEXT NOT NULL, kind TEXT NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY (reader, unit, day, kind)
);
CREATE INDEX IF NOT EXISTS waiting ON queue (reader, dead, number);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one log message is to one reader.

    Attributes:
        id: the same whenever this transition is told; receivers know a repeat by it.
        body: what is told.
    """

    reader: str
    partition: int
    offset: int
    id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Queued:
    """An entry in the queue.

    Attributes:
        queued_at: seconds since 1970.
        attempts: how often it failed; `why`: how it failed last.
    """

    number: int
    reader: str
    id: str
    body: bytes
    queued_at: float
    attempts: int
    why: str


def _move(cursor: sqlite3.Cursor, positions: Mapping[tuple[str, int], int]) -> None:
    cursor.executemany(
        "INSERT INTO positions VALUES (?, ?, ?) ON CONFLICT (reader, partition) "
        "DO UPDATE SET next_offset = max(next_offset, excluded.next_offset)",
        [(reader, partition, offset) for (reader, partition), offset in positions.items()],
    )


def look(path: Path) -> tuple[dict[str, tuple[int, int]], list[Queued]]:
    """Counts and dead letters as another process sees them, while ops goes on.

    Raises:
        InputError: there is no ledger, so that nothing can be said of what was told.
        Retryable: it can not be read now.
    """
    if not path.exists():
        raise InputError(
            f"reading the ledger of ops: there is none at {path}; ops has not run here yet, or XINLIU_HOME names "
            "another folder than that of ops"
        )
    try:
        with closing(Ledger(path)) as ledger:
            return ledger.counts(), ledger.dead()
    except sqlite3.Error as error:
        raise Retryable(f"reading the ledger {path}: {error}; run it again as the user who runs ops") from error


def _alone(method: Callable[Concatenate[Ledger, P], R]) -> Callable[Concatenate[Ledger, P], R]:
    """One call at a time."""

    @wraps(method)
    def call(self: Ledger, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._lock:
            return method(self, *args, **kwargs)

    return call


class Ledger:
    """The file. Calls block for a disk's write at most, and may come from any thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = FULL")
        self._file.executescript(_TABLES)
        self._lock = threading.RLock()  # a transaction is of one thread: the connection is shared

    def close(self) -> None:
        self._file.close()

    @_alone
    def belongs_to(self, topic: str, identity: str, readers: Sequence[str]) -> None:
        """Positions are of one incarnation of the topic: those of another one are forgotten, and it is read anew.

        Args:
            readers: all who read that topic.
        """
        row = self._file.execute("SELECT identity FROM log WHERE topic = ?", (topic,)).fetchone()
        if row is not None and row[0] == identity:
            return
        with self._transaction() as cursor:
            if row is not None:
                names = [(reader,) for reader in readers]
                cursor.executemany("DELETE FROM positions WHERE reader = ?", names)
                cursor.executemany("DELETE FROM counts WHERE reader = ?", names)
                # Offsets of the old topic would stand in the way of the new one's; what waits is still told.
                cursor.executemany("UPDATE queue SET offset = -number WHERE reader = ?", names)
            cursor.execute("INSERT OR REPLACE INTO log VALUES (?, ?)", (topic, identity))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        """All of the block or nothing."""
        with closing(self._file.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                cursor.execute("ROLLBACK")
                raise

    @_alone
    def positions(self, reader: str) -> dict[int, int]:
        """Where the reader goes on in each partition; 0 where it has not begun."""
        rows = self._file.execute("SELECT partition, next_offset FROM positions WHERE reader = ?", (reader,))
        return dict(rows.fetchall())

    @_alone
    def advance(self, positions: Mapping[tuple[str, int], int], entries: Iterable[Entry], now: float) -> int:
        """Queue what was read, and move the readers on, both or neither; returns how many are new in the queue."""
        rows = [(e.reader, e.partition, e.offset, e.id, e.body, now) for e in entries]
        with self._transaction() as cursor:
            before = self._file.total_changes
            cursor.executemany(
                "INSERT OR IGNORE INTO queue (reader, partition, offset, id, body, queued_at) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
            new = self._file.total_changes - before
            _move(cursor, positions)
        return new

    @_alone
    def count(self, positions: Mapping[tuple[str, int], int], counts: UnitCounts) -> None:
        """Add to the counts of pilot units, and move their one reader on, both or neither."""
        (reader,) = {reader for reader, _ in positions}
        with self._transaction() as cursor:
            cursor.executemany(
                "INSERT INTO counts VALUES (?, ?, ?, ?, ?) ON CONFLICT (reader, unit, day, kind) "
                "DO UPDATE SET number = number + excluded.number",
                [(reader, *place, number) for place, number in counts.items()],
            )
            _move(cursor, positions)

    @_alone
    def unit_counts(self) -> UnitCounts:
        """All of them."""
        rows = self._file.execute("SELECT unit, day, kind, number FROM counts")
        return {(unit, day, kind): number for unit, day, kind, number in rows}

    @_alone
    def first(self, reader: str) -> Queued | None:
        """What this reader is to be told next, oldest first; None when nothing waits."""
        row = self._file.execute(
            "SELECT number, reader, id, body, queued_at, attempts, why FROM queue "
            "WHERE reader = ? AND dead = 0 ORDER BY number LIMIT 1",
            (reader,),
        ).fetchone()
        return None if row is None else Queued(*row)

    @_alone
    def delivered(self, number: int) -> None:
        self._file.execute("DELETE FROM queue WHERE number = ?", (number,))

    @_alone
    def failed(self, number: int, why: str, *, dead: bool) -> None:
        """One more attempt failed; a dead one waits for an operator instead of the next attempt."""
        self._file.execute(
            "UPDATE queue SET attempts = attempts + 1, why = ?, dead = ? WHERE number = ?", (why, int(dead), number)
        )

    @_alone
    def redrive(self, reader: str, now: float) -> int:
        """Put the dead letters of a reader back where they were; returns how many."""
        done = self._file.execute(
            "UPDATE queue SET dead = 0, attempts = 0, queued_at = ? WHERE reader = ? AND dead = 1", (now, reader)
        )
        return done.rowcount

    @_alone
    def dead(self, reader: str | None = None) -> list[Queued]:
        """Dead letters, oldest first, of one reader or of all."""
        rows = self._file.execute(
            "SELECT number, reader, id, body, queued_at, attempts, why FROM queue "
            "WHERE dead = 1 AND (?1 IS NULL OR reader = ?1) ORDER BY number",
            (reader,),
        )
        return [Queued(*row) for row in rows]

    @_alone
    def counts(self) -> dict[str, tuple[int, int]]:
        """Reader → (waiting, dead)."""
        rows = self._file.execute("SELECT reader, sum(1 - dead), sum(dead) FROM queue GROUP BY reader")
        return {reader: (waiting, dead) for reader, waiting, dead in rows}
