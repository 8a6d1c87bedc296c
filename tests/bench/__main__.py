"""`make bench`: events per CPU-second of intake, register and both, rows per second of the store, each with a digest.

A broker and a ClickHouse engine of its own in a temporary folder; the simulated stream of `xinliu-adapter simulate`,
the same for the same seed. Each lane runs alone in a process of its own over a full topic, which is a lane at its
ceiling. The digest says what came out, whatever the order: a change that is faster and means something else shows.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from deploy.local.broker import BrokerConfig, broker_part
from deploy.local.clickhouse.part import ClickHouseConfig, clickhouse_part
from deploy.local.parts import PartProcess
from deploy.local.processes import free_port_base
from producers.simulate.events import Stream, expected_outcomes
from producers.simulate.send import Load, send_events
from schemas import codec, reference
from schemas.avro import CREDIT_RECORD, IDENTIFIED_EVENT, Message
from schemas.hashing import hash_64
from schemas.settings import Settings
from schemas.topics import HISTORY, IDENTIFIED, RECORDS
from stream_processors import topics
from stream_processors.kafka import read_all

SEED = 7
NOW = datetime(2026, 4, 1, tzinfo=UTC)  # the stream's dates are relative to it, so that a digest lasts


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--heap-mb", type=int, default=768)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="xinliu-bench-") as folder,
        servers(Path(folder), options.heap_mb) as settings,
    ):
        print(json.dumps(bench(settings, options.events)))


def bench(settings: Settings, events: int) -> dict[str, object]:
    """All figures of one run; raises AssertionError where what came out is not what the stream must become."""
    topics.apply(settings)
    authorities = list(reference.load(None).authorities.by_code.values())
    market = [authority for authority in authorities if authority.department == "market"]
    stream = Stream(SEED, market, NOW.date())
    _say(f"generating {events} events")
    send_events(settings, "market", stream, Load(count=events), lambda: NOW)

    intake = _lane(settings, "intake", events)
    identified, identified_rows = digest(settings, IDENTIFIED, IDENTIFIED_EVENT, ["record_id", "content", "event_id"])
    register = _lane(settings, "register", identified_rows)
    records, _ = digest(settings, RECORDS, CREDIT_RECORD, ["record_id", "content", "status", "revision", "variant_of"])
    rows = sum(len(batch) for topic in (RECORDS, HISTORY) for batch in read_all(settings, topic))
    store = _lane(settings, "store", rows)

    expected = expected_outcomes(stream, events)
    assert identified_rows == events - expected.get("quarantined", 0), (identified_rows, expected)
    per_event = intake["cpu_seconds"] / intake["events"] + register["cpu_seconds"] / register["events"]
    return {
        "events": events,
        "intake_events_per_cpu_second": round(intake["events"] / intake["cpu_seconds"]),
        "register_events_per_cpu_second": round(register["events"] / register["cpu_seconds"]),
        "chain_events_per_cpu_second": round(1 / per_event),
        "store_rows_per_second": round(store["events"] / store["seconds"]),
        "digest": f"{identified:016x}{records:016x}",
    }


def digest(settings: Settings, topic: str, message: Message, columns: list[str]) -> tuple[int, int]:
    """(sum of the row hashes, number of rows) of a topic: the same in any order."""
    total, rows = 0, 0
    for batch in read_all(settings, topic):
        frame = pl.DataFrame(pl.from_arrow(codec.decode(message, batch.values).batch)).select(columns)
        total += int(hash_64(frame.cast(pl.String), columns).sum(dtype=np.uint64))
        rows += frame.height
    return total % (1 << 64), rows


def _lane(settings: Settings, name: str, events: int) -> dict[str, float]:
    """Run one lane over what lies on its topics; its figures, printed as they come."""
    environment = os.environ | {
        "XINLIU_HOME": str(settings.home),
        "XINLIU_BOOTSTRAP_SERVERS": settings.kafka,
        "XINLIU_CLICKHOUSE_URL": settings.clickhouse,
        "POLARS_MAX_THREADS": "1",
        # The first batch is not measured: let there be others, however few events there are.
        "XINLIU_BATCH_ROWS": str(max(1_000, min(settings.batch_rows, events // 8))),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.lane", name, str(events)],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    figures = json.loads(done.stdout.splitlines()[-1])
    _say(
        f"{name:9} {figures['events'] / figures['seconds']:>10,.0f} per second"
        f" {figures['events'] / max(figures['cpu_seconds'], 1e-9):>10,.0f} per CPU-second"
    )
    return figures


@contextmanager
def servers(folder: Path, heap_mb: int) -> Iterator[Settings]:
    """A broker and an engine that live as long as the benchmark."""
    port = free_port_base(16)
    settings = Settings(
        home=folder / "home", port_base=port, kafka_heap_mb=heap_mb, batch_rows=Settings.from_env(os.environ).batch_rows
    )
    parts = [
        PartProcess(
            broker_part(BrokerConfig(folder / "kafka", settings.kafka_port, settings.kafka_controller_port, heap_mb)),
            folder / "broker.log",
        ),
        PartProcess(
            clickhouse_part(ClickHouseConfig(folder / "clickhouse", settings.clickhouse_port, memory_mb=4096)),
            folder / "clickhouse.log",
        ),
    ]
    try:
        for part in parts:
            part.start()
        yield settings
    finally:
        for part in reversed(parts):
            part.stop()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
