"""The broker that the local stack starts is a real Kafka, and what a test or a lane relies on holds."""

import uuid

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from deploy.local.broker import BrokerConfig, server_properties


def new_topic(bootstrap: str, config: dict[str, str] | None = None) -> str:
    name = f"test.broker.{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, 1, config=config or {})])[name].result(timeout=20)
    return name


def read(bootstrap: str, topic: str, count: int) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        return [message.value() for message in consumer.consume(count, timeout=30)]
    finally:
        consumer.close()


def test_a_five_mebibyte_value_can_be_published_and_read(broker):
    topic = new_topic(broker.bootstrap, {"max.message.bytes": str(8 << 20)})
    value = b"\x00" * (5 << 20)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "message.max.bytes": 8 << 20})
    producer.produce(topic, value)
    assert producer.flush(20) == 0
    assert read(broker.bootstrap, topic, 1) == [value]


def test_a_mistyped_topic_is_not_made(broker):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.list_topics("no.such.topic", timeout=10)
    assert "no.such.topic" not in admin.list_topics(timeout=10).topics


def test_acknowledged_messages_outlive_a_kill(broker):
    topic = new_topic(broker.bootstrap)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "enable.idempotence": True})
    for number in range(100):
        producer.produce(topic, str(number).encode())
    assert producer.flush(20) == 0
    first_pid = broker.pid
    broker.kill9()
    broker.start()
    assert broker.pid != first_pid
    assert read(broker.bootstrap, topic, 100) == [str(number).encode() for number in range(100)]


@pytest.mark.parametrize("line", ["log.retention.ms=-1", "auto.create.topics.enable=false"])
def test_the_topics_alone_say_what_is_kept(tmp_path, line):
    assert line in server_properties(BrokerConfig(tmp_path, 1, 2)).splitlines()
