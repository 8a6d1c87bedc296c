"""Compares the log with the ledger: what `credit.measures` says and a reader was not told yet goes into its queue.

This is the whole of ops' safety. It reads committed messages from the ledger's own positions, never from those of a
consumer group, so no event that an agent lost, acknowledged too early or saw twice can be missing or out of order here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
from confluent_kafka import KafkaException, TopicCollection

from schemas import codec
from schemas.avro import MEASURE
from schemas.errors import Retryable
from schemas.settings import Settings
from schemas.topics import MEASURES
from stream_processors.kafka import Batch, admin, read_all
from stream_processors.ops.ledger import Entry, Ledger
from stream_processors.ops.message import message_id

log = structlog.get_logger("ops")


@dataclass(frozen=True, slots=True)
class Reader:
    """One who is told: its name in the ledger, which transitions it is told of, and in which words."""

    name: str
    wants: Callable[[Mapping[str, Any]], bool]
    body: Callable[[Mapping[str, Any]], bytes]


def catch_up(
    settings: Settings,
    ledger: Ledger,
    readers: Sequence[Reader],
    clock: Callable[[], float],
    *,
    same_topic: bool = False,
) -> tuple[int, int]:
    """Bring every reader to the end of the log as it stands; returns (new in the queues, unreadable messages).

    Raises Retryable while the broker does not answer. What was queued until then stays queued.

    Args:
        same_topic: the broker was there all the time since the last call, so the topic need not be asked for again.
    """
    if not readers:
        return 0, 0
    if not same_topic:
        names = tuple(reader.name for reader in readers)
        ledger.belongs_to(MEASURES, topic_identity(settings, MEASURES), names)
    at = {reader.name: ledger.positions(reader.name) for reader in readers}
    begun = {partition for positions in at.values() for partition in positions}
    start = {partition: min(positions.get(partition, 0) for positions in at.values()) for partition in begun}
    queued = faults = 0
    for batch in read_all(settings, MEASURES, start=start):
        entries, bad, readable = _entries(batch, readers, at)
        ends = readable.next_offsets()
        ahead = {(reader.name, partition): end for (_, partition), end in ends.items() for reader in readers}
        queued += ledger.advance(ahead, entries, clock())
        faults += bad
        if len(readable) < len(batch):  # a newer version of the message: it waits for a newer ops, and so do the next
            log.warning(
                "a message of a newer version waits", topic=MEASURES, what_now="deploy the newer version of ops"
            )
            break
    return queued, faults


def _entries(
    batch: Batch, readers: Sequence[Reader], at: Mapping[str, Mapping[int, int]]
) -> tuple[list[Entry], int, Batch]:
    decoded = codec.decode(MEASURE, batch.values)
    if decoded.unknown:
        first = decoded.unknown[0][0]
        batch = batch.select(np.arange(first))
        decoded = codec.decode(MEASURE, batch.values)
    for index, reason in decoded.faults:  # only the cases lane may write there: somebody else did
        place = f"{MEASURES}[{batch.partitions[index]}]@{batch.offsets[index]}"
        log.error("not a transition of a case; nobody is told of it", place=place, reason=reason)
    partitions, offsets = batch.partitions.tolist(), batch.offsets.tolist()
    entries: list[Entry] = []
    for row, measure in zip(decoded.rows.tolist(), decoded.batch.to_pylist(), strict=True):
        partition, offset = partitions[row], offsets[row]
        entries += _for_readers(measure, partition, offset, readers, at)
    return entries, len(decoded.faults), batch


def _for_readers(
    measure: Mapping[str, Any],
    partition: int,
    offset: int,
    readers: Sequence[Reader],
    at: Mapping[str, Mapping[int, int]],
) -> Iterable[Entry]:
    for reader in readers:
        if offset >= at[reader.name].get(partition, 0) and reader.wants(measure):
            yield Entry(reader.name, partition, offset, message_id(measure), reader.body(measure))


def topic_identity(settings: Settings, topic: str) -> str:
    """Cluster and incarnation of the topic."""
    client = admin(settings)
    try:
        cluster = client.describe_cluster(request_timeout=10.0).result()
        (answer,) = client.describe_topics(TopicCollection([topic]), request_timeout=10.0).values()
        return f"{cluster.cluster_id}/{answer.result().topic_id}"
    except KafkaException as error:
        raise Retryable(
            f"asking the broker at {settings.kafka} for {topic}: {error.args[0].str()}; "
            "start the broker and run xinliu topics apply"
        ) from error
