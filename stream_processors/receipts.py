"""Receipts of a batch: for each submission, what became of which rows; many rows in one message."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from schemas import codec
from schemas.avro import RECEIPT
from schemas.topics import receipts_topic
from stream_processors.lane import Output

_ROWS_PER_RECEIPT = 5_000  # about 250 KB with its record ids, well below the largest message


def receipts(lane: str, rows: pl.DataFrame) -> list[Output]:
    """Messages for the receipts topics of the departments in the batch.

    Args:
        rows: one for each event, with the columns department, submission, outcome, reason, detail, source_partition,
            offset, row, part, record_id.
    """
    if rows.height == 0:
        return []
    by = ["department", "submission", "outcome", "reason", "detail", "source_partition"]
    numbered = rows.with_columns(chunk=pl.int_range(pl.len()).over(by) // _ROWS_PER_RECEIPT)
    grouped = numbered.group_by([*by, "chunk"], maintain_order=True).agg(
        offsets=pl.col("offset"), rows=pl.col("row"), parts=pl.col("part"), record_ids=pl.col("record_id")
    )
    batch = _batch(grouped.with_columns(lane=pl.lit(lane)))
    values = codec.encode(RECEIPT, batch)
    departments: Sequence[str] = grouped["department"].to_list()
    outputs: list[Output] = []
    for department in dict.fromkeys(departments):
        mine = [value for value, owner in zip(values, departments, strict=True) if owner == department]
        outputs.append(Output(receipts_topic(department), mine, [None] * len(mine), [0] * len(mine)))
    return outputs


def _batch(frame: pl.DataFrame) -> pa.RecordBatch:
    table = frame.select(RECEIPT.names).to_arrow(compat_level=pl.CompatLevel.oldest())
    columns = [table[field.name].combine_chunks().cast(field.type) for field in RECEIPT.arrow]
    return pa.RecordBatch.from_arrays(columns, schema=RECEIPT.arrow)
