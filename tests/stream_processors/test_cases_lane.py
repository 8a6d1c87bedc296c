"""The cases lane by what it writes: the same whatever the batches, nothing of what was aborted, no day taken back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from schemas import codec
from schemas.avro import CREDIT_RECORD, MEASURE, SUBJECT_CASES
from schemas.calendar import load_calendar
from schemas.settings import Settings
from schemas.topics import CASES, IN_FORCE, MEASURES, RECORDS
from stream_processors.cases.inputs import is_gone
from stream_processors.cases.lane import Cases
from stream_processors.kafka import Batch
from stream_processors.lane import Work
from stream_processors.rules.packs import load_packs

CASE = "CN-36/M02@演示市监严〔2026〕1号"
NOON = datetime(2026, 11, 2, 4, tzinfo=UTC).timestamp()  # in Shanghai
DAY = 86_400.0


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.seconds = NOON

    def __call__(self) -> float:
        return self.seconds


def lane(clock: Clock) -> Cases:
    made = Cases(Settings(), load_packs(), load_calendar(), clock, lambda *_: None)
    made.assigned([0])
    made._book.open([0])  # as `restore` does it where there is nothing to restore
    return made


def record(category: str, **given: Any) -> dict[str, Any]:
    values = {
        "record_id": category,
        "revision": 1,
        "status": "valid",
        "rank": 3,
        "category": category,
        "subject_key": "org:MA3ABCDE1",
        "subject_id": "CN-USCC:91370100MA3ABCDE1X",
        "department": "market" if category == "serious_list" else "procurement",
        "document_number": "演示市监严〔2026〕1号" if category == "serious_list" else "演示财采〔2026〕1号",
        "item": CASE if category.startswith("measure_") else "严重失信主体名单",
        "decided_on": date(2026, 9, 1),
        "reported_at": datetime(2026, 11, 1),
        "region": "110000",
    }
    values |= given
    return {f.name: values.get(f.name, _blank(f)) for f in CREDIT_RECORD.arrow}


def _blank(column: pa.Field[Any]) -> Any:
    if column.nullable:
        return None
    if pa.types.is_list(column.type):
        return ()
    if pa.types.is_timestamp(column.type):
        return datetime(2026, 11, 1)
    return "" if pa.types.is_string(column.type) else 0


def batch(rows: Sequence[dict[str, Any]], first: int = 0) -> Batch:
    count = len(rows)
    values = codec.encode(CREDIT_RECORD, pa.RecordBatch.from_pylist(list(rows), schema=CREDIT_RECORD.arrow))
    return Batch(
        list(values), [None] * count, [RECORDS] * count, np.zeros(count, np.int32), np.arange(first, first + count),
        np.zeros(count, np.int64),
    )  # fmt: skip


def said(work: Work | None, topic: str = MEASURES) -> list[dict[str, Any]]:
    outputs = [] if work is None else [output for output in work.outputs if output.topic == topic]
    return [row for output in outputs for row in codec.decode(MEASURE, list(output.values)).batch.to_pylist()]


LIFE = [
    record("serious_list"),
    record("measure_notice", state="直接送达", decided_on=date(2026, 9, 2)),
    record(
        "measure_decision",
        decided_on=date(2026, 10, 20),
        legal_bases=("《政府采购法》第七十七条",),
        valid_to=date(2026, 11, 10),
    ),
]


def test_a_life_is_told_once_however_it_is_cut_into_batches():
    whole = lane(Clock())
    at_once = said(whole.work(batch(LIFE)))
    assert [row["transition"] for row in at_once] == ["drafted", "noticed", "decided", "entered"]
    assert [row["revision"] for row in at_once] == [1, 2, 3, 4]
    one_by_one, told = lane(Clock()), []
    for number, row in enumerate([*LIFE, *LIFE]):  # and each once more
        told += said(one_by_one.work(batch([row], number)))
        one_by_one.committed({})
    assert told == at_once


def test_each_transition_tells_when_what_brought_it_was_reported_and_none_where_time_did():
    clock = Clock()
    made = lane(clock)
    moments = [datetime(2026, 11, 1, 8, minute) for minute in range(len(LIFE))]
    rows = [row | {"event_id": f"e{n}", "reported_at": moments[n]} for n, row in enumerate(LIFE)]
    told = said(made.work(batch(rows)))
    assert [row["reported_at"] for row in told] == [moments[0], moments[1], moments[2], moments[2]]
    made.committed({})
    clock.seconds = NOON + 9 * DAY
    ended = made.idle()
    assert [row["reported_at"] for row in (*said(ended), *said(ended, IN_FORCE))] == [None, None, None]


def test_cases_are_counted_by_state_also_after_a_restart():
    gauges: dict[str, float] = {}

    def told(name: str, labels: Sequence[str], value: float) -> None:
        if name == "xinliu_cases":
            gauges[labels[0]] = value

    def counted() -> dict[str, float]:
        return {state: value for state, value in gauges.items() if value}

    made = lane(Clock())
    made._metric = told
    work = made.work(batch(LIFE[:2]))
    assert counted() == {}, "nothing is committed yet"
    made.committed({})
    assert counted() == {"noticed": 1}
    work = made.work(batch(LIFE[2:]))
    made.committed({})
    assert counted() == {"in_force": 1}
    (states,) = [output for output in work.outputs if output.topic == CASES]
    (row,) = codec.decode(SUBJECT_CASES, list(states.values)).batch.to_pylist()
    again = lane(Clock())
    again._book.restore(0, row["subject_key"], row["as_of"], row["facts"])
    assert {state: n for state, n in again._book.cases().items() if n} == {"in_force": 1}


def test_what_was_aborted_is_told_again_and_not_twice():
    made = lane(Clock())
    first = said(made.work(batch(LIFE)))
    made.aborted()
    assert said(made.work(batch(LIFE))) == first
    made.committed({})
    assert said(made.work(batch(LIFE))) == []


def test_an_end_comes_by_itself_on_its_day_and_a_clock_that_steps_back_takes_nothing_back():
    clock = Clock()
    made = lane(clock)
    made.work(batch(LIFE))
    made.committed({})
    assert said(made.idle()) == []
    clock.seconds = NOON + 8 * DAY  # 10 November, the last day
    assert said(made.idle()) == []
    clock.seconds = NOON + 9 * DAY
    ended = made.idle()
    assert [(row["transition"], row["reason"]) for row in said(ended)] == [("ended", "expired")]
    assert [row["state"] for row in said(ended, IN_FORCE) if row["case_id"]] == ["ended"]
    made.committed({})
    clock.seconds = NOON
    assert said(made.idle()) == []
    corrected = record("measure_notice", state="邮寄", decided_on=date(2026, 9, 2), revision=2)
    told = said(made.work(batch([corrected])))
    assert {row["as_of"] for row in told} == {date(2026, 11, 11)}
    assert all(row["state"] == "ended" for row in told)


def test_a_restart_goes_on_where_the_topics_end():
    clock = Clock()
    made = lane(clock)
    work = made.work(batch(LIFE))
    (states,) = [output for output in work.outputs if output.topic == CASES]
    rows = codec.decode(SUBJECT_CASES, list(states.values)).batch.to_pylist()
    again = lane(clock)
    for row in rows:
        again._book.restore(0, row["subject_key"], row["as_of"], row["facts"])
    assert said(again.idle()) == []
    again.committed({})
    assert said(again.work(batch(LIFE))) == []
    stub = record("serious_list", revision=2, status="annulled", document_number="", item="", decided_on=None)
    told = said(again.work(batch([stub])))
    assert [(row["transition"], row["reason"], row["revision"]) for row in told] == [("ended", "annulled", 5)]


def test_no_act_makes_a_law_speak_of_a_body_of_another_jurisdiction():
    rows = [row | {"subject_key": "MX-RFC:ZZZ010101VZ4", "subject_id": "MX-RFC:ZZZ010101VZ4"} for row in LIFE]
    told = said(lane(Clock()).work(batch(rows)))
    assert {(row["transition"], row["reason"]) for row in told} == {("refused", "subject_not_restrictable")}


def test_no_case_on_a_sole_trader_and_a_decision_about_one_is_refused():
    rows = [row | {"subject_id": "CN-USCC:92370100MA3ABCDE1X"} for row in LIFE]
    told = said(lane(Clock()).work(batch(rows)))
    assert {(row["transition"], row["reason"]) for row in told} == {("refused", "subject_not_restrictable")}


def test_heartbeats_go_to_every_partition():
    made = lane(Clock())
    work = made.idle()
    assert [row["transition"] for row in said(work, IN_FORCE)] == ["heartbeat"]
    assert made.idle() is None


@pytest.mark.parametrize(
    ("state", "gone"),
    [
        ("注销", True),
        ("已注销", True),
        ("吊销，已注销", True),
        ("被吸收合并", True),
        ("吊销，未注销", False),
        ("拟注销", False),
        ("注销备案", False),
        ("存续（在营、开业、在册）", False),
        ("吊销", False),
        ("迁出", False),
        ("", False),
    ],
)
def test_states_of_a_registration(state: str, gone: bool):
    assert is_gone(state) is gone
