"""What a full list needs before its first event goes out: a pass over the file, the last list, and the plan on disk.

Nothing is sent here. Whatever speaks against the list ends in one sentence, and what is known of the last list stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from producers import snapshot, snapshot_base
from producers.breaker import Judge
from producers.journal import sha256_of
from producers.kafka import Cluster
from producers.mapping import Mapping
from producers.readers import read
from producers.snapshot import Base, Survey
from producers.snapshot_file import About, ListFile, Lists, contents_with
from producers.snapshot_lines import REOPENED, WITHDRAW, withdrawals
from producers.stamp import Keys, places_of
from schemas.errors import InputError
from schemas.settings import Settings

_EVENTS_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class SnapshotOrder:
    """What a clerk asks for beside the file.

    Attributes:
        source: name of the list, "" where the department has only one under this mapping.
        shrink_max: share of the last list that may be withdrawn at once.
        first: there was no last list.
        previous: file of the last list, where nothing is known of it here.
    """

    source: str = ""
    shrink_max: float = 0.2
    first: bool = False
    previous: Path | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """All that a plan is made from.

    Attributes:
        sent_places: places of a submission's events on the topic, None where the topic does not tell any more.
        progress: rows and bytes of the first pass.
    """

    settings: Settings
    cluster: Cluster
    path: Path
    content: str
    department: str
    mapping: Mapping
    order: SnapshotOrder
    as_of_ms: int | None
    bad_share_max: float
    judge: Judge
    silence_seconds_max: float
    sent_places: Callable[[str, dict[int, int]], Keys | None]
    progress: Callable[[int, int], None] = lambda rows, bytes_done: None

    @property
    def doing(self) -> str:
        return f"publishing {self.path}"

    @property
    def lists(self) -> Lists:
        return Lists(self.settings.home, self.department, self.mapping.name, self.order.source)


class FullList:
    """A list whose plan lies on disk: what is sent beside its rows."""

    def __init__(self, lists: Lists, file: ListFile, mapping: str) -> None:
        self.about = file.about
        self._lists = lists
        self._mapping = mapping
        self._is_last = file == lists.last()
        reopened = file.of_kind(REOPENED)
        self._reopened: Keys = np.sort(places_of(reopened["row"], reopened["part"]))
        self._withdraw = file.of_kind(WITHDRAW).sort("part")

    def with_reopenings(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """The list's own events; those that open a record again say so.

        A `reinstate` says all that its report would: the record then is what its reinstatement says.
        """
        if len(self._reopened) == 0:
            return events
        frame = pl.DataFrame(pl.from_arrow(events.select(["source_row", "source_part", "operation"])))
        opens = np.isin(places_of(frame["source_row"], frame["source_part"]), self._reopened)
        if not opens.any():
            return events
        at = pl.Series(opens)
        version = pa.scalar(self.about.acts_version_ms, pa.timestamp("ms"))
        changed = {
            "operation": frame["operation"].set(at, "reinstate").to_arrow(compat_level=pl.CompatLevel.oldest()),
            "source_version": pa.compute.if_else(pa.array(opens), version, events.column("source_version")),
        }
        columns = [changed.get(field.name, events.column(field.name)).cast(field.type) for field in events.schema]
        return pa.RecordBatch.from_arrays(columns, schema=events.schema)

    def withdrawals(self) -> Iterator[pa.RecordBatch]:
        """CREDIT_EVENT columns, some at a time."""
        day = snapshot.day_of(self.about.version_ms)
        events = withdrawals(self._withdraw, self._mapping, day, self.about.acts_version_ms)
        for start in range(0, events.num_rows, _EVENTS_AT_ONCE):
            yield events.slice(start, _EVENTS_AT_ONCE)

    def finish(self) -> None:
        """Each event of the list is acknowledged."""
        if not self._is_last:
            self._lists.finish()


def resumed(asked: Question, submission: str) -> FullList | None:
    """The list that this submission is of, as it was planned; None where another list has come in between."""
    lists = asked.lists
    for found in (lists.sending(), lists.last()):
        if found is not None and found.about.submission == submission:
            return FullList(lists, found, _mapping_name(asked))
    return None


def prepare(asked: Question, submission: str, event_starts: dict[int, int], now_ms: int) -> FullList:
    """Look at the whole list, decide, and write the plan down.

    Raises:
        InputError: the list must not be sent; nothing was, and what is known of the last one stays.
    """
    lists = asked.lists
    last, begun = lists.last(), lists.sending()
    sent = asked.sent_places(begun.about.submission, begun.about.event_starts) if begun is not None else None
    with lists.lines_file("previous") as previous_lines, lists.lines_file("now") as now_lines:
        base = _base(asked, last, begun, sent, Survey(previous_lines))
        now = _survey(asked, asked.path, Survey(now_lines))
        snapshot.require_sound(now, asked.doing)
        require_good(now, asked)
        versions = snapshot.versions(now, base, asked.content, asked.as_of_ms, now_ms, asked.doing)
        others = snapshot_base.Joined(*lists.others())
        plan = snapshot.compare(now, base, others, asked.judge)
        snapshot.require_few(plan.counts, asked.order.shrink_max, asked.doing)
        if begun is not None:
            # What it has sent must not be forgotten where this list is interrupted, too, before its first event.
            about = replace(
                begun.about,
                version_ms=base.version_ms or begun.about.version_ms,
                acts_version_ms=base.acts_version_ms or begun.about.acts_version_ms,
                contents=list(base.contents),
            )
            lists.settle(about, snapshot_base.settled(base))
        about = About(
            submission,
            versions.version_ms,
            versions.acts_version_ms,
            versions.rows_version_ms,
            contents_with(list(base.contents), asked.content),
            event_starts,
            snapshot.as_dict(plan.counts),
        )
        file = lists.begin(about, snapshot.lines_to_keep(now, plan))
    return FullList(lists, file, _mapping_name(asked))


def _base(asked: Question, last: ListFile | None, begun: ListFile | None, sent: Keys | None, into: Survey) -> Base:
    order = asked.order
    known = last or begun
    if known is not None:
        if order.first:
            raise InputError(
                f"{asked.doing}: nothing was sent; a last list of {snapshot.day_of(known.about.version_ms)} is known "
                "here, so this is not the first; leave --first out"
            )
        base = snapshot_base.of_last(last) if begun is None else snapshot_base.after_interruption(last, begun, sent)
    elif order.first or order.previous is not None:
        base = Base()
    else:
        name = snapshot_base.list_name(asked.department, order.source)
        base = snapshot_base.of_platform(
            asked.settings, asked.cluster, asked.department, asked.mapping.name, name, asked.silence_seconds_max
        )
    if order.previous is None:
        return base
    previous = _survey(asked, order.previous, into)
    return snapshot_base.together(base, snapshot_base.of_survey(previous, sha256_of(order.previous)))


def _survey(asked: Question, path: Path, into: Survey) -> Survey:
    return snapshot.survey(read(path, asked.mapping.layout), asked.mapping, asked.judge, into, asked.progress)


def require_good(now: Survey, asked: Question) -> None:
    """Raise InputError where too large a share of the rows would be set aside."""
    if now.judged.is_bad(asked.bad_share_max):
        raise InputError(bad_sentence(asked.doing, f"would be set aside, {now.judged.words}", asked.bad_share_max))


def bad_sentence(doing: str, what: str, share_max: float) -> str:
    """What a clerk is told of a file that the breaker stops before its first row is sent."""
    return (
        f"{doing}: nothing was sent; too many rows {what}, more than the limit of {share_max:.0%}; xinliu-adapter "
        "check lists them; mend the mapping or the file, or send it all the same with --bad-share-max 1"
    )


def _mapping_name(asked: Question) -> str:
    return f"{asked.mapping.name}@{asked.mapping.version}"
