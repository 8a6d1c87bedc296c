"""The one chDB engine of this process, and what a request does with it. Blocking: call it from worker threads.

chDB allows one process per data folder, and any number of connections in that process. A connection is one client's
context: its settings, its current database, its temporary tables.
"""

import io
import re
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import chdb
import pyarrow as pa
from chdb.state.sqlitelike import Connection

from deploy.local.clickhouse.errors import SYNTAX_ERROR, EngineError
from deploy.local.clickhouse.statement import Statement
from schemas.errors import ConfigurationError

CONCATENABLE = frozenset(
    {
        "Native",
        "TabSeparated",
        "TSV",
        "CSV",
        "RowBinary",
        "JSONEachRow",
        "JSONCompactEachRow",
        "TabSeparatedRaw",
        "TSVRaw",
    }
)
"""Formats without a header or a footer: the engine encodes block by block, and such blocks simply follow each other."""
STREAMABLE = CONCATENABLE | {"ArrowStream"}

_CACHE_BYTES_MAX = 256 << 20
_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_CONNECTION_SETTINGS = {
    # 1 by default in this engine: an acknowledged row would still be in memory only.
    "async_insert": "0",
    # 1 as in clickhouse-local, where `1 + 1` is a statement; a server has 0.
    "implicit_select": "0",
}

Result = TypeVar("Result")


@dataclass(frozen=True)
class Answer:
    """A whole reply: body, and the numbers that the summary header carries."""

    body: bytes
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    elapsed_seconds: float = 0.0


class Engine:
    """The open data folder. `close` it before the process ends."""

    def __init__(self, data_dir: Path, memory_mb: int) -> None:
        """Raises ConfigurationError where another process holds the folder, or it is not one of this engine."""
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"making the ClickHouse data folder {data_dir} failed ({error.strerror}); set XINLIU_HOME to a folder "
                "that can be written"
            ) from error
        self._path = str(data_dir.resolve())
        server_settings = {
            "max_server_memory_usage": memory_mb << 20,
            # 5 GiB each by default, which counts as used memory.
            "mark_cache_size": _CACHE_BYTES_MAX,
            "index_mark_cache_size": _CACHE_BYTES_MAX,
            "primary_index_cache_size": _CACHE_BYTES_MAX,
        }
        options = "&".join(f"{name}={value}" for name, value in server_settings.items())
        try:
            # Kept to the end: with the last connection the engine itself would stop, background merges included.
            self._keeper = chdb.connect(f"{self._path}?{options}")
        except RuntimeError as error:
            raise ConfigurationError(
                f"opening the ClickHouse data folder {data_dir} failed: another process holds it (is a stack up with "
                f"the same XINLIU_HOME?), or it is damaged; chDB says: {error}"
            ) from error
        self.timezone = self._keeper.query("SELECT timezone()", "TabSeparated").bytes().decode().strip()

    def connect(self) -> Connection:
        """A fresh context with the server's defaults; about a millisecond."""
        connection = _foreign(lambda: chdb.connect(self._path))
        apply_settings(connection, _CONNECTION_SETTINGS)
        return connection

    def close(self) -> None:
        """Stop the engine; connections must be closed by then."""
        self._keeper.close()


def apply_settings(connection: Connection, settings: Mapping[str, str]) -> None:
    """Set these for every later query of the connection."""
    for name in settings:
        if not _SETTING_NAME.fullmatch(name):
            raise EngineError.ours(SYNTAX_ERROR, f"{name!r} is not the name of a setting.")
    if settings:
        assignments = ", ".join(f"{name} = {quoted(value)}" for name, value in settings.items())
        _foreign(lambda: connection.query(f"SET {assignments}"))


def read_settings(connection: Connection, names: set[str]) -> dict[str, str]:
    """Values in force of those of `names` that are settings."""
    wanted = ", ".join(quoted(name) for name in sorted(names))
    table = _foreign(
        lambda: connection.query(f"SELECT name, value FROM system.settings WHERE name IN ({wanted})", "Arrow")
    )
    rows = pa.ipc.open_file(table.bytes()).read_all().to_pylist()
    return {_text(row["name"]): _text(row["value"]) for row in rows}


