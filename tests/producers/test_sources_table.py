"""Tables and views as rows of text, from two kinds of database: what is read, how far, and what is said when not."""

import itertools
import sqlite3
from pathlib import Path

import psycopg
import pytest
from postgres_server import PostgresServer
from pulling import NOW, Taken, company, insert, mapping, sqlite_table

from producers.mapping import Mapping
from producers.sources import source_file
from producers.sources.source_file import TableSource
from producers.sources.table import open_table
from schemas.errors import InputError, Retryable, XinliuError

_NUMBERS = itertools.count()


def source(path: Path, body: str, environ: dict[str, str] | None = None) -> TableSource:
    """A source file with this [table], as it is read."""
    path.write_text(f"[table]\n{body}\n", "utf-8")
    reads = source_file.load(path, environ or {}).reads
    assert isinstance(reads, TableSource)
    return reads


def take(reads: TableSource, since: str | None = None, rules: Mapping | None = None) -> Taken:
    with open_table(reads, (rules or mapping()).layout, since, NOW) as reading:
        rows = list(reading.rows())
        assert sum(len(part.chunk.rows) for part in rows) == reading.total_rows
        return Taken(rows, reading.end())


@pytest.fixture
def table(postgres: PostgresServer):
    """A table of organisations under a new name: its name, and a session of its owner."""
    name = f"companies_{next(_NUMBERS)}"
    with postgres.connect() as connection:
        connection.execute(
            f'CREATE TABLE {name} (id int, "企业名称" text, "统一社会信用代码" char(18), "注册日期" date, '
            f'"法定代表人" text, updated_at timestamptz)'
        )
        yield name, connection


def of_postgres(tmp_path: Path, postgres: PostgresServer, body: str) -> TableSource:
    return source(tmp_path / "pg.toml", f'url = "env:DB"\n{body}', {"DB": postgres.url()})


# -- both kinds of database ---------------------------------------------------------------------------------------


def test_only_columns_that_the_mapping_reads_leave_the_database(tmp_path):
    with sqlite_table(tmp_path / "a.db") as connection:
        insert(connection, [company(1, "2026-01-01 00:00:00")])
        read = take(source(tmp_path / "s.toml", f'url = "sqlite:///{tmp_path}/a.db"\ntable = "companies"'))
    assert read.rows[0].chunk.cells.columns == ["企业名称", "统一社会信用代码", "注册日期"]


def test_rows_come_by_watermark_and_key_over_the_borders_of_pages(tmp_path):
    body = 'table = "companies"\nkey = ["id"]\nwatermark = "updated_at"\npage_rows = 2\noverlap_seconds = 0'
    with sqlite_table(tmp_path / "a.db") as connection:
        insert(connection, [company(n, "2026-01-01 00:00:00") for n in (5, 3, 4, 1, 2)])
        insert(connection, [company(0, "2025-12-31 23:59:59")])
        reads = source(tmp_path / "s.toml", f'url = "sqlite:///{tmp_path}/a.db"\n{body}')
        read = take(reads)
        assert read.names == [f"演示{n}有限公司" for n in range(6)]
        assert [len(rows.chunk.rows) for rows in read.rows] == [2, 2, 2]
        assert read.end.watermark == "2026-01-01 00:00:00"
        assert len(take(reads, read.end.watermark).names) == 5  # equal values are read again: more may have come


@pytest.mark.parametrize(
    ("kind", "values", "overlap", "again", "watermark"),
    [
        ("TEXT", ["2026-01-01T00:00:00", "2026-01-01T00:05:00", None], 60, 2, "2026-01-01T00:05:00"),
        ("TEXT", ["2026-01-01 00:00:00.25", "2026-01-01 00:05:00.75", None], 301, 3, "2026-01-01 00:05:00.75"),
        ("TEXT", ["2026-01-01", "2026-01-03", "2026-01-02"], 86_400, 2, "2026-01-03"),
        ("INTEGER", [1, 20, 300], 280, 2, "300"),
        ("REAL", [1.5, 2.5, 3.5], 1, 2, "3.5"),
    ],
)
def test_a_read_begins_an_overlap_before_the_watermark(tmp_path, kind, values, overlap, again, watermark):
    with sqlite_table(tmp_path / "a.db", kind) as connection:
        insert(connection, [company(n, value) for n, value in enumerate(values)])
        body = f'table = "companies"\nwatermark = "updated_at"\noverlap_numbers = {overlap}'
        reads = source(tmp_path / "s.toml", f'url = "sqlite:///{tmp_path}/a.db"\n{body}')
        first = take(reads)
        assert (len(first.names), first.end.watermark) == (3, watermark)
        assert len(take(reads, first.end.watermark).names) == again


