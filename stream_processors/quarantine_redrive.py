"""Sends what was set aside once more, after a rule or a reference table was mended: first says what would become of it.

Only open items are taken, oldest first, and only those are sent that today's code lets through. A run that ends half
way is run again: what has a good outcome by then is not taken, and what was still under way comes back as a repeat.

After a mended *mapping* there is nothing here to send: what a cell said is not in the event. The department re-reads
its file with `xinliu-adapter redrive`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime

import polars as pl

from schemas.calendar import LAW_TIME
from schemas.reference import Reference
from schemas.settings import Settings
from stream_processors.quarantine import Wanted
from stream_processors.quarantine_events import events_of
from stream_processors.quarantine_judge import Counted, Judge, Judged, first_of
from stream_processors.quarantine_log import note
from stream_processors.quarantine_send import Resender, outcomes_of
from stream_processors.quarantine_send import counted as count_answers
from stream_processors.quarantine_shelf import Shelf

_FIRST_DAY = 719_163  # 1970-01-01 as an ordinal
_ITEMS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Order:
    """What an operator asks for.

    Attributes:
        limit: events to send, at most; None = all. rate_per_second: None = as fast as the broker takes them.
        apply: send; else only say.
        by: who asks, for the log.
        silence_seconds_max: how long to wait for receipts when none come.
    """

    wanted: Wanted
    limit: int | None = None
    rate_per_second: float | None = None
    apply: bool = False
    by: str = ""
    silence_seconds_max: float = 60.0


@dataclass(slots=True)
class Redriven:
    """What was found, and with `apply` what was done.

    Attributes:
        open: open items that were asked for. seen: those that were looked at (a limit ends the looking).
        foreseen: what would become of those that were looked at.
        sent: events that the broker acknowledged. answers: what became of them, by outcome. silent: sent, and without
            a receipt yet.
    """

    open: int = 0
    seen: int = 0
    foreseen: Counted = field(default_factory=Counted)
    sent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    silent: int = 0


def redrive(
    settings: Settings,
    reference: Reference,
    shelf: Shelf,
    order: Order,
    now: Callable[[], datetime],
    progress: Callable[[int, int], None] = lambda seen, open: None,
) -> Redriven:
    """Judge the open items and, where the order says so, send those that pass.

    Args:
        now: the present moment. progress: told how many of the open items were looked at.

    Raises Retryable where the broker or the store does not answer; the message says how to go on.
    """
    items = shelf.items(order.wanted).filter(pl.col("state") == "open")
    judge = Judge(reference, shelf.records, today(now()))
    result = Redriven(open=items.height)
    sender: Resender | None = None
    if order.apply and result.open:
        note(settings, now(), order.by, "redrive", asdict(order.wanted) | {"limit": order.limit})
        sender = Resender(settings, order.rate_per_second)
    try:
        for judged in _judged(shelf, judge, items, order.limit):
            result.foreseen.add(judged)
            result.seen += len(judged.ids) + judged.rejects.height + len(judged.unreadable)
            if sender is not None:
                sender.send(judged.good, judged.ids, judged.departments)
            progress(result.seen, result.open)
        if sender is not None:
            sender.finish()
    finally:
        if sender is not None:
            note(settings, now(), order.by, "redriven", {"sent": len(sender.places)})
    if sender is not None:
        answers = outcomes_of(settings, sender.places, sender.receipt_starts, order.silence_seconds_max)
        result.sent = len(sender.places)
        result.answers = count_answers(answers)
        result.silent = result.sent - len(answers)
    return result


def _judged(shelf: Shelf, judge: Judge, items: pl.DataFrame, limit: int | None) -> Iterator[Judged]:
    """Batches of the items, until as many passed as may be sent."""
    left = limit
    for start in range(0, items.height, _ITEMS_AT_ONCE):
        if left is not None and left <= 0:
            return
        part = items.slice(start, _ITEMS_AT_ONCE)
        ids: list[int] = part["id"].to_list()
        texts = shelf.events(ids)
        events = events_of(ids, [texts.get(number, "") for number in ids])
        departments = dict(zip(ids, part["department"].to_list(), strict=True))
        judged = judge.judge(events, [departments[number] for number in events.ids])
        if left is not None:
            judged = first_of(judged, left)
            left -= len(judged.ids)
        yield judged


def today(now: datetime) -> int:
    """Days since 1970, by the calendar that the law goes by."""
    return now.astimezone(LAW_TIME).date().toordinal() - _FIRST_DAY
