"""A platform of two departments on a real broker, made without lanes: the processors' work is written by hand.

So each fault can be planted exactly, and no process has to be waited for.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from producers.simulate.events import Stream, generate_events
from schemas import codec
from schemas.avro import CREDIT_EVENT
from schemas.hashing import partition_of
from schemas.reference import Reference, load
from schemas.settings import Settings
from schemas.topics import HISTORY, IDENTIFIED, QUARANTINE, RECORDS, events_topic, receipts_topic
from stream_processors.clickhouse import ClickHouse
from stream_processors.index import Index
from stream_processors.intake import Intake
from stream_processors.kafka import Batch, end_offsets, read_all
from stream_processors.positions import INTAKE_GROUP, REGISTER_GROUP
from stream_processors.register import Register
from stream_processors.rows import rows_of
from stream_processors.store import prepare
from stream_processors.tables.identity import consumer_group

P = 2
DEPARTMENTS = ("market", "tax")
STORED = (RECORDS, HISTORY, QUARANTINE, *(receipts_topic(department) for department in DEPARTMENTS))


def two_departments() -> Reference:
    """The shipped reference tables with only these two departments and their authorities."""
    reference = load()
    departments = {name: reference.departments[name] for name in DEPARTMENTS}
    authorities = {c: a for c, a in reference.authorities.by_code.items() if a.department in DEPARTMENTS}
    return replace(reference, authorities=replace(reference.authorities, departments=departments, by_code=authorities))


def write_platform(settings: Settings, reference: Reference, events_of_each: int) -> None:
    """Events of two departments, what intake and register make of them, and the lanes' positions at the end."""
    intake = Intake(reference, P)
    register = Register(settings, reference, Path("unused"), {}, time.time, lambda *_: None)
    register._partitions = list(range(P))
    register._indexes = {partition: Index() for partition in range(P)}
    for department in DEPARTMENTS:
        events = simulated(reference, department, events_of_each)
        values = codec.encode(CREDIT_EVENT, events)
        keys: list[bytes | None] = [ids[0].encode() for ids in events["subject_ids"].to_pylist()]
        places = partition_of([key or b"" for key in keys], P)
        send(settings, events_topic(department), values, keys, places.tolist())
        start = end_offsets(settings, IDENTIFIED)
        for batch in read_all(settings, events_topic(department)):
            _write(settings, intake.work(batch).outputs)
        for batch in read_all(settings, IDENTIFIED, start=start):
            _write(settings, register.work(batch).outputs)
    stand_at_end(settings, INTAKE_GROUP, [events_topic(department) for department in DEPARTMENTS])
    stand_at_end(settings, REGISTER_GROUP, [IDENTIFIED])


def simulated(reference: Reference, department: str, count: int) -> pa.RecordBatch:
    """Events as the load generator makes them: repeats, corrections and wrong codes among them."""
    authorities = [a for a in reference.authorities.by_code.values() if a.department == department]
    stream = Stream(7, authorities, date.today(), 50)
    now_ms = int(time.time() * 1000)
    return next(generate_events(stream, count, f"{department}-20260501-120000-abcd", now_ms, batch_rows=count))


def fill_store(settings: Settings, store: ClickHouse, reference: Reference) -> None:
    """Everything into the tables, and the store lane's position at the end."""
    prepare(store, reference)
    for topic in STORED:
        for batch in read_all(settings, topic):
            for table, rows in rows_of(batch).tables.items():
                store.insert(table, rows)
    stand_at_end(settings, consumer_group(store, settings), STORED)


def _write(settings: Settings, outputs: Sequence[Any]) -> None:
    """One transaction, whose markers lie behind the messages as on any topic that a lane writes."""
    producer = Producer({"bootstrap.servers": settings.kafka, "transactional.id": "test"})
    producer.init_transactions(20)
    producer.begin_transaction()
    for output in outputs:
        for value, key, partition in zip(output.values, output.keys, output.partitions, strict=True):
            producer.produce(output.topic, value, key, partition)
    producer.commit_transaction(20)


def send(
    settings: Settings, topic: str, values: Sequence[bytes], keys: Sequence[bytes | None], partitions: Sequence[int]
) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka, "enable.idempotence": True})
    for value, key, partition in zip(values, keys, partitions, strict=True):
        producer.produce(topic, value, key, partition)
    assert producer.flush(20) == 0


def stand_at_end(settings: Settings, group: str, topics: Sequence[str]) -> None:
    """Commit a group's position behind everything, as its lane would have."""
    ends = [TopicPartition(t, p, end) for t in topics for p, end in end_offsets(settings, t).items()]
    admin = AdminClient({"bootstrap.servers": settings.kafka})
    admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, ends)])[group].result(20)


def messages(settings: Settings, topic: str) -> Batch:
    """All messages of a small topic."""
    batches = list(read_all(settings, topic))
    return Batch(
        [value for batch in batches for value in batch.values],
        [key for batch in batches for key in batch.keys],
        [topic for batch in batches for topic in batch.topics],
        np.concatenate([batch.partitions for batch in batches]),
        np.concatenate([batch.offsets for batch in batches]),
        np.concatenate([batch.timestamps_ms for batch in batches]),
    )
