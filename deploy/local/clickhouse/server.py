"""ClickHouse's HTTP protocol: a request becomes a statement, settings and rows; an answer becomes headers and a body.

The protocol: https://clickhouse.com/docs/interfaces/http. What of it is not here stands in the package's docstring.
"""

import asyncio
import base64
import binascii
import hmac
import json
import logging
import secrets
import uuid
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import BodyPartReader, web

from deploy.local.clickhouse import engine as chdb_engine
from deploy.local.clickhouse.bodies import read_chunks
from deploy.local.clickhouse.engine import STREAMABLE, Answer, Engine, Insert
from deploy.local.clickhouse.errors import (
    AUTHENTICATION_FAILED,
    NOT_IMPLEMENTED,
    READONLY,
    SYNTAX_ERROR,
    TOO_MANY_BYTES,
    EngineError,
)
from deploy.local.clickhouse.sessions import SESSION_SECONDS_DEFAULT, Context, Sessions
from deploy.local.clickhouse.statement import Statement, insert_with_rows, parse

logger = logging.getLogger(__name__)

BODY_BYTES_MAX = 4 << 30
"""Rows of one insert, decompressed; they pass through in constant memory."""
TEXT_BYTES_MAX = 64 << 20
"""A statement, with its VALUES: held in memory."""

_HEAD_BYTES = 64 << 10
_WORKERS = 32
_SWEEP_SECONDS = 1.0

# Parameters of the protocol; every other one is a setting of the engine or a bound parameter.
_PROTOCOL = frozenset(
    {
        "query",
        "query_id",
        "database",
        "user",
        "password",
        "quota_key",
        "role",
        "session_id",
        "session_timeout",
        "session_check",
        "default_format",
        "compress",
        "decompress",
        "enable_http_compression",
        "wait_end_of_query",
        "buffer_size",
        "client_protocol_version",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "cancel_http_readonly_queries_on_client_close",
    }
)
_NOT_HERE = ("compress", "decompress", "role")

_CONTENT_TYPES = {
    "JSON": "application/json; charset=UTF-8",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8",
}

Result = TypeVar("Result")


@dataclass(frozen=True)
class Credentials:
    """The one user of this server."""

    user: str = "default"
    password: str = ""

    def match(self, user: str, password: str) -> bool:
        """In constant time, so that the time taken tells nothing about the password."""
        return hmac.compare_digest(f"{user}\0{password}".encode(), f"{self.user}\0{self.password}".encode())


