"""Rows of .json (an array of objects, or an object that holds one) and .ndjson (an object per line).

Numbers stay as they are written, digit by digit. What is nested is laid flat: a.b for an object in an object, its
values joined by a semicolon for an array. In .json the rows are counted from 1, in .ndjson the lines are.
"""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import polars as pl

from producers.readers.chunk import Chunk
from producers.readers.layout import Layout
from producers.readers.source import Source, Utf8Stream, blocks, look_through
from schemas.errors import InputError

Row = dict[str, str]


def read_json(source: Source, layout: Layout, chunk_rows: int) -> Iterator[Chunk]:
    """The whole file is in memory while it is read."""
    text = look_through(source)
    content = b"".join(blocks(source))[text.bom_bytes :].decode(text.encoding, "replace")
    try:
        document = _loads(content)
    except ValueError as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(
            f"{source.doing}: the file is not whole JSON{where}, nothing of it was sent; fetch it again"
        ) from error
    items, title = _rows_of(document, layout, source.doing)
    rows = [_flat(item) for item in items]
    names = list(dict.fromkeys(name for row in rows if row is not None for name in row))
    if rows:
        _check_header(names, layout, source.doing)
    size = source.path.stat().st_size
    for start in range(0, len(rows), chunk_rows):
        part = rows[start : start + chunk_rows]
        numbers = list(range(start + 1, start + len(part) + 1))
        yield _chunk(part, numbers, names, title, size * (start + len(part)) // len(rows))


def read_ndjson(source: Source, layout: Layout, chunk_rows: int) -> Iterator[Chunk]:
    """Streamed; a line that is no JSON object is a row with the fault `row_shape`."""
    text = look_through(source)
    names: list[str] = []
    with source.open() as (raw, disk):
        lines = enumerate(Utf8Stream(raw, text).lines(), start=1)
        filled = ((number, line) for number, line in lines if line.strip())
        while taken := list(islice(filled, chunk_rows)):
            rows = [_row_of_line(line) for _, line in taken]
            first = not names
            names = _all_names(names, rows)
            if first:
                _check_header(names, layout, source.doing)
            yield _chunk(rows, [number for number, _ in taken], names, (), disk.tell())


def _row_of_line(line: str) -> Row | None:
    try:
        return _flat(_loads(line))
    except ValueError:
        return None


def _loads(text: str) -> Any:
    return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)


def _check_header(names: list[str], layout: Layout, doing: str) -> None:
    if layout.find_header([names]) is None:
        raise InputError(
            f"{doing}: the objects have no members that mapping {layout.mapping} knows; check that it is the right one"
        )
    layout.check(names, doing)


def _rows_of(document: Any, layout: Layout, doing: str) -> tuple[list[Any], tuple[str, ...]]:
    """The array that holds the rows, and what else stands beside it, as a title."""
    if isinstance(document, list):
        return document, ()
    if not isinstance(document, dict):
        raise InputError(f"{doing}: the file holds one value and no rows; export an array of objects")
    title = tuple(f"{name}: {value}" for name, value in document.items() if isinstance(value, str))
    arrays = dict(_arrays(document, ""))
    if layout.rows_member:
        arrays = {name: rows for name, rows in arrays.items() if name == layout.rows_member}
    if len(arrays) != 1:
        found = ", ".join(arrays) or "none"
        raise InputError(
            f"{doing}: the file must hold one array of objects and holds {found}; name it as rows_member in the mapping"
        )
    return next(iter(arrays.values())), title


def _arrays(value: dict[str, Any], place: str) -> Iterator[tuple[str, list[Any]]]:
    for name, member in value.items():
        path = f"{place}.{name}" if place else name
        if isinstance(member, list) and all(isinstance(item, dict) for item in member):
            yield path, member
        elif isinstance(member, dict):
            yield from _arrays(member, path)


def _flat(item: Any) -> Row | None:
    """An object as cells, or None where it is none."""
    if not isinstance(item, dict):
        return None
    row: Row = {}
    for name, value in item.items():
        if isinstance(value, dict):
            row |= {f"{name}.{inner}": cell for inner, cell in (_flat(value) or {}).items()}
        else:
            row[name] = _text(value)
    return row


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ";".join(text for text in map(_text, value) if text)
    if isinstance(value, dict):
        return ";".join(text for text in map(_text, value.values()) if text)
    return str(value)


def _all_names(names: list[str], rows: list[Row | None]) -> list[str]:
    """The members seen so far and the new ones, so that every chunk has the columns of those before it."""
    return list(dict.fromkeys([*names, *(name for row in rows if row is not None for name in row)]))


def _chunk(
    rows: list[Row | None],
    numbers: list[int],
    names: list[str],
    title: tuple[str, ...],
    done: int,
) -> Chunk:
    empty: Row = {}
    filled = [empty if row is None else row for row in rows]
    cells = pl.DataFrame([pl.Series(name, [row.get(name, "") for row in filled], dtype=pl.String) for name in names])
    faults = None
    if any(row is None for row in rows):
        faults = pl.Series(
            "fault",
            ["row_shape" if row is None else None for row in rows],
            dtype=pl.String,
        )
    return Chunk(cells, pl.Series("row", numbers, dtype=pl.Int32), faults, title, done)
