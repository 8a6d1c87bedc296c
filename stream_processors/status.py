"""How everything is, in one table: each line says that it is well or what to do. It never waits for long.

Non-goal: proof that nothing is lost or doubled; that is `stream_processors.verify`.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from schemas.errors import Retryable, XinliuError
from schemas.settings import Settings
from schemas.topics import HISTORY, IDENTIFIED, QUARANTINE, RECORDS, events_topic, receipts_topic
from stream_processors import kafka, topics
from stream_processors.clickhouse import ClickHouse, connect
from stream_processors.positions import CASES_GROUP, INTAKE_GROUP, REGISTER_GROUP, committed, lag
from stream_processors.tables.identity import consumer_group

_BROKER_SECONDS_MAX = 3.0
_STORE_SECONDS_MAX = 10
_LAG_EVENTS_MAX = 100_000
_TABLES = ("records", "history", "quarantine", "receipts", "measures")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at. `advice` is what to do where it is not well."""

    what: str
    found: str
    ok: bool = True
    advice: str = ""


def status(settings: Settings) -> list[Line]:
    """Look at the parts of the local stack, at Kafka, at each lane and at the store, in this order."""
    lines = [*_parts(settings), *_attempt(f"Kafka {settings.kafka}", lambda: [_broker(settings)])]
    broker_answers = lines[-1].ok
    store: ClickHouse | None = None
    try:
        store = connect(settings, answer_seconds_max=_STORE_SECONDS_MAX)
    except XinliuError as error:
        lines.append(Line(f"ClickHouse {settings.clickhouse}", "does not answer", False, str(error)))
    if broker_answers:
        lines += _attempt("topics", lambda: [_topics(settings)])
        lines += _attempt("open transactions", lambda: [_open_transactions(settings)])
        lines += _attempt("lane intake", lambda: [_lane(settings, "intake", INTAKE_GROUP, _events_topics(settings))])
        lines += _attempt("lane register", lambda: [_lane(settings, "register", REGISTER_GROUP, [IDENTIFIED])])
        lines += _attempt("lane cases", lambda: [_lane(settings, "cases", CASES_GROUP, [RECORDS])])
        if store is not None:
            found = store
            lines += _attempt("lane store", lambda: [_store_lane(settings, found)])
    if store is not None:
        found = store
        lines += _attempt("store", lambda: list(_store(found)))
        store.close()
    return lines


def _attempt(what: str, look: Callable[[], Sequence[Line]]) -> Sequence[Line]:
    """The lines, or one that says in our words why there are none."""
    try:
        return look()
    except XinliuError as error:
        return [Line(what, "no answer", False, str(error))]


def _parts(settings: Settings) -> Iterator[Line]:
    """What the supervisor of the local stack last wrote, where there is one."""
    try:
        told = json.loads((settings.home / "run" / "status.json").read_text("utf-8"))
        parts = [(part["name"], part["state"], part["restarts"]) for part in told["parts"]]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for name, state, restarts in parts:
        advice = "" if state in ("ready", "done") else f"see {settings.home / 'logs' / name}.log; make up starts it"
        yield Line(f"part {name}", f"{state}, {restarts} restarts", not advice, advice)


def _broker(settings: Settings) -> Line:
    client = AdminClient(kafka.client_config(settings) | {"log_level": 0})
    try:
        brokers = client.list_topics(timeout=_BROKER_SECONDS_MAX).brokers
    except KafkaException as error:
        raise Retryable("start it (make up) or correct XINLIU_BOOTSTRAP_SERVERS") from error
    return Line(f"Kafka {settings.kafka}", f"answers, {len(brokers)} broker{'s' if len(brokers) != 1 else ''}")


def _topics(settings: Settings) -> Line:
    changes = topics.plan(settings)
    if not changes:
        return Line("topics", f"{len(topics.declared(settings))} as declared")
    return Line("topics", f"{len(changes)} not as declared", False, "run xinliu topics plan, then apply")


def _events_topics(settings: Settings) -> list[str]:
    return [events_topic(department) for department in topics.departments(settings)]


def _lane(settings: Settings, lane: str, group: str, names: Sequence[str]) -> Line:
    """Messages that a lane has not come to. Some are normal while it works; many, or none ever committed, are not."""
    positions = committed(settings, group)
    with ThreadPoolExecutor(4) as pool:
        events = sum(pool.map(lag, repeat(settings), names, repeat(positions)))
    found = f"{events:,} events behind"
    if events and not positions:
        return Line(f"lane {lane}", f"{found}, has never run", False, f"start it: xinliu run {lane}, or make up")
    if events > _LAG_EVENTS_MAX:
        return Line(f"lane {lane}", found, False, "see that it runs; if it does, let it catch up or add processes")
    return Line(f"lane {lane}", found)


def _store_lane(settings: Settings, store: ClickHouse) -> Line:
    receipts = [receipts_topic(department) for department in topics.departments(settings)]
    return _lane(settings, "store", consumer_group(store, settings), [RECORDS, HISTORY, QUARANTINE, *receipts])


def _open_transactions(settings: Settings) -> Line:
    """High watermark minus last stable offset: what no reader of committed messages may see yet."""

    def held(topic: str) -> int:
        ends = kafka.end_offsets(settings, topic)
        stable = kafka.end_offsets(settings, topic, read_committed=True)
        return sum(max(0, ends[partition] - stable.get(partition, 0)) for partition in ends)

    with ThreadPoolExecutor(4) as pool:
        messages = sum(pool.map(held, [IDENTIFIED, RECORDS, HISTORY, QUARANTINE]))
    return Line("open transactions", f"hold {messages:,} messages")


def _store(store: ClickHouse) -> Iterator[Line]:
    for table in _TABLES:
        rows = store.rows(f"SELECT count() AS n FROM {table}", doing=f"counting the rows of {table}")[0]["n"]
        yield Line(f"table {table}", f"{rows:,} rows before merging")
    parked = store.rows("SELECT count() AS n FROM parked FINAL", doing="counting parked messages")[0]["n"]
    advice = "messages that no table can hold: SELECT * FROM parked says where they lie" if parked else ""
    yield Line("table parked", f"{parked:,} rows", not parked, advice)
