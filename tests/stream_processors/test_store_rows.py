"""What messages become in the store: each a row, or parked by its position, or waiting for a newer process."""

from datetime import date

import pytest
from store_builders import joined, messages, quarantined, raw, receipt, record

from schemas.avro import CREDIT_RECORD, QUARANTINED, RECEIPT
from schemas.topics import HISTORY, QUARANTINE, RECORDS, receipts_topic
from stream_processors.rows import rows_of, table_of

_UNKNOWN_ID = b"\0\0\0\x27\x0fbody of a schema that is not in the lock file"


def test_each_topic_goes_to_its_table_with_the_position_of_each_message():
    batch = joined(
        messages(CREDIT_RECORD, [record(revision=1), record(revision=2)], topic=RECORDS, partition=3, offset=10),
        messages(CREDIT_RECORD, [record()], topic=HISTORY, offset=7, at_ms=1_772_589_600_123),
        messages(QUARANTINED, [quarantined()], topic=QUARANTINE),
        messages(RECEIPT, [receipt(offsets=[1, 2], rows=[3, 4], parts=[0, 0])], topic=receipts_topic("market")),
        messages(RECEIPT, [receipt()], topic=receipts_topic("tax")),
    )
    tables = rows_of(batch).tables
    assert {name: rows.num_rows for name, rows in tables.items()} == {
        "records": 2,
        "history": 1,
        "quarantine": 1,
        "receipts": 2,
    }
    assert tables["records"].select(["revision", "epoch", "partition", "offset"]).to_pylist() == [
        {"revision": 1, "epoch": 1, "partition": 3, "offset": 10},
        {"revision": 2, "epoch": 1, "partition": 3, "offset": 11},
    ]
    assert tables["history"]["recorded_at"].to_pylist()[0].isoformat() == "2026-03-04T02:00:00.123000"
    assert tables["receipts"]["topic"].to_pylist() == ["credit.receipts.market", "credit.receipts.tax"]


def test_an_empty_batch_is_no_rows():
    assert rows_of(raw([])).tables == {}


@pytest.mark.parametrize(
    ("value", "reason"),
    [(b"", "event_empty"), (None, "event_empty"), (b"random", "event_undecodable"), (b"\0\0\0\0", "event_undecodable")],
)
def test_what_is_no_record_is_parked_by_position_and_the_others_are_stored(value: bytes | None, reason: str):
    good = messages(CREDIT_RECORD, [record()])
    rows = rows_of(joined(good, raw([value], offset=1), messages(CREDIT_RECORD, [record()], offset=2)))
    assert rows.tables["records"]["offset"].to_pylist() == [0, 2]
    assert rows.tables["parked"].to_pylist() == [{"topic": RECORDS, "partition": 0, "offset": 1, "reason": reason}]
    assert rows.waiting == {}


def test_a_day_that_clickhouse_can_not_hold_is_parked_not_bent():
    days = [date(1899, 12, 31), date(1900, 1, 1), date(2299, 12, 31), date(2300, 1, 1)]
    rows = rows_of(messages(CREDIT_RECORD, [record(decided_on=day) for day in days]))
    assert rows.tables["records"]["decided_on"].to_pylist() == [date(1900, 1, 1), date(2299, 12, 31)]
    assert [(row["offset"], row["reason"]) for row in rows.tables["parked"].to_pylist()] == [
        (0, "time_out_of_range"),
        (3, "time_out_of_range"),
    ]


def test_an_unknown_schema_id_holds_its_partition_only_and_is_not_parked():
    batch = joined(
        messages(CREDIT_RECORD, [record()], partition=0, offset=5),
        raw([_UNKNOWN_ID], partition=0, offset=6),
        messages(CREDIT_RECORD, [record()], partition=0, offset=7),
        raw([b"random"], partition=0, offset=8),
        messages(CREDIT_RECORD, [record()], partition=1, offset=9),
    )
    rows = rows_of(batch)
    assert rows.waiting == {(RECORDS, 0): 6}
    assert rows.tables["records"].select(["partition", "offset"]).to_pylist() == [
        {"partition": 0, "offset": 5},
        {"partition": 1, "offset": 9},
    ]
    assert "parked" not in rows.tables


def test_a_topic_that_no_table_keeps_is_a_defect_of_ours():
    with pytest.raises(ValueError, match=r"credit\.identified: no table keeps them"):
        table_of("credit.identified")
