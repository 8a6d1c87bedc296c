"""The second fold agrees with register on any stream of events, and finds each fault that is planted in the logs."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miniature import Miniature, identified

from schemas.topics import HISTORY, IDENTIFIED, RECORDS
from stream_processors.checks.findings import Check
from stream_processors.checks.history import align, fold_again
from stream_processors.checks.places import Departments
from stream_processors.checks.records import record_checks

FOLD, RECEIPTS, REVISIONS, NEWEST, MARKERS = range(5)
SUBJECTS = ["org:XXXX00051", "org:XXXX0006X", "reg:370100000000016"]


def judge(platform: Miniature, *, whole: bool = True, **changed: pl.DataFrame) -> list[Check]:
    """All checks on the logs of the miniature; `changed` replaces a log by another."""
    departments = Departments(["market", "tax"])
    events = changed.get("events", platform.identified(departments))
    history = changed.get("history", platform.history(departments))
    records = changed.get("records", platform.records(departments))
    receipts = platform.receipts(departments).filter(pl.col("lane") == "register")
    aligned = align(events, history, whole=whole)
    stable_to = {0: 1 << 40, 1: 1 << 40}
    return record_checks(aligned, fold_again(aligned, departments), records, stable_to, receipts, departments)


def failures(checks: list[Check]) -> dict[int, tuple[str, ...]]:
    return {number: check.examples for number, check in enumerate(checks) if not check.ok}


events = st.builds(
    lambda record, content, day, version, operation, department, ends: identified(
        record_id=f"{record:032x}",
        content=f"{content:016x}",
        subject_key=SUBJECTS[record % len(SUBJECTS)],
        effective_on=date(2026, 3, day),
        source_version=None if version == 0 else 1_700_000_000_000 + version * 10,
        operation=operation,
        department=department,
        published_until=None if ends == 0 else date(2026, 5, ends),
    ),
    record=st.integers(1, 4),
    content=st.integers(1, 3),
    day=st.integers(1, 3),
    version=st.integers(0, 2),
    operation=st.sampled_from(["report"] * 6 + ["correct", "annul", "withdraw", "repair", "reinstate"]),
    department=st.sampled_from(["market", "market", "reform", "tax", "court"]),
    ends=st.sampled_from([0, 0, 1, 3, 10]),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.one_of(st.lists(events, min_size=1, max_size=12), st.integers(1, 4)), min_size=1, max_size=6))
def test_whatever_is_reported_the_second_fold_agrees(steps):
    platform = Miniature()
    platform.report(identified(record_id=f"{9:032x}"))
    for step in steps:
        if isinstance(step, int):
            platform.pass_time(step)
        else:
            platform.report(*step)
    assert failures(judge(platform)) == {}


def test_a_confirmation_after_the_end_of_publication_is_told_from_one_before():
    for days in (0, 3):
        platform = Miniature()
        platform.report(identified(published_until=date(2026, 5, 1)), identified(published_until=date(2026, 5, 1)))
        platform.pass_time(days)
        platform.report(identified(published_until=date(2026, 5, 1), source_version=1_700_000_000_000))
        platform.pass_time(3)
        assert failures(judge(platform)) == {}


@pytest.fixture
def platform() -> Miniature:
    """One record of each kind: plain, repeated, superseded, annulled, expired."""
    platform = Miniature()
    platform.report(*(identified(record_id=f"{number:032x}") for number in range(1, 6)))
    platform.report(
        identified(record_id=f"{2:032x}"),
        identified(record_id=f"{3:032x}", content="b" * 16, effective_on=date(2026, 4, 1)),
        identified(record_id=f"{4:032x}", content="c" * 16, effective_on=date(2026, 4, 1), operation="annul"),
        identified(record_id=f"{6:032x}", published_until=date(2026, 5, 2)),
    )
    platform.pass_time(3)
    return platform


def test_the_lives_of_records_pass(platform):
    assert failures(judge(platform)) == {}
    assert [check.compared for check in judge(platform)] == [9, 9, 9, 6, 2]


def without(frame: pl.DataFrame, record: int, revision: int) -> pl.DataFrame:
    return frame.filter(~((pl.col("low") == record) & (pl.col("revision") == revision)))


def logs(platform: Miniature) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    departments = Departments(["market", "tax"])
    return platform.identified(departments), platform.history(departments), platform.records(departments)


def test_a_row_missing_from_the_history_is_found(platform):
    _, history, _ = logs(platform)
    found = failures(judge(platform, history=without(history, 1, 1)))
    assert "must be new (valid, revision 1), the history says nothing" in found[FOLD][0]
    assert set(found) == {FOLD, NEWEST}


def test_a_row_twice_in_the_history_is_found(platform):
    _, history, _ = logs(platform)
    twice = pl.concat([history, history.filter((pl.col("low") == 3) & (pl.col("revision") == 2))])
    found = failures(judge(platform, history=twice))
    assert "that nothing explains" in found[FOLD][0]
    assert "revision 3 is expected in the history, 2 is there" in found[REVISIONS][0]


def test_a_wrong_revision_is_found(platform):
    _, history, _ = logs(platform)
    wrong = history.with_columns(
        revision=pl.when(pl.col("low") == 3).then(pl.col("revision") + 1).otherwise("revision")
    )
    found = failures(judge(platform, history=wrong))
    assert "must be new (valid, revision 1), the history says new (valid, revision 2)" in found[FOLD][0]
    assert set(found) == {FOLD, REVISIONS, NEWEST}


def test_an_event_lost_before_register_is_found(platform):
    events, _, _ = logs(platform)
    found = failures(judge(platform, events=events.filter(pl.col("low") != 1)))
    assert "which was not identified" in found[FOLD][0]


def test_a_row_for_an_event_that_only_repeats_is_found(platform):
    events, _, _ = logs(platform)
    # As if the second report of record 3 had said what the first did.
    same = events.with_columns(content=pl.when(pl.col("low") == 3).then(1).otherwise("content"), order=pl.lit(5))
    assert "record 00000000000000000000000000000003" in "".join(failures(judge(platform, events=same))[FOLD])


def test_a_record_missing_is_found(platform):
    _, _, records = logs(platform)
    (sentence,) = failures(judge(platform, records=records.filter(pl.col("low") != 1)))[NEWEST]
    assert (
        sentence
        == "missing: record 00000000000000000000000000000001 is in the history up to revision 1, not in credit.records"
    )


def test_an_outdated_record_is_found(platform):
    _, _, records = logs(platform)
    (sentence,) = failures(judge(platform, records=without(records, 4, 2)))[NEWEST]
    assert sentence == "outdated: record 00000000000000000000000000000004 is at revision 1, its history at 2"


def test_a_record_that_is_not_as_in_the_history_is_found(platform):
    _, _, records = logs(platform)
    other = records.with_columns(whole=pl.when(pl.col("low") == 2).then(pl.lit(7, pl.UInt64)).otherwise("whole"))
    (sentence,) = failures(judge(platform, records=other))[NEWEST]
    assert sentence.startswith("differing: record 00000000000000000000000000000002, revision 1")


def test_a_missing_marker_is_found(platform):
    _, _, records = logs(platform)
    found = failures(judge(platform, records=records.filter(~pl.col("marker") | (pl.col("variant_low") != 3))))
    assert found[MARKERS][0].endswith("(superseded) of record 00000000000000000000000000000003")
    assert found[MARKERS][0].startswith("missing: marker ")


def test_a_marker_that_nothing_explains_is_found(platform):
    _, _, records = logs(platform)
    stray = records.filter("marker").head(1).with_columns(high=pl.lit(9, pl.UInt64))
    found = failures(judge(platform, records=pl.concat([records, stray])))
    assert found[MARKERS][0].startswith("unexplained: marker 0000000000000009")


def test_a_wrong_receipt_is_found(platform):
    departments = Departments(["market", "tax"])
    events, history, records = logs(platform)
    aligned = align(events, history, whole=True)
    receipts = platform.receipts(departments).with_columns(outcome=pl.lit("stale"))
    checks = record_checks(aligned, fold_again(aligned, departments), records, {}, receipts, departments)
    assert checks[RECEIPTS].differences == 9
    assert checks[RECEIPTS].examples[0] == "credit.events.market[0]@0 is new, its receipt says stale"


def test_what_register_has_not_come_to_is_not_judged(platform):
    events, history, records = logs(platform)
    waiting = events.with_columns(folded=pl.col("low") != 3)
    assert (
        failures(judge(platform, events=waiting, history=without(history, 3, 2), records=without(records, 3, 2))) == {}
    )


def test_events_that_the_topic_keeps_no_more_are_taken_from_the_history(platform):
    events, _, _ = logs(platform)
    kept = events.filter(pl.col("offset") >= 2)
    assert failures(judge(platform, events=kept, whole=False)) == {}


def test_what_came_after_the_events_were_read_is_not_judged(platform):
    events, _, _ = logs(platform)
    platform.report(identified(record_id=f"{1:032x}", content="d" * 16, effective_on=date(2026, 4, 9)))
    platform.report(identified(record_id=f"{8:032x}"))
    assert failures(judge(platform, events=events)) == {}


def test_topics_hold_what_the_tests_speak_of(platform):
    assert {IDENTIFIED, HISTORY, RECORDS} < set(platform.topics)
