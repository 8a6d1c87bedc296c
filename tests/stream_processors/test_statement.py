"""A statement shows all that may be shown about one organisation, and nothing else."""

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from measure_builders import measure
from rich.console import Console
from store_builders import STUB, closed, messages, record

from schemas.avro import CLOSED, CREDIT_RECORD, MEASURE
from schemas.errors import InputError
from schemas.reference import load
from schemas.settings import Settings
from schemas.topics import HISTORY, MEASURES, RECORDS
from schemas.windows_packs import SHIPPED as PUBLICATION
from stream_processors import statement_page
from stream_processors.clickhouse import ClickHouse, connect
from stream_processors.rows import rows_of
from stream_processors.rules.packs import load_packs
from stream_processors.statement import LAW_TIME, Statement, moment_of, statement, statement_json, subject_key_of
from stream_processors.statement_page import render, yuan
from stream_processors.store import prepare

USCC = "91370100XXXX00051M"
KEY = "org:XXXX00051"
NOW = datetime.now(UTC)
TODAY = NOW.astimezone(LAW_TIME).date()
A, B, C, D = "a" * 32, "b" * 32, "c" * 32, "d" * 32


@pytest.fixture(scope="module")
def settings(clickhouse, settings_for: Callable[..., Settings], tmp_path_factory) -> Settings:
    home: Path = tmp_path_factory.mktemp("statement")
    return settings_for(home, clickhouse=clickhouse, clickhouse_database="statements")


@pytest.fixture(scope="module")
def store(settings: Settings) -> Iterator[ClickHouse]:
    """One organisation with a bit of everything, and another that must not show."""
    store = connect(settings)
    prepare(store, load())
    told(
        store,
        ("2026-03-05 10:00", record(record_id=A, revision=1, fine_fen=1_000_000)),
        ("2026-05-05 10:00", record(record_id=A, revision=2, fine_fen=2_000_000, content_order=5)),
        ("2026-03-06 10:00", marker(A, "court", content_order=4, effective_on=date(2026, 3, 5))),
        ("2026-05-06 10:00", marker(A, "tax", content_order=5, effective_on=date(2026, 5, 4))),
        ("2026-04-01 10:00", record(record_id=B, category="registration", department="reform", **_REGISTERED)),
        ("2026-04-02 10:00", record(record_id=C, document_number="鲁市监罚〔2026〕77号")),
        ("2026-07-02 10:00", closed(record_id=C, revision=2, status="annulled")),
        ("2026-04-03 10:00", record(record_id=D, published_until=TODAY - timedelta(days=1), document_number="过期1号")),
        ("2026-04-04 10:00", record(subject_key="org:XXXX00027", subject_name="另一家公司", record_id="e" * 32)),
    )
    yield store
    store.command("DROP DATABASE statements", doing="clearing up")
    store.close()


_REGISTERED: dict[str, Any] = {
    **STUB,
    "subject_name": "济南某某商贸有限公司",
    "subject_id": f"CN-USCC:{USCC}",
    "subject_ids": [f"CN-USCC:{USCC}", "CN-REG:370100000000001"],
    "decided_on": date(2010, 1, 4),
    "state": "存续",
    "amount_fen": 100_000_000,
    "legal_bases": [],
}


def marker(of: str, department: str, **changes: Any) -> dict[str, Any]:
    """What register keeps of another content of a record."""
    own_id = f"{department:0<32}".encode().hex()[:32]
    return closed(record_id=own_id, variant_of=of, status="conflicting", department=department, **changes)


def told(store: ClickHouse, *rows: tuple[str, dict[str, Any]]) -> None:
    for offset, (at, row) in enumerate(rows):
        taken_ms = int(datetime.fromisoformat(at).replace(tzinfo=LAW_TIME).timestamp() * 1000)
        topics = (RECORDS,) if row["variant_of"] else (HISTORY, RECORDS)
        for topic in topics:
            batch = messages(CREDIT_RECORD, [row], topic=topic, offset=offset, at_ms=taken_ms)
            for table, table_rows in rows_of(batch).tables.items():
                store.insert(table, table_rows)


def of(store: ClickHouse, subject: str = USCC, as_of: date | datetime | None = None) -> Statement:
    return statement(store, load(), subject, as_of, now=NOW)


