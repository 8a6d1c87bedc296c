"""What the words of a header mean: the table `header_words.csv`, for proposing a mapping of a form never seen before.

Non-goal: reading files by it. A file is read by a mapping, in which a person has confirmed each header.
"""

import csv
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from producers.formats import fold

TABLE = Path(__file__).parent / "header_words.csv"
_REPRESENTATIVE = "representative"
_PART_OF_AT_MOST = 40  # characters; a longer text that holds a word of a header is a sentence


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a header means.

    Attributes:
        meaning: as in the table.
        whole: the whole header is known, not only a part of it.
    """

    meaning: str
    whole: bool


@dataclass(frozen=True)
class HeaderWords:
    """The table.

    Attributes:
        exact: folded header -> meaning.
        parts: (folded part of a header, meaning), the longest first.
        categories: (folded part of a header, category).
        cells: meaning -> groups of words that stand in cells, each group one row of the table.
    """

    exact: Mapping[str, str]
    parts: Sequence[tuple[str, str]]
    categories: Sequence[tuple[str, str]]
    cells: Mapping[str, Sequence[tuple[str, ...]]]

    def recognise(self, header: str) -> Recognised | None:
        """The meaning of a header as printed; None where no word of it is known."""
        plain = folded(header)
        for spelling in (plain, _undoubled(plain)):
            if spelling in self.exact:
                return Recognised(self.exact[spelling], True)
        if len(plain) > _PART_OF_AT_MOST:
            return None
        hits = [meaning for part, meaning in self.parts if part in plain or part in _undoubled(plain)]
        if not hits:
            return None
        return Recognised(_REPRESENTATIVE if _REPRESENTATIVE in hits else hits[0], False)

    def category(self, texts: Sequence[str]) -> str | None:
        """The category at which most headers and titles hint; None where none does, or two do so equally."""
        votes: dict[str, int] = {}
        for header in map(folded, texts):
            for category in {category for part, category in self.categories if part in header}:
                votes[category] = votes.get(category, 0) + 1
        best = sorted(votes, key=lambda category: -votes[category])[:2]
        if not best or (len(best) == 2 and votes[best[0]] == votes[best[1]]):
            return None
        return best[0]


@cache
def header_words() -> HeaderWords:
    """The shipped table."""
    exact: dict[str, str] = {}
    parts: list[tuple[str, str]] = []
    categories: list[tuple[str, str]] = []
    cells: dict[str, list[tuple[str, ...]]] = {}
    lines = (line for line in TABLE.read_text("utf-8").splitlines() if not line.startswith("#"))
    for row in csv.DictReader(lines):
        words = tuple(row["words"].split("|"))
        meaning = row["meaning"]
        match row["match"]:
            case "exact":
                exact |= {folded(word): meaning for word in words if folded(word)}
            case "within":
                parts += [(folded(word), meaning) for word in words]
            case "category":
                categories += [(folded(word), meaning.removeprefix("category.")) for word in words]
            case "cell":
                cells.setdefault(meaning, []).append(words)
            case other:
                raise ValueError(f"reading {TABLE.name}: {other} is no way to match")
    return HeaderWords(exact, sorted(parts, key=lambda part: -len(part[0])), categories, cells)


def folded(text: str) -> str:
    """As headers are compared, and without accents, which many exports lose."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", fold(text)) if not unicodedata.combining(letter))


def _undoubled(plain: str) -> str:
    """行行政政处处罚罚, as some pages print bold headers: each character twice."""
    return plain[::2] if len(plain) % 2 == 0 and plain[::2] == plain[1::2] else plain
