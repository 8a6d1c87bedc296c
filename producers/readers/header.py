"""Finds the header among the leading rows of a table: below titles, and over one row or two."""

from collections.abc import Sequence
from dataclasses import dataclass

from producers.readers.chunk import unique_names
from producers.readers.layout import Layout
from schemas.errors import InputError

COLUMNS_MAX = 2000


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a table.

    Attributes:
        names: of the columns, unique; of a header in two rows as `two_rows` joins them.
        first, height: index of its first row, and over how many rows it stands.
        title: the filled cells above it.
        known: how many of its cells the mapping knows.
    """

    names: list[str]
    first: int
    height: int
    title: tuple[str, ...]
    known: int

    @property
    def end(self) -> int:
        """Index of the first row of data."""
        return self.first + self.height


def find_header(rows: Sequence[Sequence[str]], layout: Layout, doing: str) -> Header | None:
    """The row, or the two rows, of which the mapping knows most cells; None where it knows no two of any.

    Raises:
        InputError: the header has more columns than any form.
    """
    rows = [[_one_line(cell) for cell in row] for row in rows[: layout.header_rows]]
    candidates = [(layout.score(row), -1, -index, row) for index, row in enumerate(rows)]
    for index in range(len(rows) - 1):
        joined = two_rows(rows[index], rows[index + 1], layout)
        candidates.append((layout.score(joined), -2, -index, joined))
    known, height, index, cells = max(candidates, key=lambda c: c[:3], default=(0, -1, 0, list[str]()))
    if known < min(2, len(layout.columns)):
        return None
    cells = list(cells)
    while cells and not cells[-1].strip():
        cells.pop()
    if len(cells) > COLUMNS_MAX:
        raise InputError(
            f"{doing}: the header has {len(cells):,} columns, and no form has more than {COLUMNS_MAX:,}; export the "
            f"columns that mapping {layout.mapping} needs"
        )
    title = tuple(cell.strip() for row in rows[:-index] for cell in row if cell.strip())
    return Header(unique_names(cells), -index, -height, title, known)


def two_rows(upper: Sequence[str], lower: Sequence[str], layout: Layout) -> list[str]:
    """Header cells over two rows: 期限 above 起 and 止 is 期限 起 and 期限 止, or 起 and 止 where the mapping says so.

    An empty cell of the upper row belongs to the filled one at its left, as merged cells are stored, if there is
    something below it.
    """
    joined: list[str] = []
    group = ""
    for column in range(max(len(upper), len(lower))):
        above = upper[column].strip() if column < len(upper) else ""
        below = lower[column].strip() if column < len(lower) else ""
        group = above or group
        if not below:
            joined.append(above)
            continue
        both = (f"{group} {below}", below) if group else (below,)
        joined.append(next((name for name in both if layout.score([name])), both[0]))
    return joined


def _one_line(cell: str) -> str:
    return cell.replace("\r", " ").replace("\n", " ")