class ClickHouseHttp:
    """The application; `application()` goes to aiohttp's runner, which must leave bodies compressed."""

    def __init__(self, engine: Engine, credentials: Credentials) -> None:
        self._engine = engine
        self._credentials = credentials
        self._sessions = Sessions(engine)
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="query")
        self._running = 0

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/ping", _ping)
        app.router.add_get("/", self._handle)
        app.router.add_post("/", self._handle)
        app.cleanup_ctx.append(self._sweep_while_running)
        return app

    async def _sweep_while_running(self, _app: web.Application) -> AsyncIterator[None]:
        async def sweep() -> None:
            while True:
                await asyncio.sleep(_SWEEP_SECONDS)
                for context in self._sessions.expire(asyncio.get_running_loop().time()):
                    await self._work(context.close)

        task = asyncio.create_task(sweep())
        yield
        task.cancel()
        for context in self._sessions.expire_all():
            await self._work(context.close)
        self._workers.shutdown(wait=False)

    @property
    def is_idle(self) -> bool:
        """Whether no query runs; only then may the engine be closed."""
        return self._running == 0

    async def _work(self, call: Callable[[], Result]) -> Result:
        future = asyncio.get_running_loop().run_in_executor(self._workers, call)
        self._running += 1
        future.add_done_callback(self._count_down)
        return await future

    def _count_down(self, _future: asyncio.Future[Result]) -> None:
        self._running -= 1

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        query_id = request.query.get("query_id") or str(uuid.uuid4())
        headers = {
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Server-Display-Name": "xinliu-local",
            "X-ClickHouse-Timezone": self._engine.timezone,
        }
        try:
            self._authenticate(request)
            if request.method == "GET" and not request.query and not request.can_read_body:
                return await _ping(request)
            return await self._answer(request, headers)
        except EngineError as error:
            # The text may quote rows: it goes to the client alone.
            logger.info("query %s failed with code %d", query_id, error.code)
            headers |= {"X-ClickHouse-Exception-Code": str(error.code)}
            return web.Response(status=error.http_status, text=f"{error}\n", headers=headers)

    def _authenticate(self, request: web.Request) -> None:
        user, password = _credentials_of(request)
        if not self._credentials.match(user, password):
            raise EngineError.ours(
                AUTHENTICATION_FAILED,
                "Authentication failed: password is incorrect, or there is no user with such name.",
            )

    async def _answer(self, request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
        parameters = await _parameters(request)
        encoding = request.headers.get("Content-Encoding")
        multipart = request.content_type == "multipart/form-data"
        async with aclosing(read_chunks(request.content, encoding, BODY_BYTES_MAX)) as chunks:
            statement = await _read_statement(parameters.get("query", "").encode(), None if multipart else chunks)
            if request.method == "GET" and not statement.only_reads:
                raise EngineError.ours(READONLY, "Cannot execute query in readonly mode: a GET request only reads.")
            async with self._context(parameters) as context:
                settings = {
                    name: value
                    for name, value in parameters.items()
                    if name not in _PROTOCOL and not name.startswith("param_")
                }
                connection = await self._work(lambda: context.prepare(statement, settings, parameters.get("database")))
                if statement.insert_format is not None:
                    answer = await self._insert(connection, statement, chunks)
                    return _whole(answer, headers, None)
                bound = {name[6:]: value for name, value in parameters.items() if name.startswith("param_")}
                default_format = (
                    parameters.get("default_format") or request.headers.get("X-ClickHouse-Format") or "TabSeparated"
                )
                output_format = statement.output_format or default_format
                waits = parameters.get("wait_end_of_query") in ("1", "true")
                if statement.returns_rows and output_format in STREAMABLE and not waits:
                    pieces = chdb_engine.stream(connection, statement, output_format, bound)
                    return await self._stream(request, pieces, headers, output_format)
                answer = await self._work(lambda: chdb_engine.run(connection, statement, default_format, bound))
                # A client tells by this header that a statement has a result, be it an empty one.
                has_result = statement.only_reads or bool(answer.body)
                return _whole(answer, headers, output_format if has_result else None)

    @asynccontextmanager
    async def _context(self, parameters: dict[str, str]) -> AsyncIterator[Context]:
        session_id = parameters.get("session_id")
        if not session_id:
            context = Context(self._engine)
            try:
                yield context
            finally:
                await self._work(context.close)
            return
        timeout_text = parameters.get("session_timeout") or str(SESSION_SECONDS_DEFAULT)
        timeout_seconds = float(timeout_text) if timeout_text.isdigit() else 0.0
        context = await self._sessions.acquire(session_id, timeout_seconds, parameters.get("session_check") == "1")
        try:
            yield context
        finally:
            self._sessions.release(session_id, asyncio.get_running_loop().time())

    async def _insert(
        self, connection: chdb_engine.Connection, statement: Statement, chunks: AsyncIterator[bytes]
    ) -> Answer:
        insert = await self._work(lambda: Insert(connection, statement))
        try:
            if statement.data:
                await self._work(lambda: insert.append(statement.data))
            async for chunk in chunks:
                await self._work(lambda data=chunk: insert.append(data))
            return await self._work(insert.finish)
        except BaseException:  # a broken body or a client that went away: nothing of it may be committed
            await self._work(insert.cancel)
            raise

    async def _stream(
        self, request: web.Request, pieces: Generator[bytes, None, None], headers: dict[str, str], output_format: str
    ) -> web.StreamResponse:
        """Send blocks as they come; an error after the first goes into the body, and the body is left unfinished."""
        tag = secrets.token_hex(8)
        headers = headers | {"X-ClickHouse-Format": output_format, "X-ClickHouse-Exception-Tag": tag}
        response = web.StreamResponse(headers=headers | {"Content-Type": "application/octet-stream"})
        response.enable_chunked_encoding()
        try:
            piece = await self._work(lambda: next(pieces, None))
            await response.prepare(request)
            try:
                while piece is not None:
                    await response.write(piece)
                    piece = await self._work(lambda: next(pieces, None))
            except EngineError as error:
                logger.info("query %s failed with code %d under way", headers["X-ClickHouse-Query-Id"], error.code)
                message = str(error).encode()
                await response.write(
                    b"\r\n__exception__\r\n%b\r\n%b\n%d %b\r\n__exception__\r\n"
                    % (tag.encode(), message, len(message) + 1, tag.encode())
                )
                # Without its last chunk no client can take the body for a whole one, whatever the format.
                response.force_close()
                if request.transport is not None:
                    request.transport.close()
                return response
            await response.write_eof()
            return response
        except ConnectionResetError:  # the client has what it wanted, or is gone
            return response
        finally:
            await self._work(pieces.close)


async def _ping(_request: web.Request) -> web.Response:
    return web.Response(text="Ok.\n")


def _credentials_of(request: web.Request) -> tuple[str, str]:
    """User and password from whichever of the protocol's three places has them."""
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, password
    user = request.headers.get("X-ClickHouse-User") or request.query.get("user") or "default"
    password = request.headers.get("X-ClickHouse-Key") or request.query.get("password") or ""
    return user, password


async def _parameters(request: web.Request) -> dict[str, str]:
    """Parameters of the URL, and those that came as fields of a form because they are long."""
    parameters = dict(request.query)
    if request.content_type == "multipart/form-data":
        total = 0
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.filename is not None or part.name is None:
                raise EngineError.ours(NOT_IMPLEMENTED, "External data is not supported by the local ClickHouse.")
            value = await part.text()
            total += len(value)
            if total > TEXT_BYTES_MAX:
                raise EngineError.ours(TOO_MANY_BYTES, f"The form is larger than {TEXT_BYTES_MAX} bytes.")
            parameters[part.name] = value
    for name in _NOT_HERE:
        if parameters.get(name, "0") not in ("0", ""):
            raise EngineError.ours(NOT_IMPLEMENTED, f"Parameter {name} is not supported by the local ClickHouse.")
    return parameters


async def _read_statement(query: bytes, chunks: AsyncIterator[bytes] | None) -> Statement:
    """The statement from the `query` parameter and the body; the rows of an insert are left in `chunks`."""
    text = query + b"\n" if query and chunks is not None else query
    statement = insert_with_rows(text)
    if statement is not None:
        return statement
    if chunks is not None:
        looked_at = 0
        async for chunk in chunks:
            text += chunk
            if len(text) > TEXT_BYTES_MAX:
                raise EngineError.ours(TOO_MANY_BYTES, f"The statement is larger than {TEXT_BYTES_MAX} bytes.")
            if looked_at < _HEAD_BYTES:
                looked_at = len(text)
                statement = insert_with_rows(text)
                if statement is not None:
                    return statement
    if not text.strip():
        raise EngineError.ours(SYNTAX_ERROR, "Empty query.")
    return parse(text)


def _whole(answer: Answer, headers: dict[str, str], output_format: str | None) -> web.Response:
    summary = {
        "read_rows": answer.read_rows,
        "read_bytes": answer.read_bytes,
        "written_rows": answer.written_rows,
        "written_bytes": answer.written_bytes,
        "result_rows": answer.result_rows,
        "elapsed_ns": int(answer.elapsed_seconds * 1e9),
    }
    headers = headers | {"X-ClickHouse-Summary": json.dumps({name: str(value) for name, value in summary.items()})}
    if output_format is not None:
        headers["X-ClickHouse-Format"] = output_format
    content_type = _CONTENT_TYPES.get(output_format or "TabSeparated", "application/octet-stream")
    return web.Response(body=answer.body, headers=headers | {"Content-Type": content_type})
