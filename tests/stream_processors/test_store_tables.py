"""The store's tables on the real engine: their columns, their migrations, and that repeats leave no trace."""

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from store_builders import closed, messages, quarantined, receipt, record

from schemas.avro import CREDIT_RECORD, QUARANTINED, RECEIPT
from schemas.errors import ConfigurationError, Retryable, Stop
from schemas.reference import load
from schemas.settings import Settings
from schemas.topics import HISTORY, QUARANTINE, RECORDS, receipts_topic
from stream_processors.clickhouse import ClickHouse, connect
from stream_processors.digests import Digest, current_digest, current_digest_of, table_digest
from stream_processors.kafka import Batch
from stream_processors.rows import MESSAGE_OF, rows_of
from stream_processors.tables.migrate import Script, migrate, scripts
from stream_processors.tables.reference import load_reference, reference_tables, region_codes

_CLICKHOUSE_OF_ARROW = {
    "string": "String",
    "int32": "Int32",
    "int64": "Int64",
    "date32[day]": "Date32",
    "timestamp[ms]": "DateTime64(3, 'UTC')",
}


@pytest.fixture
def database(clickhouse, settings_for: Callable[..., Settings], tmp_path: Path) -> Iterator[ClickHouse]:
    """A database of one's own, without tables."""
    store = connect(settings_for(tmp_path, clickhouse=clickhouse, clickhouse_database=f"t{uuid.uuid4().hex[:12]}"))
    yield store
    store.create_database()  # a connection to a database that is not there can not even drop it
    store.command(f"DROP DATABASE IF EXISTS `{store.database}`", doing="clearing up")
    store.close()


@pytest.fixture
def store(database: ClickHouse) -> ClickHouse:
    """A database with the product's tables."""
    migrate(database)
    return database


def put(store: ClickHouse, *batches: Batch) -> None:
    """Insert messages as the store lane does."""
    for batch in batches:
        for table, rows in rows_of(batch).tables.items():
            store.insert(table, rows)


# -- migrations -------------------------------------------------------------------------------------------------------


def test_a_second_start_finds_nothing_to_do(database: ClickHouse):
    assert migrate(database) == [script.name for script in scripts()]
    assert migrate(database) == []


def test_every_statement_may_run_twice(store: ClickHouse):
    for script in scripts():
        assert script.problems() == []
        for statement in script.statements:
            store.command(statement, doing="running it again")


def test_starts_at_once_do_no_harm(database: ClickHouse, clickhouse, settings_for: Callable[..., Settings], tmp_path):
    settings = settings_for(tmp_path, clickhouse=clickhouse, clickhouse_database=database.database)
    errors: list[Exception] = []
    gate = threading.Barrier(4)

    def start() -> None:
        own = connect(settings)
        try:
            gate.wait()
            migrate(own)
            load_reference(own, load())
        except Exception as error:
            errors.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert migrate(database) == []
    tables = {row["name"] for row in database.rows("SHOW TABLES", doing="looking")}
    assert not [name for name in tables if "loading" in name]
    counted = database.rows("SELECT count() AS n FROM pilot_units", doing="looking")[0]["n"]
    assert counted == len(load().pilot_units.units)


def test_a_migration_that_was_changed_after_it_was_applied_is_refused(store: ClickHouse):
    changed = [Script(s.name, s.text + "\n") if s.name == "0001_tables" else s for s in scripts()]
    with pytest.raises(ConfigurationError, match=r"0001_tables\.sql was changed after it was applied"):
        migrate(store, changed)


def test_views_that_were_changed_are_applied_again(store: ClickHouse):
    changed = [Script(s.name, s.text + "-- a remark\n") if s.name.startswith("views_3") else s for s in scripts()]
    assert migrate(store, changed) == ["views_3_reports"]


def test_a_statement_that_may_not_run_twice_is_refused_before_anything_is_applied(database: ClickHouse):
    with pytest.raises(ConfigurationError, match="0003_bad: CREATE TABLE x"):
        migrate(database, [*scripts(), Script("0003_bad", "CREATE TABLE x (a Int8) ENGINE = Memory;\n")])
    with pytest.raises(Retryable):
        database.rows("SELECT 1 FROM records", doing="looking")


