"""Receivers of webhooks for tests: real HTTP servers on this machine that answer as a test says."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from schemas import codec
from schemas.avro import MEASURE

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Receiver:
    """What arrived at it; `answers` decides: a status, (status, location), or None to hang until the test ends."""

    port: int = 0
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answer: Callable[[int], Any] = lambda number: 204
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.requests]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.requests]


@contextmanager
def receiver(answer: Callable[[int], Any] = lambda number: 204) -> Iterator[Receiver]:
    """A server for the length of the block; `answer(number of the request, from 0)`."""
    found = Receiver(answer=answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
            said = found.answer(len(found.requests) - 1)
            if said is None:
                found.released.wait(60)
                said = 500
            status, location = said if isinstance(said, tuple) else (said, None)
            self.send_response(status)
            if location:
                self.send_header("location", location)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def measure(case: str = "c1", revision: int = 1, transition: str = "entered", **fields: Any) -> dict[str, Any]:
    """One transition; only what a test names matters."""
    row: dict[str, Any] = {
        "case_id": case,
        "revision": revision,
        "transition": transition,
        "state": "in_force",
        "at": datetime(2026, 5, 1, 4, 0, tzinfo=UTC).replace(tzinfo=None),
        "as_of": date(2026, 5, 1),
        "subject_key": "org:MA3TESTX0",
        "subject_id": "uscc:91370100MA3TESTX0K",
        "rule": "CN-36/M02",
        "measure": "M02",
        "kind": "restriction",
        "activity": "government procurement",
        "evidence_ids": ["e1"],
        "legal_bases": ["《政府采购法》第77条"],
        "recheck_seconds": 60,
        "provisional": False,
    }
    row |= fields
    return {f.name: row[f.name] if f.name in row else None if isinstance(f.type, list) else "" for f in MEASURE.fields}


def encoded(*measures: dict[str, Any]) -> list[bytes]:
    """As messages of the topic."""
    return [codec.encode_one(MEASURE, row | {"at": row["at"].replace(tzinfo=UTC)}) for row in measures]


def wait_until(condition: Callable[[], bool], seconds_max: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds_max
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()
