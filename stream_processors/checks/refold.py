"""The fold a second time, one record and one event at a time, in plain Python: what `verify` holds register against.

Written from the rules and not from `stream_processors.fold`, so that a fault in one is not in both. Slow on purpose:
millions of events that merely repeat one another do not come through here (`checks.history`).

The rules (design, "Identity, authority, fold"): the content of a record is what the highest rank said at the latest
position, at the lowest rank only by the department that said it first; its status is the closing or reopening at the
latest position, a closing before a reopening at the same one. What is not the current content is remembered as a
marker, so that saying it again is a repeat.
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

# At the same position the higher closing wins.
STATUSES = (
    "valid",
    "withdrawn",
    "repaired",
    "annulled",
    "expired",
    "superseded",
    "conflicting",
    "changed",
    "confirmed",
)
VALID, WITHDRAWN, REPAIRED, ANNULLED, EXPIRED, SUPERSEDED, CONFLICT, CHANGED, CONFIRMED = range(9)

OUTCOMES = ("", "new", "repeat", "superseding", "stale", "conflicting")
NO_EVENT, NEW, REPEAT, SUPERSEDING, STALE, CONFLICTING = range(6)

OPERATIONS = ("report", "annul", "withdraw", "repair", "reinstate", "expire")
REPORT, ANNUL, WITHDRAW, REPAIR, REINSTATE, EXPIRE = range(6)
_CLOSES_TO = {ANNUL: ANNULLED, WITHDRAW: WITHDRAWN, REPAIR: REPAIRED, REINSTATE: VALID}

NOTHING_SAID = -1
SUPERIOR = 2
ANYONE = 1  # the lowest rank: neither the deciding authority nor its superior


class Event(NamedTuple):
    """An identified event as numbers; `order` and `expires_on` as in `checks.columns`."""

    operation: int
    content: int
    order: int
    rank: int
    department: int
    expires_on: int


class Row(NamedTuple):
    """What a row of the history must say beside its event."""

    outcome: int
    revision: int
    status: int
    rank: int
    content_order: int
    status_order: int


class Marker(NamedTuple):
    """Something about a record that was seen.

    Attributes:
        content: of the report, or of the closing or reopening; 0 for a confirmation.
        act: (order, operation, department or None) of a closing or reopening, else None.
    """

    status: int
    content: int
    act: tuple[int, int, int | None] | None


@dataclass(slots=True)
class Record:
    """The state of one record, from its first event on."""

    known: bool = False
    content: int = 0
    content_order: int = NOTHING_SAID
    status: int = VALID
    status_order: int = 0
    rank: int = 0
    department: int = -1
    expires_on: int = 0
    revision: int = 0
    markers: dict[Marker, int] = field(default_factory=dict)
    """Each marker with the position of what brought it."""
    seen: set[object] = field(default_factory=set)

    def copy(self) -> "Record":
        """Another one in the same state."""
        return replace(self, markers=dict(self.markers), seen=set(self.seen))

    def row(self, outcome: int) -> Row:
        """The row of an event that made a new revision."""
        return Row(outcome, self.revision, self.status, self.rank, self.content_order, self.status_order)

    def row_aside(self, outcome: int) -> Row:
        """The row of an event that made none: it bears how it differs, not the status of the record."""
        kept_as = CONFLICT if outcome == CONFLICTING else SUPERSEDED
        return Row(outcome, self.revision, kept_as, self.rank, self.content_order, self.status_order)

    def take(self, event: Event, ended: bool) -> Row | None:
        """Fold one event; None for a repeat. `ended`: whether its publication had ended on the day it was folded."""
        if not self.known:
            return self._open(event, ended)
        if event.operation == REPORT:
            return self._report(event, ended)
        return self._act(event, ended)

    def expire(self) -> Row:
        """Close it because its publication ended."""
        self.status, self.revision = EXPIRED, self.revision + 1
        return self.row(NO_EVENT)

    def _open(self, event: Event, ended: bool) -> Row:
        self.known, self.revision = True, 1
        self.rank, self.department = event.rank, event.department
        closing = event.operation not in (REPORT, REINSTATE)
        if closing:
            # While a closing waits, its rank only says whether its sender may close any record of this authority.
            self.status, self.rank = _CLOSES_TO[event.operation], min(event.rank, SUPERIOR)
        else:
            self.content, self.content_order, self.expires_on = event.content, event.order, event.expires_on
            self.status = EXPIRED if ended else VALID
        if event.operation != REPORT:
            self.status_order = event.order
            self._mark_act(event, CHANGED)
        return self.row(NEW)

    def _report(self, event: Event, ended: bool) -> Row | None:
        waiting = self.content_order == NOTHING_SAID
        same = event.content == self.content and not waiting
        may = event.rank > self.rank or (
            event.rank == self.rank and (event.rank > ANYONE or event.department == self.department)
        )
        later = (event.order, event.content) > (self.content_order, self.content)
        if waiting or (may and (event.rank > self.rank or (later and not same))):
            return self._replace(event, waiting, ended)
        if same:
            if may and event.order > self.content_order:
                self.content_order = event.order
                self._mark(Marker(CONFIRMED, 0, None), event.order)
            return None
        if event.content in self.seen:
            return None
        tied = event.rank == self.rank and event.order == self.content_order
        contradicts = tied or not may
        self._mark(Marker(CONFLICT if contradicts else SUPERSEDED, event.content, None), event.order)
        return self.row_aside(CONFLICTING if contradicts else STALE)

    def _replace(self, event: Event, waiting: bool, ended: bool) -> Row:
        tied = not waiting and event.rank == self.rank and event.order == self.content_order
        if not waiting and event.content != self.content:
            self._mark(Marker(CONFLICT if tied else SUPERSEDED, self.content, None), event.order)
        if waiting and self.rank <= ANYONE and event.department != self.department:
            self.status, self.status_order = VALID, 0  # who closed it had no say in this record
        was_closed = self.status != VALID
        if not was_closed:
            self.expires_on = event.expires_on
            self.status = EXPIRED if ended else VALID
        self.content, self.content_order = event.content, event.order
        self.rank, self.department = event.rank, event.department
        self.revision += 1
        return self.row(STALE if was_closed else CONFLICTING if tied else SUPERSEDING)

    def _act(self, event: Event, ended: bool) -> Row | None:
        status = _CLOSES_TO[event.operation]
        may = event.rank > ANYONE or (self.rank <= ANYONE and event.department == self.department)
        newer = event.order > self.status_order or (
            event.order == self.status_order and status > self.status and self.status != EXPIRED
        )
        waiting = self.content_order == NOTHING_SAID
        if waiting and event.rank > ANYONE and self.rank <= ANYONE:
            newer = True  # the authority's word outweighs a stranger's that waited for its report
        if not (may and newer):
            if _act_key(event) in self.seen:
                return None
            self._mark_act(event, CHANGED if may else CONFLICT)
            return self.row_aside(STALE if may else CONFLICTING)
        self.status, self.status_order, self.revision = status, event.order, self.revision + 1
        self.department = event.department
        if event.operation == REINSTATE:
            if self.content_order != NOTHING_SAID and event.content != self.content:
                self._mark(Marker(SUPERSEDED, self.content, None), event.order)
            self.content, self.content_order = event.content, max(event.order, self.content_order)
            self.rank, self.expires_on = event.rank, event.expires_on
            self.status = EXPIRED if ended else VALID
        elif waiting:
            self.rank = min(event.rank, SUPERIOR)
        self._mark_act(event, CHANGED)
        return self.row(SUPERSEDING)

    def _mark(self, marker: Marker, order: int) -> None:
        if marker.status == CONFIRMED:
            self.markers[marker] = order
        elif marker.content not in self.seen:
            self.seen.add(marker.content)
            self.markers[marker] = order

    def _mark_act(self, event: Event, status: int) -> None:
        key = _act_key(event)
        if key not in self.seen:
            self.seen.add(key)
            self.markers[Marker(status, event.content, key[1:])] = event.order


def _act_key(event: Event) -> tuple[int, int, int, int | None]:
    """An act is the same where content, position and kind are, and for those below the authority the sender."""
    return (event.content, event.order, event.operation, event.department if event.rank <= ANYONE else None)
