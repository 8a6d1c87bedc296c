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
    coded = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).dictionary_encode()
    if len(coded.dictionary) * 2 > len(texts):
        return parse(texts)
    parsed = parse(pl.Series(pl.from_arrow(coded.dictionary)))
    places = pl.Series(pl.from_arrow(coded.indices))
    return Parsed(parsed.values.gather(places), parsed.unreadable.gather(places))
