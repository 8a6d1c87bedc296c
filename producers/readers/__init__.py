"""Files as rows of text, whatever their format, encoding and separator; what a cell means is the mapping's business.

Each unusable file ends in one InputError, a sentence that says what was read, what is wrong and what to do.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl

from producers.readers.chunk import Chunk
from producers.readers.delimited import read_delimited
from producers.readers.json_rows import read_json, read_ndjson
from producers.readers.layout import Column, Layout
from producers.readers.skip import reasons_to_skip
from producers.readers.source import KINDS, find
from producers.readers.workbook import read_workbook

__all__ = ["ENDINGS", "Chunk", "Column", "Layout", "progress_total", "read"]

ENDINGS: tuple[str, ...] = tuple(KINDS)
_READERS = {
    "delimited": read_delimited,
    "workbook": read_workbook,
    "json": read_json,
    "ndjson": read_ndjson,
}


def read(path: Path, layout: Layout, *, chunk_rows: int = 50_000) -> Iterator[Chunk]:
    """Read a file in the order of its rows, at most `chunk_rows` at a time, without the rows that are no data.

    Raises:
        InputError: the file, its header or one of its rows can not be read; at the first step for all that can be
            seen without giving out a row (a packed file that ends early, a missing column), else naming the row.
    """
    source = find(path)
    for chunk in _READERS[source.kind](source, layout, chunk_rows):
        yield _without_skipped(chunk, layout)


def _without_skipped(chunk: Chunk, layout: Layout) -> Chunk:
    why = reasons_to_skip(chunk.cells, layout)
    if chunk.faults is not None:  # such a row is handed out empty; it is a row all the same
        why = pl.select(pl.when(chunk.faults.is_null()).then(why)).to_series()
    if why.null_count() == len(why):
        return chunk
    kept = why.is_null()
    skipped = pl.DataFrame({"row": chunk.rows, "why": why}).filter(~kept & (why != "blank"))
    return replace(
        chunk,
        cells=chunk.cells.filter(kept),
        rows=chunk.rows.filter(kept),
        faults=None if chunk.faults is None else chunk.faults.filter(kept),
        skipped=skipped,
    )


def progress_total(path: Path) -> int:
    """Bytes of the file on disk; `Chunk.bytes_done` counts up to it."""
    return find(path).path.stat().st_size
