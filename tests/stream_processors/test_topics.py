"""A broker is brought to the declared topics, and what can not be mended safely is said, not done."""

import uuid
from dataclasses import replace

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from schemas.errors import Retryable
from schemas.topics import RECORDS, Topic, events_topic, topics
from stream_processors.topics import Found, apply, difference, plan

P = 4


def as_declared(topic: Topic, **changes: object) -> Found:
    found = Found(topic.partitions(P), 1, topic.config() | {"segment.bytes": "1073741824"})
    return replace(found, **changes)  # type: ignore[arg-type]


def all_as_declared() -> dict[str, Found]:
    return {topic.name: as_declared(topic) for topic in topics(["tax"])}


def test_a_broker_as_declared_needs_nothing():
    assert difference(topics(["tax"]), all_as_declared(), P, 1) == []


def test_an_empty_broker_gets_every_topic_in_the_order_of_the_flow():
    changes = difference(topics(["tax"]), {}, P, 1)
    assert [change.topic for change in changes] == [topic.name for topic in topics(["tax"])]
    assert {change.action for change in changes} == {"create"}
    records = next(change for change in changes if change.topic == RECORDS)
    assert (records.partitions, records.replicas, records.config["cleanup.policy"]) == (P, 1, "compact")


def test_a_wrong_partition_count_is_never_mended():
    found = all_as_declared()
    found[RECORDS] = replace(found[RECORDS], partitions=2)
    (change,) = difference(topics(["tax"]), found, P, 1)
    assert change.action == "by_hand"
    assert "XINLIU_PARTITIONS=2" in change.sentence
    assert "new topic epoch" in change.sentence


def test_a_wrong_setting_is_the_only_one_that_is_written():
    found = all_as_declared()
    found[RECORDS] = replace(found[RECORDS], config={**found[RECORDS].config, "min.compaction.lag.ms": "0"})
    (change,) = difference(topics(["tax"]), found, P, 1)
    assert change.action == "configure"
    assert dict(change.config) == {"min.compaction.lag.ms": "604800000"}
    assert change.sentence == "min.compaction.lag.ms is 0, not 604800000"


def test_missing_replicas_are_left_to_the_operator():
    changes = difference(topics(["tax"]), all_as_declared(), P, 3)
    assert {change.action for change in changes} == {"by_hand"}


@pytest.fixture
def settings(broker, settings_for, tmp_path, monkeypatch):
    """A platform of one department with a name of its own, so that its topics are not there yet."""
    department = "d" + uuid.uuid4().hex[:8]
    monkeypatch.setattr("stream_processors.topics.departments", lambda _: [department])
    built = settings_for(tmp_path, broker=broker, partitions=P)
    return built, events_topic(department)


def config_of(bootstrap: str, topic: str) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    answer = admin.describe_configs([resource])[resource].result(10)
    return {name: entry.value for name, entry in answer.items()}


def test_apply_makes_the_topics_and_a_second_apply_finds_nothing_to_do(broker, settings):
    built, events = settings
    assert any(change.topic == events and change.action == "create" for change in plan(built))
    apply(built)
    known = AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(timeout=10).topics
    assert len(known[events].partitions) == P
    assert len(known[RECORDS].partitions) == P
    assert config_of(broker.bootstrap, RECORDS)["min.compaction.lag.ms"] == "604800000"
    assert apply(built) == []


def test_apply_mends_a_setting_and_keeps_what_an_operator_added(broker, settings):
    built, events = settings
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    config = {"retention.ms": "1000", "segment.ms": "3600000"}
    admin.create_topics([NewTopic(events, P, 1, config=config)])[events].result(10)
    apply(built)
    after = config_of(broker.bootstrap, events)
    assert (after["retention.ms"], after["segment.ms"]) == ("604800000", "3600000")
    assert plan(built) == []


def test_apply_leaves_a_topic_with_other_partitions_as_it_is(broker, settings):
    built, events = settings
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic(events, P + 1, 1)])[events].result(10)
    apply(built)
    (change,) = [change for change in plan(built) if change.topic == events]
    assert change.action == "by_hand"
    assert len(admin.list_topics(timeout=10).topics[events].partitions) == P + 1


def test_a_broker_that_is_away_is_one_sentence(settings_for, tmp_path, monkeypatch):
    monkeypatch.setattr("stream_processors.topics.departments", lambda _: ["tax"])
    monkeypatch.setattr("stream_processors.topics._ANSWER_SECONDS_MAX", 0.5)
    with pytest.raises(Retryable, match=r"asking for the topics: Kafka at 127\.0\.0\.1:.* does not answer"):
        plan(settings_for(tmp_path))
