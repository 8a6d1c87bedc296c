"""Cases are data: tables beside the tests, and real files where they lie."""

import csv
import io
import os
from pathlib import Path

import pytest

_CASES = Path(__file__).parents[1] / "cases"
_SHARED = Path(os.environ.get("XINLIU_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


def cases(name: str) -> list[dict[str, str]]:
    """Rows of tests/cases/<name>.csv."""
    return list(csv.DictReader(io.StringIO((_CASES / f"{name}.csv").read_text("utf-8"), newline="")))


def shared_file(name: str) -> Path:
    """A file of the folder of real data, or the test is skipped with the reason."""
    path = _SHARED / name
    if not path.is_file():
        pytest.skip(f"real data is not there: {name} (set XINLIU_SHARED_DATA to its folder)")
    return path
