"""How the lanes log: one line for each event, on the process's own standard error, whoever hosts the process."""

import sys

import structlog


def to_stderr() -> None:
    """Log to the standard error that the process was started with; Faust replaces `sys.stderr` by a logger."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.__stderr__),
        cache_logger_on_first_use=False,
    )
