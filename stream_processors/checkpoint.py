"""A local copy of register's state that saves time at a restart, and decides nothing.

One file for each partition: a head that says for which cluster, topic, partition and layout it is valid, then frames
(offset, places, keys, slots, checksum), each appended after the commit that it tells of. A torn tail fails its checksum
and is cut off: the state is then only behind, and the log from there on is read again. A file that can not be trusted
or written is left out: losing it costs time only.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import structlog

from stream_processors.index import KEY, SLOT, Index

STATE_VERSION = 1  # raise it with any change of SLOT, KEY or of what fold writes into a slot
_HEAD_BYTES = 512
_FRAME = struct.Struct("<qqI")  # offset, rows, crc32 of the payload
_ROW_BYTES = 8 + KEY.itemsize + SLOT.itemsize
_REWRITE_ROWS = 1_000_000

log = structlog.get_logger("register")


class Checkpoint:
    """The checkpoint file of one partition.

    Args:
        identity: what the state belongs to (cluster id, topic id); compared whole.
    """

    def __init__(self, folder: Path, partition: int, identity: dict[str, Any], index: Index) -> None:
        self._path = folder / f"partition-{partition}.state"
        self._partition = partition
        self._identity = identity
        self._index = index
        self._file: FileIO | None = None
        self._rows_written = 0

    def load(self, end_offset: int) -> tuple[int, str]:
        """Fill the index; returns (offset in credit.records to replay from, why it is not the file's newest or "").

        An offset beyond the log's end is another log's: nothing of it is taken.
        """
        offset, good, why = 0, 0, ""
        try:
            with self._path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
                capacity = _capacity_in(head)
                if capacity is None or head != self._head(capacity):
                    return 0, "it belongs to another cluster, topic or version"
                self._index.clear(capacity)
                good = _HEAD_BYTES
                while raw := file.read(_FRAME.size):
                    payload = self._payload(file, raw)
                    if payload is None:
                        why = "its tail is torn"
                        break
                    frame_offset, places, keys, slots = payload
                    if frame_offset > end_offset:
                        self._index.clear()
                        return 0, f"it is ahead of the log ({frame_offset} > {end_offset})"
                    self._index.put(places, slots)
                    self._index.keys[places] = keys
                    offset, good = frame_offset, file.tell()
                    self._rows_written += len(places)
        except FileNotFoundError:
            return 0, "there is none"
        except OSError as error:
            self._index.clear()
            return 0, f"it can not be read ({error.strerror})"
        self._index.recount()
        self._open_at(good)
        return offset, why

    def _payload(self, file: BinaryIO, raw: bytes) -> tuple[int, Any, Any, Any] | None:
        if len(raw) < _FRAME.size:
            return None
        offset, rows, checksum = _FRAME.unpack(raw)
        if not 0 <= rows <= self._index.capacity:
            return None
        body = file.read(rows * _ROW_BYTES)
        if len(body) < rows * _ROW_BYTES or zlib.crc32(body, offset & 0xFFFFFFFF) != checksum:
            return None
        places = np.frombuffer(body, np.int64, rows)
        keys = np.frombuffer(body, KEY, rows, rows * 8)
        slots = np.frombuffer(body, SLOT, rows, rows * (8 + KEY.itemsize))
        return offset, places, keys, slots

    def _open_at(self, position: int) -> None:
        try:
            file = self._path.open("r+b", buffering=0)
            file.truncate(position)
            file.seek(position)
            self._file = file
        except OSError as error:
            self._give_up(error)

    def append(self, offset: int, places: Any) -> None:
        """After a commit: the slots that it changed, and the offset behind the last record that it wrote."""
        if self._file is None or len(places) == 0:
            return
        try:
            self._write_frame(self._file, offset, places)
        except OSError as error:
            self._give_up(error)
            return
        if self._rows_written > 3 * len(self._index) + _REWRITE_ROWS:
            self.rewrite(offset)

    def rewrite(self, offset: int) -> None:
        """Write the whole state anew: after a restore, when the table has grown, when much of the file is past."""
        fresh = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = fresh.open("wb", buffering=0)
            _write_whole(file, self._head(self._index.capacity))
            self._rows_written = 0
            self._write_frame(file, offset, self._index.taken())
            os.replace(fresh, self._path)
            if self._file is not None:
                self._file.close()
            self._file = file
        except OSError as error:
            self._give_up(error)

    def _write_frame(self, file: FileIO, offset: int, places: Any) -> None:
        columns = (places.astype(np.int64), self._index.keys[places], self._index.at(places))
        body = b"".join(column.tobytes() for column in columns)
        _write_whole(file, _FRAME.pack(offset, len(places), zlib.crc32(body, offset & 0xFFFFFFFF)) + body)
        self._rows_written += len(places)

    def _give_up(self, error: OSError) -> None:
        """The lane goes on without a checkpoint: its next start reads the whole log."""
        log.error(
            "checkpoint given up",
            partition=self._partition,
            why=error.strerror,
            what_now=f"make room in {self._path.parent}; until the next start register works on, "
            "and that start restores from credit.records alone",
        )
        self.close()
        for path in (self._path, self._path.with_suffix(".new")):
            path.unlink(missing_ok=True)

    def _head(self, capacity: int) -> bytes:
        identity = {**self._identity, "partition": self._partition, "version": STATE_VERSION, "capacity": capacity}
        return json.dumps(identity, sort_keys=True).encode().ljust(_HEAD_BYTES)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _write_whole(file: FileIO, data: bytes) -> None:
    """An unbuffered write may take a part only, on a full disk for one."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _capacity_in(head: bytes) -> int | None:
    try:
        capacity = json.loads(head)["capacity"]
    except (ValueError, KeyError, TypeError):
        return None
    return capacity if isinstance(capacity, int) and 0 < capacity <= 1 << 34 else None
