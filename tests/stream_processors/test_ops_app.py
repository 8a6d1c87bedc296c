"""Ops on a real broker, as a process: what Faust loses, ops delivers all the same; a test for each loss path."""

import time
import uuid

import pyarrow as pa
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from measure_builders import acknowledge
from ops_process import ops_running
from ops_receivers import SECRET, Receiver, encoded, measure, receiver, wait_until

from deploy.local.http import http_get
from schemas import codec
from schemas.avro import ACKNOWLEDGEMENT
from schemas.settings import Settings
from schemas.topics import ACKS, CONTROL, MEASURES
from stream_processors import topics
from stream_processors.control_topic import send_command
from stream_processors.kafka import end_offsets, topic_partitions
from stream_processors.ops.app import app_of, parts_of, seconds_until_stopped

COLUMNS = "id,url,secret_variable,kinds,activities,transitions,since\n"


@pytest.fixture(scope="module")
def platform(broker, settings_for, tmp_path_factory):
    settings = settings_for(tmp_path_factory.mktemp("ops"), broker=broker)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stream_processors.topics.departments", lambda _: [])
        topics.apply(settings)
    return settings


class World:
    """A platform with one subscriber, which hears of this test's activity only: the broker is shared."""

    def __init__(self, settings: Settings, found: Receiver) -> None:
        self.activity = f"test {uuid.uuid4().hex[:8]}"
        self.settings = settings
        self.receiver = found
        line = f"tester,{found.url},OPS_TEST_SECRET,,{self.activity},,2026-01-01\n"
        assert settings.reference_dir is not None
        (settings.reference_dir / "subscribers.csv").write_text(COLUMNS + line)
        self.partition = topic_partitions(settings, MEASURES)[0]

    def write(self, *cases: str, abort: bool = False, raw: bytes | None = None) -> None:
        """One transaction of the cases lane, or one that is taken back."""
        producer = Producer({"bootstrap.servers": self.settings.kafka, "transactional.id": f"test-{uuid.uuid4().hex}"})
        producer.init_transactions(20)
        producer.begin_transaction()
        values = [raw] if raw is not None else encoded(*(measure(case, activity=self.activity) for case in cases))
        for value in values:
            producer.produce(MEASURES, value, partition=self.partition)
        producer.flush(20)
        producer.abort_transaction() if abort else producer.commit_transaction()

    def told(self, *cases: str) -> None:
        """Each of them, and in the end each of them once or more, in their order."""
        wanted = [f"{case}.1" for case in cases]
        assert wait_until(lambda: set(wanted) <= set(self.receiver.ids), 40), (self.receiver.ids, self.log())
        assert list(dict.fromkeys(self.receiver.ids)) == wanted

    def log(self) -> str:
        path = self.settings.home / "ops.log"
        return path.read_text()[-3000:] if path.exists() else ""

    def running(self, plant: str = ""):
        return ops_running(self.settings, SECRET, plant)

    def rings(self) -> int:
        """How often an agent rang, in a process with the plant `only_rings`."""
        return (self.settings.home / "ops.log").read_text().count("a ring")

    def await_a_ring(self) -> None:
        """Return once Faust has its partitions: its first messages may come long after the desk's first look."""
        assert wait_until(lambda: self.write(raw=b"no transition") or self.rings() > 0, 40), self.log()
        settled = [-1]

        def quiet() -> bool:
            time.sleep(0.5)
            before, settled[0] = settled[0], self.rings()
            return before == settled[0]

        assert wait_until(quiet, 40)

    def ready(self) -> bool:
        return http_get(self.settings.ops_port, "/healthz") is not None


@pytest.fixture
def world(platform, settings_for, broker, tmp_path):
    home, reference = tmp_path / "home", tmp_path / "reference"
    home.mkdir(), reference.mkdir()
    with receiver() as found:
        yield World(settings_for(home, broker=broker, reference_dir=reference), found)


def test_l1_and_l2_an_agent_that_raises_loses_its_ring_and_no_message(world):
    world.write("a", "b")
    with world.running("ring_raises"):
        world.told("a", "b")
        assert wait_until(world.ready)
        for case in ("c", "d", "e", "f"):
            world.write(case)
        world.told("a", "b", "c", "d", "e", "f")


def test_l4_and_l5_a_kill_or_a_stop_in_the_middle_of_a_delivery_delivers_again(world):
    world.receiver.answer = lambda number: None if number in (1, 4) else 204  # these are being delivered for long
    world.write("a", "b", "c")
    with world.running() as first:
        assert wait_until(lambda: len(world.receiver.requests) == 2, 40), world.log()
        first.kill9()
    with world.running() as second:
        world.told("a", "b", "c")
        assert wait_until(world.ready)
        world.write("d", "e")
        assert wait_until(lambda: len(world.receiver.requests) == 5, 40), world.log()
        assert second.end() == 0, world.log()
    with world.running():
        world.told("a", "b", "c", "d", "e")
    assert world.receiver.ids == [f"{case}.1" for case in ("a", "b", "b", "c", "d", "d", "e")]


