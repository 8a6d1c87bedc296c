"""The statements for every database that SQLAlchemy reaches: plain SQL, values as the driver gives them.

Texts that hold ISO dates, as SQLite keeps them, serve as a watermark as well as dates, moments and numbers do.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import Connection, text

from producers.sources.reading import End, place_of
from producers.sources.source_file import TableSource
from producers.sources.statements import Bounds, Column, Statement, Statements
from producers.sources.values import text_of
from schemas.calendar import LAW_TIME
from schemas.errors import InputError


class AnyDatabase(Statements):
    """How any database is asked."""

    def __init__(self, connection: Connection, source: TableSource, now: datetime) -> None:
        super().__init__(connection, source)
        self._now = now

    def prepare(self, connection: Connection) -> None:
        """Nothing to do: the values come as the driver gives them."""

    def columns(self, connection: Connection) -> list[Column]:
        result = connection.execute(text(f"SELECT * FROM {self.origin} WHERE 1 = 0"))
        names = [Column(name) for name in result.keys()]  # noqa: SIM118 (a result is no mapping)
        result.close()
        return names

    def bounds(
        self, connection: Connection, source: TableSource, columns: Sequence[Column], since: str | None
    ) -> Bounds:
        if not source.watermark:
            count = connection.execute(text(f"SELECT count(*) FROM {self.origin}")).scalar_one()
            return Bounds(count, End(None, float("-inf")), Statement("1 = 1"))
        mark = self.quote(source.watermark)
        newest: Any = connection.execute(text(f"SELECT max({mark}) FROM {self.origin}")).scalar_one()
        if newest is not None and (place_of(newest) is None or (isinstance(newest, str) and not _is_date(newest))):
            raise InputError(
                f"reading {source.what} at {source.place}: the watermark {source.watermark} holds what is neither a "
                "date, a moment nor a number; name another column, or cast it in a query"
            )
        where = Statement("1 = 1")
        if since is not None and newest is not None:
            where = Statement(f"({mark} >= :since OR {mark} IS NULL)", {"since": _back(since, newest, source)})
        counted = text(f"SELECT count(*) FROM {self.origin} WHERE {where.sql}")
        count = connection.execute(counted, where.values).scalar_one()
        return Bounds(count, self._end(source, newest, since), where)

    def _end(self, source: TableSource, newest: Any, since: str | None) -> End:
        watermark = None if newest is None else _not_after(newest, self._now)
        if watermark is None:
            return End(since, float("-inf"))
        words = text_of(watermark) or ""
        if since is not None and (place_of(since) or 0.0) > (place_of(watermark) or 0.0):
            words = since
        return End(words, (place_of(words) or 0.0) - source.overlap)

    def select(self, source: TableSource, columns: Sequence[Column], bounds: Bounds) -> Statement:
        cells = [self.quote(column.name) for column in columns]
        mark = self.quote(source.watermark) if source.watermark else "NULL"
        order = [self.quote(name) for name in (source.watermark, *source.key) if name]
        ordered = f" ORDER BY {', '.join(order)}" if order else ""
        return Statement(
            f"SELECT {', '.join([*cells, mark, mark])} FROM {self.origin} WHERE {bounds.where.sql}{ordered}",
            bounds.where.values,
        )


def _is_date(words: str) -> bool:
    return re.match(r"\d{4}-\d\d-\d\d", words.strip()) is not None and place_of(words) is not None


def _not_after(newest: Any, now: datetime) -> Any:
    """A moment of the future is no watermark: all rows until then would be passed over."""
    match newest:
        case datetime():
            limit: Any = now if newest.tzinfo else now.astimezone(LAW_TIME).replace(tzinfo=None)
            return min(newest, limit)
        case date():
            return min(newest, now.astimezone(LAW_TIME).date())
        case str():
            limit = now if datetime.fromisoformat(newest).tzinfo else now.astimezone(LAW_TIME).replace(tzinfo=None)
            return newest if (place_of(newest) or 0.0) <= (place_of(limit) or 0.0) else _written_like(limit, newest)
        case _:
            return newest


def _back(since: str, like: Any, source: TableSource) -> Any:
    """The stored watermark less the overlap, as a value of the column's own type."""
    try:
        match like:
            case datetime():
                return datetime.fromisoformat(since) - timedelta(seconds=source.overlap)
            case date():
                return (datetime.fromisoformat(since) - timedelta(seconds=source.overlap)).date()
            case str():
                moment = datetime.fromisoformat(since.strip())
                return _written_like(moment - timedelta(seconds=source.overlap), like)
            case int():
                return int(since) - source.overlap
            case float():
                return float(since) - source.overlap
            case _:
                return Decimal(since) - source.overlap
    except (ValueError, InvalidOperation, OverflowError) as error:
        raise InputError(
            f"reading {source.what} at {source.place}: the stored watermark is of another type than "
            f"{source.watermark} now; pull with --from-start, which reads all of it again"
        ) from error


def _written_like(moment: datetime, like: str) -> str:
    """A moment as text that sorts among such texts, not later than the moment."""
    like = like.strip()
    if len(like) <= len("2024-01-31"):
        return moment.date().isoformat()
    return moment.replace(tzinfo=None).isoformat(like[10], "seconds")
