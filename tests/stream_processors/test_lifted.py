"""Who has stopped enforcing what ended, from entries and acknowledgements made by hand."""

from datetime import date
from typing import Any

from measure_builders import measure

from stream_processors.in_force import Entry, entry_of
from stream_processors.lifted import compare

TODAY = date(2026, 11, 24)


def ended(case_id: str, revision: int, said_ms: int) -> Entry:
    return entry_of(
        measure(case_id, "org:XXXX00051", TODAY, revision=revision, state="ended", reason="annulled"), said_ms
    )


def ack(service: str, said_ms: int, case_id: str = "", revision: int = 0) -> tuple[int, dict[str, Any]]:
    return said_ms, {"service": service, "case_id": case_id, "revision": revision}


def test_whoever_was_there_is_expected_to_acknowledge_the_newest_end():
    acks = [
        *(ack("early", 1_000), ack("old", 1_000), ack("silent", 1_000), ack("late", 9_000)),
        ack("old", 4_000, "c1", 5),  # the end before it was put in force again
        ack("early", 5_250, "c1", 7),
        ack("early", 6_000, "c1", 7),  # once more after a restart
    ]
    found = compare([ended("c1", 7, 5_000)], acks)
    assert [(each.service, each.after_seconds) for each in found] == [("old", None), ("silent", None), ("early", 0.25)]


def test_a_service_that_came_after_the_end_and_acknowledged_all_the_same_is_shown():
    found = compare([ended("c1", 7, 5_000)], [ack("late", 9_000), ack("late", 9_500, "c1", 7)])
    assert [(each.service, each.after_seconds) for each in found] == [("late", 4.5)]


def test_nobody_is_expected_where_no_service_is_there():
    assert compare([ended("c1", 7, 5_000)], []) == []
