"""Is the history what a second fold of the identified events says, and do the records hold its newest revisions? Pure.

Both logs are read one after the other from a system that runs on, so each row of the history is one of: of an event
that was read (`matched`), of one that `credit.identified` does not keep any more (`older`), of one that came after we
had read it (`later`), of no event but of time (`expiry`), or a fault (`stray`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from stream_processors.checks import refold
from stream_processors.checks.columns import shanghai_days
from stream_processors.checks.findings import EXAMPLES_MAX
from stream_processors.checks.places import Departments
from stream_processors.checks.refold import Event, Marker, Record, Row

Ints = np.ndarray[Any, Any]

MATCHED, OLDER, LATER, EXPIRY, STRAY = range(5)
UNJUDGED = 255
_CHUNK_RECORDS = 20_000


@dataclass(frozen=True, slots=True)
class Aligned:
    """Identified events and rows of the history, each numbered by its record and in the order of these numbers.

    Attributes:
        events: columns of `columns.identified_columns`, folded (register has passed it), record.
        rows: columns of `columns.record_columns`, kind (MATCHED …), record.
        records: how many there are.
    """

    events: pl.DataFrame
    rows: pl.DataFrame
    records: int


@dataclass(slots=True)
class Verdict:
    """What the second fold says.

    Attributes:
        outcomes: for each of `Aligned.events`: code of `refold.OUTCOMES`, or UNJUDGED.
        differences: for how many records the history is another; sentences: the first of them.
        settled: for each record: whether all that is known of it was judged and nothing came later.
        markers: of settled records: identity, marker, position.
    """

    outcomes: Ints
    settled: Ints
    differences: int = 0
    sentences: list[str] = field(default_factory=list)
    markers: list[tuple[str, Marker, int]] = field(default_factory=list)

    def differs(self, sentence: str) -> None:
        """Count a record whose history is another."""
        self.differences += 1
        if self.differences <= EXAMPLES_MAX:
            self.sentences.append(sentence)


def align(events: pl.DataFrame, rows: pl.DataFrame, *, whole: bool) -> Aligned:
    """Number the records and say of each row of the history what it is.

    Args:
        whole: whether `credit.identified` still has every event that was ever written to it.
    """
    identity = ["partition", "high", "low"]
    numbers = pl.concat([events.select(identity), rows.select(identity)]).unique().with_row_index("record")
    return Aligned(
        events.join(numbers, on=identity, how="left").sort("record", "offset"),
        _with_kinds(events, rows, whole).join(numbers, on=identity, how="left").sort("record", "offset"),
        numbers.height,
    )


def _with_kinds(events: pl.DataFrame, rows: pl.DataFrame, whole: bool) -> pl.DataFrame:
    stream = (pl.col("place") // (1 << 44)).alias("stream")
    # In one partition, the events of one stream come in the order of their offsets.
    bounds = events.group_by("partition", stream).agg(first=pl.col("place").min(), last=pl.col("place").max())
    found = rows.join(
        events.select("place").unique().with_columns(known=True), on="place", how="left", maintain_order="left"
    )
    found = found.with_columns(stream).join(bounds, on=["partition", "stream"], how="left", maintain_order="left")
    is_matched = pl.col("known").is_not_null() & (pl.col("operation") != refold.EXPIRE)
    edges = found.filter(is_matched).group_by("partition").agg(begin=pl.col("offset").min(), end=pl.col("offset").max())
    found = found.join(edges, on="partition", how="left", maintain_order="left")
    is_older = (
        pl.lit(not whole)
        & (pl.col("place") < pl.col("first")).fill_null(True)
        & (pl.col("offset") < pl.col("begin")).fill_null(True)
    )
    is_later = (pl.col("place") > pl.col("last")).fill_null(True) & (pl.col("offset") > pl.col("end")).fill_null(True)
    kind = (
        pl.when(pl.col("operation") == refold.EXPIRE)
        .then(EXPIRY)
        .when(is_matched)
        .then(MATCHED)
        .when(is_older)
        .then(OLDER)
        .when(is_later)
        .then(LATER)
        .otherwise(STRAY)
    )
    return found.with_columns(kind=kind.cast(pl.UInt8)).drop("known", "stream", "first", "last", "begin", "end")


def fold_again(aligned: Aligned, departments: Departments) -> Verdict:
    """Fold every record a second time and hold its history against that."""
    verdict = Verdict(np.full(aligned.events.height, UNJUDGED, np.uint8), np.zeros(aligned.records, bool))
    plain = _plain_records(aligned)
    _judge_plain(aligned, plain, verdict)
    for group in _groups(aligned, ~plain):
        _judge(group, departments, verdict)
    return verdict


def _bounds(numbers: Ints, records: int) -> tuple[Ints, Ints]:
    """First and behind-last index of each record's rows in a column sorted by record."""
    edges = np.searchsorted(numbers, np.arange(records + 1))
    return edges[:-1], edges[1:]


