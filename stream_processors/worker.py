"""Hosts a lane in a Faust worker: lifecycle, signals, /metrics and /healthz. The lane's loop knows nothing of it.

The loop runs in a daemon thread beside an idle event loop, since the two share one interpreter lock. When the lane has
to end, the process ends at once with 70: a worker's orderly shutdown may hang on the very client that is stuck.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import faust
import structlog
from confluent_kafka import KafkaException, TopicCollection
from faust.app.base import BootStrategy
from mode import Service, ServiceT

from schemas.calendar import load_calendar
from schemas.errors import EXIT_STOP, Retryable, XinliuError
from schemas.reference import load
from schemas.settings import Settings
from schemas.topics import HISTORY, IN_FORCE, MEASURES, RECORDS
from stream_processors.cases.lane import Cases
from stream_processors.control_topic import Hold
from stream_processors.intake import Intake
from stream_processors.kafka import admin
from stream_processors.known_series import know_series
from stream_processors.lane import Lane
from stream_processors.logging import to_stderr
from stream_processors.looks import tell_disk, tell_verified
from stream_processors.metrics import LaneMetrics, Registry, StoreMetrics
from stream_processors.register import Register
from stream_processors.rules.packs import load_packs
from stream_processors.store import StoreLane

LANES = ("intake", "register", "cases", "store")
WRITES = {
    "intake": (),
    "register": (RECORDS, HISTORY),
    "cases": (MEASURES, IN_FORCE),
}  # what a lane reads, it watches anyway
_HEARTBEAT_SECONDS_MAX = 90.0  # longer than the longest insert or restore step between two turns of a loop
_BROKER_WAIT_SECONDS = 60.0
_DAY_SECONDS = 86_400.0

log = structlog.get_logger("worker")


class Loop(Protocol):
    """What a host needs of a lane's loop."""

    ready: threading.Event

    @property
    def heartbeat_age_seconds(self) -> float: ...

    def run(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Hosted:
    """A lane with what surrounds it."""

    name: str
    loop: Loop
    registry: Registry
    stop: threading.Event
    hold: Hold


def build(name: str, settings: Settings) -> Hosted:
    """The lane of this name, connected to nothing yet but for what it must ask the broker first."""
    to_stderr()
    registry, stop, hold = Registry(), threading.Event(), Hold(settings, name)
    reference = load(settings.reference_dir)
    folder = settings.home / "state"
    folder.mkdir(parents=True, exist_ok=True)
    registry.add("xinliu_starts_total", (name,), _count_start(folder / f"{name}-{settings.slot}.starts"))
    know_series(registry, name, reference)
    registry.at_each_page(lambda: tell_disk(registry, name, folder))
    if name == "store":
        registry.at_each_page(lambda: tell_verified(registry, settings.home))
        metrics_of_store = StoreMetrics(registry, reference.departments, load_calendar(reference.directory))
        return Hosted(name, _StoreLoop(settings, metrics_of_store, stop, hold), registry, stop, hold)
    metrics = LaneMetrics(name, registry)
    if name == "intake":
        processor: Any = Intake(reference, settings.partitions, folder / f"intake-{settings.slot}.running")
    elif name == "cases":
        packs = load_packs(settings.rules_dir)
        for rule in packs.rules:  # so that the first draft of each is seen as a rise
            registry.add("xinliu_transitions_total", (rule, "drafted"), 0)
        processor = Cases(
            settings,
            packs,
            load_calendar(reference.directory),
            lambda: time.time() + settings.clock_ahead_days * _DAY_SECONDS,
            registry.set,
        )
    else:
        processor = Register(
            settings,
            reference,
            folder / f"register-{settings.slot}",
            identity_of(settings),
            time.time,
            registry.set,
        )
    return Hosted(name, Lane(settings, processor, metrics, stop, WRITES[name], hold.is_set), registry, stop, hold)


class _StoreLoop:
    """The store lane behind the interface of a loop."""

    def __init__(self, settings: Settings, metrics: StoreMetrics, stop: threading.Event, hold: Hold) -> None:
        self._stop = stop
        self._lane = StoreLane(settings, metrics, held=hold.is_set)
        self.ready = self._lane.ready

    @property
    def heartbeat_age_seconds(self) -> float:
        """The store's loop clears `ready` by itself while it waits for ClickHouse."""
        return 0.0

    def run(self) -> None:
        self._lane.run(self._stop)


def identity_of(settings: Settings) -> dict[str, Any]:
    """What register's local state belongs to: the cluster and the incarnation of `credit.records`."""
    deadline = time.monotonic() + _BROKER_WAIT_SECONDS
    while True:
        try:
            client = admin(settings)
            cluster = client.describe_cluster(request_timeout=5.0).result()
            (answer,) = client.describe_topics(TopicCollection([RECORDS]), request_timeout=5.0).values()
            topic = answer.result()
            return {"cluster": cluster.cluster_id, "topic": str(topic.topic_id)}
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise Retryable(
                    f"asking the broker at {settings.kafka} for {RECORDS}: {error.args[0].str()}; "
                    "start the broker and run xinliu topics apply"
                ) from error
            time.sleep(0.5)


def _count_start(path: Path) -> int:
    """How often this lane was started since its folder was made."""
    try:
        starts = int(path.read_text()) + 1
    except (OSError, ValueError):  # the first start, or the end came in the middle of the last line below
        starts = 1
    try:
        path.write_text(str(starts))
    except OSError as error:
        log.warning("the number of starts is not kept", why=error.strerror, what_now=f"make room in {path.parent}")
    return starts


def run_bare(name: str, settings: Settings) -> None:
    """The loop in this thread, without web pages: for benchmarks, debugging, and hosts of one's own."""
    hosted = build(name, settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: hosted.stop.set())
    hosted.hold.watch(hosted.stop)
    hosted.loop.run()


def run(name: str, settings: Settings) -> None:
    """The loop in a Faust worker; returns after a clean stop, ends the process with 70 otherwise."""
    hosted = build(name, settings)
    hosted.hold.watch(hosted.stop)
    app = _app(hosted, settings)
    port = {
        "intake": settings.intake_port,
        "register": settings.register_port,
        "cases": settings.cases_port,
        "store": settings.store_port,
    }[name]
    sys.argv = ["xinliu", "--quiet", "worker", "--loglevel=warn", f"--web-port={port}", "--web-bind=127.0.0.1"]
    app.main()


class _NoKafkaOfItsOwn(BootStrategy):
    """Web pages and services only.

    A lane's worker has no agents, so Faust's consumer would read nothing; but the lane would wait for it: after a
    kill -9 until the broker has given up the dead member of Faust's group (60 s measured, 0 without), and while the
    broker is away it would end the process.
    """

    enable_kafka = False

    def server(self) -> Iterable[ServiceT]:  # pyrefly: ignore[missing-override-decorator]
        return self._chain(self.sensors(), self.web_server())


class _Host(faust.App):
    """A Faust app that hosts a lane."""

    BootStrategy = _NoKafkaOfItsOwn

    async def on_start(self) -> None:  # pyrefly: ignore[missing-override-decorator]
        self.finalize()  # Faust's own makes a consumer here as well, whose event loop nobody would close

    async def _wait_for_table_recovery_completed(self) -> bool:  # pyrefly: ignore[missing-override-decorator]
        return False  # there are no tables, and no consumer that would say so


def _app(hosted: Hosted, settings: Settings) -> faust.App:
    """A Faust app with nothing in it but the lane. The reasons for each option are in the design's notes on Faust."""
    data = settings.home / "faust" / f"{hosted.name}-{settings.slot}"
    data.mkdir(parents=True, exist_ok=True)
    app = _Host(
        f"xinliu-{hosted.name}-worker-{settings.slot}",
        broker=";".join(f"kafka://{server}" for server in settings.kafka.split(",")),
        store="memory://",
        datadir=str(data),
        key_serializer="raw",
        value_serializer="raw",
        table_standby_replicas=0,
        web_router_enabled=False,
        web_tables_enabled=False,
        worker_redirect_stdouts=False,
    )

    @app.page("/metrics")
    async def metrics(web: Any, request: Any) -> Any:
        return web.bytes(hosted.registry.page(), content_type="text/plain")

    @app.page("/healthz")
    async def healthz(web: Any, request: Any) -> Any:
        age = hosted.loop.heartbeat_age_seconds
        ready = hosted.loop.ready.is_set() and age < _HEARTBEAT_SECONDS_MAX
        answer = {"lane": hosted.name, "ready": ready, "heartbeat_age_seconds": round(age, 1)}
        return web.json(answer, status=200 if ready else 503)

    @app.service
    class LaneService(Service):
        """Starts the loop's thread, and waits for it at the end."""

        def __post_init__(self) -> None:
            self.ended = threading.Event()

        # `typing` has `override` from Python 3.12 on only.
        async def on_start(self) -> None:  # pyrefly: ignore[missing-override-decorator]
            threading.Thread(target=self._run_lane, name=f"lane-{hosted.name}", daemon=True).start()

        def _run_lane(self) -> None:
            try:
                hosted.loop.run()
            except XinliuError as error:
                _die(hosted.name, str(error))
            except Exception as error:  # a fault of ours: end, and come back from the committed log
                log.exception("the lane failed")
                _die(hosted.name, f"{type(error).__name__}: {error}")
            finally:
                self.ended.set()
            if not hosted.stop.is_set():
                _die(hosted.name, "the lane's loop ended by itself")

        async def on_stop(self) -> None:  # pyrefly: ignore[missing-override-decorator]
            hosted.stop.set()
            await asyncio.to_thread(self.ended.wait, 30)

    return app


def _die(name: str, why: str) -> None:
    log.error(f"{why}; ending the process, its supervisor starts it again", lane=name, exit=EXIT_STOP)
    sys.stderr.flush()
    os._exit(EXIT_STOP)
