"""The order in which rows come must not matter: whole or split, shuffled, twice, and beside another's copy of them.

A file without a column for its rows' version says nothing of which is newer, so the order must come from the rows
themselves, and the digest of the current records be the same.
"""

import csv
import gzip
import io
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random
from threading import Thread

import pytest
from stacks import Stack, stack_in

from producers.simulate.files import write_files
from schemas import reference

Rows = list[list[str]]


@dataclass(frozen=True)
class Source:
    """A file of rows, who reports it, and who else reports a copy of it; `head_rows` are titles and the header."""

    file: Path
    encoding: str
    department: str
    copied_by: str
    mapping: str
    head_rows: int = 1

    @property
    def name(self) -> str:
        return self.file.name.split(".")[0]


def rows_of(source: Source) -> tuple[Rows, Rows]:
    """The head, and the rows of data."""
    data = source.file.read_bytes()
    text = (gzip.decompress(data) if source.file.suffix == ".gz" else data).decode(source.encoding)
    rows = list(csv.reader(io.StringIO(text)))
    return rows[: source.head_rows], rows[source.head_rows :]


def write(path: Path, head: Rows, rows: Rows) -> Path:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([*head, *rows])
    return path


def as_one(stack: Stack, source: Source, folder: Path) -> None:
    """The rows as they come, once."""
    path = write(folder / f"{source.name}-whole.csv", *rows_of(source))
    stack.publish(path, department=source.department, mapping=source.mapping)


def as_many(stack: Stack, source: Source, folder: Path) -> None:
    """The rows shuffled, in three files, twice, while another department sends its copy, shuffled otherwise."""
    head, rows = rows_of(source)
    with ExitStack() as both:
        for number, department in enumerate((source.department, source.copied_by)):
            sender = Thread(target=shuffled_twice, args=(stack, source, folder, department, head, rows[:], number))
            sender.start()
            both.callback(sender.join)


def shuffled_twice(
    stack: Stack, source: Source, folder: Path, department: str, head: Rows, rows: Rows, seed: int
) -> None:
    for time in range(2):
        Random(10 * seed + time).shuffle(rows)
        files = [
            write(folder / f"{source.name}-{department}-{time}-{third}.csv", head, rows[third::3]) for third in range(3)
        ]
        stack.publish(*files, department=department, mapping=source.mapping)


def digest_after(home: Path, sources: list[Source], send: Callable[[Stack, Source, Path], None]) -> dict[str, object]:
    """The digest of the current records of a new platform that was sent these sources."""
    with stack_in(home) as stack:
        folder = home / "files"
        folder.mkdir()
        for source in sources:
            send(stack, source, folder)
        return stack.verify(wait_seconds=240)["current"]


def compare(tmp_path: Path, sources: list[Source]) -> None:
    once = digest_after(tmp_path / "once", sources, as_one)
    many = digest_after(tmp_path / "many", sources[::-1], as_many)
    assert once["rows"] > 0
    assert many == once


def simulated(folder: Path, rows: int) -> list[Source]:
    """Penalties and licences of a month, and lines that contradict one another in the same file."""
    written = write_files(folder, 9, rows, date(2026, 11, 20), reference.load(None))
    name = next(w.file for w in written if w.department == "environment" and w.mapping == "penalty-2018")
    found = Source(folder / name, "utf-8-sig", "environment", "reform", "penalty-2018")
    head, lines = rows_of(found)
    amount = next(i for i, title in enumerate(head[0]) if title in ("CF_NR_FK", "罚款金额（万元）"))
    for number in range(0, len(lines), 10):
        other = lines[number][:]
        other[amount] = f"{number % 7 + 1}.{number % 89:02d}"
        lines.append(other)
    path = write(folder / "contradicting.csv", head, lines)
    return [Source(path, "utf-8-sig", found.department, found.copied_by, found.mapping)]


@pytest.mark.nightly
def test_order_splits_repeats_and_copies_do_not_change_the_current_records(tmp_path):
    compare(tmp_path, simulated(tmp_path / "simulated", 1_500))


def shared_data() -> Path:
    return Path(os.environ.get("XINLIU_SHARED_DATA") or Path(__file__).parents[2].parent / "shared" / "data")


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_the_same_with_real_registers(tmp_path):
    folder = shared_data()
    mexican, chinese = folder / "mx_sat_69b", folder / "cn_registrations"
    sources = [
        Source(mexican / "listado_69b_2021-05-18.csv.gz", "cp1252", "mx-sat", "reform", "mx-sat-69b", 3),
        Source(mexican / "listado_69b_2022-11-30.csv.gz", "cp1252", "mx-sat", "reform", "mx-sat-69b", 3),
        Source(chinese / "national_sample.csv.gz", "utf-8", "market", "reform", "registration-cn"),
    ]
    there = [source for source in sources if source.file.exists()]
    if not there:
        pytest.skip(f"no real registers in {folder}; XINLIU_SHARED_DATA names their folder")
    compare(tmp_path, there)
