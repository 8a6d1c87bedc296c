"""The Faust app of ops: agents that ring, the desk that works, /metrics and /healthz. `xinliu run ops` starts it.

Faust's own promises are not needed anywhere in here: an agent hands on nothing but "look", or counts for a metric; it
has no table, sends nothing to Kafka, and never raises; see `stream_processors.ops`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import faust
import pyarrow as pa
import structlog
from mode import Service

from schemas import codec
from schemas.avro import ACKNOWLEDGEMENT
from schemas.calendar import load_calendar
from schemas.errors import EXIT_STOP, XinliuError
from schemas.reference import load
from schemas.settings import Settings
from schemas.topics import ACKS, CONTROL, MEASURES
from stream_processors.freshness import DAY_SECONDS
from stream_processors.in_force import is_service_name
from stream_processors.logging import to_stderr
from stream_processors.metrics import Registry
from stream_processors.ops.desk import Desk, Parts
from stream_processors.ops.ledger import Ledger
from stream_processors.ops.outlook import Outlook
from stream_processors.ops.read_committed import Transport
from stream_processors.ops.reminders import load_milestones
from stream_processors.ops.subscribers import load_subscribers
from stream_processors.rules.packs import load_packs

_QUIET_SECONDS_MAX = 60.0
_THREADS = 64  # a name server that hangs holds a thread for each receiver that it is asked for

log = structlog.get_logger("ops")


def parts_of(settings: Settings) -> Parts:
    """What the desk works with in earnest."""
    ledger, rules = Ledger(settings.home / "ops" / "ledger.sqlite"), load_packs(settings.rules_dir).rules
    outlook = Outlook(
        settings,
        ledger,
        load(settings.reference_dir),
        load_calendar(settings.reference_dir),
        load_milestones(settings.reference_dir),
        rules,
        lambda: time.time(),
        lambda: time.time() + settings.clock_ahead_days * DAY_SECONDS,
    )
    subscribers = load_subscribers(settings.reference_dir, os.environ)
    chance = random.SystemRandom().random
    return Parts(settings, ledger, subscribers, rules, Registry(), lambda: time.time(), chance, outlook)


def run(settings: Settings) -> None:
    """Until told to stop; the process ends with 70 where it can not go on."""
    to_stderr()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a hundred lines a second while the broker is away
    app = app_of(parts_of(settings))
    sys.argv = ["xinliu", "--quiet", "worker", "--loglevel=warn", f"--web-port={settings.ops_port}"]
    sys.argv += ["--web-bind=127.0.0.1"]
    app.main()


class _Ops(faust.App):
    """A Faust app that reads committed messages, and whose services start at once: the desk needs no partition."""

    def _new_transport(self) -> Any:  # pyrefly: ignore[missing-override-decorator]
        return Transport(self.conf.broker_consumer, self)

    async def _wait_for_table_recovery_completed(self) -> bool:  # pyrefly: ignore[missing-override-decorator]
        return False


def app_of(parts: Parts) -> faust.App:
    """The app. Its options keep Faust from promising, making or remembering anything: an agent is there to ring."""
    settings = parts.settings
    data = settings.home / "faust" / "ops"
    data.mkdir(parents=True, exist_ok=True)
    app = _Ops(
        "xinliu-ops",
        broker=";".join(f"kafka://{server}" for server in settings.kafka.split(",")),
        consumer_group_instance_id="xinliu-ops-0",  # else a restart after a kill waits for the dead member to expire
        consumer_auto_offset_reset="latest",  # an agent only rings; what lies before is the first look's
        store="memory://",
        datadir=str(data),
        key_serializer="raw",
        value_serializer="raw",
        table_standby_replicas=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        broker_commit_interval=1.0,
        stream_wait_empty=True,
        web_router_enabled=False,
        web_tables_enabled=False,
        worker_redirect_stdouts=False,
    )
    desks: list[Desk] = []

    for topic in (MEASURES, CONTROL):
        channel = app.topic(topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
        app.agent(channel, name=f"ring-{topic}", concurrency=1)(_ringing(topic, desks))
    said = app.topic(ACKS, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
    app.agent(said, name="ends-acknowledged", concurrency=1)(_observing(parts.registry))

    @app.page("/metrics")
    async def metrics(web: Any, request: Any) -> Any:
        return web.bytes(parts.registry.page(), content_type="text/plain")

    @app.page("/healthz")
    async def healthz(web: Any, request: Any) -> Any:
        looked = [desk.looked_at for desk in desks if desk.looked_at]
        age = time.monotonic() - looked[0] if looked else None
        ready = age is not None and age < _QUIET_SECONDS_MAX
        answer = {"lane": "ops", "ready": ready, "heartbeat_age_seconds": None if age is None else round(age, 1)}
        return web.json(answer, status=200 if ready else 503)

    for path, name in (("/departments", "departments"), ("/pilot-units", "units"), ("/due", "due")):
        app.page(path, name=name)(_answers(parts, name))

    @app.service
    class DeskService(Service):
        """Runs the desk; what it can not go on with ends the process."""

        @Service.task
        async def work(self) -> None:
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
            desk = Desk(parts)
            desks.append(desk)
            try:
                await desk.run()
            except asyncio.CancelledError:
                raise
            except XinliuError as error:
                die(str(error))
            except Exception as error:  # a fault of ours, or the disk: end, and come back from ledger and log
                log.exception("ops failed")
                die(f"{type(error).__name__}: {error}")

    return cast("faust.App", app)


def _answers(parts: Parts, name: str) -> Any:
    """A page with one of the last answers of the outlook."""

    async def page(web: Any, request: Any) -> Any:
        return web.json({name: getattr(parts.outlook.seen, name)})

    return page


def _ringing(topic: str, desks: Sequence[Desk]) -> Any:
    """The body of an agent."""

    async def ring(stream: Any) -> None:
        """Rings for each message, whatever it holds. It can not raise: Faust would lose the message and go on."""
        async for _ in stream:
            for desk in desks:
                desk.ring(topic)

    return ring


def _observing(registry: Registry) -> Any:
    """The body of the agent that measures how soon an end has reached each enforcement service."""

    async def observe(stream: Any) -> None:
        """What is lost here is lost to a metric only; `xinliu lifted` reads the log."""
        async for value in stream:
            for service, seconds in seconds_until_stopped(value):
                registry.observe("xinliu_end_acknowledged_seconds", (service,), seconds)

    return observe


def seconds_until_stopped(value: bytes | None) -> list[tuple[str, float]]:
    """Service and seconds from report to stop, where a message of `credit.measures.acks` says so; never raises."""
    batch = codec.decode(ACKNOWLEDGEMENT, [value]).batch
    # As numbers: what stands there may be no day that Python knows.
    times = [batch[name].cast(pa.int64()).to_pylist() for name in ("reported_at", "at")]
    columns = zip(batch["case_id"].to_pylist(), batch["service"].to_pylist(), *times, strict=True)
    return [
        (service, (at - reported) / 1000)
        for case_id, service, reported, at in columns
        if case_id and reported is not None and is_service_name(service)
    ]


def die(why: str) -> None:
    """End at once: a worker's orderly shutdown acknowledges what was not done."""
    log.error(f"{why}; ending the process, its supervisor starts it again", lane="ops", exit=EXIT_STOP)
    sys.stderr.flush()
    os._exit(EXIT_STOP)
