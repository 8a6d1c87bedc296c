"""Where `explain` finds what happened to an event: the store's tables, or Kafka's topics while the store is away.

The event as it was reported is only on its department's topic, which keeps it 7 days; all else the store remembers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
from confluent_kafka import KafkaException

from schemas import codec
from schemas.avro import CREDIT_EVENT, CREDIT_RECORD, QUARANTINED, RECEIPT
from schemas.errors import Retryable
from schemas.settings import Settings
from schemas.topics import HISTORY, QUARANTINE, RECEIPTS_PREFIX, events_topic, receipts_topic
from stream_processors.clickhouse import ClickHouse
from stream_processors.kafka import Batch, admin, end_offsets, read_all

_DOING = "reading what became of it"
_ASK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Said:
    """What a receipt says of one event.

    Attributes:
        partition, offset: of the event on its department's topic.
        topic, topic_offset: where the receipt lies (partition 0). at: when Kafka took it.
    """

    at: datetime
    department: str
    submission: str
    row: int
    part: int
    lane: str
    outcome: str
    reason: str
    detail: str
    partition: int
    offset: int
    record_id: str
    topic: str
    topic_offset: int


@dataclass(frozen=True, slots=True)
class Found:
    """An event as it lies on its topic, and when Kafka took it."""

    event: Mapping[str, Any]
    at: datetime


class Source(Protocol):
    """What is asked. Lists are in the order of time. All methods raise Retryable where nobody answers."""

    place: str

    def of_row(self, submission: str, row: int) -> list[Said]:
        """What receipts say of the events of one row."""
        ...

    def of_event(self, department: str, partition: int, offset: int) -> list[Said]:
        """What they say of the event at one place."""
        ...

    def at_receipt(self, topic: str, offset: int) -> list[Said]:
        """All that one receipt says."""
        ...

    def row_of_item(self, offset: int) -> tuple[str, int, int] | None:
        """Department, partition and offset of the event that an item of quarantine was."""
        ...

    def row_of_event_id(self, event_id: str) -> tuple[str, int, int] | None:
        """Department, partition and offset of the newest event with that id."""
        ...

    def history(self, record_id: str) -> list[dict[str, Any]]:
        """Every revision of a record and every event that changed nothing: CREDIT_RECORD columns, partition, offset and
        recorded_at."""
        ...

    def stored(self, record_id: str) -> dict[str, Any] | None:
        """The record's row in the store; None where there is none or no store is asked."""
        ...


_SAID = """
SELECT
    recorded_at AS at, department, submission, row, part, lane, outcome, reason, detail,
    source_partition AS partition, event_offset AS offset, record_id, topic, topic_offset
FROM
(
    SELECT
        recorded_at, department, submission, rows, parts, lane, outcome, reason, detail, source_partition, offsets,
        record_ids, topic, offset AS topic_offset
    FROM receipts FINAL
    WHERE {where}
)
ARRAY JOIN rows AS row, parts AS part, offsets AS event_offset, record_ids AS record_id
WHERE {and_where}
ORDER BY topic, topic_offset, row, part
"""
_HISTORY = "SELECT * FROM history FINAL WHERE record_id = {id:String} ORDER BY epoch, partition, offset"
_STORED = "SELECT * FROM records FINAL WHERE record_id = {id:String} AND variant_of = ''"
_ITEM = """
SELECT department, source_partition, source_offset
FROM quarantine FINAL WHERE topic = {topic:String} AND offset = {offset:Int64}
"""
_EVENT_ID = """
SELECT department, source_partition, source_offset, recorded_at FROM history WHERE event_id = {id:String}
UNION ALL
SELECT department, source_partition, source_offset, recorded_at FROM quarantine WHERE event_id = {id:String}
"""


