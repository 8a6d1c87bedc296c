"""PostgreSQL's statements for a pull: everything is turned to text and compared by the server, exactly.

One transaction sees one moment (REPEATABLE READ), holds its table until the read has ended, and fetches through a
server-side cursor. `watermark = "xmin"` reads rows by the transaction that wrote them, and only those of transactions
older than any that still runs: a transaction that commits late is then read later, however long it took.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from producers.sources.reading import End
from producers.sources.source_file import XMIN, TableSource
from producers.sources.statements import Bounds, Column, Statement, Statements
from producers.sources.table_errors import missing_column
from schemas.errors import InputError, Retryable

_TIMES = ("timestamp with time zone", "timestamp without time zone", "date")
_READ_CATEGORIES = "ABDEINSTV"
_READ_TYPES = ("json", "jsonb", "uuid", "bytea", "xml")
_VERSION_LEAST = 130_000  # pg_current_snapshot
_XID_MASK = (1 << 32) - 1
_NOW = {
    "timestamp with time zone": "now()",
    "timestamp without time zone": "(now() AT TIME ZONE 'Asia/Shanghai')",
    "date": "(now() AT TIME ZONE 'Asia/Shanghai')::date",
}


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """Transaction numbers of 64 bits: all below `oldest` have ended, none from `next` on has begun."""

    oldest: int
    next: int


class Postgres(Statements):
    """How PostgreSQL is asked."""

    isolation = "REPEATABLE READ"

    def prepare(self, connection: Connection) -> None:
        """One way to write each value, whatever the server's own habits are."""
        for setting in ("datestyle TO 'ISO, YMD'", "timezone TO 'Asia/Shanghai'", "intervalstyle TO 'iso_8601'"):
            connection.execute(text(f"SET {setting}"))
        connection.execute(text("SET extra_float_digits TO 1"))

    def columns(self, connection: Connection) -> list[Column]:
        result = connection.execute(text(f"SELECT * FROM {self.origin} LIMIT 0"))
        described: Any = result.cursor
        oids = {item.name: (item.type_code, item._fmod) for item in described.description}
        result.close()
        found = connection.execute(
            text(
                "SELECT t.oid, format_type(t.oid, NULL), t.typname, t.typcategory, coalesce(e.typname, ''), "
                "coalesce(e.typcategory, ' ') FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem "
                "WHERE t.oid = ANY(:oids)"
            ),
            {"oids": [oid for oid, _ in oids.values()]},
        )
        kinds = {row[0]: tuple(row[1:]) for row in found}
        return [Column(name, kinds[oid][0], _read(*kinds[oid][1:])) for name, (oid, _) in oids.items()]

    def bounds(
        self, connection: Connection, source: TableSource, columns: Sequence[Column], since: str | None
    ) -> Bounds:
        if source.watermark == XMIN:
            return self._bounds_by_transaction(connection, source, since)
        if not source.watermark:
            count = connection.execute(text(f"SELECT count(*) FROM {self.origin}")).scalar_one()
            return Bounds(count, End(None, float("-inf")), Statement("true", {}))
        kind = self._kind(source, columns)
        mark = self.quote(source.watermark)
        newest = f"least(max({mark}), {_NOW[kind]})" if kind in _NOW else f"max({mark})"
        where, known = self._since(source, kind, since)
        row = connection.execute(
            text(
                f"SELECT count(*), ({newest})::text, {_place(kind, f'({newest})')}, "
                f"{_place(kind, f'CAST(:since AS {kind})')} FROM {self.origin} WHERE {where}"
            ),
            {"overlap": source.overlap, "since": since},
        ).one()
        count, watermark, place, place_before = row
        if watermark is None or (place_before is not None and place_before >= place):
            watermark, place = since, place_before
        remember_from = float("-inf") if place is None else place - source.overlap
        return Bounds(count, End(watermark, remember_from), Statement(where, known))

    def select(self, source: TableSource, columns: Sequence[Column], bounds: Bounds) -> Statement:
        """Every value as text; then the watermark as text and as a number."""
        cells = [_as_text(self.quote(column.name), column.kind) for column in columns]
        mark, place = "''", "CAST(NULL AS float8)"
        order = [self.quote(name) for name in source.key]
        if source.watermark and source.watermark != XMIN:
            kind = self._kind(source, columns)
            mark = f"CAST({self.quote(source.watermark)} AS text)"
            place = _place(kind, self.quote(source.watermark))
            order = [f"{self.quote(source.watermark)} NULLS LAST", *order]
        ordered = f" ORDER BY {', '.join(order)}" if order else ""
        return Statement(
            f"SELECT {', '.join([*cells, mark, place])} FROM {self.origin} WHERE {bounds.where.sql}{ordered}",
            bounds.where.values,
        )

    def _kind(self, source: TableSource, columns: Sequence[Column]) -> str:
        column = next((column for column in columns if column.name == source.watermark), None)
        if column is None:
            raise missing_column(source, "watermark", source.watermark, [column.name for column in columns])
        if column.kind not in _TIMES and column.kind not in ("smallint", "integer", "bigint", "numeric"):
            raise InputError(
                f"reading {source.what} at {source.place}: the watermark {source.watermark} is of the type "
                f"{column.kind}, which does not grow; name a column of dates, moments or numbers, or cast it in a query"
            )
        return column.kind

    def _since(self, source: TableSource, kind: str, since: str | None) -> tuple[str, dict[str, Any]]:
        if since is None:
            return "true", {}
        mark = self.quote(source.watermark)
        back = "make_interval(secs => :overlap)" if kind in _TIMES else ":overlap"
        return (
            f"({mark} >= CAST(:since AS {kind}) - {back} OR {mark} IS NULL)",
            {"since": since, "overlap": source.overlap},
        )

    def _bounds_by_transaction(self, connection: Connection, source: TableSource, since: str | None) -> Bounds:
        version = connection.execute(text("SELECT current_setting('server_version_num')::int")).scalar_one()
        if version < _VERSION_LEAST:
            raise InputError(
                f"reading {source.what} at {source.place}: the watermark xmin needs PostgreSQL 13 or newer; name a "
                "column that grows instead"
            )
        kind = connection.execute(
            text("SELECT relkind FROM pg_class WHERE oid = to_regclass(:name)"), {"name": self.origin}
        )
        if source.query or kind.scalar() not in ("r", "p", "m"):
            raise InputError(
                f"reading {source.what} at {source.place}: the watermark xmin belongs to tables only, this is a view "
                "or a query; name a column that grows instead"
            )
        row = connection.execute(
            text(
                "SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint "
                "FROM pg_current_snapshot() s"
            )
        ).one()
        snapshot = _Snapshot(*row)
        before = int(since) if since is not None else None
        if before is not None and before > snapshot.oldest:
            raise Retryable(
                f"reading {source.what} at {source.place}: the server counts fewer transactions than at the last pull, "
                "so it was restored or is another one; pull with --from-start, which reads all of it again"
            )
        where = _written_since(before, snapshot)
        count = connection.execute(text(f"SELECT count(*) FROM {self.origin} WHERE {where}")).scalar_one()
        return Bounds(count, End(str(snapshot.oldest), float("inf")), Statement(where, {}))


