"""Records, receipts and messages as the tests of the store need them: only the fields that matter are named."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from schemas import codec
from schemas.avro import CREDIT_RECORD, QUARANTINED, RECEIPT, Message
from schemas.topics import RECORDS
from stream_processors.kafka import Batch

PENALTY: dict[str, Any] = {
    "revision": 1,
    "status": "valid",
    "outcome": "new",
    "variant_of": "",
    "rank": 3,
    "content_order": 1,
    "status_order": 0,
    "record_id": "0" * 31 + "1",
    "content": "c" * 16,
    "subject_key": "org:XXXX00051",
    "department": "market",
    "category": "penalty",
    "operation": "report",
    "authority_code": "11370000XXXX10014M",
    "effective_on": date(2026, 3, 2),
    "reported_at": datetime(2026, 3, 4, 2, 0, tzinfo=UTC),
    "submission": "market-20260304-020000-abcd1234",
    "source_row": 2,
    "mapping": "penalty-2018@1",
    "subject_ids": ["CN-USCC:91370100XXXX00051M"],
    "subject_id": "CN-USCC:91370100XXXX00051M",
    "subject_name": "济南某某商贸有限公司",
    "subject_kind": "legal_person",
    "authority_name": "演示省市场监督管理局",
    "region": "370000",
    "document_number": "鲁市监罚〔2026〕1号",
    "item": "产品质量",
    "grade": "一般",
    "classes": ["罚款"],
    "legal_bases": ["产品质量法第四十九条"],
    "fine_fen": 2_000_000,
    "confiscated_fen": 150_000,
    "amount_fen": 1,
    "valid_from": date(2026, 3, 2),
    "valid_to": date(2029, 3, 1),
    "state": "已执行",
    "source_url": "https://example.org/decision/1",
    "decided_on": date(2026, 3, 2),
    "identity_version": 1,
}
STUB: dict[str, Any] = {
    "subject_ids": [],
    "subject_name": "",
    "authority_name": "",
    "region": "",
    "document_number": "",
    "mapping": "",
    "subject_id": "",
    "subject_kind": "",
    "item": "",
    "grade": "",
    "classes": [],
    "legal_bases": [],
    "fine_fen": None,
    "confiscated_fen": None,
    "amount_fen": None,
    "decided_on": None,
    "valid_from": None,
    "valid_to": None,
    "state": "",
    "source_url": "",
}


def record(**changes: Any) -> dict[str, Any]:
    """A penalty, with what the test says of it."""
    return _whole(CREDIT_RECORD, PENALTY | changes)


def closed(**changes: Any) -> dict[str, Any]:
    """The stub of a closed record."""
    return record(**STUB | changes)


def quarantined(**changes: Any) -> dict[str, Any]:
    return _whole(QUARANTINED, {"department": "market", "reason": "value_missing"} | changes)


def receipt(**changes: Any) -> dict[str, Any]:
    return _whole(RECEIPT, {"department": "market", "lane": "intake", "submission": "s"} | changes)


def messages(
    message: Message,
    rows: Sequence[dict[str, Any]],
    *,
    topic: str = RECORDS,
    partition: int = 0,
    offset: int = 0,
    at_ms: int | Sequence[int] = 1_772_589_600_000,
) -> Batch:
    """These rows as Kafka hands them out, from `offset` on; `at_ms` is when Kafka took them."""
    return raw(encoded(message, rows), topic=topic, partition=partition, offset=offset, at_ms=at_ms)


def encoded(message: Message, rows: Sequence[dict[str, Any]]) -> list[bytes]:
    """Framed Avro."""
    return codec.encode(message, pa.RecordBatch.from_pylist(list(rows), schema=message.arrow))


def raw(
    values: Sequence[bytes | None],
    *,
    topic: str = RECORDS,
    partition: int = 0,
    offset: int = 0,
    at_ms: int | Sequence[int] = 1_772_589_600_000,
) -> Batch:
    """Any bytes as Kafka hands them out."""
    count = len(values)
    return Batch(
        list(values),
        [None] * count,
        [topic] * count,
        np.full(count, partition, np.int32),
        np.arange(offset, offset + count, dtype=np.int64),
        np.full(count, at_ms, np.int64) if isinstance(at_ms, int) else np.array(at_ms, np.int64),
    )


def joined(*batches: Batch) -> Batch:
    """Several batches as one take would hand them out."""
    return Batch(
        [value for batch in batches for value in batch.values],
        [key for batch in batches for key in batch.keys],
        [topic for batch in batches for topic in batch.topics],
        np.concatenate([batch.partitions for batch in batches]),
        np.concatenate([batch.offsets for batch in batches]),
        np.concatenate([batch.timestamps_ms for batch in batches]),
    )


def _whole(message: Message, known: dict[str, Any]) -> dict[str, Any]:
    """Every field of the message, empty where nothing is said."""
    row: dict[str, Any] = {}
    for field in message.arrow:
        if field.name in known:
            row[field.name] = known[field.name]
        elif field.nullable:
            row[field.name] = None
        elif pa.types.is_string(field.type):
            row[field.name] = ""
        elif pa.types.is_list(field.type):
            row[field.name] = []
        elif pa.types.is_timestamp(field.type):
            row[field.name] = datetime(2026, 3, 4, tzinfo=UTC)
        else:
            row[field.name] = 0
    unknown = set(known) - set(row)
    assert not unknown, f"{message.name} has no {unknown}"
    return row