class StoreSource:
    """The tables; what they lack (the id of an event that was a repeat) is looked for on the topics."""

    def __init__(self, store: ClickHouse, settings: Settings, departments: Sequence[str]) -> None:
        self.place = "the store"
        self._store = store
        self._topics = TopicSource(settings, departments)

    def of_row(self, submission: str, row: int) -> list[Said]:
        return self._said(
            "submission = {submission:String} AND has(rows, {row:Int32})",
            "row = {row:Int32}",
            {"submission": submission, "row": row},
        )

    def of_event(self, department: str, partition: int, offset: int) -> list[Said]:
        return self._said(
            "department = {department:String} AND source_partition = {partition:Int32} "
            "AND has(offsets, {offset:Int64})",
            "event_offset = {offset:Int64}",
            {"department": department, "partition": partition, "offset": offset},
        )

    def at_receipt(self, topic: str, offset: int) -> list[Said]:
        return self._said("topic = {topic:String} AND offset = {offset:Int64}", "1", {"topic": topic, "offset": offset})

    def _said(self, where: str, and_where: str, parameters: Mapping[str, Any]) -> list[Said]:
        query = _SAID.replace("{where}", where).replace("{and_where}", and_where)
        return [Said(**row) for row in self._store.rows(query, doing=_DOING, parameters=parameters)]

    def row_of_item(self, offset: int) -> tuple[str, int, int] | None:
        rows = self._store.rows(_ITEM, doing=_DOING, parameters={"topic": QUARANTINE, "offset": offset})
        return _place(rows[-1]) if rows else None

    def row_of_event_id(self, event_id: str) -> tuple[str, int, int] | None:
        rows = self._store.rows(_EVENT_ID, doing=_DOING, parameters={"id": event_id})
        if rows:
            return _place(max(rows, key=lambda row: row["recorded_at"]))
        return self._topics.row_of_event_id(event_id)

    def history(self, record_id: str) -> list[dict[str, Any]]:
        return self._store.rows(_HISTORY, doing=_DOING, parameters={"id": record_id})

    def stored(self, record_id: str) -> dict[str, Any] | None:
        rows = self._store.rows(_STORED, doing=_DOING, parameters={"id": record_id})
        return rows[0] if rows else None


class TopicSource:
    """The topics, each read to its end for every question: for a store that is away."""

    def __init__(self, settings: Settings, departments: Sequence[str]) -> None:
        self.place = "Kafka's topics"
        self._settings = settings
        self._departments = departments

    def of_row(self, submission: str, row: int) -> list[Said]:
        found: list[Said] = []
        there = set(topics_there(self._settings))
        for department in [name for name in self._likely(submission) if receipts_topic(name) in there]:
            said = self._said(receipts_topic(department))
            found += [one for one in said if one.submission == submission and one.row == row]
        return found

    def _likely(self, submission: str) -> list[str]:
        """Our adapters begin a submission's name with the department; others may name it as they like."""
        named = [name for name in self._departments if submission.startswith(f"{name}-")]
        return named or list(self._departments)

    def of_event(self, department: str, partition: int, offset: int) -> list[Said]:
        said = self._said(receipts_topic(department))
        return [one for one in said if (one.partition, one.offset) == (partition, offset)]

    def at_receipt(self, topic: str, offset: int) -> list[Said]:
        if topic.removeprefix(RECEIPTS_PREFIX) not in self._departments:
            return []
        batch = message_at(self._settings, topic, 0, offset)
        return [] if batch is None else list(_said_in(batch))

    def _said(self, topic: str) -> Iterator[Said]:
        for batch in read_all(self._settings, topic):
            yield from _said_in(batch)

    def row_of_item(self, offset: int) -> tuple[str, int, int] | None:
        batch = message_at(self._settings, QUARANTINE, 0, offset)
        rows = _rows(QUARANTINED, batch)
        return _place(rows[0]) if rows else None

    def row_of_event_id(self, event_id: str) -> tuple[str, int, int] | None:
        name = event_id.encode()
        newest: tuple[int, tuple[str, int, int]] | None = None
        there = set(topics_there(self._settings))
        for department in [name for name in self._departments if events_topic(name) in there]:
            for batch in read_all(self._settings, events_topic(department)):
                for i in [i for i, value in enumerate(batch.values) if value is not None and name in value]:
                    place = (department, int(batch.partitions[i]), int(batch.offsets[i]))
                    newest = max(newest or (-1, place), (int(batch.timestamps_ms[i]), place))
        return newest[1] if newest else None

    def history(self, record_id: str) -> list[dict[str, Any]]:
        key = record_id.encode()
        found: list[dict[str, Any]] = []
        for batch in read_all(self._settings, HISTORY):
            mine = batch.select(np.flatnonzero([other == key for other in batch.keys]))
            found += _with_place(mine, _rows(CREDIT_RECORD, mine))
        return sorted(found, key=lambda row: (row["partition"], row["offset"]))

    def stored(self, record_id: str) -> dict[str, Any] | None:
        return None


