"""Reads a source from TOML: where the rows are, how they are asked for, and how far they have been read.

Passwords are never in the file: `env:NAME` stands for the value of an environment variable, and a value that is
plainly a secret is refused where it stands in the file itself.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

# The reader of TOML tables that says which key is wrong; mappings and sources say it alike.
from producers.mapping_file import _Table as Table
from schemas.errors import InputError

PagingKind = Literal["none", "page", "offset", "cursor", "next_link"]
_PAGING_KINDS: tuple[PagingKind, ...] = ("none", "page", "offset", "cursor", "next_link")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}")
_FROM_ENVIRONMENT = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)$")
_SECRET_NAMES = re.compile(r"authorization|cookie|api-?_?key|app-?_?key|token|secret|password|passwd|pwd|sign", re.I)
XMIN = "xmin"
"""The watermark that is PostgreSQL's own: the transaction that wrote a row."""


@dataclass(frozen=True, slots=True)
class TableSource:
    """A table, a view or a query of a database.

    Attributes:
        url: of SQLAlchemy, with the password in it; never shown.
        table: name with its schema before a dot; empty where `query` says what is read.
        key: columns that tell rows with the same watermark apart; they only give the rows a fixed order.
        watermark: column that grows with each change; `xmin` = PostgreSQL's transaction numbers; empty = all rows are
            read each time.
        overlap: how far behind the watermark is read again, for rows that were committed late: seconds for dates and
            moments, numbers for numbers.
        page_rows: rows that are fetched at a time.
    """

    url: URL = field(repr=False)
    table: str
    query: str
    key: tuple[str, ...]
    watermark: str
    overlap: int
    page_rows: int

    @property
    def place(self) -> str:
        """Where it is, without user and password."""
        if self.url.get_backend_name() == "sqlite":
            return self.url.database or "memory"
        port = f":{self.url.port}" if self.url.port else ""
        return f"{self.url.host or 'this machine'}{port}/{self.url.database or ''}"

    @property
    def what(self) -> str:
        """What is read, for messages."""
        return self.table or "the query"

    @property
    def identity(self) -> list[str]:
        """What the stored watermark is a watermark of."""
        return ["table", self.place, self.table, self.query, self.watermark]


@dataclass(frozen=True, slots=True)
class Paging:
    """How the pages of a feed follow each other.

    Attributes:
        kind: `page` counts pages, `offset` rows, `cursor` hands back what the last page said, `next_link` follows.
        parameter: of the address, for all kinds but `next_link`.
        first: number of the first page or row.
        size_parameter, size: how many rows a page should have; not sent where the parameter is empty.
        member: path in a page to the next cursor or link; for `next_link` empty = the header Link.
    """

    kind: PagingKind = "none"
    parameter: str = ""
    first: int = 0
    size_parameter: str = ""
    size: int = 0
    member: str = ""


