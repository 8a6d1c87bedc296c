"""How long a decision may be shown: the tables of cases, the explanation, faults of a pack, and the last day alone."""

import csv
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.calendar import load_calendar
from schemas.errors import ConfigurationError
from schemas.windows import add_months, publication_limits, tier_of, windows
from schemas.windows_packs import Tier, load_windows

TABLES = Path(__file__).parents[1] / "cases" / "packs"
WINDOW_TABLES = ["CN-2018", "CN-58", "CN-36", "SAMR-45", "SD-2020", "MX-69B"]
_DATES = {"min_on", "max_on", "publication_end"}


def rows_of(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader((TABLES / f"{table}.csv").read_text("utf-8").splitlines()))


def day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def records(rows: list[dict[str, str]], table: str) -> pl.DataFrame:
    """The records of a table's rows, with every column that a verdict may ask for."""
    started = "published_on" if table == "SAMR-45" else "conduct_ended_on"
    return pl.DataFrame(
        [
            {
                "category": row["category"],
                "classes": [kind for kind in row["kinds"].split(";") if kind],
                "decided_on": day(row["decided_on"]),
                started: day(row["started_on"]),
                "fine_fen": int(row["fine_fen"]) if row["fine_fen"] else None,
                "valid_to": day(row["valid_to"]),
                "legal_bases": [basis for basis in row["bases"].split(";") if basis],
                "region": row["region"],
                "authority_name": "",
                "published_until": day(row["reported_until"]),
                "subject_key": "MX-RFC:ZZZ010101VZ4" if table == "MX-69B" else "org:XXXX00051",
            }
            for row in rows
        ],
        schema_overrides={
            "classes": pl.List(pl.String),
            "legal_bases": pl.List(pl.String),
            "fine_fen": pl.Int64,
            **dict.fromkeys(("decided_on", started, "valid_to", "published_until"), pl.Date),
        },
    )


@pytest.mark.parametrize("table", WINDOW_TABLES)
def test_every_row_of_the_table_is_judged_as_it_says(table: str) -> None:
    rows = rows_of(table)
    found = windows(records(rows, table), load_windows(), "necips" if table == "SAMR-45" else "credit")
    for line, (row, verdict) in enumerate(zip(rows, found.iter_rows(named=True), strict=True), start=2):
        own = verdict["pack"] == table
        said = {
            "tier": verdict["tier"] if own else "",
            "published": ("yes" if verdict["published"] else "no") if own else "",
            "min_on": str(verdict["min_on"] or "") if own else "",
            "max_on": str(verdict["max_on"] or "") if own else "",
            "publication_end": str(verdict["publication_end"] or ""),
        }
        assert said == {name: row[name] for name in said}, f"{table}.csv line {line}: {row['why']} ({row['source']})"


@pytest.mark.parametrize("table", WINDOW_TABLES)
def test_every_row_says_why_and_where_it_stands_written(table: str) -> None:
    rows = rows_of(table)
    assert all(row["why"] and row["source"] for row in rows)
    assert table == "MX-69B" or len(rows) >= 120


@pytest.mark.parametrize("table", WINDOW_TABLES)
def test_the_last_day_alone_is_that_of_the_whole_verdict(table: str) -> None:
    frame = records(rows_of(table), table).with_columns(published_until=pl.lit(None, pl.Date))
    channel = "necips" if table == "SAMR-45" else "credit"
    whole = windows(frame, load_windows(), channel)["publication_end"]
    assert publication_limits(frame, load_windows(), channel).to_list() == whole.to_list()


def test_the_deadlines_in_working_days() -> None:
    """The clocks of the packs, with the two worked examples of the domain's facts."""
    clocks = {(pack.name, clock.name): clock.working_days for pack in load_windows() for clock in pack.clocks}
    calendar = load_calendar()
    rows = [row for row in rows_of("working_days") if row["clock"]]
    assert {(row["pack_or_rule"], row["clock"]) for row in rows} <= set(clocks)
    for row in rows:
        days = clocks[row["pack_or_rule"], row["clock"]]
        assert days == int(row["working_days"]), row
        found = calendar.add_working_days(date.fromisoformat(row["from"]), days)
        assert (str(found.day), "yes" if found.provisional else "no") == (row["until"], row["provisional"]), row


