"""A platform on a real broker whose lanes run when a test says so: events in, a step, and everything has its outcome.

So a test sees what a command does before and after the lanes have come to it, and nothing has to be waited for.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import small_platform
from small_platform import DEPARTMENTS, P, fill_store, send, stand_at_end

from deploy.local.broker import SESSION_TIMEOUT_MS_TEST, BrokerConfig, broker_part
from deploy.local.parts import PartProcess
from deploy.local.processes import free_port_base
from producers.stamp import event_ids
from schemas import codec
from schemas.avro import CREDIT_EVENT
from schemas.hashing import partition_of
from schemas.reference import Reference
from schemas.settings import Settings
from schemas.topics import IDENTIFIED, events_topic
from stream_processors import topics
from stream_processors.clickhouse import ClickHouse, connect
from stream_processors.index import Index
from stream_processors.intake import Intake
from stream_processors.kafka import end_offsets, read_all
from stream_processors.positions import INTAKE_GROUP, REGISTER_GROUP
from stream_processors.register import Register
from tests.schemas.events import batch_of
from tests.schemas.events import event as a_sound_event

SUBMISSION = "market-20260304-020000-abcd1234"
AGAIN = "market-20260401-020000-abcd1234"
SUBMISSION_OF_TAX = "tax-20260304-020000-abcd1234"
RIGHT = "91370100XXXX00051M"
WRONG = "91370100XXXX00051X"  # the check digit of another code
MISREAD = "91370100XXXXO0051M"  # O for 0


def event(row: int, **changes: Any) -> dict[str, Any]:
    """A penalty of one organisation as a row of the market's file says it; each row is about another decision."""
    submission, part = changes.get("submission", SUBMISSION), changes.get("source_part", 0)
    ids = event_ids(submission, pl.Series([row]), pl.Series([part]))
    own = {
        "submission": submission,
        "source_row": row,
        "event_id": ids[0].as_py(),
        "document_number": f"济市监处罚[2026] {row} 号",
    }
    return a_sound_event(**own | changes)


class Platform:
    """Topics of two departments, the lanes' processors, and how far they have come."""

    def __init__(self, settings: Settings, reference: Reference) -> None:
        self.settings = settings
        self.reference = reference
        self.store: ClickHouse | None = None
        self._register = Register(settings, reference, Path("unused"), {}, time.time, lambda *_: None)
        self._register._partitions = list(range(P))
        self._register._indexes = {partition: Index() for partition in range(P)}
        self._reached: dict[str, dict[int, int]] = {}

    def report(self, *events: dict[str, Any], department: str = "market") -> None:
        """Events onto the department's topic."""
        batch = batch_of(*events)
        keys: list[bytes | None] = [(ids[0] if ids else "").encode() for ids in batch["subject_ids"].to_pylist()]
        places = partition_of([key or b"" for key in keys], P).tolist()
        self.report_bytes(codec.encode(CREDIT_EVENT, batch), keys, places, department)

    def report_bytes(
        self, values: Sequence[bytes], keys: Sequence[bytes | None], places: Sequence[int], department: str = "market"
    ) -> None:
        send(self.settings, events_topic(department), values, keys, places)

    def run_lanes(self, reference: Reference | None = None) -> None:
        """Intake, then register, to the end of what is there; then the store, if there is one."""
        intake = Intake(reference or self.reference, P)
        for department in DEPARTMENTS:
            self._step(events_topic(department), intake)
        self._step(IDENTIFIED, self._register)
        stand_at_end(self.settings, INTAKE_GROUP, [events_topic(department) for department in DEPARTMENTS])
        stand_at_end(self.settings, REGISTER_GROUP, [IDENTIFIED])
        if self.store is not None:
            fill_store(self.settings, self.store, self.reference)

    def _step(self, topic: str, lane: Intake | Register) -> None:
        start = self._reached.get(topic, {})
        self._reached[topic] = end_offsets(self.settings, topic)
        for batch in read_all(self.settings, topic, start=start):
            small_platform._write(self.settings, lane.work(batch).outputs)

    def with_store(self, clickhouse: Any, database: str) -> "Platform":
        """The same platform with a store that holds everything that its lanes have done so far."""
        self.settings = replace(self.settings, clickhouse_url=clickhouse.url, clickhouse_database=database)
        self.store = connect(self.settings)
        fill_store(self.settings, self.store, self.reference)
        return self


@contextmanager
def platform_in(folder: Path) -> Iterator[Settings]:
    """A broker for one test file, with the topics of two departments; the store is away until a test brings one."""
    port = free_port_base(2)
    config = BrokerConfig(folder / "data", port, port + 1, heap_mb=256, session_timeout_ms=SESSION_TIMEOUT_MS_TEST)
    process = PartProcess(broker_part(config), folder / "broker.log")
    settings = Settings(
        home=folder, bootstrap_servers=process.part.url, partitions=P, clickhouse_url="http://127.0.0.1:9"
    )
    try:
        process.start()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("stream_processors.topics.departments", lambda _: list(DEPARTMENTS))
            topics.apply(settings)
        yield settings
    finally:
        process.stop()


def reference_with(folder: Path, *overrides: str) -> Path:
    """A folder of reference tables in which these codes count as right although they fail a check."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["code,source", *(f"{code},made up" for code in overrides)]
    (folder / "uscc_overrides.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder
