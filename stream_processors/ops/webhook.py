"""One attempt of one webhook over HTTP: signed, bounded in time, and to nobody but the host that was registered.

The answer's body is never read: nothing of a receiver can get into our logs or our memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from urllib.parse import urljoin, urlsplit

import aiohttp

from stream_processors.ops.sender import Answer
from stream_processors.ops.signature import Secret, headers

ATTEMPT_SECONDS_MAX = 15.0
_REDIRECTS_MAX = 3
_GONE = 410
# A status of the receiver's state; every other one from 400 to 499 says that it does not take this message.
_OF_THE_MOMENT = (401, 403, 404, 407, 408, 409, 421, 423, 425, 429)


class Webhook:
    """A receiver's address with a connection of its own. Use it as a context, inside a running loop."""

    def __init__(
        self,
        url: str,
        secrets: Sequence[Secret],
        clock: Callable[[], float],
        attempt_seconds_max: float = ATTEMPT_SECONDS_MAX,
    ) -> None:
        self._url = url
        self._secrets = secrets
        self._clock = clock
        self._seconds_max = attempt_seconds_max
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Webhook:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1),
            timeout=aiohttp.ClientTimeout(total=self._seconds_max),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def deliver(self, message_id: str, body: bytes) -> Answer:
        """See `Receiver`."""
        try:
            async with asyncio.timeout(self._seconds_max):  # of all redirects together
                return await self._post(message_id, body)
        except TimeoutError:
            return Answer(False, "timeout")
        except aiohttp.ClientConnectorError:
            return Answer(False, "no_connection")
        except (aiohttp.ClientError, OSError, ValueError):  # it hung up, or what it said is not HTTP
            return Answer(False, "connection_broken")

    async def _post(self, message_id: str, body: bytes) -> Answer:
        assert self._session is not None, "a webhook is used as a context"
        url = self._url
        for _ in range(_REDIRECTS_MAX + 1):
            sent = headers(self._secrets, message_id, int(self._clock()), body)
            sent |= {"content-type": "application/json; charset=utf-8", "user-agent": "xinliu"}
            async with self._session.post(url, data=body, headers=sent, allow_redirects=False) as answer:
                if answer.status not in (307, 308):
                    return _answer(answer.status)
                target = urljoin(url, answer.headers.get("location", ""))
            if _origin(target) != _origin(self._url):
                return Answer(False, "redirect_to_another_host")
            url = target
        return Answer(False, "too_many_redirects")


def _answer(status: int) -> Answer:
    if 200 <= status < 300:
        return Answer(True)
    hopeless = 400 <= status < 500 and status not in _OF_THE_MOMENT
    # 301 to 303 turn a POST into a GET: nothing would be told, so they are failures like any other.
    return Answer(False, f"status_{status}", hopeless=hopeless, gone=status == _GONE)


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
