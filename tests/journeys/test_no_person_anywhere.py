"""Personal numbers planted into every column, format and corner, and straight onto a topic: nowhere is one found again.

Searched is all that the platform keeps, says and prints, byte by byte, for each number, for the disguise in which it
was sent, and for their digests. What a program that is not ours writes onto its own topic does stand there,
for Kafka keeps what is written: that one topic is left out, and nothing of it may come any further.

A few hundred numbers in every run, ten thousand in the nightly one.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from byte_search import Needles, everything, files, forms_of, leaks, tables, topics
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from planted import MAPPING, HostileMessages, Number, Numbers, broken_files, hostile_messages, write_files
from stacks import Stack

from producers import __main__ as adapter
from schemas.topics import events_topic
from stream_processors import __main__ as operator
from stream_processors.clickhouse import connect
from stream_processors.kafka import client_config

DEPARTMENT = "market"
HOSTILE_DEPARTMENT = "reform"
FEW, MANY = 150, 5_000
LEAK_TOPIC = "leak"


class Said:
    """All that commands have printed, run within this process."""

    def __init__(self, stack: Stack, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capfd = capfd
        self.pieces: list[tuple[str, bytes]] = []
        for name, value in stack.environment.items():
            monkeypatch.setenv(name, value)

    def run(self, command: object, *words: str | Path) -> str:
        """The standard output of one command line."""
        assert command in (adapter, operator)
        self._capfd.readouterr()
        answer = adapter.answer if command is adapter else operator.answer
        code = answer([str(word) for word in words])
        out, err = self._capfd.readouterr()
        assert code in (0, 1, 2), err
        self.pieces.append((f"what {words[0]} printed", (out + err).encode()))
        return out


def send(stack: Stack, messages: HostileMessages) -> int:
    """All onto the department's topic; returns how many there are."""
    producer = Producer(client_config(stack.settings))
    topic = events_topic(HOSTILE_DEPARTMENT)
    for value in (*messages.events, *messages.broken):
        producer.produce(topic, value, b"k")
    for value, key, headers in zip(messages.good, messages.keys, messages.headers, strict=True):
        producer.produce(topic, value, key, headers=headers)
    assert producer.flush(60) == 0
    return len(messages.events) + len(messages.broken) + len(messages.good)


def publish_planted(said: Said, folder: Path, numbers: Numbers, count: int) -> None:
    """Check and publish files with planted numbers: the rows that would keep one are refused, all have an outcome."""
    today = datetime.now(UTC).date()
    planted = write_files(folder, numbers, count, today)
    line = ("--department", DEPARTMENT, "--mapping", MAPPING)
    all_bad = ("--bad-share-max", "1")
    for file in planted:
        checked = json.loads(said.run(adapter, "check", file.path, *line, "--json"))
        assert checked["rows"] == sum(checked["outcomes"].values()) == file.rows
        assert checked["outcomes"]["refused"] >= file.refused_at_least, file.path.name
    said.run(adapter, "check", planted[0].path, *line)
    names = [file.path for file in planted]
    sent = json.loads(said.run(adapter, "publish", *names, *line, "--wait", "--json", *all_bad))
    assert sent["rows"] == sum(sent["outcomes"].values()) == sum(file.rows for file in planted)
    assert sent["outcomes"]["refused"] >= sum(file.refused_at_least for file in planted)
    assert sent["outcomes"]["new"] > 0
    first = sent["submissions"][0]["submission"] if "submissions" in sent else ""
    if first:
        said.run(adapter, "receipts", first)
        said.run(adapter, "receipts", first, "--json")
        said.run(operator, "explain", f"{first}:5")
    full_list = said.run(adapter, "publish", names[0], *line, "--wait", "--json", *all_bad, "--snapshot", "--first")
    assert json.loads(full_list)["rows"] == planted[0].rows
    said.run(adapter, "redrive", names[0], "--mapping", MAPPING)


def ask_with_numbers(said: Said, folder: Path, numbers: Numbers) -> None:
    """Files that can not be read, files called after a number, and numbers typed as what they are not."""
    line = ("--department", DEPARTMENT, "--mapping", MAPPING)
    for path in broken_files(folder, numbers):
        said.run(adapter, "check", path, *line)
        said.run(adapter, "publish", path, *line)
        said.run(adapter, "mappings", "new", path, "--out", folder / "out")
    for _ in range(3):
        named = folder / f"{numbers.draw()}.csv".replace("/", "")
        named.write_bytes((folder / "bom.csv").read_bytes())
        assert said.run(adapter, "check", named, *line) == ""
        assert said.run(adapter, "publish", named, *line, "--wait") == ""
        for words in (("statement",), ("explain",), ("quarantine", "show"), ("quarantine", "list", "--reason")):
            said.run(operator, *words, numbers.draw())
        said.run(adapter, "receipts", numbers.draw())
        said.run(adapter, "publish", folder / "bom.csv", "--department", numbers.draw(), "--mapping", numbers.draw())
    for words in (("quarantine", "list"), ("quarantine", "list", "--json"), ("authorities", "unknown"), ("status",)):
        said.run(operator, *words)
    for number in range(8):
        said.run(operator, "quarantine", "show", str(number))


