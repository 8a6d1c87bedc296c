"""Sends one file of a department: read, map, guard, publish; each event of each row reaches the topic once.

An interrupted run is taken up by the same command: the journal names the submission and where it began, the topic
itself says which events are there already, and only the others are sent. A file that was sent to its end is a new
submission when it is sent again; the platform then answers that its rows are repeats.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from datetime import time as time_of_day
from itertools import chain, islice
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from producers.breaker import BAD_SHARE_MAX, Judge, Judged, judged_of
from producers.journal import SENT_SCHEMA, Entry, Journal, key_of, sha256_of
from producers.kafka import Cluster, Sender, Undelivered, begin_offsets, end_offsets, look, read_up_to
from producers.mapping import Mapped, Mapping
from producers.readers import Chunk, progress_total, read
from producers.receipts import Result, so_far
from producers.snapshot_base import list_name
from producers.snapshot_prepare import FullList, Question, SnapshotOrder, bad_sentence, prepare, resumed
from producers.stamp import Keys, messages, places_of, rows_of
from schemas import codec, reference
from schemas.avro import CREDIT_EVENT
from schemas.calendar import LAW_TIME
from schemas.errors import InputError, Retryable
from schemas.settings import Settings
from schemas.topics import events_topic, receipts_topic

_SETTLE_SECONDS = 1.0
_FAREWELL_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Order:
    """What a clerk asks for.

    Attributes:
        as_of: date that the file's rows are of; newer rows replace older ones of the same decision.
        corrects: rows that differ replace what is on record: they are as new as the moment of publishing.
        silence_seconds_max: give up when the platform does not answer for so long.
        step: name of this file's place in a command of several files, empty where it is the only one.
        snapshot: the file is a full list: what stood in the last one and not in it is withdrawn.
        bad_share_max: nothing is sent where a larger share of the rows would be set aside.
        resume: send although a file before this one was bad.
    """

    path: Path
    department: str
    mapping: Mapping
    as_of: date | None = None
    corrects: bool = False
    silence_seconds_max: float = 60.0
    step: str = ""
    snapshot: SnapshotOrder | None = None
    bad_share_max: float = BAD_SHARE_MAX
    resume: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run tells how far it is; each may be called often.

    Attributes:
        judged: rows looked at before anything is sent, and how far in the file they end.
        begun: submission, and how many of its events are on the topic already.
        mapped: rows read and mapped so far, and how far in the file they end.
        acknowledged: events that the broker has taken in this run.
    """

    judged: Callable[[int, int], None] = lambda rows, bytes_done: None
    begun: Callable[[str, int], None] = lambda submission, events: None
    mapped: Callable[[int, int], None] = lambda rows, bytes_done: None
    acknowledged: Callable[[int], None] = lambda events: None


class Interrupted(Retryable):
    """The person pressed Ctrl-C; the message says what was sent and how to go on."""

    exit_code = 130


def publish(
    settings: Settings, order: Order, now: Callable[[], datetime], progress: Progress = Progress()
) -> tuple[Entry, pl.DataFrame]:
    """Send a file to its department's topic, or what is missing of it; returns once every event is acknowledged.

    Returns:
        the journal's entry, and one line for each event sent or refused (`journal.SENT_SCHEMA`).

    Raises:
        InputError: the file, the department or the topic can not be used.
        Retryable: the broker does not answer; the same command goes on where this one stopped.
    """
    require_department(settings, order.department)
    _check(order)
    progress_total(order.path)  # says what is wrong with the name before anything reads the content
    content = sha256_of(order.path)
    chunks = read(order.path, order.mapping.layout)
    chunks = chain(list(islice(chunks, 1)), chunks)  # most faults of a file show with its first rows: nothing is begun
    topic, receipts = events_topic(order.department), receipts_topic(order.department)
    try:
        cluster = look(settings)
    except Retryable as error:
        raise Retryable(f"publishing {order.path}: nothing was sent; {error}") from error
    cluster.require(settings, topic, receipts)
    journal = Journal(settings.home)
    journal.prune(_milliseconds(now()))
    key = key_of([cluster.id, order.department, _mapping_name(order), _version_words(order)], content)
    judge = Judge(order.department, reference.load(settings.reference_dir), _milliseconds(now()))
    with journal.lock(key), _list_lock(journal, order):
        if order.step and (done := journal.step(order.step)):
            earlier = journal.load(done)
            if earlier[0].key == key:
                return earlier
        require_not_stopped(settings, journal, order)
        entry, there = _take_up(settings, order, journal, journal.unfinished(key), cluster.partitions[topic])
        full_list = None
        if order.snapshot is None:
            chunks = _good_chunks(order, judge, chunks)
        else:
            question = _question(settings, order, order.snapshot, cluster, content, judge, progress)
            full_list = None if entry is None else resumed(question, entry.submission)
            if entry is not None and full_list is None:
                journal.abandon(entry)  # another list has come in between: what this one says is judged anew
                entry, there = None, np.zeros(0, np.int64)
            if entry is None:
                entry = _new_entry(settings, order, key, content, cluster, now())
                full_list = prepare(question, entry.submission, entry.event_starts, entry.started_at_ms)
                about = full_list.about
                entry = replace(entry, source_version_ms=about.rows_version_ms, snapshot=about.counts)
                journal.begin(entry)
        if entry is None:
            entry = _new_entry(settings, order, key, content, cluster, now())
            journal.begin(entry)
        progress.begun(entry.submission, len(there))
        run = _Run(settings, order, entry, there, now, progress, judge, full_list)
        rows, sent = run.send(chunks)
        if full_list is not None:
            run.send_withdrawals(full_list, content)
            full_list.finish()
            sent = run.account()
        entry = journal.finish(entry, rows, sent)
        if order.step:
            journal.note_step(order.step, entry.submission)
        return entry, sent


