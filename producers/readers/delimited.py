"""Rows of .csv, .tsv and .txt files, streamed.

The separator is the one under which the header is found. A row with another number of cells than the header is
handed out empty with the fault `row_shape`, in its place, so that it is counted and nothing of it is guessed.
"""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv

from producers.formats import holds
from producers.readers.chunk import Chunk
from producers.readers.encoding import Text, look_through
from producers.readers.header import Header, find_header
from producers.readers.layout import Layout
from producers.readers.row_blocks import RowTooLong, row_blocks
from producers.readers.source import Source
from producers.readers.stream import Utf8Stream
from schemas.errors import InputError

_SEPARATORS = (",", "\t", ";", "|")
_HEAD_BYTES = 1 << 18
_BLOCK_BYTES = 4 << 20
_ROW_BYTES_MAX = 64 << 20
_COLUMNS_TELLING = 4  # with fewer, a comma and a line break in one cell are no sign of a lost quotation mark


@dataclass(frozen=True, slots=True)
class _Head:
    """What the head of the file says: separator, header, and where the rows begin.

    Attributes:
        row: number of the last row of the header, as a person counts.
        head_bytes: how many bytes stand before the first row of data.
    """

    separator: str
    header: Header
    row: int
    head_bytes: int


def _look_at_head(head: bytes, layout: Layout, doing: str) -> _Head:
    if len(head) >= _HEAD_BYTES and not (b"\n" in head or b"\r" in head):
        raise InputError(
            f"{doing}: the first row alone is longer than {_HEAD_BYTES >> 10} KiB, which no header is; export the "
            f"columns that mapping {layout.mapping} needs, with a row per line"
        )
    lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n|$)", head.decode("utf-8", "ignore"))
    best: _Head | None = None
    for separator in _SEPARATORS:
        rows, ends = _leading_rows(lines, separator, layout.header_rows)
        header = find_header(rows, layout, doing)
        if header is None:
            continue
        if best is None or (header.known, len(header.names)) > (best.header.known, len(best.header.names)):
            best = _Head(separator, header, header.end, len("".join(lines[: ends[header.end - 1]]).encode()))
    if best is None:
        raise InputError(
            f"{doing}: none of the first {layout.header_rows} rows is a header that mapping {layout.mapping} "
            "knows; check that it is the right mapping, and that the separator is a comma, tab, semicolon or |"
        )
    return best


def _leading_rows(lines: list[str], separator: str, count: int) -> tuple[list[list[str]], list[int]]:
    """The first rows, and after how many lines each ends."""
    rows: list[list[str]] = []
    ends: list[int] = []
    reader = csv.reader(lines, delimiter=separator)
    try:
        for row in reader:
            rows.append(row)
            ends.append(reader.line_num)
            if len(rows) == count:
                break
    except csv.Error:
        pass  # what could be read up to here is all that can be searched
    return rows, ends


def read_delimited(source: Source, layout: Layout, chunk_rows: int) -> Iterator[Chunk]:
    """Stream the file; memory is bounded by the size of a chunk."""
    text = look_through(source)
    if text.quotes % 2:
        _refuse_open_quote(source, text, layout)
    with source.open() as (raw, disk):
        stream = Utf8Stream(raw, text)
        head = _read_head(stream)
        found = _look_at_head(head, layout, source.doing)
        layout.check(found.header.names, source.doing)
        rest = head[found.head_bytes :] or stream.read(1)
        if not rest:
            return  # a header and no rows
        stream.push_back(rest)
        yield from _Rows(source, layout, found, disk, text).chunks(stream, chunk_rows)


def _read_head(stream: Utf8Stream) -> bytes:
    head = b""
    while len(head) < _HEAD_BYTES and (block := stream.read(_HEAD_BYTES - len(head))):
        head += block
    return head


