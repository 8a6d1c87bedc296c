"""Rows of .xlsx and .xls workbooks: of all visible sheets with the header that fits best, one after the other.

What the file is, is told by its content: an .xls under the name of an .xlsx is read all the same. The result that
Excel saved of a formula is its value; where none was saved, or the cell shows an error, the row is set aside.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import polars as pl
from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
    XmlError,
    ZipError,
)

from producers.readers.archive import Archive, Place
from producers.readers.cells import column, texts
from producers.readers.chunk import SKIPPED_SCHEMA, Chunk
from producers.readers.header import Header, find_header
from producers.readers.layout import Layout
from producers.readers.source import Source, kind_of, whole
from schemas.errors import InputError

_FILE_BYTES_MAX = 512 << 20
_ZIP = b"PK\x03\x04"
_OLD = b"\xd0\xcf\x11\xe0"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


@dataclass(frozen=True, slots=True)
class _Table:
    """A sheet with a header."""

    sheet: CalamineSheet
    header: Header
    without_value: frozenset[Place]


def read_workbook(source: Source, layout: Layout, chunk_rows: int) -> Iterator[Chunk]:
    """The whole sheet is in memory while it is read: Excel's format knows no other way.

    Rows of a second sheet are counted on from the last row of the first, so that each row has a number of its own.
    A sheet that is hidden or has another header is left out, and said among the skipped rows of the first chunk.
    """
    book, archive = _open(source)
    tables, left_out = _tables(book, archive, layout, source.doing)
    if not tables:
        where = f"the sheet {layout.sheet!r}" if layout.sheet else "no visible sheet"
        has = "is missing or has no header" if layout.sheet else "has a header"
        raise InputError(
            f"{source.doing}: {where} {has} that mapping {layout.mapping} knows among its first {layout.header_rows} "
            "rows; check that it is the right file and mapping"
        )
    layout.check(tables[0].header.names, source.doing)
    skipped = pl.DataFrame({"row": [0] * len(left_out), "why": left_out}, schema=SKIPPED_SCHEMA)
    rows_before = rows_done = 0
    rows_total = max(1, sum(table.sheet.total_height + 1 for table in tables))
    for table in tables:
        for numbers, cells, faults in _rows(table, layout, chunk_rows):
            rows_done += cells.height
            yield Chunk(
                cells,
                (numbers + rows_before).cast(pl.Int32).rename("row"),
                faults,
                table.header.title,
                min(source.size, source.size * (rows_done + table.header.end) // rows_total),
                skipped,
            )
            skipped = skipped.clear()
        rows_before += table.sheet.total_height + 1


def _open(source: Source) -> tuple[CalamineWorkbook, Archive | None]:
    content = whole(source, _FILE_BYTES_MAX, "split it into several workbooks, or save it as .csv")
    words = kind_of(content[:4096])
    if words == "a web page":
        raise InputError(
            f"{source.doing}: the file is a web page that was saved as {source.path.suffix}; open it in Excel and save "
            "it as .xlsx"
        )
    if not content.startswith((_ZIP, _OLD, b"\x09\x08", b"\x09\x04", b"\x09\x02")):
        raise InputError(f"{source.doing}: the file is {words}, no Excel workbook; export it from Excel again")
    if content.startswith(_OLD) and _ENCRYPTED in content:
        raise InputError(f"{source.doing}: the workbook has a password; save it without one")
    archive = Archive(content, source.doing) if content.startswith(_ZIP) else None
    try:
        return CalamineWorkbook.from_filelike(io.BytesIO(content)), archive
    except PasswordError as error:
        raise InputError(f"{source.doing}: the workbook has a password; save it without one") from error
    except (CalamineError, ZipError, XmlError, OSError) as error:
        raise InputError(f"{source.doing}: the file is damaged; export it from Excel again") from error


def _tables(
    book: CalamineWorkbook, archive: Archive | None, layout: Layout, doing: str
) -> tuple[list[_Table], list[str]]:
    """The sheets to be read, and why each other one with a known header is not."""
    found: list[_Table] = []
    left_out: list[str] = []
    for position, about in enumerate(book.sheets_metadata):
        if about.typ != SheetTypeEnum.WorkSheet or (layout.sheet and about.name.strip() != layout.sheet):
            continue
        try:
            sheet = book.get_sheet_by_index(position)
        except (CalamineError, XmlError, ZipError) as error:  # its rows may be the ones that count
            raise InputError(
                f"{doing}: sheet {position + 1} of the workbook is damaged; export it from Excel again"
            ) from error
        leading = [texts(row) for row in islice(sheet.iter_rows(), layout.header_rows)]
        header = find_header(leading, layout, doing)
        if header is None:
            continue
        if about.visible != SheetVisibleEnum.Visible:
            left_out.append("hidden sheet")
            continue
        without = archive.without_value[position : position + 1] if archive is not None else []
        found.append(_Table(sheet, header, without[0] if without else frozenset()))
    if not found:
        return [], left_out
    best = max(found, key=lambda table: table.header.known)
    tables = [table for table in found if table.header.names == best.header.names]
    return tables, [*left_out, *["sheet with another header"] * (len(found) - len(tables))]


def _rows(table: _Table, layout: Layout, chunk_rows: int) -> Iterator[tuple[pl.Series, pl.DataFrame, pl.Series | None]]:
    """Numbers in the sheet, cells and faults of its rows."""
    names = table.header.names
    first = table.header.end
    read = layout.locate(names)
    mapped = {names.index(name) for printed in read.values() for name in printed}
    left = (table.sheet.start or (0, 0))[1]  # rows are given from the first on, columns from the first filled one
    rows = islice(table.sheet.iter_rows(), first, None)
    while taken := list(islice(rows, chunk_rows)):
        columns = zip(*taken, strict=True)  # a sheet's rows are equally long, and may be longer than its header
        cells = pl.DataFrame([column(name, printed) for name, printed in zip(names, columns, strict=False)])
        faults = None
        if table.without_value:
            without = {row for row, place in table.without_value if place - left in mapped}
            found = ["value_unreadable:formula" if first + at in without else None for at in range(len(taken))]
            faults = pl.Series("fault", found, dtype=pl.String) if any(found) else None
        yield pl.Series("row", range(first + 1, first + len(taken) + 1), dtype=pl.Int64), cells, faults
        first += len(taken)
