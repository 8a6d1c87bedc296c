"""The bytes of a string column, for the few steps that look at every character of every row.

Polars keeps strings as views; here they are laid end to end once, so that numpy can work on the whole column.
"""

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


def string_bytes(values: pl.Series) -> tuple[Bytes, Offsets]:
    """UTF-8 bytes of all rows end to end, and where each row begins (n + 1 offsets). `values` holds no nulls."""
    array = values.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    _, offset_buffer, data_buffer = array.buffers()
    if offset_buffer is None or len(array) == 0:
        return np.zeros(0, np.uint8), np.zeros(len(array) + 1, np.int64)
    offsets = np.frombuffer(memoryview(offset_buffer), np.int64)[array.offset : array.offset + len(array) + 1]
    data = np.zeros(0, np.uint8) if data_buffer is None else np.frombuffer(memoryview(data_buffer), np.uint8)
    return data[offsets[0] : offsets[-1]], offsets - offsets[0]


def rows_of_width(values: pl.Series, width: int) -> tuple[npt.NDArray[np.int64] | None, Bytes]:
    """The rows that are exactly `width` bytes long, as a matrix of bytes (rows x width).

    Returns their row numbers, or None for "every row" (the common case costs no copy), and the matrix.
    """
    data, offsets = string_bytes(values)
    if len(values) * width == len(data) and bool((np.diff(offsets) == width).all()):
        return None, data.reshape(len(values), width)
    rows = np.flatnonzero(np.diff(offsets) == width)
    chosen, _ = string_bytes(values.gather(rows))
    return rows, chosen.reshape(len(rows), width)
