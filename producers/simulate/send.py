"""Puts simulated events on a department's topic, at a steady rate or as fast as the broker takes them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

from producers.kafka import Sender, Undelivered, look
from producers.publisher import new_submission, require_department
from producers.simulate.events import Stream, unstamped_events
from producers.stamp import messages
from schemas import reference
from schemas.errors import InputError, Retryable
from schemas.settings import Settings
from schemas.topics import events_topic

_TICK_SECONDS = 0.02  # a slice costs a millisecond however small it is: one for every few events would fill a core
_DELIVERY_SECONDS_MAX = 60.0
_NONE_SENT = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Load:
    """How much to send: ends at `count` events or after `seconds`, whichever comes first; one of them must be said.

    Attributes:
        events_per_second: None for full speed.
        first: number of the first event of the stream.
    """

    count: int | None = None
    seconds: float | None = None
    events_per_second: float | None = None
    first: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent, every event acknowledged."""

    submission: str
    events: int
    seconds: float


def department_stream(settings: Settings, department: str, seed: int, now: datetime) -> Stream:
    """A stream of penalties that the department's own authorities decide, dated back from `now`."""
    require_department(settings, department)
    known = reference.load(settings.reference_dir).authorities.by_code.values()
    own = [authority for authority in known if authority.department == department and authority.region]
    if not own:
        raise InputError(
            f"sending simulated events for {department}: the table of authorities has none with a region that it "
            "speaks for; choose another department"
        )
    return Stream(seed, own, now.date())


def send_events(
    settings: Settings,
    department: str,
    stream: Stream,
    load: Load,
    now: Callable[[], datetime],
    acknowledged: Callable[[int], None] = lambda events: None,
) -> Sent:
    """Send events of a stream; raises Retryable when the broker does not take them."""
    require_department(settings, department)
    topic = events_topic(department)
    look(settings).require(settings, topic)
    # The seed in place of a random end: the same run at the same time has the same event ids.
    submission = new_submission(department, now(), f"{stream.seed % (1 << 16):04x}")
    # At a rate a message must not wait for others; at full speed a fuller batch costs less.
    linger_ms = 20 if load.events_per_second is None else 2
    sender = Sender(settings, topic, _DELIVERY_SECONDS_MAX, acknowledged, linger_ms)
    began = time.monotonic()
    try:
        for events in _paced(stream, load, began):
            out = messages(events, submission, round(now().timestamp() * 1000), None, _NONE_SENT)
            sender.send(out.values, out.keys)
        sender.finish()
    except Undelivered as failure:
        raise Retryable(
            f"sending simulated events to {topic}: the broker stopped answering ({failure}) after "
            f"{sender.sent - len(failure.values)} acknowledged events; start it again and run the same command"
        ) from failure
    return Sent(submission, sender.sent, time.monotonic() - began)


def _paced(stream: Stream, load: Load, began: float) -> Iterator[pa.RecordBatch]:
    """Slices of the stream, each when it is due."""
    sent = 0
    for batch in unstamped_events(stream, load.count, first=load.first):
        at = 0
        while at < batch.num_rows:
            elapsed = time.monotonic() - began
            if load.seconds is not None and elapsed >= load.seconds:
                return
            due = batch.num_rows - at
            if load.events_per_second is not None:
                ripe = int(elapsed * load.events_per_second) - sent
                if ripe < min(due, max(1.0, load.events_per_second * _TICK_SECONDS)):
                    time.sleep(_TICK_SECONDS)
                    continue
                due = min(due, ripe)
            yield batch.slice(at, due)
            at, sent = at + due, sent + due
