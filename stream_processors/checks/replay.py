"""Is the store what a replay of the log makes: tables built anew beside it, and the digests of both sides compared."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.settings import Settings
from stream_processors.checks.findings import Check, check, found_sentences
from stream_processors.clickhouse import ClickHouse
from stream_processors.digests import Digest, current_digest, table_digest
from stream_processors.rebuild import TABLES, drop_rebuild, rebuild
from stream_processors.rows import Place

_SUFFIX = "_verify_"
_NOTHING = Digest(0, "0" * 32)


@dataclass(frozen=True, slots=True)
class Compared:
    """One partition of one topic, as the store has it and as the replay makes it."""

    table: str
    topic: str
    partition: int
    store: Digest
    replay: Digest


@dataclass(frozen=True, slots=True)
class Replay:
    """What the replay says.

    Attributes:
        current: digest of the current records by the log: equal wherever the same was reported, in whatever order.
        current_in_store: the same digest by the store; None while it moves.
    """

    compared: list[Compared]
    current: Digest
    current_in_store: Digest | None
    check: Check


def replay_digests(
    store: ClickHouse, settings: Settings, since: Mapping[Place, int], until: Mapping[Place, int]
) -> Replay:
    """Replay the log into tables of its own, compare, and drop them whatever happens.

    Args:
        since: first offset that each topic still keeps; the store may keep more.
        until: behind the last message of each partition that was read and that the store has stored.
    """
    _drop_leftovers(store)
    suffix = f"{_SUFFIX}{time.time_ns()}"
    try:
        rebuild(store, settings, into=suffix)
        compared = [one for table in TABLES for one in _compared(store, table, suffix, since, until)]
        current = current_digest(store, table=f"records{suffix}")
        moving = any(
            store.rows(f"SELECT 1 AS n FROM records{side} WHERE {_beyond(until)} LIMIT 1", doing="reading the records")
            for side in ("", suffix)
        )
        in_store = None if moving else current_digest(store)
    finally:
        drop_rebuild(store, suffix)
    return Replay(compared, current, in_store, _check(compared, current, in_store))


def _check(compared: list[Compared], current: Digest, in_store: Digest | None) -> Check:
    differing = [one for one in compared if one.store != one.replay]
    sentences = [
        f"table {one.table}, {one.topic}[{one.partition}]: {one.store.rows} rows, digest {one.store.digest}; "
        f"the replay makes {one.replay.rows} rows, digest {one.replay.digest}"
        for one in differing
    ]
    if in_store is not None and in_store != current:
        sentences.append(
            f"the current records: {in_store.rows} in the store, digest {in_store.digest}; "
            f"the replay makes {current.rows}, digest {current.digest}"
        )
    name = "a replay of the log makes the tables of the store, by their digests"
    return check(name, len(compared), found_sentences(len(sentences), sentences))


def _compared(
    store: ClickHouse, table: str, suffix: str, since: Mapping[Place, int], until: Mapping[Place, int]
) -> list[Compared]:
    # A record that was written again meanwhile has its newest revision beyond the end: it is left out on both sides.
    where = "1"
    if table == "records":
        moved = " UNION ALL ".join(
            f"SELECT record_id FROM records{side} WHERE {_beyond(until)}" for side in ("", suffix)
        )
        where = f"record_id NOT IN ({moved})"
        since = {}  # compaction leaves the newest revision wherever it lies
    in_store = table_digest(store, table, since=since, until=until, where=where)
    by_replay = table_digest(store, table, suffix=suffix, since=since, until=until, where=where)
    return [
        Compared(table, topic, partition, in_store.get(place, _NOTHING), by_replay.get(place, _NOTHING))
        for place in sorted(in_store.keys() | by_replay.keys())
        for topic, partition in [place]
    ]


def _beyond(until: Mapping[Place, int]) -> str:
    """Rows of records from messages that had not been read or not been stored."""
    limits = {partition: end for (topic, partition), end in until.items() if topic == "credit.records"}
    return " OR ".join(f"(partition = {partition} AND offset >= {end})" for partition, end in limits.items()) or "0"


def _drop_leftovers(store: ClickHouse) -> None:
    """Tables of a replay that was broken off, a day ago or longer."""
    names = store.rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND match(name, {pattern:String}) "
        "AND metadata_modification_time < now() - INTERVAL 1 DAY",
        doing="looking for the tables of an earlier replay",
        parameters={"pattern": f"{_SUFFIX}[0-9]+$"},
    )
    for suffix in {_SUFFIX + row["name"].rpartition(_SUFFIX)[2] for row in names}:
        drop_rebuild(store, suffix)
