"""Working days of China, with holidays and the weekends that are worked in exchange for them.

Deadlines of the law count working days (Administrative Penalty Law, Art. 85), and the day on which something happened
is not counted (Civil Code, Art. 201). Years whose notice is not out yet are taken as Monday to Friday, and every answer
that touches one says so: `provisional`. Nothing here fails for an unknown year; who acts on a provisional answer has to
resolve the doubt for the subject.

Non-goals: hours of the day, and calendars of other countries.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from schemas.errors import ConfigurationError
from schemas.reference.tables import read_table

LAW_TIME = ZoneInfo("Asia/Shanghai")  # a day of the law is a day there

Days = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

_FIRST_DAY = date(1949, 10, 1)
_LAST_DAY = date(2199, 12, 31)
_LAST_POSITION = (_LAST_DAY - _FIRST_DAY).days
_EPOCH_POSITION = (date(1970, 1, 1) - _FIRST_DAY).days


@dataclass(frozen=True, slots=True)
class WorkingDay:
    """A computed day; `provisional` if a year on the way to it has no announced calendar."""

    day: date
    provisional: bool


@dataclass(frozen=True, slots=True)
class WorkingDayCount:
    """A number of working days; `provisional` if a year among them has no announced calendar."""

    days: int
    provisional: bool


@dataclass(frozen=True, slots=True, eq=False)
class Calendar:
    """The calendar as arrays over the positions of all days from 1949-10-01 to 2199-12-31.

    Attributes:
        working_through: how many working days there are up to and with each day.
        working_days: positions of the working days, ascending.
        unknown_through: how many days of years without an announced calendar there are up to and with each day.
        announced_years: years whose notice is out.
    """

    working_through: Days
    working_days: Days
    unknown_through: Days
    announced_years: frozenset[int]

    def is_working_day(self, day: date) -> bool:
        """Whether it is one; of a year without announced calendar, whether it is a Monday to Friday."""
        position = _positions_of([day])[0]
        return bool(self.working_through[position] > self.working_through[max(position - 1, 0)])

    def add_working_days(self, start: date, days: int) -> WorkingDay:
        """The day that is `days` working days after `start`, which is not counted; before it if `days` is negative.

        For 0 it is `start` itself. A day outside of 1949 to 2199 is taken for the nearest inside, provisionally.
        """
        ends, provisional = self._add(_positions_of([start]), days)
        return WorkingDay(_FIRST_DAY + timedelta(days=int(ends[0])), bool(provisional[0]))

    def working_days_between(self, start: date, end: date) -> WorkingDayCount:
        """How many working days lie after `start` up to and with `end`; negative if `end` is before `start`.

        `add_working_days(start, n)` is the first day for which this is n.
        """
        counts, provisional = self._between(_positions_of([start]), _positions_of([end]))
        return WorkingDayCount(int(counts[0]), bool(provisional[0]))

    def add_working_days_to(self, starts: pl.Series, days: int) -> pl.DataFrame:
        """`add_working_days` for a Date column: columns `day` (Date) and `provisional` (Boolean), null for null."""
        ends, provisional = self._add(_positions_in(starts), days)
        found = pl.Series("day", ends - _EPOCH_POSITION).cast(pl.Int32).cast(pl.Date)
        return _null_where(starts.is_null(), pl.DataFrame({"day": found, "provisional": provisional}))

    def working_days_between_dates(self, starts: pl.Series, ends: pl.Series) -> pl.DataFrame:
        """`working_days_between` for two Date columns: `days` (Int64), `provisional` (Boolean), null for null."""
        counts, provisional = self._between(_positions_in(starts), _positions_in(ends))
        frame = pl.DataFrame({"days": counts, "provisional": provisional})
        return _null_where(starts.is_null() | ends.is_null(), frame)

    def working_days_between_numbers(self, starts: Days, ends: Days) -> tuple[Days, Flags]:
        """`working_days_between` for days counted from 1970-01-01: (counts, provisional)."""
        first, last = (np.clip(days + _EPOCH_POSITION, 0, _LAST_POSITION) for days in (starts, ends))
        return self._between(first, last)

    def _add(self, starts: Days, days: int) -> tuple[Days, Flags]:
        through = self.working_through[starts]
        if days > 0:
            at = through + days - 1
        else:
            at = through - self._works(starts) + days  # counted from the working days before the start
        outside = (at < 0) | (at >= len(self.working_days))
        ends = starts if days == 0 else self.working_days[np.clip(at, 0, len(self.working_days) - 1)]
        outside = outside & (days != 0)
        return ends, outside | (self.unknown_through[ends] != self.unknown_through[starts])

    def _between(self, starts: Days, ends: Days) -> tuple[Days, Flags]:
        counts = self.working_through[ends] - self.working_through[starts]
        return counts, self.unknown_through[ends] != self.unknown_through[starts]

    def _works(self, positions: Days) -> Days:
        return self.working_through[positions] - np.where(
            positions > 0, self.working_through[np.maximum(positions - 1, 0)], 0
        )


@cache
def load_calendar(directory: Path | None = None) -> Calendar:
    """The calendar from its table of exceptions. Raises ConfigurationError for an entry that can not be one."""
    working = np.array([(_FIRST_DAY.weekday() + position) % 7 < 5 for position in range(_LAST_POSITION + 1)])
    statuses: dict[int, str] = {}
    for row in read_table("calendar", ("date", "kind", "status"), directory):
        day = _parsed(row["date"])
        if row["kind"] not in ("holiday", "workday") or row["status"] not in ("announced", "provisional"):
            raise _problem(row["date"], "needs the kind holiday or workday and the status announced or provisional")
        if statuses.setdefault(day.year, row["status"]) != row["status"]:
            raise _problem(row["date"], "has another status than the rest of its year")
        working[_positions_of([day])] = row["kind"] == "workday"
    announced = frozenset(year for year, status in statuses.items() if status == "announced")
    years = np.arange(_FIRST_DAY.year, _LAST_DAY.year + 1)
    lengths = np.array([(date(year, 12, 31) - max(date(year, 1, 1), _FIRST_DAY)).days + 1 for year in years.tolist()])
    unknown = np.repeat(~np.isin(years, sorted(announced)), lengths)
    return Calendar(np.cumsum(working), np.flatnonzero(working), np.cumsum(unknown, dtype=np.int64), announced)


def _positions_of(days: list[date]) -> Days:
    return np.clip(np.array([(day - _FIRST_DAY).days for day in days], np.int64), 0, _LAST_POSITION)


def _positions_in(days: pl.Series) -> Days:
    numbers = days.cast(pl.Date).to_physical().fill_null(0).to_numpy().astype(np.int64)
    return np.clip(numbers + _EPOCH_POSITION, 0, _LAST_POSITION)


def _null_where(missing: pl.Series, frame: pl.DataFrame) -> pl.DataFrame:
    if not missing.any():
        return frame
    return frame.with_columns(pl.when(~missing).then(pl.all()).name.keep())


def _parsed(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise _problem(text, "is no date of the form 2026-05-01") from error
    if not _FIRST_DAY <= day <= _LAST_DAY:
        raise _problem(text, f"is not between {_FIRST_DAY} and {_LAST_DAY}")
    return day


def _problem(entry: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"reading the reference table calendar.csv: {entry} {what}; correct the entry")
