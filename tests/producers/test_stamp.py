"""Mapped events become the messages of one submission."""

import json
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from producers.stamp import messages, places_of, rows_of
from schemas import codec
from schemas.avro import CREDIT_EVENT
from schemas.topics import EVENT_BYTES_MAX

NONE = np.zeros(0, np.int64)
SUBMISSION = "market-20260101-000000-abcd"


def event(row: int, part: int = 0, **fields: object) -> dict[str, object]:
    empty = {
        field.name: None if field.nullable else [] if pa.types.is_list(field.type) else ""
        for field in CREDIT_EVENT.arrow
    }
    required = {"source_row": row, "source_part": part, "reported_at": 0, "category": "penalty", "operation": "report"}
    return {**empty, **required, **fields}


def batch(*events: dict[str, object]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(events), schema=CREDIT_EVENT.arrow)


def sent(*events: dict[str, object], **options: object) -> list[dict[str, object]]:
    settings = {
        "submission": SUBMISSION,
        "reported_at_ms": 1_000,
        "source_version_ms": None,
        "without": NONE,
        **options,
    }
    return codec.decode(CREDIT_EVENT, messages(batch(*events), **settings).values).batch.to_pylist()  # type: ignore[arg-type]


def test_the_same_row_of_a_submission_has_the_same_event_id_each_time():
    first, again = sent(event(7)), sent(event(7), reported_at_ms=9_000)
    assert first[0]["event_id"] == again[0]["event_id"]
    assert len(first[0]["event_id"]) == 32  # type: ignore[arg-type]


def test_rows_parts_and_submissions_have_different_event_ids():
    ids = {e["event_id"] for e in sent(event(1), event(2), event(1, 1), event(12), event(11, 2), event(1, 12))}
    ids |= {e["event_id"] for e in sent(event(1), submission="market-20260101-000000-abce")}
    assert len(ids) == 7


def test_a_version_of_the_order_replaces_that_of_the_mapping():
    mapped = event(1, source_version=datetime(2020, 1, 1))
    assert sent(mapped)[0]["source_version"] == datetime(2020, 1, 1)
    newer = datetime(2026, 5, 1, tzinfo=UTC)
    version = sent(mapped, source_version_ms=round(newer.timestamp() * 1000))[0]["source_version"]
    assert version == newer.replace(tzinfo=None)


def test_the_key_is_the_first_identifier_and_none_where_there_is_none():
    out = messages(batch(event(1, subject_ids=["CN-USCC:A", "CN-REG:B"]), event(2)), SUBMISSION, 0, None, NONE)
    assert out.keys == [b"CN-USCC:A", None]


def test_what_was_sent_before_is_left_out():
    without = places_of(pl.Series([1, 2]), pl.Series([0, 0]))
    out = messages(batch(event(1), event(2), event(2, 1), event(3)), SUBMISSION, 0, None, without)
    assert rows_of(out.places).tolist() == [2, 3]
    assert [e["source_part"] for e in codec.decode(CREDIT_EVENT, out.values).batch.to_pylist()] == [1, 0]


def test_nothing_left_to_send_is_no_message():
    without = places_of(pl.Series([1]), pl.Series([0]))
    assert messages(batch(event(1)), SUBMISSION, 0, None, without).values == []


@pytest.mark.parametrize("field", ["source_url", "classes"])
def test_an_event_that_is_too_large_goes_out_small_with_its_reason(field):
    text = "长" * EVENT_BYTES_MAX
    large, small = event(1, **{field: [text] if field == "classes" else text}), event(2, document_number="1号")
    out = messages(batch(large, small), SUBMISSION, 0, None, NONE)
    assert max(map(len, out.values)) < 1_000
    first, second = codec.decode(CREDIT_EVENT, out.values).batch.to_pylist()
    assert first["faults"] == [f"event_too_large:{field}"]
    assert (first["source_row"], first["submission"]) == (1, SUBMISSION)
    assert text[:20] not in json.dumps(first, default=str, ensure_ascii=False)
    assert (second["document_number"], second["faults"]) == ("1号", [])


def test_a_slice_of_a_batch_is_encoded_like_a_batch_of_its_own():
    rows = [event(number, subject_ids=[f"CN-USCC:{number}"], document_number=f"{number}号") for number in range(1, 9)]
    sliced = messages(batch(*rows).slice(3, 2), SUBMISSION, 0, None, NONE)
    whole = messages(batch(*rows[3:5]), SUBMISSION, 0, None, NONE)
    assert (sliced.values, sliced.keys) == (whole.values, whole.keys)
