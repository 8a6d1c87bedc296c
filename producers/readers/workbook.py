"""Rows of .xlsx and .xls workbooks: the first visible sheet that holds the header.

Numbers become text as Excel shows them: fifteen significant digits, no more. A code that was stored as a number has
lost its end; it comes out as 9.11E+17 and is refused by the check of codes, not repaired.
"""

import io
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any

import polars as pl
from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetVisibleEnum,
    XmlError,
    ZipError,
)

from producers.readers.chunk import Chunk, unique_names
from producers.readers.layout import Layout
from producers.readers.source import Source, blocks, kind_of
from schemas.errors import InputError

_INTEGER_DIGITS = 15


def read_workbook(source: Source, layout: Layout, chunk_rows: int) -> Iterator[Chunk]:
    """The whole sheet is in memory while it is read: Excel's format knows no other way."""
    book = _open(source)
    found = _sheet_with_header(book, layout)
    if found is None:
        raise InputError(
            f"{source.doing}: no visible sheet has a header that mapping {layout.mapping} knows among its first "
            f"{layout.header_rows} rows; check that it is the right file and mapping"
        )
    sheet, leading, at = found
    header = leading[at]
    while header and not header[-1].strip():
        header = header[:-1]
    names = unique_names([cell.replace("\n", " ") for cell in header])
    layout.check(names, source.doing)
    title = tuple(cell.strip() for row in leading[:at] for cell in row if cell.strip())
    size = source.path.stat().st_size
    rows = islice(sheet.iter_rows(), at + 1, None)
    first = at + 2
    total = max(1, sheet.total_height + 1)
    while taken := list(islice(rows, chunk_rows)):
        columns = zip(*taken, strict=True)  # a sheet's rows are equally long, and may be longer than its header
        cells = pl.DataFrame(
            [pl.Series(name, _texts(column), dtype=pl.String) for name, column in zip(names, columns, strict=False)]
        )
        numbers = pl.Series("row", range(first, first + len(taken)), dtype=pl.Int32)
        first += len(taken)
        yield Chunk(cells, numbers, None, title, min(size, size * first // total))


def _open(source: Source) -> CalamineWorkbook:
    content = b"".join(blocks(source))
    try:
        return CalamineWorkbook.from_filelike(io.BytesIO(content))
    except PasswordError as error:
        raise InputError(f"{source.doing}: the workbook has a password; save it without one") from error
    except (CalamineError, ZipError, XmlError, OSError) as error:
        words = kind_of(content[:4096])
        what = "damaged" if words is None or words.startswith(("a ZIP", "an old")) else f"{words}, no Excel workbook"
        raise InputError(f"{source.doing}: the file is {what}; export it from Excel again") from error


def _sheet_with_header(book: CalamineWorkbook, layout: Layout) -> tuple[CalamineSheet, list[list[str]], int] | None:
    for position, sheet_data in enumerate(book.sheets_metadata):
        if sheet_data.visible != SheetVisibleEnum.Visible:
            continue
        try:
            sheet = book.get_sheet_by_index(position)
        except (CalamineError, XmlError, ZipError):
            continue  # a chart, or a damaged sheet beside the one that counts
        leading = [_texts(row) for row in islice(sheet.iter_rows(), layout.header_rows)]
        at = layout.find_header(leading)
        if at is not None:
            return sheet, leading, at
    return None


def _texts(cells: Any) -> list[str]:
    """Cells of one row or column as text; a column of texts, the usual one, is passed on as it is."""
    if all(map(str.__instancecheck__, cells)) if False else set(map(type, cells)) <= {str}:
        return list(cells)
    return [cell if type(cell) is str else _text(cell) for cell in cells]


def _text(cell: Any) -> str:
    match cell:
        case bool():
            return "TRUE" if cell else "FALSE"
        case float():
            text = f"{cell:.{_INTEGER_DIGITS}g}"
            return text.upper()
        case int():
            return str(cell)
        case datetime():
            return cell.isoformat(" ")
        case date() | time():
            return cell.isoformat()
        case timedelta():
            return str(cell)
        case None:
            return ""
        case _:
            return str(cell)
