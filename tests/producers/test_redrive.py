"""After a mended mapping the rows that were set aside go once more, as they were reported, and no others."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from companies import write_companies_mapping
from confluent_kafka import Producer
from publishing import PARTITIONS, Department, answering, code, receipt, register_department

from producers import kafka
from producers.journal import Journal
from producers.mapping import load
from producers.publisher import publish
from producers.receipts import so_far
from producers.redrive import Redriven, RedriveOrder, redrive
from schemas import codec, reference
from schemas.avro import CREDIT_EVENT
from schemas.errors import InputError
from schemas.examine import examine
from schemas.topics import events_topic, receipts_topic

NOW = datetime(2026, 5, 1, 4, 0, tzinfo=UTC)
KINDS = {1: ("有限责任公司",), 2: ("有限责任公司", "股份有限公司")}


@pytest.fixture
def department(broker, settings_for: Callable[..., object], tmp_path: Path) -> Department:
    """A department with a mapping of its own, which does not know every kind of company yet."""
    made = register_department(broker, settings_for, tmp_path)
    folder = tmp_path / "mappings"
    folder.mkdir()
    department = replace(made, settings=replace(made.settings, mappings_dir=folder))
    write_mapping(department, 1)
    return department


def write_mapping(department: Department, version: int, *kinds: str) -> None:
    folder = department.settings.mappings_dir
    assert folder is not None
    write_companies_mapping(folder / "companies.toml", version, *(kinds or KINDS[version]))


def write_companies(path: Path, *rows: tuple[str, str, str]) -> Path:
    """Rows of (code, kind, date); the first is row 2."""
    lines = ["名称,代码,类型,日期", *(f"演示商贸公司,{number},{kind},{day}" for number, kind, day in rows)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


ROWS = (
    (code(1), "有限责任公司", "2001-02-03"),
    (code(2), "股份有限公司", "2001-02-03"),
    (code(3), "股份有限公司", "2001-02-03"),
    (code(4)[:-1] + "?", "股份有限公司", "2001-02-03"),
    (code(5), "合作社联社", "2001-02-03"),
)


def published(department: Department, path: Path, platform_answers: bool = True) -> str:
    """Publish by the mapping as it is now; the platform answers what its code says."""
    entry, _ = publish(department.settings, department.order(path, "companies"), lambda: NOW)
    if platform_answers:
        answer(department)
    return entry.submission


def answer(department: Department) -> None:
    """Receipts for all that lies on the department's topic: quarantined with the reason, or new."""
    topic = events_topic(department.name)
    ends = kafka.end_offsets(department.settings, topic, PARTITIONS)
    producer = Producer({"bootstrap.servers": department.settings.kafka})
    for values in kafka.read_up_to(department.settings, topic, dict.fromkeys(ends, 0), ends, 20):
        batch = codec.decode(CREDIT_EVENT, values).batch
        rejects = examine(batch, department.name, reference.load(department.settings.reference_dir)).rejects
        frame = pl.DataFrame(pl.from_arrow(batch)).with_row_index("index")
        bad = dict(rejects.select("row", pl.struct("reason", "detail")).iter_rows())
        for row in frame.iter_rows(named=True):
            said = bad.get(row["index"])
            value = receipt(
                department.name,
                row["submission"],
                "quarantined" if said else "new",
                frame.filter(pl.col("index") == row["index"]),
                said,
            )
            producer.produce(receipts_topic(department.name), value)
    assert producer.flush(20) == 0


def run(department: Department, path: Path, **changes: object) -> Redriven:
    order = RedriveOrder(path, load("companies", department.settings), silence_seconds_max=10.0)
    tables = reference.load(department.settings.reference_dir)
    return redrive(department.settings, tables, replace(order, **changes))  # type: ignore[arg-type]


def test_first_it_is_said_what_would_become_of_them_and_nothing_is_sent(department, tmp_path):
    path = write_companies(tmp_path / "a.csv", *ROWS)
    submission = published(department, path)
    write_mapping(department, 2)
    found = run(department, path)
    assert (found.submission, found.rows, found.mapping_before, found.mapping) == (
        submission,
        4,
        "companies@1",
        "companies@2",
    )
    assert +found.outcomes == {"good": 2, "quarantined": 2}
    assert found.reasons["code_unknown", "subject_kind"] == 1
    assert (found.changed, found.sent, found.result) == (1, 0, None)
    assert department.events().height == 5


def test_they_are_sent_as_they_were_reported_with_the_new_mapping(department, tmp_path):
    path = write_companies(tmp_path / "a.csv", *ROWS)
    submission = published(department, path)
    write_mapping(department, 2)
    before = department.events()
    with answering(department):
        found = run(department, path, apply=True)
    assert (found.sent, found.result.rows, found.result.outcomes) == (3, 3, {"new": 3})
    sent = department.events().join(before, on=["event_id", "mapping"], how="anti").sort("source_row")
    assert sent["source_row"].to_list() == [3, 4, 5]  # row 5 is still bad, and its code can be read now
    assert set(sent["mapping"]) == {"companies@2"}
    assert set(sent["submission"]) == {submission}
    assert set(sent["reported_at"].dt.epoch("ms")) == {round(NOW.timestamp() * 1000)}
    assert (
        sent["event_id"].to_list()
        == before.filter(pl.col("source_row").is_in([3, 4, 5])).sort("source_row")["event_id"].to_list()
    )
    entry, lines = Journal(department.settings.home).load(submission)
    assert so_far(department.settings, entry, lines, 10.0).outcomes == {"new": 4, "quarantined": 1}


def test_a_second_time_only_what_is_still_set_aside_is_taken(department, tmp_path):
    path = write_companies(tmp_path / "a.csv", *ROWS)
    published(department, path)
    write_mapping(department, 2)
    with answering(department):
        run(department, path, apply=True)
        again = run(department, path, apply=True)
    assert (again.rows, again.sent, +again.outcomes) == (1, 0, {"quarantined": 1})


@pytest.mark.parametrize("corrects", [False, True])
def test_how_new_the_rows_are_stays_what_the_order_said(department, tmp_path, corrects):
    path = write_companies(tmp_path / "a.csv", *ROWS[:2])
    publish(department.settings, department.order(path, "companies", corrects=corrects), lambda: NOW)
    answer(department)
    write_mapping(department, 2)
    with answering(department):
        run(department, path, apply=True)
    versions = department.events().filter(pl.col("mapping") == "companies@2")["source_version"].to_list()
    assert versions == [NOW.replace(tzinfo=None) if corrects else None]


def test_another_file_is_refused_and_it_is_said_which_one_is_meant(department, tmp_path):
    path = write_companies(tmp_path / "a.csv", *ROWS)
    submission = published(department, path, platform_answers=False)
    write_mapping(department, 2)
    other = write_companies(tmp_path / "b.csv", *ROWS[:2])
    with pytest.raises(InputError, match="this very file was not published from here"):
        run(department, other)
    with pytest.raises(InputError, match=f"not the file that was published as {submission}; its SHA-256 begins with"):
        run(department, other, submission=submission)
    with pytest.raises(InputError, match="the journal keeps no names of files"):
        run(department, tmp_path / submission)
    assert run(department, path, submission=submission).rows == 0


def test_a_mapping_whose_version_was_not_raised_is_refused(department, tmp_path):
    path = write_companies(tmp_path / "a.csv", *ROWS)
    published(department, path, platform_answers=False)
    write_mapping(department, 1, *KINDS[2])
    with pytest.raises(InputError, match="raise the version in the mapping's file"):
        run(department, path)
