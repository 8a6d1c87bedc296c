"""Rows that wait for their insert into the store, and when it is time for it. Time is handed in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from stream_processors.rows import Place

INSERT_ROWS_MAX = 100_000
_INSERT_BYTES_MAX = 128 * 1024 * 1024
_INSERT_EVERY_SECONDS = 1.0  # each insert makes a part, and parts have to be merged
_COMPANY_SECONDS = 0.05  # how long a row waits for others when nothing was inserted for a while


@dataclass(slots=True)
class Pending:
    """Rows that wait for their insert, and the position behind them."""

    tables: dict[str, list[pa.Table]] = field(default_factory=dict)
    positions: dict[Place, int] = field(default_factory=dict)
    reported_ms: list[np.ndarray[Any, Any]] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0
    newest_ms: float = 0.0
    """When Kafka took the newest of the messages."""
    since: float = 0.0
    """When the first of them came."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to insert and nothing to commit."""
        return not self.positions and not self.rows

    def add(self, tables: Mapping[str, pa.Table], positions: Mapping[Place, int], now: float, newest_ms: float) -> None:
        """Take rows in; `positions` are the offsets behind the messages that they came from."""
        if self.is_empty:
            self.since = now
        for name, rows in tables.items():
            self.tables.setdefault(name, []).append(rows)
            self.rows += rows.num_rows
            self.bytes += rows.nbytes
        self.positions |= positions
        self.newest_ms = max(self.newest_ms, newest_ms)


def due(pending: Pending, now: float, inserted_at: float) -> bool:
    """Whether to insert: at 100,000 rows or after a second, whichever comes first; at once when it was quiet.

    Args:
        now, inserted_at: seconds of one steady clock; the latter is when the last insert was.
    """
    if pending.is_empty:
        return False
    if pending.rows >= INSERT_ROWS_MAX or pending.bytes >= _INSERT_BYTES_MAX:
        return True
    return now - pending.since >= _COMPANY_SECONDS and now - inserted_at >= _INSERT_EVERY_SECONDS
