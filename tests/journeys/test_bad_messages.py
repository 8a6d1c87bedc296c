"""Bytes on a department's topic that no adapter of ours wrote: each is set aside with its reason, nothing is lost."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import Producer
from stacks import Stack, stack_in, wait_for

from deploy.local import control
from deploy.local.stack import environment
from producers.simulate.events import generate_events
from producers.simulate.send import department_stream
from schemas import codec, wire
from schemas.avro import CREDIT_EVENT
from schemas.settings import Settings
from schemas.topics import IDENTIFIED, QUARANTINE, events_topic
from stream_processors.clickhouse import connect
from stream_processors.kafka import client_config, read_all

DEPARTMENT = "tax"
ROOT = Path(__file__).parents[2]
NEWER_ID = 4_000


def good_events(settings: Settings, count: int, seed: int) -> list[bytes]:
    """Framed events that become records."""
    now = datetime.now(UTC)
    stream = department_stream(settings, DEPARTMENT, seed, now)
    submission = f"{DEPARTMENT}-20261120-000000-abcd"
    batches = generate_events(stream, count, submission, round(now.timestamp() * 1000))
    return [value for batch in batches for value in codec.encode(CREDIT_EVENT, batch)]


@dataclass(frozen=True)
class Sender:
    """Puts bytes on the department's topic, as a program would that knows nothing of us."""

    settings: Settings

    def send(self, values: list[bytes | None], partition: int = 0, key: bytes | None = b"k") -> None:
        producer = Producer(client_config(self.settings) | {"message.max.bytes": 7 << 20})
        failed: list[object] = []
        for value in values:
            producer.produce(
                events_topic(DEPARTMENT),
                value,
                key,
                partition,
                on_delivery=lambda error, _: failed.append(error) if error else None,
            )
        producer.flush(30)
        assert not failed


def quarantined(settings: Settings) -> dict[str, int]:
    """Messages of the department that are set aside, by reason."""
    store = connect(settings)
    try:
        rows = store.rows(
            "SELECT reason, count() AS n FROM quarantine FINAL WHERE department = {department:String} GROUP BY reason",
            doing="counting the quarantine",
            parameters={"department": DEPARTMENT},
        )
    finally:
        store.close()
    return {row["reason"]: row["n"] for row in rows}


@pytest.mark.nightly
def test_bytes_that_are_no_event_are_quarantined_with_their_reason(running_stack):
    settings = running_stack.settings
    good = good_events(settings, 8, seed=21)
    frame = wire.frame(CREDIT_EVENT.name)
    other_message = wire.frame("Receipt") + good[0][5:]
    bad: list[tuple[bytes | None, str]] = [
        (bytes(range(1, 200)), "event_undecodable"),
        (os.urandom(300), "event_undecodable"),
        (frame + os.urandom(300), "event_undecodable"),
        (other_message, "event_undecodable"),
        (good[0][:-9], "event_undecodable"),
        (frame, "event_undecodable"),
        (b"", "event_empty"),
        (None, "event_empty"),
        (frame + b"\x00" * (5 << 20), "event_too_large"),
    ]
    before = running_stack.received(DEPARTMENT)
    sender = Sender(settings)
    for number, (value, _) in enumerate(bad):
        sender.send([value, good[number % 4]], partition=number % settings.partitions)
    sender.send([*good[4:]], key=None)

    gained = running_stack.outcomes(running_stack.verify(), DEPARTMENT) - before
    # Of the good events four were sent beside the bad ones, in turn: they come again.
    assert gained == {"quarantined": len(bad), "new": 8, "repeat": len(bad) - 4, "events": 2 * len(bad) + 4}
    expected: dict[str, int] = {}
    for _, reason in bad:
        expected[reason] = expected.get(reason, 0) + 1
    assert quarantined(settings) == expected
    for lane in ("intake", "register", "store"):
        assert "Traceback" not in running_stack.log(lane)


def newer_product(folder: Path) -> Path:
    """A copy of the product whose lock file knows one more version of the event."""
    for package in ("schemas", "stream_processors"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "schemas" / "lock.json"
    entries = json.loads(path.read_text("utf-8"))
    newest = max((e for e in entries if e["message"] == CREDIT_EVENT.name), key=lambda e: e["version"])
    entries.append(newest | {"version": newest["version"] + 1, "id": NEWER_ID})
    path.write_text(json.dumps(entries), "utf-8")
    return folder


def identified(settings: Settings) -> int:
    return sum(len(batch) for batch in read_all(settings, IDENTIFIED))


def paused(stack: Stack, partition: int) -> bool:
    labels = (f'topic="{events_topic(DEPARTMENT)}"', f'partition="{partition}"', 'lane="intake"')
    return stack.metric(stack.settings.intake_port, "xinliu_partition_paused", *labels) == 1.0


@pytest.mark.nightly
def test_an_unknown_schema_id_pauses_its_partition_until_a_version_comes_that_knows_it(tmp_path):
    with stack_in(tmp_path / "home", ["broker", "intake"]) as stack:
        settings, sender = stack.settings, Sender(stack.settings)
        good = good_events(settings, 4, seed=22)
        newer = b"\0" + NEWER_ID.to_bytes(4, "big") + good[1][5:]
        sender.send([good[0], newer, good[2]], partition=0)
        sender.send([good[3]], partition=1)

        wait_for(lambda: identified(settings) == 2, "what lies before it, and the other partition, go on")
        wait_for(lambda: paused(stack, 0), "the metric says which partition waits")
        assert not paused(stack, 1)
        assert f"decoding {events_topic(DEPARTMENT)}[0]@1: unknown schema id {NEWER_ID}" in stack.log("intake")

        stack.kill9("intake")
        wait_for(lambda: paused(stack, 0), "the same after a restart")
        assert identified(settings) == 2
        assert sum(len(batch) for batch in read_all(settings, QUARANTINE)) == 0

        control.stop_part(settings, "intake")
        process = subprocess.Popen(
            [sys.executable, "-m", "stream_processors", "run", "intake", "--bare"],
            cwd=newer_product(tmp_path / "newer"),
            env=environment(settings) | {"PYTHONPATH": str(tmp_path / "newer")},
        )
        try:
            wait_for(lambda: identified(settings) == 4, "the newer version reads them all, in their order")
        finally:
            process.terminate()
            assert process.wait(30) == 0


def test_the_newer_copy_differs_by_one_entry(tmp_path):
    known = json.loads((ROOT / "schemas" / "lock.json").read_text("utf-8"))
    assert NEWER_ID not in {entry["id"] for entry in known}
    copy = json.loads((newer_product(tmp_path) / "schemas" / "lock.json").read_text("utf-8"))
    assert copy[: len(known)] == known
    assert len(copy) == len(known) + 1
