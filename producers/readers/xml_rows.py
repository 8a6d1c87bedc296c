"""Rows of .xml files: elements that repeat, an attribute as @name, an element in an element as a.b.

Streamed, one row element in memory at a time. A document type is refused with all that could come with it: entities
that multiply or that read other files. Without a path in the mapping, rows are the elements whose children it knows.
"""

import xml.parsers.expat as expat
from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

from producers.readers.chunk import Chunk
from producers.readers.encoding import look_through
from producers.readers.header import COLUMNS_MAX
from producers.readers.json_rows import all_names, check_members, chunk_of_rows
from producers.readers.layout import Layout
from producers.readers.nested import Levels, Row, parse_path, rows_at
from producers.readers.source import Source
from producers.readers.stream import Utf8Stream
from schemas.errors import InputError

_DEPTH_MAX = 64
_HEAD_BYTES = 1 << 20
_ELEMENT_CHARACTERS_MAX = 16 << 20
_CHILDREN_MAX = 1 << 20
_PARSED_BYTES = 1 << 18

Element = dict[str, Any]
Path = tuple[str, ...]


class _Forbidden(Exception):
    """What a table of rows has no use for; the text says what."""


def read_xml(source: Source, layout: Layout, chunk_rows: int) -> Iterator[Chunk]:
    """Rows are counted from 1."""
    text = look_through(source)
    try:
        with source.open() as (raw, _):
            path, inner = _row_path(Utf8Stream(raw, text).read(_HEAD_BYTES), layout, source)
        names: list[str] = []
        number = 1
        levels = list[AbstractSet[str]]()
        if inner:  # what the elements further in are called is known only at the end of the file
            with source.open() as (raw, _):
                levels = _levels(Utf8Stream(raw, text), path, inner)
        with source.open() as (raw, disk):
            rows = _rows(Utf8Stream(raw, text), path, inner, levels)
            while taken := list(islice(rows, chunk_rows)):
                first = not names
                names = all_names(names, taken)
                if len(names) > COLUMNS_MAX:
                    raise _Forbidden(f"its rows have more than {COLUMNS_MAX:,} different members")
                if first:
                    check_members(names, layout, source.doing)
                yield chunk_of_rows(taken, list(range(number, number + len(taken))), names, (), disk.tell())
                number += len(taken)
        if number == 1 and layout.rows:
            raise InputError(
                f"{source.doing}: the mapping's rows are at {layout.rows}, and the file has no such elements; check "
                "that it is the right one"
            )
    except expat.ExpatError as error:
        raise InputError(f"{source.doing}: the file is not whole XML (line {error.lineno}); fetch it again") from error
    except _Forbidden as error:
        raise InputError(f"{source.doing}: {error}, which is not read; export plain XML without it") from error


def _row_path(head: bytes, layout: Layout, source: Source) -> tuple[Path, list[str]]:
    """Where the elements stand that are rows or hold some, from the root on, and the steps to the rows in them."""
    seen = _Members()
    seen.parser().Parse(head, len(head) < _HEAD_BYTES)
    if layout.rows:
        steps = layout.rows.split(".")
        outer = 1 + next((at for at, step in enumerate(steps) if step.endswith("[]")), len(steps) - 1)
        names = parse_path(layout.rows)
        root = next(iter(seen.members), ())[:1]
        return (() if names[:1] == list(root) else root) + tuple(names[:outer]), names[outer:]
    scores = {path: layout.score(list(members)) for path, members in seen.members.items()}
    best = max(scores, key=lambda path: (scores[path], -len(path)), default=())
    if not best or scores[best] < min(2, len(layout.columns)):
        raise InputError(
            f"{source.doing}: no element has children that mapping {layout.mapping} knows; check that it is the right "
            "mapping, or name the elements as layout.rows in it"
        )
    return best, []