def _written_since(before: int | None, snapshot: _Snapshot) -> str:
    """Rows of transactions from `before` on that are older than any that runs.

    A row carries the last 32 bits of its transaction's number, so distances are taken modulo 2^32. A row that was
    frozen long ago may look young; it is then read again, which costs a repeat.
    """
    number = "xmin::text::bigint"
    if before is not None and snapshot.oldest - before <= _XID_MASK:
        return f"(({number} - {before}) & {_XID_MASK}) < {snapshot.oldest - before}"
    return f"(({number} - {snapshot.oldest}) & {_XID_MASK}) >= {snapshot.next - snapshot.oldest}"


def _read(name: str, category: str, element: str, element_category: str) -> bool:
    """Whether a type has one plain text: records, ranges, shapes and types of extensions have not."""
    if category == "A":
        return element_category in _READ_CATEGORIES.replace("A", "") or element in _READ_TYPES
    return category in _READ_CATEGORIES or name in _READ_TYPES


def _as_text(quoted: str, kind: str) -> str:
    if kind == "bytea":
        return f"encode({quoted}, 'hex')"
    if kind.endswith("[]"):
        return f"array_to_string({quoted}, ';')"
    return f"CAST({quoted} AS text)"


def _place(kind: str, value: str) -> str:
    return f"extract(epoch FROM {value})::float8" if kind in _TIMES else f"({value})::float8"