def plant_leaks(stack: Stack, numbers: list[Number]) -> None:
    """One number each in a topic, in a table, in a packed file and in a log, as a fault of ours would."""
    message, row, packed, line = numbers
    admin = AdminClient(client_config(stack.settings))  # its answers need it alive
    admin.create_topics([NewTopic(LEAK_TOPIC, 1, 1)])[LEAK_TOPIC].result(30)
    producer = Producer(client_config(stack.settings))
    producer.produce(LEAK_TOPIC, message.as_sent.encode())
    assert producer.flush(60) == 0
    store = connect(stack.settings)
    try:
        store.command("CREATE TABLE leak (text String) ENGINE = Memory", doing="planting a leak")
        store.command(
            "INSERT INTO leak VALUES ({text:String})", doing="planting a leak", parameters={"text": row.as_sent}
        )
    finally:
        store.close()
    folder = stack.settings.home / "leak"
    folder.mkdir()
    (folder / "intake.log").write_text(f"2026-11-20 12:00:00 [warning] skipping {line.as_sent}\n", "utf-8")
    pl.DataFrame({"detail": [packed.as_sent] * 50}).write_parquet(folder / "sent.parquet", compression="zstd")


def remove_leaks(stack: Stack) -> None:
    admin = AdminClient(client_config(stack.settings))
    admin.delete_topics([LEAK_TOPIC])[LEAK_TOPIC].result(30)
    store = connect(stack.settings)
    try:
        store.command("DROP TABLE leak", doing="removing a planted leak")
    finally:
        store.close()
    for path in (stack.settings.home / "leak").iterdir():
        path.unlink()
    (stack.settings.home / "leak").rmdir()


def journey(stack: Stack, folder: Path, said: Said, count: int, seed: int) -> None:
    """`count` numbers by files and as many by messages, then the search; then leaks by hand, which it must find."""
    from_files, from_messages = Numbers(seed), Numbers(seed + 1)
    publish_planted(said, folder, from_files, count)
    ask_with_numbers(said, folder, from_files)
    before = stack.received(HOSTILE_DEPARTMENT)
    messages = hostile_messages(stack.settings, from_messages, HOSTILE_DEPARTMENT, count)
    sent = send(stack, messages)
    gained = stack.outcomes(stack.verify(), HOSTILE_DEPARTMENT) - before
    assert gained["events"] == sent
    assert gained["refused"] == len(messages.events)
    assert gained["quarantined"] == len(messages.broken)
    assert gained["new"] + gained["repeat"] == len(messages.good)
    said.run(operator, "quarantine", "list", "--department", HOSTILE_DEPARTMENT)

    numbers = [*from_files.drawn, *from_messages.drawn]
    assert len(numbers) >= 2 * count
    origin = {form: number for number in numbers for form in forms_of(number.number, number.as_sent)}
    needles = Needles(set(origin))
    own_topic = events_topic(HOSTILE_DEPARTMENT)
    found = leaks(needles, everything(stack.settings, frozenset({own_topic}))) | leaks(needles, said.pieces)
    # What was written onto that topic stands there: the search does see what is there.
    assert len(found.pop(f"topic {own_topic}")) > count // 2
    assert {place: [origin[hit] for hit in hits] for place, hits in found.items()} == {}

    planted = numbers[:4]
    plant_leaks(stack, planted)
    try:
        found = leaks(needles, [*topics(stack.settings, frozenset({LEAK_TOPIC})), *tables(stack.settings)])
        found |= leaks(needles, files(stack.settings.home / "leak"))
        places = {place.split(".")[-1] if place.startswith("table") else place for place in found}
        assert {f"topic {LEAK_TOPIC}", "leak", "intake.log", "sent.parquet, unpacked"} <= places, found
    finally:
        remove_leaks(stack)


@pytest.mark.timeout(600)
def test_a_few_hundred_numbers_are_found_nowhere(running_stack, tmp_path, capfd, monkeypatch):
    journey(running_stack, tmp_path, Said(running_stack, capfd, monkeypatch), FEW, seed=20261120)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_ten_thousand_numbers_are_found_nowhere(running_stack, tmp_path, capfd, monkeypatch):
    seed = int(os.environ.get("XINLIU_SEED", "5"))
    journey(running_stack, tmp_path, Said(running_stack, capfd, monkeypatch), MANY, seed)
