"""A broker that dies with a transaction open must end it when it comes back, or its readers wait for ever.

Kafka 4.3.0 and 4.3.1 do not always: while the partitions' leader is not known yet they take the partitions for deleted,
and leave out the markers (KAFKA-20734). A lane can not mend that, so the local broker is of a version without it.
"""

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from stacks import wait_for

from schemas.errors import Retryable
from stream_processors.kafka import client_config, end_offsets

PARTITIONS = 8
TRANSACTION_MS = 1_000  # has run out when the broker is back, so that it ends the transaction while it starts


@pytest.mark.nightly
def test_an_open_transaction_is_ended_by_the_broker_that_comes_back(broker, settings_for, tmp_path):
    settings = settings_for(tmp_path, broker=broker)
    topic = "open-transaction"
    client = AdminClient(client_config(settings))
    client.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(30)
    producer = Producer(
        client_config(settings) | {"transactional.id": topic, "transaction.timeout.ms": TRANSACTION_MS, "log_level": 0}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    for partition in range(PARTITIONS):
        producer.produce(topic, b"never committed", partition=partition)
    assert producer.flush(30) == 0
    broker.kill9()
    producer.purge()
    broker.start()

    def ended() -> bool:
        try:
            return end_offsets(settings, topic, read_committed=True) == end_offsets(settings, topic)
        except Retryable:
            return False

    wait_for(ended, "every reader of committed messages can go on", 60)
