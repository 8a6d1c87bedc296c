"""One pull: read what is new, keep it whole in the spool, publish it like a file, and only then move the watermark.

    load the state ─► is a read pending? ─no─► read ─► spool, synced ─► submission begun, state: pending ─┐
                                └─yes──────────────────────────────────────────────────────────────────► publish
                                                                                                            ▼
                                                                                 acknowledged, state: watermark

Killed at any arrow, the same command goes on from what is on the disk: a read of which nothing was sent is thrown away
whole, one whose submission had begun is sent to its end under the same name. A read that can not be sent as it is, for
a mapping that sets too much aside, is thrown away as well: the watermark stands, and it is read again.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from producers.breaker import BAD_SHARE_MAX
from producers.journal import Entry, Journal, key_of
from producers.kafka import look
from producers.mapping import Mapping
from producers.publisher import Order, Progress, publish, require_department
from producers.readers import Chunk, Layout
from producers.sources.feed import open_feed
from producers.sources.reading import Reading
from producers.sources.seen import Hashes, Seen, hashes_of
from producers.sources.seen import load as load_seen
from producers.sources.source_file import FeedSource, SourceFile, TableSource
from producers.sources.spool import SpooledMapping, SpoolWriter, keep, pack
from producers.sources.state import Pending, Shelf, State
from producers.sources.table import open_table
from schemas.errors import InputError, XinliuError
from schemas.persons import screen_text
from schemas.settings import Settings

_CHUNK_ROWS = 20_000
_ROWS_MAX = 2**31 - 2  # a row's number is an int on the wire


@dataclass(frozen=True, slots=True)
class PullOrder:
    """What a clerk asks for.

    Attributes:
        from_start: forget the watermark and read everything again.
        corrects: as for a file: rows that differ replace what is on record.
        silence_seconds_max: give up when the platform does not answer for so long.
        bad_share_max, resume: as for a file.
    """

    source: SourceFile
    department: str
    mapping: Mapping
    from_start: bool = False
    corrects: bool = False
    silence_seconds_max: float = 60.0
    bad_share_max: float = BAD_SHARE_MAX
    resume: bool = False


@dataclass(frozen=True, slots=True)
class PullProgress:
    """Where a pull tells how far it is.

    Attributes:
        read: rows read so far, and how many there will be (None = not known).
        publishing: how a file's publication tells it.
        note: a sentence for the person at the screen.
    """

    read: Callable[[int, int | None], None] = lambda rows, total: None
    publishing: Progress = field(default_factory=Progress)
    note: Callable[[str], None] = lambda sentence: None


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull did.

    Attributes:
        state: after it.
        rows_read: rows that the source gave, those met before included; 0 where a pending read was sent to its end.
        rows_sent: rows whose events or refusals were published.
        entry, sent: of the submission; None and an empty table where there was nothing new.
    """

    state: State
    rows_read: int
    rows_sent: int
    entry: Entry | None
    sent: pl.DataFrame


def pull(
    settings: Settings,
    order: PullOrder,
    now: Callable[[], datetime],
    progress: PullProgress = PullProgress(),
    sleep: Callable[[float], None] = time.sleep,
) -> Pulled:
    """Pull once.

    Raises:
        InputError: the source, the mapping or the department can not be used; nothing of this read was sent.
        Retryable: the source or the platform is away; the same command goes on where this one stopped.
    """
    require_department(settings, order.department)
    cluster = look(settings)
    shelf = Shelf(settings.home, order.source.name, order.department, order.mapping.name, cluster.id)
    with shelf.lock():
        state = shelf.load()
        rows_read = 0
        if state.pending is not None:
            progress.note("sending a read that was interrupted before; what is new since then comes with the next pull")
        else:
            state, rows_read = _Read(order, shelf, _begin(order, state), now, progress, sleep).run()
        if state.pending is None:
            shelf.save(state)
            shelf.load()
            return Pulled(state, rows_read, 0, None, pl.DataFrame())
        entry, sent = _publish(settings, order, shelf, state, now, progress)
        done = _acknowledged(state, state.pending, entry, now())
        shelf.save(done)
        shelf.load()  # removes the spool, now that nothing needs it
        return Pulled(done, rows_read, state.pending.rows, entry, sent)


def _begin(order: PullOrder, state: State) -> State:
    """The state that a read begins with; refuses a watermark of something else."""
    identity = key_of(order.source.reads.identity, "")
    if order.from_start:
        return replace(state, identity=identity, watermark=None, seen="")
    if state.identity not in ("", identity):
        raise InputError(
            f"pulling {order.source.name}: the source file now names something else than what the stored watermark "
            "belongs to; give the source another name, or pull with --from-start, which reads all of it"
        )
    return replace(state, identity=identity)


