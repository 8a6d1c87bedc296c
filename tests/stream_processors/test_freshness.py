"""When a department is due, how a restart knows when it was heard, and what is kept of a verification."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from schemas.calendar import load_calendar
from stream_processors.freshness import accepted_in, due_seconds
from stream_processors.looks import tell_disk, tell_verified
from stream_processors.metrics import LaneMetrics, Registry, StoreMetrics
from stream_processors.verified import Verified, recall, remember
from tests.schemas.events import REFERENCE


def shanghai(moment: str) -> float:
    return datetime.fromisoformat(f"{moment}+08:00").timestamp()


def sample(registry: Registry, name: str, **labels: str) -> float | None:
    return registry.registry.get_sample_value(name, labels)


@pytest.mark.parametrize(
    ("last", "cadence_days", "due"),
    [
        ("2026-11-24T09:00", 1, "2026-11-26T00:00"),  # Tuesday: by the end of Wednesday
        ("2026-11-20T23:59", 1, "2026-11-24T00:00"),  # Friday: by the end of Monday
        ("2026-11-21T00:01", 1, "2026-11-24T00:00"),  # Saturday, although it is still Friday in UTC
        ("2026-11-24T09:00", 7, "2026-12-02T00:00"),
        ("2026-09-30T09:00", 1, "2026-10-09T00:00"),  # the holidays of October
        ("2026-09-19T09:00", 1, "2026-09-21T00:00"),  # a Sunday that is worked
    ],
)
def test_a_term_ends_with_a_working_day(last: str, cadence_days: int, due: str) -> None:
    assert due_seconds(shanghai(last), cadence_days, load_calendar()) == shanghai(due)


def test_only_what_register_accepted_counts_and_the_newest_of_it() -> None:
    receipts = pa.table(
        {
            "lane": ["register", "intake", "register", "register"],
            "department": ["market", "market", "tax", "market"],
            "recorded_at": pa.array([5_000, 9_000, 7_500, 6_000], pa.timestamp("ms")),
        }
    )
    assert accepted_in(receipts) == {"market": 6.0, "tax": 7.5}


def test_a_department_is_as_fresh_as_its_newest_report_and_unknown_ones_are_no_label() -> None:
    registry = Registry()
    metrics = StoreMetrics(registry, REFERENCE.departments, load_calendar())
    name = "xinliu_department_last_accepted_timestamp_seconds"
    assert sample(registry, name, department="market") is None
    assert sample(registry, "xinliu_department_cadence_seconds", department="court") == 7 * 86_400
    for moment in ("2026-11-24T09:00", "2026-11-20T09:00"):
        metrics.accepted({"market": shanghai(moment), "nobody": 1.0})
    assert sample(registry, name, department="market") == shanghai("2026-11-24T09:00")
    due = sample(registry, "xinliu_department_due_timestamp_seconds", department="market")
    assert due == shanghai("2026-11-26T00:00")
    assert b"nobody" not in registry.page()


def test_the_last_verification_is_told_and_never_having_been_is_no_failure(tmp_path: Path) -> None:
    registry = Registry()
    tell_verified(registry, tmp_path)
    assert sample(registry, "xinliu_verify_timestamp_seconds", lane="store") == 0
    assert sample(registry, "xinliu_verify_ok", lane="store") is None
    remember(tmp_path, Verified(1_000.5, ok=False))
    tell_verified(registry, tmp_path)
    assert sample(registry, "xinliu_verify_timestamp_seconds", lane="store") == 1_000.5
    assert sample(registry, "xinliu_verify_ok", lane="store") == 0


def test_a_result_that_can_not_be_read_or_kept_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    remember(tmp_path, Verified(1.0, ok=True))
    assert recall(tmp_path) is None
    (tmp_path / "state").unlink()
    remember(tmp_path, Verified(1.0, ok=True))
    (tmp_path / "state" / "verified.json").write_text('{"half')
    assert recall(tmp_path) is None


def test_the_disk_is_looked_at_for_each_page(tmp_path: Path) -> None:
    registry = Registry()
    registry.at_each_page(lambda: tell_disk(registry, "intake", tmp_path))
    page = registry.page().decode()
    assert 'xinliu_disk_free_bytes{lane="intake"}' in page and 'xinliu_disk_size_bytes{lane="intake"}' in page


def test_an_open_transaction_is_one_that_holds_the_same_place(monkeypatch: pytest.MonkeyPatch) -> None:
    registry, now = Registry(), [100.0]
    monkeypatch.setattr("stream_processors.metrics.time.monotonic", lambda: now[0])
    metrics = LaneMetrics("register", registry)

    def told(stable: int, high: int) -> float | None:
        now[0] += 5
        metrics.last_stable("credit.records", 1, stable, high)
        return sample(registry, "xinliu_open_transaction_seconds", topic="credit.records", partition="1")

    assert [told(*ends) for ends in ((10, 10), (10, 15), (10, 20), (22, 30), (22, 30), (30, 30), (30, 40))] == [
        0.0,
        5.0,  # since it was last seen without one
        10.0,
        0.0,  # it moved: another transaction
        5.0,
        0.0,
        5.0,
    ]
