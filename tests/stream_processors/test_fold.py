"""The fold by its laws: order-insensitive, idempotent, conserving, undoable; and by a table of lives of a record."""

from collections import Counter
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_processors import fold as folding
from stream_processors.fold import OUTCOME_NAMES, STATUS_NAMES, Reports, expire, fold, is_marker, order_of
from stream_processors.index import NEVER, Index

TODAY = 20_000


@dataclass(frozen=True)
class Report:
    """One report, in small numbers."""

    record: int
    content: int
    day: int = 100
    version: int = 0
    operation: int = folding.REPORT
    rank: int = 3
    department: int = 1
    expires_on: int = int(NEVER)


def columns(reports: list[Report]) -> Reports:
    def column(name: str, dtype: type) -> np.ndarray:
        return np.array([getattr(r, name) for r in reports], dtype)

    return Reports(
        high=column("record", np.uint64) * np.uint64(0x9E3779B97F4A7C15),
        low=column("record", np.uint64),
        content=column("content", np.uint64),
        operation=column("operation", np.uint8),
        order=order_of(column("version", np.int64), column("day", np.int64)),
        rank=column("rank", np.uint8),
        department=column("department", np.uint32),
        category=np.full(len(reports), 2, np.uint8),
        expires_on=column("expires_on", np.int32),
        keys=np.full(len(reports), b"org:MA3ABCDE1", "S32"),
    )


def run(index: Index, reports: list[Report], batch: int = 1000) -> list[str]:
    outcomes: list[str] = []
    for start in range(0, len(reports), batch):
        folded = fold(index, columns(reports[start : start + batch]), TODAY)
        index.forget()
        outcomes += [OUTCOME_NAMES[code] for code in folded.outcome.tolist()]
    return outcomes


def records(index: Index) -> dict[int, tuple[str, int, int, int]]:
    """What matters of each record, whatever the order of arrival: status, content, position, rank."""
    taken = index.slots[index.taken()]
    real = taken[~is_marker(taken["status"])]
    return {
        int(slot["low"]): (
            STATUS_NAMES[slot["status"]],
            int(slot["content"]),
            int(slot["content_order"]),
            int(slot["rank"]),
        )
        for slot in real
    }


def everything(index: Index) -> set[bytes]:
    return {index.slots[place].tobytes() + index.keys[place] for place in index.taken().tolist()}


_by_authority = st.builds(
    Report,
    record=st.integers(1, 3),
    content=st.integers(1, 4),
    day=st.integers(1, 4),
    version=st.sampled_from([0, 1000, 2000]),
    operation=st.sampled_from([folding.REPORT] * 4 + [folding.ANNUL, folding.WITHDRAW, folding.REPAIR]),
    rank=st.sampled_from([3, 3, 2]),
    department=st.integers(1, 2),
)
_by_anyone = st.builds(
    Report,
    record=st.integers(1, 3),
    content=st.integers(1, 4),
    day=st.integers(1, 4),
    version=st.sampled_from([0, 1000]),
    operation=st.integers(0, 4),
    rank=st.integers(1, 3),
    department=st.integers(1, 3),
    expires_on=st.sampled_from([int(NEVER), TODAY - 1, TODAY + 1]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_by_authority, max_size=14), st.randoms(use_true_random=False))
def test_any_order_of_arrival_ends_in_the_same_records(reports: list[Report], random: object) -> None:
    shuffled = list(reports)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = Index(), Index()
    run(first, reports)
    run(second, shuffled, batch=3)
    assert records(first) == records(second)


@settings(max_examples=300, deadline=None)
@given(st.lists(_by_anyone, max_size=14))
def test_the_same_again_is_repeats_only_and_changes_nothing(reports: list[Report]) -> None:
    index = Index()
    run(index, reports)
    before = everything(index)
    # What a rank 1 report could not say before its own record was there may count now; from then on nothing changes.
    run(index, reports)
    if everything(index) == before:
        assert set(run(index, reports)) <= {"repeat"}
        assert everything(index) == before


@settings(max_examples=300, deadline=None)
@given(st.lists(_by_authority, max_size=14))
def test_an_authoritys_file_again_is_repeats_only(reports: list[Report]) -> None:
    index = Index()
    run(index, reports)
    before = everything(index)
    assert set(run(index, reports)) <= {"repeat"}
    assert everything(index) == before


@settings(max_examples=200, deadline=None)
@given(st.lists(_by_anyone, max_size=20), st.integers(1, 5))
def test_batches_do_not_matter_and_every_report_has_one_outcome(reports: list[Report], size: int) -> None:
    whole, parts = Index(), Index()
    assert run(whole, reports) == run(parts, reports, batch=size)
    assert everything(whole) == everything(parts)


@settings(max_examples=200, deadline=None)
@given(st.lists(_by_anyone, max_size=12), st.lists(_by_anyone, max_size=12))
def test_an_aborted_batch_leaves_no_trace(before: list[Report], aborted: list[Report]) -> None:
    index = Index(8)
    run(index, before)
    index.reserve(100)
    state = everything(index)
    fold(index, columns(aborted), TODAY)
    index.undo()
    assert everything(index) == state
    assert len(index) == len(state)
    assert run(index, aborted) == run_after(before, aborted)


def run_after(before: list[Report], after: list[Report]) -> list[str]:
    index = Index()
    run(index, before)
    return run(index, after)