# -- columns ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["records", "history", "quarantine", "receipts"])
def test_a_table_has_the_columns_of_its_message_and_the_position(store: ClickHouse, table: str):
    described = store.rows(f"DESCRIBE TABLE {table}", doing="looking")
    found = {row["name"]: row["type"].replace("LowCardinality(String)", "String") for row in described}
    message = MESSAGE_OF[table]
    declared = {field.name: _clickhouse_type(field) for field in message.arrow}
    position = {"partition": "Int32", "offset": "Int64", "recorded_at": "DateTime64(3, 'UTC')"}
    position |= {"epoch": "UInt16"} if message is CREDIT_RECORD else {"topic": "String"}
    assert found == declared | position


def _clickhouse_type(field: pa.Field) -> str:
    if pa.types.is_list(field.type):
        return f"Array({_CLICKHOUSE_OF_ARROW[str(field.type.value_type)]})"
    plain = _CLICKHOUSE_OF_ARROW[str(field.type)]
    return f"Nullable({plain})" if field.nullable else plain


def test_what_was_written_is_read_back(store: ClickHouse):
    row = record(subject_name="济南“某某”商贸\n有限公司", valid_to=None, confiscated_fen=-1, classes=["罚款", "没收"])
    put(store, messages(CREDIT_RECORD, [row]))
    (found,) = store.rows("SELECT * FROM records FINAL", doing="looking")
    assert {name: found[name] for name in row} == row


# -- repeats ----------------------------------------------------------------------------------------------------------


def test_the_newest_revision_stands_in_whatever_order_they_came_and_however_often(store: ClickHouse):
    newest, older = record(revision=2, fine_fen=5), record(revision=1, fine_fen=3)
    for row in (newest, older, newest, older):
        put(store, messages(CREDIT_RECORD, [row], offset=row["revision"]))
    rows = store.rows("SELECT revision, fine_fen, offset FROM records FINAL", doing="looking")
    assert rows == [{"revision": 2, "fine_fen": 5, "offset": 2}]


def test_every_table_takes_the_same_batch_twice(store: ClickHouse):
    batches = (
        messages(CREDIT_RECORD, [record()], topic=HISTORY),
        messages(QUARANTINED, [quarantined()], topic=QUARANTINE),
        messages(RECEIPT, [receipt()], topic=receipts_topic("market")),
    )
    put(store, *batches)
    before = {table: table_digest(store, table) for table in ("history", "quarantine", "receipts")}
    put(store, *batches)
    assert {table: table_digest(store, table) for table in before} == before
    assert [digest.rows for found in before.values() for digest in found.values()] == [1, 1, 1]


def test_a_closed_record_keeps_no_facts(store: ClickHouse):
    put(store, messages(CREDIT_RECORD, [record(revision=1)]))
    put(store, messages(CREDIT_RECORD, [closed(revision=2, status="annulled")], offset=1))
    store.command("OPTIMIZE TABLE records FINAL", doing="merging")
    (row,) = store.rows("SELECT status, document_number, fine_fen, classes FROM records", doing="looking")
    assert row == {"status": "annulled", "document_number": "", "fine_fen": None, "classes": []}


# -- digests ----------------------------------------------------------------------------------------------------------


def numbered(count: int, **changes: object) -> list[dict[str, object]]:
    return [record(record_id=f"{i:032x}", **changes) for i in range(count)]


def test_a_digest_is_that_of_the_rows_and_not_of_their_order(store: ClickHouse):
    rows = numbered(4)
    put(store, messages(CREDIT_RECORD, rows, topic=HISTORY))
    once = table_digest(store, "history")
    store.command("TRUNCATE TABLE history", doing="starting again")
    for i in (2, 0, 3, 1):
        put(store, messages(CREDIT_RECORD, [rows[i]], topic=HISTORY, offset=i))
    assert table_digest(store, "history") == once
    assert once[HISTORY, 0].rows == 4


@pytest.mark.parametrize(
    "corruption",
    [
        "ALTER TABLE history UPDATE fine_fen = fine_fen + 1 WHERE offset = 1 SETTINGS mutations_sync = 1",
        "ALTER TABLE history UPDATE fine_fen = NULL WHERE offset = 1 SETTINGS mutations_sync = 1",
        "ALTER TABLE history UPDATE classes = ['罚', '款'] WHERE offset = 1 SETTINGS mutations_sync = 1",
        "ALTER TABLE history DELETE WHERE offset = 1 SETTINGS mutations_sync = 1",
        "INSERT INTO history SELECT * REPLACE (offset + 7 AS offset) FROM history",
    ],
)
def test_one_row_corrupted_by_hand_changes_the_digest(store: ClickHouse, corruption: str):
    put(store, messages(CREDIT_RECORD, numbered(3), topic=HISTORY))
    before = table_digest(store, "history")
    store.command(corruption, doing="corrupting it")
    assert table_digest(store, "history") != before