def reported(settings: Settings, department: str, partition: int, offset: int) -> Found | None:
    """The event at one place of its department's topic; None where it is gone (kept 7 days) or can not be read."""
    batch = message_at(settings, events_topic(department), partition, offset)
    rows = _rows(CREDIT_EVENT, batch)
    if batch is None or not rows:
        return None
    return Found(rows[0], _moment(batch.timestamps_ms[0]))


def topics_there(settings: Settings) -> list[str]:
    """Every topic of the broker: a department may be registered before its topics are made."""
    client = admin(settings)
    try:
        return list(client.list_topics(timeout=_ASK_SECONDS).topics)
    except KafkaException as error:
        raise Retryable(f"asking the broker at {settings.kafka} for its topics: {error.args[0].str()}") from error


def message_at(settings: Settings, topic: str, partition: int, offset: int) -> Batch | None:
    """The one message at a place, or None where there is none any more, or none yet."""
    ends = end_offsets(settings, topic)
    if not 0 <= offset < ends.get(partition, 0):
        return None
    for batch in read_all(settings, topic, start={partition: offset}, only=[partition], batch_rows=1):
        return batch.select(np.array([0])) if int(batch.offsets[0]) == offset else None
    return None


def _said_in(batch: Batch) -> Iterator[Said]:
    decoded = codec.decode(RECEIPT, batch.values)
    receipts: Iterable[Mapping[str, Any]] = decoded.batch.to_pylist()
    for at, receipt in zip(decoded.rows.tolist(), receipts, strict=True):
        for row, part, offset, record_id in zip(
            receipt["rows"], receipt["parts"], receipt["offsets"], receipt["record_ids"], strict=True
        ):
            yield Said(
                at=_moment(batch.timestamps_ms[at]),
                department=receipt["department"],
                submission=receipt["submission"],
                row=row,
                part=part,
                lane=receipt["lane"],
                outcome=receipt["outcome"],
                reason=receipt["reason"],
                detail=receipt["detail"],
                partition=receipt["source_partition"],
                offset=offset,
                record_id=record_id,
                topic=batch.topics[at],
                topic_offset=int(batch.offsets[at]),
            )


def _rows(message: Any, batch: Batch | None) -> list[dict[str, Any]]:
    if batch is None or len(batch) == 0:
        return []
    return codec.decode(message, batch.values).batch.to_pylist()


def _with_place(batch: Batch, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    places = zip(batch.partitions.tolist(), batch.offsets.tolist(), batch.timestamps_ms.tolist(), strict=True)
    return [
        row | {"partition": partition, "offset": offset, "recorded_at": _moment(at)}
        for row, (partition, offset, at) in zip(rows, places, strict=True)
    ]


def _place(row: Mapping[str, Any]) -> tuple[str, int, int]:
    return row["department"], row["source_partition"], row["source_offset"]


def _moment(milliseconds: Any) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
