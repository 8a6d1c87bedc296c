"""Intake, the first lane: reports become identified reports, or are set aside with a reason. Read this first.

    departments' topics ──► decode ──► examine (guard, normalise, identify) ──► credit.identified
                                                 └──► credit.quarantine, credit.receipts.<department>

Stateless: any number of processes. Each event takes exactly one of the ways out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from schemas import codec
from schemas.avro import CREDIT_EVENT, IDENTIFIED_EVENT, QUARANTINED
from schemas.examine import REJECTS_SCHEMA, Examined, examine
from schemas.hashing import partition_of
from schemas.persons import screen
from schemas.reasons import REASONS
from schemas.reference import Reference
from schemas.subjects import keeps_names, may_be_persons
from schemas.topics import EVENT_BYTES_MAX, IDENTIFIED, QUARANTINE, department_of, events_topic
from stream_processors.counts import Units, intake_counts
from stream_processors.kafka import Batch
from stream_processors.lane import Output, Work
from stream_processors.receipts import receipts
from stream_processors.unknown_schemas import before_unknown

Rows = np.ndarray[Any, np.dtype[np.int64]]


class Intake:
    """The processor of the intake lane.

    Args:
        partitions: P, of `credit.identified` and everything behind it.
        marker: a file that stands while the process lives. Where it stands at the start, the last end was unclean, and
            the first batch is decoded message by message: the fast codec may have died of it.
    """

    name = "intake"

    def __init__(self, reference: Reference, partitions: int, marker: Path | None = None) -> None:
        self.topics: Sequence[str] = [events_topic(department) for department in reference.departments]
        self._reference = reference
        self._partitions = partitions
        self._marker = marker
        self._careful = marker is not None and marker.exists()
        if marker is not None:
            with suppress(OSError):  # without a marker the fast codec dies twice of a message, not once
                marker.parent.mkdir(parents=True, exist_ok=True)
                marker.touch()
        self._unknown: list[tuple[int, int]] = []
        self._units = Units(reference.pilot_units)

    def work(self, batch: Batch) -> Work:
        """Decode, examine, and put every event on exactly one way out."""
        decoded = codec.decode(CREDIT_EVENT, batch.values, careful=self._careful, bytes_max=EVENT_BYTES_MAX)
        self._careful = False
        self._unknown = decoded.unknown
        if decoded.unknown:
            batch, decoded = before_unknown(batch, decoded)
            if len(batch) == 0:
                return Work([])
        departments = _departments(batch)
        who = departments[0] if len(set(departments)) == 1 else pl.Series(departments).gather(decoded.rows)
        examined = examine(decoded.batch, who, self._reference)
        identified = _with_source(examined, batch, decoded.rows)
        rejects = _rejects(examined, decoded.rows, decoded.faults)
        outputs = [
            _identified(identified, self._partitions),
            _quarantined(rejects, batch, departments, decoded),
            *receipts("intake", _reject_receipts(rejects, batch, departments, decoded)),
        ]
        return Work(outputs, intake_counts(departments, rejects, decoded.batch, self._units, self._reference))

    def unknown_schemas(self) -> list[tuple[int, int]]:
        return self._unknown

    def closed(self) -> None:
        """A clean end."""
        if self._marker is not None:
            self._marker.unlink(missing_ok=True)

    def assigned(self, partitions: Sequence[int]) -> None:
        """Nothing is kept by partition."""

    def revoked(self) -> None:
        """Nothing is kept by partition."""

    def restore(self, keep_alive: Callable[[], None]) -> None:
        """There is no state."""

    def idle(self) -> Work | None:
        return None

    def committed(self, offsets: dict[int, int]) -> None:
        """There is no state."""

    def aborted(self) -> None:
        """There is no state."""


def _departments(batch: Batch) -> list[str]:
    names = {topic: department_of(topic) for topic in set(batch.topics)}
    return [names[topic] for topic in batch.topics]


def _with_source(examined: Examined, batch: Batch, decoded_rows: Rows) -> pa.RecordBatch:
    """Where in the department's topic each identified report lies."""
    at = decoded_rows[examined.rows]
    columns = dict(zip(IDENTIFIED_EVENT.names, examined.identified.columns, strict=True))
    columns["source_partition"] = pa.array(batch.partitions[at])
    columns["source_offset"] = pa.array(batch.offsets[at])
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=IDENTIFIED_EVENT.arrow)


def _identified(identified: pa.RecordBatch, partitions: int) -> Output:
    keys = codec.as_bytes(identified["subject_key"].cast(pa.binary()))
    places = partition_of(keys, partitions) if keys else np.zeros(0, np.int32)
    return Output(IDENTIFIED, codec.encode(IDENTIFIED_EVENT, identified), keys, places.tolist())


