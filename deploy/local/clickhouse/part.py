"""The local ClickHouse as a part of the stack. Apart from the server, so that the supervisor loads no engine."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.http import http_get
from deploy.local.parts import Part
from deploy.local.processes import LOOPBACK


@dataclass(frozen=True)
class ClickHouseConfig:
    """Where the engine keeps its data and listens; on loopback."""

    data_dir: Path
    port: int
    memory_mb: int = 4096
    user: str = "default"
    password: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"


def clickhouse_part(config: ClickHouseConfig) -> Part:
    """Ready once it answers a ping, which it does with its data folder open."""
    argv = [sys.executable, "-m", "deploy.local.clickhouse", "--data-dir", str(config.data_dir.resolve())]
    argv += ["--port", str(config.port), "--memory-mb", str(config.memory_mb)]
    return Part(
        name="clickhouse",
        argv=argv,
        ready=lambda: http_get(config.port, "/ping") is not None,
        ports=(config.port,),
        url=config.url,
        # By the environment and not as flags: a command line can be read by every user of the machine.
        env={"XINLIU_CLICKHOUSE_USER": config.user, "XINLIU_CLICKHOUSE_PASSWORD": config.password},
    )