def test_a_digest_may_be_asked_of_a_range(store: ClickHouse):
    put(store, messages(CREDIT_RECORD, numbered(5), topic=HISTORY, partition=1))
    put(store, messages(CREDIT_RECORD, numbered(5), topic=HISTORY, partition=2))
    place = (HISTORY, 1)
    ranged = table_digest(store, "history", since={place: 1, (RECORDS, 2): 4}, until={place: 3})
    assert {where: digest.rows for where, digest in ranged.items()} == {(HISTORY, 1): 2, (HISTORY, 2): 5}
    put(store, messages(RECEIPT, [receipt()] * 3, topic=receipts_topic("tax")))
    ranged = table_digest(store, "receipts", since={(receipts_topic("tax"), 0): 2})
    assert [digest.rows for digest in ranged.values()] == [1]


def test_the_current_digest_is_the_same_in_clickhouse_and_in_memory(store: ClickHouse):
    rows = [
        record(record_id="a" * 32),
        closed(record_id="b" * 32, status="repaired"),
        closed(record_id="d" * 32, variant_of="a" * 32, status="superseded"),
        record(record_id="e" * 32, subject_key="MX-RFC:ZZZ010101VZ4"),
    ]
    put(store, messages(CREDIT_RECORD, rows))
    digest = current_digest(store)
    assert digest == current_digest_of(pl.DataFrame(rows))
    assert digest.rows == 3


def test_the_current_digest_looks_at_what_is_said_and_not_at_who_said_it_how_often():
    said = pl.DataFrame([record()])
    again = pl.DataFrame([record(revision=7, department="tax", submission="another", rank=1)])
    other = pl.DataFrame([record(content="d" * 16)])
    closed_once, closed_again = (pl.DataFrame([closed(status="annulled", content=c * 16)]) for c in "cd")
    assert current_digest_of(said) == current_digest_of(again) != current_digest_of(other)
    assert current_digest_of(closed_once) == current_digest_of(closed_again) != current_digest_of(said)
    assert current_digest_of(said.clear()) == Digest(0, "0" * 32)


# -- reference data ---------------------------------------------------------------------------------------------------


def test_reference_tables_are_replaced_as_a_whole(store: ClickHouse):
    store.command("INSERT INTO categories VALUES ('stale', '', '', '')", doing="planting an old row")
    load_reference(store, load())
    for table, rows in reference_tables(load()).items():
        found = store.rows(f"SELECT * FROM {table}", doing="looking")
        key = sorted(rows[0])
        assert sorted(found, key=lambda r: [str(r[k]) for k in key]) == sorted(
            rows, key=lambda r: [str(r[k]) for k in key]
        )


def test_the_regions_of_a_unit_are_those_for_which_the_metrics_count():
    units = load().pilot_units
    pairs = {(row["region"], row["unit"]) for row in reference_tables(load())["pilot_unit_regions"]}
    for region in region_codes(units):
        assert {unit for code, unit in pairs if code == region} == set(units.units_of(region, ""))


# -- errors at the border ---------------------------------------------------------------------------------------------


def test_a_server_that_is_not_there_is_one_sentence(settings_for: Callable[..., Settings], tmp_path: Path):
    settings = settings_for(tmp_path)
    with pytest.raises(Retryable) as caught:
        connect(settings)
    assert str(caught.value) == (
        f"connecting to the store: ClickHouse at {settings.clickhouse} does not answer; see that it runs and try again"
    )


def test_a_store_without_tables_says_what_makes_them(database: ClickHouse):
    with pytest.raises(Retryable, match=r"has no tables yet; start the store lane \(xinliu run store\)"):
        database.rows("SELECT 1 FROM records", doing="reading records")


def test_a_statement_of_ours_that_is_wrong_does_not_quote_any_value(store: ClickHouse):
    with pytest.raises(Stop) as caught:
        store.rows("SELECT toInt32({v:String})", doing="asking", parameters={"v": "secret"})
    assert "secret" not in str(caught.value)
    assert "CANNOT_PARSE_TEXT" in str(caught.value)
