"""Identified events as the columns that the fold compares, and the codes that stand for names in a slot.

Shared by the way in (`register`) and the way back (`restore`): both must spell a slot in the same way.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import polars_hash as plh
import pyarrow as pa

from schemas.catalogue import catalogue
from schemas.hashing import from_hex
from stream_processors.fold import OPERATION_CODES, REPORT, Reports, order_of
from stream_processors.index import KEY, NEVER, Array

CATEGORY_NAMES = tuple(catalogue())
_CATEGORY_CODES = {name: code for code, name in enumerate(CATEGORY_NAMES)}
_NO_DATE = np.iinfo(np.int32).min
_DAY_BEFORE_ALL = -719_163  # 0001-01-01 in days since 1970: an act without a date comes before every dated one


def reports_of(head: pa.RecordBatch, frame: pl.DataFrame, ranks: Array) -> Reports:
    """Head columns of identified events, as the fold takes them.

    Args:
        frame: the same columns as `head`.
        ranks: how far each department may speak for the authority that it names, see `Reference.ranks`.
    """
    high, low = from_hex(head["record_id"], 2)
    (content,) = from_hex(head["content"], 1)
    codes = frame.select(
        operation=pl.col("operation").replace_strict(OPERATION_CODES, default=REPORT, return_dtype=pl.UInt8),
        category=category_codes(),
        department=department_codes(),
        version=pl.col("source_version").to_physical().fill_null(0),
        day=pl.col("effective_on").to_physical().fill_null(_NO_DATE),
        expires_on=expiry_days(),
    )
    day = codes["day"].to_numpy()
    return Reports(
        high=high,
        low=low,
        content=content,
        operation=codes["operation"].to_numpy(),
        order=order_of(codes["version"].to_numpy(), np.where(day == _NO_DATE, _DAY_BEFORE_ALL, day)),
        rank=ranks,
        department=codes["department"].to_numpy(),
        category=codes["category"].to_numpy(),
        expires_on=codes["expires_on"].to_numpy(),
        keys=fixed_keys(frame["subject_key"]),
    )


def select_reports(reports: Reports, rows: Array) -> Reports:
    """The reports in the given rows."""
    return Reports(*(getattr(reports, name)[rows] for name in Reports.__slots__))


def category_codes() -> pl.Expr:
    """The number by which a slot names a category: its place in the catalogue."""
    return pl.col("category").replace_strict(_CATEGORY_CODES, default=0, return_dtype=pl.UInt8)


def department_codes() -> pl.Expr:
    """The 32-bit number by which a slot names a department."""
    return (plh.col("department").nchash.xxh3_64() & 0xFFFFFFFF).cast(pl.UInt32)


def department_hash(name: str) -> int:
    """`department_codes` of one name."""
    return int(pl.DataFrame({"department": [name]}).select(department_codes()).item())


def expiry_days() -> pl.Expr:
    """Last day of publication in days since 1970, NEVER without one."""
    return pl.col("published_until").to_physical().fill_null(int(NEVER))


def fixed_keys(keys: pl.Series) -> Array:
    """Subject keys as they lie beside the slots."""
    return np.array([key.encode() for key in keys.to_list()], KEY)