class _Read:
    """From the source to a whole spool file."""

    def __init__(
        self,
        order: PullOrder,
        shelf: Shelf,
        state: State,
        now: Callable[[], datetime],
        progress: PullProgress,
        sleep: Callable[[float], None],
    ) -> None:
        self._order = order
        self._shelf = shelf
        self._state = state
        self._now = now
        self._progress = progress
        self._sleep = sleep
        self._seen = load_seen(shelf.seen_file(state.seen)) if state.seen else Seen(np.zeros((0, 2), np.uint64))
        self._hashes: list[Hashes] = [np.zeros((0, 2), np.uint64)]
        self._places: list[np.ndarray[Any, np.dtype[np.float64]]] = [np.zeros(0, np.float64)]

    def run(self) -> tuple[State, int]:
        """The state that follows, with a pending read where there is something new; and how many rows were read."""
        spool = self._shelf.new_name(self._state, "ndjson.gz")
        with self._open() as reading:
            writer = SpoolWriter(self._shelf.spool_file(spool))
            try:
                rows_read = self._copy(reading, writer)
                end = reading.end()
                self._refuse_personal(end.watermark)
                if writer.rows:
                    writer.finish()
                else:
                    writer.give_up()
            except BaseException:
                writer.give_up()
                raise
        seen = self._remember(end.watermark, end.remember_from)
        if not writer.rows:
            moved = replace(self._state, watermark=end.watermark, seen=seen, pulled_at=self._now().isoformat())
            return moved, rows_read
        return replace(self._state, pending=Pending(spool, writer.rows, end.watermark, seen)), rows_read

    @contextmanager
    def _open(self) -> Iterator[Reading]:
        layout: Layout = self._order.mapping.layout
        since = self._state.watermark
        match self._order.source.reads:
            case TableSource() as table:
                with open_table(table, layout, since, self._now()) as reading:
                    yield reading
            case FeedSource() as feed:
                with open_feed(feed, layout, since, self._now(), self._sleep) as reading:
                    yield reading

    def _copy(self, reading: Reading, writer: SpoolWriter) -> int:
        """Map each row at once; what was met before is left out, everything else goes into the spool."""
        rows_read = 0
        without_watermark = 0
        for rows in reading.rows():
            # How far the read came only grows: what lies before that now will not be met again either.
            met_again = ~(rows.places < reading.end().remember_from)
            for start in range(0, len(rows.chunk.rows), _CHUNK_ROWS):
                chunk = _part(rows.chunk, start)
                watermarks = rows.watermarks[start : start + _CHUNK_ROWS]
                lines = pack(chunk.rows, self._order.mapping.apply(chunk))
                hashes = hashes_of(lines, watermarks)
                writer.add(keep(lines, ~self._seen.has(hashes)))
                self._hashes.append(hashes[met_again[start : start + _CHUNK_ROWS]])
            self._places.append(rows.places[met_again])
            without_watermark += int(np.isnan(rows.places).sum())
            rows_read += len(rows.chunk.rows)
            if rows_read > _ROWS_MAX:
                raise InputError(
                    f"pulling {self._order.source.name}: more than {_ROWS_MAX:,} rows at once; pull a part"
                )
            self._progress.read(rows_read, reading.total_rows)
        if without_watermark and reading.end().remember_from not in (float("inf"), float("-inf")):
            self._progress.note(
                f"{without_watermark:,} rows have no watermark; they are read each time, and sent once as they are"
            )
        return rows_read

    def _refuse_personal(self, watermark: str | None) -> None:
        """A watermark is written down and shown: a column of people's numbers can not be one."""
        if watermark is not None and screen_text(watermark, is_code=True) is not None:
            raise InputError(
                f"pulling {self._order.source.name}: the watermark column holds personal numbers, nothing was sent; "
                "name another column"
            )

    def _remember(self, watermark: str | None, remember_from: float) -> str:
        """Write down what the next read may meet again; returns the file's name, "" where that is nothing."""
        places = np.concatenate(self._places)
        hashes = np.concatenate(self._hashes)
        if remember_from == float("inf"):
            return ""
        kept = hashes[~(places < remember_from)]
        if watermark is not None and watermark == self._state.watermark:
            kept = np.concatenate([kept, self._seen.hashes])  # a quiet source, and perhaps one that gave nothing
        if not len(kept):
            return ""
        name = self._shelf.new_name(self._state, "seen")
        Seen(kept).write(self._shelf.seen_file(name))
        return name


def _part(chunk: Chunk, start: int) -> Chunk:
    end = start + _CHUNK_ROWS
    if start == 0 and len(chunk.rows) <= end:
        return chunk
    faults = None if chunk.faults is None else chunk.faults[start:end]
    return replace(chunk, cells=chunk.cells[start:end], rows=chunk.rows[start:end], faults=faults)


def _publish(
    settings: Settings,
    order: PullOrder,
    shelf: Shelf,
    state: State,
    now: Callable[[], datetime],
    progress: PullProgress,
) -> tuple[Entry, pl.DataFrame]:
    """Send a pending read, or find that it has been sent: then a kill came just before the watermark moved."""
    assert state.pending is not None, "there is a read to send"
    pending = state.pending
    if pending.submission and (done := _sent_before(settings, pending.submission)) is not None:
        return done

    def begun(submission: str, events: int) -> None:
        shelf.save(replace(state, pending=replace(pending, submission=submission)))
        progress.publishing.begun(submission, events)

    file = Order(
        shelf.spool_file(pending.spool),
        order.department,
        SpooledMapping(order.mapping.rules, order.mapping.tables),
        corrects=order.corrects,
        silence_seconds_max=order.silence_seconds_max,
        bad_share_max=order.bad_share_max,
        resume=order.resume,
    )
    try:
        return publish(settings, file, now, replace(progress.publishing, begun=begun))
    except XinliuError as error:
        if isinstance(error, InputError):
            shelf.save(replace(state, pending=None))
            shelf.load()
        # A person knows the source, not the file on its way.
        error.args = (str(error).replace(str(file.path), order.source.name),)
        raise


def _sent_before(settings: Settings, submission: str) -> tuple[Entry, pl.DataFrame] | None:
    try:
        return Journal(settings.home).load(submission)
    except InputError:  # unknown or not finished
        return None


def _acknowledged(state: State, pending: Pending, entry: Entry, moment: datetime) -> State:
    return replace(
        state,
        watermark=pending.watermark,
        seen=pending.seen,
        rows=state.rows + pending.rows,
        pulls=state.pulls + 1,
        pulled_at=moment.isoformat(),
        submission=entry.submission,
        pending=None,
    )
