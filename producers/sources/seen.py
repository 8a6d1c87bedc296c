"""Which rows were met before: hashes of what was sent, so that a row that is read again is not sent again.

A hash is made of the events as they go to the topic, or of the reason alone where a row is refused: never of a cell
that is not sent. Two rows that say the same at the same moment have the same hash; that costs nothing, since the
second would be a repeat.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from producers.durable import write_whole
from producers.sources.state import WHAT
from schemas.hashing import hash_128

Hashes = np.ndarray[Any, np.dtype[np.uint64]]
"""Shape (rows, 2): high and low half of 128 bits."""


def hashes_of(lines: pl.DataFrame, watermarks: pl.Series) -> Hashes:
    """One hash for each spooled line (`spool.LINE_SCHEMA`) together with the watermark of its row."""
    frame = lines.with_columns(watermarks.alias("watermark"))
    return np.stack(hash_128(frame, ["watermark", *lines.columns]), axis=1)


class Seen:
    """A set of hashes, sorted: 16 bytes for each."""

    def __init__(self, hashes: Hashes) -> None:
        order = np.lexsort((hashes[:, 1], hashes[:, 0]))
        ordered = hashes[order]
        fresh = np.ones(len(ordered), bool)
        fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
        self.hashes = ordered[fresh]
        self._high = np.ascontiguousarray(self.hashes[:, 0])

    def __len__(self) -> int:
        return len(self.hashes)

    def has(self, hashes: Hashes) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which of the hashes are in the set."""
        found = np.zeros(len(hashes), bool)
        at = np.searchsorted(self._high, hashes[:, 0])
        open_rows = np.arange(len(hashes))
        while len(open_rows):  # more than once only where two hashes share a half
            open_rows = open_rows[at[open_rows] < len(self._high)]
            open_rows = open_rows[self._high[at[open_rows]] == hashes[open_rows, 0]]
            found[open_rows] |= self.hashes[at[open_rows], 1] == hashes[open_rows, 1]
            at[open_rows] += 1
        return found

    def write(self, path: Path) -> None:
        """Whole or not at all."""
        content = io.BytesIO()
        np.save(content, self.hashes, allow_pickle=False)
        write_whole(path, content.getvalue(), WHAT)


def load(path: Path) -> Seen:
    """The set that `write` wrote; an empty one where the file is gone, which costs repeats only."""
    if not path.is_file():
        return Seen(np.zeros((0, 2), np.uint64))
    return Seen(np.load(path, allow_pickle=False))
