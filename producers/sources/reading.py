"""What one read of a source gives, whatever the source is."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Protocol

import numpy as np
import polars as pl

from producers.readers import Chunk

Places = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a read.

    Attributes:
        chunk: their cells, numbered from 1 within these rows.
        watermarks: the watermark of each as text, "" where it has none.
        places: the same as numbers that grow with it (seconds, or the number itself), NaN where it has none.
    """

    chunk: Chunk
    watermarks: pl.Series
    places: Places


@dataclass(frozen=True, slots=True)
class End:
    """How far a read came.

    Attributes:
        watermark: where the next read begins, less its overlap; None where the source has none.
        remember_from: rows of this place and later, and those without one, may be met again by the next read.
    """

    watermark: str | None
    remember_from: float


class Reading(Protocol):
    """A read that has begun."""

    @property
    def total_rows(self) -> int | None:
        """How many rows there will be, where that is known."""

    def rows(self) -> Iterator[Rows]:
        """All rows, in the order in which they are to be sent."""
        ...

    def end(self) -> End:
        """Asked for when all rows were taken."""
        ...


def place_of(value: object) -> float | None:
    """A watermark as a number: seconds since 1970 for what is a date or a moment; None for what is neither.

    A moment without a zone counts as if it were UTC: only the distance between two of them matters.
    """
    match value:
        case bool() | None:
            return None
        case int() | float() | Decimal():
            return float(value)
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        case date():
            return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
        case str():
            return _place_of_text(value.strip())
        case _:
            return None


def _place_of_text(text: str) -> float | None:
    try:
        return float(text) if text.lstrip("-")[:1].isdigit() else None
    except ValueError:
        pass
    try:
        return place_of(datetime.fromisoformat(text))
    except ValueError:
        return None
