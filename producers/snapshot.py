"""Full lists: what stood in the last one and not in this one is withdrawn. The rules, without file or broker.

- Absence is judged by what identifies a record, never by rows of the file.
- Doubt withdraws nothing. A row that could be read last time and can not be read now keeps alive whatever it may be
  about: every record of its subject; where the subject is unreadable, those of its document number or name; where
  nothing of it can be read, all of them. It opens nothing either.
- What another list of the department still holds is not withdrawn.
- What an earlier list withdrew, or itself closed, is reopened when this list holds it again and does not close it.
- A list that would withdraw too large a share, that is empty, cut off, or older than the last one is not sent at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime

import polars as pl

from producers.apply import subject_ids
from producers.breaker import Judge, Judged, judged_of
from producers.check import rejected_rows
from producers.mapping import Mapped, Mapping
from producers.readers import Chunk
from producers.snapshot_file import LinesFile
from producers.snapshot_lines import (
    CLOSED,
    ID,
    LINE_SCHEMA,
    LISTED,
    REOPENED,
    UNREADABLE,
    WITHDRAW,
    WITHDRAWN,
    lines_of,
    no_lines,
    with_ids_of,
    withdrawals,
)
from schemas.calendar import LAW_TIME
from schemas.errors import InputError
from schemas.subjects import resolve_subjects

_ACT_STEP_MS = 10  # the finest step by which the platform orders what is said of one record
_NO_ROW = -1


# -- the first pass -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Survey:
    """What one pass over a list has found.

    Attributes:
        ids: `ID` and `closed`, one line for each record of the list.
        unreadable: lines of the events that would be set aside.
        hidden_subjects: keys of the organisations whose rows the guard refuses: they are in the list all the same.
        version_ms_min, version_ms_max: of the rows that say one; `versionless` counts the events that say none.
        cut_off: the last row is shorter than its header.
    """

    lines: LinesFile
    rows: int = 0
    judged: Judged = field(default_factory=Judged)
    ids: pl.DataFrame = field(default_factory=lambda: _ids(no_lines()))
    unreadable: pl.DataFrame = field(default_factory=no_lines)
    hidden_subjects: pl.Series = field(default_factory=lambda: pl.Series([], dtype=pl.String))
    version_ms_min: int | None = None
    version_ms_max: int | None = None
    versionless: int = 0
    cut_off: bool = False


def survey(
    chunks: Iterable[Chunk],
    mapping: Mapping,
    judge: Judge,
    found: Survey,
    progress: Callable[[int, int], None] = lambda rows, bytes_done: None,
) -> Survey:
    """Read, map and examine a whole list, into an empty survey."""
    ids, unreadable, hidden = [found.ids], [found.unreadable], [found.hidden_subjects]
    versions: list[object] = []
    for chunk in chunks:
        mapped = mapping.apply(chunk)
        examined = judge.examine(mapped)
        found.rows += len(chunk.rows)
        found.judged += judged_of(len(chunk.rows), rejected_rows(mapped, examined))
        some = lines_of(mapped.events, examined)
        found.lines.add(some.filter(pl.col("kind") != UNREADABLE))
        unreadable.append(some.filter(pl.col("kind") == UNREADABLE))
        ids.append(_ids(some))
        hidden.append(_hidden_subjects(chunk, mapping, mapped))
        said = pl.Series(pl.from_arrow(mapped.events.column("source_version"))).dt.epoch("ms")
        found.versionless += said.null_count()
        versions += [said.min(), said.max()]
        if chunk.faults is not None and len(chunk.faults):
            found.cut_off = (chunk.faults.tail(1).fill_null("").str.starts_with("row_shape")).all()
        elif len(chunk.rows):
            found.cut_off = False
        progress(found.rows, chunk.bytes_done)
    numbers = [int(version) for version in versions if isinstance(version, int)]
    found.version_ms_min, found.version_ms_max = min(numbers, default=None), max(numbers, default=None)
    found.ids = _unique_ids(ids)
    found.unreadable = pl.concat(unreadable)
    found.hidden_subjects = pl.concat(hidden).unique()
    return found


def _ids(lines: pl.DataFrame) -> pl.DataFrame:
    """`ID` and `closed` of the lines of records."""
    records = lines.filter(pl.col("kind").is_in([LISTED, CLOSED]))
    return records.select(*ID, closed=pl.col("kind") == CLOSED).unique()


def _unique_ids(parts: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(parts).group_by(ID).agg(pl.col("closed").any())


def _hidden_subjects(chunk: Chunk, mapping: Mapping, mapped: Mapped) -> pl.Series:
    """Keys of the organisations among the rows that the guard refuses; a person has none."""
    ids = subject_ids(mapping.rules, chunk).filter(chunk.rows.is_in(mapped.refused["row"].implode()))
    return resolve_subjects(ids)["subject_key"].drop_nulls().cast(pl.String).rename("")


# -- the last list ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Base:
    """What stood before.

    Attributes:
        lines: of the last list, some at a time; each may come twice.
        no_longer_listed, no_longer_closed: ids that an interrupted list has withdrawn, or opened, since.
        version_ms, acts_version_ms, contents: of the newest list, see `snapshot_file.About`; None before any.
    """

    lines: Iterable[pl.DataFrame] = ()
    no_longer_listed: pl.DataFrame = field(default_factory=lambda: no_lines().select(ID))
    no_longer_closed: pl.DataFrame = field(default_factory=lambda: no_lines().select(ID))
    version_ms: int | None = None
    acts_version_ms: int | None = None
    contents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """How the lists differ, in records.

    Attributes:
        stood: open in the last list. listed: open in this one. new: of these, those that did not stand in the last.
        withdrawn, reinstated: what is sent for it.
        kept_in_doubt, kept_by_other_lists: absent, and left alone.
    """

    stood: int = 0
    listed: int = 0
    new: int = 0
    withdrawn: int = 0
    reinstated: int = 0
    kept_in_doubt: int = 0
    kept_by_other_lists: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a list does beside its rows.

    Attributes:
        withdraw: lines of the records to be withdrawn, in the order of their events.
        reopened: lines of the list's own events that are sent as `reinstate`.
        carried: lines that stay with the list without standing in it.
    """

    withdraw: pl.DataFrame
    reopened: pl.DataFrame
    carried: pl.DataFrame
    counts: Counts


