"""A platform without servers: identified events go through the real register, and what it writes lies in lists."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from schemas import codec
from schemas.avro import CREDIT_RECORD, IDENTIFIED_EVENT, RECEIPT
from schemas.hashing import partition_of
from schemas.reference import load
from schemas.settings import Settings
from schemas.topics import HISTORY, IDENTIFIED, RECORDS
from stream_processors.checks.columns import identified_columns, record_columns
from stream_processors.checks.log import collect
from stream_processors.checks.outcomes import receipt_rows
from stream_processors.checks.places import Departments, frame_places
from stream_processors.index import Index
from stream_processors.kafka import Batch
from stream_processors.register import Register
from stream_processors.restore import replay

P = 2
REFERENCE = load()
AUTHORITY = "11370100XXXX10022M"  # market speaks for it; reform stands above; tax is anyone
NOON = datetime(2026, 5, 1, 4, 0, tzinfo=UTC)


def identified(**changes: Any) -> dict[str, Any]:
    """A report of a penalty; only what matters is named."""
    event: dict[str, Any] = {}
    for field in IDENTIFIED_EVENT.arrow:
        kind = field.type
        event[field.name] = (
            None if field.nullable else [] if pa.types.is_list(kind) else "" if pa.types.is_string(kind) else 0
        )
    event |= {
        "record_id": "0" * 31 + "1",
        "content": "a" * 16,
        "subject_key": "org:XXXX00051",
        "department": "market",
        "category": "penalty",
        "operation": "report",
        "authority_code": AUTHORITY,
        "effective_on": date(2026, 3, 2),
        "reported_at": NOON,
    }
    return event | changes


class Miniature:
    """Feed it identified events; afterwards `topics` holds (partition, key, value, timestamp_ms) by topic."""

    def __init__(self) -> None:
        self.now = NOON.timestamp()
        self.topics: dict[str, list[tuple[int, bytes | None, bytes, int]]] = {}
        self._register = Register(Settings(), REFERENCE, Path("unused"), {}, lambda: self.now, lambda *_: None)
        self._register._counts = lambda *_: []  # metrics are no matter here
        self._register._partitions = list(range(P))
        self._register._indexes = {partition: Index() for partition in range(P)}
        self._offsets: dict[tuple[str, int], int] = {}

    def report(self, *events: dict[str, Any]) -> None:
        """One batch; source offsets are given in the order of the calls."""
        placed = [self._placed(event) for event in events]
        values = codec.encode(IDENTIFIED_EVENT, pa.RecordBatch.from_pylist(placed, schema=IDENTIFIED_EVENT.arrow))
        keys: list[bytes | None] = [event["subject_key"].encode() for event in placed]
        partitions = partition_of([event["subject_key"].encode() for event in placed], P)
        start = len(self.topics.get(IDENTIFIED, []))
        self._keep(IDENTIFIED, values, keys, partitions.tolist())
        order = np.argsort(partitions, kind="stable")
        self._work(_batch(IDENTIFIED, self.topics[IDENTIFIED][start:]).select(order))

    def pass_time(self, days: int) -> None:
        """Days go by, and register closes what is no longer to be published."""
        self.now += days * 86_400
        if (work := self._register.idle()) is not None:
            self._produce(work.outputs)

    def restart(self) -> None:
        """Forget the state and take it from credit.records again, in the order of the log."""
        records = _batch(RECORDS, self.topics.get(RECORDS, []))
        for partition in range(P):
            self._register._indexes[partition] = Index()
            if len(at := np.flatnonzero(records.partitions == partition)):
                replay(self._register._indexes[partition], records.select(at))

    def _placed(self, event: dict[str, Any]) -> dict[str, Any]:
        stream = (event["department"], event["source_partition"])
        offset = self._offsets.get(stream, 0)
        self._offsets[stream] = offset + 1
        return event | {"source_offset": offset}

    def _work(self, batch: Batch) -> None:
        self._produce(self._register.work(batch).outputs)

    def _produce(self, outputs: Sequence[Any]) -> None:
        for output in outputs:
            self._keep(output.topic, output.values, output.keys, output.partitions)

    def _keep(self, topic: str, values: Any, keys: Any, partitions: Any) -> None:
        messages = zip(partitions, keys, values, strict=True)
        self.topics.setdefault(topic, []).extend((p, key, value, int(self.now * 1000)) for p, key, value in messages)

    # -- as the checks see it -----------------------------------------------------------------------------------

    def identified(self, departments: Departments) -> pl.DataFrame:
        frame = self._read(
            IDENTIFIED, IDENTIFIED_EVENT, lambda f: identified_columns(f, departments, REFERENCE, P), head=True
        )
        return frame.with_columns(folded=True)

    def records(self, departments: Departments, topic: str = RECORDS) -> pl.DataFrame:
        return self._read(topic, CREDIT_RECORD, lambda f: record_columns(f, departments, REFERENCE, P))

    def history(self, departments: Departments) -> pl.DataFrame:
        return self.records(departments, HISTORY)

    def receipts(self, departments: Departments) -> pl.DataFrame:
        frames = [
            self._read(topic, RECEIPT, receipt_rows) for topic in self.topics if topic.startswith("credit.receipts.")
        ]
        rows = pl.concat(frames)
        return rows.with_columns(frame_places(departments, rows))

    def _read(self, topic: str, message: Any, reduce: Any, head: bool = False) -> pl.DataFrame:
        frame, unreadable = collect([_batch(topic, self.topics.get(topic, []))], message, reduce, head=head)
        assert unreadable == []
        return frame


def _batch(topic: str, messages: Sequence[tuple[int, bytes | None, bytes, int]]) -> Batch:
    """Messages with the offsets that a broker would give."""
    partitions = np.array([m[0] for m in messages], np.int32)
    offsets = np.zeros(len(messages), np.int64)
    for partition in np.unique(partitions):
        at = partitions == partition
        offsets[at] = np.arange(at.sum())
    return Batch(
        [m[2] for m in messages],
        [m[1] for m in messages],
        [topic] * len(messages),
        partitions,
        offsets,
        np.array([m[3] for m in messages], np.int64),
    )
