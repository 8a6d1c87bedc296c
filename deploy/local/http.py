"""Asks a server of the local stack whether it is ready."""

import json
import urllib.error
import urllib.request

from deploy.local.processes import LOOPBACK, port_answers

_SECONDS_MAX = 2.0
# A proxy of the environment is for other hosts than this one.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def http_get(port: int, path: str) -> bytes | None:
    """Body of a 200 answer of this loopback port; None for every other answer and for none."""
    if not port_answers(port):
        return None
    try:
        with _DIRECT.open(f"http://{LOOPBACK}:{port}{path}", timeout=_SECONDS_MAX) as answer:
            body: bytes = answer.read()
            return body if answer.status == 200 else None
    except (urllib.error.URLError, OSError):
        return None


def lane_is_ready(port: int) -> bool:
    """Whether the lane behind this port says so: `GET /healthz` gives `{"ready": true, ...}`."""
    body = http_get(port, "/healthz")
    try:
        return body is not None and json.loads(body).get("ready") is True
    except (ValueError, AttributeError):
        return False
