"""Sends events that were set aside once more, each to its department's topic, and waits for what becomes of it.

They go as they were reported: same id, same row, same time. A header says where in quarantine each came from; receipts
tell them by submission, row and part, like those of the first time. Non-goal: deciding which events may go.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow as pa
from confluent_kafka import KafkaError, Message, Producer

from schemas import codec
from schemas.avro import CREDIT_EVENT, RECEIPT
from schemas.errors import Retryable
from schemas.settings import Settings
from schemas.topics import QUARANTINE, department_of, events_topic, receipts_topic
from stream_processors.kafka import client_config, end_offsets, read_all

HEADER = "xinliu-redriven-from"
_DELIVERY_MS = 30_000
_POLL_SECONDS = 0.1
_LOOK_SECONDS = 0.25

Place = tuple[str, int, int]
"""Department, partition and offset of an event."""


class Resender:
    """An idempotent producer for all departments' topics.

    Args:
        rate_per_second: events, at most; None = as fast as the broker takes them.

    Attributes:
        places: where each event lies that the broker has acknowledged, and the item that it was.
    """

    def __init__(
        self,
        settings: Settings,
        rate_per_second: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.places: dict[Place, int] = {}
        self.sent = 0
        self.receipt_starts: dict[str, dict[int, int]] = {}
        self._settings = settings
        self._rate_per_second = rate_per_second
        self._clock, self._sleep = clock, sleep
        self._started = clock()
        self._failed = ""
        self._producer = Producer(
            client_config(settings)
            | {
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "lz4",
                "partitioner": "murmur2_random",  # as the adapters have it: a subject's events keep their partition
                "linger.ms": 20,
                "message.timeout.ms": _DELIVERY_MS,
            }
        )

    def send(self, events: pa.RecordBatch, ids: Sequence[int], departments: Sequence[str]) -> None:
        """Queue events; returns when they are with the client. Raises Retryable once any was not taken.

        Args:
            events: CREDIT_EVENT columns. ids, departments: of each.
        """
        for department in set(departments) - set(self.receipt_starts):
            self.receipt_starts[department] = end_offsets(self._settings, receipts_topic(department))
        keys = [listed[0].encode() if listed else None for listed in events["subject_ids"].to_pylist()]
        values = codec.encode(CREDIT_EVENT, events)
        for value, key, number, department in zip(values, keys, ids, departments, strict=True):
            self._wait_for_turn()
            self._produce(events_topic(department), value, key, number)

    def finish(self) -> None:
        """Wait until the broker has acknowledged all. Raises Retryable."""
        while len(self._producer):
            self._poll(_POLL_SECONDS)
        self._poll(0.0)

    def _wait_for_turn(self) -> None:
        if self._rate_per_second is None:
            return
        ahead = self._started + self.sent / self._rate_per_second - self._clock()
        while ahead > 0:
            self._poll(0.0)
            self._sleep(min(ahead, 1.0))
            ahead = self._started + self.sent / self._rate_per_second - self._clock()

    def _produce(self, topic: str, value: bytes, key: bytes | None, number: int) -> None:
        def delivered(error: KafkaError | None, message: Message) -> None:
            partition, offset = message.partition(), message.offset()
            if error is not None or partition is None or offset is None:
                self._failed = self._failed or (error.str() if error is not None else "no position")
                return
            self.places[department_of(topic), partition, offset] = number

        headers: list[tuple[str, Any]] = [(HEADER, f"{QUARANTINE}@{number}".encode())]
        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers, on_delivery=delivered)
                break
            except BufferError:
                self._poll(_POLL_SECONDS)
        self.sent += 1
        if self.sent % 1000 == 0:
            self._poll(0.0)

    def _poll(self, wait_seconds: float) -> None:
        self._producer.poll(wait_seconds)
        if self._failed:
            raise Retryable(
                f"sending events that were set aside to {self._settings.kafka}: the broker stopped answering "
                f"({self._failed}); {len(self.places)} of {self.sent} are acknowledged, run the same command again: "
                "what is recorded by then is not sent a second time"
            )


def outcomes_of(
    settings: Settings,
    places: Mapping[Place, int],
    receipt_starts: Mapping[str, Mapping[int, int]],
    silence_seconds_max: float,
) -> dict[int, tuple[str, str, str]]:
    """Outcome, reason and detail of each item that was sent, as far as the platform says them in time.

    Args:
        receipt_starts: for each department where its receipts ended before anything was sent.
        silence_seconds_max: give up when nothing was said for so long.
    """
    found: dict[int, tuple[str, str, str]] = {}
    reached = {department: dict(starts) for department, starts in receipt_starts.items()}
    heard = time.monotonic()
    while len(found) < len(places) and time.monotonic() - heard < silence_seconds_max:
        before = len(found)
        for department, starts in reached.items():
            found |= _read_receipts(settings, department, starts, places)
        if len(found) > before:
            heard = time.monotonic()
        elif len(found) < len(places):
            time.sleep(_LOOK_SECONDS)
    return found


def _read_receipts(
    settings: Settings, department: str, starts: dict[int, int], places: Mapping[Place, int]
) -> dict[int, tuple[str, str, str]]:
    """What the receipts from `starts` on say; moves `starts` behind what was read."""
    found: dict[int, tuple[str, str, str]] = {}
    for batch in read_all(settings, receipts_topic(department), start=starts):
        for (_, partition), offset in batch.next_offsets().items():
            starts[partition] = offset
        receipts = pl.DataFrame(pl.from_arrow(codec.decode(RECEIPT, batch.values).batch))
        said = receipts.select("source_partition", "offsets", "outcome", "reason", "detail").explode("offsets")
        for partition, offset, *answer in said.iter_rows():
            number = places.get((department, partition, offset))
            if number is not None:
                outcome, reason, detail = answer
                found[number] = (outcome, reason, detail)
    return found


def counted(answers: Mapping[int, tuple[str, str, str]]) -> Counter[str]:
    """How many have which outcome."""
    return Counter(outcome for outcome, _, _ in answers.values())
