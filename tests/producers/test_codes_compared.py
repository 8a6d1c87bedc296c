"""Real Chinese lists: who is recorded, compared by check digits that share nothing with the adapters.

With -s it prints row numbers and verdicts of a hundred rows of each list; it never prints a cell.
"""

from collections import Counter
from dataclasses import dataclass

import polars as pl
import pytest
from mapped_rows import shipped
from plain_codes import organisation_of
from real_sources import SOURCES, RealSource

from producers.readers import read
from schemas import reference
from schemas.examine import examine

_ROWS_SHOWN = 100
_RECORDED_LEAST = 0.95


@dataclass(frozen=True)
class Verdict:
    """What became of a row, beside what its numbers say.

    Attributes:
        named: organisations that its cells name with right check digits.
        recorded: subject under which it is recorded; "" where it is not.
    """

    row: int
    named: frozenset[str]
    recorded: str
    reason: str

    @property
    def contradicts(self) -> bool:
        """Two organisation codes that are right, and not of one body."""
        return len({name for name in self.named if name.startswith("org:")}) > 1

    @property
    def words(self) -> str:
        if not self.recorded:
            return f"set aside: {self.reason}" + (", a number in it is right" if self.named else "")
        if self.recorded not in self.named:
            return "WRONG: recorded under a number that is not in the row"
        return "WRONG: two organisations in the row" if self.contradicts else "right"


def verdicts(source: RealSource) -> list[Verdict]:
    """One for each row of the list."""
    mapping = shipped(source.mapping)
    found: list[Verdict] = []
    for chunk in read(source.file, mapping.layout):
        columns = [header for header in source.codes if header in chunk.cells.columns]
        assert columns, f"none of the columns of codes is in {source.name}"
        mapped = mapping.apply(chunk)
        examined = examine(mapped.events, source.department, reference.load(None))
        numbers = pl.Series(pl.from_arrow(mapped.events.column("source_row")))
        keys = dict(zip(numbers.gather(examined.rows), examined.identified["subject_key"].to_pylist(), strict=True))
        rejects = dict(zip(numbers.gather(examined.rejects["row"]), examined.rejects["reason"], strict=True))
        rejects |= dict(mapped.refused.select("row", "reason").iter_rows())
        for row, cells in zip(chunk.rows, chunk.cells.select(columns).iter_rows(), strict=True):
            named = frozenset(name for name in map(organisation_of, cells) if name)
            found.append(Verdict(row, named, keys.get(row, ""), rejects.get(row, "")))
    return found


@pytest.mark.parametrize("source", [source for source in SOURCES if source.codes], ids=lambda source: source.name)
def test_whoever_has_a_readable_number_is_recorded_and_nobody_under_a_wrong_one(source: RealSource) -> None:
    if not source.file.is_file():
        pytest.skip(f"real data is not there: {source.name} (set XINLIU_SHARED_DATA to its folder)")
    found = verdicts(source)
    assert len(found) == source.rows
    readable = [verdict for verdict in found if verdict.named]
    recorded = [verdict for verdict in found if verdict.recorded]
    step = max(1, len(found) // _ROWS_SHOWN)
    print(f"\n{source.name}: {len(found)} rows, {len(readable)} with a readable number, {len(recorded)} recorded")
    print(f"all rows: {dict(Counter(verdict.words for verdict in found).most_common())}")
    for verdict in found[::step][:_ROWS_SHOWN]:
        print(f"  row {verdict.row}: {verdict.words}")
    wrong = [verdict.row for verdict in found if verdict.words.startswith("WRONG")]
    assert not wrong
    assert len(recorded) >= _RECORDED_LEAST * len(readable)
