"""The cases of a mapping, run: `xinliu-adapter mappings test`.

Cases are data. They lie beside the mapping as NAME.cases.toml:

    title = ["Lista al 30 de noviembre de 2022"]    what stands above the header; may be left out
    [row]                                           the cells that every case begins with: header = text
    [[case]]
    why = "a sentence that the case proves"
    cells = { "处罚决定日期" = "昨天" }               what differs from row; "" empties a cell
    event = { decided_on = 2023-05-08 }             fields of the one event; those not named may hold anything
    events = [{ ... }, { ... }]                     of a row that makes several, all of them in their order
    reason = "value_unreadable"                     why the row is refused or set aside, as `check` would say

A case must say event, events or reason; one with a reason may say the others as well. What is empty is written "", [],
or, for dates and amounts, "". Non-goal: reading files; a reader has tests of its own.
"""

import tomllib
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from producers.fields import KINDS
from producers.formats import fold
from producers.mapping import Mapping
from producers.readers import Chunk
from schemas.errors import InputError
from schemas.examine import examine
from schemas.reasons import REASONS
from schemas.reference import Reference

ENDING = ".cases.toml"
_FIELDS = (*KINDS, "faults")
_KEYS = ("why", "cells", "title", "event", "events", "reason")


@dataclass(frozen=True, slots=True)
class Case:
    """One case as it is written.

    Attributes:
        cells: header -> text, those of `row` included.
        events: fields of each event that are compared; None where the case says none.
        reason: name of a reject reason; "" where the row must be good.
    """

    why: str
    cells: Dict[str, str]
    title: tuple[str, ...]
    events: tuple[Dict[str, Any], ...] | None
    reason: str


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a case.

    Attributes:
        differences: (what, expected, got) of everything that is not as the case says; none of them: it passes.
    """

    case: Case
    differences: tuple[tuple[str, str, str], ...]

    @property
    def passed(self) -> bool:
        return not self.differences


def cases_path(mapping_path: Path) -> Path:
    """Where the cases of a mapping lie."""
    return mapping_path.with_name(mapping_path.stem + ENDING)


def read_cases(path: Path) -> list[Case]:
    """The cases of a file; InputError names what is wrong with one."""
    doing = f"reading the cases {path}"
    try:
        written = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{doing}: there is no such file; mappings new writes one to begin with") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{doing}: it can not be read as UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{doing}: this is not TOML: {error}") from error
    row = _cells(doing, "row", written.get("row", {}))
    title = _texts(doing, "title", written.get("title", []))
    entries = written.get("case", [])
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{doing}: it holds no [[case]]")
    return [_case(f"{doing}: case {number}", entry, row, title) for number, entry in enumerate(entries, start=1)]


def _case(doing: str, entry: Any, row: Dict[str, str], title: tuple[str, ...]) -> Case:
    if not isinstance(entry, dict):
        raise InputError(f"{doing}: it must be a table, [[case]]")
    unknown = [key for key in entry if key not in _KEYS]
    if unknown:
        raise InputError(f"{doing}: {unknown[0]} is no part of a case; it has {', '.join(_KEYS)}")
    why, reason = entry.get("why", ""), entry.get("reason", "")
    if not isinstance(why, str) or not why:
        raise InputError(f"{doing}: why is missing: say in a sentence what it proves")
    doing = f"{doing} ({why})"
    if reason and reason not in REASONS:
        raise InputError(f"{doing}: {reason} is no reason; xinliu's reference lists them")
    events = entry.get("events", [entry["event"]] if "event" in entry else None)
    if "event" in entry and "events" in entry:
        raise InputError(f"{doing}: event and events exclude each other")
    if events is None and not reason:
        raise InputError(f"{doing}: it must say event, events or reason")
    if events is not None and not (isinstance(events, list) and all(isinstance(event, dict) for event in events)):
        raise InputError(f"{doing}: event must be a table of fields, events must be a list of tables")
    for event in events or ():
        for name in event:
            if name not in _FIELDS:
                raise InputError(f"{doing}: {name} is no field of an event")
    return Case(
        why,
        {**row, **_cells(doing, "cells", entry.get("cells", {}))},
        _texts(doing, "title", entry["title"]) if "title" in entry else title,
        None if events is None else tuple(events),
        reason,
    )


def _cells(doing: str, key: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(cell, str) for cell in value.values()):
        raise InputError(f"{doing}: {key} must be a table of texts: header = text")
    return value


def _texts(doing: str, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise InputError(f"{doing}: {key} must be a list of texts")
    return tuple(value)


def try_cases(mapping: Mapping, cases: Sequence[Case], reference: Reference) -> list[Tried]:
    """Run each case through the mapping, and what it makes through the examination that `check` and intake use."""
    return [Tried(case, tuple(_differences(mapping, case, reference))) for case in cases]


def _differences(mapping: Mapping, case: Case, reference: Reference) -> list[tuple[str, str, str]]:
    known = mapping.layout.locate(list(case.cells))
    dropped = {fold(header) for header in mapping.layout.dropped}
    located = {header for headers in known.values() for header in headers}
    strange = [header for header in case.cells if header not in located and fold(header) not in dropped]
    if strange:
        return [("header", "one that the mapping knows", header) for header in strange]
    cells = pl.DataFrame({header: [text] for header, text in case.cells.items()})
    mapped = mapping.apply(Chunk(cells, pl.Series("row", [2], dtype=pl.Int32), None, case.title))
    events = pl.DataFrame(pl.from_arrow(mapped.events)).to_dicts()
    found = [] if case.events is None else _events_differ(case.events, events)
    return found + _reason_differs(case.reason, _reason(mapping, mapped.refused, mapped.events, reference))


def _reason(mapping: Mapping, refused: pl.DataFrame, events: Any, reference: Reference) -> str:
    """Why the row would not be recorded; "" where it would."""
    if refused.height:
        return str(refused["reason"][0])
    rejects = examine(events, "", reference).rejects
    return str(rejects["reason"][0]) if rejects.height else ""


def _reason_differs(expected: str, got: str) -> list[tuple[str, str, str]]:
    return [] if expected == got else [("reason", expected or "none: a good row", got or "none: a good row")]


def _events_differ(expected: Sequence[Dict[str, Any]], got: Sequence[Dict[str, Any]]) -> list[tuple[str, str, str]]:
    if len(expected) != len(got):
        return [("events", str(len(expected)), str(len(got)))]
    several = len(expected) > 1
    return [
        (f"event {number} {name}" if several else name, _words(value), _words(event[name]))
        for number, (wanted, event) in enumerate(zip(expected, got, strict=True), start=1)
        for name, value in wanted.items()
        if _plain(value) != _plain(event[name])
    ]


def _plain(value: Any) -> Any:
    """A value of TOML and one of an event in the same form."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if value is None:
        return ""
    return list(value) if isinstance(value, (list, tuple)) else value


def _words(value: Any) -> str:
    plain = _plain(value)
    return ", ".join(map(str, plain)) if isinstance(plain, list) else str(plain)
