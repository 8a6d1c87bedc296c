"""Dates of an event that can not all be right: said once for the adapter's check and for intake.

A date that nobody could have written on purpose is not corrected here; the row is set aside and its clerk is asked.
"""

from datetime import date, timedelta

import polars as pl

_ALL = ("decided_on", "change_decided_on", "valid_from", "valid_to", "published_until")
_OF_ACTS = ("decided_on", "change_decided_on")  # an act is done before it is reported, by an authority that exists
_MOMENTS = ("reported_at", "source_version")

FIRST_DAY = date(1900, 1, 1)  # what the store's dates can hold, and no older body is on record
LAST_DAY = date(2299, 12, 31)
FIRST_ACT = date(1949, 10, 1)  # no authority of today decided anything before; registrations may be older
_FIRST_REPORT = date(2015, 1, 1)  # an event that bears an older stamp was not stamped yet
_SHANGHAI = timedelta(hours=8)


def faulty_dates(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns `reason` and `detail` of each row, null where its dates agree.

    `date_implausible`: before 1900 or after 2299; an act before 1949-10-01, or after the day of its report in China.
    `dates_disagree`: the end of validity before its beginning, or before the decision where no beginning is said; a
    change, or the end of publication, before the decision.

    Args:
        frame: CREDIT_EVENT columns.
    """
    days = {name: frame[name] for name in _ALL if frame[name].null_count() < frame.height}
    found = _implausible(frame, days) + _disagreeing(days)
    suspect = [(reason, name, which) for reason, name, which in found if which.any()]
    if not suspect:
        return pl.DataFrame({"reason": _nothing(frame.height), "detail": _nothing(frame.height)})
    reason, detail = pl.lit(None, pl.String), pl.lit(None, pl.String)
    for why, name, which in reversed(suspect):
        reason = pl.when(which).then(pl.lit(why)).otherwise(reason)
        detail = pl.when(which).then(pl.lit(name)).otherwise(detail)
    return pl.select(reason=reason, detail=detail)


Found = list[tuple[str, str, pl.Series]]  # reason, field, which rows


def _implausible(frame: pl.DataFrame, days: dict[str, pl.Series]) -> Found:
    found = [(name, ~days[name].is_between(FIRST_DAY, LAST_DAY)) for name in days]
    for name in _MOMENTS:
        found.append((name, ~frame[name].dt.date().is_between(FIRST_DAY, LAST_DAY)))
    reported = (frame["reported_at"] + _SHANGHAI).dt.date()
    stamped = reported >= _FIRST_REPORT
    act = frame["category"] != "registration"
    for name in days:
        if name in _OF_ACTS:
            found.append((name, (days[name] < FIRST_ACT) & act | (days[name] > reported) & stamped))
    return [("date_implausible", name, which.fill_null(False)) for name, which in found]


def _disagreeing(days: dict[str, pl.Series]) -> Found:
    """Pairs of dates of which the first must not be before the second."""
    begins = [days[name] for name in ("valid_from", "decided_on") if name in days]
    if not begins:
        return []
    begin = pl.select(pl.coalesce(begins)).to_series()
    found = [("valid_to", days["valid_to"] < begin)] if "valid_to" in days else []
    if "decided_on" in days:
        for name in ("change_decided_on", "published_until"):
            if name in days:
                found.append((name, days[name] < days["decided_on"]))
    return [("dates_disagree", name, which.fill_null(False)) for name, which in found]


def _nothing(rows: int) -> pl.Series:
    return pl.Series([None], dtype=pl.String).new_from_index(0, rows)
