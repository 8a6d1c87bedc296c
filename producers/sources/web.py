"""Asks a web service for a page and keeps at it: retries with growing waits, obeys Retry-After, stays on its host.

A page is whole or it is asked for again; it is never larger than the limit, unpacked. Headers may hold secrets, so a
redirect or a link to another host is refused and not followed.
"""

import email.utils
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError, SSLError

from producers.sources.source_file import FeedSource
from schemas.errors import InputError, Retryable

_REDIRECTS = (301, 302, 303, 307, 308)
_REDIRECTS_MAX = 5
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_BLOCK_BYTES = 1 << 18
_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Page:
    """An answer: its bytes, unpacked, the charset it names, and the link that the header names as the next."""

    content: bytes
    charset: str
    next_link: str


class _Later(Exception):
    """This attempt brought no page, a later one may; `wait_seconds` is what the service asks for."""

    def __init__(self, words: str, wait_seconds: float = 0.0) -> None:
        super().__init__(words)
        self.wait_seconds = wait_seconds


class Web:
    """One service; `sleep` waits so many seconds."""

    def __init__(self, source: FeedSource, sleep: Callable[[float], None] = time.sleep) -> None:
        self._source = source
        self._sleep = sleep
        try:
            self._pool = urllib3.PoolManager(num_pools=1, retries=False, ca_certs=source.ca_file or None)
        except OSError as error:
            raise InputError(f"{self._doing}: the certificates of ca_file can not be read; check the path") from error

    @property
    def _doing(self) -> str:
        return f"reading the feed at {self._source.place}"

    def close(self) -> None:
        """Give the connections back."""
        self._pool.clear()

    def get(self, url: str) -> Page:
        """One page.

        Raises:
            InputError: the service refuses, sends too much, or leads to another host.
            Retryable: it did not answer well, however often it was asked.
        """
        wait_seconds = 1.0
        for attempt in range(1, self._source.attempts + 1):
            try:
                return self._follow(url)
            except _Later as later:
                if later.wait_seconds > self._source.wait_seconds_max:
                    raise Retryable(
                        f"{self._doing}: {later}, and it asks to wait for {later.wait_seconds:.0f} s; nothing of this "
                        "read was sent; run the same command again after that"
                    ) from later
                if attempt == self._source.attempts:
                    raise Retryable(
                        f"{self._doing}: {later}, {attempt} times; nothing of this read was sent; run the same command "
                        "again later"
                    ) from later
                self._sleep(max(later.wait_seconds, min(wait_seconds, self._source.wait_seconds_max)))
                wait_seconds *= 2
        raise AssertionError("a feed is asked at least once")

    def same_host(self, url: str, link: str) -> str:
        """A link made whole; InputError where it leads away."""
        try:
            here, there = urlsplit(self._source.url), urlsplit(urljoin(url, link))
            moved = (here.scheme, here.hostname, _port(here)) != (there.scheme, there.hostname, _port(there))
        except ValueError as error:  # a bracket that is not closed, a port that is no number
            raise InputError(
                f"{self._doing}: it leads to an address that can not be understood; nothing of this read was sent; "
                "tell its keeper"
            ) from error
        if moved:
            raise InputError(
                f"{self._doing}: it leads to {there.scheme or 'no'}://{there.hostname or 'nowhere'}, another place, "
                "which is not followed, since the headers may hold secrets; correct the address"
            )
        return urlunsplit(there._replace(fragment=""))

    def _follow(self, url: str) -> Page:
        for _ in range(_REDIRECTS_MAX + 1):
            found = self._ask(url)
            if isinstance(found, Page):
                return found
            url = self.same_host(url, found)
        raise InputError(f"{self._doing}: it redirects in a circle; correct the address")

    def _ask(self, url: str) -> "Page | str":
        """A page, or where it has moved to."""
        started = time.monotonic()
        try:
            answer = self._pool.request(
                "GET",
                url,
                headers={"Accept": "application/json", "Accept-Encoding": "gzip, deflate", **self._source.headers},
                redirect=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_SILENCE_SECONDS),
            )
            try:
                return self._judge(answer) or self._page(answer, started)
            finally:
                answer.close()
        except SSLError as error:
            raise InputError(
                f"{self._doing}: no secure connection could be made (TLS); the service's certificate is not trusted "
                "here or it speaks no TLS; name its authority's certificate as ca_file, or correct the address"
            ) from error
        except LocationParseError as error:
            raise InputError(f"{self._doing}: the address can not be understood; correct it") from error
        except (HTTPError, OSError) as error:
            raise _Later(_words(error)) from error

    def _judge(self, answer: urllib3.BaseHTTPResponse) -> str:
        """Where a redirect leads, "" where a page follows."""
        status = answer.status
        if status in _REDIRECTS and (location := answer.headers.get("Location")):
            return location
        if status in _AGAIN:
            raise _Later(f"it answered {status}", _retry_after(answer.headers))
        if status in (401, 403):
            raise InputError(f"{self._doing}: it refuses to answer ({status}); correct the headers or parameters")
        if not 200 <= status < 300:
            raise InputError(f"{self._doing}: it answered {status}; correct the address or the parameters")
        return ""

    def _page(self, answer: urllib3.BaseHTTPResponse, started: float) -> Page:
        content = bytearray()
        for block in answer.stream(_BLOCK_BYTES, decode_content=True):
            content += block
            if len(content) > self._source.page_bytes_max:
                raise InputError(
                    f"{self._doing}: a page is larger than {self._source.page_bytes_max >> 20} MiB, nothing was sent; "
                    "ask for smaller pages, or raise page_mb_max"
                )
            if time.monotonic() - started > self._source.answer_seconds_max:
                raise _Later(f"a page took longer than {self._source.answer_seconds_max} s")
        kind = answer.headers.get("Content-Type", "")
        return Page(bytes(content), _charset(kind), _next_link(answer.headers.get("Link", "")))


def with_parameters(url: str, parameters: Mapping[str, str]) -> str:
    """The address with these parameters, each in the place of one of the same name."""
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in parameters]
    return urlunsplit(parts._replace(query=urlencode([*kept, *parameters.items()])))


def _port(parts: SplitResult) -> int | None:
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _words(error: Exception) -> str:
    """What went wrong on the wire, in words of our own: the library's may quote the address with its parameters."""
    known = {
        "NewConnectionError": "no connection could be made",
        "NameResolutionError": "the name of the host is not known here",
        "ConnectTimeoutError": "no connection could be made in time",
        "ReadTimeoutError": "it fell silent",
        "IncompleteRead": "a page was cut off",
        "ProtocolError": "a page was cut off",
        "DecodeError": "a page was packed wrongly",
    }
    return next(
        (known[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in known), "the connection broke"
    )


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the service asks to wait; 0 where it does not say."""
    said = headers.get("Retry-After", "").strip()
    if said.isdigit():
        return float(said)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0


def _charset(content_type: str) -> str:
    _, _, said = content_type.lower().partition("charset=")
    return said.partition(";")[0].strip(" \"'") or "utf-8"


def _next_link(header: str) -> str:
    """The address of `<address>; rel="next"` in a Link header."""
    for address, about in re.findall(r"<([^>]*)>([^<]*)", header):  # an address may hold commas
        if 'rel="next"' in about.replace("'", '"') or "rel=next" in about:
            return address.strip()
    return ""
