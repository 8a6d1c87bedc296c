"""The one border to ClickHouse's client: statements, rows and Arrow tables over HTTP, and its errors as ours.

Server, cluster or the local engine: all are reached the same way, by URL. Nothing about credit is decided here.

What a foreign error becomes, by what happens next:

    Retryable             the server is away, busy or full for now, or its tables are not there yet
    ConfigurationError    it refuses the user or the password
    Stop                  anything else: a statement of ours that it does not accept

No message holds a value: the server's own words are left out, since they may quote what it could not read.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import (
    ClickHouseError,
    Error,
    OperationalError,
)

from schemas.errors import ConfigurationError, Retryable, Stop, XinliuError
from schemas.settings import Settings

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CONNECT_SECONDS_MAX = 5
_ANSWER_SECONDS_MAX = 300

_INSERT_SETTINGS = {
    # The server's default has been 1 since 2026: it acknowledges what it has only in memory.
    "async_insert": 0,
    # Repeats are harmless by the tables' engines. A window of remembered inserts would swallow a row that is sent
    # again after it was deleted by hand.
    "insert_deduplicate": 0,
    # Collapsing within each insert before it is written is five times slower than leaving it to the merges, on our
    # 50 columns: 60,000 against 300,000 rows a second.
    "optimize_on_insert": 0,
}

_TABLES_MISSING = {60, 81}  # UNKNOWN_TABLE, UNKNOWN_DATABASE
_DENIED = {192, 193, 194, 497, 516}  # unknown user, wrong or required password, access denied, authentication failed
_FOR_NOW = {
    159: "it took too long",
    160: "it took too long",
    164: "it is read-only for now",
    202: "it has too many queries at once",
    209: "its network timed out",
    210: "its network failed",
    236: "it broke off",
    241: "it is short of memory",
    242: "the table is read-only for now",
    243: "its disk is full",
    252: "it has too many parts to merge",
    319: "it does not know whether the insert is in",
    394: "the query was cancelled",
    999: "its keeper does not answer",
}


class TablesMissing(Retryable):
    """The database, or a table of it, is not there: not yet, or not any more."""


@dataclass(frozen=True, slots=True)
class ClickHouse:
    """A connection to one database of the store. Not for two threads at once.

    `doing` in every method is the half-sentence that an error begins with, e.g. "reading the records of a subject".
    """

    client: Client
    url: str
    database: str

    def command(self, statement: str, *, doing: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement that answers nothing."""
        try:
            self.client.command(statement, parameters=dict(parameters or {}))
        except (ClickHouseError, OSError) as error:
            raise self._ours(error, doing) from None

    def table(
        self,
        query: str,
        *,
        doing: str,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> pa.Table:
        """The answer to a query, column by column. `{name:Type}` in the query is bound to `parameters[name]`."""
        try:
            return self.client.query_arrow(query, parameters=dict(parameters or {}), settings=dict(settings or {}))
        except (ClickHouseError, OSError, pa.ArrowInvalid) as error:
            raise self._ours(error, doing) from None

    def rows(self, query: str, *, doing: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The answer to a query, row by row."""
        return self.table(query, doing=doing, parameters=parameters).to_pylist()

    def insert(self, table: str, rows: pa.Table) -> None:
        """Insert by column names, and return when the server has acknowledged it; a repeat is harmless."""
        if rows.num_rows == 0:
            return
        try:
            self.client.insert_arrow(table, rows, settings=_INSERT_SETTINGS)
        except (ClickHouseError, OSError) as error:
            raise self._ours(error, f"inserting {rows.num_rows} rows into {table}") from None

    def create_database(self) -> None:
        """Create the database of this connection unless it is there."""
        self.client.database = ""
        try:
            self.command(f"CREATE DATABASE IF NOT EXISTS `{self.database}`", doing="preparing the store")
        finally:
            self.client.database = self.database

    def close(self) -> None:
        """Give the connection back."""
        self.client.close()

    def _ours(self, error: Exception, doing: str) -> XinliuError:
        return _ours(error, doing, self.url)


def connect(settings: Settings, *, answer_seconds_max: int = _ANSWER_SECONDS_MAX) -> ClickHouse:
    """Connect to the store; its database need not exist yet. Raises Retryable while the server does not answer."""
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)  # it logs errors, with their traces, by itself
    url = urlsplit(settings.clickhouse)
    shown = f"{url.scheme}://{url.hostname}" + (f":{url.port}" if url.port else "")
    try:
        client = clickhouse_connect.get_client(
            interface=url.scheme,
            host=url.hostname,
            port=url.port,
            proxy_path=url.path.strip("/"),
            username=url.username or settings.clickhouse_user,
            password=url.password or settings.clickhouse_password,
            connect_timeout=_CONNECT_SECONDS_MAX,
            send_receive_timeout=answer_seconds_max,
            compress=url.hostname not in _LOOPBACK,  # there it costs the lane time and saves nothing
            query_retries=0,  # who calls decides, and counts, what is tried again
            autogenerate_session_id=False,  # a session is one query at a time, and none of ours needs one
        )
    except (ClickHouseError, OSError) as error:
        raise _ours(error, "connecting to the store", shown) from None
    client.database = settings.clickhouse_database
    return ClickHouse(client, shown, settings.clickhouse_database)


def _ours(error: Exception, doing: str, url: str) -> XinliuError:
    code = error.code if isinstance(error, Error) else None
    if code in _TABLES_MISSING:
        return TablesMissing(f"{doing}: the store at {url} has no tables yet; start the store lane (xinliu run store)")
    if code in _DENIED:
        return ConfigurationError(
            f"{doing}: ClickHouse at {url} refuses the user; "
            "set XINLIU_CLICKHOUSE_USER and XINLIU_CLICKHOUSE_PASSWORD to one that may use the database"
        )
    if code in _FOR_NOW:
        return Retryable(f"{doing}: ClickHouse at {url} can not do it for now, {_FOR_NOW[code]}; try again")
    if code is None and isinstance(error, OperationalError | OSError):
        return Retryable(f"{doing}: ClickHouse at {url} does not answer; see that it runs and try again")
    name = error.name if isinstance(error, Error) and error.name else type(error).__name__
    return Stop(f"{doing}: ClickHouse at {url} does not accept it ({name}, code {code}); report this as a defect")
