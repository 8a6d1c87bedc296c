"""What a pull asks of a database, for each kind of database in its own words."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from producers.sources.reading import End
from producers.sources.source_file import TableSource


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table.

    Attributes:
        kind: its type as the database calls it.
        read: whether its values have one plain text.
    """

    name: str
    kind: str = ""
    read: bool = True


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with named values."""

    sql: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What will be read.

    Attributes:
        rows: how many rows that is.
        end: how far the source will have been read.
        where: the condition.
    """

    rows: int
    end: End
    where: Statement


class Statements(ABC):
    """How one kind of database is asked. `origin` is what stands behind FROM."""

    isolation: str | None = None

    def __init__(self, connection: Connection, source: TableSource) -> None:
        self._preparer = connection.dialect.identifier_preparer
        if source.query:
            # A colon in a text would be taken for a named value; the query may end in a comment.
            self.origin = f"(\n{source.query.replace(':', chr(92) + ':')}\n) source_rows"
        else:
            schema, _, table = source.table.rpartition(".")
            self.origin = ".".join(self.quote(name) for name in (schema, table) if name)

    def quote(self, name: str) -> str:
        """A name exactly as it is written in the source file."""
        return self._preparer.quote_identifier(name).replace(":", "\\:")

    @abstractmethod
    def prepare(self, connection: Connection) -> None:
        """Set the session up."""

    @abstractmethod
    def columns(self, connection: Connection) -> list[Column]:
        """The columns that there are."""

    @abstractmethod
    def bounds(
        self, connection: Connection, source: TableSource, columns: Sequence[Column], since: str | None
    ) -> Bounds:
        """What a read since a watermark will bring."""

    @abstractmethod
    def select(self, source: TableSource, columns: Sequence[Column], bounds: Bounds) -> Statement:
        """The statement whose rows are the cells of `columns`, then the watermark, then what its place is made of."""
