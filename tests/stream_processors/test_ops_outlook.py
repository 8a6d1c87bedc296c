"""What ops sees beyond single transitions: counts of pilot units, what is due and of whom, and that it is told once."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from schemas.calendar import load_calendar
from schemas.errors import ConfigurationError
from schemas.reference import load
from stream_processors.ops.ledger import Ledger
from stream_processors.ops.outlook import departments_json, tell, units_json
from stream_processors.ops.reminders import load_milestones, of_cases, of_departments, of_milestones
from stream_processors.ops.unit_counts import READER, count
from stream_processors.rules.packs import load_packs

REFERENCE = load()
RULES = {name: replace(rule, lapse_months=12) for name, rule in load_packs().rules.items()}
TODAY = date(2026, 5, 20)


# -- pilot units ---------------------------------------------------------------------------------------------------


def revisions(*rows: dict) -> pl.DataFrame:
    plain = {
        "region": "370100",
        "department": "market",
        "reported_at": datetime(2026, 5, 1, 4, tzinfo=UTC).replace(tzinfo=None),
        "outcome": "new",
        "operation": "report",
        "status": "valid",
        "variant_of": "",
    }
    return pl.DataFrame([plain | row for row in rows])


def test_a_change_counts_for_each_unit_that_it_belongs_to_on_the_day_of_the_law():
    late = datetime(2026, 5, 1, 17, tzinfo=UTC).replace(tzinfo=None)  # in Shanghai the next day
    found = count(revisions({}, {}, {"reported_at": late}, {"region": "110000"}), REFERENCE)
    assert found["city-jinan", "2026-05-01", "new"] == 2
    assert found["city-jinan", "2026-05-02", "new"] == 1
    assert sum(n for (unit, _, _), n in found.items() if unit == "city-jinan") == 3


def test_repairs_are_counted_beside_their_outcome_and_markers_are_not():
    repair = {"operation": "repair", "status": "repaired", "outcome": "superseding"}
    found = count(revisions(repair, {"variant_of": "x"}), REFERENCE)
    of_jinan = {kind: n for (unit, _, kind), n in found.items() if unit == "city-jinan"}
    assert of_jinan == {"superseding": 1, "repair": 1}


def test_nothing_to_count_is_no_count():
    assert count(revisions({}).clear(), REFERENCE) == {}


def test_counts_and_position_are_one_write(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.count({(READER, 0): 5}, {("city-jinan", "2026-05-01", "new"): 2})
    ledger.count({(READER, 0): 9}, {("city-jinan", "2026-05-01", "new"): 3})
    with pytest.raises(Exception, match="NOT NULL"):
        ledger.count({(READER, 0): 20}, {("city-jinan", "2026-05-01", None): 1})  # type: ignore[dict-item]
    assert ledger.unit_counts() == {("city-jinan", "2026-05-01", "new"): 5}
    assert ledger.positions(READER) == {0: 9}
    ledger.close()


def test_every_unit_has_a_line_and_the_demonstration_says_that_it_is_one():
    rows = units_json(REFERENCE, {("city-jinan", "2026-05-01", "new"): 5, ("city-jinan", "2026-05-02", "new"): 1})
    assert [row["unit"] for row in rows] == [unit.id for unit in REFERENCE.pilot_units.units]
    jinan = next(row for row in rows if row["unit"] == "city-jinan")
    assert (jinan["total"], jinan["fictional"]) == ({"new": 6}, True)
    assert list(jinan["days"]) == ["2026-05-02", "2026-05-01"]


# -- reminders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("today", "ids"),
    [
        (date(2015, 11, 30), []),
        (date(2015, 12, 1), ["milestone-pilot-start-2015-12-31"]),
        (date(2016, 6, 30), ["milestone-planning-2016-06-30"]),
        (date(2016, 7, 1), []),
        (date(2016, 12, 31), ["milestone-mid-term-2016-12-31"]),
        (date(2017, 12, 15), ["milestone-close-2017-12-31"]),
    ],
)
def test_milestones_are_reminded_of_from_thirty_days_before(today, ids):
    assert [reminder.id for reminder in of_milestones(load_milestones(None), today)] == ids


def test_a_milestone_without_a_day_is_a_fault_of_the_table(tmp_path):
    (tmp_path / "milestones.csv").write_text("id,on,name_zh,name_en\nx,soon,x,x\n")
    with pytest.raises(ConfigurationError, match="x needs a day"):
        load_milestones(tmp_path)


def case(state: str, **days: date) -> dict:
    blank = dict.fromkeys(("objection_until", "ends_on", "noticed_on", "objected_on", "reviewed_on"))
    names = {"case_id": "c1", "rule": "CN-36/M02", "subject_id": "uscc:1", "evidence_document": "文1号"}
    return names | {"state": state, "authority_code": "a"} | blank | days


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (case("drafted"), None),
        (case("noticed", noticed_on=TODAY, objection_until=TODAY), None),
        (case("noticed", noticed_on=date(2026, 5, 10), objection_until=date(2026, 5, 19)), "decision_open"),
        (case("noticed", noticed_on=date(2025, 6, 1), objection_until=date(2025, 6, 9)), "lapses_soon"),
        (case("objected", noticed_on=date(2026, 5, 1), objected_on=date(2026, 5, 3)), "objection_open"),
        (case("reviewed", reviewed_on=date(2026, 5, 1), objection_until=date(2026, 5, 2)), "decision_open"),
        (case("in_force", ends_on=TODAY + timedelta(days=30)), "ends_soon"),
        (case("suspended", ends_on=TODAY), "ends_soon"),
        (case("in_force", ends_on=TODAY + timedelta(days=31)), None),
        (case("in_force", ends_on=TODAY - timedelta(days=1)), None),
    ],
)
def test_what_is_due_of_a_case(found, kind):
    assert [reminder.kind for reminder in of_cases([found], RULES, TODAY)] == ([kind] if kind else [])


def test_a_department_is_late_by_its_own_cadence():
    calendar = load_calendar(None)
    heard = datetime(2026, 5, 18, 4, tzinfo=UTC).timestamp()
    names = lambda days: [r.whom for r in of_departments({"market": heard, "court": heard, "gone": 0.0},  # noqa: E731
                          REFERENCE.departments, calendar, heard + days * 86_400)]  # fmt: skip
    assert names(1) == []
    assert names(3) == ["market"]
    assert names(10) == ["court", "market"]
    rows = departments_json(REFERENCE, {"market": heard}, calendar, heard + 3 * 86_400)
    late = {row["department"]: row["late"] for row in rows}
    assert late["market"] is True and late["court"] is False and len(rows) == len(REFERENCE.departments)


def test_a_reminder_is_told_once(tmp_path):
    found = of_milestones(load_milestones(None), date(2016, 12, 31))
    assert tell(tmp_path, found) == 1
    assert tell(tmp_path, found) == 0
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text())["en"] == "2016-12-31: mid-term review"
