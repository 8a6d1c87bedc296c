"""Periods of months: they end on the corresponding day, or on the last of a shorter month (Civil Code, Art. 202)."""

from calendar import monthrange
from datetime import date


def add_months(day: date, months: int) -> date:
    """The corresponding day `months` later."""
    count = day.year * 12 + day.month - 1 + months
    year, month = divmod(count, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
