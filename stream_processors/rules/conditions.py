"""What a rule asks of a record beyond its category and date: words, provisions, grades, amounts, regions.

Each condition is a line of a pack (`when = { legal_bases = ["《招标投标法》第53条"] }`), becomes one column expression,
and says itself in words. Non-goal: conditions on the subject; a rule can not choose whom it is about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

_WORDS = ("item", "state", "authority_name", "classes")  # one of the words stands in the text, or in one of the texts
_EQUAL = ("grade",)  # A is not AA
_PREFIXES = ("region",)
_CITED = ("legal_bases",)
_AMOUNTS = ("fine_fen_from", "amount_fen_from", "confiscated_fen_from")
SEPARATOR = "\x1f"  # between the texts of a list; it stands in no text
COLUMNS = (*_WORDS, *_EQUAL, *_PREFIXES, *_CITED, *_AMOUNTS)
_STATE = "中华人民共和国"
_SAYS = {
    "item": "whose item names",
    "state": "whose state names",
    "authority_name": "of an authority named",
    "classes": "of the kind",
    "grade": "with the grade",
    "region": "of the region",
    "legal_bases": "that cites",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: any of its words, or an amount of at least so much in fen."""

    column: str
    words: tuple[str, ...] = ()
    amount_fen: int = 0

    @property
    def reads(self) -> str:
        """The column of the record that it is about."""
        return self.column.removesuffix("_from")

    def expression(self) -> pl.Expr:
        """True where a record meets it; lists are joined to one text by `SEPARATOR`."""
        column = pl.col(self.reads)
        if self.column in _AMOUNTS:
            return column >= self.amount_fen
        if self.column in _EQUAL:
            return column.is_in(self.words)
        if self.column in _PREFIXES:
            return pl.any_horizontal(column.str.starts_with(word) for word in self.words)
        if self.column in _CITED:
            return pl.any_horizontal(column.str.contains(cited_pattern(word)) for word in self.words)
        return pl.any_horizontal(column.str.contains(word, literal=True) for word in self.words)

    def __str__(self) -> str:
        if self.column in _AMOUNTS:
            return f"with {self.reads} of {self.amount_fen} or more"
        return f"{_SAYS[self.column]} {' or '.join(self.words)}"


def cited_pattern(provision: str) -> str:
    """A pattern for a provision among citations, with or without 中华人民共和国 and edition, not for a longer number.

    《招标投标法》第53条 is found in 《中华人民共和国招标投标法》（2017修正）第53条第1款, not in …第530条 or …第53条之1.
    """
    found = re.fullmatch(r"《([^《》]+)》(.*)", provision)
    if found is None:
        return re.escape(provision)
    name, place = found[1].removeprefix(_STATE), found[2]
    behind = "(?:$|[^0-9之])" if place else ""
    return f"《(?:{_STATE})?{re.escape(name)}》(?:（[^（）]*）)?{re.escape(place)}{behind}"


def conditions_of(when: Mapping[str, Any]) -> tuple[Condition, ...]:
    """The conditions of a rule's table `when`; raises ValueError with half a sentence about the fault."""
    found: list[Condition] = []
    for column, value in when.items():
        if column not in COLUMNS:
            raise ValueError(f"asks about {column}, which no condition can be about (there are: {', '.join(COLUMNS)})")
        if column in _AMOUNTS:
            if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
                raise ValueError(f"needs a whole number of fen above 0 for {column}")
            found.append(Condition(column, amount_fen=value))
            continue
        if not isinstance(value, list) or not value or not all(isinstance(word, str) and word for word in value):
            raise ValueError(f"needs a list of words for {column}")
        found.append(Condition(column, tuple(value)))
    return tuple(found)
