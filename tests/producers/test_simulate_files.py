"""Simulated department files: the same for the same seed, readable by their mappings, with work for the guard."""

import gzip
import json
import unicodedata
import zipfile
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from random import Random

import polars as pl
import pytest

from producers.apply import Mapped
from producers.mapping import load
from producers.readers import read
from producers.simulate import people
from producers.simulate.files import Written, write_files
from producers.simulate.writers import write_file
from schemas import reference
from schemas.examine import examine
from schemas.persons import screen_text
from schemas.settings import Settings

TODAY = date(2026, 6, 1)
ROWS = 600


@pytest.fixture(scope="module")
def month(tmp_path_factory) -> tuple[Path, list[Written]]:
    folder = tmp_path_factory.mktemp("month")
    return folder, write_files(folder, 7, ROWS, TODAY, reference.load(None))


def mapped(folder: Path, entry: Written) -> tuple[int, list[Mapped]]:
    mapping = load(entry.mapping, Settings())
    chunks = list(read(folder / entry.file, mapping.layout))
    return sum(len(chunk.rows) for chunk in chunks), [mapping.apply(chunk) for chunk in chunks]


def test_six_departments_write_in_every_format(month):
    folder, written = month
    assert {entry.department for entry in written} == {"market", "court", "tax", "environment", "procurement", "reform"}
    endings = {entry.file.split(".", 1)[1] for entry in written}
    assert endings == {"csv", "csv.gz", "xlsx", "json", "json.gz", "ndjson.gz"}
    assert max(entry.rows for entry in written) >= ROWS
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert manifest["files"] == [entry.as_json() for entry in written]


def test_the_same_seed_writes_the_same_bytes(month, tmp_path):
    folder, written = month
    write_files(tmp_path / "again", 7, ROWS, TODAY, reference.load(None))
    write_files(tmp_path / "other", 8, ROWS, TODAY, reference.load(None))
    for entry in written:
        assert (tmp_path / "again" / entry.file).read_bytes() == (folder / entry.file).read_bytes()
        assert (tmp_path / "other" / entry.file).read_bytes() != (folder / entry.file).read_bytes()


def test_every_file_is_read_whole_by_its_mapping(month):
    folder, written = month
    for entry in written:
        rows, _ = mapped(folder, entry)
        assert rows == entry.rows, entry.file


def test_nine_rows_in_ten_are_good_and_the_dirt_has_many_kinds(month):
    folder, written = month
    good = rejects = refused = 0
    reasons: Counter[str] = Counter()
    tables = reference.load(None)
    for entry in written:
        for part in mapped(folder, entry)[1]:
            examined = examine(part.events, entry.department, tables)
            good += len(examined.rows)
            rejects += examined.rejects.height
            refused += part.refused.height
            reasons.update(examined.rejects["reason"].to_list() + part.refused["reason"].to_list())
    rows = sum(entry.rows for entry in written)
    assert good + rejects + refused == rows
    assert 0.90 < good / rows < 0.97
    assert set(reasons) >= {
        "person_row",
        "personal_number",
        "subject_out_of_scope",
        "subject_code_invalid",
        "subject_placeholder",
        "subject_unresolved",
        "value_unreadable",
        "identity_incomplete",
        "amounts_disagree",
    }


def test_no_number_of_a_person_gets_past_the_guard(month):
    folder, written = month
    for entry in written:
        for part in mapped(folder, entry)[1]:
            events = pl.DataFrame(pl.from_arrow(part.events))
            texts = events.select(pl.col(pl.String).exclude("event_id")).unpivot()["value"].unique().to_list()
            plain = ["".join(unicodedata.normalize("NFKC", text).split()) for text in texts]
            assert not any(people.NO_COUNTY in text or "**" in text for text in plain), entry.file


def test_the_copy_of_the_aggregator_says_the_same_in_other_words(month):
    """Its rows are repeats of what the authorities themselves report, but for those that say another fine."""
    folder, written = month
    tables = reference.load(None)
    contents: dict[str, set[str]] = {}
    copies: list[tuple[str, str]] = []
    for entry in written:
        if "penalties" not in entry.file or entry.corrects or "annulled" in entry.file:
            continue
        for part in mapped(folder, entry)[1]:
            identified = examine(part.events, entry.department, tables).identified
            pairs = zip(identified["record_id"].to_pylist(), identified["content"].to_pylist(), strict=True)
            for record, content in pairs:
                if entry.department == "reform":
                    copies.append((record, content))
                else:
                    contents.setdefault(record, set()).add(content)
    same = sum(content in contents.get(record, ()) for record, content in copies)
    assert len(copies) > ROWS // 3
    assert 0.90 < same / len(copies) < 1.0


def test_dates_are_before_today_and_within_the_year_of_publication(month):
    folder, written = month
    for entry in written:
        if entry.mapping in ("registration-cn", "tax-rating"):
            continue
        for part in mapped(folder, entry)[1]:
            days = pl.Series(pl.from_arrow(part.events["decided_on"])).drop_nulls()
            assert TODAY - timedelta(days=301) <= days.min() <= days.max() < TODAY, entry.file


def test_most_acts_are_of_authorities_in_a_pilot_unit(month):
    folder, written = month
    units = reference.load(None)
    for entry in written:
        if entry.mapping != "penalty-2018":
            continue
        regions = [r for part in mapped(folder, entry)[1] for r in part.events["region"].to_pylist()]
        assert sum(bool(units.units_of(region, "")) for region in regions) > len(regions) / 2


def test_made_up_resident_numbers_are_what_the_guard_looks_for():
    chance = Random(1)
    for _ in range(300):
        number = people.resident_number(chance)
        assert number[:6] not in {region.code for region in reference.load(None).regions.by_code.values()}
        assert screen_text(people.disguised(number, chance)) is not None


def test_a_workbook_holds_what_was_written(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    rows = [{"名称": "甲 & <乙>", "空": "", "号": " 1"}, {"名称": "丙", "空": "", "号": "2"}]
    write_file(tmp_path / "a.xlsx", rows, title="标题")
    assert zipfile.is_zipfile(tmp_path / "a.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx").active
    assert [[cell.value for cell in row] for row in sheet.iter_rows()] == [
        ["标题", None, None],
        ["名称", "空", "号"],
        ["甲 & <乙>", None, " 1"],
        ["丙", None, "2"],
    ]
    assert [str(merged) for merged in sheet.merged_cells.ranges] == ["A1:C1"]


def test_text_files_hold_what_was_written(tmp_path):
    rows = [{"a": "一,二", "b": "x"}]
    write_file(tmp_path / "a.csv.gz", rows, encoding="gb18030")
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()).decode("gb18030") == 'a,b\r\n"一,二",x\r\n'
    write_file(tmp_path / "a.ndjson", rows)
    assert json.loads((tmp_path / "a.ndjson").read_text("utf-8")) == rows[0]
    with pytest.raises(ValueError, match="no format"):
        write_file(tmp_path / "a.pdf", rows)
