"""The context that a query runs in: for one request, or kept between requests under a session id.

A session's temporary tables, `SET` and `USE` last as long as the session; the settings in a request's URL are for that
request alone, as with a server.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from chdb.state.sqlitelike import Connection

from deploy.local.clickhouse.engine import Engine, apply_settings, read_settings, use_database
from deploy.local.clickhouse.errors import INVALID_SESSION_TIMEOUT, SESSION_IS_LOCKED, SESSION_NOT_FOUND, EngineError
from deploy.local.clickhouse.statement import Statement

SESSION_SECONDS_DEFAULT = 60
SESSION_SECONDS_MAX = 3600

_LOCK_WAIT_SECONDS = 1.0


class Context:
    """One connection and what requests changed on it. Blocking; one caller at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._from_url: dict[str, str] = {}
        self._before_url: dict[str, str] = {}
        # False after a SET that failed: how much of it is in force is not known.
        self._settled = True

    def prepare(self, statement: Statement, settings: Mapping[str, str], database: str | None) -> Connection:
        """The connection with exactly these request settings in force."""
        if self._connection is None:
            self._connection = self._engine.connect()
        if database:
            use_database(self._connection, database)
        # What a SET statement says must outlive the request: it runs without the request's settings.
        self._apply_from_url(self._connection, {} if statement.verb == b"SET" else settings)
        return self._connection

    def _apply_from_url(self, connection: Connection, settings: Mapping[str, str]) -> None:
        if self._settled and dict(settings) == self._from_url:  # a client sends the same ones with each request
            return
        apply_settings(connection, {n: v for n, v in self._before_url.items() if n not in settings})
        before = {n: v for n, v in self._before_url.items() if n in settings}
        if new := settings.keys() - before.keys():
            before |= read_settings(connection, new)
        self._before_url, self._from_url, self._settled = before, dict(settings), False
        apply_settings(connection, settings)
        self._settled = True

    def close(self) -> None:
        """Drop the context with all that belongs to it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass
class _Session:
    context: Context
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    expires_at: float = 0.0
    timeout_seconds: float = SESSION_SECONDS_DEFAULT

    def is_over(self, now_seconds: float) -> bool:
        return not self.lock.locked() and self.expires_at <= now_seconds


class Sessions:
    """Sessions by id; each serves one request at a time. Used from the event loop only; the clock is handed in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sessions: dict[str, _Session] = {}

    async def acquire(self, session_id: str, timeout_seconds: float, must_exist: bool) -> Context:
        """The context of the session, made now where it is new; it stays locked until `release`."""
        if not 0 < timeout_seconds <= SESSION_SECONDS_MAX:
            raise EngineError.ours(
                INVALID_SESSION_TIMEOUT, f"Session timeout must be above 0 and at most {SESSION_SECONDS_MAX} seconds"
            )
        session = self._sessions.get(session_id)
        if session is None:
            if must_exist:
                raise EngineError.ours(SESSION_NOT_FOUND, f"Session {session_id} not found")
            session = self._sessions[session_id] = _Session(Context(self._engine))
        try:
            # A client that has read a whole answer may come again before this side has seen that it was sent.
            async with asyncio.timeout(_LOCK_WAIT_SECONDS):
                await session.lock.acquire()
        except TimeoutError:
            message = f"Session {session_id} is locked by a concurrent client"
            raise EngineError.ours(SESSION_IS_LOCKED, message) from None
        session.timeout_seconds = timeout_seconds
        return session.context

    def release(self, session_id: str, now_seconds: float) -> None:
        """End the request; the session's time to live starts anew."""
        session = self._sessions[session_id]
        session.expires_at = now_seconds + session.timeout_seconds
        session.lock.release()

    def expire(self, now_seconds: float) -> list[Context]:
        """Forget the sessions whose time is over; the caller closes their contexts."""
        over = [key for key, session in self._sessions.items() if session.is_over(now_seconds)]
        return [self._sessions.pop(key).context for key in over]

    def expire_all(self) -> list[Context]:
        """Forget every session that is idle."""
        return self.expire(float("inf"))
