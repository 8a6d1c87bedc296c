"""The Mexican list under article 69-B, driven through as notices, decisions and annulments: at every published date,
what is in force equals what the list said (presumed → confirmed → annulled by a court → confirmed on appeal)."""

import csv
import gzip
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from stacks import Stack, stack_in, wait_for

from schemas.topics import RECORDS
from stream_processors.enforcement import Enforcement
from stream_processors.positions import CASES_GROUP, committed, lag

SHARED = Path(os.environ.get("XINLIU_SHARED_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
LISTS = {day: SHARED / "mx_sat_69b" / f"listado_69b_{day}.csv.gz" for day in ("2021-05-18", "2022-11-30")}
_TITLES = 2  # lines above the header
_BLANKED = "XXXX"


@dataclass(frozen=True)
class Comparison:
    """A list against what is in force.

    Attributes:
        missing: the list says confirmed, and nothing binds; extra: the other way round.
    """

    compared: int
    in_force: int
    missing: list[str]
    extra: list[str]


def confirmed(path: Path) -> dict[str, bool]:
    """By tax number: whether one of its rows says that it is on the definitive list."""
    with gzip.open(path, "rt", encoding="cp1252", newline="") as lines:
        rows = list(csv.reader(lines))
    number, situation = rows[_TITLES].index("RFC"), rows[_TITLES].index("Situación del contribuyente")
    found: dict[str, bool] = {}
    for row in rows[_TITLES + 1 :]:
        if not row[number].startswith(_BLANKED):
            found[row[number]] = found.get(row[number], False) or row[situation] == "Definitivo"
    return found


def compare(stack: Stack, path: Path) -> Comparison:
    expected = confirmed(path)
    with Enforcement(stack.settings) as service:
        wait_for(lambda: service.age_seconds() < 30, "the platform is heard")
        binds: dict[str, bool] = {}
        for number in expected:
            answer = service.in_force(f"MX-RFC:{number}")
            assert not answer.stale, answer.why
            assert all(binding.decision and binding.legal_bases for binding in answer)
            binds[number] = bool(answer)
    missing = [number for number, listed in expected.items() if listed and not binds[number]]
    extra = [number for number, listed in expected.items() if binds[number] and not listed]
    return Comparison(len(expected), sum(binds.values()), missing, extra)


def come_to_rest(stack: Stack) -> None:
    stack.verify()
    wait_for(
        lambda: lag(stack.settings, RECORDS, committed(stack.settings, CASES_GROUP)) == 0,
        "the cases lane has read every record",
        600,
    )


@pytest.mark.nightly
@pytest.mark.timeout(2400)
def test_what_is_in_force_equals_what_the_list_said(tmp_path: Path):
    if not all(path.exists() for path in LISTS.values()):
        pytest.skip(f"no real lists in {SHARED}; XINLIU_SHARED_DATA names their folder")
    found: dict[str, Comparison] = {}
    with stack_in(tmp_path) as stack:
        for number, (day, path) in enumerate(LISTS.items()):
            answer = stack.publish(
                path, department="mx-sat", mapping="mx-sat-69b", more=("--snapshot",) if number else ()
            )
            print(f"\n{day}: {answer['rows']} rows, {answer['outcomes']}")
            come_to_rest(stack)
            found[day] = compare(stack, path)
            print(
                f"{day}: {found[day].compared} subjects compared, {found[day].in_force} in force; listed and not in "
                f"force {len(found[day].missing)}, in force and not listed {len(found[day].extra)}"
            )
        print(Counter(len(each.missing) + len(each.extra) for each in found.values()))
    for comparison in found.values():
        assert comparison.extra == []  # nothing ever binds longer than the list says
        # A row of 2022 says "confirmed" and names no resolution: without a decision nothing binds.
        assert len(comparison.missing) <= 1
