"""Writes an operator's command to `credit.control`, reads them all, and holds a lane while it is paused."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from confluent_kafka import KafkaException, Producer

from schemas import codec
from schemas.avro import COMMAND
from schemas.errors import InputError, Retryable, XinliuError
from schemas.settings import Settings
from schemas.topics import CONTROL
from stream_processors.kafka import client_config, end_offsets, read_all
from stream_processors.ops.control import REFUSALS, Standing, fault_of, load_operators, standing

LOOK_SECONDS = 2.0
_SEND_SECONDS = 15.0

log = structlog.get_logger("control")


def send_command(
    settings: Settings, operator: str, action: str, target: str, because: str, readers: tuple[str, ...]
) -> str:
    """Order it, and return its id once the broker has it; InputError says why nobody would follow it."""
    row: dict[str, Any] = {
        "command_id": uuid.uuid4().hex,
        "operator": operator,
        "action": action,
        "target": target,
        "because": because,
        "at": datetime.now(UTC),
    }
    if fault := fault_of(row, load_operators(settings.reference_dir), readers):
        raise InputError(f"ordering {action} {target}: {REFUSALS[fault]}; nothing was sent")
    producer = Producer(
        client_config(settings) | {"enable.idempotence": True, "acks": "all", "message.timeout.ms": 10_000}
    )
    failed: list[str] = []
    try:
        producer.produce(
            CONTROL,
            codec.encode_one(COMMAND, row),
            target.encode(),
            0,
            on_delivery=lambda error, _: failed.append(error.str()) if error is not None else None,
        )
        left = producer.flush(_SEND_SECONDS)
    except KafkaException as error:
        raise Retryable(f"ordering {action} {target}: {error.args[0].str()}; run it again") from error
    if left or failed:
        raise Retryable(
            f"ordering {action} {target}: {failed[0] if failed else 'the broker does not answer'}; run it again"
        )
    return str(row["command_id"])


def commands(settings: Settings) -> Iterator[tuple[int, Mapping[str, Any] | None]]:
    """Every command so far with its offset, oldest first; None for a message that is none.

    Raises Retryable at a command of a newer version: to pass over it could let go on what it stops.
    """
    for batch in read_all(settings, CONTROL):
        decoded = codec.decode(COMMAND, batch.values)
        if decoded.unknown:
            index, schema_id = decoded.unknown[0]
            raise Retryable(
                f"reading {CONTROL}: the command at offset {batch.offsets[index]} is of schema {schema_id}, which this "
                "version does not know; deploy the newer version here as well"
            )
        rows = dict(zip(decoded.rows.tolist(), decoded.batch.to_pylist(), strict=True))
        for index, offset in enumerate(batch.offsets.tolist()):
            yield offset, rows.get(index)


def standing_now(settings: Settings, readers: tuple[str, ...] | None = None) -> Standing:
    """What follows from all commands so far."""
    return standing(commands(settings), load_operators(settings.reference_dir), readers)


class Hold:
    """Whether an operator has paused this lane; looked up every two seconds in a thread of its own.

    While the broker does not answer, or the topic is not there yet, what was known last holds on.
    """

    def __init__(self, settings: Settings, lane: str) -> None:
        self._settings = settings
        self._lane = lane
        self._end = -1
        self._held = threading.Event()
        self.is_set = self._held.is_set

    def watch(self, stop: threading.Event) -> None:
        """Begin to look; ends with `stop`."""
        threading.Thread(target=self._watch, args=(stop,), name=f"hold-{self._lane}", daemon=True).start()

    def _watch(self, stop: threading.Event) -> None:
        while True:
            try:
                self.look()
            except XinliuError as error:
                log.debug("the commands are not known now", why=str(error))
            if stop.wait(LOOK_SECONDS):
                return

    def look(self) -> None:
        """Look once; raises Retryable while the broker does not answer."""
        (end,) = end_offsets(self._settings, CONTROL, partitions=[0]).values()
        if end == self._end:
            return
        command = standing_now(self._settings).paused.get(self._lane)
        self._end = end
        if command is not None and not self._held.is_set():
            log.warning("paused", lane=self._lane, operator=command.operator, because=command.because)
            self._held.set()
        elif command is None and self._held.is_set():
            log.warning("resumed", lane=self._lane)
            self._held.clear()