def _plain_records(aligned: Aligned) -> Ints:
    """Records of which everything that came only repeats the first report, with the one row that this makes, and right.

    Most are such, and they are judged as columns; every other one, and every doubtful one, is folded event by event.
    """
    events, rows = aligned.events, aligned.rows
    if events.is_empty() or rows.is_empty():
        return np.zeros(aligned.records, bool)
    starts, ends = _bounds(events["record"].to_numpy(), aligned.records)
    row_starts, row_ends = _bounds(rows["record"].to_numpy(), aligned.records)
    some = (ends > starts) & (row_ends > row_starts)
    first, row = np.minimum(starts, events.height - 1), np.minimum(row_starts, rows.height - 1)

    def column(name: str) -> Ints:
        return events[name].to_numpy()

    def same_as_first(name: str, largest_only: bool = False) -> Ints:
        values, of_record = column(name), events["record"].to_numpy()
        differs = values > values[first][of_record] if largest_only else values != values[first][of_record]
        return np.bincount(of_record[differs], minlength=aligned.records) == 0

    def told(name: str) -> Ints:
        return rows[name].to_numpy()[row]

    day = shanghai_days(told("timestamp_ms"))
    ends_on = column("expires_on")[first]
    alive = (told("status") == refold.VALID) & (ends_on >= day - 1)
    over = (told("status") == refold.EXPIRED) & (ends_on < day)
    right = (
        (told("kind") == MATCHED)
        & (told("place") == column("place")[first])
        & (told("outcome") == refold.NEW)
        & (told("revision") == 1)
        & (told("record_rank") == column("rank")[first])
        & (told("content_order") == column("order")[first])
        & (told("status_order") == 0)
        & (alive | over)
    )
    reports_only = same_as_first("operation") & (column("operation")[first] == refold.REPORT)
    repeats = same_as_first("content") & same_as_first("rank", True) & same_as_first("order", True)
    return some & (row_ends - row_starts == 1) & reports_only & repeats & right


def _judge_plain(aligned: Aligned, plain: Ints, verdict: Verdict) -> None:
    of_event = aligned.events["record"].to_numpy()
    mine = plain[of_event]
    verdict.outcomes[mine] = refold.REPEAT
    starts, _ = _bounds(of_event, aligned.records)
    verdict.outcomes[starts[plain]] = refold.NEW
    verdict.settled[plain] = True


class _Told(NamedTuple):
    """A row of the history."""

    kind: int
    place: int
    timestamp_ms: int
    operation: int
    content: int
    rank: int
    department: int
    expires_on: int
    outcome: int
    revision: int
    status: int
    record_rank: int
    content_order: int
    status_order: int

    @property
    def row(self) -> Row:
        return Row(self.outcome, self.revision, self.status, self.record_rank, self.content_order, self.status_order)

    def ended(self, expires_on: int) -> bool:
        """Whether a publication had ended when the row was written; around midnight the row itself says so."""
        day = shanghai_days(self.timestamp_ms)
        return expires_on < day - 1 or (expires_on == day - 1 and self.status == refold.EXPIRED)


@dataclass(frozen=True, slots=True)
class _Group:
    """One record: its events with their indices in `Aligned.events`, their places and whether register has passed them;
    and its history."""

    number: int
    identity: str
    events: list[Event]
    indices: list[int]
    places: list[int]
    folded: list[bool]
    told: list[_Told]


def _groups(aligned: Aligned, wanted: Ints) -> Iterator[_Group]:
    """The wanted records, some thousands at a time as Python values."""
    events = aligned.events.with_row_index("index").filter(wanted[aligned.events["record"].to_numpy()])
    rows = aligned.rows.filter(wanted[aligned.rows["record"].to_numpy()])
    starts, ends = _bounds(events["record"].to_numpy(), aligned.records)
    row_starts, row_ends = _bounds(rows["record"].to_numpy(), aligned.records)
    numbers = np.flatnonzero(wanted)
    for at in range(0, len(numbers), _CHUNK_RECORDS):
        chunk = numbers[at : at + _CHUNK_RECORDS]
        first, first_row = int(starts[chunk[0]]), int(row_starts[chunk[0]])
        some = events[first : int(ends[chunk[-1]])]
        some_rows = rows[first_row : int(row_ends[chunk[-1]])]
        identities = _identities(some) | _identities(some_rows)
        as_events = [Event(*values) for values in some.select(Event._fields).iter_rows()]
        indices, places, folded = (some[name].to_list() for name in ("index", "place", "folded"))
        told = [_Told(*values) for values in some_rows.select(_Told._fields).iter_rows()]
        for number in chunk.tolist():
            here = slice(int(starts[number]) - first, int(ends[number]) - first)
            there = slice(int(row_starts[number]) - first_row, int(row_ends[number]) - first_row)
            yield _Group(
                number, identities[number], as_events[here], indices[here], places[here], folded[here], told[there]
            )


