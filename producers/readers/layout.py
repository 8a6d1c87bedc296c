"""Where things stand in a file: which columns a mapping knows, by which spellings, and how its header is found."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from producers.formats import fold
from schemas.errors import InputError
from schemas.persons import screen_text

_SHOWN_MOST = 40
_SHOWN_LONGEST = 24


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the source under the name by which the mapping speaks of it."""

    name: str
    headers: tuple[str, ...]
    required: bool = False


@dataclass(frozen=True)
class Layout:
    """What a reader must know of a mapping.

    Attributes:
        mapping: name for messages.
        columns: all columns that the mapping reads, tests or names.
        dropped: headers of columns that are known and never read (representatives, papers, free text).
        one_of: groups of columns of which a file must have at least one.
        header_rows: how many leading rows may be above or be the header.
        rows: path to the rows in JSON and XML, `data.list[].parties[]` (see `nested`); "" = the only ones there are.
        sheet: name of the sheet of a workbook; "" = all visible ones with the header that fits best.
        group_titles: header of a column that is filled from titles between the rows; "" = there are none.
        group_pattern: what such a title must match.
        subject_column: the column that names the organisation, by which a sample row is known; "" = none.
        id_columns: the columns that identify it; a note or a total has none of them.
    """

    mapping: str
    columns: tuple[Column, ...]
    dropped: tuple[str, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    header_rows: int = 20
    rows: str = ""
    sheet: str = ""
    group_titles: str = ""
    group_pattern: str = ""
    subject_column: str = ""
    id_columns: tuple[str, ...] = ()

    @cached_property
    def _spellings(self) -> dict[str, list[tuple[str, int]]]:
        """Folded header -> (column, how far back in its list of spellings)."""
        known: dict[str, list[tuple[str, int]]] = {fold(header): [] for header in self.dropped}
        for column in self.columns:
            for preference, header in enumerate(column.headers):
                known.setdefault(fold(header), []).append((column.name, preference))
        return known

    def score(self, cells: Sequence[str]) -> int:
        """How many of the cells are headers that the mapping knows."""
        return sum(_fold(cell) in self._spellings for cell in cells if cell)

    def find_header(self, rows: Sequence[Sequence[str]]) -> int | None:
        """Index of the row with the most known headers among the first `header_rows`; None where none has two."""
        scores = [self.score(row) for row in rows[: self.header_rows]]
        best = max(scores, default=0)
        return scores.index(best) if best >= min(2, len(self.columns)) else None

    def locate(self, headers: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Column name -> the header cells that are this column, best spelling first; columns not there are left out."""
        found: dict[str, list[tuple[int, str]]] = {}
        for header in headers:
            for name, preference in self._spellings.get(_fold(header), ()):
                found.setdefault(name, []).append((preference, header))
        return {name: tuple(header for _, header in sorted(hits, key=lambda h: h[0])) for name, hits in found.items()}

    def check(self, headers: Sequence[str], doing: str) -> None:
        """Raise InputError where a column is missing that the mapping can not do without."""
        located = self.locate(headers)
        missing = [_names(column) for column in self.columns if column.required and column.name not in located]
        by_name = {column.name: column for column in self.columns}
        for group in self.one_of:
            if not any(name in located for name in group):
                missing.append(" or ".join(_names(by_name[name]) for name in group))
        if missing:
            raise InputError(
                f"{doing}: mapping {self.mapping} needs the column {', '.join(missing)}, and the header has only "
                f"{shown(headers)}; add the column, or its spelling to the mapping"
            )


def _fold(header: str) -> str:
    return fold(re.sub(r" #\d+$", "", header))


def _names(column: Column) -> str:
    return column.headers[0]


def shown(headers: Sequence[str]) -> str:
    """Header cells for a message. What holds a personal number or is too long for a header is not shown."""
    safe = [
        header if len(header) <= _SHOWN_LONGEST and screen_text(header) is None else "(a long or personal text)"
        for header in headers
        if header and not re.fullmatch(r"#\d+", header)
    ]
    rest = len(safe) - _SHOWN_MOST
    return ", ".join(safe[:_SHOWN_MOST]) + (f" and {rest} more" if rest > 0 else "")
