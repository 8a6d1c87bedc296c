"""status looks at everything, waits for nothing long, and each line that is not well says what to do."""

import json
import uuid

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from stream_processors import status as looking
from stream_processors.kafka import end_offsets
from stream_processors.positions import committed, lag
from stream_processors.status import status


@pytest.fixture
def prompt(monkeypatch):
    """Servers that are away are found out soon."""
    monkeypatch.setattr(looking, "_BROKER_SECONDS_MAX", 0.5)


def test_servers_that_are_away_are_said_with_what_to_do(prompt, settings_for, tmp_path):
    lines = status(settings_for(tmp_path))
    assert [line.ok for line in lines] == [False, False]
    assert lines[0].what.startswith("Kafka 127.0.0.1:")
    assert "start it (make up)" in lines[0].advice
    assert "see that it runs and try again" in lines[1].advice


def test_parts_of_the_local_stack_are_shown_as_the_supervisor_tells(prompt, settings_for, tmp_path):
    (tmp_path / "run").mkdir()
    parts = [
        {"name": "intake", "state": "ready", "restarts": 3},
        {"name": "store", "state": "restarting", "restarts": 9},
    ]
    (tmp_path / "run" / "status.json").write_text(json.dumps({"parts": parts}), "utf-8")
    intake, store, *_ = status(settings_for(tmp_path))
    assert (intake.found, intake.ok) == ("ready, 3 restarts", True)
    assert (store.found, store.ok) == ("restarting, 9 restarts", False)
    assert str(tmp_path / "logs" / "store.log") in store.advice


def test_a_status_file_of_another_make_is_not_shown(prompt, settings_for, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "status.json").write_text("{}", "utf-8")
    assert len(status(settings_for(tmp_path))) == 2


def new_topic(bootstrap: str) -> str:
    name = f"test.status.{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(20)
    return name


def test_the_marker_of_a_transaction_is_no_lag(broker, settings_for, tmp_path):
    settings = settings_for(tmp_path, broker=broker)
    topic = new_topic(broker.bootstrap)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": topic})
    producer.init_transactions(20)
    producer.begin_transaction()
    for _ in range(3):
        producer.produce(topic, b"x", partition=1)
    producer.commit_transaction(20)
    assert end_offsets(settings, topic) == {0: 0, 1: 4}
    assert lag(settings, topic, {(topic, 1): 3}) == 0
    assert lag(settings, topic, {(topic, 1): 1}) == 2
    assert lag(settings, topic, {}) == 3


def test_a_group_that_never_ran_has_no_positions(broker, settings_for, tmp_path):
    assert committed(settings_for(tmp_path, broker=broker), f"group-{uuid.uuid4().hex}") == {}


def test_committed_positions_are_told_by_topic_and_partition(broker, settings_for, tmp_path):
    from confluent_kafka import Consumer

    topic = new_topic(broker.bootstrap)
    group = f"group-{topic}"
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 1, 7)], asynchronous=False)
    consumer.close()
    assert committed(settings_for(tmp_path, broker=broker), group) == {(topic, 1): 7}