def test_a_verdict_carries_its_explanation() -> None:
    rows = [row for row in rows_of("CN-36") if row["kinds"] == "警告;吊销许可证件"][:1]
    why = windows(records(rows, "CN-36"), load_windows())["why"].item()
    assert why.startswith("CN-36: 吊销许可证件 is serious; published 12 to 36 months from the day of the decision (")
    samr = [row for row in rows_of("SAMR-45") if row["fine_fen"]][:1]
    assert "the fine makes it general" in windows(records(samr, "SAMR-45"), load_windows(), "necips")["why"].item()
    assert "from memory: " in windows(records(samr, "SAMR-45"), load_windows(), "necips")["why"].item()


@pytest.mark.parametrize(
    ("kind", "rank"),
    [("吊销", 1), ("暂扣或者吊销许可证", 0), ("暂扣或者吊销许可证，并吊销执照", 1), ("谈话", 0), ("", 0)],
)
def test_the_longest_word_is_read_first(kind: str, rank: int) -> None:
    tiers = (
        Tier("general", ("penalty",), "source", kinds=("暂扣或者吊销",), default=True, max_months=12),
        Tier("serious", ("penalty",), "source", kinds=("吊销",), max_months=36),
    )
    assert tier_of(tiers, kind)[0] == rank


@given(st.dates(date(1950, 1, 1), date(2200, 12, 31)), st.integers(0, 60))
def test_a_period_of_months_ends_on_the_corresponding_day_or_the_last(start: date, months: int) -> None:
    number = np.array([(start - date(1970, 1, 1)).days])
    found = date.fromordinal(int(add_months(number, np.array([months]))[0]) + date(1970, 1, 1).toordinal())
    assert (found.year * 12 + found.month) - (start.year * 12 + start.month) == months
    assert found.day == start.day or (found.day < start.day and date.fromordinal(found.toordinal() + 1).day == 1)


def test_a_file_of_the_same_name_replaces_a_pack(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "schemas" / "packs" / "cn-36.toml").read_text("utf-8")
    folder = tmp_path / "packs"
    folder.mkdir()
    stricter = text.replace('kinds = ["吊销",', 'fine_fen_from = 100_000_00\nkinds = ["吊销",')
    (folder / "cn-36.toml").write_text(stricter, "utf-8")
    packs = load_windows(tmp_path)
    assert [pack.name for pack in packs] == [pack.name for pack in load_windows()]
    large = [row for row in rows_of("CN-36") if row["fine_fen"]]
    assert windows(records(large, "CN-36"), packs)["tier"].to_list() == ["serious"]


FAULTS = [
    ("max_months = 12", "max_months = 1", "the tier general needs 0 <= min_months <= max_months and max_months > 0"),
    ("default = true\nkinds", "kinds", "exactly one tier of the category penalty has to be the default"),
    ('name = "general"', 'name = "grave"', "a tier's name is none of minor, general, serious, ungraded"),
    ('channel = "credit"', 'channel = "radio"', "channel is none of credit, necips, any"),
    ('categories = ["serious_list"]', 'categories = ["x"]', "a tier names the category x"),
    ("min_months = 3", 'min_months = "3"', "a tier: min_months is of the wrong type"),
    ("min_months = 3", "min_months = 3.5", "a tier: min_months is of the wrong type"),
    ("min_months = 3", "min_month = 3", "a tier has no field min_month"),
    ('jurisdiction = "CN"\n', "", "the pack lacks jurisdiction"),
    ("working_days = 10", "working_days = 0", "a clock needs working_days of 1 or more"),
    ("from_day = 2026-04-01", "from_day = 2026-04-01\nto_day = 2026-03-01", "to_day is before from_day"),
    ("from_day = 2026-04-01", "from_day = 2026-04-01T00:00:00", "the pack: from_day is of the wrong type"),
    ('name = "CN-36"', 'name = "CN-58"', "two files are packs of this name"),
    ('name = "CN-36"', "name = ", "it is not TOML in UTF-8"),
]


@pytest.mark.parametrize(("old", "new", "sentence"), FAULTS, ids=[fault[2] for fault in FAULTS])
def test_each_fault_of_a_pack_is_one_sentence(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    text = (Path(__file__).parents[2] / "schemas" / "packs" / "cn-36.toml").read_text("utf-8")
    assert old in text
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / "cn-36.toml").write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(ConfigurationError, match=r"^reading the pack on publication ") as found:
        load_windows(tmp_path)
    assert sentence in str(found.value)
    assert "\n" not in str(found.value)