def use_database(connection: Connection, database: str) -> None:
    """Make it the current database of the connection."""
    escaped = database.replace("\\", "\\\\").replace("`", "\\`")
    _foreign(lambda: connection.query(f"USE `{escaped}`"))


def run(connection: Connection, statement: Statement, default_format: str, parameters: Mapping[str, str]) -> Answer:
    """Run a statement to its end; the whole answer is held in memory."""
    result = _foreign(lambda: connection.query(_sql(statement), default_format, params=dict(parameters)))
    return Answer(
        body=result.bytes(),
        read_rows=result.storage_rows_read(),
        read_bytes=result.storage_bytes_read(),
        written_rows=result.rows_written(),
        written_bytes=result.bytes_written(),
        result_rows=result.rows_read(),
        elapsed_seconds=result.elapsed(),
    )


def stream(
    connection: Connection, statement: Statement, output_format: str, parameters: Mapping[str, str]
) -> Generator[bytes, None, None]:
    """Pieces of an answer in a STREAMABLE format, block by block; closing the iterator cancels the query."""
    assert output_format in STREAMABLE
    if output_format == "ArrowStream":
        yield from _stream_arrow(connection, statement, parameters)
        return
    result = _foreign(lambda: connection.send_query(_sql(statement), output_format, params=dict(parameters)))
    try:
        while (block := _foreign(result.fetch)) is not None:
            yield block.bytes()
    finally:
        result.close()


def _stream_arrow(
    connection: Connection, statement: Statement, parameters: Mapping[str, str]
) -> Generator[bytes, None, None]:
    """One Arrow stream out of the engine's blocks, each of which is a whole Arrow stream of its own."""
    result = _foreign(lambda: connection.send_query(_sql(statement), "ArrowStream", params=dict(parameters)))
    out = io.BytesIO()
    writer: pa.RecordBatchStreamWriter | None = None
    try:
        while (block := _foreign(result.fetch)) is not None:
            with pa.ipc.open_stream(block.bytes()) as reader:
                writer = writer or pa.ipc.new_stream(pa.PythonFile(out, "w"), reader.schema)
                for batch in reader:
                    writer.write_batch(batch)
            yield _take(out)
        if writer is None:  # no rows: only a whole query tells the columns
            yield run(connection, statement, "ArrowStream", parameters).body
        else:
            writer.close()
            yield _take(out)
    finally:
        result.close()


class Insert:
    """Rows on their way into a table, in constant memory: `append` any number of times, then `finish` or `cancel`."""

    def __init__(self, connection: Connection, statement: Statement) -> None:
        assert statement.insert_format is not None
        try:
            text, insert_format = statement.text.decode(), statement.insert_format
        except UnicodeDecodeError:
            raise EngineError.ours(SYNTAX_ERROR, "The statement is not valid UTF-8.") from None
        # The engine's own figure counts from the beginning of the connection.
        self._started_seconds = time.perf_counter()
        self._inserter = _foreign(lambda: connection.send_insert(text, insert_format))

    def append(self, data: bytes) -> None:
        """Hand over the next bytes of the body."""
        _foreign(lambda: self._inserter.append(data))

    def finish(self) -> Answer:
        """Commit; when this returns the rows are in the table."""
        result = _foreign(self._inserter.finish)
        return Answer(
            body=b"",
            written_rows=result.rows_written,
            written_bytes=result.bytes_written,
            elapsed_seconds=time.perf_counter() - self._started_seconds,
        )

    def cancel(self) -> None:
        """Give up; blocks that the engine wrote already (about a million rows each) stay, as with a server."""
        self._inserter.cancel()


def _take(written: io.BytesIO) -> bytes:
    """What was written since the last call."""
    taken = written.getvalue()
    written.seek(0)
    written.truncate()
    return taken


def _sql(statement: Statement) -> str:
    """chDB takes bytes as well, whatever its annotations say, and a statement need not be UTF-8."""
    return cast(str, statement.text)


def quoted(value: str) -> str:
    """A string literal of ClickHouse."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _foreign(call: Callable[[], Result]) -> Result:
    """The one border where chDB's exceptions become ours."""
    try:
        return call()
    except RuntimeError as error:  # ChdbError included
        raise EngineError.from_chdb(error) from error