def _safe_parser() -> expat.XMLParserType:
    # The text comes as UTF-8 whatever the declaration says.
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def refuse(*_: object) -> int:
        raise _Forbidden("the file has a document type (<!DOCTYPE ...>) with entities or rules of its own")

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    return parser


def _local(name: str) -> str:
    """A name without the prefix of its namespace."""
    return name.rpartition(":")[2]


class _Members:
    """Which elements have which members, by their path."""

    def __init__(self) -> None:
        self.members: dict[Path, Counter[str]] = {}
        self._path: list[str] = []

    def parser(self) -> expat.XMLParserType:
        parser = _safe_parser()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = lambda name: self._path.pop()
        return parser

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = _local(name)
        if self._path:
            self.members.setdefault(tuple(self._path), Counter())[name] += 1
        if len(self.members) > COLUMNS_MAX:
            raise _Forbidden(f"it has more than {COLUMNS_MAX:,} different elements")
        self._path.append(name)
        if len(self._path) > _DEPTH_MAX:
            raise _Forbidden(f"its elements are nested more than {_DEPTH_MAX} deep")
        own = self.members.setdefault(tuple(self._path), Counter())
        own.update(f"@{_local(attribute)}" for attribute in attributes)


def _levels(stream: Utf8Stream, path: Path, inner: list[str]) -> list[AbstractSet[str]]:
    """Names of the members at each step from the path to the rows."""
    seen = _Members()
    parser = seen.parser()
    while block := stream.read(_PARSED_BYTES):
        parser.Parse(block, False)
    parser.Parse(b"", True)
    steps = [(*path, *inner[:taken]) for taken in range(len(inner) + 1)]
    return [set(seen.members.get(step, ())) for step in steps]


def _rows(stream: Utf8Stream, path: Path, inner: list[str], levels: Levels) -> Iterator[Row | None]:
    """The rows of all elements at the path, and of what is nested in them."""
    builder = _Builder(path)
    while block := stream.read(_PARSED_BYTES):
        builder.parser.Parse(block, False)
        for element in builder.take():
            yield from rows_at(element, inner, levels, path[-1])
    builder.parser.Parse(b"", True)


class _Builder:
    """Makes an object of each element at a path: attributes, children and text as members."""

    def __init__(self, path: Path) -> None:
        self._wanted = list(path)
        self._path: list[str] = []
        self._stack: list[tuple[Element, list[str]]] = []
        self._done = list[Element]()
        self._size = self._children = 0
        self.parser = _safe_parser()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def take(self) -> list[Element]:
        done, self._done = self._done, list[Element]()
        return done

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(_local(name))
        if len(self._path) > _DEPTH_MAX:
            raise _Forbidden(f"its elements are nested more than {_DEPTH_MAX} deep")
        if self._stack or self._path == self._wanted:
            if not self._stack:
                self._size = self._children = 0
            self._children += 1 + len(attributes)
            self._grow(sum(map(len, attributes.values())))
            element: Element = {f"@{_local(key)}": value for key, value in attributes.items()}
            self._stack.append((element, list[str]()))

    def _text(self, text: str) -> None:
        if self._stack:
            self._grow(len(text))
            self._stack[-1][1].append(text)

    def _grow(self, characters: int) -> None:
        self._size += characters
        if self._size > _ELEMENT_CHARACTERS_MAX or self._children > _CHILDREN_MAX:
            raise _Forbidden(f"one row of it is longer than {_ELEMENT_CHARACTERS_MAX >> 20} MiB")

    def _end(self, name: str) -> None:
        self._path.pop()
        if not self._stack:
            return
        element, texts = self._stack.pop()
        text = "".join(texts).strip()
        if not self._stack:
            self._done.append(element | ({"#text": text} if text else {}))
            return
        value: Any = text
        if element:
            value = element | ({"#text": text} if text else {})
        parent = self._stack[-1][0]
        key = _local(name)
        if key not in parent:
            parent[key] = value
        elif isinstance(parent[key], list):
            parent[key].append(value)
        else:
            parent[key] = [parent[key], value]