def page(found: Statement) -> str:
    console = Console(file=io.StringIO(), width=160)
    render(found, load(), console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_what_is_valid_is_shown_by_category_and_what_is_closed_is_counted(store: ClickHouse):
    found = of(store)
    assert [(entry.category, entry.record_id, entry.fine_fen) for entry in found.entries] == [
        ("registration", B, None),
        ("penalty", A, 2_000_000),
    ]
    assert found.closed == {"annulled": 1, "expired": 1}
    assert found.names == ("济南某某商贸有限公司",)
    assert found.identifiers == (f"CN-USCC:{USCC}", "CN-REG:370100000000001")


def test_a_conflict_is_shown_until_the_authority_has_spoken_after_it(store: ClickHouse):
    penalty = of(store).entries[1]
    assert [(contest.department, contest.effective_on) for contest in penalty.contested_by] == [
        ("tax", date(2026, 5, 4))
    ]
    (earlier,) = (entry for entry in of(store, as_of=date(2026, 4, 10)).entries if entry.record_id == A)
    assert [contest.department for contest in earlier.contested_by] == ["court"]


def test_as_of_a_day_what_was_shown_then_is_shown_but_for_what_has_ended_since(store: ClickHouse):
    found = of(store, as_of=date(2026, 4, 10))
    assert [(entry.record_id, entry.fine_fen) for entry in found.entries] == [(B, None), (A, 1_000_000)]
    assert (found.closed, found.ended_since) == ({}, 2)
    assert of(store, as_of=date(2026, 3, 4)).is_empty
    assert of(store, as_of=moment_of("2026-07-02T09:59")).closed.get("annulled") is None
    assert of(store, as_of=moment_of("2026-07-02T10:01")).closed["annulled"] == 1


def test_the_page_is_in_both_languages_and_says_how_to_contest(store: ClickHouse):
    text = page(of(store))
    for part in (
        *(
            "行政处罚 administrative penalty",
            "鲁市监罚〔2026〕1号 · 2026-03-02",
            "演示省市场监督管理局 · 11370000XXXX10014M",
        ),
        *("罚款（元） Fine, yuan", "20,000.00", "1,000,000.00", "产品质量法第四十九条", "有效 valid · 已执行"),
        *("市场监督管理局（演示） market regulation (demonstration)", "https://example.org/decision/1"),
        *("已撤销 annulled: 1", "公示期满 publication ended: 1", "可向其来源部门", "To contest an entry"),
    ):
        assert part in text
    for hidden in ("77号", "过期1号", "另一家公司", "score:", "10,000.00"):
        assert hidden not in text


def test_json_is_the_same_in_plain_values(store: ClickHouse):
    value = statement_json(of(store), load())
    assert json.loads(json.dumps(value)) == value
    penalty = value["records"][1]
    assert (value["subject"], penalty["fine_fen"], penalty["decided_on"]) == (KEY, 2_000_000, "2026-03-02")
    assert penalty["department_en"] == "market regulation (demonstration)"
    assert penalty["contested_by"] == [{"department": "tax", "effective_on": "2026-05-04"}]
    assert value["closed"] == {"annulled": 1, "expired": 1}


@pytest.mark.parametrize("status", CLOSED)
def test_an_organisation_of_which_all_is_closed_shows_neither_name_nor_facts(store: ClickHouse, status: str):
    code = {"annulled": "00035", "withdrawn": "00043", "repaired": "00078", "expired": "00086"}[status]
    key = f"org:XXXX{code}"
    told(
        store,
        ("2026-03-05 10:00", record(record_id=f"{code:0>32}", subject_key=key)),
        ("2026-03-06 10:00", closed(record_id=f"{code:0>32}", subject_key=key, revision=2, status=status)),
    )
    found = statement(store, load(), key_as_code(key), None, now=NOW)
    assert (found.names, found.identifiers, found.entries, found.closed) == ((), (), (), {status: 1})


def key_as_code(key: str) -> str:
    return {"00035": "51370100XXXX000354", "00043": "54370100XXXX00043M", "00078": "93370100XXXX000787"}.get(
        key[-5:], "N2370100XXXX00086P"
    )


@pytest.mark.parametrize(
    "subject", [USCC, f" {USCC.lower()} ", f"CN-USCC:{USCC}", "XXXX00051", "XXXX0005-1", "CN-ORG:XXXX00051", KEY]
)
def test_an_organisation_is_found_by_any_of_its_codes(subject: str):
    assert subject_key_of(subject) == KEY


@pytest.mark.parametrize(
    ("subject", "key"),
    [("110108000000016", "reg:110108000000016"), ("reg:110108000000016", "reg:110108000000016")],
)
def test_a_registration_number_is_a_key_of_its_own(subject: str, key: str):
    assert subject_key_of(subject) == key


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("11010519491231002X", "personal number"),
        ("CN-USCC:11010519491231002X", "personal number"),
        ("电话 13812345678", "personal number"),
        ("91370100XXXX00051X", "fails its check"),
        ("00000000000000000X", "placeholder"),
        ("某某公司", ""),
        ("", "no identifier"),
    ],
)
def test_what_is_no_code_of_an_organisation_is_refused_without_repeating_it(subject: str, said: str):
    with pytest.raises(InputError) as caught:
        subject_key_of(subject)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    number = subject.partition(":")[2] or subject
    assert not number or number not in str(caught.value)


