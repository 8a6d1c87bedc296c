"""All settings of the product: one frozen value, read from the environment once, all problems reported in one go."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from schemas.errors import ConfigurationError

_PORTS = 16  # a local stack uses the ports port_base .. port_base + 15


def _said(variable: str, help_text: str, *, secret: bool = False) -> dict[str, object]:
    """What is known of a field besides its type: its variable, its help, and whether it is shown."""
    return {"variable": variable, "help": help_text, "secret": secret}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says. `Settings.from_env(os.environ)`; tests build it directly.

    Attributes are documented by the `help` of each field; `settings.describe()` prints them with secrets masked.
    """

    home: Path = field(default=Path(".xinliu"), metadata=_said("XINLIU_HOME", "folder of all local data"))
    bootstrap_servers: str | None = field(
        default=None, metadata=_said("XINLIU_BOOTSTRAP_SERVERS", "Kafka to use; unset = the local broker")
    )
    clickhouse_url: str | None = field(
        default=None, metadata=_said("XINLIU_CLICKHOUSE_URL", "ClickHouse to use; unset = the local engine")
    )
    clickhouse_user: str = field(default="default", metadata=_said("XINLIU_CLICKHOUSE_USER", "user of ClickHouse"))
    clickhouse_password: str = field(
        default="", metadata=_said("XINLIU_CLICKHOUSE_PASSWORD", "password of ClickHouse", secret=True)
    )
    clickhouse_database: str = field(
        default="credit", metadata=_said("XINLIU_CLICKHOUSE_DATABASE", "database of the store")
    )
    port_base: int = field(default=19500, metadata=_said("XINLIU_PORT_BASE", "first port of the local stack"))
    partitions: int = field(
        default=4,
        metadata=_said(
            "XINLIU_PARTITIONS", "P, partitions of every topic that is keyed by subject; fixed for a topic epoch"
        ),
    )
    replication_factor: int = field(
        default=1, metadata=_said("XINLIU_REPLICATION_FACTOR", "replicas of every topic; 3 on a cluster")
    )
    reference_dir: Path | None = field(
        default=None, metadata=_said("XINLIU_REFERENCE", "folder of reference tables that replace the shipped ones")
    )
    mappings_dir: Path | None = field(
        default=None, metadata=_said("XINLIU_MAPPINGS", "folder of mappings beside the shipped ones")
    )
    rules_dir: Path | None = field(
        default=None,
        metadata=_said(
            "XINLIU_RULES", "folder of rule packs beside the shipped ones, or in place of those of the same name"
        ),
    )
    clock_ahead_days: int = field(
        default=0,
        metadata=_said(
            "XINLIU_CLOCK_AHEAD_DAYS", "days by which the cases lane's clock runs ahead: for demonstrations"
        ),
    )
    slot: int = field(default=0, metadata=_said("XINLIU_SLOT", "number of this process among its lane's processes"))
    batch_rows: int = field(default=50_000, metadata=_said("XINLIU_BATCH_ROWS", "events per transaction, at most"))
    batch_wait_ms: int = field(
        default=20, metadata=_said("XINLIU_BATCH_WAIT_MS", "longest wait for a batch to fill, in milliseconds")
    )
    bad_percent_max: int = field(
        default=20,
        metadata=_said(
            "XINLIU_BAD_PERCENT_MAX",
            "publish sends nothing of a file, or after a file, of which more percent of the rows are set aside",
        ),
    )
    kafka_heap_mb: int = field(default=512, metadata=_said("XINLIU_KAFKA_HEAP_MB", "heap of the local broker"))
    clickhouse_memory_mb: int = field(
        default=4096, metadata=_said("XINLIU_CLICKHOUSE_MEMORY_MB", "memory limit of the local ClickHouse engine")
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read every XINLIU_ variable; raise one ConfigurationError that lists all problems."""
        values: dict[str, Any] = {}
        problems: list[str] = []
        known = {f.metadata["variable"]: f for f in fields(cls)}
        for variable, spec in known.items():
            text = environ.get(variable)
            if text is None or text == "":
                continue
            kind = str(spec.type)
            if "int" in kind:
                if re.fullmatch(r"-?\d+", text):
                    values[spec.name] = int(text)
                else:
                    problems.append(f"{variable} must be a whole number")
            elif "Path" in kind:
                values[spec.name] = Path(text)
            else:
                values[spec.name] = text
        settings = cls(**values)
        problems += settings.problems()
        if problems:
            raise ConfigurationError("reading the settings: " + "; ".join(problems))
        return settings

    def problems(self) -> list[str]:
        """Every reason why these settings can not work, as half-sentences."""
        found: list[str] = []
        if not 1024 <= self.port_base <= 65535 - _PORTS:
            found.append(f"XINLIU_PORT_BASE must be between 1024 and {65535 - _PORTS}")
        if not 1 <= self.partitions <= 512:
            found.append("XINLIU_PARTITIONS must be between 1 and 512")
        if not 1 <= self.batch_rows <= 200_000:
            found.append("XINLIU_BATCH_ROWS must be between 1 and 200000")
        if self.batch_wait_ms < 0:
            found.append("XINLIU_BATCH_WAIT_MS must not be negative")
        if not 0 <= self.bad_percent_max <= 100:
            found.append("XINLIU_BAD_PERCENT_MAX must be between 0 and 100")
        if self.slot < 0:
            found.append("XINLIU_SLOT must not be negative")
        if self.clickhouse_url is not None and urlsplit(self.clickhouse_url).scheme not in ("http", "https"):
            found.append("XINLIU_CLICKHOUSE_URL must start with http:// or https://")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.clickhouse_database):
            found.append("XINLIU_CLICKHOUSE_DATABASE must be a plain identifier")
        for name in ("reference_dir", "mappings_dir", "rules_dir"):
            folder = getattr(self, name)
            if folder is not None and not folder.is_dir():
                found.append(f"{folder} (from {name}) is not a folder")
        return found

    @property
    def kafka(self) -> str:
        """Bootstrap servers in effect."""
        return self.bootstrap_servers or f"127.0.0.1:{self.kafka_port}"

    @property
    def clickhouse(self) -> str:
        """URL of the store in effect."""
        return self.clickhouse_url or f"http://127.0.0.1:{self.clickhouse_port}"

    @property
    def kafka_port(self) -> int:
        return self.port_base

    @property
    def kafka_controller_port(self) -> int:
        return self.port_base + 1

    @property
    def clickhouse_port(self) -> int:
        return self.port_base + 2

    @property
    def intake_port(self) -> int:
        return self.port_base + 3

    @property
    def register_port(self) -> int:
        return self.port_base + 4

    @property
    def store_port(self) -> int:
        return self.port_base + 5

    @property
    def cases_port(self) -> int:
        return self.port_base + 7

    @property
    def ops_port(self) -> int:
        return self.port_base + 6

    def describe(self) -> list[tuple[str, str, str]]:
        """(variable, value with secrets masked, help) of every setting, for people and docs."""
        rows: list[tuple[str, str, str]] = []
        for spec in fields(self):
            value = getattr(self, spec.name)
            shown = "" if value is None else str(value)
            if spec.metadata["secret"] and shown:
                shown = "********"
            rows.append((spec.metadata["variable"], shown, spec.metadata["help"]))
        return rows

    def __repr__(self) -> str:
        """Secrets masked, so that a log line or a test failure can not show one."""
        return "Settings(" + ", ".join(f"{variable}={value}" for variable, value, _ in self.describe()) + ")"
