"""Rows of .json (an array of objects, or an object that holds one) and .ndjson (an object per line).

Numbers stay as they are written, digit by digit. What is nested is laid flat, or becomes rows of its own where the
mapping says so (`nested`). In .json the rows are counted from 1, in .ndjson the lines are.
"""

import io
import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import polars as pl

from producers.readers.chunk import Chunk
from producers.readers.encoding import look_through
from producers.readers.layout import Layout
from producers.readers.nested import Row, flat, levels_of, parse_path, rows_at
from producers.readers.source import Source, whole
from producers.readers.stream import Utf8Stream
from schemas.errors import InputError

_FILE_BYTES_MAX = 256 << 20  # parsed, it takes several times as much memory


def read_json(source: Source, layout: Layout, chunk_rows: int) -> Iterator[Chunk]:
    """The whole file is in memory while it is read."""
    text = look_through(source)
    content = whole(source, _FILE_BYTES_MAX, "export it as .ndjson, an object per line, which has no limit")
    content = Utf8Stream(io.BytesIO(content), text).read().decode()
    try:
        document = _loads(content)
    except ValueError as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(
            f"{source.doing}: the file is not whole JSON{where}, nothing of it was sent; fetch it again"
        ) from error
    except RecursionError as error:
        raise InputError(f"{source.doing}: the values are nested too deeply; export an array of objects") from error
    rows, title = _rows_of(document, layout, source.doing)
    names = list(dict.fromkeys(name for row in rows if row is not None for name in row))
    if rows:
        check_members(names, layout, source.doing)
    for start in range(0, len(rows), chunk_rows):
        part = rows[start : start + chunk_rows]
        numbers = list(range(start + 1, start + len(part) + 1))
        yield chunk_of_rows(part, numbers, names, title, source.size * (start + len(part)) // len(rows))


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
            names = all_names(names, rows)
            if first:
                check_members(names, layout, source.doing)
            yield chunk_of_rows(rows, [number for number, _ in taken], names, (), disk.tell())


def _row_of_line(line: str) -> Row | None:
    try:
        return flat(_loads(line))
    except (ValueError, RecursionError):
        return None


def _loads(text: str) -> Any:
    return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)


def check_members(names: list[str], layout: Layout, doing: str) -> None:
    if layout.find_header([names]) is None:
        raise InputError(
            f"{doing}: the objects have no members that mapping {layout.mapping} knows; check that it is the right one"
        )
    layout.check(names, doing)


def _rows_of(document: Any, layout: Layout, doing: str) -> tuple[list[Row | None], tuple[str, ...]]:
    """The rows, and what else stands beside them, as a title."""
    if not isinstance(document, (dict, list)):
        raise InputError(f"{doing}: the file holds one value and no rows; export an array of objects")
    title: tuple[str, ...] = ()
    if isinstance(document, dict):
        title = tuple(f"{name}: {value}" for name, value in document.items() if isinstance(value, str))
    if layout.rows:
        path = parse_path(layout.rows)
        if isinstance(document, dict) and path[0] not in document:
            raise InputError(
                f"{doing}: the mapping's rows are at {layout.rows}, and the file has no {path[0]}; check that it is "
                "the right one"
            )
        return list(rows_at(document, path, levels_of(document, path))), title
    if isinstance(document, list):
        return [flat(item) for item in document], title
    arrays = dict(_arrays(document, ""))
    if len(arrays) != 1:
        found = ", ".join(arrays) or "none"
        raise InputError(
            f"{doing}: the file must hold one array of objects and holds {found}; name it as layout.rows in the mapping"
        )
    return [flat(item) for item in next(iter(arrays.values()))], title


def _arrays(value: dict[str, Any], place: str) -> Iterator[tuple[str, list[Any]]]:
    for name, member in value.items():
        path = f"{place}.{name}" if place else name
        if isinstance(member, list) and all(isinstance(item, dict) for item in member):
            yield path, member
        elif isinstance(member, dict):
            yield from _arrays(member, path)


def all_names(names: list[str], rows: list[Row | None]) -> list[str]:
    """The members seen so far and the new ones, so that every chunk has the columns of those before it."""
    return list(dict.fromkeys([*names, *(name for row in rows if row is not None for name in row)]))


def chunk_of_rows(
    rows: list[Row | None],
    numbers: list[int],
    names: list[str],
    title: tuple[str, ...],
    done: int,
) -> Chunk:
    """Rows under the same names; None becomes an empty row with the fault `row_shape`."""
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
