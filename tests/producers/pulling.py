"""Sources for tests: tables of made-up organisations on SQLite and PostgreSQL, and a web feed that misbehaves."""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from publishing import code

from producers.mapping import Mapping, load
from producers.sources.reading import End, Rows
from schemas.settings import Settings

NOW = datetime(2026, 5, 1, 4, 0, tzinfo=UTC)
COLUMNS = ("id", "企业名称", "统一社会信用代码", "注册日期", "法定代表人", "updated_at")


def now() -> datetime:
    return NOW


def mapping(name: str = "registration-cn") -> Mapping:
    return load(name, Settings())


def company(number: int, updated_at: object, name: str = "") -> tuple[object, ...]:
    """One row of `COLUMNS`; nobody is its representative."""
    return (number, name or f"演示{number}有限公司", code(number), "2001-02-03", "赵甲", updated_at)


@contextmanager
def sqlite_table(path: Path, kind: str = "TEXT", table: str = "companies") -> Iterator[sqlite3.Connection]:
    """A table of organisations in a file, and a session that writes to it."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute(
            f'CREATE TABLE {table} (id INTEGER, "企业名称" TEXT, "统一社会信用代码" TEXT, "注册日期" TEXT, '
            f'"法定代表人" TEXT, updated_at {kind})'
        )
        yield connection
    finally:
        connection.close()


def insert(connection: Any, rows: list[tuple[object, ...]], table: str = "companies", mark: str = "?") -> None:
    """Write rows of `COLUMNS`; `mark` is how the driver writes a value's place."""
    places = ", ".join([mark] * len(COLUMNS))
    connection.cursor().executemany(f"INSERT INTO {table} VALUES ({places})", rows)


@dataclass
class Taken:
    """A whole read, for comparing."""

    rows: list[Rows]
    end: End

    @property
    def names(self) -> list[str]:
        return [name for rows in self.rows for name in rows.chunk.cells["企业名称"].to_list()]


# -- a web feed ---------------------------------------------------------------------------------------------------


@dataclass
class Answer:
    """One answer of the feed; `cut` bytes are missing from the body that the length announces."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0


def page(rows: list[dict[str, object]], **beside: object) -> Answer:
    """A page of JSON."""
    return Answer(json.dumps({"data": rows, **beside}, ensure_ascii=False).encode())


def item(number: int, updated_at: str = "2026-04-01T00:00:00Z") -> dict[str, object]:
    """One organisation as a feed sends it."""
    return {
        "id": number,
        "企业名称": f"演示{number}有限公司",
        "统一社会信用代码": code(number),
        "注册日期": "2001-02-03",
        "updated_at": updated_at,
    }


@dataclass
class Feed:
    """A running service; `asked` are the parameters of each request, in order."""

    url: str
    asked: list[dict[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def feed(answer: Callable[[dict[str, str], int], Answer]) -> Iterator[Feed]:
    """A service on 127.0.0.1; `answer` is given the parameters and how many requests came before."""
    running = Feed("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parameters = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            running.asked.append(parameters)
            running.headers.append(dict(self.headers.items()))
            said = answer(parameters, len(running.asked) - 1)
            self.send_response(said.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said.body)))
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):  # the reader has had enough
                self.wfile.write(said.body[: len(said.body) - said.cut])
            if said.cut:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    running.url = f"http://127.0.0.1:{server.server_address[1]}/list"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
