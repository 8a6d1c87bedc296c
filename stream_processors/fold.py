"""What a batch of reports does to the records: new, repeat, superseding, stale or conflicting. Pure but for its index.

A record is the newest of what its authority said about it, and whether it is closed. Two positions decide, so that any
order of arrival ends in the same state:

- content: the report of the highest rank (deciding authority, its superior, others) and, within it, of the highest
  `content_order`: source version, then date; at the same position the greater content hash, and such a pair is a
  conflict that its source should mend. At the lowest rank only the department that came first replaces what it said.
- status: the closing (annul, withdraw, repair) or reopening (reinstate) with the highest `status_order`; at the same
  position the closing wins. A report never opens a closed record; only its authority's `reinstate` does.

Whatever is not the current content leaves a *marker*, a slot of its own with an id made of the record's id and that
content. So sending it again is a repeat, whatever happened since, and the state still is what the committed log says.
A newer report of the same content by whoever may replace it is a repeat as well, and yet it moves the record's
position, or a late report from between the two would win: one more marker for each record, `confirmed`, keeps that.

Source of the rules: design, "Identity, authority, fold"; promises 3 and 7.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from schemas.hashing import mix
from stream_processors.index import NEVER, Index

Array = np.ndarray[Any, Any]

NEW, REPEAT, SUPERSEDING, STALE, CONFLICTING = range(1, 6)
OUTCOME_NAMES = ("", "new", "repeat", "superseding", "stale", "conflicting")

# Status codes as they stand in a slot; at the same status_order the higher code wins, so a closing beats a reopening.
VALID, WITHDRAWN, REPAIRED, ANNULLED, EXPIRED, SUPERSEDED, CONFLICT, CHANGED, CONFIRMED = range(9)
STATUS_NAMES = (
    "valid", "withdrawn", "repaired", "annulled", "expired", "superseded", "conflicting", "changed", "confirmed",
)  # fmt: skip
_FIRST_MARKER = SUPERSEDED

# Operation codes. A correction is a report: what it may replace follows from who sends it.
REPORT, ANNUL, WITHDRAW, REPAIR, REINSTATE = range(5)
OPERATION_CODES = {
    "report": REPORT,
    "correct": REPORT,
    "annul": ANNUL,
    "withdraw": WITHDRAW,
    "repair": REPAIR,
    "reinstate": REINSTATE,
}
_STATUS_OF_OPERATION = np.array([VALID, ANNULLED, WITHDRAWN, REPAIRED, VALID], np.uint8)

_NOTHING_SAID = np.int64(-1)  # content_order of a record that was closed before anything was reported of it


@dataclass(frozen=True, slots=True)
class Reports:
    """Identified reports as columns, in the order of their offsets within one partition.

    Attributes:
        high, low, content: uint64; operation: uint8 codes above; order: int64, see `order_of`.
        rank: uint8; department: uint32 hash; category: uint8; expires_on: int32 days since 1970 or NEVER.
        keys: subject keys as S32.
    """

    high: Array
    low: Array
    content: Array
    operation: Array
    order: Array
    rank: Array
    department: Array
    category: Array
    expires_on: Array
    keys: Array

    def __len__(self) -> int:
        return len(self.high)


@dataclass(slots=True)
class Folded:
    """What became of each report, and what has to be written.

    Attributes, one entry per report:
        outcome: NEW … CONFLICTING. revision, status, rank, content and the two orders: of the record afterwards.
        rewrites: the record has a new revision, which goes to `credit.records`.
        markers: what is marked as seen: rows of the reports that brought it, ids and status of the markers.
    """

    outcome: Array
    revision: Array
    status: Array
    rank: Array
    content: Array
    content_order: Array
    status_order: Array
    rewrites: Array
    markers: list[tuple[Array, Array, Array, Array]] = field(default_factory=list)
    """(rows, high, low, status) of new markers."""

    def put(self, rows: Array, part: Folded) -> None:
        """Take what became of some of the reports, which lie in these rows."""
        for name in _COLUMNS:
            getattr(self, name)[rows] = getattr(part, name)
        self.markers += [(rows[brought_by], high, low, status) for brought_by, high, low, status in part.markers]


_COLUMNS = ("outcome", "revision", "status", "rank", "content", "content_order", "status_order", "rewrites")


def blank_folded(count: int) -> Folded:
    """Nothing decided yet of `count` reports."""
    return Folded(
        outcome=np.zeros(count, np.uint8),
        revision=np.zeros(count, np.uint32),
        status=np.zeros(count, np.uint8),
        rank=np.zeros(count, np.uint8),
        content=np.zeros(count, np.uint64),
        content_order=np.zeros(count, np.int64),
        status_order=np.zeros(count, np.int64),
        rewrites=np.zeros(count, bool),
    )


def order_of(version_ms: Array, day: Array) -> Array:
    """One sortable number from a source version (milliseconds, 0 = none) and a date (days since 1970, minimum = none).

    1/100 s in the high bits, days since 0001 in the low 22; always at least 1.
    """
    days = np.clip(day.astype(np.int64) + 719_163, 0, (1 << 22) - 1)
    return np.maximum(((version_ms.astype(np.int64) // 10) << 22) | days, 1)


def fold(index: Index, reports: Reports, today: int) -> Folded:
    """Decide and apply each report in order; the index keeps an undo list until the batch is committed.

    Reports of different records are independent, so each round takes the next report of every record at once.

    Args:
        today: days since 1970; a record whose publication ended before it is expired on arrival.
    """
    index.reserve(2 * len(reports))
    folded = blank_folded(len(reports))
    for rows in _rounds(reports):
        _fold_round(index, reports, rows, today, folded)
    return folded


def _rounds(reports: Reports) -> list[Array]:
    """Rows of the first report of each record, of the second, and so on."""
    count = len(reports)
    if count == 0:
        return []
    by_id = np.lexsort((reports.high, reports.low))  # stable: within a record in the order of arrival
    high, low = reports.high[by_id], reports.low[by_id]
    starts = np.ones(count, bool)
    starts[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    if starts.all():
        return [np.arange(count)]
    positions = np.arange(count)
    nth = positions - np.maximum.accumulate(np.where(starts, positions, 0))
    turn = np.empty(count, np.int64)
    turn[by_id] = nth
    by_turn = np.argsort(turn, kind="stable")
    return np.split(by_turn, np.flatnonzero(np.diff(turn[by_turn])) + 1)


def _fold_round(index: Index, reports: Reports, rows: Array, today: int, folded: Folded) -> None:
    """One report of each of many records."""
    places = index.find(reports.high[rows], reports.low[rows])
    unknown = places < 0
    if unknown.any():
        _open(index, reports, rows[unknown], today, folded)
    if unknown.all():
        return
    rows, places = rows[~unknown], places[~unknown]
    operation = reports.operation[rows]
    says = operation == REPORT
    _report(index, reports, rows[says], places[says], today, folded)
    changes = ~says
    if changes.any():
        _change_status(index, reports, rows[changes], places[changes], today, folded)


def _open(index: Index, reports: Reports, rows: Array, today: int, folded: Folded) -> None:
    """Records that were not there. A closing of something unknown is kept, and waits for its report."""
    places = index.insert(reports.high[rows], reports.low[rows])
    operation = reports.operation[rows]
    status = _STATUS_OF_OPERATION[operation].copy()
    closing = status != VALID
    status[~closing & (reports.expires_on[rows] < today)] = EXPIRED
    slots = index.slots
    slots["content"][places] = np.where(closing, np.uint64(0), reports.content[rows])
    slots["content_order"][places] = np.where(closing, _NOTHING_SAID, reports.order[rows])
    slots["status_order"][places] = np.where(operation == REPORT, np.int64(0), reports.order[rows])
    slots["expires_on"][places] = np.where(status == VALID, reports.expires_on[rows], NEVER)
    slots["department"][places] = reports.department[rows]
    slots["status"][places] = status
    # While a closing waits, its rank only says whether its sender may close any record of this authority.
    slots["rank"][places] = np.where(closing, np.minimum(reports.rank[rows], 2), reports.rank[rows])
    slots["category"][places] = reports.category[rows]
    index.keys[places] = reports.keys[rows]
    _say(index, rows, places, NEW, folded, rewrites=True)
    acts = operation != REPORT
    if acts.any():
        _mark_act(index, reports, rows[acts], CHANGED, folded)


def _report(index: Index, reports: Reports, rows: Array, places: Array, today: int, folded: Folded) -> None:
    """Reports of records that are there."""
    if len(rows) == 0:
        return
    slots = index.at(places)
    content, order = reports.content[rows], reports.order[rows]
    rank, department = reports.rank[rows], reports.department[rows]
    same = slots["content"] == content
    holder = slots["department"] == department
    waiting = slots["content_order"] == _NOTHING_SAID
    higher = rank > slots["rank"]
    equal = rank == slots["rank"]
    later = (order > slots["content_order"]) | ((order == slots["content_order"]) & (content > slots["content"]))
    tied = equal & (order == slots["content_order"]) & ~same & ~waiting
    may = higher | (equal & (holder | (rank > 1)))
    wins = waiting | (may & (higher | (later & ~same)))

    # Nothing new: what is on record already, of the same or a lower rank.
    repeats = same & ~wins
    confirms = np.flatnonzero(repeats & may & (order > slots["content_order"]))
    if len(confirms):
        _confirm(index, reports, rows[confirms], places[confirms], folded)
    _say(index, rows[repeats], places[repeats], REPEAT, folded, rewrites=False)

    at = np.flatnonzero(wins)
    if len(at):
        _replace(index, reports, rows[at], places[at], slots[at], tied[at], today, folded)

    at = np.flatnonzero(~wins & ~same)
    if len(at):
        contradicts = (~may | tied)[at]
        _keep_aside(index, reports, rows[at], places[at], contradicts, folded)


def _replace(
    index: Index, reports: Reports, rows: Array, places: Array, before: Array, tied: Array, today: int, folded: Folded
) -> None:
    """The report takes the place of what was there; on a closed record it does so in silence."""
    index.remember(places)
    slots = index.slots
    content = reports.content[rows]
    replaced = (before["content_order"] != _NOTHING_SAID) & (before["content"] != content)
    # A closing that waited counts when its sender may close this record: the authority, its superior, or whoever
    # reports.
    waited = before["content_order"] == _NOTHING_SAID
    void = waited & (before["rank"] < 2) & (before["department"] != reports.department[rows])
    status = np.where(void, VALID, before["status"]).astype(np.uint8)
    status[(status == VALID) & (reports.expires_on[rows] < today)] = EXPIRED
    slots["content"][places] = content
    slots["content_order"][places] = reports.order[rows]
    slots["status_order"][places] = np.where(void, np.int64(0), before["status_order"])
    slots["rank"][places] = reports.rank[rows]
    slots["department"][places] = reports.department[rows]
    slots["category"][places] = reports.category[rows]
    slots["status"][places] = status
    slots["expires_on"][places] = np.where(status == VALID, reports.expires_on[rows], NEVER)
    slots["revision"][places] += np.uint32(1)
    closed_before = (before["status"] != VALID) & ~void
    outcome = np.where(closed_before, STALE, np.where(tied, CONFLICTING, SUPERSEDING))
    _say(index, rows, places, outcome, folded, rewrites=True)
    at = np.flatnonzero(replaced)
    if len(at):
        older = np.where(tied[at], CONFLICT, SUPERSEDED).astype(np.uint8)
        high, low = marker_id(reports.high[rows[at]], reports.low[rows[at]], before["content"][at])
        _mark(index, reports, rows[at], high, low, older, folded)


def _confirm(index: Index, reports: Reports, rows: Array, places: Array, folded: Folded) -> None:
    """The content stands, at a later position."""
    index.remember(places)
    index.slots["content_order"][places] = reports.order[rows]
    high, low = confirmation_id(reports.high[rows], reports.low[rows])
    known = index.find(high, low)
    there = np.flatnonzero(known >= 0)
    if len(there):
        index.remember(known[there])
        index.slots["content_order"][known[there]] = reports.order[rows[there]]
        status = np.full(len(there), CONFIRMED, np.uint8)
        folded.markers.append((rows[there], high[there], low[there], status))
    fresh = np.flatnonzero(known < 0)
    if len(fresh):
        status = np.full(len(fresh), CONFIRMED, np.uint8)
        _mark(index, reports, rows[fresh], high[fresh], low[fresh], status, folded)


def _keep_aside(index: Index, reports: Reports, rows: Array, places: Array, contradicts: Array, folded: Folded) -> None:
    """Reports that do not become the current content: seen before, older, or in contradiction."""
    high, low = marker_id(reports.high[rows], reports.low[rows], reports.content[rows])
    seen = index.find(high, low) >= 0
    _say(index, rows[seen], places[seen], REPEAT, folded, rewrites=False)
    fresh = ~seen
    if fresh.any():
        outcome = np.where(contradicts[fresh], CONFLICTING, STALE)
        _say(index, rows[fresh], places[fresh], outcome, folded, rewrites=False)
        status = np.where(contradicts[fresh], CONFLICT, SUPERSEDED).astype(np.uint8)
        _mark(index, reports, rows[fresh], high[fresh], low[fresh], status, folded)


def _change_status(index: Index, reports: Reports, rows: Array, places: Array, today: int, folded: Folded) -> None:
    """Closings and reopenings of records that are there."""
    before = index.at(places)
    operation, order, rank = reports.operation[rows], reports.order[rows], reports.rank[rows]
    status = _STATUS_OF_OPERATION[operation].copy()
    holder = before["department"] == reports.department[rows]
    may = (rank > 1) | ((before["rank"] <= 1) & holder)
    since = before["status_order"]
    newer = (order > since) | ((order == since) & (status > before["status"]) & (before["status"] != EXPIRED))
    waiting = before["content_order"] == _NOTHING_SAID
    newer |= waiting & (rank > 1) & (before["rank"] < 2)  # the authority's word outweighs a stranger's that waited
    applies = may & newer

    at = np.flatnonzero(applies)
    if len(at):
        r, p, b = rows[at], places[at], before[at]
        index.remember(p)
        opens = operation[at] == REINSTATE
        after = status[at]
        after[opens & (reports.expires_on[r] < today)] = EXPIRED
        slots = index.slots
        slots["status"][p] = after
        slots["status_order"][p] = order[at]
        slots["expires_on"][p] = np.where(after == VALID, reports.expires_on[r], NEVER)
        # A stub has no facts: what a reinstated record says is what its reinstatement says.
        slots["content"][p] = np.where(opens, reports.content[r], b["content"])
        slots["content_order"][p] = np.where(opens, np.maximum(order[at], b["content_order"]), b["content_order"])
        waited = waiting[at] & ~opens
        slots["rank"][p] = np.where(opens, rank[at], np.where(waited, np.minimum(rank[at], 2), b["rank"]))
        slots["department"][p] = reports.department[r]  # as the log has it: a restore must end in the same state
        slots["revision"][p] += np.uint32(1)
        _say(index, r, p, SUPERSEDING, folded, rewrites=True)
        replaced = np.flatnonzero(opens & (b["content"] != reports.content[r]) & (b["content_order"] >= 0))
        if len(replaced):
            high, low = marker_id(reports.high[r[replaced]], reports.low[r[replaced]], b["content"][replaced])
            _mark(index, reports, r[replaced], high, low, np.full(len(replaced), SUPERSEDED, np.uint8), folded)
        _mark_act(index, reports, r, CHANGED, folded)

    at = np.flatnonzero(~applies)
    if len(at):
        high, low = _act_id(reports, rows[at])
        seen = index.find(high, low) >= 0
        _say(index, rows[at[seen]], places[at[seen]], REPEAT, folded, rewrites=False)
        fresh = ~seen
        if fresh.any():
            allowed = may[at[fresh]]
            _say(
                index, rows[at[fresh]], places[at[fresh]], np.where(allowed, STALE, CONFLICTING), folded, rewrites=False
            )
            kind = np.where(allowed, CHANGED, CONFLICT).astype(np.uint8)
            _mark(index, reports, rows[at[fresh]], high[fresh], low[fresh], kind, folded)


def _say(index: Index, rows: Array, places: Array, outcome: Any, folded: Folded, *, rewrites: bool) -> None:
    if len(rows) == 0:
        return
    slots = index.at(places)
    folded.outcome[rows] = outcome
    folded.revision[rows] = slots["revision"]
    folded.status[rows] = slots["status"]
    folded.rank[rows] = slots["rank"]
    folded.content[rows] = slots["content"]
    folded.content_order[rows] = slots["content_order"]
    folded.status_order[rows] = slots["status_order"]
    folded.rewrites[rows] = rewrites


def _mark_act(index: Index, reports: Reports, rows: Array, status: int, folded: Folded) -> None:
    high, low = _act_id(reports, rows)
    _mark(index, reports, rows, high, low, np.full(len(rows), status, np.uint8), folded)


def _mark(index: Index, reports: Reports, rows: Array, high: Array, low: Array, status: Array, folded: Folded) -> None:
    """Remember contents as seen, each once."""
    fresh = index.find(high, low) < 0
    if not fresh.any():
        return
    rows, high, low, status = rows[fresh], high[fresh], low[fresh], status[fresh]
    places = index.insert(high, low)
    slots = index.slots
    slots["status"][places] = status
    slots["content_order"][places] = reports.order[rows]
    slots["rank"][places] = reports.rank[rows]
    slots["department"][places] = reports.department[rows]
    slots["category"][places] = reports.category[rows]
    slots["expires_on"][places] = NEVER
    index.keys[places] = reports.keys[rows]
    folded.markers.append((rows, high, low, status))


def marker_id(high: Array, low: Array, content: Array) -> tuple[Array, Array]:
    """Id of the marker for another content of a record."""
    return mix(high, content), mix(low, content)


def confirmation_id(high: Array, low: Array) -> tuple[Array, Array]:
    """Id of the marker that keeps the latest position of a record's content."""
    return marker_id(high, low, np.full(len(high), CONFIRMED, np.uint64))


