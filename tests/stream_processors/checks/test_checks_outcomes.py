"""Each way in which an event can get lost or doubled between the topics is told apart, in numbers and in words."""

import numpy as np
import polars as pl
import pytest

from stream_processors.checks import places
from stream_processors.checks.outcomes import Reported, counted, outcome_checks, receipt_rows
from stream_processors.checks.places import Ranges

DEPARTMENTS = places.Departments(["court", "tax"])
OUTCOME, REGISTER, QUARANTINE, LANE = range(4)


def place(department: str, partition: int, offset: int) -> int:
    row = {"department": [department], "source_partition": [partition], "source_offset": [offset]}
    return places.frame_places(DEPARTMENTS, pl.DataFrame(row)).item()


def at(*offsets: int, department: str = "tax", partition: int = 1) -> list[int]:
    return [place(department, partition, offset) for offset in offsets]


def reported(
    *,
    events: tuple[int, ...] = (0, 1, 2, 3),
    identified: tuple[int, ...] = (0, 1),
    receipts: tuple[tuple[str, str, int], ...] = (
        ("intake", "quarantined", 2),
        ("intake", "refused", 3),
        ("register", "new", 0),
        ("register", "repeat", 1),
    ),
    quarantine: tuple[int, ...] = (2,),
    due: tuple[bool, ...] | None = None,
    folded: tuple[bool, ...] | None = None,
    ranges: tuple[int, int, int] = (0, 4, 4),
) -> Reported:
    """Four events of one partition: two on record, one set aside, one refused."""
    return Reported(
        DEPARTMENTS,
        Ranges.of({places.stream_number(1, 1): ranges}),
        np.array(at(*events), np.uint64),
        np.array([True] * len(events) if due is None else due, bool),
        np.array(at(*identified), np.uint64),
        np.array([True] * len(identified) if folded is None else folded, bool),
        pl.DataFrame(
            [(lane, outcome, *at(offset)) for lane, outcome, offset in receipts],
            schema={"lane": pl.String, "outcome": pl.String, "place": pl.UInt64},
            orient="row",
        ),
        np.array(at(*quarantine), np.uint64),
    )


GOOD = reported()
RECEIPTS = (("intake", "quarantined", 2), ("intake", "refused", 3), ("register", "new", 0), ("register", "repeat", 1))


def test_events_with_one_outcome_each_pass():
    assert [check.differences for check in outcome_checks(GOOD)] == [0, 0, 0, 0]
    assert [check.compared for check in outcome_checks(GOOD)] == [4, 2, 1, 4]


@pytest.mark.parametrize(
    ("case", "which", "sentence"),
    [
        (reported(identified=(0,), receipts=RECEIPTS[:3]), OUTCOME, "missing: credit.events.tax[1]@1, intake says"),
        (reported(receipts=RECEIPTS[1:], quarantine=()), OUTCOME, "missing: credit.events.tax[1]@2, intake says"),
        (reported(identified=(0, 1, 1)), OUTCOME, "doubled: credit.events.tax[1]@1 has more"),
        (reported(identified=(0, 1, 3)), OUTCOME, "doubled: credit.events.tax[1]@3 has more"),
        (reported(events=(0, 1, 3)), OUTCOME, "unknown: credit.events.tax[1]@2 has an outcome"),
        (reported(identified=(0, 1, 900)), OUTCOME, "unknown: credit.events.tax[1]@900 has an outcome"),
        (reported(receipts=RECEIPTS[:3]), REGISTER, "missing: credit.events.tax[1]@1, register says"),
        (reported(receipts=(*RECEIPTS, RECEIPTS[3])), REGISTER, "doubled: credit.events.tax[1]@1 has more"),
        (reported(receipts=(*RECEIPTS, ("register", "new", 3))), REGISTER, "unknown: credit.events.tax[1]@3 has"),
        (reported(quarantine=()), QUARANTINE, "missing: credit.events.tax[1]@2, its receipt says"),
        (reported(quarantine=(2, 2)), QUARANTINE, "doubled: credit.events.tax[1]@2 has more"),
        (reported(quarantine=(2, 3)), QUARANTINE, "unknown: credit.events.tax[1]@3 has"),
        (reported(receipts=(*RECEIPTS[:3], ("register", "refused", 1))), LANE, "foreign: the receipt of credit.events"),
    ],
)
def test_each_fault_is_one_difference(case, which, sentence):
    check = outcome_checks(case)[which]
    assert check.differences == 1
    assert check.examples[0].startswith(sentence)


def test_what_register_has_not_passed_may_be_silent():
    assert all(c.ok for c in outcome_checks(reported(receipts=RECEIPTS[:3], folded=(True, False))))


def test_an_event_beyond_its_retention_may_have_outlived_its_outcome():
    assert all(
        c.ok
        for c in outcome_checks(
            reported(identified=(1,), receipts=(*RECEIPTS[:2], RECEIPTS[3]), due=(False, True, True, True))
        )
    )


def test_outcomes_before_the_first_kept_event_and_of_events_sent_meanwhile_are_not_looked_at():
    case = reported(events=(1, 2, 3), identified=(0, 1, 7), ranges=(1, 4, 9), receipts=(*RECEIPTS[:2], RECEIPTS[3]))
    assert all(c.ok for c in outcome_checks(case))


def test_departments_and_partitions_are_kept_apart():
    keys = [*at(0), *at(0, department="court"), *at(0, partition=2)]
    assert len(set(keys)) == 3
    assert DEPARTMENTS.named(keys[1]) == "credit.events.court[1]@0"


def test_counts_add_up_for_each_partition():
    (row,) = counted(GOOD).to_dicts()
    assert {name: value for name, value in row.items() if value} == {
        "department": "tax",
        "partition": 1,
        "last_offset": 3,
        "events": 4,
        "identified": 2,
        "quarantined": 1,
        "refused": 1,
        "new": 1,
        "repeat": 1,
    }


def test_a_receipt_speaks_of_many_events():
    receipts = pl.DataFrame(
        {
            "partition": [0, 0],
            "offset": [0, 1],
            "lane": ["register", "register"],
            "department": ["tax", "tax"],
            "outcome": ["new", "repeat"],
            "source_partition": [1, 2],
            "offsets": [[4, 5], [6]],
        }
    )
    assert receipt_rows(receipts)["source_offset"].to_list() == [4, 5, 6]


def test_nothing_at_all_passes():
    empty = reported(events=(), identified=(), receipts=(), quarantine=(), ranges=(0, 0, 0))
    assert all(c.ok for c in outcome_checks(empty))
    assert counted(empty).is_empty()
