"""Every real source through `check`, `publish --wait`, and again: rows = outcomes, nothing new, and the proof holds.

With -s it prints the table: source, rows, outcomes, most frequent reasons. Rows without a code of the organisation are
set aside by design, so that the limit on bad rows is lifted here.
"""

import json
from typing import Any

import pytest
from real_sources import SOURCES, RealSource
from stacks import Stack, stack_in

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]

_NOTHING_NEW = {"repeat", "quarantined", "refused"}
_REASONS_SHOWN = 3


def checked(stack: Stack, source: RealSource) -> dict[str, Any]:
    """What `check` says, offline."""
    line = ["check", str(source.file), "--department", source.department, "--mapping", source.mapping, "--json"]
    done = stack.adapter(*line)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def published(stack: Stack, source: RealSource) -> dict[str, Any]:
    """What became of the rows."""
    line = ["publish", str(source.file), "--department", source.department, "--mapping", source.mapping]
    done = stack.adapter(*line, "--wait", "--json", "--bad-share-max", "1")
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def line_of(source: RealSource, first: dict[str, Any], second: dict[str, Any]) -> str:
    """One line of the table."""

    def words(counts: dict[str, int]) -> str:
        return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)

    reasons = dict(list(first["reasons"].items())[:_REASONS_SHOWN])
    cells = [source.name, source.mapping, f"{first['rows']:,}", words(first["outcomes"]), words(second["outcomes"])]
    return f"| {' | '.join([*cells, words(reasons)])} |"


def test_each_row_has_its_outcome_and_the_second_time_nothing_is_new(tmp_path):
    there = [source for source in SOURCES if source.file.is_file()]
    if not there:
        pytest.skip("no real sources are there; XINLIU_SHARED_DATA names their folder")
    lines = ["| source | mapping | rows | outcomes | the second time | reasons |", "|---|---|---|---|---|---|"]
    with stack_in(tmp_path) as stack:
        for source in there:
            said = checked(stack, source)
            first, second = published(stack, source), published(stack, source)
            lines.append(line_of(source, first, second))
            assert said["rows"] == first["rows"] == second["rows"] == source.rows, source.name
            for answer in (said, first, second):
                assert sum(answer["outcomes"].values()) == source.rows, source.name
            assert {name for name, count in second["outcomes"].items() if count} <= _NOTHING_NEW, source.name
            for outcome in ("quarantined", "refused"):
                counts = {answer["outcomes"].get(outcome, 0) for answer in (said, first, second)}
                assert len(counts) == 1, (source.name, outcome, counts)
            assert said["reasons"] == first["reasons"] == second["reasons"], source.name
        stack.verify(wait_seconds=300)
    print("\n" + "\n".join(lines))
