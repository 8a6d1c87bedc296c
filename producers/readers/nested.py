"""Rows out of nested values: one agreement with many parties is as many rows, each with what the agreement says.

A path names the arrays on the way, `data.list[].parties[]`; the brackets of the last may be left out. What the
objects on the way say beside the path is carried down into each row. Where an inner object has a member of the same
name, the outer one is called by its place: `list.id`. An object with an empty array is a row of its own, without
what the array would have said, so that it is counted and not lost.
"""

from collections.abc import Iterator
from typing import Any

Row = dict[str, str]


def parse_path(path: str) -> list[str]:
    """`data.list[].parties[]` as data, list, parties."""
    return [part.removesuffix("[]") for part in path.split(".") if part.removesuffix("[]")]


def rows_at(value: Any, path: list[str]) -> Iterator[Row | None]:
    """All rows below a value; None for what should be an object and is none."""
    yield from _below(value, path, [], "")


def _below(value: Any, path: list[str], carried: list[tuple[str, Row]], place: str) -> Iterator[Row | None]:
    if isinstance(value, list):
        for item in value:
            yield from _below(item, path, carried, place)
    elif not path:
        own = flat(value)
        yield None if own is None else _joined(own, carried)
    elif not isinstance(value, dict):
        yield None
    else:
        beside = flat({name: member for name, member in value.items() if name != path[0]}) or {}
        inner = value.get(path[0])
        if inner in (None, "", [], {}):
            yield _joined(beside, carried)
        else:
            yield from _below(inner, path[1:], [*carried, (place, beside)], path[0])


def _joined(own: Row, carried: list[tuple[str, Row]]) -> Row:
    """The row with what the objects above it say; of one name the nearest keeps it, the others get their place."""
    row = dict(own)
    for place, beside in reversed(carried):
        for name, cell in beside.items():
            row.setdefault(f"{place}.{name}" if name in row and place else name, cell)
    return row


def flat(item: Any) -> Row | None:
    """An object as cells: `a.b` for an object in an object, the values of an array joined; None where it is none."""
    if not isinstance(item, dict):
        return None
    row: Row = {}
    for name, value in item.items():
        if isinstance(value, dict):
            row |= {f"{name}.{inner}": cell for inner, cell in (flat(value) or {}).items()}
        else:
            row[name] = text_of(value)
    return row


def text_of(value: Any) -> str:
    """A value in one cell."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ";".join(text for text in map(text_of, value) if text)
    if isinstance(value, dict):
        return ";".join(text for text in map(text_of, value.values()) if text)
    return str(value)