def test_a_moment_of_the_future_does_not_become_the_watermark(tmp_path):
    with sqlite_table(tmp_path / "a.db") as connection:
        insert(connection, [company(1, "2026-05-01 11:00:00"), company(2, "2999-01-01 00:00:00")])
        body = f'url = "sqlite:///{tmp_path}/a.db"\ntable = "companies"\nwatermark = "updated_at"'
        read = take(source(tmp_path / "s.toml", body))
    assert len(read.names) == 2
    assert read.end.watermark == "2026-05-01 12:00:00"  # now, in Shanghai


def test_a_view_and_a_query_are_read_like_a_table(tmp_path):
    with sqlite_table(tmp_path / "a.db") as connection:
        insert(connection, [company(n, f"2026-01-0{n} 00:00:00") for n in range(1, 5)])
        connection.execute("CREATE VIEW recent AS SELECT * FROM companies WHERE id > 2")
        url = f'url = "sqlite:///{tmp_path}/a.db"'
        assert len(take(source(tmp_path / "s.toml", f'{url}\nview = "recent"')).names) == 2
        query = "SELECT * FROM companies WHERE updated_at > '2026-01-01 00:00:00' AND '12:30' <> ' :x' -- 100%\\n;"
        assert len(take(source(tmp_path / "s.toml", f'{url}\nquery = "{query}"')).names) == 3


def test_what_sqlite_holds_becomes_exact_text(tmp_path):
    values = [12345678901234567890123, 1, 0.1, b"\x00\xff", None, "文 字"]
    connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    connection.execute('CREATE TABLE t ("统一社会信用代码", "企业名称", n INTEGER)')
    for n, value in enumerate(values):
        connection.execute("INSERT INTO t VALUES ('x', ?, ?)", (str(value) if n == 0 else value, n))
    connection.close()
    read = take(source(tmp_path / "s.toml", f'url = "sqlite:///{tmp_path}/a.db"\ntable = "t"\nkey = ["n"]'))
    assert read.names == ["12345678901234567890123", "1", "0.1", "00ff", "", "文 字"]


# -- PostgreSQL ---------------------------------------------------------------------------------------------------


def test_each_type_of_postgresql_becomes_exact_text(tmp_path, postgres):
    values = {
        "numeric '12345678901234567890.1200'": "12345678901234567890.1200",
        "0.1::float8": "0.1",
        "true": "true",
        "date '2026-01-31'": "2026-01-31",
        "timestamp '2026-01-31 01:02:03.5'": "2026-01-31 01:02:03.5",
        "timestamptz '2026-01-31 01:02:03+00'": "2026-01-31 09:02:03+08",
        "timestamp 'infinity'": "infinity",
        "date '0044-03-15 BC'": "0044-03-15 BC",
        "'\\x00ff'::bytea": "00ff",
        "ARRAY['甲','乙']": "甲;乙",
        "'{\"a\": 1.10}'::json": '{"a": 1.10}',
        "'0b9f1a3e-0000-4000-8000-000000000000'::uuid": "0b9f1a3e-0000-4000-8000-000000000000",
        "'甲'::char(4)": "甲",
        "NULL::text": "",
    }
    for number, (expression, text) in enumerate(values.items()):
        query = f'SELECT \'x\' AS "统一社会信用代码", {expression} AS "企业名称", {number} AS n'
        read = take(of_postgres(tmp_path, postgres, f"query = '''{query}'''"))
        assert read.names == [text], expression


@pytest.mark.parametrize(
    ("expression", "kind"), [("point '(1,2)'", "point"), ("ROW(1, 2)", "record"), ("int4range(1, 2)", "int4range")]
)
def test_a_type_without_plain_text_is_said(tmp_path, postgres, expression, kind):
    query = f'SELECT \'x\' AS "统一社会信用代码", {expression} AS "企业名称"'
    with pytest.raises(InputError, match=f"企业名称 is of the type {kind}, which has no plain text"):
        take(of_postgres(tmp_path, postgres, f"query = '''{query}'''"))


