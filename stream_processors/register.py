"""Register, the second lane: identified reports become records, their history and receipts. Read this second.

    credit.identified ──► authorise ──► fold ──► expire ──► credit.records (state), credit.history (every revision),
                                                           credit.receipts.<department>

Stateful by partition: what it knows of a partition is what `credit.records` says, nothing else (promise 3). The index
is changed in place with an undo list; after the commit the changes go to a local checkpoint, after an abort they are
taken back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import polars_hash as plh
import pyarrow as pa
import structlog

from schemas import codec, wire
from schemas.avro import CREDIT_RECORD, IDENTIFIED_EVENT, REVISION_HEADER
from schemas.catalogue import catalogue
from schemas.errors import Stop
from schemas.hashing import from_hex, to_hex
from schemas.reference import Reference
from schemas.settings import Settings
from schemas.topics import HISTORY, IDENTIFIED, RECORDS
from stream_processors import fold as folding
from stream_processors.checkpoint import Checkpoint
from stream_processors.fold import Folded, Reports, expire, fold, order_of
from stream_processors.index import NEVER, Index
from stream_processors.kafka import Batch, end_offsets, read_all
from stream_processors.lane import Output, Work
from stream_processors.receipts import receipts

LAW_TIME = ZoneInfo("Asia/Shanghai")  # days of publication are days there
_NO_DATE = np.iinfo(np.int32).min
_CATEGORY_NAMES = list(catalogue())
_STATUS_CODES = {name: code for code, name in enumerate(folding.STATUS_NAMES)}
# What a stub keeps: enough to find it, to say what closed it, and to bring the state back. The rest is blank.
_STUB_KEEPS = frozenset(
    ("record_id", "content", "subject_key", "department", "category", "operation", "authority_code", "effective_on",
     "source_version", "source_partition", "source_offset", "submission", "source_row", "source_part", "reported_at",
     "event_id", "change_document_number", "change_decided_on", "identity_version")
)  # fmt: skip

log = structlog.get_logger("register")


class Register:
    """The processor of the register lane.

    Args:
        folder: where checkpoints are kept.
        identity: what the state belongs to, see `identity_of`.
        clock: seconds since 1970, handed in.
        metric: (name, labels, value) of gauges.
    """

    name = "register"
    topics: Sequence[str] = (IDENTIFIED,)

    def __init__(
        self,
        settings: Settings,
        reference: Reference,
        folder: Path,
        identity: dict[str, Any],
        clock: Callable[[], float],
        metric: Callable[[str, Sequence[str], float], None],
    ) -> None:
        self._settings = settings
        self._reference = reference
        self._folder = folder
        self._identity = identity
        self._clock = clock
        self._metric = metric
        self._partitions: list[int] = []
        self._indexes: dict[int, Index] = {}
        self._checkpoints: dict[int, Checkpoint] = {}
        self._capacities: dict[int, int] = {}
        self._touched: set[int] = set()
        self._scanned_on: dict[int, int] = {}
        self._unknown: list[tuple[int, int]] = []
        self._department_names = {department_hash(name): name for name in reference.departments}

    # -- the batch ----------------------------------------------------------------------------------------------

    def work(self, batch: Batch) -> Work:
        """Authorise, fold, write: every report gets its outcome."""
        decoded = codec.decode(IDENTIFIED_EVENT, batch.values, head=True)
        self._unknown = decoded.unknown
        if decoded.faults:
            index = decoded.faults[0][0]
            raise Stop(
                f"decoding {batch.topics[index]}[{batch.partitions[index]}]@{batch.offsets[index]}: not an identified "
                "event, and only intake may write there; restore the topic's access rights and skip this offset"
            )
        if decoded.unknown:
            decoded, batch = _before_unknown(batch, decoded)
            if len(batch) == 0:
                return Work([])
        today = self._today()
        frame = pl.DataFrame(pl.from_arrow(decoded.batch))
        ranks = self._reference.ranks(frame["department"], frame["authority_code"])
        reports = reports_of(decoded.batch, frame, ranks)
        folded, markers = self._fold(reports, batch.partitions, today)
        outputs = self._write(batch, decoded.batch, frame, reports, folded, markers)
        outcomes = pl.Series([folding.OUTCOME_NAMES[code] for code in range(6)]).gather(
            folded.outcome.astype(np.uint32)
        )
        rows = frame.select(
            "department",
            "submission",
            outcome=outcomes,
            reason=pl.lit(""),
            detail=pl.lit(""),
            source_partition="source_partition",
            offset="source_offset",
            row="source_row",
            part="source_part",
            record_id="record_id",
        )
        return Work([*outputs, *receipts("register", rows)], self._counts(rows, decoded.batch))

    def _fold(self, reports: Reports, partitions: Any, today: int) -> tuple[Folded, list[tuple[Any, Any, Any, Any]]]:
        """Fold each partition's reports against its own index."""
        held = np.unique(partitions).tolist()
        self._touched.update(held)
        if len(held) == 1:
            folded = fold(self._indexes[held[0]], reports, today)
            return folded, folded.markers
        whole = _empty_folded(len(reports))
        markers: list[tuple[Any, Any, Any, Any]] = []
        for partition in held:
            at = np.flatnonzero(partitions == partition)
            part = fold(self._indexes[partition], _at(reports, at), today)
            for name in (
                "outcome",
                "revision",
                "status",
                "rank",
                "content",
                "content_order",
                "status_order",
                "rewrites",
            ):
                getattr(whole, name)[at] = getattr(part, name)
            markers += [(at[rows], high, low, status) for rows, high, low, status in part.markers]
        return whole, markers

    def _write(
        self,
        batch: Batch,
        head: pa.RecordBatch,
        frame: pl.DataFrame,
        reports: Reports,
        folded: Folded,
        markers: list[tuple[Any, Any, Any, Any]],
    ) -> list[Output]:
        """History, the new revisions, and the markers."""
        told = np.flatnonzero(folded.outcome != folding.REPEAT)
        if len(told) == 0 and not markers:
            return []
        ids = np.frombuffer(to_hex(reports.high[told], reports.low[told]).buffers()[2], np.uint8).tobytes()
        keys = [ids[start : start + 32] for start in range(0, len(ids), 32)]
        bodies = [batch.values[i][wire.FRAME_BYTES :] for i in told.tolist()]  # type: ignore[index]
        closed = folded.rewrites[told] & (folded.status[told] != folding.VALID)
        if closed.any():
            at = np.flatnonzero(closed)
            for i, body in zip(at.tolist(), _stubs(batch, told[at], folded.content[told[at]]), strict=True):
                bodies[i] = body
        status = np.where(
            folded.rewrites[told],
            folded.status[told],
            np.where(folded.outcome[told] == folding.CONFLICTING, folding.CONFLICT, folding.SUPERSEDED),
        )
        headers = encode_headers(
            folded.revision[told], status, folded.outcome[told], None, folded.rank[told],
            folded.content_order[told], folded.status_order[told],
        )  # fmt: skip
        frame_bytes = wire.frame(CREDIT_RECORD.name)
        values = [frame_bytes + header + body for header, body in zip(headers, bodies, strict=True)]
        partitions = batch.partitions[told]
        history = Output(HISTORY, values, keys, partitions.tolist())
        rewritten = np.flatnonzero(folded.rewrites[told]).tolist()
        record_values = [values[i] for i in rewritten]
        record_keys = [keys[i] for i in rewritten]
        record_partitions = partitions[rewritten].tolist()
        for rows, high, low, marker_status in markers:
            more_values, more_keys = self._marker_messages(frame, reports, rows, high, low, marker_status)
            record_values += more_values
            record_keys += more_keys
            record_partitions += batch.partitions[rows].tolist()
        return [history, Output(RECORDS, record_values, record_keys, record_partitions, tracked=True)]

    def _marker_messages(
        self, frame: pl.DataFrame, reports: Reports, rows: Any, high: Any, low: Any, status: Any
    ) -> tuple[list[bytes], list[bytes]]:
        marker_ids = to_hex(high, low)
        of = frame[rows]
        stubs = _blank_bodies(
            of.height,
            record_id=marker_ids,
            content=pa.array([""] * of.height),
            **{name: of[name] for name in ("subject_key", "department", "category", "operation", "reported_at",
                                            "source_partition", "source_offset", "effective_on", "source_version",
                                            "submission", "source_row", "source_part")},
        )  # fmt: skip
        return _stub_messages(
            stubs, np.ones(of.height, np.uint32), status, np.zeros(of.height, np.uint8), of["record_id"],
            reports.rank[rows], reports.order[rows], np.zeros(of.height, np.int64), marker_ids,
        )  # fmt: skip

    # -- time ---------------------------------------------------------------------------------------------------

    def idle(self) -> Work | None:
        """Once a day for each partition: close what is not to be published any more."""
        today = self._today()
        outputs: list[Output] = []
        expired = 0
        for partition in self._partitions:
            if self._scanned_on.get(partition) == today or partition not in self._indexes:
                continue
            self._scanned_on[partition] = today
            index = self._indexes[partition]
            places = expire(index, today).places
            if len(places) == 0:
                continue
            self._touched.add(partition)
            expired += len(places)
            values, keys = self._expired_messages(index, places)
            where = [partition] * len(values)
            outputs += [Output(HISTORY, values, keys, where), Output(RECORDS, values, keys, where, tracked=True)]
        if not outputs:
            return None
        log.info("publication ended", records=expired)
        # One output for each topic: a tracked partition may appear once only.
        return Work(_merged(outputs), [("xinliu_expired_total", (), expired)])

    def _expired_messages(self, index: Index, places: Any) -> tuple[list[bytes], list[bytes]]:
        slots = index.slots[places]
        count = len(places)
        now = pl.Series([int(self._clock() * 1000)] * count).cast(pl.Datetime("ms"))
        ids = to_hex(slots["high"], slots["low"])
        stubs = _blank_bodies(
            count,
            record_id=ids,
            content=to_hex(slots["content"]),
            subject_key=pl.Series([key.decode() for key in index.keys[places].tolist()]),
            department=pl.Series([self._department_names.get(d, "") for d in slots["department"].tolist()]),
            category=pl.Series([_CATEGORY_NAMES[c] for c in slots["category"].tolist()]),
            operation=pl.Series(["expire"] * count),
            reported_at=now,
        )
        return _stub_messages(
            stubs, slots["revision"], slots["status"], np.zeros(count, np.uint8), pl.Series([""] * count),
            slots["rank"], slots["content_order"], slots["status_order"], ids,
        )  # fmt: skip

    def _today(self) -> int:
        local = datetime.fromtimestamp(self._clock(), LAW_TIME).date()
        return local.toordinal() - 719_163

    # -- the state ----------------------------------------------------------------------------------------------

    def assigned(self, partitions: Sequence[int]) -> None:
        self.revoked()
        self._partitions = list(partitions)

    def revoked(self) -> None:
        for checkpoint in self._checkpoints.values():
            checkpoint.close()
        self._partitions, self._indexes, self._checkpoints = [], {}, {}
        self._touched, self._scanned_on = set(), {}

    def restore(self, keep_alive: Callable[[], None]) -> None:
        """The checkpoint first, then what `credit.records` holds beyond it, committed, to the end as it stands now."""
        started = time.monotonic()
        if not self._partitions:
            return
        ends = end_offsets(self._settings, RECORDS, partitions=self._partitions)
        starts: dict[int, int] = {}
        for partition in self._partitions:
            index = self._indexes[partition] = Index()
            checkpoint = self._checkpoints[partition] = Checkpoint(self._folder, partition, self._identity, index)
            starts[partition], why = checkpoint.load(ends[partition])
            if why:
                log.info("checkpoint not used to its end", partition=partition, why=why)
        replayed = 0
        start = {p: starts.get(p, ends[p]) for p in ends}
        for batch in read_all(self._settings, RECORDS, start=start, only=self._partitions, between=keep_alive):
            for partition in np.unique(batch.partitions).tolist():
                part = batch.select(np.flatnonzero(batch.partitions == partition))
                replay(self._indexes[partition], part)
                replayed += len(part)
        seconds = time.monotonic() - started
        for partition in self._partitions:
            index = self._indexes[partition]
            index.forget()
            self._capacities[partition] = index.capacity
            if starts[partition] < ends[partition] or starts[partition] == 0:
                self._checkpoints[partition].rewrite(ends[partition])
            self._metric("xinliu_state_rows", (str(partition),), len(index))
            self._metric("xinliu_restore_seconds", (str(partition),), seconds)
        rows = sum(map(len, self._indexes.values()))
        log.info("restored", rows=rows, replayed=replayed, seconds=round(seconds, 2))

    def committed(self, offsets: dict[int, int]) -> None:
        for partition in self._touched:
            index, checkpoint = self._indexes[partition], self._checkpoints[partition]
            changed = index.changed()
            if partition in offsets:
                if index.capacity != self._capacities[partition]:
                    self._capacities[partition] = index.capacity
                    checkpoint.rewrite(offsets[partition])
                else:
                    checkpoint.append(offsets[partition], changed)
                self._metric("xinliu_state_rows", (str(partition),), len(index))
            index.forget()
        self._touched = set()

    def aborted(self) -> None:
        for partition in self._touched:
            if partition in self._indexes:
                self._indexes[partition].undo()
        self._touched, self._scanned_on = set(), {}

    def unknown_schemas(self) -> list[tuple[int, int]]:
        return self._unknown

    def closed(self) -> None:
        self.revoked()

    def _counts(self, rows: pl.DataFrame, head: pa.RecordBatch) -> list[tuple[str, tuple[str, ...], float]]:
        counts: list[tuple[str, tuple[str, ...], float]] = []
        for department, outcome, n in rows.group_by("department", "outcome").agg(n=pl.len()).iter_rows():
            counts.append(("xinliu_events_total", ("register", department), n))
            counts.append(("xinliu_outcomes_total", ("register", department, outcome), n))
        regions = pl.Series(pl.from_arrow(head["region"]))
        per_region = rows.select("department", "outcome").with_columns(region=regions)
        for department, outcome, region, n in (
            per_region.group_by("department", "outcome", "region").agg(n=pl.len()).iter_rows()
        ):
            for unit in self._reference.units_of(region, department):
                counts.append(("xinliu_pilot_unit_events_total", (unit, outcome), n))
        return counts


