"""No false alarm of the guard over the real lists of organisations, through the mapping of each."""

import polars as pl
import pytest
from real_sources import SOURCES, RealSource

from producers.mapping import load
from producers.readers import read
from schemas.settings import Settings

pytestmark = pytest.mark.nightly


@pytest.mark.parametrize("source", SOURCES, ids=[source.name for source in SOURCES])
def test_no_row_of_an_organisation_is_refused_for_a_personal_number(source: RealSource) -> None:
    if not source.file.is_file():
        pytest.skip("the real file is not there; XINLIU_SHARED_DATA names its folder")
    mapping = load(source.mapping, Settings.from_env({}))
    alarms: list[int] = []
    rows = 0
    for chunk in read(source.file, mapping.layout):
        refused = mapping.apply(chunk).refused
        rows += len(chunk.rows)
        alarms += refused.filter(pl.col("reason") == "personal_number")["row"].to_list()
    assert (rows, alarms) == (source.rows, [])
