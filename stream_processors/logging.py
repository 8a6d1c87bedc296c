"""How the lanes log: one line for each event, on the process's own standard error, whoever hosts the process.

What a library says of an error may quote what it read; nothing that looks like a personal number gets into a line.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from schemas.persons import words_to_show


def to_stderr() -> None:
    """Log to the standard error that the process was started with; Faust replaces `sys.stderr` by a logger."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=True),
            structlog.processors.format_exc_info,
            without_personal_numbers,
            structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.__stderr__),
        cache_logger_on_first_use=False,
    )
    logging.setLogRecordFactory(_record_without_personal_numbers)


def without_personal_numbers(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A step of structlog: strike out what looks like a personal number in any words of a line."""
    for name, value in event.items():
        if not isinstance(value, bool | int | float | None):
            event[name] = words_to_show(str(value))
    return event


def _record_without_personal_numbers(*arguments: Any, **named: Any) -> logging.LogRecord:
    """The same for the lines that libraries log by themselves, Faust among them."""
    record = logging.LogRecord(*arguments, **named)
    said = record.getMessage()
    shown = words_to_show(said)
    if shown != said:
        record.msg, record.args = shown, ()
    if record.exc_info:
        record.exc_text = words_to_show(logging.Formatter().formatException(record.exc_info))
        record.exc_info = None
    return record
