"""Reads a table, a view or a query: only the columns that the mapping knows leave the database.

Rows stream through a cursor, `page_rows` at a time, ordered by watermark and key, so that equal watermarks on a border
between pages do no harm and an older change is sent before a newer one. Rows without a watermark are read each time,
and those that were met before are left out (`seen`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy import Connection, Row, create_engine, inspect, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from producers.readers import Chunk, Layout
from producers.sources.any_database import AnyDatabase
from producers.sources.postgres import Postgres
from producers.sources.reading import End, Places, Rows, place_of
from producers.sources.source_file import XMIN, TableSource
from producers.sources.statements import Bounds, Column, Statements
from producers.sources.table_errors import cannot_connect, cannot_read, missing_column, missing_table
from producers.sources.values import text_of
from schemas.errors import InputError

_CONNECT_SECONDS = 10
# A server that vanished without a word is noticed after about a minute instead of after two hours.
_PSYCOPG = {
    "connect_timeout": _CONNECT_SECONDS,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 4,
}


class TableReading:
    """One read of a table, within one connection."""

    def __init__(
        self, connection: Connection, source: TableSource, layout: Layout, since: str | None, now: datetime
    ) -> None:
        self._connection = connection
        self._source = source
        self._rows_read = 0
        postgres = connection.dialect.name == "postgresql"
        self._statements: Statements = (
            Postgres(connection, source) if postgres else AnyDatabase(connection, source, now)
        )
        with self._explained():
            self._statements.prepare(connection)
            self._require_table()
            there = self._statements.columns(connection)
            self._columns = self._needed(there, layout)
            self._bounds: Bounds = self._statements.bounds(connection, source, there, since)

    @property
    def total_rows(self) -> int | None:
        return self._bounds.rows

    def rows(self) -> Iterator[Rows]:
        with self._explained():
            statement = self._statements.select(self._source, self._columns, self._bounds)
            page_rows = self._source.page_rows
            streamed = self._connection.execution_options(stream_results=True, max_row_buffer=page_rows)
            with streamed.execute(text(statement.sql), statement.values) as result:
                for page in result.partitions(page_rows):
                    yield self._rows_of(page)
                    self._rows_read += len(page)

    def end(self) -> End:
        return self._bounds.end

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise cannot_read(error, self._source, self._rows_read) from error

    def _require_table(self) -> None:
        """A missing table is said with the nearest names; what is there is left to the database to allow."""
        if not self._source.table:
            return
        schema, _, table = self._source.table.rpartition(".")
        look = inspect(self._connection)
        if look.has_table(table, schema=schema or None):
            return
        raise missing_table(self._source, [*look.get_table_names(schema or None), *look.get_view_names(schema or None)])

    def _needed(self, there: Sequence[Column], layout: Layout) -> list[Column]:
        """The columns that the mapping reads, and the watermark; what it does not know is not even asked for."""
        source = self._source
        names = [column.name for column in there]
        doing = f"reading {source.what} at {source.place}"
        if layout.find_header([names]) is None:
            raise InputError(
                f"{doing}: it has no columns that mapping {layout.mapping} knows; check that it is the right one, or "
                "name the columns in a query"
            )
        layout.check(names, doing)
        own = () if source.watermark in ("", XMIN) else (source.watermark,)
        for key, named in (("watermark", own), ("key", source.key)):
            for name in named:
                if name not in names:
                    raise missing_column(source, key, name, names)
        wanted = {header for headers in layout.locate(names).values() for header in headers} | set(own)
        needed = [column for column in there if column.name in wanted]
        for column in needed:
            if not column.read:
                raise _no_plain_text(source, column)
        return needed

    def _rows_of(self, page: Sequence[Row[Any]]) -> Rows:
        columns = list(zip(*page, strict=True))
        cells = {
            column.name: pl.Series(column.name, self._texts(column, values), dtype=pl.String)
            for column, values in zip(self._columns, columns[:-2], strict=True)
        }
        chunk = Chunk(pl.DataFrame(cells), pl.Series("row", np.arange(1, len(page) + 1, dtype=np.int32)), None)
        watermarks = pl.Series("watermark", [text_of(value) or "" for value in columns[-2]], dtype=pl.String)
        return Rows(chunk, watermarks, self._places(columns[-1]))

    def _texts(self, column: Column, values: Sequence[Any]) -> list[str]:
        texts = [text_of(value) for value in values]
        if None in texts:
            kind = type(values[texts.index(None)]).__name__
            raise _no_plain_text(self._source, Column(column.name, kind))
        return [words.replace("\0", "") for words in texts if words is not None]

    def _places(self, values: Sequence[Any]) -> Places:
        places = [place_of(value) for value in values]
        return np.array([np.nan if place is None else place for place in places], np.float64)


def _no_plain_text(source: TableSource, column: Column) -> InputError:
    return InputError(
        f"reading {source.what} at {source.place}: the column {column.name} is of the type {column.kind}, which has no "
        "plain text; cast it in a query"
    )


@contextmanager
def open_table(source: TableSource, layout: Layout, since: str | None, now: datetime) -> Iterator[TableReading]:
    """Begin a read.

    Raises:
        InputError: the table, one of its columns, the rights or the address do not fit.
        Retryable: the database does not answer.
    """
    if source.url.get_backend_name() == "sqlite" and not Path(source.url.database or "").is_file():
        raise InputError(f"connecting to the database at {source.place}: there is no such file; correct the address")
    try:
        options: dict[str, Any] = {"connect_args": _PSYCOPG} if source.url.drivername == "postgresql+psycopg" else {}
        engine = create_engine(source.url, poolclass=NullPool, hide_parameters=True, **options)
        connection = engine.connect()
    except (SQLAlchemyError, NoSuchModuleError, ArgumentError, ImportError, ValueError) as error:
        raise cannot_connect(error, source) from error
    with connection:
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level=Postgres.isolation, postgresql_readonly=True)
        yield TableReading(connection, source, layout, since, now)
