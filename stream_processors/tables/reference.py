"""The reference tables that the views join: filled from what `schemas` declares, replaced as a whole at each start."""

from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa

from schemas.catalogue import catalogue
from schemas.reasons import OUTCOME_SENTENCES, REASONS, WORST_FIRST
from schemas.reference import PilotUnits, Reference
from schemas.reference.tables import read_table
from stream_processors.clickhouse import ClickHouse

_DOING = "loading the reference tables of the store"


def reference_tables(reference: Reference, directory: Path | None = None) -> dict[str, list[dict[str, Any]]]:
    """The rows of each reference table, with the columns of `0002_reference.sql`.

    Args:
        directory: where the calendar is read from, as in `schemas.reference.load`; None = the shipped one.
    """
    return {
        "departments": [
            {
                "department": department.id,
                "name_zh": department.name_zh,
                "name_en": department.name_en,
                "cadence_days": department.cadence_days,
            }
            for department in reference.departments.values()
        ],
        "categories": [
            {"category": category.name, "name_zh": category.zh, "name_en": category.en, "sign": category.sign}
            for category in catalogue().values()
        ],
        "pilot_units": [
            {
                "unit": unit.id,
                "kind": unit.kind,
                "zone_group": unit.zone_group,
                "name_zh": unit.name_zh,
                "name_en": unit.name_en,
                "fictional": unit.fictional,
            }
            for unit in reference.pilot_units.units
        ],
        "pilot_unit_regions": [
            {"region": region, "unit": unit}
            for region in region_codes(reference.pilot_units)
            for unit in reference.units_of(region, "")
        ],
        "pilot_unit_departments": [
            {"department": unit.department, "unit": unit.id} for unit in reference.pilot_units.units if unit.department
        ],
        "calendar_exceptions": [
            {"day": date.fromisoformat(row["date"]), "kind": row["kind"], "status": row["status"]}
            for row in read_table("calendar", ("date", "kind", "status"), directory)
        ],
        "outcomes": [
            {"outcome": outcome, "severity": severity, "sentence": OUTCOME_SENTENCES[outcome]}
            for severity, outcome in enumerate(WORST_FIRST)
        ],
        "reasons": [
            {"reason": reason.name, "outcome": reason.outcome, "sentence": reason.sentence, "remedy": reason.remedy}
            for reason in REASONS.values()
        ],
    }


def region_codes(units: PilotUnits) -> list[str]:
    """Every code under which a record may count for a unit: those of the tables, and whatever a statistic may number
    below a city (development zones, xx01), which belongs to the city around it."""
    cities = {code[:4] for code in units.regions.by_code if code[2:4] != "00"}
    below = {f"{city}{number:02d}" for city in cities for number in range(100)}
    named = {code for unit in units.units for code in unit.regions}
    return sorted(below | named | set(units.regions.by_code))


def load_reference(store: ClickHouse, reference: Reference, directory: Path | None = None) -> None:
    """Replace the rows of every reference table; a query meanwhile sees the old or the new ones, never a mixture."""
    for table, rows in reference_tables(reference, directory).items():
        if rows:
            _replace(store, table, pa.Table.from_pylist(rows))


def _replace(store: ClickHouse, table: str, rows: pa.Table) -> None:
    # A name of its own for each start: two at once do not fill the same one, and either may be exchanged last.
    loading = f"{table}_loading_{uuid4().hex[:8]}"
    store.command(f"CREATE TABLE {loading} AS {table}", doing=_DOING)
    try:
        store.insert(loading, rows)
        store.command(f"EXCHANGE TABLES {table} AND {loading}", doing=_DOING)
    finally:
        store.command(f"DROP TABLE IF EXISTS {loading}", doing=_DOING)
