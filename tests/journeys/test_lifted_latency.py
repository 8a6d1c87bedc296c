"""From the report that annuls a record to the service that has stopped enforcing the measure on it: under a second."""

import re
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import companies
import numpy as np
import pyarrow as pa
import pytest
from confluent_kafka import Producer
from stacks import Stack, stack_in, wait_for

from deploy.local.http import http_get
from schemas import codec
from schemas.avro import CREDIT_EVENT, CREDIT_RECORD, IDENTIFIED_EVENT, MEASURE, SUBJECT_CASES
from schemas.reference import load
from schemas.topics import ACKS, CASES, IDENTIFIED, IN_FORCE, RECORDS, events_topic
from stream_processors.cases.facts import Facts, from_json
from stream_processors.decide import ActOrder, authority_of, event_of
from stream_processors.enforcement import LAW_TIME, Enforcement, read_acknowledgements
from stream_processors.kafka import end_offsets, read_all

COUNT = 1_000
ANNULMENTS_PER_SECOND = 25
SECONDS_MAX = 1.0
TODAY = datetime.now(LAW_TIME).date()
RULE = "CN-36/M02"
AUTHORITY = "济南市市场监督管理局（演示）"
LIST = "严重违法失信企业名单"
SERVICE = "portal-of-the-latency"


def code(number: int) -> str:
    return companies.company_code(number, "WW")


def put_on_the_list(stack: Stack, folder: Path) -> None:
    rows = "".join(f"演示企业{n}有限公司,{code(n)},{TODAY - timedelta(days=60)},{AUTHORITY},\n" for n in range(COUNT))
    file = folder / "list.csv"
    file.write_text("企业名称,统一社会信用代码,列入日期,作出决定机关(列入),移出日期\n" + rows, "utf-8")
    answer = stack.publish(file, department="market", mapping="market-serious-list")
    assert answer["outcomes"] == {"new": COUNT}


def facts_of(stack: Stack) -> dict[str, Facts]:
    found: dict[str, Facts] = {}
    for batch in read_all(stack.settings, CASES):
        for row in codec.decode(SUBJECT_CASES, batch.values).batch.to_pylist():
            found[row["subject_key"]] = from_json(row["subject_key"], row["facts"])
    return found


def acts(stack: Stack, facts: dict[str, Facts]) -> list[pa.RecordBatch]:
    """A notice and a decision about each."""
    reference, made = load(), []
    for number, known in enumerate(facts.values()):
        (name,) = [name for name in known.names() if name[0] == RULE]
        bases = {"legal_bases": ["《政府采购法》第77条"], "valid_to": TODAY + timedelta(days=300)}
        for order in (
            ActOrder(
                "notice",
                "procurement",
                f"演采告〔2026〕{number + 1}号",
                TODAY - timedelta(days=30),
                "",
                {"state": "邮寄"},
            ),
            ActOrder("decision", "procurement", f"演采决〔2026〕{number + 1}号", TODAY - timedelta(days=10), "", bases),
        ):
            made.append(event_of(known, name, order, authority_of(reference, order, known, name), datetime.now(UTC))[1])
    return made


def annulment(number: int) -> pa.RecordBatch:
    values: dict[str, Any] = {
        "submission": f"market-20260501-120000-{number:04x}",
        "source_row": 1,
        "reported_at": datetime.now(UTC).replace(tzinfo=None),
        "category": "serious_list",
        "operation": "annul",
        "authority_name": AUTHORITY,
        "event_id": f"{number:032x}",
        "mapping": "by-hand@1",
        "subject_ids": [f"CN-USCC:{code(number)}"],
        "item": LIST,
        "decided_on": TODAY - timedelta(days=60),
        "change_document_number": f"（2026）鲁行终{number + 1}号",
        "change_decided_on": TODAY,
    }
    row = {
        f.name: values.get(
            f.name, None if f.nullable else [] if pa.types.is_list(f.type) else "" if pa.types.is_string(f.type) else 0
        )
        for f in CREDIT_EVENT.arrow
    }
    return pa.RecordBatch.from_pylist([row], schema=CREDIT_EVENT.arrow)


STAGES = ("reported", "identified", "recorded", "told", "acknowledged")