def test_postgresql_is_read_from_the_watermark_on_less_the_overlap(tmp_path, postgres, table):
    name, connection = table
    insert(connection, [company(n, f"2026-01-01 00:0{n}:00.123456+00") for n in range(5)], name, "%s")
    insert(connection, [company(9, None)], name, "%s")
    body = f'table = "public.{name}"\nkey = ["id"]\nwatermark = "updated_at"\noverlap_seconds = 60\npage_rows = 2'
    reads = of_postgres(tmp_path, postgres, body)
    first = take(reads)
    assert first.names == [f"演示{n}有限公司" for n in (0, 1, 2, 3, 4, 9)]
    assert first.end.watermark == "2026-01-01 08:04:00.123456+08"
    assert take(reads, first.end.watermark).names == [f"演示{n}有限公司" for n in (3, 4, 9)]


def test_by_transactions_a_late_commit_is_read_however_late(tmp_path, postgres, table):
    name, connection = table
    reads = of_postgres(tmp_path, postgres, f'table = "{name}"\nwatermark = "xmin"')
    with postgres.connect() as late:
        late.autocommit = False
        insert(late, [company(1, "2026-01-01")], name, "%s")
        insert(connection, [company(2, "2026-02-01")], name, "%s")  # began later, commits first
        first = take(reads)
        assert first.names == []  # the late one may still write beside it
        late.commit()
    second = take(reads, first.end.watermark)
    assert sorted(second.names) == ["演示1有限公司", "演示2有限公司"]
    assert take(reads, second.end.watermark).names == []
    connection.execute(f"UPDATE {name} SET updated_at = now() WHERE id = 2")
    connection.execute(f"VACUUM FREEZE {name}")
    assert take(reads, second.end.watermark).names == ["演示2有限公司"]


def test_a_view_has_no_transactions(tmp_path, postgres, table):
    name, connection = table
    connection.execute(f"CREATE VIEW {name}_view AS SELECT * FROM {name}")
    with pytest.raises(InputError, match="xmin belongs to tables only"):
        take(of_postgres(tmp_path, postgres, f'view = "{name}_view"\nwatermark = "xmin"'))


def test_a_connection_that_is_lost_during_the_read_is_said(tmp_path, postgres, table):
    name, connection = table
    insert(connection, [company(n, "2026-01-01") for n in range(2_000)], name, "%s")
    reads = of_postgres(tmp_path, postgres, f'table = "{name}"\npage_rows = 100')
    with open_table(reads, mapping().layout, None, NOW) as reading, pytest.raises(Retryable) as said:
        for number, _ in enumerate(reading.rows()):
            if number == 3:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                    "AND backend_type = 'client backend'"
                )
    assert "nothing of this read was sent; run the same command again" in str(said.value)
    assert "after 400 rows" in str(said.value)


def test_a_table_can_not_be_dropped_while_it_is_read(tmp_path, postgres, table):
    name, connection = table
    insert(connection, [company(n, "2026-01-01") for n in range(300)], name, "%s")
    reads = of_postgres(tmp_path, postgres, f'table = "{name}"\npage_rows = 100')
    connection.execute("SET lock_timeout = '50ms'")
    rows = 0
    with open_table(reads, mapping().layout, None, NOW) as reading:
        for part in reading.rows():
            with pytest.raises(psycopg.errors.LockNotAvailable):
                connection.execute(f"DROP TABLE {name}")
            rows += len(part.chunk.rows)
    assert rows == 300


def test_a_user_without_rights_is_told_so(tmp_path, postgres, table):
    name, connection = table
    connection.execute(f"CREATE ROLE {name}_reader LOGIN PASSWORD 'geheim123'")
    address = {"DB": postgres.url(user=f"{name}_reader", password="geheim123")}
    reads = source(tmp_path / "s.toml", f'url = "env:DB"\ntable = "{name}"', address)
    with pytest.raises(InputError, match="has no right to read it"):
        take(reads)
    refused = {"DB": postgres.url(user=f"{name}_reader", password="falsch456")}
    with pytest.raises(InputError, match="the user or the password is refused") as said:
        take(source(tmp_path / "s.toml", f'url = "env:DB"\ntable = "{name}"', refused))
    assert "falsch456" not in str(said.value)


def test_text_is_no_watermark_of_postgresql(tmp_path, postgres, table):
    name, _ = table
    with pytest.raises(InputError, match="of the type text, which does not grow"):
        take(of_postgres(tmp_path, postgres, f'table = "{name}"\nwatermark = "企业名称"'))


def test_a_server_that_is_away_is_named_without_its_password(tmp_path):
    reads = source(
        tmp_path / "s.toml", 'url = "env:DB"\ntable = "t"', {"DB": "postgresql://u:geheim@127.0.0.1:1/credit"}
    )
    with pytest.raises(Retryable, match=r"127\.0\.0\.1:1/credit: connection refused") as said:
        take(reads)
    assert "geheim" not in str(said.value) + repr(reads)