def _rejects(examined: Examined, decoded_rows: Rows, faults: list[tuple[int, str]]) -> pl.DataFrame:
    """Rejects by index in the batch (`at`) and row of the decoded events (`row`, -1 where nothing could be decoded)."""
    of_events = examined.rejects.with_columns(
        at=pl.Series(decoded_rows[examined.rejects["row"].to_numpy()], dtype=pl.Int64)
    )
    if not faults:
        return of_events
    of_bytes = pl.DataFrame(
        [(-1, REASONS[reason].outcome, reason, "", index) for index, reason in faults],
        schema={**REJECTS_SCHEMA, "at": pl.Int64},
        orient="row",
    )
    return pl.concat([of_events, of_bytes])


def _origin(decoded: codec.Decoded, rows: pl.Series) -> pl.DataFrame:
    """submission, row and part of rejects; blank where the event could not be read."""
    frame = pl.DataFrame(pl.from_arrow(decoded.batch.select(["submission", "source_row", "source_part"])))
    blank = pl.DataFrame({"submission": [""], "source_row": [0], "source_part": [0]}, schema=frame.schema)
    with_blank = pl.concat([frame, blank])
    return with_blank[rows.replace(-1, frame.height)]


def _reject_receipts(
    rejects: pl.DataFrame, batch: Batch, departments: list[str], decoded: codec.Decoded
) -> pl.DataFrame:
    at = rejects["at"].to_numpy()
    origin = _origin(decoded, rejects["row"])
    # A refused row's submission may itself be what the guard found: it is kept only where it is one of our own names,
    # and nothing is hidden in that.
    usual = origin["submission"].str.contains(r"^[a-z0-9-]{1,40}-\d{8}-\d{6}-[0-9a-f]{4,8}$")
    ours = (rejects["reason"] != "personal_number") | (usual & screen(origin, ("submission",)).is_null())
    return rejects.select("outcome", "reason", "detail").with_columns(
        department=pl.Series([departments[i] for i in at.tolist()], dtype=pl.String),
        submission=pl.select(pl.when(ours).then(origin["submission"]).otherwise(pl.lit(""))).to_series(),
        source_partition=pl.Series(batch.partitions[at]),
        offset=pl.Series(batch.offsets[at]),
        row=origin["source_row"],
        part=origin["source_part"],
        record_id=pl.lit(""),
    )


def _quarantined(rejects: pl.DataFrame, batch: Batch, departments: list[str], decoded: codec.Decoded) -> Output:
    """One message for each event that is set aside: where it lies, why, and the event where it could be read."""
    aside = rejects.filter(pl.col("outcome") == "quarantined")
    at, rows = aside["at"].to_numpy(), aside["row"].to_numpy()
    read = np.flatnonzero(rows >= 0)
    events = _without_doubtful_names(
        pl.DataFrame(pl.from_arrow(decoded.batch.take(rows[read]))), aside["reason"].gather(read)
    )
    known = events.select("submission", "source_row", "source_part", "event_id", "mapping", "category", "reported_at")
    found = known.with_columns(
        index=pl.Series(read, dtype=pl.Int64), event=pl.Series(events.write_ndjson().splitlines(), dtype=pl.String)
    )
    whole = aside.select("reason", "detail", index=pl.int_range(pl.len())).join(found, on="index", how="left")
    frame = whole.with_columns(
        pl.col("submission", "event_id", "mapping", "category", "event").fill_null(""),
        pl.col("source_row", "source_part").fill_null(0),
        department=pl.Series([departments[i] for i in at.tolist()], dtype=pl.String),
        source_partition=pl.Series(batch.partitions[at]),
        source_offset=pl.Series(batch.offsets[at]),
    ).sort("index")
    table = frame.select(QUARANTINED.names).to_arrow(compat_level=pl.CompatLevel.oldest())
    columns = [table[field.name].combine_chunks().cast(field.type) for field in QUARANTINED.arrow]
    values = codec.encode(QUARANTINED, pa.RecordBatch.from_arrays(columns, schema=QUARANTINED.arrow))
    return Output(QUARANTINE, values, [None] * len(values), [0] * len(values))


def _without_doubtful_names(events: pl.DataFrame, reasons: pl.Series) -> pl.DataFrame:
    """The line holds in quarantine as well: no name stays that may be a person's.

    What says of itself that it is a sole trader keeps a name of business only; its code may be what is wrong with it,
    so the form of the code decides, or the kind that was reported. Where no organisation was found, the name must say
    that it is one's.
    """
    codes = events["subject_ids"].list.join(" ")
    traders = codes.str.contains(r":\s*92") | events["subject_kind"].str.contains("sole_trader|个体")
    kinds = pl.select(pl.when(traders).then(pl.lit("sole_trader")).otherwise(pl.lit("unknown"))).to_series()
    unfound = reasons.str.starts_with("subject_") | (events["subject_ids"].list.len() == 0)
    kept = keeps_names(events["subject_name"], kinds) & ~(unfound & may_be_persons(events["subject_name"]))
    return events.with_columns(subject_name=pl.when(kept).then("subject_name").otherwise(pl.lit("")))
