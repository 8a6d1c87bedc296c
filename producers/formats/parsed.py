"""What a parser gives back, and the way to read equal texts once."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Parsed:
    """A column read from text.

    Attributes:
        values: null where the text was blank or could not be read.
        unreadable: true where there was a text and it could not be read.
    """

    values: pl.Series
    unreadable: pl.Series


def by_distinct(texts: pl.Series, parse: Callable[[pl.Series], Parsed]) -> Parsed:
    """Read each distinct text once: in a real file a date or a class stands in hundreds of rows."""
    distinct = texts.unique()
    if len(distinct) * 2 > len(texts):
        return parse(texts)
    parsed = parse(distinct)
    table = pl.DataFrame(
        {"text": distinct, "value": parsed.values, "unreadable": parsed.unreadable}
    )
    found = pl.DataFrame({"text": texts}).join(
        table, on="text", how="left", maintain_order="left"
    )
    return Parsed(found["value"], found["unreadable"])
