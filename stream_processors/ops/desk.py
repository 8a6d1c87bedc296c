"""The work of ops, whoever rings: compare log and ledger, wake the senders, follow the operators' commands.

Nothing here knows Faust. Each ring, and each `LOOK_SECONDS` without one, does the whole comparison; a ring too many
costs a look, a ring that was lost costs those seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from schemas.errors import Retryable
from schemas.settings import Settings
from schemas.topics import CONTROL, MEASURES
from stream_processors.control_topic import standing_now
from stream_processors.kafka import end_offsets
from stream_processors.metrics import Registry
from stream_processors.ops import notices
from stream_processors.ops.control import Command
from stream_processors.ops.follow import Reader, catch_up
from stream_processors.ops.ledger import Ledger
from stream_processors.ops.message import webhook_body
from stream_processors.ops.notices import FileOutbox, notice_body
from stream_processors.ops.outlook import Outlook
from stream_processors.ops.sender import Policy, Receiver, Sender
from stream_processors.ops.subscribers import Subscriber, reader_of
from stream_processors.ops.webhook import ATTEMPT_SECONDS_MAX, Webhook
from stream_processors.rules.rule import Rule

LOOK_SECONDS = 5.0
UNITS_SECONDS = 5.0
TERMS_SECONDS = 300.0
_COMMANDS = "commands"  # the reader in whose name the ledger remembers which redrives were done

log = structlog.get_logger("ops")


@dataclass(frozen=True, slots=True)
class Parts:
    """What a desk works with; everything that varies is handed in."""

    settings: Settings
    ledger: Ledger
    subscribers: tuple[Subscriber, ...]
    rules: Mapping[str, Rule]
    registry: Registry
    clock: Callable[[], float]
    chance: Callable[[], float]
    outlook: Outlook
    policy: Policy = field(default_factory=Policy)
    attempt_seconds_max: float = ATTEMPT_SECONDS_MAX


class Desk:
    """Use `run` as one task; `ring` may be called from the same loop at any time."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._rung = asyncio.Event()
        self._rung_for: set[str] = set()
        self._same_topic = False
        self._whole_at = float("-inf")
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._senders: dict[str, Sender] = {}
        self._readers = [
            *(Reader(reader_of(s.id), _wants(s), webhook_body) for s in parts.subscribers),
            Reader(notices.READER, notices.wants, lambda measure: notice_body(measure, parts.rules)),
        ]
        self._ends: dict[int, int] = {}
        self._command_ends: dict[int, int] = {}
        self.looked_at = 0.0  # time.monotonic() of the last whole look; 0 = none yet
        self.away = False

    @property
    def readers(self) -> tuple[str, ...]:
        """Names of all who are told."""
        return tuple(reader.name for reader in self._readers)

    def ring(self, topic: str) -> None:
        """Something may have happened on this topic."""
        self._rung_for.add(topic)
        self._rung.set()

    async def run(self) -> None:
        """Until it is cancelled. Raises a fault of ours or of the disk; the process then ends and comes back."""
        async with AsyncExitStack() as stack:
            stack.callback(self._disk.shutdown, wait=True)
            tasks = [asyncio.create_task(self._look_for_ever(), name="look")]
            outlook = self._parts.outlook
            tasks.append(asyncio.create_task(self._now_and_then(outlook.look_at_units, UNITS_SECONDS), name="units"))
            tasks.append(asyncio.create_task(self._now_and_then(outlook.look_at_terms, TERMS_SECONDS), name="terms"))
            for subscriber in self._parts.subscribers:
                hook = Webhook(subscriber.url, subscriber.secrets, self._parts.clock, self._parts.attempt_seconds_max)
                receiver: Receiver = await stack.enter_async_context(hook)
                tasks.append(self._send(reader_of(subscriber.id), receiver))
            tasks.append(self._send(notices.READER, FileOutbox(self._parts.settings.home / "outbox")))
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def _send(self, reader: str, receiver: Receiver) -> asyncio.Task[None]:
        parts = self._parts
        sender = Sender(
            reader, receiver, parts.ledger, self._disk, parts.policy, parts.clock, parts.chance, self._count
        )
        self._senders[reader] = sender
        return asyncio.create_task(sender.run(), name=reader)

    def _count(self, reader: str, outcome: str) -> None:
        self._parts.registry.add("xinliu_deliveries_total", (reader, outcome))

    async def _look_for_ever(self) -> None:
        while True:
            self._rung.clear()
            topics, self._rung_for = self._rung_for, set()
            if time.monotonic() - self._whole_at >= LOOK_SECONDS:
                topics, self._whole_at = set(), time.monotonic()  # a ring that was lost is not waited for
            try:
                await self.look(topics)
                self.away = False
            except Retryable as error:
                if not self.away:  # told once for each outage
                    log.warning("trying on", why=str(error))
                self.away, self._same_topic = True, False
                self._ends.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._rung.wait(), LOOK_SECONDS)

    async def _now_and_then(self, look: Callable[[], None], seconds: float) -> None:
        """An outlook that is away for now is looked for again; nobody waits for it."""
        away = False
        while True:
            try:
                await asyncio.to_thread(look)
                away = False
            except Retryable as error:
                if not away:
                    log.warning("trying on", why=str(error))
                away = True
            await asyncio.sleep(seconds)

    async def look(self, topics: Collection[str] = ()) -> None:
        """Compare what was rung for, all of it by default. Raises Retryable while the broker does not answer."""
        # Commands first: what is paused is not told, whatever is new.
        if not topics or CONTROL in topics:
            await self._follow_commands()
        if not topics or MEASURES in topics:
            await asyncio.to_thread(self._compare, MEASURES in topics)
        for sender in self._senders.values():
            sender.wake()
        self.looked_at = time.monotonic()

    def _compare(self, is_rung: bool) -> None:
        parts = self._parts
        # Without a ring there is mostly nothing: that is asked first, since it costs less than to read.
        ends = dict[int, int]() if is_rung else end_offsets(parts.settings, MEASURES)
        if is_rung or ends != self._ends:
            same = self._same_topic
            new, unreadable = catch_up(parts.settings, parts.ledger, self._readers, parts.clock, same_topic=same)
            self._ends, self._same_topic = ends, True
            if new or unreadable:
                log.info("queued", new=new, unreadable=unreadable)
        counts = parts.ledger.counts()
        for reader in self.readers:
            waiting, dead = counts.get(reader, (0, 0))
            parts.registry.set("xinliu_deliveries_waiting", (reader,), waiting)
            parts.registry.set("xinliu_dead_letters", (reader,), dead)

    async def _follow_commands(self) -> None:
        parts = self._parts
        ends = await asyncio.to_thread(end_offsets, parts.settings, CONTROL)
        if ends == self._command_ends:
            return
        found = await asyncio.to_thread(standing_now, parts.settings, self.readers)
        for name, sender in self._senders.items():
            command = found.paused.get(name)
            if sender.is_paused != (command is not None):
                sender.is_paused = command is not None
                word = "paused" if command else "resumed"
                log.warning(word, reader=name, operator=command.operator if command else "")
        done = await asyncio.to_thread(parts.ledger.positions, _COMMANDS)
        for command in found.redrives:
            if command.offset >= done.get(0, 0):
                letters = await asyncio.to_thread(self._redrive, command)
                log.warning("redriven", reader=command.target, letters=letters, operator=command.operator)
                if command.target in self._senders:
                    self._senders[command.target].try_now()
        self._command_ends = ends

    def _redrive(self, command: Command) -> int:
        """Back into the queue; done twice it does nothing the second time, so its place may be noted after it."""
        parts = self._parts
        letters = parts.ledger.redrive(command.target, parts.clock())
        parts.ledger.advance({(_COMMANDS, 0): command.offset + 1}, [], parts.clock())
        return letters


def _wants(subscriber: Subscriber) -> Callable[[Mapping[str, Any]], bool]:
    return lambda measure: bool(measure["case_id"]) and subscriber.wants(measure)