def _act_id(reports: Reports, rows: Array) -> tuple[Array, Array]:
    """Id of the marker for a closing or reopening: its kind and position count, and below the authority who sent it."""
    act = mix(reports.order[rows].astype(np.uint64), reports.operation[rows].astype(np.uint64))
    act = mix(act, np.where(reports.rank[rows] > 1, 0, reports.department[rows]).astype(np.uint64))
    return marker_id(reports.high[rows], reports.low[rows], mix(reports.content[rows], act))


@dataclass(frozen=True, slots=True)
class Expired:
    """Records whose publication ended: their places in the index, already marked as expired."""

    places: Array


def expire(index: Index, today: int) -> Expired:
    """Close every valid record whose publication ended before `today` (days since 1970).

    A scan of one column: 50 million slots take a tenth of a second once a day, and an index of dates that has to be
    kept, restored and undone beside the table is saved.
    """
    slots = index.slots
    due = np.flatnonzero((slots["expires_on"] < today) & (slots["revision"] != 0) & (slots["status"] == VALID))
    if len(due):
        index.remember(due)
        slots["status"][due] = EXPIRED
        slots["expires_on"][due] = NEVER
        slots["revision"][due] += np.uint32(1)
    return Expired(due)


def is_marker(status: Array) -> Array:
    """Whether slots with these status codes are markers."""
    return status >= _FIRST_MARKER