def test_moments_are_days_or_times_in_shanghai():
    assert moment_of("2026-05-01") == date(2026, 5, 1)
    assert moment_of("2026-05-01T12:00") == datetime(2026, 5, 1, 4, tzinfo=UTC)
    assert moment_of("2026-05-01T12:00Z") == datetime(2026, 5, 1, 12, tzinfo=UTC)
    with pytest.raises(InputError, match="write a day as 2026-05-01"):
        moment_of("yesterday")


@pytest.mark.parametrize(("fen", "text"), [(0, "0.00"), (5, "0.05"), (123_456_789, "1,234,567.89"), (-150, "-1.50")])
def test_amounts_are_written_in_yuan(fen: int, text: str):
    assert yuan(fen) == text


def test_the_command_prints_and_says_by_its_exit_code_whether_there_is_anything(
    settings: Settings, store: ClickHouse, capsys: pytest.CaptureFixture[str]
):
    assert statement_page.show(settings, USCC, None, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["subject"] == KEY
    assert statement_page.show(settings, "91110000600056171L", "2026-05-01", as_json=False) == 1
    assert "Nothing is on record about org:600056171" in capsys.readouterr().out


# -- measures -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_measures(store: ClickHouse) -> ClickHouse:
    """Three cases about the organisation and one about another."""
    intended = {"state": "noticed", "transition": "noticed", "decision_document": "", "decided_on": None}
    intended |= {"in_force_from": None, "ends_on": None, "objection_until": TODAY + timedelta(days=3)}
    repair = "最早 2026-09-30：改正后申请修复 / earliest 2026-09-30: after correction"
    rows = [
        ("2026-05-01 10:00", measure("m" * 32, KEY, TODAY, revision=1, **intended)),
        ("2026-06-01 10:00", measure("m" * 32, KEY, TODAY, revision=2, repair_path=repair)),
        ("2026-06-02 10:00", measure("n" * 32, KEY, TODAY, objected_on=TODAY, **intended | {"state": "objected"})),
        ("2026-06-03 10:00", measure("o" * 32, KEY, TODAY, state="ended", transition="ended", reason="repaired")),
        ("2026-06-03 10:00", measure("p" * 32, KEY, TODAY, ends_on=TODAY - timedelta(days=1))),
        ("2026-06-04 10:00", measure("q" * 32, "org:XXXX00027", TODAY)),
    ]
    for offset, (at, row) in enumerate(rows):
        taken_ms = int(datetime.fromisoformat(at).replace(tzinfo=LAW_TIME).timestamp() * 1000)
        batch = messages(MEASURE, [row], topic=MEASURES, offset=offset, at_ms=taken_ms)
        for table, table_rows in rows_of(batch).tables.items():
            store.insert(table, table_rows)
    return store


def test_measures_are_shown_while_they_are_intended_or_bind_and_counted_when_they_have_ended(with_measures: ClickHouse):
    found = of(with_measures)
    assert [(case.case_id[0], case.state, case.binds) for case in found.measures] == [
        ("m", "in_force", True),
        ("n", "objected", False),
    ]
    assert found.ended_measures == {"expired": 1, "repaired": 1}  # that of the last day needs nobody to say so
    earlier = of(with_measures, as_of=date(2026, 5, 2))
    assert [(case.state, case.binds) for case in earlier.measures] == [("noticed", False)]
    assert statement_json(found, load())["measures"][0]["ends_on"] == (TODAY + timedelta(days=335)).isoformat()


def test_the_page_says_what_can_be_done_about_a_measure_in_both_languages(with_measures: ClickHouse):
    console = Console(file=io.StringIO(), width=200)
    render(of(with_measures), load(), console, load_packs().rules)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for part in (
        *("措施 Measures", "生效中 in force", "有异议 objected to", "earliest 2026-09-30", "《政府采购法》第77条"),
        *("Objections until", str(TODAY + timedelta(days=3)), "可在异议截止日前", "object to the deciding authority"),
        *("决〔2026〕1号", "Measures that have ended", "exclusion from government procurement"),
    ):
        assert part in text


def test_a_record_says_when_a_repair_may_end_its_publication(store: ClickHouse):
    penalty = of(store).entries[1]
    assert penalty.repair_from is not None
    assert f"earliest {penalty.repair_from}" in page(of(store))


def test_a_folder_of_reference_changes_from_when_on_a_repair_may_end_a_publication(store: ClickHouse, tmp_path: Path):
    shipped = (PUBLICATION / "cn-58.toml").read_text("utf-8")
    (tmp_path / "packs").mkdir()
    longer = shipped.replace("min_months = 3\nmax_months", "min_months = 7\nmax_months")
    (tmp_path / "packs" / "cn-58.toml").write_text(longer, "utf-8")
    penalty = statement(store, load(tmp_path), USCC, now=NOW).entries[1]
    assert (penalty.decided_on, penalty.repair_from) == (date(2026, 3, 2), date(2026, 10, 2))
    assert of(store).entries[1].repair_from == date(2026, 6, 2)
