"""The events inside of quarantine: read back as intake wrote them, and what of them may be shown.

Pure. Non-goal: showing what a cell held. Every text is masked, and the name of a body is shown, masked too, only where
it holds a word of business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from schemas.avro import CREDIT_EVENT
from schemas.examine import examine
from schemas.persons import mask
from schemas.reference import Reference
from schemas.subjects import keeps_name

NOT_SHOWN = "(not shown)"

_MASKED_TEXTS = (
    "authority_name",
    "authority_code",
    "document_number",
    "item",
    "grade",
    "state",
    "change_document_number",
)
_MASKED_LISTS = ("subject_ids", "classes", "legal_bases")
_PLAIN = (
    "category",
    "operation",
    "region",
    "decided_on",
    "valid_from",
    "valid_to",
    "published_until",
    "change_decided_on",
    "fine_fen",
    "confiscated_fen",
    "amount_fen",
)


@dataclass(frozen=True, slots=True)
class Events:
    """Events as they were set aside.

    Attributes:
        batch: CREDIT_EVENT columns. ids: the item of each of its rows.
        unreadable: items that hold no event, since intake could not read one.
    """

    batch: pa.RecordBatch
    ids: list[int]
    unreadable: list[int]


def events_of(ids: Sequence[int], texts: Sequence[str]) -> Events:
    """The events that intake wrote into quarantine as JSON, each as it was reported.

    Args:
        texts: the field `event` of each item.
    """
    events = {number: event for number, text in zip(ids, texts, strict=True) if (event := _event_of(text)) is not None}
    return Events(
        pa.RecordBatch.from_pylist(list(events.values()), schema=CREDIT_EVENT.arrow),
        list(events),
        [number for number in ids if number not in events],
    )


def _event_of(text: str) -> dict[str, Any] | None:
    """Every field of an event, blank where the text does not say it (it may be older than the field)."""
    try:
        said = json.loads(text)
        return {field.name: _value(field, said.get(field.name)) for field in CREDIT_EVENT.arrow}
    except (ValueError, AttributeError):  # empty, or a day that this calendar does not know
        return None


def _value(field: pa.Field[Any], said: Any) -> Any:
    if said is None:
        return _blank(field)
    if pa.types.is_date32(field.type):
        return date.fromisoformat(said)
    if pa.types.is_timestamp(field.type):
        return datetime.fromisoformat(said)  # UTC, as Arrow keeps it
    return said


def _blank(field: pa.Field[Any]) -> Any:
    if field.nullable:
        return None
    if pa.types.is_list(field.type):
        return list[str]()
    if pa.types.is_string(field.type):
        return ""
    return datetime(1970, 1, 1) if pa.types.is_timestamp(field.type) else 0


def shown_event(event: Mapping[str, Any], department: str, reference: Reference) -> dict[str, Any] | None:
    """The fields of an event that say something, masked; None where today's guard would refuse the row.

    Args:
        event: one row of CREDIT_EVENT columns.
    """
    verdict = examine(pa.RecordBatch.from_pylist([dict(event)], schema=CREDIT_EVENT.arrow), department, reference)
    if (verdict.rejects["outcome"] == "refused").any():
        return None
    shown: dict[str, Any] = {}
    name = event["subject_name"]
    if name:
        # Who this is could not be told, so the strict rule holds: a name without a word of business may be a person's.
        shown["subject_name"] = mask(name) if keeps_name(name, "sole_trader") else NOT_SHOWN
    for field in _MASKED_TEXTS:
        if event[field]:
            shown[field] = mask(event[field])
    for field in _MASKED_LISTS:
        if event[field]:
            shown[field] = [_masked_id(value) if field == "subject_ids" else mask(value) for value in event[field]]
    for field in _PLAIN:
        value = event[field]
        if value not in (None, ""):
            shown[field] = value.isoformat() if isinstance(value, date | datetime) else _plain(value)
    if event["faults"]:
        shown["faults"] = [fault for fault in event["faults"] if re.fullmatch("[a-z_]{1,40}(:[a-z_]{0,40})?", fault)]
    return shown


def _masked_id(identifier: str) -> str:
    """The scheme stands for itself, the number is masked."""
    scheme, colon, number = identifier.partition(":")
    if colon and re.fullmatch("[A-Z-]{1,16}|[?]", scheme):
        return f"{scheme}:{mask(number)}"
    return mask(identifier)


def _plain(value: Any) -> Any:
    """A word of ours as it is; anything else that stands in its place is masked."""
    if isinstance(value, str) and not re.fullmatch("[a-z_]{1,40}|[0-9]{6}", value):
        return mask(value)
    return value
