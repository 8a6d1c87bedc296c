"""Which store this is: its consumer group is named after it, so that a new store reads from the beginning by itself.

A store that was lost and made anew would else go on at the position of the old one, and lack everything before it.
And it says of which Kafka cluster it holds the positions, so that two clusters are never mixed in one store.
"""

from uuid import uuid4

from confluent_kafka import KafkaException

from schemas.errors import ConfigurationError, Retryable
from schemas.settings import Settings
from stream_processors.clickhouse import ClickHouse
from stream_processors.kafka import admin

_ASK_SECONDS = 10.0
_DOING = "asking the store which it is"


def consumer_group(store: ClickHouse, settings: Settings) -> str:
    """The group of the store lanes that fill this store; makes the store's identity at the first call.

    Raises Retryable where the broker does not answer, ConfigurationError where another Kafka cluster filled the store.
    """
    cluster = _cluster_id(settings)
    known = _identity(store)
    if known is None:
        # Two first starts may both insert; the older of the two counts for both from then on.
        store.command(
            "INSERT INTO identity SELECT {store:String}, {cluster:String}, now64(3)",
            doing="giving the store its identity",
            parameters={"store": uuid4().hex, "cluster": cluster},
        )
        known = _identity(store) or ("", "")
    name, filled_by = known
    if filled_by != cluster:
        raise ConfigurationError(
            f"starting the store lane: the database {store.database} was filled from another Kafka cluster than "
            f"the one at {settings.kafka}; set XINLIU_CLICKHOUSE_DATABASE to a new name, or drop the old database"
        )
    return f"xinliu-store-{name[:8]}"


def _identity(store: ClickHouse) -> tuple[str, str] | None:
    rows = store.rows("SELECT store, cluster FROM identity ORDER BY created_at, store LIMIT 1", doing=_DOING)
    return (rows[0]["store"], rows[0]["cluster"]) if rows else None


def _cluster_id(settings: Settings) -> str:
    client = admin(settings)
    try:
        return client.list_topics(timeout=_ASK_SECONDS).cluster_id or ""
    except KafkaException as error:
        raise Retryable(
            f"asking the broker at {settings.kafka} for its cluster: {error.args[0].str()}; see that it runs"
        ) from error
