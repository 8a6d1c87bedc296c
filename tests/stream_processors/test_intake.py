"""Intake without a broker: a batch of messages in, every event on exactly one way out."""

import json
from collections import Counter
from collections.abc import Sequence

import numpy as np

from schemas import codec
from schemas.avro import CREDIT_EVENT, QUARANTINED, RECEIPT
from schemas.topics import IDENTIFIED, QUARANTINE, events_topic, receipts_topic
from stream_processors.intake import Intake
from stream_processors.kafka import Batch
from stream_processors.lane import Work
from tests.schemas.events import REFERENCE, RESIDENT_ID, event

UNKNOWN = b"\0\0\0\x27\x0fbody of a schema that is not in the lock file"


def batch(values: Sequence[bytes | None], departments: Sequence[str], partitions: Sequence[int] | None = None) -> Batch:
    """Messages as they lie on the topics of their departments; offsets count from 100."""
    count = len(values)
    return Batch(
        list(values),
        [None] * count,
        [events_topic(department) for department in departments],
        np.array([0] * count if partitions is None else partitions, np.int32),
        np.arange(100, 100 + count, dtype=np.int64),
        np.zeros(count, np.int64),
    )


def framed(**changes: object) -> bytes:
    return codec.encode_one(CREDIT_EVENT, event(**changes))


def messages(work: Work, topic: str) -> list[bytes]:
    return [value for output in work.outputs if output.topic == topic for value in output.values]


def receipts(work: Work, department: str = "market") -> list[dict[str, object]]:
    return codec.decode(RECEIPT, messages(work, receipts_topic(department))).batch.to_pylist()


def test_every_event_of_a_batch_takes_exactly_one_way() -> None:
    values = [framed(), b"random", framed(item=RESIDENT_ID), None, framed(faults=["row_shape:"]), b"\0\0\0"]
    departments = ["market", "market", "tax", "tax", "market", "court"]
    work = Intake(REFERENCE, 4).work(batch(values, departments))
    assert len(messages(work, IDENTIFIED)) == 1
    aside = codec.decode(QUARANTINED, messages(work, QUARANTINE)).batch
    assert sorted(zip(aside["reason"].to_pylist(), aside["source_offset"].to_pylist(), strict=True)) == [
        ("event_empty", 103),
        ("event_undecodable", 101),
        ("event_undecodable", 105),
        ("row_shape", 104),
    ]
    told = [(receipt["outcome"], receipt["offsets"]) for name in set(departments) for receipt in receipts(work, name)]
    assert Counter(outcome for outcome, _ in told) == Counter({"quarantined": 4, "refused": 1})
    counted = Counter[str]()
    for name, labels, amount in work.counts:
        if name == "xinliu_events_total":
            counted[labels[1]] += int(amount)
    assert counted == Counter(departments)


def test_a_refused_number_is_in_none_of_the_outputs_wherever_it_hid() -> None:
    hiding = [
        {"submission": f"market-{RESIDENT_ID}-20260101-120000-abcd"},  # in the shape of a name of ours
        {"submission": RESIDENT_ID},
        {"event_id": RESIDENT_ID},
        {"faults": [f"value_unreadable:{RESIDENT_ID}"]},
        {"subject_kind": RESIDENT_ID, "faults": ["row_shape:"]},
        {"mapping": RESIDENT_ID, "category": "gossip"},
    ]
    work = Intake(REFERENCE, 4).work(batch([framed(**changes) for changes in hiding], ["market"] * len(hiding)))
    assert {receipt["outcome"] for receipt in receipts(work)} == {"refused"}
    for output in work.outputs:
        assert not any(RESIDENT_ID.encode() in value for value in output.values), output.topic
    assert RESIDENT_ID not in str(work.counts)


def test_a_refused_row_of_a_sound_submission_is_told_to_that_submission() -> None:
    work = Intake(REFERENCE, 4).work(batch([framed(item=RESIDENT_ID)], ["market"]))
    assert [receipt["submission"] for receipt in receipts(work)] == ["market-20260501-120000-abcd"]


def test_what_waits_behind_an_unknown_schema_is_neither_written_nor_counted() -> None:
    intake = Intake(REFERENCE, 4)
    values = [framed(), b"random", UNKNOWN, framed(), b"random", framed()]
    work = intake.work(batch(values, ["market"] * 6, partitions=[0, 0, 0, 0, 0, 1]))
    assert intake.unknown_schemas() == [(2, 9_999)]
    assert len(messages(work, IDENTIFIED)) == 2
    assert [(receipt["source_partition"], receipt["offsets"]) for receipt in receipts(work)] == [(0, [101])]
    assert ("xinliu_events_total", ("intake", "market"), 3) in work.counts


def test_a_batch_of_which_nothing_may_be_read_is_no_work() -> None:
    assert Intake(REFERENCE, 4).work(batch([UNKNOWN, framed()], ["market"] * 2)).outputs == []


def test_a_name_that_may_be_a_persons_is_not_kept_in_quarantine_either() -> None:
    wrong = "CN-USCC:92370100XXXX0006X1"
    values = [
        framed(subject_ids=[wrong], subject_name="王小明"),
        framed(subject_ids=[wrong], subject_name="小明便利店"),
        framed(subject_ids=["CN-USCC:91370100XXXX00051X"], subject_name="山东大地集团"),
        framed(subject_ids=[], subject_name="王小明"),
        framed(subject_ids=[], subject_name="JOHN EXAMPLE"),
        framed(subject_ids=[], subject_name="EXAMPLE TRADING LTD"),
        framed(authority_name="", authority_code="", subject_name="山东大地"),
    ]
    count = len(values)
    aside = codec.decode(
        QUARANTINED, messages(Intake(REFERENCE, 4).work(batch(values, ["market"] * count)), QUARANTINE)
    )
    kept = [json.loads(text)["subject_name"] for text in aside.batch["event"].to_pylist()]
    assert kept == ["", "小明便利店", "山东大地集团", "", "", "EXAMPLE TRADING LTD", "山东大地"]