def stages_ms(stack: Stack) -> np.ndarray[Any, Any]:
    """Of each end, when it was at each of `STAGES`, in milliseconds since 1970, by the topics alone."""
    at: dict[str, dict[str, int]] = {}
    for topic, message in ((IDENTIFIED, IDENTIFIED_EVENT), (RECORDS, CREDIT_RECORD)):
        for batch in read_all(stack.settings, topic):
            rows = codec.decode(message, batch.values).batch.select(["event_id", "reported_at"]).to_pylist()
            for row, said_ms in zip(rows, batch.timestamps_ms.tolist(), strict=True):
                reported_ms = round(row["reported_at"].replace(tzinfo=UTC).timestamp() * 1000)
                at.setdefault(row["event_id"], {"reported": reported_ms}).setdefault(topic, said_ms)
    ended: dict[str, list[int]] = {}
    for batch in read_all(stack.settings, IN_FORCE):
        rows = codec.decode(MEASURE, batch.values).batch.to_pylist()
        for row, said_ms in zip(rows, batch.timestamps_ms.tolist(), strict=True):
            if row["state"] == "ended":
                ended[row["case_id"]] = [*at[row["event_id"]].values(), said_ms]
    acks = read_acknowledgements(stack.settings.kafka, end_offsets(stack.settings, ACKS))
    return np.array(
        [
            [*ended[row["case_id"]], round(row["at"].replace(tzinfo=UTC).timestamp() * 1000)]
            for _, row in acks
            if row["service"] == SERVICE and row["case_id"] in ended
        ]
    )


def buckets(stack: Stack) -> dict[float, float]:
    """Cumulative counts of the metric by upper bound in seconds."""
    page = (http_get(stack.settings.ops_port, "/metrics") or b"").decode()
    name = f'xinliu_end_acknowledged_seconds_bucket{{le="([^"]+)",service="{SERVICE}"}} (\\S+)'
    return {float(bound): float(count) for bound, count in re.findall(name, page)}


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_a_thousand_annulments_reach_a_service_within_a_second(tmp_path: Path):
    with stack_in(tmp_path) as stack:
        put_on_the_list(stack, tmp_path)
        wait_for(lambda: len(facts_of(stack)) == COUNT, "a case is drafted for each")
        producer = Producer({"bootstrap.servers": stack.settings.kafka, "enable.idempotence": True, "linger.ms": 0})
        for event in acts(stack, facts_of(stack)):
            key = event["subject_ids"][0].as_py()[0].encode()
            producer.produce(events_topic("procurement"), codec.encode(CREDIT_EVENT, event)[0], key)
        assert producer.flush(60) == 0
        with Enforcement(stack.settings, SERVICE) as service:
            wait_for(lambda: all(service.in_force(code(n)) for n in range(COUNT)), "each is in force", 300)
            started = time.monotonic()
            for number in range(COUNT):
                value = codec.encode(CREDIT_EVENT, annulment(number))[0]
                producer.produce(events_topic("market"), value, f"CN-USCC:{code(number)}".encode())
                producer.poll(0)
                time.sleep(max(0.0, started + (number + 1) / ANNULMENTS_PER_SECOND - time.monotonic()))
            assert producer.flush(60) == 0
            wait_for(lambda: not any(service.in_force(code(n)) for n in range(COUNT)), "each has ended")
            wait_for(lambda: max(buckets(stack).values(), default=0) == COUNT, "ops has measured each")
        found, measured = stages_ms(stack), buckets(stack)
    between = np.diff(found, axis=1)
    for number, (before, after) in enumerate(pairwise(STAGES)):
        p50, p99 = np.percentile(between[:, number], [50, 99])
        print(f"\n{before} to {after}: p50 {p50:.0f} ms, p99 {p99:.0f} ms", end="")
    p50, p99 = np.percentile(found[:, -1] - found[:, 0], [50, 99]) / 1000
    print(
        f"\n{len(found)} annulments at {ANNULMENTS_PER_SECOND}/s, reported to acknowledged: "
        f"p50 {p50:.3f} s, p99 {p99:.3f} s"
    )
    assert len(found) == COUNT
    bound = next(bound for bound, count in sorted(measured.items()) if count >= 0.99 * COUNT)
    print(f"by the metric xinliu_end_acknowledged_seconds: p99 within {bound} s")
    assert bound <= SECONDS_MAX
    assert p99 < SECONDS_MAX
