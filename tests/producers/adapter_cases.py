"""Reads the adapter's tables of cases; each line is a case that can be read aloud."""

import csv
from pathlib import Path

CASES = Path(__file__).parents[1] / "cases" / "adapter"


def cases(name: str) -> list[dict[str, str]]:
    """Rows of tests/cases/adapter/NAME.csv."""
    with (CASES / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
