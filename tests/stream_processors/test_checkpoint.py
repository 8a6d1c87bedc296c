"""A checkpoint saves time and decides nothing: whatever is wrong with it, the log is read from an earlier offset."""

import errno
from pathlib import Path

import numpy as np
import pytest

from stream_processors.checkpoint import Checkpoint
from stream_processors.index import Index

IDENTITY = {"cluster": "c1", "topic": "t1"}


def filled(index: Index, start: int, count: int) -> np.ndarray:
    low = np.arange(start, start + count, dtype=np.uint64)
    places = index.insert(low * np.uint64(3), low)
    index.slots["content"][places] = low
    index.keys[places] = [b"org:%09d" % n for n in low.tolist()]
    index.forget()
    return places


def load(folder: Path, index: Index, end: int, identity: dict = IDENTITY, partition: int = 0) -> tuple[int, str]:
    checkpoint = Checkpoint(folder, partition, identity, index)
    loaded = checkpoint.load(end)
    checkpoint.close()
    return loaded


def same(first: Index, second: Index) -> bool:
    return bool((first.slots == second.slots).all() and (first.keys == second.keys).all() and len(first) == len(second))


def written(folder: Path) -> tuple[Index, Path]:
    index = Index()
    checkpoint = Checkpoint(folder, 0, IDENTITY, index)
    checkpoint.rewrite(0)
    checkpoint.append(10, filled(index, 1, 20))
    checkpoint.append(30, filled(index, 100, 5))
    checkpoint.close()
    return index, folder / "partition-0.state"


def test_what_was_written_is_loaded(tmp_path: Path) -> None:
    index, _ = written(tmp_path)
    again = Index()
    assert load(tmp_path, again, 30) == (30, "")
    assert same(index, again)


def test_a_torn_tail_is_cut_off_and_written_on(tmp_path: Path) -> None:
    index, path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-7])
    again = Index()
    checkpoint = Checkpoint(tmp_path, 0, IDENTITY, again)
    assert checkpoint.load(30) == (10, "its tail is torn")
    assert len(again) == 20
    checkpoint.append(30, filled(again, 100, 5))
    checkpoint.close()
    third = Index()
    assert load(tmp_path, third, 30) == (30, "")
    assert same(index, third)


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    _, path = written(tmp_path)
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    assert load(tmp_path, Index(), 30)[0] == 10


@pytest.mark.parametrize(
    ("identity", "partition", "end"),
    [
        ({"cluster": "c2", "topic": "t1"}, 0, 30),
        ({"cluster": "c1", "topic": "t2"}, 0, 30),
        (IDENTITY, 1, 30),
        (IDENTITY, 0, 29),
    ],
    ids=["another cluster", "another topic", "another partition", "ahead of the log"],
)
def test_anothers_checkpoint_is_not_used(tmp_path: Path, identity: dict, partition: int, end: int) -> None:
    written(tmp_path)
    index = Index()
    offset, why = load(tmp_path, index, end, identity, partition)
    assert offset == 0
    assert why
    assert len(index) == 0


def test_a_full_disk_costs_the_checkpoint_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index()
    checkpoint = Checkpoint(tmp_path, 0, IDENTITY, index)
    checkpoint.rewrite(0)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "_write_frame", full)
    checkpoint.append(10, filled(index, 1, 20))
    checkpoint.append(20, filled(index, 50, 20))
    assert len(index) == 40
    assert not (tmp_path / "partition-0.state").exists()
