"""Series that are there from the start with 0, so that the first event of a rare kind is an increase to Prometheus.

A counter that appears with its first value has never increased, and an alert on its increase would miss that value.
"""

from __future__ import annotations

from itertools import product

from schemas.persons import PERSONAL_KINDS
from schemas.reference import Reference
from schemas.timeliness import RULES, VERDICTS
from stream_processors.fold import OUTCOME_NAMES
from stream_processors.metrics import Registry
from stream_processors.rows import MESSAGE_OF, PARKED

_REFUSED_BY_INTAKE = ("quarantined", "refused")


def know_series(registry: Registry, lane: str, reference: Reference) -> None:
    """Make the series of a lane known whose labels are names of our tables."""
    departments, units = list(reference.departments), [unit.id for unit in reference.pilot_units.units]
    if lane == "store":
        for table in (*MESSAGE_OF, PARKED):
            registry.add("xinliu_store_rows_total", (table,), 0)
        return
    registry.add("xinliu_transactions_aborted_total", (lane,), 0)
    if lane == "cases":
        return
    outcomes = _REFUSED_BY_INTAKE if lane == "intake" else OUTCOME_NAMES[1:]
    for department in departments:
        registry.add("xinliu_events_total", (lane, department), 0)
    for department, outcome in product(departments, outcomes):
        registry.add("xinliu_outcomes_total", (lane, department, outcome), 0)
    for unit, outcome in product(units, outcomes):
        registry.add("xinliu_pilot_unit_events_total", (unit, outcome), 0)
    if lane == "intake":
        for department, kind in product(departments, PERSONAL_KINDS):
            registry.add("xinliu_refusals_total", (department, "personal_number", kind), 0)
        return
    for name, owners in (("xinliu_repairs_total", departments), ("xinliu_pilot_unit_repairs_total", units)):
        for owner in owners:
            registry.add(name, (owner,), 0)
    for name, owners in (
        ("xinliu_reports_timed_total", departments),
        ("xinliu_pilot_unit_reports_timed_total", units),
    ):
        for owner, rule, verdict in product(owners, RULES, VERDICTS):
            registry.add(name, (owner, rule, verdict), 0)
