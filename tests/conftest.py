"""What every test may ask for: one real broker and one real ClickHouse engine per run, and settings that use them.

Both start when the first test asks for them, and end with the run however it ends.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings as hypothesis_settings
from postgres_server import PostgresServer, postgres_server
from stacks import Stack, stack_in

from deploy.local.broker import SESSION_TIMEOUT_MS_TEST, BrokerConfig, broker_part
from deploy.local.clickhouse.part import ClickHouseConfig, clickhouse_part
from deploy.local.parts import PartProcess
from deploy.local.processes import free_port_base
from schemas.settings import Settings

_PORTS_OF_A_STACK = 16
_SERVERS = {"broker", "clickhouse", "postgres", "running_stack"}

if not os.environ.get("XINLIU_NIGHTLY"):
    # A broker that lives for a minute spends half of its time on compiling itself well.
    os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")

# The same examples in every run, so that a change is judged by what it changed; `make nightly` looks for new ones.
hypothesis_settings.register_profile("every run", derandomize=True, deadline=None)
hypothesis_settings.register_profile("nightly", deadline=None)
hypothesis_settings.load_profile("nightly" if os.environ.get("XINLIU_NIGHTLY") else "every run")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file stays in one process; and all that ask for the running stack in the same, so that there is one stack."""
    from xdist.scheduler import LoadScopeScheduling

    folder = Path(__file__).parent
    files = {path.relative_to(config.rootpath).as_posix() for path in folder.rglob("test_*.py") if _uses_stack(path)}

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "running_stack" if file in files else file

    return ByFile(config, log)


def _uses_stack(path: Path) -> bool:
    return "running_stack" in path.read_text("utf-8")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that wait for servers first: where several processes share the files, the short ones fill in at the end."""
    waiting = {item.path for item in items if _SERVERS & set(getattr(item, "fixturenames", ()))}
    items.sort(key=lambda item: item.path not in waiting)


@dataclass(frozen=True)
class LocalServer:
    """A server that a test may kill and start again; whoever stops it starts it again before the test ends."""

    process: PartProcess
    data_dir: Path

    @property
    def pid(self) -> int | None:
        """Process id, None while it does not run."""
        return self.process.pid

    @property
    def log_file(self) -> Path:
        """What the server printed."""
        return self.process.log_file

    def start(self) -> None:
        """Return once it is ready; starting what runs already is an error of the test."""
        assert self.process.pid is None, f"{self.process.part.name} runs already"
        self.process.start()

    def stop(self) -> None:
        """In order; returns once the process is gone."""
        self.process.stop()

    def kill9(self) -> None:
        """By force; returns once the process is gone."""
        self.process.kill9()


@dataclass(frozen=True)
class Broker(LocalServer):
    """A real single-node Kafka."""

    @property
    def bootstrap(self) -> str:
        """host:port for clients."""
        return self.process.part.url


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The one broker of this run. Topics live as long as the run: give yours a name of its own."""
    folder = tmp_path_factory.mktemp("broker")
    port = free_port_base(2)
    config = BrokerConfig(folder / "data", port, port + 1, heap_mb=256, session_timeout_ms=SESSION_TIMEOUT_MS_TEST)
    server = Broker(PartProcess(broker_part(config), folder / "broker.log"), config.data_dir)
    yield from _running(server)


@dataclass(frozen=True)
class ClickHouse(LocalServer):
    """The real ClickHouse engine behind HTTP."""

    @property
    def url(self) -> str:
        """http://host:port for clients."""
        return self.process.part.url


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """The one ClickHouse of this run. Databases live as long as the run: give yours a name of its own."""
    folder = tmp_path_factory.mktemp("clickhouse")
    config = ClickHouseConfig(folder / "data", free_port_base(1), memory_mb=2048)
    server = ClickHouse(PartProcess(clickhouse_part(config), folder / "clickhouse.log"), config.data_dir)
    yield from _running(server)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The one PostgreSQL of this run. Tables live as long as the run: give yours a name of its own."""
    with postgres_server() as server:
        yield server


Server = TypeVar("Server", bound=LocalServer)


def _running(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.data_dir, ignore_errors=True)


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One whole stack for the journeys of this run: share departments with care, and leave every part running."""
    with stack_in(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(scope="session")
def settings_for() -> Callable[..., Settings]:
    """`settings_for(home, broker=..., clickhouse=..., **fields)`: settings with free ports of their own."""

    def build(
        home: Path, *, broker: Broker | None = None, clickhouse: ClickHouse | None = None, **overrides: object
    ) -> Settings:
        settings = Settings(home=home, port_base=free_port_base(_PORTS_OF_A_STACK))
        if broker is not None:
            settings = replace(settings, bootstrap_servers=broker.bootstrap)
        if clickhouse is not None:
            settings = replace(settings, clickhouse_url=clickhouse.url)
        return replace(settings, **overrides)  # type: ignore[arg-type]

    return build