# Each life: a name, reports in order, outcomes expected, the record's status and content at the end.
R, ANNUL, REPAIR, REINSTATE = folding.REPORT, folding.ANNUL, folding.REPAIR, folding.REINSTATE
LIVES = [
    ("first report", [Report(1, 5)], ["new"], "valid", 5),
    ("same again", [Report(1, 5), Report(1, 5)], ["new", "repeat"], "valid", 5),
    ("newer decision", [Report(1, 5), Report(1, 6, day=101)], ["new", "superseding"], "valid", 6),
    ("older decision", [Report(1, 5), Report(1, 6, day=99)], ["new", "stale"], "valid", 5),
    ("older one sent again", [Report(1, 5), Report(1, 6, day=99), Report(1, 6, day=99)],
     ["new", "stale", "repeat"], "valid", 5),
    ("superseded one sent again", [Report(1, 5), Report(1, 6, day=101), Report(1, 5)],
     ["new", "superseding", "repeat"], "valid", 6),
    ("two at one position", [Report(1, 5), Report(1, 6)], ["new", "conflicting"], "valid", 6),
    ("two at one position, other order", [Report(1, 6), Report(1, 5)], ["new", "conflicting"], "valid", 6),
    ("another department agrees", [Report(1, 5), Report(1, 5, rank=1, department=2)], ["new", "repeat"], "valid", 5),
    ("another department contradicts", [Report(1, 5), Report(1, 6, day=200, rank=1, department=2)],
     ["new", "conflicting"], "valid", 5),
    ("the authority after an aggregator", [Report(1, 6, day=200, rank=1, department=2), Report(1, 5)],
     ["new", "superseding"], "valid", 5),
    ("nobody's record belongs to who came first", [Report(1, 5, rank=1), Report(1, 6, day=200, rank=1, department=2)],
     ["new", "conflicting"], "valid", 5),
    ("annulled", [Report(1, 5), Report(1, 9, day=150, operation=ANNUL)], ["new", "superseding"], "annulled", 5),
    ("annulled twice", [Report(1, 5)] + [Report(1, 9, day=150, operation=ANNUL)] * 2,
     ["new", "superseding", "repeat"], "annulled", 5),
    ("annulled by a stranger", [Report(1, 5), Report(1, 9, day=150, operation=ANNUL, rank=1, department=2)],
     ["new", "conflicting"], "valid", 5),
    ("annulment that waits", [Report(1, 9, day=150, operation=ANNUL), Report(1, 5)], ["new", "stale"], "annulled", 5),
    ("a stranger's annulment that waits is void",
     [Report(1, 9, day=150, operation=ANNUL, rank=1, department=2), Report(1, 5)], ["new", "superseding"], "valid", 5),
    ("a report does not open", [Report(1, 5), Report(1, 9, day=150, operation=REPAIR), Report(1, 6, day=300)],
     ["new", "superseding", "stale"], "repaired", 6),
    ("reinstated", [Report(1, 5), Report(1, 9, day=150, operation=ANNUL), Report(1, 5, day=160, operation=REINSTATE)],
     ["new", "superseding", "superseding"], "valid", 5),
    ("an older annulment after the reinstatement",
     [Report(1, 5), Report(1, 5, day=160, operation=REINSTATE), Report(1, 9, day=150, operation=ANNUL)],
     ["new", "superseding", "stale"], "valid", 5),
    ("expired on arrival", [Report(1, 5, expires_on=TODAY - 1)], ["new"], "expired", 5),
    ("last day of publication", [Report(1, 5, expires_on=TODAY)], ["new"], "valid", 5),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reports", "outcomes", "status", "content"), [life[1:] for life in LIVES], ids=[life[0] for life in LIVES]
)
def test_lives(reports: list[Report], outcomes: list[str], status: str, content: int) -> None:
    index = Index()
    assert run(index, reports) == outcomes
    assert records(index)[1][:2] == (status, content)


def test_all_orders_of_a_life_with_an_annulment_and_a_correction() -> None:
    life = [Report(1, 5), Report(1, 6, day=120), Report(1, 9, day=150, operation=ANNUL), Report(1, 4, day=90)]
    ends = Counter()
    for order in permutations(life):
        index = Index()
        run(index, list(order), batch=2)
        ends[records(index)[1]] += 1
    assert len(ends) == 1


def test_expiry_closes_once_and_only_what_is_due() -> None:
    index = Index()
    run(index, [Report(1, 5, expires_on=TODAY), Report(2, 5, expires_on=TODAY + 1), Report(3, 5)])
    assert len(expire(index, TODAY).places) == 0
    assert len(expire(index, TODAY + 1).places) == 1
    assert len(expire(index, TODAY + 1).places) == 0
    assert {low: status for low, (status, *_) in records(index).items()} == {1: "expired", 2: "valid", 3: "valid"}


def test_one_record_many_times_in_a_batch_is_folded_in_order() -> None:
    index = Index()
    outcomes = run(index, [Report(1, 5 + i, day=100 + i) for i in range(50)])
    assert outcomes == ["new"] + ["superseding"] * 49
    slots = index.slots[index.find(columns([Report(1, 0)]).high, columns([Report(1, 0)]).low)]
    assert slots["revision"].tolist() == [50]


def test_the_index_holds_many_and_finds_each_after_growing() -> None:
    index = Index(8)
    many = [Report(i, i + 1) for i in range(1, 5000)]
    assert set(run(index, many, batch=700)) == {"new"}
    assert set(run(index, many, batch=300)) == {"repeat"}
    assert len(records(index)) == 4999