def test_l6_and_l7_there_is_no_table_and_nothing_that_agents_send(world, monkeypatch):
    monkeypatch.setenv("OPS_TEST_SECRET", SECRET)
    parts = parts_of(world.settings)
    app = app_of(parts)
    assert not app.tables
    assert all(agent.concurrency == 1 and not agent._sinks for agent in app.agents.values())
    assert {topic for agent in app.agents.values() for topic in agent.channel.topics} == {MEASURES, CONTROL, ACKS}
    parts.ledger.close()


def test_an_acknowledgement_that_nobody_should_have_written_is_no_label_and_no_crash():
    def said(**different: object) -> bytes:
        row = {"case_id": "c", "revision": 1, "service": "portal", "at": 1_500, "reported_at": 1_000} | different
        times = {name: pa.array([row[name]], pa.int64()).cast(pa.timestamp("ms")) for name in ("at", "reported_at")}
        columns = [
            pa.array([row[f.name]], f.type) if f.name not in times else times[f.name] for f in ACKNOWLEDGEMENT.arrow
        ]
        batch = pa.RecordBatch.from_arrays(columns, schema=ACKNOWLEDGEMENT.arrow)
        return codec.encode(ACKNOWLEDGEMENT, batch)[0]

    assert seconds_until_stopped(said()) == [("portal", 0.5)]
    assert seconds_until_stopped(said(at=2**61)) == [("portal", pytest.approx((2**61 - 1_000) / 1000))]
    for nothing in (said(service="13912345678"), said(service="a b"), said(case_id=""), said(reported_at=None), b"odd"):
        assert seconds_until_stopped(nothing) == []
    assert seconds_until_stopped(None) == []


def test_how_soon_an_end_has_reached_a_service_is_measured(world):
    service = "portal-of-ops"

    def measured() -> bytes:
        page = http_get(world.settings.ops_port, "/metrics") or b""
        return b"".join(line for line in page.splitlines(True) if service.encode() in line)

    with world.running():
        # An agent hears what comes after it has its partitions, so this is said until it is heard.
        assert wait_until(lambda: acknowledge(world.settings, service, 0.45) or measured() != b"", 40), world.log()
        found = measured().decode()
    assert f'bucket{{le="0.4",service="{service}"}} 0.0\n' in found
    assert f'bucket{{le="0.5",service="{service}"}} 0.0\n' not in found


def test_l3_l8_l9_positions_of_the_group_bad_messages_and_what_was_taken_back_are_of_no_matter(world):
    world.write("a")
    world.write("never", abort=True)
    world.write(raw=b"no transition")
    world.write("b")
    ends = end_offsets(world.settings, MEASURES)
    client = AdminClient({"bootstrap.servers": world.settings.kafka})
    places = [TopicPartition(MEASURES, partition, end) for partition, end in ends.items()]
    for answer in client.alter_consumer_group_offsets([ConsumerGroupTopicPartitions("xinliu-ops", places)]).values():
        answer.result(20)
    with world.running("only_rings"):
        world.told("a", "b")
        assert wait_until(lambda: world.rings() >= 0 and world.ready())
        world.await_a_ring()
        rings = world.rings()
        world.write("never", abort=True)
        world.write("c")
        world.told("a", "b", "c")
        assert world.rings() == rings + 1, "Faust reads committed messages only"
        world.write(raw=b"no transition")
        world.write("d")
        world.told("a", "b", "c", "d")
        outbox = world.settings.home / "outbox"
        assert wait_until(lambda: (outbox / "d.1.json").exists()), "the subject is told as well"
    assert "not a transition of a case" in world.log() and "Traceback" not in world.log()


def test_pause_resume_and_redrive_by_a_named_operator(world):
    readers = ("webhook-tester", "notices")
    order = lambda action: send_command(world.settings, "duty-desk", action, "webhook-tester", "drill", readers)  # noqa: E731
    world.receiver.answer = lambda number: 410 if number == 0 else 204
    world.write("a")
    with world.running():
        assert wait_until(lambda: world.receiver.ids == ["a.1"], 40), world.log()
        order("pause")
        assert wait_until(lambda: "paused" in world.log())
        world.write("b")
        order("redrive")
        assert wait_until(lambda: "redriven" in world.log())
        assert world.receiver.ids == ["a.1"], "paused"
        order("resume")
        assert wait_until(lambda: len(world.receiver.ids) == 3), world.log()
    assert world.receiver.ids == ["a.1", "a.1", "b.1"]
