"""What the adapter remembers of its submissions."""

import os
import subprocess
import sys

import polars as pl
import pytest

from producers.journal import KEPT_MS, SENT_SCHEMA, Entry, Journal, key_of, sha256_of
from schemas.errors import InputError, Retryable

LINES = pl.DataFrame(
    {"row": [2, 3], "part": [0, -1], "reason": ["", "person_row"], "detail": ["", ""]}, schema=SENT_SCHEMA
)


def entry(submission: str = "market-20260101-000000-abcd", key: str = "k1", started_at_ms: int = 1) -> Entry:
    return Entry(submission, key, "market", "penalty-2018@1", started_at_ms, None, {0: 5, 1: 7}, {0: 2})


def test_an_unfinished_submission_is_found_by_its_order_only(tmp_path):
    journal = Journal(tmp_path)
    journal.begin(entry())
    assert Journal(tmp_path).unfinished("k1") == entry()
    assert journal.unfinished("k2") is None


def test_a_finished_submission_is_not_taken_up_again(tmp_path):
    journal = Journal(tmp_path)
    journal.begin(entry())
    done = journal.finish(entry(), 2, LINES)
    assert journal.unfinished("k1") is None
    loaded, lines = journal.load(done.submission)
    assert (loaded.rows, loaded.state) == (2, "sent")
    assert lines.equals(LINES)


def test_the_newest_of_two_unfinished_ones_is_taken_up(tmp_path):
    journal = Journal(tmp_path)
    journal.begin(entry("market-20260101-000000-0001", started_at_ms=5))
    journal.begin(entry("market-20260101-000000-0002", started_at_ms=9))
    found = journal.unfinished("k1")
    assert found is not None and found.submission.endswith("0002")


def test_unknown_and_interrupted_submissions_are_told_apart(tmp_path):
    journal = Journal(tmp_path)
    journal.begin(entry())
    with pytest.raises(InputError, match="was interrupted; run its publish command again"):
        journal.load(entry().submission)
    with pytest.raises(InputError, match="was not published from"):
        journal.load("market-20260101-000000-ffff")


def test_a_second_process_can_not_publish_the_same_order(tmp_path):
    script = (
        "import sys; from pathlib import Path; from producers.journal import Journal\n"
        "from schemas.errors import InputError, Retryable\n"
        "try:\n  with Journal(Path(sys.argv[1])).lock('k1'): print('free')\n"
        "except InputError: print('held')"
    )

    def other() -> str:
        command = [sys.executable, "-c", script, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    with Journal(tmp_path).lock("k1"):
        assert other() == "held"
    assert other() == "free"


def test_what_is_older_than_any_receipt_is_removed(tmp_path):
    journal = Journal(tmp_path)
    journal.begin(entry())
    journal.finish(entry(), 2, LINES)
    now_ms = 10 * KEPT_MS
    for path in (tmp_path / "adapter").iterdir():
        os.utime(path, (now_ms / 1000, now_ms / 1000))
    journal.prune(now_ms + KEPT_MS)
    assert journal.load(entry().submission)[0].rows == 2
    journal.prune(now_ms + KEPT_MS + 1)
    assert list((tmp_path / "adapter").iterdir()) == []


def test_the_steps_of_a_command_are_forgotten_together(tmp_path):
    journal = Journal(tmp_path)
    journal.note_step("c1.0", "market-20260101-000000-0001")
    journal.note_step("c2.0", "market-20260101-000000-0002")
    journal.end_steps("c1")
    assert (journal.step("c1.0"), journal.step("c2.0")) == (None, "market-20260101-000000-0002")


def test_a_folder_that_can_not_be_written_is_one_sentence(tmp_path):
    (tmp_path / "adapter").write_text("a file where the folder should be")
    with pytest.raises(Retryable, match=r"writing the adapter's journal in .*: file exists; make room there or set"):
        Journal(tmp_path)


def test_the_key_tells_content_and_order_apart(tmp_path):
    (tmp_path / "a.csv").write_text("x")
    (tmp_path / "b.csv").write_text("y")
    contents = [sha256_of(tmp_path / name) for name in ("a.csv", "b.csv")]
    keys = {key_of(parts, content) for parts in (["market"], ["court"]) for content in contents}
    assert len(keys) == 4
    with pytest.raises(InputError, match=r"c\.csv: no such file"):
        sha256_of(tmp_path / "c.csv")