def compare(now: Survey, base: Base, others: Iterable[pl.DataFrame], judge: Judge) -> Plan:
    """What is to be withdrawn and opened again when a list follows the last one; `others`: the department's others."""
    opened = now.ids.filter(~pl.col("closed")).select(ID)
    before = _Before()
    for lines in base.lines:
        before.add(_as_today(lines, judge), now.ids, opened)
    elsewhere = _Before()
    for lines in others:
        elsewhere.add(_as_today(lines, judge), now.ids, opened)

    closed = before.ids.filter("closed").select(ID).join(base.no_longer_closed, on=ID, how="anti")
    stood = before.ids.select(ID).join(closed, on=ID, how="anti").join(base.no_longer_listed, on=ID, how="anti")
    held_elsewhere = elsewhere.ids.filter(~pl.col("closed")).select(ID)
    absent = before.absent.join(stood, on=ID, how="semi")
    kept_elsewhere = absent.join(held_elsewhere, on=ID, how="semi")
    absent = absent.join(held_elsewhere, on=ID, how="anti")

    fresh = _fresh(now.unreadable, before.unreadable)
    doubts = _Doubts(fresh, now.hidden_subjects)
    in_doubt = doubts.about(absent)
    kept, withdraw = absent.filter(in_doubt), absent.filter(~in_doubt)

    withdrawn = before.withdrawn.join(base.no_longer_closed, on=ID, how="anti").unique(ID, maintain_order=True)
    by_others = elsewhere.withdrawn.join(held_elsewhere, on=ID, how="anti").join(stood, on=ID, how="anti")
    by_this = withdrawn.join(held_elsewhere, on=ID, how="anti")
    shut = pl.concat([by_this.select(ID), by_others.select(ID), closed]).unique()
    reopened = _events_of(now.lines, opened.join(shut, on=ID, how="semi"))
    doubted = _Doubts(now.unreadable, now.hidden_subjects).named(reopened)
    left_shut, reopened = reopened.filter(doubted), reopened.filter(~doubted)

    still_withdrawn = withdrawn.join(reopened, on=ID, how="anti")
    still_closed = before.closed_again.join(left_shut, on=ID, how="semi")
    carried = [
        kept.with_columns(kind=pl.lit(LISTED)),
        still_withdrawn.with_columns(kind=pl.lit(WITHDRAWN)),
        still_closed.with_columns(kind=pl.lit(CLOSED)),
        doubts.settled(now.unreadable, kept),
    ]
    counts = Counts(
        stood=stood.height,
        listed=opened.height,
        new=opened.join(stood, on=ID, how="anti").height,
        withdrawn=withdraw.height,
        reinstated=reopened.height,
        kept_in_doubt=kept.height,
        kept_by_other_lists=kept_elsewhere.height,
    )
    numbered = withdraw.with_columns(
        kind=pl.lit(WITHDRAW), row=pl.lit(0, pl.Int32), part=pl.int_range(pl.len(), dtype=pl.Int32)
    )
    return Plan(
        numbered,
        reopened.with_columns(kind=pl.lit(REOPENED)),
        pl.concat(carried).with_columns(row=pl.lit(_NO_ROW, pl.Int32), part=pl.lit(0, pl.Int32)),
        counts,
    )


