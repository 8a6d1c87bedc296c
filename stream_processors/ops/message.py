"""A transition as a subscriber reads it: JSON of the Standard Webhooks shape, with ids that a replay gives again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any


def message_id(measure: Mapping[str, Any]) -> str:
    """Of one transition, in every attempt and after every replay; the case comes first, so that ids sort by it."""
    return f"{measure['case_id']}.{measure['revision']}"


def webhook_body(measure: Mapping[str, Any]) -> bytes:
    """`{"type": "measure.entered", "timestamp": ..., "data": {the columns of Measure that say something}}`."""
    at = measure["at"]
    return json.dumps(
        {
            "type": f"measure.{measure['transition']}",
            "timestamp": _plain(at),
            "data": {name: _plain(value) for name, value in measure.items() if value not in (None, "", [])},
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode()


def _plain(value: object) -> object:
    if isinstance(value, datetime):  # the message's moments are UTC without saying so
        return value.replace(tzinfo=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value
