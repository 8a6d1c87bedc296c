"""The loop on a real broker: what a transaction holds together, and how it ends."""

import os
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local.processes import wait_until
from schemas.errors import Stop
from schemas.settings import Settings
from stream_processors import lane as lanes
from stream_processors.kafka import Batch, end_offsets, read_all
from stream_processors.lane import Lane, Output, Work
from stream_processors.metrics import LaneMetrics, Registry
from tests.conftest import Broker

SECONDS_MAX = 60.0
P = 2
UNKNOWN = b"in a schema of tomorrow"


# -- a lane that copies, and may be told to do otherwise --------------------------------------------------------------


@dataclass
class Copy:
    """Copies every message to `out`, tracked, and remembers what the loop called."""

    name: str
    topics: Sequence[str]
    out: str
    knows_all: bool = True
    calls: list[str] = field(default_factory=list)
    offsets: dict[int, int] = field(default_factory=dict)
    held: list[int] = field(default_factory=list)
    due: list[bytes] = field(default_factory=list)
    before: list[Callable[[list[bytes]], Sequence[bytes]]] = field(default_factory=list)
    """One for each of the next batches: what to write instead of its values."""
    _unknown: list[tuple[int, int]] = field(default_factory=list)

    def assigned(self, partitions: Sequence[int]) -> None:
        self.calls.append("assigned")
        self.held = list(partitions)

    def revoked(self) -> None:
        self.calls.append("revoked")
        self.held = []

    def restore(self, keep_alive: Callable[[], None]) -> None:
        self.calls.append("restore")
        keep_alive()

    def work(self, batch: Batch) -> Work:
        self.calls.append("work")
        assert set(batch.partitions.tolist()) <= set(self.held)
        self._unknown = [] if self.knows_all else [(i, 9_999) for i, v in enumerate(batch.values) if v == UNKNOWN]
        limits = {int(batch.partitions[i]): int(batch.offsets[i]) for i, _ in reversed(self._unknown)}
        passes = [
            i
            for i, (partition, offset) in enumerate(zip(batch.partitions.tolist(), batch.offsets.tolist(), strict=True))
            if offset < limits.get(partition, offset + 1)
        ]
        known = batch.select(np.array(passes, np.int64))
        values: Sequence[bytes] = [value or b"" for value in known.values]
        if self.before:
            values = self.before.pop(0)(list(values))
        return Work([Output(self.out, values, known.keys, known.partitions.tolist(), tracked=True)])

    def idle(self) -> Work | None:
        if not self.due or not self.held:
            return None
        values, self.due = self.due, []
        return Work([Output(self.out, values, [None] * len(values), [self.held[0]] * len(values), tracked=True)])

    def committed(self, offsets: dict[int, int]) -> None:
        self.calls.append("committed")
        self.offsets |= offsets

    def aborted(self) -> None:
        self.calls.append("aborted")

    def unknown_schemas(self) -> list[tuple[int, int]]:
        return self._unknown

    def closed(self) -> None:
        self.calls.append("closed")


@dataclass
class Place:
    """Two topics of their own and a group, and what lies there."""

    settings: Settings
    name: str

    def copy(self, *, knows_all: bool = True) -> Copy:
        return Copy(self.name, [f"{self.name}-in"], f"{self.name}-out", knows_all)

    def send(self, values: Sequence[bytes], partition: int | None = None) -> None:
        """Values go round the partitions, or to one."""
        producer = Producer({"bootstrap.servers": self.settings.kafka})
        for number, value in enumerate(values):
            producer.produce(f"{self.name}-in", value, partition=number % P if partition is None else partition)
        assert producer.flush(SECONDS_MAX) == 0

    def came_out(self) -> Counter[bytes]:
        """What a reader of committed messages sees, how often."""
        batches = read_all(self.settings, f"{self.name}-out")
        return Counter(value or b"" for batch in batches for value in batch.values)

    def comes_out(self, values: Sequence[bytes]) -> bool:
        """Whether just these values came out, each once, within the time."""
        wanted = Counter(values)
        return wait_until(lambda: sum(self.came_out().values()) >= len(values), SECONDS_MAX) and (
            self.came_out() == wanted
        )

    def positions(self) -> dict[int, int]:
        """Committed offset of each partition of `in`; -1 for none."""
        group = f"xinliu-{self.name}"
        places = [TopicPartition(f"{self.name}-in", partition) for partition in range(P)]
        admin = AdminClient({"bootstrap.servers": self.settings.kafka})
        answer = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)])
        found = answer[group].result(SECONDS_MAX).topic_partitions
        return {place.partition: max(place.offset, -1) for place in found}

    def ends(self) -> dict[int, int]:
        return end_offsets(self.settings, f"{self.name}-in")


