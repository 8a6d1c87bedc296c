"""Full lists through the whole platform: withdrawn, left in doubt, brought back; what is on record says so.

The department and mapping are nobody else's here, so that the shared stack's other records do not count.
"""

import os
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from stacks import Stack, stack_in

from schemas.avro import CREDIT_RECORD
from schemas.codec import decode
from schemas.topics import RECORDS
from stream_processors.kafka import read_all

sys.path.append(str(Path(__file__).parents[1] / "producers"))
from snapshots import MAPPING, barred, write_list

DEPARTMENT = "tax"
SHARED = Path(os.environ.get("XINLIU_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


def records(stack: Stack, department: str) -> dict[str, str]:
    """Subject of each of a department's records -> status."""
    found: dict[str, tuple[str, str]] = {}
    for batch in read_all(stack.settings, RECORDS):
        frame = pl.DataFrame(pl.from_arrow(decode(CREDIT_RECORD, [value for value in batch.values if value]).batch))
        ours = frame.filter((pl.col("department") == department) & (pl.col("variant_of") == ""))
        for record, subject, status in ours.select("record_id", "subject_key", "status").iter_rows():
            found[record] = (subject, status)
    return dict(found.values())


def publish(stack: Stack, path: Path, *more: str) -> dict[str, Any]:
    answer = stack.publish(path, department=DEPARTMENT, mapping=MAPPING, more=more)
    assert sum(answer["outcomes"].values()) == answer["rows"]
    return answer


def test_a_full_list_closes_what_is_absent_and_opens_what_comes_back(running_stack, tmp_path):
    def listed(*numbers: int, **changes: str) -> Path:
        return write_list(tmp_path / "list.csv", [barred(number, **changes) for number in numbers])

    def status() -> str:
        found = records(running_stack, DEPARTMENT)
        return " ".join(found[key] for key in sorted(found) if key.startswith("org:XX0009"))

    full = ("--snapshot", "--shrink-max", "0.5")
    # Nothing is kept of the first list, which was not said to be one: the platform's records tell what it held.
    publish(running_stack, listed(901, 902, 903))
    second = publish(running_stack, listed(901, 902), *full)
    assert (second["outcomes"], second["withdrawn"]) == ({"repeat": 2}, {"superseding": 1})
    assert status() == "valid valid withdrawn"
    # The home folder is lost: the platform still knows what stands, and what was withdrawn.
    for path in (running_stack.settings.home / "adapter" / "snapshots").glob(f"{DEPARTMENT}.*"):
        path.unlink()
    back = publish(running_stack, listed(902, 903, until="2027-01-01"), *full)
    assert (back["outcomes"], back["withdrawn"]) == ({"superseding": 2}, {"superseding": 1})
    assert (back["snapshot"]["stood"], back["snapshot"]["reinstated"]) == (2, 1)
    assert status() == "withdrawn valid valid"
    again = publish(running_stack, tmp_path / "list.csv", *full)
    assert (again["outcomes"], again["withdrawn"]) == ({"repeat": 2}, {})
    running_stack.verify()


@pytest.mark.nightly
def test_real_full_lists_follow_each_other(tmp_path):
    mexican, brazilian = SHARED / "mx_sat_69b", SHARED / "br_cgu_sanctions"
    if not mexican.is_dir() or not brazilian.is_dir():
        pytest.skip(f"no real registers in {SHARED}; XINLIU_SHARED_DATA names their folder")
    with stack_in(tmp_path) as stack:
        # The list of 2021 is published like any file.
        publish_2021 = stack.publish(
            mexican / "listado_69b_2021-05-18.csv.gz", department="mx-sat", mapping="mx-sat-69b"
        )
        publish_2022, again = (
            stack.publish(
                mexican / "listado_69b_2022-11-30.csv.gz",
                department="mx-sat",
                mapping="mx-sat-69b",
                more=("--snapshot",),
            )
            for _ in range(2)
        )
        assert (publish_2021["rows"], publish_2022["rows"]) == (9_838 + 82, 9_963 + 81)
        assert publish_2022["withdrawn"] == {"superseding": 22}
        assert (publish_2022["snapshot"]["reinstated"], publish_2022["snapshot"]["new"]) == (16, 1_455)
        assert (again["outcomes"], again["withdrawn"]) == ({"repeat": 9_963, "quarantined": 81}, {})
        september, october = (
            stack.publish(
                brazilian / f"cepim_2023-{month}.json.gz", department="br-cgu", mapping="br-cepim", more=("--snapshot",)
            )
            for month in ("09", "10")
        )
        assert (september["outcomes"]["new"], september["withdrawn"]) == (3_106, {})
        assert (october["outcomes"]["new"], october["withdrawn"]) == (9, {"superseding": 29})
        stack.verify()
