"""Reads a feed page by page to its end; numbers keep their digits, and what is nested becomes rows as in a file.

A feed that sends a page again, or a cursor that comes round, is a feed that has no end: the read is given up and
nothing of it is sent.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from producers.readers import Layout
from producers.readers.json_rows import all_names, check_members, chunk_of_rows
from producers.readers.layout import shown
from producers.readers.nested import Row, levels_of, parse_path, rows_at
from producers.sources.reading import End, Rows, place_of
from producers.sources.source_file import FeedSource
from producers.sources.web import Page, Web, with_parameters
from schemas.errors import InputError

_HOME_ZONE_SECONDS = 8 * 3600


class FeedReading:
    """One read of a feed."""

    total_rows: int | None = None

    def __init__(self, source: FeedSource, web: Web, layout: Layout, since: str | None, now: datetime) -> None:
        self._source = source
        self._web = web
        self._layout = layout
        self._since = since
        self._newest: str | None = None
        self._newest_place: float | None = None
        # A moment without a zone counts as UTC here, and is China's: then it looks eight hours later than it is.
        self._latest = now.timestamp() + _HOME_ZONE_SECONDS
        self._names: list[str] = []
        self._rows_path = parse_path(source.rows or layout.rows)

    @property
    def _doing(self) -> str:
        return f"reading the feed at {self._source.place}"

    def rows(self) -> Iterator[Rows]:
        asked: set[str] = set()
        seen: set[bytes] = set()
        url: str | None = self._first()
        rows_before = 0
        while url is not None:
            if url in asked:
                raise self._loops("it leads back to a page that was read")
            if len(asked) >= self._source.pages_max:
                raise self._loops(f"it has more than {self._source.pages_max:,} pages (pages_max)")
            asked.add(url)
            page = self._web.get(url)
            document = self._parse(page)
            items = self._items(document)
            if items:
                digest = hashlib.blake2b(page.content, digest_size=16).digest()
                if digest in seen and self._source.paging.kind != "none":
                    raise self._loops("it sends the same page again")
                seen.add(digest)
                yield self._rows_of(items)
            rows_before += len(items)
            url = self._next(url, page, document, len(items), len(asked), rows_before)

    def end(self) -> End:
        source = self._source
        if not source.watermark:
            return End(None, float("-inf"))
        before = place_of(self._since)
        if self._newest_place is None or (before is not None and before > self._newest_place):
            return End(self._since, float("-inf") if before is None else before - source.overlap)
        return End(self._newest, self._newest_place - source.overlap)

    def _first(self) -> str:
        paging = self._source.paging
        parameters = dict(self._source.parameters)
        if paging.size_parameter:
            parameters[paging.size_parameter] = str(paging.size)
        if paging.kind in ("page", "offset"):
            parameters[paging.parameter] = str(paging.first)
        if self._source.since and self._since is not None:
            parameters[self._source.since] = self._asked_since(self._since)
        return with_parameters(self._source.url, parameters)

    def _asked_since(self, since: str) -> str:
        """The stored watermark less the overlap, written as the feed writes it."""
        if since.lstrip("-").isdigit():
            return str(int(since) - self._source.overlap)
        try:
            moment = datetime.fromisoformat(since)
        except ValueError:
            return since
        back = moment - timedelta(seconds=self._source.overlap)
        if len(since) <= len("2024-01-31"):
            return back.date().isoformat()
        written = back.isoformat(since[10], "seconds")
        return written.replace("+00:00", "Z") if since.endswith("Z") else written

    def _next(self, url: str, page: Page, document: Any, items: int, pages: int, rows: int) -> str | None:
        """The address of the next page, None behind the last."""
        paging = self._source.paging
        if paging.kind == "page":
            return with_parameters(url, {paging.parameter: str(paging.first + pages)}) if items else None
        if paging.kind == "offset":
            return with_parameters(url, {paging.parameter: str(paging.first + rows)}) if items else None
        if paging.kind == "cursor":
            cursor = _text(_member(document, paging.member))
            return with_parameters(url, {paging.parameter: cursor}) if cursor else None
        if paging.kind == "next_link":
            link = _text(_member(document, paging.member)) if paging.member else page.next_link
            return self._web.same_host(url, link) if link else None
        return None

    def _parse(self, page: Page) -> Any:
        try:
            text = page.content.decode("utf-8-sig" if page.charset in ("utf-8", "utf8") else page.charset)
            return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
        except (LookupError, UnicodeDecodeError) as error:
            raise InputError(
                f"{self._doing}: a page is not encoded as it says; nothing of this read was sent; tell its keeper"
            ) from error
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{self._doing}: a page is not JSON; nothing of this read was sent; correct the address or tell "
                "its keeper"
            ) from error

    def _items(self, document: Any) -> list[Row | None]:
        """The rows of a page; None for what should be an object and is none."""
        path = self._rows_path
        if isinstance(document, list):
            return list(rows_at(document, path, levels_of(document, path)))
        if not isinstance(document, dict):
            raise InputError(f"{self._doing}: a page holds one value and no rows; correct the address")
        if not path:
            arrays = [name for name, value in document.items() if isinstance(value, list)]
            if len(arrays) != 1:
                raise InputError(
                    f"{self._doing}: a page holds {shown(arrays) or 'no array'}; say as rows which of them are the rows"
                )
            path = arrays
        inner: Any = document
        rest = list(path)
        while rest and isinstance(inner, dict):
            if rest[0] not in inner:
                raise InputError(
                    f"{self._doing}: a page has no {'.'.join(path)}, there stands {shown(list(inner)) or 'nothing'}; "
                    "correct rows in the source file"
                )
            inner = inner[rest.pop(0)]
        # What stands beside the first array is about the page, not about the rows.
        found: list[Any] = inner if isinstance(inner, list) else [inner] if inner is not None else list[Any]()
        return list(rows_at(found, rest, levels_of(found, rest)))

    def _rows_of(self, items: list[Row | None]) -> Rows:
        first = not self._names
        self._names = all_names(self._names, items)
        if first and self._names:
            check_members(self._names, self._layout, self._doing)
        chunk = chunk_of_rows(items, list(range(1, len(items) + 1)), self._names, (), 0)
        watermarks = ["" if row is None else row.get(self._source.watermark, "") for row in items]
        places = [place_of(words) for words in watermarks]
        for words, place in zip(watermarks, places, strict=True):
            if words and place is None and self._source.watermark:
                raise InputError(
                    f"{self._doing}: the watermark {self._source.watermark} holds what is neither a date, a moment "
                    "nor a number; name another member"
                )
            if place is None or (place > self._latest and not words.lstrip("-").replace(".", "").isdigit()):
                continue  # a moment of the future is no watermark: all rows until then would be passed over
            if self._newest_place is None or place > self._newest_place:
                self._newest, self._newest_place = words, place
        numbers = np.array([np.nan if place is None else place for place in places], np.float64)
        return Rows(chunk, pl.Series("watermark", watermarks, dtype=pl.String), numbers)

    def _loops(self, how: str) -> InputError:
        return InputError(f"{self._doing}: it has no end, {how}; nothing of this read was sent; correct paging")


def _member(document: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(document, dict):
            return None
        document = document.get(name)
    return document


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""  # numbers are texts here


@contextmanager
def open_feed(
    source: FeedSource, layout: Layout, since: str | None, now: datetime, sleep: Callable[[float], None]
) -> Iterator[FeedReading]:
    """Begin a read; its rows raise InputError or Retryable as `Web.get` does."""
    web = Web(source, sleep)
    try:
        yield FeedReading(source, web, layout, since, now)
    finally:
        web.close()
