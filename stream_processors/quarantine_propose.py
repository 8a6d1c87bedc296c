"""Proposals for what was set aside, and the one way to accept one: by its id, by a person, with a line in the log.

What is proposed is decided by `schemas.proposals`. An accepted one goes through the department's topic like every
event, with its id, row and time as reported; the event as it was reported stays in quarantine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from schemas.avro import CREDIT_EVENT
from schemas.errors import InputError, Retryable
from schemas.persons import screen_text
from schemas.proposals import Proposal, accepted, propose
from schemas.reasons import REASONS
from schemas.reference import Reference
from schemas.settings import Settings
from stream_processors.quarantine import Wanted
from stream_processors.quarantine_events import Events, events_of
from stream_processors.quarantine_judge import Judge
from stream_processors.quarantine_log import note
from stream_processors.quarantine_redrive import today
from stream_processors.quarantine_send import Resender, outcomes_of
from stream_processors.quarantine_shelf import Shelf

_DOING = "accepting a proposal"
_HASH_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Offered:
    """A proposal for one item.

    Attributes:
        id: by which it is accepted: the item's number, a hyphen and a short hash of what is proposed, so that an id
            never comes to mean something else.
        reason: why the item was set aside.
    """

    id: str
    item: int
    reason: str
    event: Mapping[str, Any]
    proposal: Proposal

    def as_json(self) -> dict[str, Any]:
        """What may be shown: the proposed code, never the value that it takes the place of."""
        return {
            "id": self.id,
            "item": self.item,
            "reason": self.reason,
            "field": self.proposal.field,
            "proposed": shown(self.proposal),
            "why": self.proposal.why_en,
            "why_zh": self.proposal.why_zh,
            "confirmed_by": list(self.proposal.confirmed_by),
        }


def shown(proposal: Proposal) -> str:
    """The proposed value; nothing where the guard sees a personal number in it, which no proposal should hold."""
    is_code = proposal.field in ("subject_ids", "authority_code")
    return "" if screen_text(proposal.shown, is_code=is_code) is not None else proposal.shown


def offers(shelf: Shelf, reference: Reference, wanted: Wanted, limit: int) -> list[Offered]:
    """Proposals for open items, oldest first: those of the first `limit` items that have any."""
    items = [item for item in shelf.items(wanted).to_dicts() if item["state"] == "open"]
    found: list[Offered] = []
    with_any = 0
    for start in range(0, len(items), 5_000):
        part = {item["id"]: item for item in items[start : start + 5_000]}
        events = _events(shelf, list(part))
        for number, event in zip(events.ids, events.batch.to_pylist(), strict=True):
            item = part[number]
            mine = _offers_for(number, event, item["reason"], item["detail"], reference)
            found += mine
            with_any += bool(mine)
            if with_any >= limit:
                return found
    return found


def _events(shelf: Shelf, ids: Sequence[int]) -> Events:
    texts = shelf.events(ids)
    return events_of(ids, [texts.get(number, "") for number in ids])


def _offers_for(number: int, event: Mapping[str, Any], reason: str, detail: str, reference: Reference) -> list[Offered]:
    return [
        Offered(offer_id(number, proposal), number, reason, event, proposal)
        for proposal in propose(event, reason, detail, reference)
        if shown(proposal)
    ]


def offer_id(number: int, proposal: Proposal) -> str:
    """See `Offered.id`."""
    said = json.dumps([proposal.field, proposal.value], ensure_ascii=False)
    return f"{number}-{hashlib.sha256(said.encode()).hexdigest()[:_HASH_DIGITS]}"


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of an accepted proposal; `outcome` is empty while the platform has not said."""

    offered: Offered
    outcome: str
    reason: str
    detail: str


def accept(
    settings: Settings,
    reference: Reference,
    shelf: Shelf,
    words: str,
    by: str,
    now: Callable[[], datetime],
    silence_seconds_max: float,
) -> Accepted:
    """Send the corrected event and wait for its receipt.

    Args:
        words: id of the proposal as a person typed it. by: who accepts, for the log.

    Raises:
        InputError: there is no such proposal, or the event would not be recorded with it either.
        Retryable: Kafka or the store does not answer.
    """
    offered, department = _find(shelf, reference, words)
    corrected = accepted(offered.event, offered.proposal)
    batch = pa.RecordBatch.from_pylist([corrected], schema=CREDIT_EVENT.arrow)
    judged = Judge(reference, shelf.records, today(now())).judge(Events(batch, [offered.item], []), [department])
    if not judged.ids:
        reason, detail = judged.rejects.select("reason", "detail").row(0)
        raise InputError(
            f"{_DOING}: with it the event would still not be recorded, {REASONS[reason].message(detail)}; "
            "nothing was sent"
        )
    note(
        settings,
        now(),
        by,
        "accept",
        {
            "item": offered.item,
            "proposal": offered.id,
            "field": offered.proposal.field,
            "event_id": str(offered.event["event_id"]),
        },
    )
    sender = Resender(settings)
    sender.send(judged.good, judged.ids, judged.departments)
    sender.finish()
    answers = outcomes_of(settings, sender.places, sender.receipt_starts, silence_seconds_max)
    return Accepted(offered, *answers.get(offered.item, ("", "", "")))


def _find(shelf: Shelf, reference: Reference, words: str) -> tuple[Offered, str]:
    """The proposal and the department of its item."""
    number, hyphen, digits = words.partition("-")
    if not (number.isascii() and number.isdigit() and len(number) <= 18 and hyphen and len(digits) == _HASH_DIGITS):
        raise InputError(
            f"{_DOING}: that is no id of a proposal; xinliu quarantine propose GROUP lists them, e.g. 120-3fa9c1"
        )
    items = shelf.items(Wanted(id=int(number))).to_dicts()
    if not items:
        raise InputError(f"{_DOING}: nothing was set aside under number {int(number)}; see xinliu quarantine list")
    item = items[0]
    if item["state"] != "open":
        raise InputError(
            f"{_DOING}: item {item['id']} is not open any more, it was "
            f"{'repaired since' if item['state'] == 'repaired' else 'set aside again since'}; nothing was sent"
        )
    events = _events(shelf, [item["id"]])
    if not events.ids:
        raise InputError(f"{_DOING}: item {item['id']} holds no event that could be read; nothing was sent")
    mine = _offers_for(item["id"], events.batch.to_pylist()[0], item["reason"], item["detail"], reference)
    for offered in mine:
        if offered.id == words:
            return offered, item["department"]
    ids = ", ".join(offered.id for offered in mine)
    raise InputError(f"{_DOING}: there is no such proposal; for item {item['id']} there is {ids or 'none'}")


def raise_if_silent(result: Accepted) -> None:
    """A proposal whose receipt did not come is said as such: it was sent all the same."""
    if not result.outcome:
        raise Retryable(
            f"{_DOING}: the corrected event was sent, and the platform has not said what became of it; see "
            "xinliu status, and later xinliu quarantine list"
        )
