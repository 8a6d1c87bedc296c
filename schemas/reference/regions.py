"""Regions of the home province with their history: which code stood when, and what became of it.

Codes are those of GB/T 2260. A code that was abolished has a successor, so that a record of 2015 and one of today can
be counted for the same county. What statistics call a region and the law does not (development zones 37xx7x, xx01
市辖区) belongs to the city around it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal

import polars as pl

from schemas.errors import ConfigurationError
from schemas.reference.tables import read_table

Level = Literal["province", "prefecture", "county"]
_LEVELS: tuple[Level, ...] = ("province", "prefecture", "county")


@dataclass(frozen=True, slots=True)
class Region:
    """One code of the table.

    Attributes:
        from_year, to_year: first and last year of the code; None = before the table begins, still in force. In the year
            of a change the old code ends and the new one begins: from that year on the new one is meant.
        successor: code that took its place, empty while it is in force.
    """

    code: str
    name: str
    level: Level
    parent: str
    from_year: int | None
    to_year: int | None
    successor: str


@dataclass(frozen=True, slots=True)
class Regions:
    """All regions of one province, past and present."""

    by_code: dict[str, Region]
    province: str

    def is_known(self, code: str) -> bool:
        """Whether the table holds this very code, in force or not."""
        return code in self.by_code

    def region_of(self, code: str, on: date) -> str:
        """The code that stood for `code` on that day; empty for a region outside of this province.

        Follows successors up to the year of `on`; a code that the table does not hold (development zones, xx01, codes
        given up before the table begins) is the city around it.
        """
        region = self.by_code.get(code) or self._city_around(code)
        while region is not None and region.to_year is not None and on.year >= region.to_year and region.successor:
            region = self.by_code[region.successor]
        return "" if region is None else region.code

    def current(self, code: str) -> str:
        """The code that stands for `code` after all changes in the table; empty outside of the province."""
        return self.region_of(code, date.max)

    def lineage(self, code: str, on: date) -> tuple[str, ...]:
        """`code` as of that day and the regions around it, from the smallest to the province; empty if unknown."""
        found: list[str] = []
        next_code = self.region_of(code, on)
        while next_code:
            found.append(next_code)
            next_code = self.by_code[next_code].parent
        return tuple(found)

    def regions_of(self, codes: pl.Series, on: pl.Series) -> pl.Series:
        """`region_of` for a column of codes and a column of dates; a null code or date gives the empty string."""
        frame = pl.DataFrame({"code": codes, "year": on.dt.year()})
        pairs = frame.unique().drop_nulls()
        answers = [self.region_of(code, date(year, 12, 31)) for code, year in pairs.iter_rows()]
        table = pairs.with_columns(pl.Series("region", answers, pl.String))
        return frame.join(table, on=["code", "year"], how="left", maintain_order="left")["region"].fill_null("")

    def _city_around(self, code: str) -> Region | None:
        if len(code) != 6 or not (code.isascii() and code.isdigit()):
            return None
        return self.by_code.get(code[:4] + "00")


@cache
def load_regions(directory: Path | None = None) -> Regions:
    """The regions of the home province. Raises ConfigurationError when the table contradicts itself."""
    columns = ("code", "name", "level", "parent", "from_year", "to_year", "successor")
    by_code: dict[str, Region] = {}
    for row in read_table("regions", columns, directory):
        level = next((known for known in _LEVELS if known == row["level"]), None)
        if level is None or len(row["code"]) != 6 or not row["code"].isdigit():
            raise _contradiction(row["code"], f"needs six digits and a level of {', '.join(_LEVELS)}")
        by_code[row["code"]] = Region(
            row["code"],
            row["name"],
            level,
            row["parent"],
            _year(row["code"], row["from_year"]),
            _year(row["code"], row["to_year"]),
            row["successor"],
        )
    _check(by_code.values(), by_code)
    top = [region.code for region in by_code.values() if region.level == "province"]
    if len(top) != 1:
        raise _contradiction("the province", "must stand in the table once")
    return Regions(by_code, top[0])


def _year(code: str, text: str) -> int | None:
    if text and not text.isdigit():
        raise _contradiction(code, "has a year that is not a number")
    return int(text) if text else None


def _check(regions: Iterable[Region], by_code: dict[str, Region]) -> None:
    for region in regions:
        if region.level != "province" and region.parent not in by_code:
            raise _contradiction(region.code, "has a parent that is not in the table")
        seen = {region.code}
        step = region
        while step.successor:
            if step.successor not in by_code or step.successor in seen:
                raise _contradiction(region.code, "has a successor that is not in the table or leads back to itself")
            seen.add(step.successor)
            step = by_code[step.successor]


def _contradiction(code: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"reading the reference table regions.csv: {code} {what}; correct the entry")
