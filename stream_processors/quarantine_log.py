"""Who had what sent again, and when: one line of JSON for each act, in the operator's folder. Never a value of a row.

What an accepted proposal changed can be seen for ever without this file: the event as it was reported stays in
quarantine, the record bears the same event id.
"""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from schemas.errors import InputError, Retryable
from schemas.persons import screen_text
from schemas.settings import Settings

_NAME_LONGEST = 40


def log_file(settings: Settings) -> Path:
    """Where the lines are."""
    return settings.home / "operator" / "quarantine.jsonl"


def note(settings: Settings, at: datetime, by: str, act: str, more: Mapping[str, str | int | None]) -> None:
    """Add one line; returns when it is on the disk."""
    line = json.dumps({"at": at.isoformat(), "by": by, "act": act, **more}, ensure_ascii=False)
    path = log_file(settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Retryable(
            f"writing the operator's log in {path.parent}: {(error.strerror or str(error)).lower()}; "
            "make room there or set XINLIU_HOME to another folder"
        ) from error


def who(by: str) -> str:
    """The name for the log, as it was given. Raises InputError where it may be a number of a person."""
    if not by or len(by) > _NAME_LONGEST or not by.isprintable() or screen_text(by) is not None:
        raise InputError(
            f"noting who has this done: give --by a short name, at most {_NAME_LONGEST} characters, that holds no "
            "personal number"
        )
    return by
