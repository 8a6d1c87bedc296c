"""The last full list of each department, mapping and source name, on disk: what stands in it, and how new it is.

A list that is being sent lies beside the last one until each of its events is acknowledged; then it takes its place in
one step. Whatever ends the process, one of the two is whole. The files hold codes and document numbers of
organisations, no names. Non-goal: two machines; a department publishes a list from one home folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from producers.durable import put_in_place, writing
from producers.snapshot_lines import LINE_SCHEMA, no_lines
from schemas.errors import InputError

FORMAT = 1
_META = b"xinliu"
_WHAT = "the full list"
_ARROW = no_lines().to_arrow(compat_level=pl.CompatLevel.oldest()).schema
_CONTENTS_KEPT = 100
_LINES_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a list beside its lines.

    Attributes:
        submission: that it was sent as.
        version_ms: how new the list is, milliseconds since 1970.
        acts_version_ms: of its withdrawals and reopenings; never lower than `version_ms`.
        rows_version_ms: what replaces the version of its rows, None where they have one of their own.
        contents: SHA-256 of the files of this list so far, the newest last.
        event_starts: ends of the topic's partitions before it was sent.
        counts: what was decided, see `snapshot.Counts`.
    """

    submission: str
    version_ms: int
    acts_version_ms: int
    rows_version_ms: int | None
    contents: list[str]
    event_starts: dict[int, int]
    counts: dict[str, int] = field(default_factory=dict)
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class ListFile:
    """One list that can be read."""

    path: Path
    about: About

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Its lines (`LINE_SCHEMA`), some at a time."""
        return _lines(self.path)

    def of_kind(self, *kinds: str) -> pl.DataFrame:
        """All lines of these kinds."""
        return pl.concat([no_lines(), *(some.filter(pl.col("kind").is_in(kinds)) for some in self)])


class Lists:
    """The lists of one department under one mapping and source name, and what its other lists hold."""

    def __init__(self, home: Path, department: str, mapping: str, source: str) -> None:
        self._folder = home / "adapter" / "snapshots"
        self._department = department
        self._name = f"{department}.{mapping}.{source}"
        with writing(self._folder, _WHAT):
            self._folder.mkdir(parents=True, exist_ok=True)

    @property
    def _last(self) -> Path:
        return self._folder / f"{self._name}.last.parquet"

    @property
    def _sending(self) -> Path:
        return self._folder / f"{self._name}.sending.parquet"

    def last(self) -> ListFile | None:
        """The last list that was sent to its end."""
        return _open(self._last)

    def sending(self) -> ListFile | None:
        """A list that was begun: it is under way, or it was interrupted."""
        return _open(self._sending)

    def others(self) -> list[ListFile]:
        """What the department's other lists hold, those under way included."""
        paths = sorted(self._folder.glob(f"{self._department}.*.parquet"))
        return [found for path in paths if path not in (self._last, self._sending) and (found := _open(path))]

    def begin(self, about: About, lines: Iterable[pl.DataFrame]) -> ListFile:
        """Write a list down before its first event goes out."""
        return self._write(self._sending, about, lines)

    def settle(self, about: About, lines: Iterable[pl.DataFrame]) -> None:
        """Put in the place of the last list what an interrupted one has made of it; the interrupted one is given up."""
        self._write(self._last, about, lines)
        self.forget_sending()

    def _write(self, path: Path, about: About, lines: Iterable[pl.DataFrame]) -> ListFile:
        new = path.with_suffix(".new")
        with writing(self._folder, _WHAT):
            with new.open("wb") as file:
                with pq.ParquetWriter(file, _ARROW, compression="zstd") as writer:
                    for some in lines:
                        writer.write_table(some.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_ARROW))
                    writer.add_key_value_metadata({_META.decode(): json.dumps(asdict(about))})
                file.flush()
                os.fsync(file.fileno())
            put_in_place(new, path)
        return ListFile(path, about)

    def finish(self) -> None:
        """Each event of the list is acknowledged: from now on it is the last one."""
        with writing(self._folder, _WHAT):
            put_in_place(self._sending, self._last)

    def forget_sending(self) -> None:
        """Of a list that was begun nothing was sent."""
        self._sending.unlink(missing_ok=True)

    @contextmanager
    def lines_file(self, what: str) -> Iterator[LinesFile]:
        """A file for the lines of a list that is being read, gone at the end of the block."""
        path = self._folder / f"{self._name}.{what}.reading"
        file = LinesFile(path)
        try:
            yield file
        finally:
            file.close()
            path.unlink(missing_ok=True)


class LinesFile:
    """Lines that need not lie in memory all at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path.parent, _WHAT):
            self._writer = pq.ParquetWriter(path, _ARROW, compression="lz4")
        self._open = True

    def add(self, lines: pl.DataFrame) -> None:
        with writing(self._path.parent, _WHAT):
            self._writer.write_table(lines.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_ARROW))

    def close(self) -> None:
        if self._open:
            self._open = False
            with writing(self._path.parent, _WHAT):
                self._writer.close()

    def __iter__(self) -> Iterator[pl.DataFrame]:
        self.close()
        return _lines(self._path)


def _lines(path: Path) -> Iterator[pl.DataFrame]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_LINES_AT_ONCE):
            yield pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch]))).cast(LINE_SCHEMA)


def _open(path: Path) -> ListFile | None:
    if not path.exists():
        return None
    try:
        found: dict[str, Any] = json.loads((pq.read_metadata(path).metadata or {})[_META])
        if found["format"] != FORMAT:
            raise KeyError("format")
        found["event_starts"] = {int(number): offset for number, offset in found["event_starts"].items()}
        return ListFile(path, About(**{name.name: found[name.name] for name in fields(About)}))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise InputError(
            f"reading the last full list in {path}: the file is damaged or of another version of xinliu-adapter, "
            "nothing was sent; move it away and publish again, which takes the last list from the platform, or name "
            "the file of the last list with --previous"
        ) from error


def contents_with(contents: list[str], content: str) -> list[str]:
    """The contents of a list so far with one more, the newest last."""
    return [*(known for known in contents if known != content), content][-_CONTENTS_KEPT:]