@pytest.fixture
def place(
    broker: Broker, settings_for: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Place:
    monkeypatch.setattr("stream_processors.lane.gc.freeze", lambda: None)  # this process does more than one lane
    name = f"lane-{uuid.uuid4().hex[:8]}"
    settings = settings_for(tmp_path, broker=broker)
    admin = AdminClient({"bootstrap.servers": settings.kafka})
    wanted = [NewTopic(f"{name}-in", P, 1), NewTopic(f"{name}-out", P, 1, config={"max.message.bytes": "20000"})]
    for created in admin.create_topics(wanted).values():
        created.result(SECONDS_MAX)
    return Place(settings, name)


@dataclass
class Running:
    """A lane in a thread of its own."""

    processor: Copy
    registry: Registry
    thread: threading.Thread
    errors: list[Exception]
    lane: Lane

    def ends(self) -> Exception | None:
        """Wait for its end, and tell why."""
        self.thread.join(SECONDS_MAX)
        assert not self.thread.is_alive()
        return self.errors[0] if self.errors else None


@contextmanager
def running(
    place: Place, processor: Copy, slot: int = 0, held: Callable[[], bool] = lambda: False
) -> Iterator[Running]:
    """A lane that works; stopped in order at the end, if it has not ended by itself."""
    stop = threading.Event()
    registry = Registry()
    settings = replace(place.settings, slot=slot)
    lane = Lane(settings, processor, LaneMetrics(place.name, registry), stop, held=held)
    errors: list[Exception] = []

    def run() -> None:
        try:
            lane.run()
        except Exception as error:
            error.__cause__ = None
            errors.append(error.with_traceback(None))
            lane._source.close()  # what the end of a process does: else its clients outlive the broker
            del lane._producer

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        assert wait_until(lambda: lane.ready.is_set() or not thread.is_alive(), SECONDS_MAX)
        yield Running(processor, registry, thread, errors, lane)
    finally:
        stop.set()
        thread.join(SECONDS_MAX)
        assert not thread.is_alive()


def numbered(first: int, last: int) -> list[bytes]:
    return [b"event %d" % number for number in range(first, last)]


@pytest.mark.parametrize("topics", [["a"] * 4, ["a", "b", "a", "b"]])
def test_the_position_behind_a_batch_is_that_of_each_partitions_last_message(topics: list[str]) -> None:
    partitions, offsets = np.array([0, 1, 1, 0], np.int32), np.array([7, 3, 4, 9])
    batch = Batch([b""] * 4, [None] * 4, topics, partitions, offsets, np.zeros(4, np.int64))
    places = zip(topics, partitions.tolist(), strict=True)
    assert batch.next_offsets() == dict(zip(places, (offsets + 1).tolist(), strict=True))


# -- what it promises -------------------------------------------------------------------------------------------------


def test_outputs_and_positions_are_committed_together_and_a_next_lane_goes_on_behind_them(place: Place) -> None:
    place.send(numbered(0, 40))
    with running(place, place.copy()) as lane:
        assert place.comes_out(numbered(0, 40))
        assert place.positions() == place.ends()
        ends_out = end_offsets(place.settings, f"{place.name}-out")  # behind the marker of the transaction
        assert all(0 < lane.processor.offsets[partition] < ends_out[partition] for partition in range(P))
    assert lane.ends() is None
    assert lane.processor.calls[-1] == "closed"

    place.send(numbered(40, 60))
    with running(place, place.copy()) as later:
        assert place.comes_out(numbered(0, 60))
    assert later.ends() is None


def test_an_aborted_transaction_leaves_nothing_and_its_events_are_taken_again(place: Place) -> None:
    too_large = os.urandom(40_000)  # for the topic, so that the broker refuses it after it was handed over
    processor = place.copy()
    processor.before.append(lambda values: [*values[:-1], too_large])
    place.send(numbered(0, 10), partition=0)
    with running(place, processor) as lane:
        assert place.comes_out(numbered(0, 10))
        assert place.positions()[0] == 10
        page = lane.registry.page().decode()
    assert lane.ends() is None
    assert processor.calls.index("aborted") < processor.calls.index("committed")
    aborts = float(processor.calls.count("aborted"))
    assert f'xinliu_transactions_aborted_total{{lane="{place.name}"}} {aborts}' in page


def test_a_lane_that_was_fenced_ends_and_commits_nothing(place: Place) -> None:
    def fence(values: list[bytes]) -> list[bytes]:
        newer = Producer({"bootstrap.servers": place.settings.kafka, "transactional.id": f"xinliu-{place.name}-0"})
        newer.init_transactions(SECONDS_MAX)
        return values

    processor = place.copy()
    processor.before.append(fence)
    place.send(numbered(0, 10))
    with running(place, processor) as fenced:
        error = fenced.ends()
    assert isinstance(error, Stop)
    assert "committed" not in processor.calls
    assert "closed" not in processor.calls  # its end was not clean
    assert set(place.positions().values()) == {-1}
    assert place.came_out() == Counter()

    with running(place, place.copy()) as newer:
        assert place.comes_out(numbered(0, 10))
    assert newer.ends() is None


def test_work_that_time_alone_brings_is_committed_with_a_position(place: Place) -> None:
    processor = place.copy()
    processor.due = [b"the day has come"]
    with running(place, processor) as lane:
        assert place.comes_out([b"the day has come"])
        assert wait_until(lambda: "committed" in processor.calls, SECONDS_MAX)
        assert max(place.positions().values()) == 0  # without any, the client takes it for done and sends nothing
        assert len(processor.offsets) == 1

        place.send(numbered(0, 4))
        assert place.comes_out([b"the day has come", *numbered(0, 4)])
        processor.due = [b"another day"]
        assert place.comes_out([b"the day has come", *numbered(0, 4), b"another day"])
        assert place.positions() == place.ends()
    assert lane.ends() is None


def test_a_lane_that_an_operator_pauses_takes_and_writes_nothing_and_goes_on_where_it_was(place: Place) -> None:
    held = threading.Event()
    processor = place.copy()
    with running(place, processor, held=held.is_set) as lane:
        place.send(numbered(0, 4))
        assert place.comes_out(numbered(0, 4))
        held.set()
        assert wait_until(lambda: lane.lane._rests, SECONDS_MAX)
        place.send(numbered(4, 8))
        processor.due = [b"the day has come"]
        turns = lane.lane._committed_at
        assert wait_until(lambda: lane.lane._committed_at > turns + 1, SECONDS_MAX)  # it came round, and not to its end
        assert place.comes_out(numbered(0, 4))
        held.clear()
        assert place.comes_out([*numbered(0, 8), b"the day has come"])
        assert place.positions() == place.ends()
    assert processor.calls.count("assigned") == 1, "it kept its partitions"
    assert lane.ends() is None


def test_an_unknown_schema_holds_its_partition_and_no_other_until_a_reader_knows_it(place: Place) -> None:
    place.send([*numbered(0, 3), UNKNOWN, *numbered(3, 5)], partition=0)
    place.send(numbered(10, 13), partition=1)
    with running(place, place.copy(knows_all=False)) as lane:
        assert place.comes_out([*numbered(0, 3), *numbered(10, 13)])
        place.send(numbered(5, 7), partition=0)
        place.send(numbered(13, 16), partition=1)
        assert place.comes_out([*numbered(0, 3), *numbered(10, 16)])
        assert place.positions() == {0: 3, 1: 6}
        page = lane.registry.page().decode()
        paused = f'xinliu_partition_paused{{lane="{place.name}",partition="0",topic="{place.name}-in"}} 1.0'
        assert paused in page
    assert lane.ends() is None

    with running(place, place.copy()) as newer:
        assert place.comes_out([*numbered(0, 7), UNKNOWN, *numbered(10, 16)])
    assert newer.ends() is None


def test_partitions_that_come_again_are_restored_again_and_no_event_is_doubled(place: Place) -> None:
    first, second = place.copy(), place.copy()
    place.send(numbered(0, 20))
    with running(place, first) as one:
        assert place.comes_out(numbered(0, 20))
        assert first.calls.count("restore") == 1
        with running(place, second, slot=1) as other:
            assert wait_until(lambda: sorted(first.held + second.held) == list(range(P)), SECONDS_MAX)
            assert len(first.held) == len(second.held) == 1
            place.send(numbered(20, 40))
            assert place.comes_out(numbered(0, 40))
            assert first.calls.count("restore") == first.calls.count("assigned") == 2
            assert first.calls.index("revoked") < len(first.calls) - first.calls[::-1].index("restore")
        assert other.ends() is None
    assert one.ends() is None


# -- the watchdog -----------------------------------------------------------------------------------------------------


class Stuck(list[bytes]):
    """Values that are handed over only when `free` is set: a client that hangs within a transaction."""

    def __init__(self, values: list[bytes], free: threading.Event) -> None:
        super().__init__(values)
        self._free = free

    def __getitem__(self, place: object) -> bytes:  # type: ignore[override]
        assert self._free.wait(SECONDS_MAX)
        return super().__getitem__(place)  # type: ignore[index]


def test_a_transaction_that_stays_open_ends_the_process(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    free = threading.Event()

    def instead_of_ending(code: int) -> None:
        codes.append(code)
        free.set()

    monkeypatch.setattr(lanes, "OPEN_SECONDS_MAX", 0.2)
    monkeypatch.setattr("stream_processors.lane.os._exit", instead_of_ending)
    processor = place.copy()
    processor.before.append(lambda values: Stuck(values, free))
    place.send(numbered(0, 3))
    with running(place, processor):
        assert wait_until(lambda: bool(codes), SECONDS_MAX)
    assert codes[0] == 70


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> tuple[Lane, list[str]]:
    """A lane that does not run, and what its watchdog would have ended it for."""
    lane = Lane(Settings(), Copy("watched", ["in"], "out"), LaneMetrics("watched", Registry()), threading.Event())
    said: list[str] = []
    monkeypatch.setattr(lane, "_die", said.append)
    return lane, said


def test_an_idle_lane_is_not_taken_for_stuck_by_its_first_lag(watched: tuple[Lane, list[str]]) -> None:
    lane, said = watched
    hour = lane._looked_at = lane._committed_at + 3600.0  # an hour without anything to commit
    lane._note_lag(5, hour)
    lane._watch_lag(hour + 1)
    assert said == []
    later = lane._looked_at = hour + lanes.QUIET_SECONDS_MAX + 1
    lane._note_lag(5, later)
    lane._watch_lag(later)
    assert len(said) == 1 and "there is lag and no commit" in said[0]


def test_a_broker_that_is_slow_to_say_how_far_a_lane_is_does_not_end_it(watched: tuple[Lane, list[str]]) -> None:
    lane, said = watched
    asked = lane._committed_at + 1
    lane._note_lag(5, asked)
    lane._committed_at = asked + 1  # what lay there is done, and nobody has said so yet
    later = lane._looked_at = asked + 10 * lanes.QUIET_SECONDS_MAX
    lane._watch_lag(later)
    assert said == []
    lane._note_lag(1, later)
    lane._looked_at = later + lanes.QUIET_SECONDS_MAX + 1
    lane._watch_lag(lane._looked_at)
    assert len(said) == 1 and "there is lag and no commit" in said[0]


def test_a_question_that_never_ends_is_found(watched: tuple[Lane, list[str]]) -> None:
    lane, said = watched
    lane._watch_lag(lane._looked_at + lanes.QUIET_SECONDS_MAX + 1)
    assert len(said) == 1 and "nobody has looked" in said[0]
