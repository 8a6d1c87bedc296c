"""Runs two laws over the current records: reads, compares, adds up."""

from __future__ import annotations

from datetime import datetime

from schemas.calendar import LAW_TIME
from schemas.settings import Settings
from schemas.windows_packs import load_windows
from stream_processors.rules.compare import Difference, Law, add
from stream_processors.rules.current import current_records
from stream_processors.rules.laws import law_of


def difference(settings: Settings, before: str, after: str) -> tuple[tuple[Law, Law], Difference]:
    """The two laws and what would change from the first to the second.

    Raises:
        InputError: a name or folder is not there. Retryable: neither the store nor Kafka answers.
    """
    laws = (law_of(before, settings), law_of(after, settings))
    in_force = load_windows(settings.reference_dir)
    categories = {category for law in laws for category in law.rules.categories}
    categories |= {category for law in laws for pack in law.publication for category in pack.categories}
    found = Difference()
    today = datetime.now(LAW_TIME).date()
    for records in current_records(settings, sorted(categories)):
        add(found, records, *laws, in_force, today)
    return laws, found