class _Rows:
    """Batches of the CSV parser, with the rows that it could not take put back in their places."""

    def __init__(self, source: Source, layout: Layout, head: _Head, disk: BinaryIO, text: Text) -> None:
        self._source = source
        self._head = head
        self._names = head.header.names
        self._disk = disk
        self._quoted = text.quotes > 0  # a cell can hold a line break
        self._titled = bool(layout.group_titles)  # a row of one cell can be a title
        self._next_number = 1  # of a data row, header not counted

    def chunks(self, stream: Utf8Stream, chunk_rows: int) -> Iterator[Chunk]:
        waiting: list[pl.DataFrame] = []
        try:
            for block in row_blocks(stream, self._head.separator, self._quoted, _BLOCK_BYTES, _ROW_BYTES_MAX):
                waiting.append(self._parse(block))
                if sum(frame.height for frame in waiting) >= chunk_rows:
                    rows = pl.concat(waiting)
                    whole = rows.height - rows.height % chunk_rows
                    for start in range(0, whole, chunk_rows):
                        yield self._chunk(rows[start : start + chunk_rows])
                    waiting = [rows[whole:]]
        except RowTooLong:
            raise InputError(
                f"{self._source.doing}: one of the rows from row {self._head.row + self._next_number} on is longer "
                f"than {_ROW_BYTES_MAX >> 20} MiB, perhaps a quotation mark is never closed; rows before it were read; "
                "shorten or mend the row and run again"
            ) from None
        except pa.ArrowInvalid as error:
            raise InputError(
                f"{self._source.doing}: the rows from row {self._head.row + self._next_number} on can not be told "
                "apart, perhaps a quotation mark is never closed; rows before it were read; mend the file and run again"
            ) from error
        rows = pl.concat(waiting) if waiting else pl.DataFrame()
        if rows.height:
            yield self._chunk(rows)

    def _parse(self, block: bytes) -> pl.DataFrame:
        """The rows of a block with their numbers, those of another shape put back in their places."""
        odd: list[tuple[int, str]] = []

        def keep(row: pa_csv.InvalidRow) -> Literal["skip"]:
            assert row.number is not None, "one thread knows its rows' numbers"
            odd.append((row.number, row.text))
            return "skip"

        buffer: Any = pa.BufferReader(block)
        table = pa_csv.read_csv(
            buffer,
            # One thread: only then does the parser know the number of a row that it could not take.
            read_options=pa_csv.ReadOptions(column_names=self._names, block_size=len(block) + 1, use_threads=False),
            parse_options=pa_csv.ParseOptions(
                delimiter=self._head.separator,
                newlines_in_values=self._quoted,
                ignore_empty_lines=False,
                invalid_row_handler=keep,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types={name: pa.string() for name in self._names},
                strings_can_be_null=False,
            ),
        )
        cells = pl.DataFrame(pl.from_arrow(table))
        first = self._next_number
        self._next_number += cells.height + len(odd)
        numbers = np.arange(first, self._next_number, dtype=np.int64)
        odd = [(first - 1 + number, text) for number, text in odd]
        if odd:
            numbers = np.setdiff1d(numbers, np.array([number for number, _ in odd], np.int64), assume_unique=True)
        self._refuse_swallowed_rows(cells, numbers)
        frame = cells.with_columns(_row=pl.Series(numbers, dtype=pl.Int64), _fault=pl.lit(None, pl.String))
        return pl.concat([frame, self._odd_rows(odd)]).sort("_row") if odd else frame

    def _odd_rows(self, odd: list[tuple[int, str]]) -> pl.DataFrame:
        """Rows with another number of cells: too many cells that are all empty do no harm, all else is a fault."""
        names = self._names
        cells: list[list[str]] = []
        faults: list[str | None] = []
        for number, text in odd:
            with _cells_of_any_length():
                row = next(csv.reader([text], delimiter=self._head.separator), list[str]())
            if self._titled and len(row) == 1:
                row += [""] * (len(names) - 1)
            harmless = not any(cell.strip() for cell in row[len(names) :]) and len(row) >= len(names)
            blank = not any(cell.strip() for cell in row)
            if not harmless and not blank:
                self._refuse_swallowing(text, number)
            cells.append(row[: len(names)] if harmless else [""] * len(names))
            faults.append(None if harmless or blank else "row_shape")
        columns = {name: pl.Series([row[i] for row in cells], dtype=pl.String) for i, name in enumerate(names)}
        return pl.DataFrame(
            columns
            | {
                "_row": pl.Series([number for number, _ in odd], dtype=pl.Int64),
                "_fault": pl.Series(faults, dtype=pl.String),
            }
        )

    def _refuse_swallowed_rows(self, cells: pl.DataFrame, numbers: npt.NDArray[np.int64]) -> None:
        """A cell that holds whole rows: a quotation mark was opened and closed far below."""
        if not self._quoted or len(self._names) < _COLUMNS_TELLING:
            return
        for name in [name for name in cells.columns if holds(cells[name], "\n")]:
            for index in cells[name].str.contains("\n", literal=True).arg_true():
                self._refuse_swallowing(cells[name][index], int(numbers[index]))

    def _refuse_swallowing(self, text: str, number: int) -> None:
        separators = len(self._names) - 1
        lines = text.splitlines()[1:]
        if any(line.count(self._head.separator) >= separators for line in lines):
            row = self._head.row + number
            raise InputError(
                f"{self._source.doing}: a quotation mark in row {row} swallows the rows below it; rows before it were "
                "read; close or remove the mark and run again"
            )

    def _chunk(self, rows: pl.DataFrame) -> Chunk:
        faults = rows["_fault"]
        return Chunk(
            cells=rows.drop("_row", "_fault"),
            rows=(rows["_row"] + self._head.row).cast(pl.Int32).rename("row"),
            faults=faults.rename("fault") if faults.null_count() < len(faults) else None,
            title=self._head.header.title,
            bytes_done=self._disk.tell(),
        )


def _refuse_open_quote(source: Source, text: Text, layout: Layout) -> None:
    """Read a file with an odd number of quotation marks with care: is one of them still open at the end?"""
    with source.open() as (raw, _):
        stream = Utf8Stream(raw, text)
        head = _read_head(stream)
        separator = _look_at_head(head, layout, source.doing).separator
        stream.push_back(head)
        row = _open_at_the_end(stream.lines(), separator)
    if row is not None:
        raise InputError(
            f"{source.doing}: a quotation mark in row {row} is never closed, so the rows below it can not be told "
            "apart; nothing of the file was sent; close or remove the mark and run again"
        )


def _open_at_the_end(lines: Iterator[str], separator: str) -> int | None:
    """Number of the last row, if a quotation mark in it is still open: then a line put behind it becomes part of it."""
    sentinel = "\x1e"
    number, last = 0, list[str]()
    with _cells_of_any_length():
        for row in csv.reader(_then(lines, sentinel), delimiter=separator):
            number, last = number + 1, row
    return None if last == [sentinel] else number


@contextmanager
def _cells_of_any_length() -> Iterator[None]:
    """Python's reader has a limit for all of the process; ours is that of a row."""
    limit = csv.field_size_limit(_ROW_BYTES_MAX)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _then(lines: Iterator[str], last: str) -> Iterator[str]:
    ended = True
    for line in lines:
        ended = line.endswith("\n")
        yield line if ended else line + "\n"
    yield last