# -- what is wrong is one sentence --------------------------------------------------------------------------------

WRONG = [
    ('table = "company"', "no such table or view (did you mean companies?)"),
    ('table = "companies"\nwatermark = "updated"', "watermark names the column updated, which is not there"),
    ('table = "companies"\nkey = ["nr"]', "key names the column nr"),
    ('table = "companies"\nwatermark = "企业名称"', "holds what is neither a date, a moment nor a number"),
    ('query = "SELECT id FROM companies"', "no columns that mapping registration-cn knows"),
    ('query = "SELEC 1"', "the database refuses the statement"),
    ('query = "SELECT * FROM nowhere"', "there is no such table"),
]


@pytest.mark.parametrize(("body", "words"), WRONG)
def test_what_is_wrong_with_a_table_is_said_in_one_sentence(tmp_path, body, words):
    with sqlite_table(tmp_path / "a.db") as connection:
        insert(connection, [company(1, "2026-01-01 00:00:00")])
        with pytest.raises(XinliuError) as said:
            take(source(tmp_path / "s.toml", f'url = "sqlite:///{tmp_path}/a.db"\n{body}'))
    assert words in str(said.value)
    assert "\n" not in str(said.value)


def test_a_database_that_is_no_file_is_not_made(tmp_path):
    reads = source(tmp_path / "s.toml", f'url = "sqlite:///{tmp_path}/none.db"\ntable = "t"')
    with pytest.raises(InputError, match="there is no such file"):
        take(reads)
    assert not (tmp_path / "none.db").exists()


def test_a_driver_that_is_not_installed_is_named(tmp_path):
    reads = source(tmp_path / "s.toml", 'url = "mysql+pymysql://h/d"\ntable = "t"')
    with pytest.raises(InputError, match="its driver pymysql is not installed"):
        take(reads)


WRONG_FILES = [
    ('[table]\nurl = "postgresql://u:p@h/d"\ntable = "t"', 'put the whole address into an environment variable'),
    ('[table]\nurl = "env:NOT_THERE"\ntable = "t"', "environment variable NOT_THERE, which is not set"),
    ('[table]\nurl = "env:DB"\ntable = "t"', "is no address of a database"),
    ('[table]\nurl = "sqlite:///a"\ntable = "t"\nview = "v"', "one of table, view and query"),
    ('[table]\nurl = "sqlite:///a"\ntable = "t"\nwatermrk = "v"', "did you mean watermark?"),
    ('[table]\nurl = "sqlite:///a"\ntable = "t"\nwatermark = "xmin"', "known to PostgreSQL only"),
    ('[table]\nurl = "sqlite:///a"\ntable = "t"\noverlap_seconds = 1', "makes no sense without a watermark"),
    ('[table]\nurl = "sqlite:///a"\ntable = "t"\n[feed]\nurl = "http://h"', "either a [table] or a [feed]"),
    ('[feed]\nurl = "ftp://h"', "must begin with http:// or https://"),
    ('[feed]\nurl = "http://h"\nheaders = { Authorization = "Bearer abc" }', "headers.Authorization is a secret"),
    ('[feed]\nurl = "http://h/rows?size=5&token=abc"', "feed.url holds a secret"),
    ('[feed]\nurl = "http://h"\npaging = { kind = "cursor", parameter = "c" }', "paging.member is missing"),
    ('[feed]\nurl = "http://h"\nsince = "from"', "needs a watermark"),
    ('name = "a/b"\n[feed]\nurl = "http://h"', "must be letters, digits"),
    ("[feed", "this is not TOML"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "words"), WRONG_FILES)
def test_what_is_wrong_with_a_source_file_is_said_in_one_sentence(tmp_path, content, words):
    path = tmp_path / "s.toml"
    path.write_text(content, "utf-8")
    with pytest.raises(InputError) as said:
        source_file.load(path, {"DB": "geheim"})
    assert words in str(said.value)
    assert "geheim" not in str(said.value)


EXAMPLES = sorted((Path(__file__).parent.parent / "cases" / "sources").glob("*.toml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_the_examples_can_be_used_as_they_are(path):
    environ = {"PENALTIES_DB": "postgresql://reader:geheim@db.example/penalties", "HONOURS_TOKEN": "geheim"}
    read = source_file.load(path, environ)
    assert read.name in (path.stem, "honours")
    assert "geheim" not in repr(read)
    with pytest.raises(InputError, match="which is not set"):
        source_file.load(path, {})
