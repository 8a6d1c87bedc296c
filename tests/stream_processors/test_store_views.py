"""What people query, on the real engine: who sees what and when, and what departments are told of their data."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from store_builders import closed, messages, quarantined, receipt, record

from schemas.avro import CLOSED, CREDIT_RECORD, IDENTIFIED_EVENT, QUARANTINED, RECEIPT
from schemas.reasons import OUTCOMES
from schemas.reference import load
from schemas.settings import Settings
from schemas.topics import HISTORY, QUARANTINE, RECORDS, receipts_topic
from stream_processors.clickhouse import ClickHouse, connect
from stream_processors.rows import rows_of
from stream_processors.store import prepare
from stream_processors.tables.migrate import scripts

SHANGHAI = ZoneInfo("Asia/Shanghai")
TODAY = datetime.now(SHANGHAI).date()
# What a stub of register keeps, beside its state and position; the rest of a record is its facts.
_KEPT = {
    *("record_id", "content", "subject_key", "department", "category", "operation", "authority_code", "effective_on"),
    *("source_version", "published_until", "source_partition", "source_offset", "submission", "source_row"),
    *("source_part", "reported_at", "event_id", "change_document_number", "change_decided_on", "identity_version"),
}
FACTS = set(IDENTIFIED_EVENT.names) - _KEPT
A, B, C = "a" * 32, "b" * 32, "c" * 32


@pytest.fixture(scope="module")
def prepared(clickhouse, settings_for: Callable[..., Settings], tmp_path_factory) -> Iterator[ClickHouse]:
    """One database for this file; each test begins with empty tables."""
    home: Path = tmp_path_factory.mktemp("views")
    store = connect(settings_for(home, clickhouse=clickhouse, clickhouse_database="views_of_the_store"))
    prepare(store, load())
    yield store
    store.command("DROP DATABASE views_of_the_store", doing="clearing up")
    store.close()


@pytest.fixture
def store(prepared: ClickHouse) -> ClickHouse:
    for table in ("records", "history", "quarantine", "receipts"):
        prepared.command(f"TRUNCATE TABLE {table}", doing="starting again")
    return prepared


def ask(store: ClickHouse, query: str, **parameters: Any) -> list[dict[str, Any]]:
    return store.rows(query, doing="asking", parameters=parameters)


def told(store: ClickHouse, *rows: dict[str, Any]) -> None:
    """Rows of register: each to the history, and to the records those that are a new state of a record."""
    taken_ms = [int(row.pop("taken_at", datetime(2026, 3, 4, tzinfo=UTC)).timestamp() * 1000) for row in rows]
    states = [i for i, row in enumerate(rows) if row["status"] in ("valid", *CLOSED)]
    for topic, kept in ((HISTORY, range(len(rows))), (RECORDS, states)):
        batch = messages(CREDIT_RECORD, [rows[i] for i in kept], topic=topic, at_ms=[taken_ms[i] for i in kept])
        for table, table_rows in rows_of(batch).tables.items():
            store.insert(table, table_rows)


def taken(at: str, row: dict[str, Any]) -> dict[str, Any]:
    """The row as Kafka took it at that moment in Shanghai."""
    return row | {"taken_at": datetime.fromisoformat(at).replace(tzinfo=SHANGHAI)}


# -- records ----------------------------------------------------------------------------------------------------------


def test_current_records_are_valid_and_within_their_publication(store: ClickHouse):
    today = datetime.now(SHANGHAI).date()  # that of the engine's question, not of the start of the run
    rows = [
        record(record_id="1" * 32),
        record(record_id="2" * 32, published_until=today),
        record(record_id="3" * 32, published_until=today - timedelta(days=1)),
        record(record_id="4" * 32, status="annulled"),
        record(record_id="5" * 32, status="superseded", variant_of="1" * 32),
    ]
    store.insert("records", rows_of(messages(CREDIT_RECORD, rows)).tables["records"])
    shown = ask(store, "SELECT record_id FROM current_records ORDER BY record_id")
    assert [row["record_id"][0] for row in shown] == ["1", "2"]


def test_a_record_has_a_row_for_each_of_its_states_and_none_for_what_changed_nothing(store: ClickHouse):
    told(
        store,
        record(record_id=A, revision=1, fine_fen=1),
        record(record_id=A, revision=1, fine_fen=9, status="conflicting", outcome="conflicting"),
        record(record_id=A, revision=2, fine_fen=2, outcome="superseding"),
        record(record_id=A, revision=2, fine_fen=1, status="superseded", outcome="stale"),
    )
    rows = ask(store, "SELECT revision, fine_fen, shown FROM record_revisions ORDER BY revision")
    assert rows == [
        {"revision": 1, "fine_fen": 1, "shown": 1},
        {"revision": 2, "fine_fen": 2, "shown": 1},
    ]


@pytest.mark.parametrize("status", CLOSED)
def test_what_is_closed_now_shows_its_facts_at_no_moment(store: ClickHouse, status: str):
    told(
        store,
        taken("2026-03-05 10:00", record(record_id=A, revision=1)),
        taken("2026-06-05 10:00", closed(record_id=A, revision=2, status=status)),
    )
    for view in ("record_revisions", "records_as_of(at = '2026-03-06 00:00:00')"):
        rows = ask(store, f"SELECT * FROM {view}")
        assert rows, "that there was something may be said"
        for row in rows:
            assert {name: value for name, value in row.items() if name in FACTS and value not in ("", None, [])} == {}
            assert set(row) >= FACTS


def test_what_is_past_its_publication_shows_no_facts_even_before_register_has_closed_it(store: ClickHouse):
    told(store, taken("2026-03-05 10:00", record(record_id=A, published_until=TODAY - timedelta(days=1))))
    (row,) = ask(store, "SELECT document_number, shown FROM record_revisions")
    assert row == {"document_number": "", "shown": 0}


def test_a_record_whose_newest_state_has_not_arrived_yet_shows_no_facts(store: ClickHouse):
    batch = messages(CREDIT_RECORD, [record()], topic=HISTORY)
    store.insert("history", rows_of(batch).tables["history"])
    assert ask(store, "SELECT document_number FROM record_revisions") == [{"document_number": ""}]


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("2026-03-05 09:59:59.999", {}),
        ("2026-03-05 10:00:00", {A: 1}),
        ("2026-04-30 23:59:59", {A: 1, B: 5, C: 7}),
        ("2026-05-01 12:00:00", {A: 2, B: 5, C: 7}),
        ("2026-06-30 23:59:59", {A: 2, B: 5, C: 7}),
        ("2026-07-01 00:00:00", {A: 2, C: 7}),  # the publication of B ended with June
        ("2026-08-01 00:00:00", {A: 2}),  # C was annulled
        ("2026-09-01 00:00:00", {A: 2, C: 8}),  # and reinstated
    ],
)
def test_as_of_a_moment_the_newest_revision_stands_if_it_was_visible_then(
    store: ClickHouse, moment: str, shown: dict[str, int]
):
    told(
        store,
        taken("2026-03-05 10:00", record(record_id=A, revision=1, fine_fen=1)),
        taken("2026-05-01 12:00", record(record_id=A, revision=2, fine_fen=2)),
        taken("2026-04-01 00:00", record(record_id=B, fine_fen=5, published_until=date(2026, 6, 30))),
        taken("2026-04-01 00:00", record(record_id=C, revision=1, fine_fen=7)),
        taken("2026-08-01 00:00", closed(record_id=C, revision=2, status="annulled")),
        taken("2026-08-15 00:00", record(record_id=C, revision=3, fine_fen=8, operation="reinstate")),
    )
    rows = ask(store, "SELECT record_id, fine_fen FROM records_as_of(at = {moment:String})", moment=moment)
    # B is closed by now (its publication ended), so that its facts are shown at no moment.
    found = {row["record_id"]: row["fine_fen"] for row in rows}
    assert found == {key: (None if key == B and date(2026, 6, 30) < TODAY else fine) for key, fine in shown.items()}


def test_the_views_know_every_status_that_a_record_may_have():
    text = next(script.text for script in scripts() if script.name == "views_1_records")
    assert "status IN (" + ", ".join(f"'{status}'" for status in ("valid", *CLOSED)) + ")" in text


# -- pilot units ------------------------------------------------------------------------------------------------------


def test_a_record_counts_for_every_unit_that_its_region_or_its_department_belongs_to(store: ClickHouse):
    reference = load()
    regions = sorted({region for unit in reference.pilot_units.units for region in unit.regions} | {"370171", "110000"})
    departments = list(reference.departments)
    rows = [
        record(record_id=f"{i:016x}{j:016x}", region=region, department=department)
        for i, region in enumerate(regions)
        for j, department in enumerate(departments)
    ]
    told(store, *rows)
    expected: dict[tuple[str, str], int] = {}
    for row in rows:
        for unit in reference.units_of(row["region"], row["department"]):
            expected[unit, row["department"]] = expected.get((unit, row["department"]), 0) + 1
    found = ask(store, "SELECT unit, department, category, records FROM pilot_unit_counts")
    assert {(row["unit"], row["department"]): row["records"] for row in found} == expected
    assert {row["category"] for row in found} == {"penalty"}
    assert len({row["unit"] for row in found}) == len(reference.pilot_units.units)


def test_a_record_that_is_closed_counts_for_no_unit(store: ClickHouse):
    told(store, record(region="370100"), closed(region="370100", revision=2, status="repaired"))
    assert ask(store, "SELECT * FROM pilot_unit_counts") == []


# -- reports ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decided_on", "reported_on", "working_days"),
    [
        (date(2026, 3, 2), date(2026, 3, 2), 0),
        (date(2026, 3, 2), date(2026, 3, 3), 1),
        (date(2026, 3, 6), date(2026, 3, 8), 0),  # Friday to Sunday
        (date(2025, 9, 26), date(2025, 10, 13), 7),  # 28 September and 11 October were worked
        (date(2026, 2, 12), date(2026, 2, 24), 3),  # 14 February was worked
        (date(2026, 3, 9), date(2026, 3, 2), 0),  # reported before the decision: no negative delay
    ],
)
def test_delays_are_counted_in_working_days(store: ClickHouse, decided_on: date, reported_on: date, working_days: int):
    reported_at = datetime.combine(reported_on, datetime.min.time(), SHANGHAI) + timedelta(minutes=1)
    told(store, record(decided_on=decided_on, reported_at=reported_at.astimezone(UTC)))
    assert ask(store, "SELECT working_days FROM reporting_delays") == [{"working_days": working_days}]


def test_timeliness_is_of_first_reports_of_decisions_by_department(store: ClickHouse):
    def reported(number: int, days: int, **changes: Any) -> dict[str, Any]:
        moment = datetime(2026, 3, 2, 4, tzinfo=UTC) + timedelta(days=days)
        return record(record_id=f"{number:032x}", decided_on=date(2026, 3, 2), reported_at=moment, **changes)

    told(
        store,
        *(reported(i, 1) for i in range(8)),
        reported(8, 11),  # nine working days
        reported(9, 15),  # eleven
        reported(9, 300, revision=2, outcome="superseding"),
        reported(10, 300, category="registration"),
        reported(11, 2, department="tax"),
    )
    assert ask(store, "SELECT * FROM timeliness") == [
        {
            "department": "market",
            "records": 10,
            "within_7_working_days_share": 0.8,
            "delay_working_days_median": 1,
            "delay_working_days_p90": 11,
        },
        {
            "department": "tax",
            "records": 1,
            "within_7_working_days_share": 1.0,
            "delay_working_days_median": 2,
            "delay_working_days_p90": 2,
        },
    ]
    by_category = ask(store, "SELECT department, category, records FROM timeliness_by_category")
    assert [tuple(row.values()) for row in by_category] == [("market", "penalty", 10), ("tax", "penalty", 1)]


def test_quarantine_is_counted_by_reason_with_the_sentence_for_the_clerk(store: ClickHouse):
    rows = [quarantined(reason="value_missing", detail="document_number")] * 2 + [quarantined(reason="event_empty")]
    store.insert("quarantine", rows_of(messages(QUARANTINED, rows, topic=QUARANTINE)).tables["quarantine"])
    found = ask(store, "SELECT department, reason, detail, events, sentence FROM quarantine_by_reason")
    assert [tuple(row.values()) for row in found] == [
        ("market", "value_missing", "document_number", 2, "the required field document_number is empty"),
        ("market", "event_empty", "", 1, "the message has no value"),
    ]


def test_the_rows_of_a_submission_add_up_and_each_has_the_outcome_of_its_worst_event(store: ClickHouse):
    rows = [
        receipt(outcome="new", rows=[2, 3], parts=[0, 0], offsets=[0, 1]),
        receipt(outcome="quarantined", reason="value_missing", detail="item", rows=[3], parts=[1], offsets=[2]),
        receipt(outcome="repeat", rows=[2, 4], parts=[1, 0], offsets=[3, 4]),
        receipt(submission="", outcome="quarantined", reason="event_empty", rows=[0, 0], parts=[0, 0], offsets=[5, 6]),
        # Set aside and sent again after it was mended: the later outcome counts; a repeat after that changes nothing.
        receipt(outcome="quarantined", reason="row_shape", rows=[5], parts=[0], offsets=[7]),
        receipt(outcome="new", rows=[5], parts=[0], offsets=[8]),
        receipt(outcome="repeat", rows=[5], parts=[0], offsets=[9]),
    ]
    batch = messages(RECEIPT, rows, topic=receipts_topic("market"))
    for _ in range(2):
        store.insert("receipts", rows_of(batch).tables["receipts"])
    found = ask(store, "SELECT submission, outcome, reason, rows, events FROM submission_outcomes")
    assert [tuple(row.values()) for row in found] == [
        ("", "quarantined", "event_empty", 0, 2),
        ("s", "new", "", 2, 3),
        ("s", "quarantined", "value_missing", 1, 1),
        ("s", "repeat", "", 1, 2),
    ]
    assert {row["outcome"] for row in ask(store, "SELECT outcome FROM outcomes")} == set(OUTCOMES)
