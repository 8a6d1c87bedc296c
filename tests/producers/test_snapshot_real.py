"""Real full lists that follow each other: what is new, changed, gone and back is what their READMEs counted."""

import os
from pathlib import Path

import polars as pl
import pytest
from snapshots import Shelf

from producers.snapshot import Counts
from producers.snapshot_lines import LISTED

SHARED = Path(os.environ.get("XINLIU_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


def real(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"real data is not there: {name} (set XINLIU_SHARED_DATA to its folder)")
    return path


def subjects(shelf: Shelf) -> pl.DataFrame:
    """Who stands in the last list, and whether any of their records is open."""
    last = shelf.lists().last()
    assert last is not None
    lines = last.of_kind(LISTED, "closed")
    closed = lines.filter(pl.col("kind") == "closed").select("high", "low").unique()
    open_lines = lines.filter(pl.col("kind") == LISTED).join(closed, on=["high", "low"], how="anti")
    return open_lines.select("subject_key", "category").unique()


@pytest.mark.nightly
def test_the_mexican_list_of_2022_follows_that_of_2021(tmp_path):
    shelf = Shelf(tmp_path, "mx-sat", "mx-sat-69b")
    first = shelf.publish_file(real("mx_sat_69b/listado_69b_2021-05-18.csv.gz"))
    before = shelf.lists().last()
    assert before is not None
    in_2021 = before.of_kind(LISTED)["subject_key"].unique()
    assert (first.counts.stood, first.counts.withdrawn) == (0, 0)
    plan = shelf.publish_file(real("mx_sat_69b/listado_69b_2022-11-30.csv.gz"))
    after = shelf.lists().last()
    assert after is not None
    in_2022 = after.of_kind(LISTED)["subject_key"].unique()
    # 110 taxpayers are new. One is gone: a court had its row blanked, and a blanked row names nobody.
    assert in_2022.filter(~in_2022.is_in(in_2021.implode())).len() == 110
    suppressed = in_2021.filter(~in_2021.is_in(in_2022.implode())).to_list()
    assert len(suppressed) == 1  # by whose number is nobody's business any more: it stands in no file of ours
    # 20 open resolutions are withdrawn: that one's, and 19 of taxpayers whose resolution was issued anew under another
    # number; 17 of the new ones stand, 2 were ended by a ruling since. 16 presumptions that the list of 2021 had closed
    # stand again: 15 of taxpayers that are confirmed once more, 1 whose ruling now stands with another case of his.
    assert plan.counts == Counts(16_897, 16_974, 732, withdrawn=20, reinstated=16)
    gone = plan.withdraw.filter(~pl.col("subject_key").is_in(in_2022.implode()))
    assert gone["subject_key"].to_list() == suppressed
    reissued = plan.withdraw.filter(pl.col("subject_key").is_in(in_2022.implode()))
    stands = subjects(shelf).filter(pl.col("category") == "serious_list")["subject_key"]
    assert reissued.height == 19
    assert reissued["subject_key"].is_in(stands.implode()).sum() == 17


def test_the_brazilian_register_of_october_follows_that_of_september(tmp_path):
    shelf = Shelf(tmp_path, "br-cgu", "br-cepim")
    shelf.publish_file(real("br_cgu_sanctions/cepim_2023-09.json.gz"))
    plan = shelf.publish_file(real("br_cgu_sanctions/cepim_2023-10.json.gz"))
    assert plan.counts == Counts(3_106, 3_086, new=9, withdrawn=29)
    assert shelf.publish_file(real("br_cgu_sanctions/cepim_2023-10.json.gz")).counts == Counts(3_086, 3_086)