def require_department(settings: Settings, department: str) -> None:
    """Raise one sentence that says which departments there are."""
    known = reference.load(settings.reference_dir).departments
    if department not in known:
        raise InputError(
            f"reporting for {department}: no such department is registered; registered are {', '.join(known)}"
        )


@contextmanager
def _list_lock(journal: Journal, order: Order) -> Iterator[None]:
    """One full list of a department at a time: each is compared with all of its others."""
    if order.snapshot is None:
        yield
        return
    with journal.lock(f"snapshots-{order.department}", "another full list of the department"):
        yield


def _question(
    settings: Settings,
    order: Order,
    wanted: SnapshotOrder,
    cluster: Cluster,
    content: str,
    judge: Judge,
    progress: Progress,
) -> Question:
    partitions = cluster.partitions[events_topic(order.department)]

    def sent_places(submission: str, starts: dict[int, int]) -> Keys | None:
        return _places_there(settings, order, submission, starts, partitions)

    return Question(
        settings,
        cluster,
        order.path,
        content,
        order.department,
        order.mapping,
        wanted,
        None if order.as_of is None else _milliseconds(_midnight(order.as_of)),
        order.bad_share_max,
        judge,
        order.silence_seconds_max,
        sent_places,
        progress.judged,
    )


def _good_chunks(order: Order, judge: Judge, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The chunks, once their first rows have been looked at; raises InputError where too many would be set aside."""
    first = list(islice(chunks, 1))
    if first and order.bad_share_max < 1:
        judged = judge.first(first[0], order.mapping)
        if judged.is_bad(order.bad_share_max):
            what = f"among the first would be set aside, {judged.words}"
            raise InputError(bad_sentence(f"publishing {order.path}", what, order.bad_share_max))
    return chain(first, chunks)


def require_not_stopped(settings: Settings, journal: Journal, order: Order) -> None:
    """Raise InputError where the department's last file was bad, by its receipts as far as they have come.

    Raises Retryable where the broker does not tell.
    """
    if order.resume:
        journal.resume(order.department)
        return
    last = journal.last_sent(order.department)
    if last is not None and not last.judged:
        note_result(journal, last, so_far(settings, last, journal.load(last.submission)[1], order.silence_seconds_max))
    if (why := journal.stopped(order.department)) is not None:
        raise InputError(f"publishing {order.path}: nothing was sent; {why}")


def note_result(journal: Journal, entry: Entry, result: Result) -> None:
    """Stop the department where too large a share of this file was set aside; done once, with whatever is known."""
    if entry.judged:
        return
    judged = judged_of(result.rows, result.rejected)
    if judged.is_bad(entry.bad_share_max):
        journal.stop(
            entry.department,
            f"{entry.department} is stopped because too many rows of its last file were set aside, {judged.words}; "
            f"xinliu-adapter receipts {entry.submission} lists them; mend the mapping or the files, then publish with "
            f"--resume, or run xinliu-adapter resume --department {entry.department}",
        )
        journal.note_judged(entry)
    elif not result.waiting:
        journal.note_judged(entry)


def _check(order: Order) -> None:
    if order.as_of is not None and order.corrects:
        raise InputError("publishing: --as-of and --corrects exclude each other, both say how new the rows are")
    if order.snapshot is not None and order.corrects:
        raise InputError(
            "publishing: --snapshot and --corrects exclude each other; a full list replaces the last one anyway, and "
            "--as-of says the day that it is of"
        )


def new_submission(department: str, now: datetime, end: str = "") -> str:
    """A readable id: department, local date and time, four hex digits (random where none are given)."""
    return f"{department}-{now.astimezone(LAW_TIME):%Y%m%d-%H%M%S}-{end or secrets.token_hex(2)}"


def _new_entry(settings: Settings, order: Order, key: str, content: str, cluster: Cluster, now: datetime) -> Entry:
    topic, receipts = events_topic(order.department), receipts_topic(order.department)
    version = now if order.corrects else None
    if order.as_of is not None:
        version = _midnight(order.as_of)
    name = order.department if order.snapshot is None else list_name(order.department, order.snapshot.source)
    return Entry(
        submission=new_submission(name, now),
        key=key,
        department=order.department,
        mapping=_mapping_name(order),
        started_at_ms=_milliseconds(now),
        source_version_ms=None if version is None else _milliseconds(version),
        event_starts=end_offsets(settings, topic, cluster.partitions[topic]),
        receipt_starts=end_offsets(settings, receipts, cluster.partitions[receipts]),
        bad_share_max=order.bad_share_max,
        file_sha256=content,
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time_of_day(), LAW_TIME)


def _mapping_name(order: Order) -> str:
    return f"{order.mapping.name}@{order.mapping.version}"


def _version_words(order: Order) -> str:
    if order.corrects:
        return "corrects"
    words = "" if order.as_of is None else order.as_of.isoformat()
    return words if order.snapshot is None else f"{words} full list {order.snapshot.source}"


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


# -- going on after an interruption -------------------------------------------------------------------------------


def _take_up(
    settings: Settings, order: Order, journal: Journal, entry: Entry | None, partitions: int
) -> tuple[Entry | None, Keys]:
    """The interrupted submission and the places of its events on the topic, or None and none."""
    nothing = np.zeros(0, np.int64)
    if entry is None:
        return None, nothing
    places = _places_there(settings, order, entry.submission, entry.event_starts, partitions)
    if places is None:
        journal.abandon(entry)
        return None, nothing
    return entry, places


def _places_there(
    settings: Settings, order: Order, submission: str, event_starts: dict[int, int], partitions: int
) -> Keys | None:
    """Places of a submission's events on the topic; None where retention took some or the topic was made anew."""
    topic = events_topic(order.department)
    begins, ends = begin_offsets(settings, topic, partitions), end_offsets(settings, topic, partitions)
    starts = {number: event_starts.get(number, 0) for number in range(partitions)}
    if any(not begins[number] <= starts[number] <= ends[number] for number in starts):
        return None
    return np.unique(np.concatenate([np.zeros(0, np.int64), *_events_there(settings, order, submission, starts)]))


def _events_there(settings: Settings, order: Order, submission: str, starts: dict[int, int]) -> list[Keys]:
    """Places of the submission's events on the topic, from `starts` on.

    What the interrupted process had handed to its operating system last may reach the log after we have looked. So
    we look again until a second's wait has brought nothing more of this submission.
    """
    topic = events_topic(order.department)
    found: list[Keys] = []
    looked_before = False
    while True:
        ends = end_offsets(settings, topic, len(starts))
        batches = read_up_to(settings, topic, starts, ends, order.silence_seconds_max)
        fresh = [places for values in batches if len(places := _places_in(values, submission))]
        if looked_before and not fresh:
            return found
        found += fresh
        starts, looked_before = ends, True
        time.sleep(_SETTLE_SECONDS)


def _places_in(values: list[bytes], submission: str) -> Keys:
    """Places of one submission's events among the messages of a topic."""
    name = submission.encode()
    decoded = codec.decode(CREDIT_EVENT, [value for value in values if name in value])
    batch = decoded.batch.select(["submission", "source_row", "source_part"])
    frame = pl.DataFrame(pl.from_arrow(batch)).filter(pl.col("submission") == submission)
    return places_of(frame["source_row"], frame["source_part"])


# -- sending ------------------------------------------------------------------------------------------------------


class _Run:
    """One pass through the file: maps all of it, sends what is not on the topic."""

    def __init__(
        self,
        settings: Settings,
        order: Order,
        entry: Entry,
        there: Keys,
        now: Callable[[], datetime],
        progress: Progress,
        judge: Judge,
        full_list: FullList | None,
    ) -> None:
        self._judge = judge
        self._judged = Judged()
        self._full_list = full_list
        self._order = order
        self._entry = entry
        self._there = there
        self._now = now
        self._progress = progress
        self._rows = 0
        self._places: list[Keys] = [np.zeros(0, np.int64)]
        self._accounts = [pl.DataFrame(schema=SENT_SCHEMA)]
        topic = events_topic(order.department)
        self._sender = Sender(settings, topic, order.silence_seconds_max, progress.acknowledged)

    def send(self, chunks: Iterator[Chunk]) -> tuple[int, pl.DataFrame]:
        """Send all rows; returns how many there are, and one line for each event."""
        with self._failing_in_words():
            for chunk in chunks:
                self._send_chunk(chunk, self._order.mapping.apply(chunk))
            self._sender.finish()
        return self._rows, self.account()

    def send_withdrawals(self, full_list: FullList, content: str) -> None:
        """Each row of the list is acknowledged: send what is withdrawn since it is absent."""
        with self._failing_in_words():
            if sha256_of(self._order.path) != content:
                raise InputError(
                    f"publishing {self._order.path}: the file has changed while it was sent; nothing was withdrawn"
                )
            for events in full_list.withdrawals():
                self._send(events, None)
                parts = pl.Series(pl.from_arrow(events.column("source_part")))
                self._accounts.append(
                    pl.DataFrame({"row": 0, "part": parts, "reason": "", "detail": ""}, schema=SENT_SCHEMA)
                )
            self._sender.finish()

    def account(self) -> pl.DataFrame:
        """One line for each event and each refusal so far."""
        return pl.concat(self._accounts)

    @contextmanager
    def _failing_in_words(self) -> Iterator[None]:
        try:
            yield
        except Undelivered as failure:
            raise Retryable(self._sentence(f"the broker stopped answering ({failure})", failure.values)) from failure
        except KeyboardInterrupt:
            left = self._sender.give_up(_FAREWELL_SECONDS)
            raise Interrupted(self._sentence("interrupted", left)) from None
        except InputError as error:
            if self._sender.sent == 0:
                raise
            left = self._sender.give_up(_FAREWELL_SECONDS)
            raise InputError(
                f"{error}; {self._acknowledged(left)} rows before that were sent as {self._entry.submission}: mend the "
                "file and publish it whole, these rows then come back as repeats"
            ) from error

    def _send_chunk(self, chunk: Chunk, mapped: Mapped) -> None:
        if self._full_list is None:
            self._require_good(chunk, mapped)
        self._accounts.append(account_of(chunk.rows, mapped))
        self._rows += len(chunk.rows)
        events = mapped.events if self._full_list is None else self._full_list.with_reopenings(mapped.events)
        self._send(events, self._entry.source_version_ms)
        self._progress.mapped(self._rows, chunk.bytes_done)

    def _require_good(self, chunk: Chunk, mapped: Mapped) -> None:
        """Stop in mid-file where a sample says that too many of the rows so far would be set aside."""
        if self._order.bad_share_max >= 1 or len(chunk.rows) == 0:
            return
        self._judged += self._judge.sample(chunk, mapped).scaled(len(chunk.rows))
        if self._judged.is_bad(self._order.bad_share_max):
            raise InputError(
                f"publishing {self._order.path}: stopped, since about {self._judged.words} would be set aside, more "
                f"than the limit of {self._order.bad_share_max:.0%}; xinliu-adapter check lists them, and "
                "--bad-share-max 1 sends them all the same"
            )

    def _send(self, events: pa.RecordBatch, version_ms: int | None) -> None:
        out = messages(events, self._entry.submission, _milliseconds(self._now()), version_ms, self._there)
        self._places.append(out.places)
        self._sender.send(out.values, out.keys)

    def _sentence(self, what: str, left: list[bytes]) -> str:
        return (
            f"publishing {self._order.path}: {what}; {self._acknowledged(left)} of the {self._rows} rows read so far "
            f"are acknowledged as {self._entry.submission}; run the same command again to send the rest"
        )

    def _acknowledged(self, left: list[bytes]) -> int:
        """Rows of which every event that was handed over has been acknowledged, in this run or before."""
        handed = np.concatenate(self._places)
        open_places = np.concatenate([_places_in(left, self._entry.submission), handed[self._sender.sent :]])
        all_rows = np.unique(rows_of(np.concatenate([self._there, handed])))
        return len(np.setdiff1d(all_rows, rows_of(open_places)))


def account_of(rows: pl.Series, mapped: Mapped) -> pl.DataFrame:
    """One line for each event and each refusal of a chunk (`journal.SENT_SCHEMA`); every row is in it."""
    empty = pl.lit("")
    events = pl.DataFrame(pl.from_arrow(mapped.events.select(["source_row", "source_part"]))).select(
        pl.col("source_row").alias("row"), pl.col("source_part").alias("part"), reason=empty, detail=empty
    )
    refused = mapped.refused.select("row", pl.lit(-1).alias("part"), "reason", pl.col("detail").fill_null(""))
    account = pl.concat([events.cast(SENT_SCHEMA), refused.cast(SENT_SCHEMA)])
    lost = rows.filter(~rows.is_in(account["row"].unique().implode()))
    assert len(lost) == 0, f"the mapping left {len(lost)} rows without an event and without a refusal"
    return account
