"""No line that a lane logs holds a personal number, whoever wrote it and whatever it quotes."""

import io
import logging

import pytest
import structlog

from stream_processors.logging import to_stderr

NUMBER = "110101199003074258"
DISGUISED = "1101-0119 9003 0742 58"


@pytest.fixture
def lines(monkeypatch):
    """What is logged as the lanes are configured to log."""
    written = io.StringIO()
    factory = logging.getLogRecordFactory()
    monkeypatch.setattr("sys.__stderr__", written)
    to_stderr()
    yield written
    logging.setLogRecordFactory(factory)
    structlog.reset_defaults()


def fail() -> None:
    raise ValueError(f"could not parse '{NUMBER}' as a date")


def test_our_own_lines(lines):
    log = structlog.get_logger("intake")
    log.warning(f"trying on with {NUMBER}", why=f"cell {DISGUISED}", rows=3, topic="credit.events.market")
    log.error("failed", error=ValueError(NUMBER), where=[NUMBER])
    try:
        fail()
    except ValueError:
        log.exception("the lane failed")
    said = lines.getvalue()
    assert NUMBER not in said
    assert DISGUISED not in said
    assert "trying on with (withheld)" in said
    assert "topic=credit.events.market" in said
    assert "ValueError: could not parse '(withheld)' as a date" in said


def test_lines_of_libraries(lines, caplog):
    log = logging.getLogger("faust")
    log.warning("dropping %s of %d", NUMBER, 3)
    try:
        fail()
    except ValueError:
        log.exception("crashed")
    assert NUMBER not in caplog.text
    assert "dropping (withheld) of 3" in caplog.text
    assert "could not parse '(withheld)' as a date" in caplog.text