@dataclass(frozen=True, slots=True)
class FeedSource:
    """A web service that answers with JSON.

    Attributes:
        url: address of the first page.
        parameters: of the address, sent with each page; never shown.
        headers: sent with each page, to the host of `url` only; never shown.
        rows: path to the rows in a page; empty = what the mapping says, or the only array of objects.
        watermark: member of a row that grows with each change; empty = all rows are read each time.
        since: parameter of the address that asks for rows from the watermark on; empty = the feed can not be asked so.
        overlap: how far behind the watermark is asked again: seconds for moments, numbers for numbers.
        attempts: how often a page is asked for before the pull gives up.
        wait_seconds_max: longest wait between two attempts, whatever the service asks for.
        answer_seconds_max: how long one page may take.
        page_bytes_max: how large one page may be, unpacked.
        pages_max: how many pages one pull reads at most.
        ca_file: certificates to trust beside the usual ones; empty = none.
    """

    url: str
    parameters: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    rows: str
    paging: Paging
    watermark: str
    since: str
    overlap: int
    attempts: int
    wait_seconds_max: int
    answer_seconds_max: int
    page_bytes_max: int
    pages_max: int
    ca_file: str

    @property
    def place(self) -> str:
        """Where it is, without parameters."""
        return re.sub(r"[?#].*", "", self.url)

    @property
    def what(self) -> str:
        return "the feed"

    @property
    def identity(self) -> list[str]:
        """What the stored watermark is a watermark of."""
        return ["feed", self.place, self.rows, self.watermark]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A source with its name.

    Attributes:
        every_seconds: pull again so long after the last pull ended; 0 = once.
    """

    name: str
    reads: TableSource | FeedSource
    every_seconds: int = 0


def load(path: Path, environ: Mapping[str, str]) -> SourceFile:
    """Read a source file; InputError says which key is wrong and how, and never shows a value of the environment."""
    doing = f"reading source {path}"
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{doing}: it can not be read as UTF-8 text; check the path") from error
    try:
        top = Table(doing, "", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{doing}: this is not TOML: {error}") from error
    name = top.text("name", path.stem)
    if not _NAME.fullmatch(name):
        raise top.error("name", "must be letters, digits, - and _; without it the file's own name is taken")
    every_seconds = top.number("every_seconds") if top.has("every_seconds") else 0
    if top.has("table") == top.has("feed"):
        raise InputError(f"{doing}: it must have either a [table] or a [feed]")
    reads = _table(top.table("table"), environ) if top.has("table") else _feed(top.table("feed"), environ)
    top.done()
    return SourceFile(name, reads, every_seconds)


def _table(table: Table, environ: Mapping[str, str]) -> TableSource:
    if table.has("table") + table.has("view") + table.has("query") != 1:
        raise table.error("", "must say one of table, view and query")
    watermark = table.text("watermark", "")
    found = TableSource(
        url=_database(table, environ),
        table=table.text("table", "") or table.text("view", ""),
        query=table.text("query", "").strip().rstrip(";").strip(),
        key=table.texts("key"),
        watermark=watermark,
        overlap=_overlap(table, watermark),
        page_rows=table.number("page_rows", 10_000),
    )
    if watermark == XMIN and found.url.get_backend_name() != "postgresql":
        raise table.error("watermark", f"{XMIN} is known to PostgreSQL only; name a column that grows")
    table.done()
    return found


def _database(table: Table, environ: Mapping[str, str]) -> URL:
    written = table.text("url")
    text = _value(table, "url", written, environ)
    try:
        url = make_url(text)
    except ArgumentError:
        raise table.error("url", "is no address of a database; write dialect+driver://user@host:port/name") from None
    if text == written and (url.password or any(map(_SECRET_NAMES.search, url.query))):
        raise table.error(
            "url", 'holds a password; put the whole address into an environment variable and write "env:ITS_NAME"'
        )
    if url.get_backend_name() == "postgresql" and url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return url


def _overlap(table: Table, watermark: str) -> int:
    """Seconds or numbers, under either name: which of the two it is, the column decides."""
    if table.has("overlap_seconds") and table.has("overlap_numbers"):
        raise table.error("overlap_numbers", "stands beside overlap_seconds; say the one that fits the watermark")
    key = "overlap_numbers" if table.has("overlap_numbers") else "overlap_seconds"
    if table.has(key) and not watermark:
        raise table.error(key, "makes no sense without a watermark")
    return _count(table, key, 300)


def _feed(table: Table, environ: Mapping[str, str]) -> FeedSource:
    watermark = table.text("watermark", "")
    since = table.text("since", "")
    if since and not watermark:
        raise table.error("since", "needs a watermark: the member of a row whose value it asks for")
    written = table.text("url")
    found = FeedSource(
        url=_value(table, "url", written, environ),
        parameters=_values(table.table("parameters"), environ),
        headers=_values(table.table("headers"), environ),
        rows=table.text("rows", ""),
        paging=_paging(table.table("paging")),
        watermark=watermark,
        since=since,
        overlap=_overlap(table, watermark),
        attempts=table.number("attempts", 5),
        wait_seconds_max=table.number("wait_seconds_max", 60),
        answer_seconds_max=table.number("answer_seconds_max", 60),
        page_bytes_max=table.number("page_mb_max", 32) << 20,
        pages_max=table.number("pages_max", 100_000),
        ca_file=table.text("ca_file", ""),
    )
    if not re.match(r"https?://[^/?#@\s]+(?:[/?#]|$)", found.url):
        raise table.error("url", "must begin with http:// or https:// and a host, without user and password")
    if found.url == written and any(_SECRET_NAMES.search(name) for name, _ in parse_qsl(urlsplit(written).query)):
        raise table.error("url", "holds a secret; say it under parameters, as env:ITS_NAME")
    table.done()
    return found


def _paging(table: Table) -> Paging:
    kind = table.text("kind", "none", among=_PAGING_KINDS)
    numbered = kind in ("page", "offset")
    found = Paging(
        kind=next(known for known in _PAGING_KINDS if known == kind),
        parameter=table.text("parameter") if numbered or kind == "cursor" else "",
        first=_count(table, "first", 1 if kind == "page" else 0) if numbered else 0,
        size_parameter=table.text("size_parameter", "") if kind != "none" else "",
        size=_count(table, "size", 0) if kind != "none" else 0,
        member=(table.text("member") if kind == "cursor" else table.text("member", "")) if not numbered else "",
    )
    if bool(found.size_parameter) != bool(found.size):
        raise table.error("size", "and size_parameter go together: how many rows, and under which name to ask")
    table.done()
    return found


def _count(table: Table, key: str, default: int) -> int:
    """A whole number that may be 0."""
    value = table.raw(key)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise table.error(key, "must be a whole number from 0")
    return value


def _values(table: Table, environ: Mapping[str, str]) -> Mapping[str, str]:
    values: dict[str, str] = {}
    for name in table.names():
        written = table.text(name)
        values[name] = _value(table, name, written, environ)
        if values[name] == written and _SECRET_NAMES.search(name):
            raise table.error(name, 'is a secret; put it into an environment variable and write "env:ITS_NAME"')
        if re.search(r"[\r\n\0]", values[name]):
            raise table.error(name, "holds a line break")
    return values


def _value(table: Table, key: str, written: str, environ: Mapping[str, str]) -> str:
    """A text in which `env:NAME` at the end (`Bearer env:NAME`) stands for a variable of the environment."""
    asked = _FROM_ENVIRONMENT.search(written)
    if asked is None:
        return written
    if not environ.get(asked[1]):
        raise table.error(key, f"asks for the environment variable {asked[1]}, which is not set")
    return written[: asked.start()] + environ[asked[1]].strip()
