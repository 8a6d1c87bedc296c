"""Working days: cases of the law's clocks, columns against single days, and years of which nothing is announced."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from case_tables import cases
from hypothesis import given
from hypothesis import strategies as st

from schemas.calendar import WorkingDay, load_calendar
from schemas.errors import ConfigurationError

CASES = cases("working_days")
days_on_earth = st.dates(date(1960, 1, 1), date(2060, 12, 31))


@pytest.mark.parametrize("case", CASES, ids=[case["why"] for case in CASES])
def test_working_days_are_counted_from_the_day_after(case: dict[str, str]) -> None:
    calendar = load_calendar()
    start, days = date.fromisoformat(case["start"]), int(case["days"])
    expected = WorkingDay(date.fromisoformat(case["day"]), case["provisional"] == "yes")
    assert calendar.add_working_days(start, days) == expected
    column = calendar.add_working_days_to(pl.Series([start, None, start]), days)
    assert column.rows() == [(expected.day, expected.provisional), (None, None), (expected.day, expected.provisional)]


def test_a_weekend_may_be_worked_and_a_weekday_may_be_a_holiday() -> None:
    calendar = load_calendar()
    assert calendar.is_working_day(date(2025, 9, 28))
    assert not calendar.is_working_day(date(2025, 10, 1))
    assert not calendar.is_working_day(date(2025, 9, 27))
    assert calendar.is_working_day(date(2027, 1, 1))  # a Friday of a year of which nothing is announced


def test_the_announced_years_are_2004_to_2026() -> None:
    assert load_calendar().announced_years == frozenset(range(2004, 2027))


@given(days_on_earth, st.integers(1, 60))
def test_the_days_between_are_the_days_added(start: date, days: int) -> None:
    calendar = load_calendar()
    end = calendar.add_working_days(start, days)
    assert calendar.working_days_between(start, end.day).days == days
    assert calendar.working_days_between(start, end.day - timedelta(days=1)).days == days - 1
    assert calendar.working_days_between(end.day, start).days == -days
    assert calendar.working_days_between(start, end.day).provisional == end.provisional
    assert calendar.is_working_day(end.day)


@given(days_on_earth, st.integers(1, 60))
def test_backwards_and_forwards_meet_on_working_days(start: date, days: int) -> None:
    calendar = load_calendar()
    if calendar.is_working_day(start):
        assert calendar.add_working_days(calendar.add_working_days(start, days).day, -days).day == start


@given(st.lists(st.tuples(st.none() | days_on_earth, st.none() | days_on_earth), min_size=1, max_size=8))
def test_columns_count_what_single_days_count(pairs: list[tuple[date | None, date | None]]) -> None:
    calendar = load_calendar()
    starts = pl.Series([start for start, _ in pairs], dtype=pl.Date)
    ends = pl.Series([end for _, end in pairs], dtype=pl.Date)
    expected: list[tuple[int | None, bool | None]] = []
    for start, end in pairs:
        if start is None or end is None:
            expected.append((None, None))
        else:
            count = calendar.working_days_between(start, end)
            expected.append((count.days, count.provisional))
    assert calendar.working_days_between_dates(starts, ends).rows() == expected


def test_a_year_that_a_folder_calls_provisional_is(tmp_path: Path) -> None:
    (tmp_path / "calendar.csv").write_text(
        "date,kind,status\n2026-01-01,holiday,announced\n2027-01-01,holiday,provisional\n", "utf-8"
    )
    calendar = load_calendar(tmp_path)
    assert calendar.add_working_days(date(2026, 12, 31), 1) == WorkingDay(date(2027, 1, 4), True)
    assert calendar.add_working_days(date(2026, 1, 1), 1) == WorkingDay(date(2026, 1, 2), False)


@pytest.mark.parametrize(
    "row", ["2026-13-01,holiday,announced", "2026-01-01,feast,announced", "1800-01-01,holiday,announced"]
)
def test_an_impossible_entry_is_refused_with_a_sentence(tmp_path: Path, row: str) -> None:
    (tmp_path / "calendar.csv").write_text(f"date,kind,status\n{row}\n", "utf-8")
    with pytest.raises(ConfigurationError, match=r"calendar\.csv: .*; correct the entry"):
        load_calendar(tmp_path)
