"""When each department was last heard, and by when it is to be heard again: its declared cadence, on working days.

What counts is a report that register accepted, whatever its outcome: a list that is sent again unchanged is fresh. The
store knows it of all time, so a restart forgets nothing.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pyarrow as pa

from schemas.calendar import LAW_TIME, Calendar
from stream_processors.clickhouse import ClickHouse

DAY_SECONDS = 86_400


def due_seconds(last_accepted_seconds: float, cadence_days: int, calendar: Calendar) -> float:
    """End of the day by which the next report is due, in seconds since 1970.

    The day of the last report is not counted, and a term that ends on a holiday ends with the next working day (Civil
    Code, Art. 201 and 203).
    """
    last_day = datetime.fromtimestamp(last_accepted_seconds, LAW_TIME).date()
    due = last_day + timedelta(days=cadence_days)
    if not calendar.is_working_day(due):
        due = calendar.add_working_days(due, 1).day
    return _start_of(due + timedelta(days=1))


def _start_of(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=LAW_TIME).astimezone(UTC).timestamp()


def accepted_in(receipts: pa.Table) -> dict[str, float]:
    """The newest acceptance of each department among rows of the table `receipts`, in seconds since 1970."""
    frame = pl.DataFrame(pl.from_arrow(receipts.select(["lane", "department", "recorded_at"])))
    newest = frame.filter(pl.col("lane") == "register").group_by("department").agg(pl.col("recorded_at").max())
    moments = newest["recorded_at"].cast(pl.Datetime("ms")).to_physical()
    return dict(zip(newest["department"].to_list(), (moments / 1000).to_list(), strict=True))


def accepted_so_far(store: ClickHouse) -> dict[str, float]:
    """The same of all that is in the store. Raises Retryable when ClickHouse does not answer."""
    query = (
        "SELECT department, toUnixTimestamp64Milli(max(recorded_at)) AS newest_ms "
        "FROM receipts WHERE lane = 'register' GROUP BY department"
    )
    rows = store.rows(query, doing="asking when each department was last heard")
    return {row["department"]: row["newest_ms"] / 1000 for row in rows}
