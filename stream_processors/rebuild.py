"""Builds the store's tables a second time from the log, beside the first: what says whether a replay equals the store.

The rebuild goes through the same pure step as the store lane, and into tables of the same DDL, so that one digest of
ClickHouse serves for both sides. Non-goal: replacing the store's tables; that is a new store with a replay.
"""

import re
from collections.abc import Iterator, Sequence

from confluent_kafka import KafkaException

from schemas.errors import Retryable
from schemas.settings import Settings
from schemas.topics import HISTORY, MEASURES, QUARANTINE, RECEIPTS_PREFIX, RECORDS
from stream_processors.clickhouse import ClickHouse
from stream_processors.kafka import admin, read_all
from stream_processors.rows import PARKED, rows_of

TABLES = ("records", "history", "quarantine", "receipts", "measures")
_ASK_SECONDS = 10.0
_SUFFIX = re.compile(r"_[a-z0-9_]{1,40}")


def rebuild(store: ClickHouse, settings: Settings, *, into: str, tables: Sequence[str] = TABLES) -> dict[str, int]:
    """Fill `<table><into>` for each table from the topics as they stand; returns rows inserted by table, and parked.

    `into` is a suffix such as `_rebuild`. What an earlier rebuild left there is dropped first; whoever calls this
    drops the tables afterwards (`drop_rebuild`), whatever happens.
    """
    drop_rebuild(store, into)
    for table in TABLES:
        store.command(f"CREATE TABLE {table}{into} AS {table}", doing="rebuilding the store's tables")
    inserted = dict.fromkeys((*tables, PARKED), 0)
    for topic in _topics_of(settings, tables):
        for batch in read_all(settings, topic):
            for table, rows in rows_of(batch).tables.items():
                inserted[table] += rows.num_rows
                if table != PARKED:
                    store.insert(f"{table}{into}", rows)
    return inserted


def drop_rebuild(store: ClickHouse, into: str) -> None:
    """Drop the tables of a rebuild, if they are there."""
    if not _SUFFIX.fullmatch(into):
        raise ValueError("dropping a rebuild: its suffix must begin with an underscore, else it is the store itself")
    for table in TABLES:
        store.command(f"DROP TABLE IF EXISTS {table}{into}", doing="dropping the tables of a rebuild")


def _topics_of(settings: Settings, tables: Sequence[str]) -> Iterator[str]:
    fixed = {"records": RECORDS, "history": HISTORY, "quarantine": QUARANTINE, "measures": MEASURES}
    for table in tables:
        if table in fixed:
            yield fixed[table]
        else:
            yield from _receipts_topics(settings)


def _receipts_topics(settings: Settings) -> list[str]:
    client = admin(settings)
    try:
        known = client.list_topics(timeout=_ASK_SECONDS).topics
    except KafkaException as error:
        raise Retryable(f"asking the broker at {settings.kafka} for its topics: {error.args[0].str()}") from error
    return sorted(topic for topic in known if topic.startswith(RECEIPTS_PREFIX))
