"""What a person may ask `xinliu explain` about, read from the command line. What can not be read is never repeated."""

import re
from dataclasses import dataclass
from typing import Literal

from schemas.errors import InputError

Kind = Literal["id", "row", "place"]

_ID = re.compile(r"^[0-9a-f]{32}$")
_ROW = re.compile(r"^([a-z0-9-]{1,40}-\d{8}-\d{6}-[0-9a-f]{4,8}):(\d{1,9})(?:\.(\d{1,5}))?$")
_PLACE = re.compile(
    r"^(credit\.(?:receipts|events)\.[a-z0-9-]{1,40}|credit\.quarantine)"
    r"(?:/(\d{1,5})/(\d{1,18})|\[(\d{1,5})\]@(\d{1,18}))(?::(\d{1,9}))?$"
)


@dataclass(frozen=True, slots=True)
class Target:
    """One of three kinds.

    Attributes:
        id: a record's or an event's id (kind `id`).
        submission, row, part: a row of a file; part None = each of its events (kind `row`).
        topic, partition, offset: where a receipt, an event or an item of quarantine lies (kind `place`); `row` then
            picks one row of a receipt, None = its first.
    """

    kind: Kind
    id: str = ""
    submission: str = ""
    row: int | None = None
    part: int | None = None
    topic: str = ""
    partition: int = 0
    offset: int = 0


def target_of(words: str) -> Target:
    """What was typed. Raises InputError, which does not repeat it."""
    words = words.strip()
    if _ID.match(words):
        return Target("id", id=words)
    if row := _ROW.match(words):
        submission, number, part = row.groups()
        return Target("row", submission=submission, row=int(number), part=None if part is None else int(part))
    if place := _PLACE.match(words):
        topic, partition, offset, partition_2, offset_2, number = place.groups()
        return Target(
            "place",
            topic=topic,
            partition=int(partition or partition_2 or 0),
            offset=int(offset or offset_2 or 0),
            row=None if number is None else int(number),
        )
    raise InputError(
        "explaining: name a record or an event by its id (32 characters), a row as SUBMISSION:ROW, or a receipt, an "
        "event or an item of quarantine by its place, e.g. credit.receipts.market/0/12"
    )
