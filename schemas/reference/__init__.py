"""Reference tables are data that people correct: who reports, who decides, where, and which pilot unit that is.

Each table is a .csv file in this folder; a folder of one's own (setting XINLIU_REFERENCE) may replace any of them, file
by file. One module per subject gives the tables their types: `codes`, `regions`, `authorities`, `pilot_units`.
`load` reads them all; the caller keeps the value and hands it on.

Non-goals: no table is fetched from anywhere, and nothing here is remembered beyond a cache of pure file reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.reference.authorities import Authorities, Authority, Department, load_authorities
from schemas.reference.pilot_units import PilotUnit, PilotUnits, load_pilot_units
from schemas.reference.regions import Region, Regions, load_regions

__all__ = [
    "Authorities",
    "Authority",
    "Department",
    "PilotUnit",
    "PilotUnits",
    "Reference",
    "Region",
    "Regions",
    "load",
]


@dataclass(frozen=True, slots=True)
class Reference:
    """All reference tables of one platform, checked against each other.

    Attributes:
        directory: the folder that replaces some of them, None for the shipped ones; `schemas.schemes.subject_tables`
            takes it, too. (The person guard always uses the shipped tables: no folder can weaken it.)
    """

    regions: Regions
    authorities: Authorities
    pilot_units: PilotUnits
    directory: Path | None = None

    @property
    def departments(self) -> Mapping[str, Department]:
        """Registered departments by their id, in the order of the table."""
        return self.authorities.departments

    def resolve_authorities(self, names: pl.Series, codes: pl.Series) -> pl.DataFrame:
        """Columns `authority_code`, `authority_known`, `authority_region` of each row; see `Authorities.resolve`."""
        return self.authorities.resolve(names, codes)

    def rank(self, department: str, authority_code: str) -> int:
        """3: the department speaks for that authority; 2: it is its declared superior; 1: anyone else."""
        return self.authorities.rank(department, authority_code)

    def ranks(self, departments: pl.Series, authority_codes: pl.Series) -> npt.NDArray[np.uint8]:
        """`rank` of each row."""
        return self.authorities.ranks(departments, authority_codes)

    def units_of(self, region: str, department: str) -> tuple[str, ...]:
        """Ids of the pilot units that an event counts for; see `PilotUnits.units_of`."""
        return self.pilot_units.units_of(region, department)


def load(directory: Path | None = None) -> Reference:
    """Read and check every table, from `directory` where it replaces one. Raises ConfigurationError with a sentence."""
    return Reference(load_regions(directory), load_authorities(directory), load_pilot_units(directory), directory)
