"""Messages as the few numeric columns that the checks compare: two million of them fit into some hundred megabytes.

Ids become pairs of uint64, words become codes, an event becomes its place, and all columns of a record together become
one hash, by which a row of the log and a row of the store compare.
"""

from typing import Any, overload

import numpy as np
import polars as pl
import pyarrow as pa

from schemas.hashing import from_hex, partition_of
from schemas.reference import Reference
from stream_processors.checks import refold
from stream_processors.checks.places import Departments, frame_places

Ints = np.ndarray[Any, Any]

_DAY_MS = 86_400_000
_SHANGHAI_MS = 8 * 3_600_000
NEVER = 2**31 - 1  # expires_on where publication has no end
_DAYS_FROM_YEAR_1_TO_1970 = 719_163
_DAY_BITS = 22
_OPERATION_OF = {"correct": "report"}  # what a correction may replace follows from who sends it
_CODE_OF_OPERATION = {name: code for code, name in enumerate(refold.OPERATIONS)}
_CODE_OF_STATUS = {name: code for code, name in enumerate(refold.STATUSES)}
_CODE_OF_OUTCOME = {name: code for code, name in enumerate(refold.OUTCOMES)}

LOG_COLUMNS = ("partition", "offset", "timestamp_ms", "key")


def identified_columns(
    frame: pl.DataFrame, departments: Departments, reference: Reference, partitions: int
) -> pl.DataFrame:
    """The head of identified events as what the fold needs.

    Columns: partition, offset, place, high, low (of the record), content, operation, order, rank, department,
    expires_on (days since 1970), well_placed: whether key and partition are those of the subject.
    """
    key_is = frame["key"] == frame["subject_key"]
    return _event_columns(frame, departments, reference, partitions, key_is)


def _event_columns(
    frame: pl.DataFrame, departments: Departments, reference: Reference, partitions: int, key_is_right: pl.Series
) -> pl.DataFrame:
    high, low = record_ids(frame["record_id"])
    return pl.DataFrame(
        [
            frame["partition"],
            frame["offset"],
            frame_places(departments, frame),
            high.alias("high"),
            low.alias("low"),
            _hash_text(frame["content"]).alias("content"),
            _operation_codes(frame),
            _orders(frame),
            pl.Series("rank", reference.ranks(frame["department"], frame["authority_code"]), dtype=pl.UInt8),
            pl.Series("department", departments.numbers(frame["department"])).cast(pl.UInt16),
            _ends(frame),
            (key_is_right.fill_null(False) & (frame["partition"] == _partitions_of(frame, partitions))).alias(
                "well_placed"
            ),
        ]
    )


def record_columns(
    frame: pl.DataFrame, departments: Departments, reference: Reference, partitions: int
) -> pl.DataFrame:
    """Revisions and markers, from credit.records or credit.history.

    Columns: those of `identified_columns`, revision, status, outcome, record_rank, content_order, status_order,
    variant_high, variant_low (0 for a record), marker, and `whole`: a hash over all columns of the message.
    """
    variant_high, variant_low = record_ids(frame["variant_of"])
    key_is = frame["key"] == frame["record_id"]
    return pl.DataFrame(
        [
            *_event_columns(frame, departments, reference, partitions, key_is).iter_columns(),
            frame["timestamp_ms"],
            frame["revision"],
            frame["status"].replace_strict(_CODE_OF_STATUS, default=255, return_dtype=pl.UInt8).alias("status"),
            frame["outcome"].replace_strict(_CODE_OF_OUTCOME, default=255, return_dtype=pl.UInt8).alias("outcome"),
            frame["rank"].cast(pl.UInt8).alias("record_rank"),
            frame["content_order"],
            frame["status_order"],
            variant_high.alias("variant_high"),
            variant_low.alias("variant_low"),
            (frame["variant_of"] != "").alias("marker"),
            hash_rows(frame.drop(LOG_COLUMNS)).alias("whole"),
        ]
    )


def hash_rows(frame: pl.DataFrame) -> pl.Series:
    """One uint64 for each row over all its columns, the same for the same values whatever their Arrow types are."""
    return comparable(frame).hash_rows()


def comparable(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns in the order of their names, each in the one type in which log and store compare."""
    return frame.select([_plain(pl.col(name), frame.schema[name]) for name in sorted(frame.columns)])


def _plain(column: pl.Expr, kind: pl.DataType) -> pl.Expr:
    if isinstance(kind, pl.List):
        return column.cast(pl.List(pl.String)).list.join("\x1f")
    if isinstance(kind, pl.Datetime):
        return column.dt.epoch("ms")
    if isinstance(kind, pl.Date):
        return column.to_physical().cast(pl.Int64)
    if kind.is_integer():
        return column.cast(pl.Int64)
    return column.cast(pl.String)


def _partitions_of(frame: pl.DataFrame, partitions: int) -> pl.Series:
    keys = [key.encode() for key in frame["subject_key"].to_list()]
    return pl.Series(partition_of(keys, partitions) if keys else [], dtype=pl.Int32)


def record_ids(ids: pl.Series) -> tuple[pl.Series, pl.Series]:
    """128-bit ids in hex as two uint64 columns, high and low; 0 where the text is no such id."""
    good = ids.str.contains(r"^[0-9a-f]{32}$")
    texts = pl.select(pl.when(good).then(ids).otherwise(pl.lit("0" * 32))).to_series()
    high, low = from_hex(_arrow(texts), 2)
    return pl.Series("high", high, dtype=pl.UInt64), pl.Series("low", low, dtype=pl.UInt64)


def _hash_text(texts: pl.Series) -> pl.Series:
    good = texts.str.contains(r"^[0-9a-f]{16}$")
    whole = pl.select(pl.when(good).then(texts).otherwise(pl.lit("0" * 16))).to_series()
    return pl.Series("content", from_hex(_arrow(whole), 1)[0], dtype=pl.UInt64)


def _arrow(texts: pl.Series) -> pa.StringArray:
    array = texts.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string())
    assert isinstance(array, pa.StringArray)
    return array


def _operation_codes(frame: pl.DataFrame) -> pl.Series:
    operations = frame["operation"].replace(_OPERATION_OF)
    return operations.replace_strict(_CODE_OF_OPERATION, default=refold.REPORT, return_dtype=pl.UInt8)


def _orders(frame: pl.DataFrame) -> pl.Series:
    """Position of an event: source version in 1/100 s above 22 bits, days since the year 1 in them; at least 1."""
    hundredths = pl.col("source_version").dt.epoch("ms").fill_null(0) // 10
    days = (pl.col("effective_on").to_physical().cast(pl.Int64) + _DAYS_FROM_YEAR_1_TO_1970).fill_null(0)
    clipped = days.clip(0, (1 << _DAY_BITS) - 1)
    return frame.select(order=pl.max_horizontal(hundredths * (1 << _DAY_BITS) + clipped, pl.lit(1)))["order"]


def _ends(frame: pl.DataFrame) -> pl.Series:
    return frame["published_until"].to_physical().cast(pl.Int32).fill_null(NEVER).alias("expires_on")


@overload
def shanghai_days(ms: int) -> int: ...
@overload
def shanghai_days(ms: Ints) -> Ints: ...
def shanghai_days(ms: int | Ints) -> int | Ints:
    """Days since 1970 in Shanghai, where days of publication are counted: UTC+8 all year since 1991."""
    return (ms + _SHANGHAI_MS) // _DAY_MS