def reports_of(head: pa.RecordBatch, frame: pl.DataFrame, ranks: Any) -> Reports:
    """Head columns of identified events as the fold's columns."""
    high, low = from_hex(head["record_id"], 2)
    (content,) = from_hex(head["content"], 1)
    codes = frame.select(
        operation=pl.col("operation").replace_strict(
            folding.OPERATION_CODES, default=folding.REPORT, return_dtype=pl.UInt8
        ),
        category=pl.col("category").replace_strict(
            {name: i for i, name in enumerate(_CATEGORY_NAMES)}, default=0, return_dtype=pl.UInt8
        ),
        department=(plh.col("department").nchash.xxh3_64() & 0xFFFFFFFF).cast(pl.UInt32),  # type: ignore[attr-defined]
        version=pl.col("source_version").to_physical().fill_null(0),
        day=pl.col("effective_on").to_physical().fill_null(_NO_DATE),
        expires_on=pl.col("published_until").to_physical().fill_null(int(NEVER)),
    )
    day = codes["day"].to_numpy()
    order = order_of(codes["version"].to_numpy(), np.where(day == _NO_DATE, -719_163, day))
    keys = _fixed(frame["subject_key"])
    return Reports(
        high, low, content, codes["operation"].to_numpy(), order, ranks, codes["department"].to_numpy(),
        codes["category"].to_numpy(), codes["expires_on"].to_numpy(), keys,
    )  # fmt: skip


