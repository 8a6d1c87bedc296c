"""Live counts of each pilot unit: changes of records and repairs, by day. Exact: counts and position are one write.

Units overlap, so the counts do not add up. What is counted is how the data flow; punishments are not told apart, since
no report compares units by them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import structlog

from schemas import codec
from schemas.avro import CREDIT_RECORD
from schemas.calendar import LAW_TIME
from schemas.reference import Reference
from schemas.settings import Settings
from schemas.topics import HISTORY
from stream_processors.kafka import read_all
from stream_processors.ops.follow import topic_identity
from stream_processors.ops.ledger import Ledger, UnitCounts

READER = "pilot-units"

log = structlog.get_logger("ops")


def count(revisions: pl.DataFrame, reference: Reference) -> UnitCounts:
    """(unit, day of the report in the law's time, outcome or `repair`) → revisions of records.

    Args:
        revisions: columns region, department, reported_at (UTC), outcome, operation, status, variant_of; markers, which
            only say that another content was seen, are not counted.
    """
    records = revisions.filter(pl.col("variant_of") == "")
    day = pl.col("reported_at").dt.replace_time_zone("UTC").dt.convert_time_zone(LAW_TIME.key).dt.date().alias("day")
    units = reference.pilot_units.units_for(records["region"], records["department"])
    repaired = (pl.col("operation") == "repair") & (pl.col("status") == "repaired")
    kinds = pl.when(repaired).then(pl.concat_list("outcome", pl.lit("repair"))).otherwise(pl.concat_list("outcome"))
    rows = (
        records.select(day, kinds.alias("kind"), units.alias("unit")).explode("unit").explode("kind").drop_nulls("unit")
    )
    grouped = rows.group_by("unit", "day", "kind").len()
    return {(unit, day.isoformat(), kind): number for unit, day, kind, number in grouped.iter_rows()}


def catch_up_counts(settings: Settings, ledger: Ledger, reference: Reference, alive: Callable[[], Any]) -> None:
    """Count what `credit.history` says beyond the ledger's position. Raises Retryable while the broker is away."""
    ledger.belongs_to(HISTORY, topic_identity(settings, HISTORY), (READER,))
    for batch in read_all(settings, HISTORY, start=ledger.positions(READER)):
        decoded = codec.decode(CREDIT_RECORD, batch.values, head=True)
        if decoded.unknown:
            log.warning("a message of a newer version waits", topic=HISTORY, what_now="deploy the newer version of ops")
            return
        if decoded.faults:
            log.warning(
                "messages that can not be read are not counted",
                topic=HISTORY,
                count=len(decoded.faults),
                first_offset=int(batch.offsets[decoded.faults[0][0]]),
            )
        ends = {(READER, partition): end for (_, partition), end in batch.next_offsets().items()}
        ledger.count(ends, count(pl.DataFrame(pl.from_arrow(decoded.batch)), reference))
        alive()
