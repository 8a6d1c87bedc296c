"""The state of one partition: a flat open-addressing table from a 128-bit id to what register knows of it.

One slot of 64 bytes, a cache line, for each record and each marker; the subject's key lies beside it. Looking up and
inserting take whole columns of ids. Every write goes to an undo list, so that an aborted transaction is taken back
exactly. Non-goal: deciding what a report does; that is `stream_processors.fold`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

SLOT = np.dtype(
    {
        "names": [
            "high",
            "low",
            "content",
            "content_order",
            "status_order",
            "revision",
            "expires_on",
            "department",
            "status",
            "rank",
            "category",
        ],
        "formats": ["<u8", "<u8", "<u8", "<i8", "<i8", "<u4", "<i4", "<u4", "u1", "u1", "u1"],
        "itemsize": 64,
    }
)
KEY = np.dtype("S32")
_LINE = np.dtype((np.void, SLOT.itemsize))  # numpy copies a whole line much faster than the fields in it, one by one
NEVER = np.int32(2**31 - 1)  # expires_on of a record without an end of publication
_FULL = 0.6  # beyond this load, probing gets long
_OWNERS = 1 << 16


class Index:
    """Slots by id. `revision` 0 means that a slot is free.

    Attributes:
        slots: structured array of SLOT; read it at the places that `find` returns.
        keys: the subject key of each slot, as bytes.
        rows: how many slots are taken.
    """

    def __init__(self, rows_expected: int = 1024) -> None:
        self.rows = 0
        self._undo: list[tuple[Array, Array | None]] = []
        self._allocate(_capacity(rows_expected))

    def _allocate(self, capacity: int) -> None:
        self.slots = np.zeros(capacity, SLOT)
        self._lines = self.slots.view(_LINE)
        self.keys = np.zeros(capacity, KEY)
        self._mask = np.int64(capacity - 1)
        self._owner = np.zeros(_OWNERS, np.int64)

    def __len__(self) -> int:
        return self.rows

    def clear(self, capacity: int | None = None) -> None:
        """Forget everything; with `capacity`, a table of exactly so many slots (a power of two)."""
        self._allocate(capacity or self.capacity)
        self.rows = 0
        self._undo = []

    def recount(self) -> None:
        """Count the slots in use anew, after they were filled from outside."""
        self.rows = int(np.count_nonzero(self.slots["revision"]))

    @property
    def capacity(self) -> int:
        return len(self.slots)

    def reserve(self, more: int) -> bool:
        """Make room for so many more ids; True when the table was rebuilt. Only between batches: it forgets the undo
        list."""
        if self.rows + more <= _FULL * self.capacity:
            return False
        taken = self.taken()
        slots, keys = self.at(taken), self.keys[taken]
        self._allocate(_capacity(self.rows + more))
        self.rows = 0
        places = self.insert(slots["high"], slots["low"])
        self.put(places, slots)
        self.keys[places] = keys
        self._undo = []
        return True

    def at(self, places: Array) -> Array:
        """A copy of the slots at these places, structured as SLOT."""
        return self._lines[places].view(SLOT)

    def put(self, places: Array, slots: Array) -> None:
        """Overwrite the slots at these places, with nothing noted for an undo."""
        self._lines[places] = slots.view(_LINE)

    def taken(self) -> Array:
        """Places of all slots that are in use."""
        return np.flatnonzero(self.slots["revision"])

    def find(self, high: Array, low: Array) -> Array:
        """Place of each id, or -1."""
        found = np.full(len(high), -1, np.int64)
        rows = np.arange(len(high))
        places = low.astype(np.int64) & self._mask
        revisions, lows, highs = self.slots["revision"], self.slots["low"], self.slots["high"]
        while len(rows):
            used = np.flatnonzero(revisions[places])
            rows, places = rows[used], places[used]
            same = (lows[places] == low[rows]) & (highs[places] == high[rows])
            found[rows[same]] = places[same]
            rows, places = rows[~same], (places[~same] + 1) & self._mask
        return found

    def insert(self, high: Array, low: Array) -> Array:
        """Take a free slot for each id, all different and none of them present; returns the places.

        The slots hold the id and revision 1, all else is zero for the caller to fill. Ids that want the same slot go
        one per round, so that each finds the other.
        """
        result = np.zeros(len(high), np.int64)
        rows = np.arange(len(high))
        places = low.astype(np.int64) & self._mask
        while len(rows):
            free = self.slots["revision"][places] == 0
            wanting, wanted = rows[free], places[free]
            cell = wanted & (_OWNERS - 1)
            self._owner[cell] = wanting  # of several, one stays: it wins this round
            won = self._owner[cell] == wanting
            winners, taken = wanting[won], wanted[won]
            self.slots["high"][taken], self.slots["low"][taken] = high[winners], low[winners]
            self.slots["revision"][taken] = 1
            result[winners] = taken
            left = np.ones(len(rows), bool)
            left[np.flatnonzero(free)[won]] = False
            rows = rows[left]
            places = np.where(free[left], places[left], (places[left] + 1) & self._mask)
        self.rows += len(high)
        self._undo.append((result, None))
        return result

    def remember(self, places: Array) -> None:
        """Note what stands at these places before it is overwritten."""
        self._undo.append((places, self.at(places)))

    def changed(self) -> Array:
        """Every place that was written since the last `forget`, once."""
        if not self._undo:
            return np.zeros(0, np.int64)
        return np.unique(np.concatenate([places for places, _ in self._undo]))

    def forget(self) -> None:
        """The batch is committed: what was before it is not needed any more."""
        self._undo = []

    def undo(self) -> None:
        """The batch was aborted: take every write since the last `forget` back, newest first."""
        for places, before in reversed(self._undo):
            if before is None:
                self.slots[places] = np.zeros((), SLOT)
                self.keys[places] = b""
                self.rows -= len(places)
            else:
                self.put(places, before)
        self._undo = []


def _capacity(rows: int) -> int:
    return 1 << max(10, int(np.ceil(np.log2(max(rows, 1) / _FULL))))
