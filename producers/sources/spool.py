"""The read of a pull on its way to the topic: the events themselves and the reasons of refused rows, and no cell.

One JSON object for each row, in the order of the read, so that the file goes the way of every file: the publisher
counts its rows, notes them in its journal and takes up what was interrupted. A row's number is its place in the read.
"""

import gzip
import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
import pyarrow as pa

from producers.durable import put_in_place, writing
from producers.mapping import Mapped, Mapping
from producers.readers import Chunk, Column, Layout
from schemas import codec
from schemas.avro import CREDIT_EVENT

LINE_SCHEMA = pl.Schema({"events": pl.String, "reason": pl.String, "detail": pl.String})
"""Framed Avro in base64, joined by commas; or why the row is refused."""
_WHAT = "a read"
_LAYOUT = Layout("spool", tuple(Column(name, (name,)) for name in LINE_SCHEMA))


def pack(rows: pl.Series, mapped: Mapped) -> pl.DataFrame:
    """One line (`LINE_SCHEMA`) for each of the rows, in their order; events without the number of their row."""
    frame = pl.DataFrame({"row": rows})
    numbers = pl.Series("row", pl.from_arrow(mapped.events.column("source_row")))
    place = mapped.events.schema.get_field_index("source_row")
    nameless = mapped.events.set_column(
        place, mapped.events.schema.field(place), pa.repeat(pa.scalar(0, pa.int32()), mapped.events.num_rows)
    )
    encoded = pl.Series("events", codec.encode(CREDIT_EVENT, nameless), dtype=pl.Binary).bin.encode("base64")
    events = pl.DataFrame({"row": numbers.cast(rows.dtype), "events": encoded})
    events = events.group_by("row", maintain_order=True).agg(pl.col("events").str.join(","))
    refused = mapped.refused.select(pl.col("row").cast(rows.dtype), "reason", "detail")
    lines = frame.join(events, on="row", how="left", maintain_order="left")
    lines = lines.join(refused, on="row", how="left", maintain_order="left")
    return lines.select(pl.col(name).cast(pl.String).fill_null("") for name in LINE_SCHEMA)


def unpack(chunk: Chunk) -> Mapped:
    """The events and refusals of some lines, with the numbers of their rows."""
    lines = chunk.cells.with_columns(chunk.rows.alias("row"))
    sent = lines.filter(pl.col("events") != "").select("row", pl.col("events").str.split(",")).explode("events")
    values = sent["events"].str.decode("base64").to_list()
    decoded = codec.decode(CREDIT_EVENT, values)
    assert len(decoded.rows) == len(values), "the spool holds what this process encoded"
    events = decoded.batch
    place = events.schema.get_field_index("source_row")
    numbers = cast("pa.Array[pa.Int32Scalar]", pa.array(sent["row"].to_numpy(), pa.int32()))
    events = events.set_column(place, events.schema.field(place), numbers)
    refused = lines.filter(pl.col("reason") != "").select("row", "reason", "detail")
    return Mapped(events, refused)


@dataclass(frozen=True)
class SpooledMapping(Mapping):
    """A mapping whose work has been done: what it is given are lines of the spool."""

    # `typing.override` is of Python 3.12.

    @property
    def layout(self) -> Layout:  # pyrefly: ignore[missing-override-decorator]
        return _LAYOUT

    def apply(self, chunk: Chunk) -> Mapped:  # pyrefly: ignore[missing-override-decorator]
        return unpack(chunk)


class SpoolWriter:
    """Writes a spool file; under its name it is there whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self.rows = 0
        with writing(path.parent, _WHAT):
            self._disk = self._part.open("wb")
        # Level 1: base64 packs to three quarters whatever is spent on it.
        self._packed = gzip.GzipFile(fileobj=self._disk, mode="wb", compresslevel=1, mtime=0)

    def add(self, lines: pl.DataFrame) -> None:
        """Lines of `LINE_SCHEMA`."""
        with writing(self._path.parent, _WHAT):
            self._packed.write(lines.write_ndjson().encode())
        self.rows += lines.height

    def finish(self) -> None:
        """Everything is on the disk, under the file's name, when this returns."""
        with writing(self._path.parent, _WHAT):
            self._packed.close()
            self._disk.flush()
            os.fsync(self._disk.fileno())
            self._disk.close()
            put_in_place(self._part, self._path)

    def give_up(self) -> None:
        """Remove what was written."""
        with writing(self._path.parent, _WHAT):
            self._disk.close()
            self._part.unlink(missing_ok=True)


def keep(lines: pl.DataFrame, which: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> pl.DataFrame:
    """The lines that are to be sent."""
    return lines if which.all() else lines.filter(pl.Series(which))
