"""Brings a broker's topics to what `schemas.topics` declares: `plan` says what differs, `apply` mends what is safe.

Non-goals: it deletes nothing, and it never changes a partition count. Every subject lives in the partition that its
key hashes to, so another count would move subjects away from their state; that takes a new topic epoch and a replay.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from schemas.errors import Retryable, Stop
from schemas.settings import Settings
from schemas.topics import Topic, topics
from stream_processors.kafka import client_config

_ANSWER_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as it stands on the broker."""

    partitions: int
    replicas: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between the broker and the declaration.

    Attributes:
        action: `create` and `configure` are done by `apply`; `by_hand` is not, its sentence says what it takes.
        config: the settings to write, by Kafka's names; empty for `by_hand`.
    """

    topic: str
    action: Literal["create", "configure", "by_hand"]
    sentence: str
    config: Mapping[str, str] = field(default_factory=dict)
    partitions: int = 0
    replicas: int = 0


def declared(settings: Settings) -> list[Topic]:
    """Every topic that a platform with these settings has, in the order of the flow."""
    return topics(departments(settings))


def departments(settings: Settings) -> list[str]:
    """Names of the registered departments."""
    from schemas import reference

    return list(reference.load(settings.reference_dir).departments)


def difference(
    wanted: Sequence[Topic], found: Mapping[str, Found], subject_partitions: int, replicas: int
) -> list[Change]:
    """What must change on a broker that has `found`, in the order of `wanted`. Pure."""
    changes: list[Change] = []
    for topic in wanted:
        partitions = topic.partitions(subject_partitions)
        there = found.get(topic.name)
        if there is None:
            changes.append(_creation(topic, partitions, replicas))
            continue
        if there.partitions != partitions:
            changes.append(_wrong_partitions(topic, there.partitions, partitions))
        if there.replicas != replicas:
            changes.append(_wrong_replicas(topic, there.replicas, replicas))
        config = {name: value for name, value in topic.config().items() if there.config.get(name) != value}
        if config:
            changes.append(_configuration(topic, there, config))
    return changes


def _creation(topic: Topic, partitions: int, replicas: int) -> Change:
    sentence = f"is missing: {_counted(partitions, 'partition')}, {_counted(replicas, 'replica')}, {topic.purpose}"
    return Change(topic.name, "create", sentence, topic.config(), partitions, replicas)


def _configuration(topic: Topic, there: Found, config: Mapping[str, str]) -> Change:
    sentence = "; ".join(f"{name} is {there.config.get(name, 'unset')}, not {config[name]}" for name in config)
    return Change(topic.name, "configure", sentence, config)


def _wrong_partitions(topic: Topic, there: int, wanted: int) -> Change:
    return Change(
        topic.name,
        "by_hand",
        f"has {_counted(there, 'partition')}, not {wanted}: subjects would leave their state, so this is never changed "
        f"in place; set XINLIU_PARTITIONS={there}, or begin a new topic epoch and replay into it",
    )


def _wrong_replicas(topic: Topic, there: int, wanted: int) -> Change:
    return Change(
        topic.name,
        "by_hand",
        f"has {_counted(there, 'replica')}, not {wanted}: move them with Kafka's partition reassignment, "
        f"or set XINLIU_REPLICATION_FACTOR={there}",
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def plan(settings: Settings) -> list[Change]:
    """What `apply` would do, and what it can not do. Raises Retryable where the broker does not answer."""
    return _plan(_Broker(settings), settings)


def _plan(broker: "_Broker", settings: Settings) -> list[Change]:
    wanted = declared(settings)
    found = broker.find([topic.name for topic in wanted])
    return difference(wanted, found, settings.partitions, settings.replication_factor)


def apply(settings: Settings) -> list[Change]:
    """Create what is missing and write what is configured otherwise; returns every difference that was found.

    Returns once each new topic has a leader for each partition. May be run again, and by several at once.
    """
    broker = _Broker(settings)
    changes = _plan(broker, settings)
    if created := [change for change in changes if change.action == "create"]:
        broker.create(created)
        # One that was made by another hand a moment ago, and that the first look missed, may be configured otherwise.
        changes = _plan(broker, settings)
    broker.configure([change for change in changes if change.action == "configure"])
    return [*created, *changes]


class _Broker:
    """The questions and orders of this module to one broker, each with a time limit and errors as our own.

    A client is made for each use, since an admin client has been seen to hang after a broker's restart.
    """

    def __init__(self, settings: Settings) -> None:
        self._servers = settings.kafka
        # Log level 0: that a broker is away is said in one sentence, by us.
        self._admin = AdminClient(client_config(settings) | {"log_level": 0})

    def find(self, names: Sequence[str]) -> dict[str, Found]:
        """Those of the topics that are there."""
        known = self._metadata().topics
        present = [name for name in names if name in known]
        configs = self._configs(present)
        return {
            name: Found(
                partitions=len(known[name].partitions),
                replicas=max((len(p.replicas) for p in known[name].partitions.values()), default=0),
                config=configs[name],
            )
            for name in present
        }

    def create(self, changes: Sequence[Change]) -> None:
        orders = [NewTopic(c.topic, c.partitions, c.replicas, config=dict(c.config)) for c in changes]
        for topic, future in self._admin.create_topics(orders, request_timeout=_ANSWER_SECONDS_MAX).items():
            try:
                future.result(_ANSWER_SECONDS_MAX)
            except KafkaException as error:
                # Another `apply` was faster.
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise self._mapped(f"creating {topic}", error) from error
            except TimeoutError as error:
                raise self._away(f"creating {topic}") from error
        self._await_leaders({change.topic: change.partitions for change in changes})

    def configure(self, changes: Sequence[Change]) -> None:
        """Set only what differs: settings that an operator added stay as they are."""
        if not changes:
            return
        orders = [ConfigResource(ResourceType.TOPIC, c.topic, incremental_configs=_entries(c)) for c in changes]
        answers = self._admin.incremental_alter_configs(orders, request_timeout=_ANSWER_SECONDS_MAX)
        for resource, future in answers.items():
            self._answer(future, f"configuring {resource.name}")

    def _configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        questions = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        answers = self._admin.describe_configs(questions, request_timeout=_ANSWER_SECONDS_MAX)
        return {
            resource.name: {
                entry.name: entry.value or ""
                for entry in self._answer(future, f"asking for the settings of {resource.name}").values()
            }
            for resource, future in answers.items()
        }

    def _await_leaders(self, partitions: Mapping[str, int]) -> None:
        deadline = time.monotonic() + _ANSWER_SECONDS_MAX
        while time.monotonic() < deadline:
            known = self._metadata().topics
            led = {
                name: sum(partition.leader >= 0 for partition in known[name].partitions.values())
                for name in partitions
                if name in known
            }
            if led == dict(partitions):
                return
            time.sleep(0.05)
        raise Retryable("creating topics: not every partition has a leader yet; run xinliu topics plan in a moment")

    def _metadata(self) -> Any:
        try:
            return self._admin.list_topics(timeout=_ANSWER_SECONDS_MAX)
        except KafkaException as error:
            raise self._mapped("asking for the topics", error) from error

    def _answer(self, future: Any, doing: str) -> Any:
        try:
            return future.result(_ANSWER_SECONDS_MAX)
        except KafkaException as error:
            raise self._mapped(doing, error) from error
        except TimeoutError as error:
            raise self._away(doing) from error

    def _mapped(self, doing: str, error: KafkaException) -> Retryable | Stop:
        reason: KafkaError = error.args[0]
        away = (
            KafkaError._TRANSPORT,
            KafkaError._TIMED_OUT,
            KafkaError._ALL_BROKERS_DOWN,
            KafkaError.REQUEST_TIMED_OUT,
        )
        if reason.retriable() or reason.code() in away:
            return self._away(doing)
        return Stop(f"{doing}: Kafka at {self._servers} refused, {reason.str()}")

    def _away(self, doing: str) -> Retryable:
        return Retryable(
            f"{doing}: Kafka at {self._servers} does not answer; start it (make up) or correct XINLIU_BOOTSTRAP_SERVERS"
        )


def _entries(change: Change) -> list[ConfigEntry]:
    return [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in change.config.items()
    ]
