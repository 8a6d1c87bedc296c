"""Authorities that the table does not know are listed for the operator, those on most records first."""

import json
from collections.abc import Callable, Iterator

import pytest
from store_builders import closed, messages, record

from schemas.avro import CREDIT_RECORD
from schemas.reference import load
from schemas.settings import Settings
from schemas.topics import HISTORY, RECORDS
from stream_processors.authorities import show, unknown_authorities
from stream_processors.clickhouse import ClickHouse, connect
from stream_processors.rows import rows_of
from stream_processors.store import prepare


@pytest.fixture(scope="module")
def settings(clickhouse, settings_for: Callable[..., Settings], tmp_path_factory) -> Settings:
    return settings_for(
        tmp_path_factory.mktemp("authorities"), clickhouse=clickhouse, clickhouse_database="authorities"
    )


@pytest.fixture(scope="module")
def store(settings: Settings) -> Iterator[ClickHouse]:
    store = connect(settings)
    prepare(store, load())
    rows = [
        record(record_id="1" * 32),
        record(record_id="2" * 32, authority_code="", authority_name="演示省市场监督管理局直属局"),
        record(record_id="3" * 32, authority_code="", authority_name="演示省市场监督管理局直属局", department="tax"),
        record(record_id="4" * 32, authority_code="11379900XXXX99999X", authority_name="某某局"),
        closed(record_id="5" * 32, authority_code="", status="annulled"),
    ]
    for offset, row in enumerate(rows):
        for topic in (HISTORY, RECORDS):
            for table, found in rows_of(messages(CREDIT_RECORD, [row], topic=topic, offset=offset)).tables.items():
                store.insert(table, found)
    yield store
    store.command("DROP DATABASE authorities", doing="clearing up")
    store.close()


def test_unknown_authorities_are_listed_with_who_reported_them_and_what_they_resemble(store: ClickHouse):
    found = unknown_authorities(store, load())
    assert [(one.name, one.code, one.departments, one.records) for one in found] == [
        ("演示省市场监督管理局直属局", "", ("market", "tax"), 2),
        ("某某局", "11379900XXXX99999X", ("market",), 1),
    ]
    assert [one.resembles for one in found] == ["演示省市场监督管理局", ""]


def test_the_command_says_them_as_a_table_and_as_json(store: ClickHouse, settings: Settings, capsys):
    assert show(settings, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert [one["records"] for one in said["authorities"]] == [2, 1]
    assert show(settings, as_json=False) == 0
    assert "某某局" in capsys.readouterr().out
