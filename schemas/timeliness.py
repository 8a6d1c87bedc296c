"""Whether a decision was reported in time: working days from the decision to its first report, against the law's limit.

Licences and penalties are to be published within seven working days of the decision (发改办财金〔2018〕424号). Other
categories have terms of their own or none; for them the same seven days are a yardstick only, and told apart: `RULES`.
The founding of a body is no decision that anyone reports late, so registrations are not measured.

A count that touches a year without an announced calendar is provisional and blames nobody: it is neither in time nor
late. Non-goal: repeats and corrections, which say nothing about when a decision was first known.
"""

from typing import Any

import numpy as np
import polars as pl

from schemas.calendar import Calendar

LIMIT_WORKING_DAYS = 7
LAW_CATEGORIES = ("licence", "penalty")
NOT_MEASURED = ("registration",)

RULES = ("law", "yardstick")
LAW, YARDSTICK = range(len(RULES))
VERDICTS = ("in_time", "late", "provisional", "undated")
IN_TIME, LATE, PROVISIONAL, UNDATED = range(len(VERDICTS))

DELAY_BUCKETS_WORKING_DAYS = (0.0, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 250.0)
"""Upper bounds; the limit is one of them, so that the histogram and the verdicts can be held against each other."""

_SHANGHAI_MS = 8 * 3_600_000  # China has had one time and no summer time since 1992
_DAY_MS = 86_400_000

Array = np.ndarray[Any, Any]


def reported_days(reported_at_ms: Array) -> Array:
    """The day in China, counted from 1970-01-01, of moments in milliseconds since 1970."""
    return (reported_at_ms.astype(np.int64) + _SHANGHAI_MS) // _DAY_MS


def judge(decided: pl.Series, reported: Array, calendar: Calendar) -> tuple[Array, Array]:
    """How each first report stands: (index in VERDICTS, working days of delay; 0 where there is no date).

    The day of the decision is not counted (Civil Code, Art. 201). A decision dated after its report counts as 0 days.

    Args:
        decided: a Date column. reported: as `reported_days` gives them.
    """
    numbers = decided.to_physical().cast(pl.Int64)
    undated = numbers.is_null().to_numpy()
    days, provisional = calendar.working_days_between_numbers(numbers.fill_null(0).to_numpy(), reported)
    days = np.where(undated, 0, np.maximum(days, 0))
    verdicts = (days > LIMIT_WORKING_DAYS).astype(np.uint8)  # IN_TIME, LATE
    verdicts[provisional] = PROVISIONAL
    verdicts[undated] = UNDATED
    return verdicts, days
