"""Keeps when `xinliu verify` last judged the whole platform and how, so that the store lane's metrics can tell.

Non-goal: the findings themselves; who wants them runs `xinliu verify`.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

log = structlog.get_logger("verify")


@dataclass(frozen=True, slots=True)
class Verified:
    """One verification.

    Attributes:
        at_seconds: when it ended, in seconds since 1970.
        ok: it found no difference, as far as the lanes had come.
    """

    at_seconds: float
    ok: bool


def remember(home: Path, verified: Verified) -> None:
    """Keep it in the platform's folder; where there is no room, say so and go on."""
    path = _path(home)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(asdict(verified)), "utf-8")
        os.replace(beside, path)
    except OSError as error:
        log.warning("the result is not kept for the metrics", why=error.strerror, what_now=f"make room in {home}")


def recall(home: Path) -> Verified | None:
    """What was last kept; None where nothing was, or nothing that can be read."""
    try:
        return Verified(**json.loads(_path(home).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _path(home: Path) -> Path:
    return home / "state" / "verified.json"
