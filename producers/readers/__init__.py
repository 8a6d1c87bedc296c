"""Files as rows of text, whatever their format, encoding and separator; what a cell means is the mapping's business.

Each unusable file ends in one InputError, a sentence that says what was read, what is wrong and what to do.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl

from producers.readers.chunk import Chunk
from producers.readers.damage import faults_of_text, without_long_cells
from producers.readers.delimited import read_delimited
from producers.readers.groups import Groups
from producers.readers.json_rows import read_json, read_ndjson
from producers.readers.layout import Column, Layout
from producers.readers.skip import reasons_to_skip
from producers.readers.source import KINDS, find
from producers.readers.workbook import read_workbook
from producers.readers.xml_rows import read_xml

__all__ = ["ENDINGS", "Chunk", "Column", "Layout", "progress_total", "read"]

ENDINGS: tuple[str, ...] = tuple(KINDS)
_READERS = {
    "delimited": read_delimited,
    "workbook": read_workbook,
    "json": read_json,
    "ndjson": read_ndjson,
    "xml": read_xml,
}


def read(path: Path, layout: Layout, *, chunk_rows: int = 100_000) -> Iterator[Chunk]:
    """Read a file in the order of its rows, at most `chunk_rows` at a time, without the rows that are no data.

    Raises:
        InputError: the file, its header or one of its rows can not be read; at the first step for all that can be
            seen without giving out a row (a packed file that ends early, a missing column), else naming the row.
    """
    source = find(path)
    groups = Groups(layout) if layout.group_titles else None
    for chunk in _READERS[source.kind](source, layout, chunk_rows):
        source.require_unchanged()
        yield _without_skipped(_judged(chunk, layout), layout, groups)
    source.require_unchanged()


def _judged(chunk: Chunk, layout: Layout) -> Chunk:
    """With the faults of its text beside those of its shape."""
    found = faults_of_text(chunk.cells, layout)
    if found is None:
        return chunk
    faults = found if chunk.faults is None else pl.select(pl.coalesce(chunk.faults, found)).to_series()
    return replace(chunk, cells=without_long_cells(chunk.cells), faults=faults.rename("fault"))


def _without_skipped(chunk: Chunk, layout: Layout, groups: Groups | None) -> Chunk:
    why = reasons_to_skip(chunk.cells, layout)
    if groups is not None:
        cells, titles = groups.carry_down(chunk.cells, chunk.title)
        chunk = replace(chunk, cells=cells)
        why = pl.select(pl.when(why.is_null() & titles).then(pl.lit("group")).otherwise(why)).to_series().rename("why")
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
        skipped=pl.concat([chunk.skipped, skipped]),
    )


def progress_total(path: Path) -> int:
    """Bytes of the file on disk; `Chunk.bytes_done` counts up to it."""
    return find(path).size
