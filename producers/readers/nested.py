"""Rows out of nested values: one agreement with many parties is as many rows, each with what the agreement says.

A path names the arrays on the way, `data.list[].parties[]`; the brackets of the last may be left out. What the
objects on the way say beside the path is carried down into each row, under its own name. Where objects further in have
a member of that name, it is called by its place instead, `list.id` (`outer.id` for what stands at the very outside),
also in rows in which the inner one is missing: an agreement's number is never taken for a party's. An object with an
empty array is a row of its own, without what the array would have said, so that it is counted and not lost.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

Row = dict[str, str]
Levels = Sequence[AbstractSet[str]]  # names of the members at each step of a path, the outermost first


def parse_path(path: str) -> list[str]:
    """`data.list[].parties[]` as data, list, parties."""
    return [part.removesuffix("[]") for part in path.split(".") if part.removesuffix("[]")]


def levels_of(value: Any, path: list[str]) -> list[set[str]]:
    """Names of the members of all objects at each step of the path."""
    levels = [set[str]() for _ in range(len(path) + 1)]
    _collect(value, path, levels)
    return levels


def _collect(value: Any, path: list[str], levels: list[set[str]]) -> None:
    if isinstance(value, list):
        for item in value:
            _collect(item, path, levels)
    elif isinstance(value, dict):
        levels[len(levels) - 1 - len(path)].update(value)
        if path:
            _collect(value.get(path[0]), path[1:], levels)


def rows_at(value: Any, path: list[str], levels: Levels, place: str = "outer") -> Iterator[Row | None]:
    """All rows below a value; None for what should be an object and is none."""
    yield from _below(value, path, levels, {}, place)


def _below(value: Any, path: list[str], levels: Levels, carried: Row, place: str) -> Iterator[Row | None]:
    if isinstance(value, list):
        for item in value:
            yield from _below(item, path, levels, carried, place)
    elif not isinstance(value, dict):
        yield None
    elif not path:
        yield (flat(value) or {}) | carried
    else:
        further_in = set[str]().union(*levels[len(levels) - len(path) :])
        known = dict(carried)
        for name, member in value.items():
            if name != path[0]:
                own = f"{place}.{name}" if name in further_in else name
                known |= flat({own: member}) or {}
        inner = value.get(path[0])
        if inner in (None, "", [], {}):
            yield known
        else:
            yield from _below(inner, path[1:], levels, known, path[0])


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
