"""Pilot units: cities, counties, sector departments and parks approved to try the system, and what belongs to them.

Units overlap (a county in a city, a park in both, a sector across all), so an event may count for several of them. The
minimum is that of the provincial pilot guidance of 2015-09-30 (鲁信用办〔2015〕4号).
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from schemas.errors import ConfigurationError
from schemas.reference.authorities import Authorities, load_authorities
from schemas.reference.regions import Regions, load_regions
from schemas.reference.tables import entries, read_table

UnitKind = Literal["city", "county", "sector", "park"]
UNIT_KINDS: tuple[UnitKind, ...] = get_args(UnitKind)
UNITS_MINIMUM: dict[UnitKind, int] = {"city": 3, "county": 5, "sector": 2, "park": 10}
UNITS_MAX = 40  # each is the value of a metric's label

ZONE_GROUPS = ("peninsula_blue", "yellow_river_delta", "provincial_capital", "western_uplift", "yimeng")
COUNTIES_PER_ZONE_GROUP = (1, 2)  # fewest and most


@dataclass(frozen=True, slots=True)
class PilotUnit:
    """One unit.

    Attributes:
        zone_group: of a county only: one of ZONE_GROUPS.
        regions: codes that belong to it with all below them; of a park the codes under which its authorities report.
        department: of a sector only: id of the department whose reports are counted.
        park_code: of a park only.
        fictional: the assignment is one of the demonstration.
    """

    id: str
    kind: UnitKind
    zone_group: str
    name_zh: str
    name_en: str
    regions: tuple[str, ...]
    department: str
    park_code: str
    fictional: bool


@dataclass(frozen=True)
class PilotUnits:
    """All units, and which of them an event counts for."""

    units: tuple[PilotUnit, ...]
    regions: Regions

    @cached_property
    def _by_region(self) -> dict[str, tuple[str, ...]]:
        """Ids of units by the codes that they name; of codes with a history, by today's code as well."""
        found: dict[str, list[str]] = {}
        for unit in self.units:
            for code in unit.regions:
                codes = {code}
                if self.regions.is_known(code):
                    codes.add(self.regions.current(code))
                for each in sorted(codes):
                    found.setdefault(each, []).append(unit.id)
        return {code: tuple(ids) for code, ids in found.items()}

    @cached_property
    def _by_department(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for unit in self.units:
            if unit.department:
                found.setdefault(unit.department, []).append(unit.id)
        return {department: tuple(ids) for department, ids in found.items()}

    def units_of(self, region: str, department: str) -> tuple[str, ...]:
        """Ids of the units that an event of that department, decided in that region, counts for.

        A region of any time counts for today's: the code of an abolished county finds the unit of its successor.
        """
        codes = dict.fromkeys((region, *self.regions.lineage(region, date.max)))
        ids = [unit for code in codes for unit in self._by_region.get(code, ())]
        return tuple(dict.fromkeys((*ids, *self._by_department.get(department, ()))))

    def units_for(self, regions: pl.Series, departments: pl.Series) -> pl.Series:
        """`units_of` for each row, as a column of lists of ids."""
        rows = pl.DataFrame({"region": regions.fill_null(""), "department": departments.fill_null("")})
        pairs = rows.unique()
        answers = [list(self.units_of(region, department)) for region, department in pairs.iter_rows()]
        table = pairs.with_columns(pl.Series("units", answers, pl.List(pl.String)))
        return rows.join(table, on=["region", "department"], how="left", maintain_order="left")["units"]


@cache
def load_pilot_units(directory: Path | None = None) -> PilotUnits:
    """The pilot units. Raises ConfigurationError, in one sentence, when they are fewer than the guidance asks for."""
    columns = ("id", "kind", "zone_group", "name_zh", "name_en", "regions", "department", "park_code", "fictional")
    regions, authorities = load_regions(directory), load_authorities(directory)
    units = tuple(_unit(row, regions, authorities) for row in read_table("pilot_units", columns, directory))
    _check_minimum(units)
    return PilotUnits(units, regions)


def _unit(row: dict[str, str], regions: Regions, authorities: Authorities) -> PilotUnit:
    kind = next((known for known in UNIT_KINDS if known == row["kind"]), None)
    if kind is None:
        raise _problem(f"{row['id']} needs a kind of {', '.join(UNIT_KINDS)}")
    unit = PilotUnit(
        row["id"],
        kind,
        row["zone_group"],
        row["name_zh"],
        row["name_en"],
        entries(row["regions"]),
        row["department"],
        row["park_code"],
        row["fictional"] == "true",
    )
    if kind == "sector" and unit.department not in authorities.departments:
        raise _problem(f"{unit.id} needs the id of a registered department")
    if kind == "park" and not unit.park_code:
        raise _problem(f"{unit.id} needs the code of its park")
    if kind in ("city", "county"):
        level = "prefecture" if kind == "city" else "county"
        levels = {regions.by_code[code].level for code in unit.regions if regions.is_known(code)}
        if not unit.regions or levels != {level}:
            raise _problem(f"{unit.id} needs the region code of a {kind}")
    return unit


def _check_minimum(units: tuple[PilotUnit, ...]) -> None:
    twice = [unit for unit, count in Counter(unit.id for unit in units).items() if count > 1]
    if twice:
        raise _problem(f"{twice[0]} stands there twice")
    if len(units) > UNITS_MAX:
        raise _problem(f"{len(units)} units are more than the {UNITS_MAX} that metrics can tell apart")
    numbers = Counter(unit.kind for unit in units)
    for kind, fewest in UNITS_MINIMUM.items():
        if numbers[kind] < fewest:
            plural = {"city": "cities", "county": "counties", "sector": "sector departments", "park": "parks"}[kind]
            raise _problem(f"{numbers[kind]} {plural} are fewer than the {fewest} of the pilot guidance; name more")
    counties = Counter(unit.zone_group for unit in units if unit.kind == "county")
    fewest, most = COUNTIES_PER_ZONE_GROUP
    for group in ZONE_GROUPS:
        if not fewest <= counties[group] <= most:
            raise _problem(f"the zone group {group} has {counties[group]} counties, the guidance asks for 1 or 2")
    if set(counties) - set(ZONE_GROUPS):
        raise _problem(f"each county needs a zone group of {', '.join(ZONE_GROUPS)}")


def _problem(what: str) -> ConfigurationError:
    return ConfigurationError(f"reading the reference table pilot_units.csv: {what}")
