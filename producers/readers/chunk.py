"""What every reader gives: some rows of a file, all cells as text."""

from dataclasses import dataclass, field

import polars as pl

SKIPPED_SCHEMA = {"row": pl.Int32, "why": pl.String}


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a file, column by column.

    Attributes:
        cells: string columns, one per header cell as printed (made unique); "" where a cell is empty.
        rows: Int32, row in the source as a person counts it, header included, from 1.
        faults: per row null or what is wrong with it as it stands in the file, `reason` or `reason:detail`; null where
            no row of the chunk has one.
        title: what stands above the header, cell by cell; the same in each chunk of a file.
        skipped: columns row and why (note, total, sample, header, group): rows that are no data and were left out.
            Blank rows are left out too and not listed; a sheet that is left out is said with row 0.
        bytes_done: how far the file on disk has been read when this chunk is handed out (see `progress_total`).
    """

    cells: pl.DataFrame
    rows: pl.Series
    faults: pl.Series | None
    title: tuple[str, ...] = ()
    bytes_done: int = 0
    skipped: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SKIPPED_SCHEMA))


def unique_names(header: list[str]) -> list[str]:
    """Header cells as printed, each made unique: a second 证件号码 becomes "证件号码 #2", an empty one "#7"."""
    seen: dict[str, int] = {}
    taken: set[str] = set()
    names: list[str] = []
    for position, cell in enumerate(header, start=1):
        name = cell.strip()
        seen[name] = seen.get(name, 0) + 1
        if not name:
            name = f"#{position}"
        elif seen[name] > 1:
            name = f"{name} #{seen[name]}"
        while name in taken:
            name += "#"
        taken.add(name)
        names.append(name)
    return names
