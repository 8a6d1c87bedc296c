"""What a department's user may hand in by mistake: one sentence, an exit code, and nothing on the topic."""

import csv
import gzip
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from producers.simulate.files import write_files
from schemas import reference
from schemas.topics import events_topic
from stream_processors.kafka import end_offsets


@dataclass(frozen=True)
class Mistake:
    """A command line, and words of the sentence that it must answer with."""

    file: str
    department: str
    mapping: str
    says: str


MISTAKES = {
    "unknown mapping": Mistake("good", "court", "penalty-2081", "mapping"),
    "department not registered": Mistake("good", "nobody", "penalty-2018", "nobody"),
    "missing column": Mistake("column", "court", "penalty-2018", "处罚决定日期"),
    "a PDF renamed .xlsx": Mistake("pdf", "court", "penalty-2018", "penalties.xlsx"),
    "truncated .gz": Mistake("cut", "court", "penalty-2018", "cut.csv.gz"),
    "no such file": Mistake("missing", "court", "penalty-2018", "missing.csv"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """One good file of penalties, and what can be wrong with it."""
    folder = tmp_path_factory.mktemp("files")
    written = write_files(folder, 3, 400, date(2026, 11, 20), reference.load(None))
    good = folder / next(w.file for w in written if w.mapping == "penalty-2018" and w.file.endswith("corrected.csv"))
    return {
        "good": good,
        "column": without_column(good, folder / "column.csv", "处罚决定日期"),
        "pdf": renamed_pdf(folder / "penalties.xlsx"),
        "cut": cut_short(good, folder / "cut.csv.gz"),
        "missing": folder / "missing.csv",
    }


def without_column(source: Path, target: Path, header: str) -> Path:
    with source.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    at = rows[0].index(header)
    with target.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([*row[:at], *row[at + 1 :]] for row in rows)
    return target


def renamed_pdf(target: Path) -> Path:
    target.write_bytes(b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n")
    return target


def cut_short(source: Path, target: Path) -> Path:
    whole = gzip.compress(source.read_bytes())
    target.write_bytes(whole[: len(whole) // 2])
    return target


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("command", ["publish", "check"])
def test_a_mistake_is_one_sentence_and_an_exit_code(running_stack, files, command, name):
    mistake = MISTAKES[name]
    before = end_offsets(running_stack.settings, events_topic("court"))
    line = [command, str(files[mistake.file]), "--department", mistake.department, "--mapping", mistake.mapping]
    done = running_stack.adapter(*line)
    assert done.returncode == 2, done.stdout + done.stderr
    assert mistake.says in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert end_offsets(running_stack.settings, events_topic("court")) == before