def _identities(frame: pl.DataFrame) -> dict[int, str]:
    once = frame.unique("record").select("record", "high", "low")
    return {record: f"{high:016x}{low:016x}" for record, high, low in once.iter_rows()}


def _judge(group: _Group, departments: Departments, verdict: Verdict) -> None:
    """Fold one record and hold its history against that; at its first difference its story ends."""
    told = [row for row in group.told if row.kind != LATER]
    if stray := [row for row in told if row.kind == STRAY]:
        place = departments.named(stray[0].place)
        verdict.differs(f"record {group.identity}: its history has a row of {place}, which was not identified")
        return
    known = max((number for number, row in enumerate(told, start=1) if row.kind == OLDER), default=0)
    if any(row.operation not in (refold.REPORT, refold.EXPIRE) for row in told[:known]):
        return  # what opened or closed it is not kept as an event, and the history alone does not say enough to go on
    record = _record_of(told[:known])
    rows = iter(told[known:])
    row = next(rows, None)
    for index, event in enumerate(group.events):
        while row is not None and row.kind == EXPIRY and _comes_first(row, record, event):
            if not _expires(record, row):
                verdict.differs(_unexplained(group, row))
                return
            row = next(rows, None)
        expected = record.take(event, row is not None and row.ended(event.expires_on))
        if expected is not None:
            if row is None and not group.folded[index]:
                return  # register may not have come to it yet
            if row is None or row.place != group.places[index] or row.row != expected:
                verdict.differs(_difference(group, departments, index, expected, row))
                return
            row = next(rows, None)
        verdict.outcomes[group.indices[index]] = expected.outcome if expected is not None else refold.REPEAT
    while row is not None:
        if row.kind != EXPIRY or not _expires(record, row):
            verdict.differs(_unexplained(group, row))
            return
        row = next(rows, None)
    if len(told) == len(group.told) and not known and all(group.folded):
        verdict.settled[group.number] = True
        verdict.markers += [(group.identity, marker, order) for marker, order in record.markers.items()]


def _comes_first(row: _Told, record: Record, event: Event) -> bool:
    """Whether a row of time stands before an event: the event leaves a row, or the row is right only before it."""
    after = record.copy()
    if after.take(event, False) is not None:
        return True
    return record.copy().expire() == row.row and after.expire() != row.row


def _record_of(older: list[_Told]) -> Record:
    """The state of a record after reports of which only the history is left."""
    record = Record()
    for row in older:
        if row.operation == refold.EXPIRE or row.status < refold.SUPERSEDED:
            record.known, record.revision, record.status = True, row.revision, row.status
            record.content_order, record.status_order = row.content_order, row.status_order
        if row.operation == refold.REPORT and row.status < refold.SUPERSEDED:
            record.seen.add(record.content)
            record.content, record.rank, record.department = row.content, row.record_rank, row.department
            record.expires_on = row.expires_on
        elif row.operation == refold.REPORT:
            record.seen.add(row.content)
    return record


def _expires(record: Record, row: _Told) -> bool:
    """Whether the row closes a record whose publication had ended; closes it here as well."""
    due = record.known and record.status == refold.VALID and record.expires_on < shanghai_days(row.timestamp_ms)
    return due and record.expire() == row.row


def _unexplained(group: _Group, row: _Told) -> str:
    return f"record {group.identity}: its history has a row, revision {row.revision}, that nothing explains"


def _difference(group: _Group, departments: Departments, index: int, expected: Row, row: _Told | None) -> str:
    event = departments.named(group.places[index])
    if row is None:
        return f"record {group.identity}: {event} must be {_words(expected)}, the history says nothing"
    if row.place != group.places[index]:
        other = departments.named(row.place)
        return f"record {group.identity}: {event} must be {_words(expected)}, the history goes on with {other}"
    if _words(row.row) == _words(expected):
        return (
            f"record {group.identity}: {event} is {_words(expected)}, but at another position or rank than it must be"
        )
    return f"record {group.identity}: {event} must be {_words(expected)}, the history says {_words(row.row)}"


def _words(row: Row) -> str:
    outcome = refold.OUTCOMES[row.outcome] if row.outcome < len(refold.OUTCOMES) else "unknown"
    status = refold.STATUSES[row.status] if row.status < len(refold.STATUSES) else "unknown"
    return f"{outcome or 'no event'} ({status}, revision {row.revision})"