def _fixed(keys: pl.Series) -> Any:
    return np.array([key.encode() for key in keys.to_list()], "S32")


def department_hash(name: str) -> int:
    """The 32-bit number by which a slot names a department."""
    hashed = pl.DataFrame({"d": [name]}).select(plh.col("d").nchash.xxh3_64())  # type: ignore[attr-defined]
    return int(hashed.to_series()[0]) & 0xFFFFFFFF


def replay(index: Index, batch: Batch) -> None:
    """Take messages of `credit.records` of one partition into the index; the last one of an id stands."""
    decoded = codec.decode(CREDIT_RECORD, batch.values, head=True)
    if decoded.faults or decoded.unknown:
        raise Stop(
            "restoring from credit.records: a message is not a record of a known version; deploy a newer version"
        )
    head = decoded.batch
    high, low = from_hex(head["record_id"], 2)
    newest = _last_of_each(high, low)
    head, high, low = head.take(pa.array(newest)), high[newest], low[newest]
    frame = pl.DataFrame(pl.from_arrow(head))
    index.reserve(len(newest))
    places = index.find(high, low)
    unknown = np.flatnonzero(places < 0)
    places[unknown] = index.insert(high[unknown], low[unknown])
    codes = frame.select(
        status=pl.col("status").replace_strict(_STATUS_CODES, return_dtype=pl.UInt8),
        category=pl.col("category").replace_strict(
            {name: i for i, name in enumerate(_CATEGORY_NAMES)}, default=0, return_dtype=pl.UInt8
        ),
        department=(plh.col("department").nchash.xxh3_64() & 0xFFFFFFFF).cast(pl.UInt32),  # type: ignore[attr-defined]
        expires_on=pl.col("published_until").to_physical().fill_null(int(NEVER)),
        content=pl.col("content"),
    )
    status = codes["status"].to_numpy()
    said = np.array([len(text) == 16 for text in codes["content"].to_list()]) & (frame["content_order"].to_numpy() >= 0)
    content = np.zeros(len(newest), np.uint64)
    if said.any():
        (content[said],) = from_hex(head["content"].filter(pa.array(said)), 1)
    slots = index.slots
    slots["content"][places] = content
    slots["content_order"][places] = frame["content_order"].to_numpy()
    slots["status_order"][places] = frame["status_order"].to_numpy()
    slots["revision"][places] = frame["revision"].to_numpy().astype(np.uint32)
    slots["status"][places] = status
    slots["rank"][places] = frame["rank"].to_numpy().astype(np.uint8)
    slots["category"][places] = codes["category"].to_numpy()
    slots["department"][places] = codes["department"].to_numpy()
    slots["expires_on"][places] = np.where(status == folding.VALID, codes["expires_on"].to_numpy(), NEVER)
    index.keys[places] = _fixed(frame["subject_key"])
    _replay_confirmations(index, frame.filter(pl.col("status") == "confirmed"))
    index.forget()


