"""Reading one reference table from its CSV file, with its columns checked."""

import csv
from pathlib import Path

from schemas.errors import ConfigurationError

_SHIPPED = Path(__file__).parent


def table_path(name: str, directory: Path | None) -> Path:
    """Where the table `name` is read from: the folder that replaces it, or the shipped one."""
    if directory is not None and (directory / f"{name}.csv").is_file():
        return directory / f"{name}.csv"
    return _SHIPPED / f"{name}.csv"


def read_table(name: str, columns: tuple[str, ...], directory: Path | None = None) -> list[dict[str, str]]:
    """The rows of one table, each cell stripped of spaces around it.

    Lines that start with `#` are remarks. Raises ConfigurationError when the file can not be read, or when its header
    is not `columns` (more columns are allowed, they are remarks for people).
    """
    path = table_path(name, directory)
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"reading the reference table {path.name} in {path.parent}: {type(error).__name__}; "
            "put a readable UTF-8 file there, or remove it to use the shipped table"
        ) from error
    reader = csv.DictReader(line for line in lines if line and not line.startswith("#"))
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing:
        raise ConfigurationError(
            f"reading the reference table {path.name} in {path.parent}: the column {missing[0]} is missing; "
            f"its header must name {', '.join(columns)}"
        )
    rows = []
    for number, row in enumerate(reader, start=2):
        if None in row or None in row.values():
            raise ConfigurationError(
                f"reading the reference table {path.name} in {path.parent}: entry {number} has another number of "
                "cells than the header; quote cells that hold a comma"
            )
        rows.append({column: row[column].strip() for column in columns})
    return rows


def entries(cell: str) -> tuple[str, ...]:
    """The parts of a cell that holds several values, separated by `|`."""
    return tuple(part.strip() for part in cell.split("|") if part.strip())
