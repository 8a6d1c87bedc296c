"""How far each lane has come: the positions that its consumer group has committed, and the messages behind them."""

from collections.abc import Mapping

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException

from schemas.errors import Retryable
from schemas.settings import Settings
from stream_processors import kafka

INTAKE_GROUP = "xinliu-intake"
REGISTER_GROUP = "xinliu-register"
CASES_GROUP = "xinliu-cases"

_ASK_SECONDS = 10.0
_READ_TO_COUNT_MAX = 5_000

Place = tuple[str, int]
"""A topic and a partition of it."""


def committed(settings: Settings, group: str) -> dict[Place, int]:
    """The committed position of each partition that the group has ever committed; empty for a group that never ran."""
    client = kafka.admin(settings)  # kept until the answer is here: it is lost with the client
    doing = f"asking Kafka at {settings.kafka} how far {group} is"
    try:
        question = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group]
        answer = question.result(_ASK_SECONDS)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return {}
        raise Retryable(f"{doing}: {error.args[0].str()}") from error
    except TimeoutError as error:
        raise Retryable(f"{doing}: no answer within {_ASK_SECONDS:.0f} s") from error
    places = answer.topic_partitions or []
    return {(place.topic, place.partition): place.offset for place in places if place.offset >= 0}


def lag(settings: Settings, topic: str, positions: Mapping[Place, int]) -> int:
    """Messages of a topic behind the positions of a group.

    A transaction leaves a marker behind its messages, which no position ever passes: so a small distance to the end is
    read and counted, and only a large one is taken for what it says. Uncommitted messages count.
    """
    begins, ends = kafka.begin_offsets(settings, topic), kafka.end_offsets(settings, topic)
    starts = {partition: max(positions.get((topic, partition), 0), begins[partition]) for partition in ends}
    distance = sum(ends[partition] - starts[partition] for partition in ends)
    if not 0 < distance <= _READ_TO_COUNT_MAX:
        return distance
    return sum(len(batch) for batch in kafka.read_all(settings, topic, start=starts, read_committed=False))
