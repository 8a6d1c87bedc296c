"""What stands in a cell of a workbook, as text, so that no code comes out as another one.

Excel keeps fifteen digits of a number. A longer code that was typed as a number has lost its end; it comes out as
9.11E+17, which no check of codes takes, and is set aside.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import polars as pl

_EXACT_DIGITS = 15
_WHOLE_MAX = 1 << 53  # below it a double is exactly the whole number that was written


def texts(cells: Sequence[Any]) -> list[str]:
    """Cells of one row or column as text."""
    return [cell if type(cell) is str else text(cell) for cell in cells]


def column(name: str, cells: Sequence[Any]) -> pl.Series:
    """Cells of one column as text; where all are text, the usual case, they are taken as they are."""
    try:
        return pl.Series(name, cells, dtype=pl.String, strict=True).fill_null("")
    except TypeError:
        return pl.Series(name, texts(cells), dtype=pl.String)


def text(cell: Any) -> str:
    """One cell as text: a date as 2016-05-01, a number with the digits that it surely has."""
    match cell:
        case bool():
            return "TRUE" if cell else "FALSE"
        case float() | int():
            return _number(cell)
        case datetime():
            return cell.isoformat(" ")
        case date() | time():
            return cell.isoformat()
        case timedelta():
            return str(cell)
        case None:
            return ""
        case _:
            return str(cell)


def _number(value: float | int) -> str:
    """Digits of a number; a whole one of sixteen digits is exact only if it does not end as Excel ends what it cuts."""
    if value == (whole := int(value) if abs(value) < _WHOLE_MAX else 0) and whole:
        digits = str(whole)
        if len(digits.lstrip("-")) <= _EXACT_DIGITS or not digits.endswith("0"):
            return digits
    return f"{float(value):.{_EXACT_DIGITS}g}".upper()
