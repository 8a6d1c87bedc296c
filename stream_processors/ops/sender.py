"""Tells one receiver what waits for it, in order, one at a time, until it says yes. Each receiver has its own sender.

A failure holds up this receiver only: the next attempt comes after a pause that doubles, with chance in it, so that a
receiver that comes back is not met by all of its senders at once. What fails for too long becomes a dead letter, which
an operator can send again; the next message then has its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from stream_processors.ops.ledger import Ledger, Queued

log = structlog.get_logger("ops")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt.

    Attributes:
        ok: the receiver has it.
        why: a word for how it failed, never a text of the receiver's: timeout, refused_connection, status_500 ...
        hopeless: this very message is what the receiver does not take, so few more attempts are worth it.
        gone: the receiver says that it is there no more (410): what waits for it becomes dead letters at once.
    """

    ok: bool
    why: str = ""
    hopeless: bool = False
    gone: bool = False


class Receiver(Protocol):
    """The other side of a sender."""

    async def deliver(self, message_id: str, body: bytes) -> Answer:
        """One attempt. It answers in bounded time and raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Policy:
    """When to try again. The pauses add up to three days, as the Standard Webhooks specification suggests."""

    first_pause_seconds: float = 5.0
    longest_pause_seconds: float = 3600.0
    give_up_seconds: float = 3 * 86_400.0
    attempts_of_hopeless: int = 5

    def pause_seconds(self, failures: int, chance: float) -> float:
        """Before the attempt after `failures` failures (>= 1): between half and all of the doubled pause.

        Args:
            chance: from 0 to 1, handed in.
        """
        longest = min(self.longest_pause_seconds, self.first_pause_seconds * 2.0 ** min(failures - 1, 30))
        return longest * (0.5 + 0.5 * chance)

    def gives_up(self, item: Queued, answer: Answer, now: float) -> bool:
        """Whether this failure was its last one."""
        if answer.gone:
            return True
        if answer.hopeless and item.attempts + 1 >= self.attempts_of_hopeless:
            return True
        return now - item.queued_at >= self.give_up_seconds


class Sender:
    """The loop of one receiver.

    Args:
        disk: runs the ledger's calls, one at a time.
        count: called with (reader, outcome): delivered, failed or dead.
    """

    def __init__(
        self,
        reader: str,
        receiver: Receiver,
        ledger: Ledger,
        disk: Executor,
        policy: Policy,
        clock: Callable[[], float],
        chance: Callable[[], float],
        count: Callable[[str, str], None],
    ) -> None:
        self.reader = reader
        self.is_paused = False
        self._receiver = receiver
        self._ledger = ledger
        self._disk = disk
        self._policy = policy
        self._clock = clock
        self._chance = chance
        self._count = count
        self._woken = asyncio.Event()
        self._failures = 0
        self._rests = False

    def wake(self) -> None:
        """Something may be new in the queue."""
        if not self._rests:  # a receiver that fails is left alone until its pause is over
            self._woken.set()

    def try_now(self) -> None:
        """An operator says that the receiver is well again: the pause is over."""
        self._failures = 0
        self._woken.set()

    async def run(self) -> None:
        """For ever; ends by being cancelled. What was being sent is then sent again by the next process."""
        loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            item = None if self.is_paused else await loop.run_in_executor(self._disk, self._ledger.first, self.reader)
            if item is None:
                await self._woken.wait()
                continue
            answer = await self._receiver.deliver(item.id, item.body)
            if answer.ok:
                await loop.run_in_executor(self._disk, self._ledger.delivered, item.number)
                self._failures = 0
                self._count(self.reader, "delivered")
            else:
                await self._after_failure(item, answer)

    async def _after_failure(self, item: Queued, answer: Answer) -> None:
        dead = self._policy.gives_up(item, answer, self._clock())
        await asyncio.get_running_loop().run_in_executor(
            self._disk, lambda: self._ledger.failed(item.number, answer.why, dead=dead)
        )
        self._count(self.reader, "dead" if dead else "failed")
        # Where the message was at fault, the next one has its turn at once; a receiver at fault rests in any case.
        at_once = dead and (answer.hopeless or answer.gone)
        self._failures = 0 if at_once else self._failures + 1
        pause = 0.0 if at_once else self._policy.pause_seconds(self._failures, self._chance())
        what = "given up, a dead letter" if dead else "not delivered"
        log.warning(what, reader=self.reader, id=item.id, why=answer.why, again_in_seconds=round(pause))
        if pause:
            self._rests = True
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause)
            self._rests = False