def _replay_confirmations(index: Index, markers: pl.DataFrame) -> None:
    """A confirmed content stands at its later position. A record that is not there yet comes later in the log, and with
    a position at least as late."""
    if markers.height == 0:
        return
    high, low = from_hex(markers["variant_of"].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string()), 2)
    places = index.find(high, low)
    there = places >= 0
    at = places[there]
    order = index.slots["content_order"]
    order[at] = np.maximum(order[at], markers["content_order"].to_numpy()[there])


def _last_of_each(high: Any, low: Any) -> Any:
    """Row of the last occurrence of each id."""
    by_id = np.lexsort((high, low))
    ends = np.ones(len(by_id), bool)
    ends[:-1] = (low[by_id][1:] != low[by_id][:-1]) | (high[by_id][1:] != high[by_id][:-1])
    return np.sort(by_id[ends])


def encode_headers(
    revision: Any,
    status: Any,
    outcome: Any,
    variant_of: pl.Series | None,
    rank: Any,
    content_order: Any,
    status_order: Any,
) -> list[bytes]:
    """The leading fields of records as Avro bytes; the rest of a record follows them as it was read."""
    count = len(revision)
    names = pa.array(folding.STATUS_NAMES)
    outcomes = pa.array(folding.OUTCOME_NAMES)
    variants = (
        pa.array([""] * count) if variant_of is None else variant_of.to_arrow(compat_level=pl.CompatLevel.oldest())
    )
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array(np.asarray(revision).astype(np.int32)),
            names.take(pa.array(np.asarray(status))),
            outcomes.take(pa.array(np.asarray(outcome))),
            variants.cast(pa.string()),
            pa.array(np.asarray(rank).astype(np.int32)),
            pa.array(np.asarray(content_order)),
            pa.array(np.asarray(status_order)),
        ],
        schema=REVISION_HEADER.arrow,
    )
    return codec.encode_bodies(REVISION_HEADER, batch).to_pylist()


