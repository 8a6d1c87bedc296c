"""The parts of the local stack, in the order in which they start, as one list."""

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path

from deploy.local.broker import BrokerConfig, broker_part
from deploy.local.clickhouse.part import ClickHouseConfig, clickhouse_part
from deploy.local.http import lane_is_ready
from deploy.local.parts import Part
from deploy.local.processes import LOOPBACK
from schemas.errors import InputError
from schemas.settings import Settings

LANES = ("intake", "register", "cases", "store", "ops")


def stack(settings: Settings) -> list[Part]:
    """What `up` starts for these settings: a server that is configured elsewhere is not among it."""
    home, product = settings.home.resolve(), [sys.executable, "-m", "stream_processors"]
    broker = BrokerConfig(home / "kafka", settings.kafka_port, settings.kafka_controller_port, settings.kafka_heap_mb)
    clickhouse = ClickHouseConfig(
        home / "clickhouse",
        settings.clickhouse_port,
        settings.clickhouse_memory_mb,
        settings.clickhouse_user,
        settings.clickhouse_password,
    )
    ports = {
        "intake": settings.intake_port,
        "register": settings.register_port,
        "cases": settings.cases_port,
        "store": settings.store_port,
        "ops": settings.ops_port,
    }
    return [
        *([broker_part(broker)] if settings.bootstrap_servers is None else []),
        Part("topics", [*product, "topics", "apply"], ready=lambda: False, once=True),
        *([clickhouse_part(clickhouse)] if settings.clickhouse_url is None else []),
        *(_lane_part(lane, [*product, "run", lane], ports[lane]) for lane in LANES),
    ]


def _lane_part(lane: str, argv: list[str], port: int) -> Part:
    return Part(
        name=lane,
        argv=argv,
        ready=lambda: lane_is_ready(port),
        ports=(port,),
        url=f"http://{LOOPBACK}:{port}/metrics",
    )


def select(items: list[Part], names: Iterable[str]) -> list[Part]:
    """Those of `items` with these names, in order; all of them for no names. A lane brings the topics with it."""
    wanted = set(names)
    if not wanted:
        return items
    known = {item.name for item in items}
    if unknown := sorted(wanted - known):
        raise InputError(
            f"choosing parts of the stack: there is no part {', '.join(unknown)} with these settings; "
            f"there are {', '.join(item.name for item in items)}"
        )
    if wanted & set(LANES):
        wanted.add("topics")
    return [item for item in items if item.name in wanted]


def environment(settings: Settings, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment from which `Settings.from_env` reads just these settings, wherever the reader's folder is."""
    result = dict(inherited)
    for field in fields(settings):
        variable, value = field.metadata["variable"], getattr(settings, field.name)
        if value is None:
            result.pop(variable, None)
        else:
            result[variable] = str(value.resolve() if isinstance(value, Path) else value)
    return result