class _Before:
    """Gathers, chunk by chunk, what of an earlier list matters for this one; the rest is only an id."""

    def __init__(self) -> None:
        self._ids = [_ids(no_lines())]
        self._absent, self._closed_again = [no_lines()], [no_lines()]
        self._withdrawn, self._unreadable = [no_lines()], [no_lines()]

    def add(self, lines: pl.DataFrame, now: pl.DataFrame, opened: pl.DataFrame) -> None:
        of_kind = {name: lines.filter(pl.col("kind") == name) for name in lines["kind"].unique()}
        self._ids.append(_ids(lines))
        self._absent.append(of_kind.get(LISTED, no_lines()).join(now, on=ID, how="anti"))
        self._closed_again.append(of_kind.get(CLOSED, no_lines()).join(opened, on=ID, how="semi"))
        self._withdrawn += [of_kind[kind] for kind in (WITHDRAWN, WITHDRAW) if kind in of_kind]
        self._unreadable.append(of_kind.get(UNREADABLE, no_lines()))

    @property
    def ids(self) -> pl.DataFrame:
        self._ids = [_unique_ids(self._ids)]
        return self._ids[0]

    @property
    def absent(self) -> pl.DataFrame:
        return pl.concat(self._absent).unique(ID, keep="first", maintain_order=True)

    @property
    def closed_again(self) -> pl.DataFrame:
        return pl.concat(self._closed_again).unique(ID, keep="first", maintain_order=True)

    @property
    def withdrawn(self) -> pl.DataFrame:
        return pl.concat(self._withdrawn)

    @property
    def unreadable(self) -> pl.DataFrame:
        return pl.concat(self._unreadable)


def _as_today(lines: pl.DataFrame, judge: Judge) -> pl.DataFrame:
    """The lines of records under the ids that they have today."""
    records = lines.filter(pl.col("kind").is_in([LISTED, CLOSED]))
    if records.height == 0:
        return lines
    events = withdrawals(records, "", None, 0)
    today = with_ids_of(records, judge.examine(Mapped(events, pl.DataFrame())))
    return pl.concat([today.cast(LINE_SCHEMA), lines.filter(~pl.col("kind").is_in([LISTED, CLOSED]))])