def _blank_bodies(count: int, **columns: Any) -> list[bytes]:
    """Bodies of identified events in which only the given columns are not blank."""
    arrays = []
    for field in IDENTIFIED_EVENT.arrow:
        given = columns.get(field.name)
        if given is None:
            if field.nullable:
                arrays.append(pa.nulls(count, field.type))
            elif pa.types.is_list(field.type):
                arrays.append(
                    pa.ListArray.from_arrays(np.zeros(count + 1, np.int32), pa.array([], pa.string())).cast(field.type)
                )
            elif pa.types.is_string(field.type):
                arrays.append(pa.array([""] * count, pa.string()))
            else:
                arrays.append(pa.array(np.zeros(count, np.int64)).cast(field.type))
        else:
            array = given.to_arrow(compat_level=pl.CompatLevel.oldest()) if isinstance(given, pl.Series) else given
            arrays.append(array.cast(field.type))
    return codec.encode_bodies(
        IDENTIFIED_EVENT, pa.RecordBatch.from_arrays(arrays, schema=IDENTIFIED_EVENT.arrow)
    ).to_pylist()


def _stubs(batch: Batch, rows: Any, contents: Any) -> list[bytes]:
    """Bodies of these events with the facts blanked.

    The content is that of the record, not of the event that closed it: a restore has to find it again.
    """
    whole = codec.decode(IDENTIFIED_EVENT, [batch.values[i] for i in rows.tolist()])
    kept = {name: whole.batch[name] for name in IDENTIFIED_EVENT.names if name in _STUB_KEEPS}
    return _blank_bodies(len(rows), **kept | {"content": to_hex(contents)})


