"""Messages of `credit.measures.in-force` made by hand, and a place to send them to."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
from confluent_kafka import Producer

from schemas import codec
from schemas.avro import ACKNOWLEDGEMENT, MEASURE
from schemas.hashing import partition_of
from schemas.settings import Settings
from schemas.topics import ACKS, IN_FORCE
from stream_processors.cases.rows import heartbeat_row

PROCUREMENT = "government procurement"


def measure(case_id: str, subject_key: str, today: date, **different: Any) -> dict[str, Any]:
    """A measure in force since thirty days, for a year; `different` fields replace these."""
    row = heartbeat_row(datetime.now(UTC).replace(tzinfo=None), today) | {
        "case_id": case_id,
        "revision": 5,
        "transition": "entered",
        "state": "in_force",
        "subject_key": subject_key,
        "subject_id": "CN-ORG:" + subject_key.removeprefix("org:"),
        "rule": "CN-36/M02",
        "measure": "M02",
        "kind": "restriction",
        "activity": PROCUREMENT,
        "evidence_document": "鲁市监罚〔2026〕1号",
        "evidence_ids": ["e" * 32],
        "legal_bases": ["《政府采购法》第77条"],
        "authority_code": "11370000XXXX11295K",
        "authority_name": "演示省政府采购监督管理办公室",
        "notice_document": "告〔2026〕1号",
        "notice_channel": "registered mail",
        "noticed_on": today - timedelta(days=45),
        "decision_document": "决〔2026〕1号",
        "decided_on": today - timedelta(days=30),
        "in_force_from": today - timedelta(days=30),
        "ends_on": today + timedelta(days=335),
    }
    return row | different


def heartbeat(today: date, at: datetime | None = None) -> dict[str, Any]:
    return heartbeat_row(at or datetime.now(UTC).replace(tzinfo=None), today)


def acknowledge(settings: Settings, service: str, seconds: float, case_id: str = "ended") -> None:
    """The word of a service that it stopped, so long after the event that ended a measure was reported."""
    reported_at = datetime(2026, 5, 1, 4)
    row = {
        "case_id": case_id,
        "revision": 6,
        "service": service,
        "at": reported_at + timedelta(seconds=seconds),
        "reported_at": reported_at,
    }
    value = codec.encode(ACKNOWLEDGEMENT, pa.RecordBatch.from_pylist([row], schema=ACKNOWLEDGEMENT.arrow))[0]
    producer = Producer({"bootstrap.servers": settings.kafka})
    producer.produce(ACKS, value, f"{case_id}/{service}".encode())
    assert producer.flush(20) == 0


class Said:
    """Writes to the topic of what binds, as the cases lane does."""

    def __init__(self, settings: Settings) -> None:
        self._producer = Producer({"bootstrap.servers": settings.kafka, "enable.idempotence": True, "linger.ms": 0})
        self._partitions = settings.partitions

    def say(self, *rows: dict[str, Any], timestamp_ms: int = 0) -> None:
        """Entries to their subject's partition, a heartbeat to each partition."""
        values = codec.encode(MEASURE, pa.RecordBatch.from_pylist(list(rows), schema=MEASURE.arrow))
        for row, value in zip(rows, values, strict=True):
            if row["case_id"]:
                where = [int(partition_of([row["subject_key"].encode()], self._partitions)[0])]
            else:
                where = list(range(self._partitions))
            for partition in where:
                key = row["case_id"] or "heartbeat"
                self._producer.produce(IN_FORCE, value, key.encode(), partition, timestamp=timestamp_ms)
        assert self._producer.flush(20) == 0