def _fresh(now: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Unreadable events that were not there in the last list; of equal ones as many as are more than then."""
    nth = pl.int_range(pl.len()).over("seen_as")
    known = before.group_by("seen_as").len("known")
    return (
        now.with_columns(nth=nth)
        .join(known, on="seen_as", how="left")
        .filter(pl.col("nth") >= pl.col("known").fill_null(0))
        .drop("nth", "known")
    )


class _Doubts:
    """What the unreadable events of a list may be about."""

    def __init__(self, unreadable: pl.DataFrame, hidden_subjects: pl.Series) -> None:
        self._unreadable = unreadable
        nameless = unreadable.filter(pl.col("subject_key") == "")
        self._subjects = pl.concat([unreadable["subject_key"], hidden_subjects.rename("subject_key")]).unique()
        self._documents = nameless["document"].unique()
        self._names = nameless["name"].unique()
        self._blind = nameless.filter((pl.col("document") == "") & (pl.col("name") == 0)).height > 0

    def about(self, lines: pl.DataFrame) -> pl.Series:
        """Whether each of these lines may be what an unreadable event says."""
        if self._blind:
            return pl.repeat(True, lines.height, dtype=pl.Boolean, eager=True)
        return self.named(lines)

    def named(self, lines: pl.DataFrame) -> pl.Series:
        """Whether something that could be read points to each of these lines."""
        return (
            lines["subject_key"].is_in(self._subjects.implode())
            | ((lines["document"] != "") & lines["document"].is_in(self._documents.implode()))
            | ((lines["name"] != 0) & lines["name"].is_in(self._names.implode()))
        )

    def settled(self, all_unreadable: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
        """Unreadable events that keep nothing alive: if they are there next time they raise no doubt."""
        keeps = (
            pl.col("subject_key").is_in(kept["subject_key"].implode())
            | ((pl.col("document") != "") & pl.col("document").is_in(kept["document"].implode()))
            | ((pl.col("name") != 0) & pl.col("name").is_in(kept["name"].implode()))
            | ((pl.col("subject_key") == "") & (pl.col("document") == "") & (pl.col("name") == 0) & bool(kept.height))
        )
        doubtful = self._unreadable.filter(keeps)["seen_as"].unique()
        return all_unreadable.filter(~pl.col("seen_as").is_in(doubtful.implode()))


def _events_of(lines: LinesFile, ids: pl.DataFrame) -> pl.DataFrame:
    """The list's own events that report these records."""
    if ids.height == 0:
        return no_lines()
    found = [some.filter(pl.col("kind") == LISTED).join(ids, on=ID, how="semi") for some in lines]
    return pl.concat([no_lines(), *found]).unique(ID, keep="first", maintain_order=True)


def lines_to_keep(now: Survey, plan: Plan) -> Iterator[pl.DataFrame]:
    """Everything that the next list has to know of this one."""
    yield from now.lines
    yield from (plan.carried, plan.withdraw, plan.reopened)


# -- how new a list is, and whether it may be sent ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Versions:
    """How new a list is, milliseconds since 1970; see `snapshot_file.About`."""

    version_ms: int
    acts_version_ms: int
    rows_version_ms: int | None


def versions(now: Survey, base: Base, content: str, as_of_ms: int | None, now_ms: int, doing: str) -> Versions:
    """How new a list is: by what the clerk says, by its own date, else by the moment of publishing.

    Raises InputError where it is older than the last one.
    """
    again = bool(base.contents) and base.contents[-1] == content
    uniform = now.versionless == 0 and now.version_ms_min == now.version_ms_max
    if as_of_ms is not None:
        version, rows = as_of_ms, as_of_ms
    elif now.version_ms_max is not None:
        version, rows = min(now.version_ms_max, now_ms), None
    elif again and base.version_ms is not None:
        version = rows = base.version_ms
    else:
        if content in base.contents:
            raise InputError(
                f"{doing}: nothing was sent; this very list was sent before and a newer one after it; if it is right "
                "that the older list stands again, say so with --as-of and today's date"
            )
        version = rows = now_ms
    if base.version_ms is not None and version < base.version_ms:
        raise InputError(
            f"{doing}: nothing was sent; the list is of {day_of(version)}, older than the last one of "
            f"{day_of(base.version_ms)}, and would undo what that one says; publish the newest list, or give the day "
            "that it is of with --as-of"
        )
    acts = version
    if base.acts_version_ms is not None and version <= base.acts_version_ms:
        # Another list of the same day comes behind the first; the same list again says what it said.
        acts = base.acts_version_ms if again else base.acts_version_ms + _ACT_STEP_MS
        if not again and (rows is not None or uniform):
            rows = acts
    return Versions(version, acts, rows)


def day_of(version_ms: int) -> date:
    """The day of a version, by the calendar that departments go by."""
    return datetime.fromtimestamp(version_ms / 1000, UTC).astimezone(LAW_TIME).date()


def require_sound(now: Survey, doing: str) -> None:
    """Raise InputError where a list is empty or cut off: its absences mean nothing."""
    if now.rows == 0 or now.ids.height == 0:
        what = "no row" if now.rows == 0 else f"none of its {now.rows:,} rows can be recorded: {now.judged.words}"
        raise InputError(
            f"{doing}: nothing was sent and nothing withdrawn; the list holds {what}; fetch it again, or publish it "
            "without --snapshot"
        )
    if now.cut_off:
        raise InputError(
            f"{doing}: nothing was sent and nothing withdrawn; the last row of the list is cut off; fetch the whole "
            "file again"
        )


def require_few(counts: Counts, shrink_max: float, doing: str) -> None:
    """Raise InputError where more than this share of the last list would be withdrawn."""
    if counts.withdrawn <= shrink_max * counts.stood:
        return
    raise InputError(
        f"{doing}: nothing was sent; {counts.withdrawn:,} of the {counts.stood:,} records of the last list "
        f"({counts.withdrawn / counts.stood:.0%}) are absent from this one and would be withdrawn, more than the limit "
        f"of {shrink_max:.0%}; this one holds {counts.listed:,}; is it the whole list? if it is, allow it with "
        f"--shrink-max {_rounded_up(counts.withdrawn / counts.stood)}, else publish it without --snapshot"
    )


def _rounded_up(share: float) -> str:
    return f"{min(1.0, (int(share * 10) + 1) / 10):g}"


def as_dict(counts: Counts) -> dict[str, int]:
    return asdict(counts)