def _stub_messages(
    bodies: list[bytes], revision: Any, status: Any, outcome: Any, variant_of: pl.Series,
    rank: Any, content_order: Any, status_order: Any, ids: pa.StringArray,
) -> tuple[list[bytes], list[bytes]]:  # fmt: skip
    headers = encode_headers(revision, status, outcome, variant_of, rank, content_order, status_order)
    frame_bytes = wire.frame(CREDIT_RECORD.name)
    values = [frame_bytes + header + body for header, body in zip(headers, bodies, strict=True)]
    return values, [key.encode() for key in ids.to_pylist()]


def _before_unknown(batch: Batch, decoded: codec.Decoded) -> tuple[codec.Decoded, Batch]:
    """Only what lies before the first unknown schema id of its partition."""
    limit: dict[int, int] = {}
    for index, _ in decoded.unknown:
        limit.setdefault(int(batch.partitions[index]), int(batch.offsets[index]))
    at = np.array(
        [i for i, row in enumerate(decoded.rows.tolist())
         if int(batch.offsets[row]) < limit.get(int(batch.partitions[row]), 1 << 62)],
        np.int64,
    )  # fmt: skip
    kept = codec.Decoded(decoded.batch.take(pa.array(at)), decoded.rows[at], [], decoded.unknown)
    return kept, batch.select(decoded.rows[at])


def _at(reports: Reports, rows: Any) -> Reports:
    return Reports(*(getattr(reports, name)[rows] for name in Reports.__slots__))


def _empty_folded(count: int) -> Folded:
    return Folded(
        np.zeros(count, np.uint8), np.zeros(count, np.uint32), np.zeros(count, np.uint8), np.zeros(count, np.uint8),
        np.zeros(count, np.uint64), np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, bool),
    )  # fmt: skip


def _merged(outputs: list[Output]) -> list[Output]:
    merged: list[Output] = []
    for topic in dict.fromkeys(output.topic for output in outputs):
        same = [output for output in outputs if output.topic == topic]
        merged.append(
            Output(
                topic,
                [value for output in same for value in output.values],
                [key for output in same for key in output.keys],
                [partition for output in same for partition in output.partitions],
                same[0].tracked,
            )
        )
    return merged
