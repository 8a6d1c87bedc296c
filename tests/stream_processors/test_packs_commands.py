"""`xinliu packs`: what it lists and shows, and what another law would change, from the store and from the topic."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from store_builders import closed, messages, record

from schemas.avro import CREDIT_RECORD
from schemas.reference import load
from schemas.settings import Settings
from schemas.topics import RECORDS
from schemas.windows_packs import SHIPPED as PUBLICATION
from schemas.windows_packs import load_windows
from stream_processors.__main__ import answer
from stream_processors.cases.facts import Facts, Registration
from stream_processors.clickhouse import ClickHouse, connect
from stream_processors.rows import rows_of
from stream_processors.rules import compare, current
from stream_processors.rules.compare import CHANGES, Difference, add
from stream_processors.rules.laws import law_of
from stream_processors.rules.operators import ANY_OPERATOR
from stream_processors.rules.packs import SHIPPED, load_packs
from stream_processors.store import prepare

TODAY = date(2026, 11, 24)
LIST: dict[str, Any] = {
    "category": "serious_list",
    "item": "政府采购严重违法失信行为记录名单",
    "classes": [],
    "region": "",
    "valid_to": None,
    "published_until": None,
}


def records(*rows: dict[str, Any]) -> pl.DataFrame:
    numbered = [row | {"record_id": f"{number:032x}"} for number, row in enumerate(rows)]
    return pl.DataFrame(pl.from_arrow(pa.Table.from_pylist(numbered, schema=CREDIT_RECORD.arrow))).select(
        compare.COLUMNS
    )


def difference(before: str, after: str, *rows: dict[str, Any], home: Path) -> Difference:
    found = Difference()
    settings = Settings(home=home)
    add(found, records(*rows), law_of(before, settings), law_of(after, settings), load_windows(), TODAY)
    return found


def changed(found: Difference) -> dict[str, dict[str, int]]:
    return {change: dict(found.counts[change]) for change in CHANGES if found.counts[change]}


# -- what would change ------------------------------------------------------------------------------------------------


def test_the_same_law_changes_nothing(tmp_path: Path) -> None:
    found = difference("current", "current", record(**LIST), record(), home=tmp_path)
    assert (found.records, changed(found), found.over) == (2, {}, 0)


def test_a_pack_of_other_days_is_taken_for_every_record(tmp_path: Path) -> None:
    fine = record(decided_on=date(2025, 6, 30), published_until=date(2028, 6, 30), classes=["罚款"])
    revoked = record(decided_on=date(2025, 6, 30), published_until=date(2028, 6, 30), classes=["吊销许可证件"])
    listed = record(**LIST | {"decided_on": date(2025, 6, 30)})
    found = difference("CN-58", "CN-36", fine, revoked, listed, home=tmp_path)
    assert changed(found) == {"earlier": {"penalty": 1}, "begins": {"serious_list": 1}}
    assert found.over == 1  # three years of the fine would be one, and that is over
    assert found.examples["earlier"][0]["to"] == date(2026, 6, 30)
    assert found.examples["begins"][0]["from"] is None


def test_what_the_source_says_itself_does_not_move(tmp_path: Path) -> None:
    row = record(decided_on=date(2025, 6, 30), published_until=date(2025, 12, 31), classes=["罚款"])
    assert changed(difference("CN-58", "CN-36", row, home=tmp_path)) == {}


def test_cases_are_compared_by_measure_and_name_their_rule(tmp_path: Path) -> None:
    folder = tmp_path / "packs"
    folder.mkdir()
    text = (SHIPPED / "packs" / "cn-36.toml").read_text("utf-8")
    without = text.replace('\n[[rule]]\ncode = "M02"\n', "", 1)
    assert without != text
    (folder / "cn-36.toml").write_text(without, "utf-8")
    listed = record(**LIST | {"decided_on": date(2026, 5, 6)})
    gone = difference("current", str(folder), listed, home=tmp_path)
    assert changed(gone) == {"ended": {"M02": 1}}
    assert gone.examples["ended"][0]["rule"] == "CN-36/M02"
    assert changed(difference(str(folder), "current", listed, home=tmp_path)) == {"drafted": {"M02": 1}}


@pytest.mark.parametrize(
    "change",
    [
        {"subject_id": "CN-USCC:92370100XXXX0006XA"},
        {"subject_id": "CN-USCC:12370100XXXX00027A"},
        {"subject_id": "CN-REG:110108000000016"},
        {"rank": 1},
    ],
)
def test_nothing_is_drafted_about_another_body_or_on_hearsay(change: dict[str, Any], tmp_path: Path) -> None:
    listed = LIST | {"decided_on": date(2025, 6, 30)}
    found = difference("SAMR-45", "CN-36", record(**listed | change), home=tmp_path)
    assert not found.counts["drafted"]
    assert difference("SAMR-45", "CN-36", record(**listed), home=tmp_path).counts["drafted"] == {"M02": 1}


@pytest.mark.parametrize(
    ("subject_id", "jurisdictions"),
    [
        ("CN-USCC:91", {"CN"}),
        ("CN-USCC:93", {"CN"}),
        ("CN-USCC:N2", {"CN"}),
        ("CN-USCC:92", set()),
        ("CN-USCC:12", set()),
        ("CN-USCC:51", set()),
        ("CN-USCC:", set()),
        ("CN-REG:91", set()),
        ("BR-CNPJ:91", set()),
        ("MX-RFC:AAA", {"MX"}),
    ],
)
def test_whom_a_law_can_be_about_is_said_once(subject_id: str, jurisdictions: set[str]) -> None:
    register = Registration("r", 1, False, date(2026, 1, 1), subject_id)
    assert Facts("key", registrations={"r": register}).restrictable == jurisdictions
    assert bool(re.match(ANY_OPERATOR, subject_id)) == bool(jurisdictions)


def test_examples_are_few(tmp_path: Path) -> None:
    rows = [record(**LIST | {"decided_on": date(2025, 6, 30)}) for _ in range(40)]
    found = difference("SAMR-45", "CN-36", *rows, home=tmp_path)
    assert found.counts["drafted"]["M02"] == 40
    assert len(found.examples["drafted"]) == compare.EXAMPLES_MAX


# -- the commands -----------------------------------------------------------------------------------------------------


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A stack that is not there, in a folder of its own."""
    monkeypatch.setenv("XINLIU_HOME", str(tmp_path))
    monkeypatch.setenv("XINLIU_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    monkeypatch.setenv("XINLIU_CLICKHOUSE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("COLUMNS", "130")
    return tmp_path


def test_the_list_names_every_pack_of_both_rooms(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(["packs", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["packs"]
    assert {pack["name"] for pack in listed} == {*load_packs().heads, *(pack.name for pack in load_windows())}
    assert next(pack for pack in listed if pack["name"] == "SAMR-45")["rules"] == 0
    assert answer(["packs", "list"]) == 0
    assert "CN-36" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["CN-2018", "CN-58", "CN-36", "SAMR-45", "SD-2020", "MX-69B"])
def test_a_pack_is_shown_whole(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(["packs", "show", name, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [rule["name"] for rule in shown["rules"]] == sorted(
        r for r in load_packs().rules if r.startswith(name + "/")
    )
    assert answer(["packs", "show", name]) == 0
    out = capsys.readouterr().out
    assert "from memory" in out and "…" not in out.replace(" …", ""), "nothing is cut"


def test_an_overlay_is_listed(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "packs").mkdir()
    text = (PUBLICATION / "sd-2020.toml").read_text("utf-8").replace('"SD-2020"', '"ZJ-2018"')
    (here / "packs" / "zj.toml").write_text(text, "utf-8")
    monkeypatch.setenv("XINLIU_REFERENCE", str(here))
    assert answer(["packs", "list", "--json"]) == 0
    assert "ZJ-2018" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "code", "sentence"),
    [
        (["packs", "show", "CN-99"], 2, "there is none of that name; the packs are MX-69B, CN-2018"),
        (["packs", "diff", "CN-36", "nowhere"], 2, "neither a pack nor a folder of that name"),
        (["packs", "diff", "CN-36"], 2, "xinliu --help"),
    ],
)
def test_what_can_not_be_done_is_one_sentence(
    here: Path, command: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(command) == code
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert sentence in said[0]


def test_a_faulty_folder_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "own").mkdir()
    (here / "own" / "x.toml").write_text("name = 1", "utf-8")
    assert answer(["packs", "diff", "current", str(here / "own")]) == 2
    assert "reading the rule pack x.toml: the pack lacks name" in capsys.readouterr().err


def test_without_a_store_the_topic_is_read(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = record(**LIST | {"decided_on": date(2025, 6, 30), "record_id": "a" * 32})
    second = first | {"record_id": "b" * 32}
    batches = [
        messages(CREDIT_RECORD, [first, second, first | {"record_id": "c" * 32, "variant_of": "a" * 32}]),
        messages(CREDIT_RECORD, [closed(status="annulled", record_id="b" * 32, category="serious_list", revision=2)]),
    ]
    monkeypatch.setattr(current, "read_all", lambda _, topic: iter(batches if topic == RECORDS else []))
    assert answer(["packs", "diff", "SAMR-45", "CN-36", "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert (found["records"], found["drafted"]["by"], found["days_set_aside"]) == (1, {"M02": 1}, ["SAMR-45", "CN-36"])
    assert "reading Kafka's topic instead" in said.err


@pytest.fixture(scope="module")
def store(clickhouse: Any, settings_for: Callable[..., Settings], tmp_path_factory: Any) -> Iterator[ClickHouse]:
    home: Path = tmp_path_factory.mktemp("packs")
    store = connect(settings_for(home, clickhouse=clickhouse, clickhouse_database="packs_compared"))
    prepare(store, load())
    yield store
    store.command("DROP DATABASE packs_compared", doing="clearing up")
    store.close()


def test_the_current_records_of_the_store_are_compared(
    store: ClickHouse, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    today = date.today()
    rows = [
        record(**LIST | {"decided_on": today - timedelta(days=400), "record_id": "a" * 32}),
        record(
            decided_on=today - timedelta(days=500),
            published_until=today + timedelta(days=595),
            classes=["罚款"],
            record_id="b" * 32,
        ),
        closed(status="annulled", record_id="c" * 32, category="serious_list"),
        record(category="licence", record_id="d" * 32),
    ]
    for table, table_rows in rows_of(messages(CREDIT_RECORD, rows)).tables.items():
        store.insert(table, table_rows)
    monkeypatch.setenv("XINLIU_CLICKHOUSE_URL", store.url)
    monkeypatch.setenv("XINLIU_CLICKHOUSE_DATABASE", "packs_compared")
    monkeypatch.setattr(current, "_ROWS_AT_ONCE", 1)
    folder = here / "folder"
    shutil.copytree(PUBLICATION, folder / "packs")
    shorter = (PUBLICATION / "cn-58.toml").read_text("utf-8").replace("max_months = 36", "max_months = 12")
    (folder / "packs" / "cn-58.toml").write_text(shorter, "utf-8")
    assert answer(["packs", "diff", "SAMR-45", "CN-36"]) == 0
    shown = capsys.readouterr()
    assert "2 current records looked at, nothing written" in shown.out
    assert "M02 1" in shown.out and "is taken for every record, whatever its day" in shown.out
    assert not shown.err
    assert answer(["packs", "diff", "current", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["days_set_aside"] == [] and found["drafted"]["count"] == 0
