"""What the lanes count of a batch, by department and by pilot unit: pure, columnar, once per batch.

Every event of a batch is counted once for its department, and once for each pilot unit that it belongs to. Labels are
names of our own tables and words of our own code; no value of an event ever becomes one.

Non-goal: a ranking of bodies or units by punishments. Units are compared by timeliness, data quality and repairs only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa

from schemas import normalise
from schemas.calendar import Calendar
from schemas.catalogue import catalogue
from schemas.reference import PilotUnits, Reference
from schemas.timeliness import (
    DELAY_BUCKETS_WORKING_DAYS,
    IN_TIME,
    LATE,
    LAW,
    LAW_CATEGORIES,
    NOT_MEASURED,
    RULES,
    VERDICTS,
    YARDSTICK,
    judge,
    reported_days,
)
from stream_processors.fold import NEW, OUTCOME_NAMES, REPAIR, REPORT, SUPERSEDING, Folded, Reports
from stream_processors.index import Array
from stream_processors.observations import Cells, Count

_CATEGORIES = tuple(catalogue())
_MEASURED = np.array([name not in NOT_MEASURED for name in _CATEGORIES])
_RULE_OF_CATEGORY = np.array([LAW if name in LAW_CATEGORIES else YARDSTICK for name in _CATEGORIES], np.uint8)
_NOT_TIMED = np.uint8(len(VERDICTS))
_LONGEST = int(DELAY_BUCKETS_WORKING_DAYS[-1]) + 1
_BUCKET_OF_DAYS = np.searchsorted(DELAY_BUCKETS_WORKING_DAYS, np.arange(_LONGEST + 1), "left").astype(np.uint8)

# What became of a report as one small number, so that a batch is grouped once. Its digits, from the largest:
_OUTCOMES, _REPAIRED, _VERDICTS, _RULES = len(OUTCOME_NAMES), 2, len(VERDICTS) + 1, len(RULES)
_BUCKETS = len(DELAY_BUCKETS_WORKING_DAYS) + 1
_CODES = _OUTCOMES * _REPAIRED * _VERDICTS * _RULES * _BUCKETS


class Units:
    """Whom an event counts for; each pair of region and department is looked up once in a process."""

    def __init__(self, units: PilotUnits) -> None:
        self._units = units
        self._found: dict[tuple[str, str], tuple[str, ...]] = {}
        self._known = {"", *units.regions.by_code, *(region for unit in units.units for region in unit.regions)}

    def of(self, region: str, department: str) -> tuple[str, ...]:
        """Ids of the units for which an event of that department, decided in that region, counts.

        What no table of ours knows is looked up and not kept: it may be whatever stood in a department's column.
        """
        known = self._found.get((region, department))
        if known is None:
            known = self._units.units_of(region, department)
            if region in self._known:
                self._found[region, department] = known
        return known


@dataclass(slots=True)
class _Sums:
    """What is counted for one department or unit."""

    outcomes: Counter[int] = field(default_factory=Counter)
    repairs: int = 0
    verdicts: Counter[tuple[int, int]] = field(default_factory=Counter)
    delays: dict[int, Array] = field(default_factory=dict)
    delay_days: Counter[int] = field(default_factory=Counter)


def register_counts(
    frame: pl.DataFrame, reports: Reports, folded: Folded, units: Units, calendar: Calendar
) -> list[Count]:
    """Outcomes, timeliness and repairs of a batch.

    Args:
        frame: head columns of the identified events.
        reports, folded: one entry for each row of the frame.
    """
    rows = frame.select("department", "region").with_columns(_coded(frame, reports, folded, calendar))
    counted = rows.group_by("department", "region", "code").agg(n=pl.len(), days=pl.col("days").sum())
    departments, of_units = _summed(counted, units)
    counts: list[Count] = []
    for department, sums in departments.items():
        counts.append(("xinliu_events_total", ("register", department), sums.outcomes.total()))
        for outcome, n in sums.outcomes.items():
            counts.append(("xinliu_outcomes_total", ("register", department, OUTCOME_NAMES[outcome]), n))
        counts += _of_owner("xinliu_", department, sums)
    for unit, sums in of_units.items():
        for outcome, n in sums.outcomes.items():
            counts.append(("xinliu_pilot_unit_events_total", (unit, OUTCOME_NAMES[outcome]), n))
        counts += _of_owner("xinliu_pilot_unit_", unit, sums)
    return counts


def _coded(frame: pl.DataFrame, reports: Reports, folded: Folded, calendar: Calendar) -> list[pl.Series]:
    """`code`: outcome, repair, verdict, rule and bucket of each row in one number; `days`: its delay if it has one."""
    verdict = np.full(len(reports), _NOT_TIMED, np.uint8)
    days = np.zeros(len(reports), np.int64)
    first = np.flatnonzero((folded.outcome == NEW) & (reports.operation == REPORT) & _MEASURED[reports.category])
    if len(first):
        moments = frame["reported_at"].to_physical().to_numpy()[first]
        found, delay = judge(frame["effective_on"].gather(first), reported_days(moments), calendar)
        verdict[first], days[first] = found, np.where(found <= LATE, delay, 0)
    repaired = (folded.outcome == SUPERSEDING) & (reports.operation == REPAIR)
    code = folded.outcome.astype(np.uint32) * _REPAIRED + repaired
    code = (code * _VERDICTS + verdict) * _RULES + _RULE_OF_CATEGORY[reports.category]
    code = code * _BUCKETS + _BUCKET_OF_DAYS[np.minimum(days, _LONGEST)]
    return [pl.Series("code", code), pl.Series("days", days)]


def _summed(counted: pl.DataFrame, units: Units) -> tuple[dict[str, _Sums], dict[str, _Sums]]:
    """Sums by department and by unit; each row counts for its department and for all of its units."""
    numbers: dict[tuple[str, bool], int] = {}
    owners: list[int] = []
    shares: list[int] = []
    for department, region in zip(counted["department"].to_list(), counted["region"].to_list(), strict=True):
        of_row = ((department, False), *((unit, True) for unit in units.of(region, department)))
        owners += [numbers.setdefault(owner, len(numbers)) for owner in of_row]
        shares.append(len(of_row))
    row = np.repeat(np.arange(counted.height), shares)
    place = np.array(owners, np.int64) * _CODES + counted["code"].to_numpy()[row]
    totals = np.bincount(place, counted["n"].to_numpy()[row])
    delays = np.bincount(place, counted["days"].to_numpy()[row])
    sums = [_Sums() for _ in numbers]
    at = np.flatnonzero(totals)
    for owner_and_code, n, days in zip(at.tolist(), totals[at].astype(int).tolist(), delays[at].tolist(), strict=True):
        owner, code = divmod(owner_and_code, _CODES)
        _add(sums[owner], code, n, days)
    departments = {name: sums[number] for (name, is_unit), number in numbers.items() if not is_unit}
    return departments, {name: sums[number] for (name, is_unit), number in numbers.items() if is_unit}


def _add(sums: _Sums, code: int, n: int, days: float) -> None:
    """Count `n` events of the same code."""
    code, bucket = divmod(code, _BUCKETS)
    code, rule = divmod(code, _RULES)
    code, verdict = divmod(code, _VERDICTS)
    outcome, repaired = divmod(code, _REPAIRED)
    sums.outcomes[outcome] += n
    sums.repairs += n * repaired
    if verdict == _NOT_TIMED:
        return
    sums.verdicts[rule, verdict] += n
    if verdict in (IN_TIME, LATE):
        sums.delays.setdefault(rule, np.zeros(_BUCKETS, np.int64))[bucket] += n
        sums.delay_days[rule] += int(days)


def _of_owner(prefix: str, owner: str, sums: _Sums) -> Iterator[Count]:
    """Repairs, first reports by verdict, and the delays of those that are in time or late."""
    if sums.repairs:
        yield f"{prefix}repairs_total", (owner,), sums.repairs
    for (rule, verdict), n in sums.verdicts.items():
        yield f"{prefix}reports_timed_total", (owner, RULES[rule], VERDICTS[verdict]), n
    for rule, cells in sums.delays.items():
        delays = Cells(cells, float(sums.delay_days[rule]))
        yield f"{prefix}reporting_delay_working_days", (owner, RULES[rule]), delays


def intake_counts(
    departments: list[str], rejects: pl.DataFrame, events: pa.RecordBatch, units: Units, reference: Reference
) -> list[Count]:
    """Events taken, and what was set aside or refused, by reason.

    Args:
        departments: of every message of the batch.
        rejects: columns at (index in the batch), row (row of `events`, -1 where nothing could be read), outcome,
            reason, detail (a field's name or a kind of fault).
        events: decoded events; authority_name, authority_code and region are read.
    """
    counts: list[Count] = [
        ("xinliu_events_total", ("intake", department), n)
        for department, n in pl.Series(departments).value_counts(name="n").iter_rows()
    ]
    if rejects.height == 0:
        return counts
    who = rejects.select("row", "outcome", "reason", "detail").with_columns(
        department=pl.Series([departments[i] for i in rejects["at"].to_list()], dtype=pl.String)
    )
    for department, outcome, reason, detail, n in (
        who.group_by("department", "outcome", "reason", "detail").agg(n=pl.len()).iter_rows()
    ):
        counts.append(("xinliu_outcomes_total", ("intake", department, outcome), n))
        if outcome == "refused":
            counts.append(("xinliu_refusals_total", (department, reason, detail), n))
        else:
            counts.append(("xinliu_quarantined_total", (department, reason), n))
    where = who.select("department", "outcome").with_columns(region=_regions(who["row"], events, reference))
    for department, outcome, region, n in where.group_by("department", "outcome", "region").agg(n=pl.len()).iter_rows():
        for unit in units.of(region, department):
            counts.append(("xinliu_pilot_unit_events_total", (unit, outcome), n))
    return counts


def _regions(rows: pl.Series, events: pa.RecordBatch, reference: Reference) -> pl.Series:
    """Where each rejected event was decided: as reported, else by its authority; empty where it could not be read."""
    readable = rows.filter(rows >= 0)
    columns = events.select(["region", "authority_name", "authority_code"])
    few = pl.DataFrame(pl.from_arrow(columns))[readable]
    authorities = reference.resolve_authorities(normalise.names(few["authority_name"]), few["authority_code"])
    found = few.select(
        region=pl.when(pl.col("region") == "").then(authorities["authority_region"]).otherwise(pl.col("region"))
    )
    of_row = pl.DataFrame({"row": readable, "region": found["region"]}).unique("row")
    joined = pl.DataFrame({"row": rows}).join(of_row, on="row", how="left", maintain_order="left")
    return joined["region"].fill_null("")
