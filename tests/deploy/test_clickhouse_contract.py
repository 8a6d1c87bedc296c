"""What the product asks of ClickHouse, asked of the local one by the same client that talks to a real server."""

import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import clickhouse_connect
import polars as pl
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, StreamFailureError

Connect = Callable[..., Client]


@pytest.fixture
def database(clickhouse) -> Iterator[str]:
    """A database of this test's own."""
    name = f"test_{uuid.uuid4().hex}"
    with clickhouse_connect.get_client(dsn=clickhouse.url) as client:
        client.command(f"CREATE DATABASE {name}")
    yield name
    with clickhouse_connect.get_client(dsn=clickhouse.url) as client:
        client.command(f"DROP DATABASE {name}")


@pytest.fixture
def connect(clickhouse, database) -> Iterator[Connect]:
    """Opens clients that use the test's database."""
    opened: list[Client] = []

    def open_client(**options: object) -> Client:
        client = clickhouse_connect.get_client(dsn=clickhouse.url, database=database, **options)
        opened.append(client)
        return client

    yield open_client
    for client in opened:
        client.close()


@pytest.fixture
def client(connect) -> Client:
    return connect()


def rows(client: Client, query: str, **options: object) -> list[tuple[object, ...]]:
    return [tuple(row) for row in client.query(query, **options).result_rows]


def test_it_says_which_engine_it_is(client):
    assert int(client.server_version.split(".")[0]) >= 26
    assert client.ping()


def test_native_rows_come_back_as_they_were(client):
    client.command(
        "CREATE TABLE t (id UInt64, name Nullable(String), day Date, fine_fen Int64) ENGINE MergeTree ORDER BY id"
    )
    names = ["id", "name", "day", "fine_fen"]
    day = pa.scalar(17000, pa.date32()).as_py()
    sent = [(1, "山东信流有限公司", day, 1_000_00), (2, None, day, -1), (3, "a\tb\nc'\\", day, 2**62)]
    assert client.insert("t", sent, column_names=names).written_rows == 3
    assert rows(client, "SELECT * FROM t ORDER BY id") == sent


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_every_compression_of_the_client_is_understood(connect, compress):
    client = connect(compress=compress)
    client.command("CREATE TABLE t (id UInt64, name String) ENGINE MergeTree ORDER BY id")
    sent = [(number, f"企业{number}") for number in range(50_000)]
    client.insert("t", sent, column_names=["id", "name"])
    assert rows(client, "SELECT * FROM t ORDER BY id") == sent


def test_arrow_goes_in_and_out(client):
    client.command("CREATE TABLE t (id UInt64, name Nullable(String)) ENGINE MergeTree ORDER BY id")
    table = pa.table({"id": pa.array([1, 2, 3], pa.uint64()), "name": pa.array(["甲", None, "乙"])})
    client.insert_arrow("t", table)
    assert client.query_arrow("SELECT * FROM t ORDER BY id", use_strings=True).to_pydict() == table.to_pydict()


@pytest.mark.parametrize("count", [0, 1, 500_000])
def test_a_streamed_arrow_answer_is_the_whole_answer(client, count):
    query = f"SELECT number, toString(number) AS text FROM numbers({count})"
    with client.query_arrow_stream(query) as batches:
        streamed = list(batches)
    whole = client.query_arrow(query)
    assert pl.concat([pl.DataFrame(batch) for batch in streamed] or [pl.DataFrame(whole)]).equals(pl.DataFrame(whole))
    assert whole.num_rows == count


def test_a_streamed_native_answer_is_the_whole_answer(client):
    with client.query_row_block_stream("SELECT number FROM numbers(300000)") as blocks:
        sizes = [len(block) for block in blocks]
    assert sum(sizes) == 300_000
    assert len(sizes) > 1, "it came in one piece"


def test_a_query_right_after_a_stream_finds_its_session_free(client):
    for _ in range(20):
        with client.query_arrow_stream("SELECT number FROM numbers(100000)") as batches:
            assert sum(batch.num_rows for batch in batches) == 100_000
        assert client.command("SELECT 1") == 1


def test_an_error_under_way_is_never_taken_for_the_end(client):
    failing = "SELECT throwIf(number = 400000), number FROM numbers(600000)"
    with pytest.raises(StreamFailureError, match="395"), client.query_row_block_stream(failing) as blocks:
        for _ in blocks:
            pass
    with pytest.raises(Exception, match=r"(?i)broken|premature"), client.query_arrow_stream(failing) as batches:
        for _ in batches:
            pass
    assert client.command("SELECT 1") == 1


def test_bound_parameters_are_values_and_nothing_else(client):
    text = "'; DROP TABLE t; -- \\ \t\n信"
    assert rows(
        client,
        "SELECT {text:String}, {n:UInt8}, {list:Array(String)}",
        parameters={"text": text, "n": 7, "list": ["甲", "乙'"]},
    ) == [(text, 7, ["甲", "乙'"])]
    long = "信" * 100_000  # too long for a URL: the client sends a form
    assert rows(client, "SELECT {text:String}", parameters={"text": long}) == [(long,)]


def test_a_parameterised_view_takes_its_parameter(client):
    client.command("CREATE TABLE t (id UInt64, revision UInt32) ENGINE MergeTree ORDER BY id")
    client.insert("t", [(1, 1), (1, 2), (2, 1)], column_names=["id", "revision"])
    client.command(
        "CREATE VIEW v AS SELECT id, max(t.revision) AS newest FROM t WHERE t.revision <= {most:UInt32} GROUP BY id"
    )
    assert rows(client, "SELECT * FROM v(most = {most:UInt32}) ORDER BY id", parameters={"most": 1}) == [(1, 1), (2, 1)]
    assert rows(client, "SELECT * FROM v(most = 9) ORDER BY id") == [(1, 2), (2, 1)]


def test_the_newest_revision_wins_under_final_and_after_optimize(client):
    client.command(
        "CREATE TABLE t (id UInt64, revision UInt32, name String) ENGINE ReplacingMergeTree(revision) ORDER BY id"
    )
    client.insert("t", [(1, 2, "new"), (2, 1, "only")], column_names=["id", "revision", "name"])
    client.insert("t", [(1, 1, "old")], column_names=["id", "revision", "name"])
    expected = [(1, 2, "new"), (2, 1, "only")]
    assert rows(client, "SELECT * FROM t FINAL ORDER BY id") == expected
    assert rows(client, "SELECT count() FROM t") == [(3,)]
    client.command("OPTIMIZE TABLE t FINAL")
    assert rows(client, "SELECT * FROM t ORDER BY id") == expected


def test_mutations_are_done_when_they_return(client):
    client.command("CREATE TABLE t (id UInt64, name String) ENGINE MergeTree ORDER BY id")
    client.insert("t", [(1, "a"), (2, "b"), (3, "c")], column_names=["id", "name"])
    client.command("ALTER TABLE t UPDATE name = '' WHERE id = 1", settings={"mutations_sync": 1})
    client.command("ALTER TABLE t DELETE WHERE id = 2", settings={"mutations_sync": 1})
    client.command("DELETE FROM t WHERE id = 3")
    assert rows(client, "SELECT * FROM t") == [(1, "")]


def test_a_big_insert_is_one_part_and_all_there(client):
    client.command("CREATE TABLE t (id UInt64, text String) ENGINE MergeTree ORDER BY id")
    count = 1_000_000
    table = pl.select(id=pl.int_range(count, dtype=pl.UInt64)).with_columns(text=pl.col("id").cast(pl.String))
    client.insert_arrow("t", table.to_arrow(compat_level=pl.CompatLevel.oldest()))
    assert rows(client, "SELECT count(), uniqExact(id), sum(id) FROM t") == [(count, count, count * (count - 1) // 2)]
    assert rows(
        client, "SELECT count() FROM system.parts WHERE database = currentDatabase() AND table = 't' AND active"
    ) == [(1,)]


def test_a_failed_insert_leaves_nothing_and_says_why(client):
    client.command("CREATE TABLE t (id UInt64) ENGINE MergeTree ORDER BY id")
    with pytest.raises(DatabaseError) as raised:
        client.raw_insert("t", ["id"], b"1\n2\nthree\n", fmt="TabSeparated")
    assert raised.value.code == 27
    assert rows(client, "SELECT count() FROM t") == [(0,)]


def test_an_insert_token_makes_a_repeated_insert_nothing(client):
    client.command(
        "CREATE TABLE t (id UInt64) ENGINE MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100"
    )
    for _ in range(2):
        client.raw_insert("t", ["id"], b"1\n", fmt="CSV", settings={"insert_deduplication_token": "one"})
    assert rows(client, "SELECT count() FROM t") == [(1,)]


def test_inserts_are_synchronous_unless_asked(client):
    assert rows(client, "SELECT value FROM system.settings WHERE name = 'async_insert'") == [("0",)]


def test_the_engine_s_memory_is_bounded(client):
    limit = "SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'"
    assert client.command(limit) == 2048 << 20


@pytest.mark.parametrize(
    ("statement", "code", "name"),
    [
        ("SELECT nothing", 47, "UNKNOWN_IDENTIFIER"),
        ("SELECT * FROM nowhere", 60, "UNKNOWN_TABLE"),
        ("SELEC 1", 62, "SYNTAX_ERROR"),
        ("SELECT 1; SELECT 2", 62, "SYNTAX_ERROR"),
        ("SELECT 1 INTO OUTFILE '/tmp/never.csv'", 48, "NOT_IMPLEMENTED"),
        ("SELECT 1 FORMAT Nonsense", 73, "UNKNOWN_FORMAT"),
        (
            "SELECT groupArray(number) FROM numbers(10000000) SETTINGS max_memory_usage = 9999999",
            241,
            "MEMORY_LIMIT_EXCEEDED",
        ),
    ],
)
def test_errors_carry_clickhouse_codes(client, statement, code, name):
    with pytest.raises(DatabaseError) as raised:
        client.command(statement)
    assert (raised.value.code, raised.value.name) == (code, name)


def test_an_unknown_database_and_an_unknown_setting_are_errors(clickhouse, client):
    with pytest.raises(DatabaseError, match="81"):
        clickhouse_connect.get_client(dsn=clickhouse.url, database="nowhere").command("SELECT 1")
    assert request(clickhouse.url, {"query": "SELECT 1", "no_such_setting": "1"})[:2] == (404, "115")


def test_a_setting_holds_for_its_request_alone(client):
    setting = "SELECT value FROM system.settings WHERE name = 'max_block_size'"
    before = client.command(setting)
    assert client.command(setting, settings={"max_block_size": 1234}) == 1234
    assert client.command(setting) == before
    client.command("SET max_block_size = 77")  # said as a statement it holds for the session
    assert client.command(setting, settings={"max_block_size": 1234}) == 1234
    assert client.command(setting) == 77


def test_a_session_keeps_its_temporary_table_from_others(connect):
    one, other = connect(session_id=uuid.uuid4().hex), connect(session_id=uuid.uuid4().hex)
    one.command("CREATE TEMPORARY TABLE mine (id UInt64)")
    one.insert("mine", [(1,)], column_names=["id"], database="")
    assert rows(one, "SELECT * FROM mine") == [(1,)]
    with pytest.raises(DatabaseError, match="60"):
        other.query("SELECT * FROM mine")


def test_sessions_are_checked_and_locked(clickhouse):
    session = uuid.uuid4().hex
    assert request(clickhouse.url, {"query": "SELECT 1", "session_id": session, "session_check": "1"})[:2] == (
        404,
        "372",
    )
    assert request(clickhouse.url, {"query": "SELECT 1", "session_id": session, "session_timeout": "99999"})[1] == "374"
    with ThreadPoolExecutor(2) as pool:
        slow = {"query": "SELECT sleep(2.5)", "session_id": session}
        answers = sorted(pool.map(lambda _: request(clickhouse.url, slow)[1] or "", range(2)))
    assert answers == ["", "373"]


def request(url: str, parameters: dict[str, str], body: bytes | None = b"", headers: dict[str, str] | None = None):
    """(status, exception code, body) of a bare HTTP request; GET where there is no body at all."""
    target = f"{url}/?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(
            urllib.request.Request(target, data=body, headers=headers or {}), timeout=30
        ) as reply:
            return reply.status, reply.headers.get("X-ClickHouse-Exception-Code"), reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("X-ClickHouse-Exception-Code"), error.read()


def test_curl_s_way_works(clickhouse, database):
    assert request(clickhouse.url, {}, b"SELECT 1") == (200, None, b"1\n")
    assert request(clickhouse.url, {"query": "SELECT 1 FORMAT JSON"}, None)[2].startswith(b"{")
    assert (
        request(clickhouse.url, {"query": "SELECT '信'", "default_format": "JSONEachRow"}, None)[2]
        == '{"\'信\'":"信"}\n'.encode()
    )
    assert (
        request(clickhouse.url, {"database": database}, b"CREATE TABLE t (id UInt64) ENGINE MergeTree ORDER BY id")[0]
        == 200
    )
    assert request(clickhouse.url, {"database": database, "query": "INSERT INTO t FORMAT CSV"}, b"1\n2\n")[0] == 200
    assert request(clickhouse.url, {"database": database}, b"INSERT INTO t FORMAT CSV\n3\n")[0] == 200
    assert request(clickhouse.url, {"database": database, "query": "INSERT INTO t VALUES"}, b"(4), (5)")[0] == 200
    assert request(clickhouse.url, {"database": database, "query": "SELECT sum(id) FROM t"}, None)[2] == b"15\n"
    assert request(clickhouse.url, {"database": database, "query": "DROP TABLE t"}, None)[:2] == (400, "164")


@pytest.mark.parametrize(
    ("parameters", "body", "headers", "code"),
    [
        (
            {"query": "INSERT INTO FUNCTION null('a UInt8') FORMAT CSV"},
            b"\x1f\x8bjunk",
            {"Content-Encoding": "gzip"},
            "271",
        ),
        ({"query": "INSERT INTO FUNCTION null('a UInt8') FORMAT CSV"}, b"1\n", {"Content-Encoding": "br"}, "48"),
        ({"query": "SELECT 1", "compress": "1"}, b"", {}, "48"),
        ({"query": "INSERT INTO FUNCTION null('a UInt8') FROM INFILE '/etc/hostname' FORMAT CSV"}, b"", {}, "48"),
        ({}, b"", {}, "62"),
    ],
)
def test_what_is_not_here_is_refused(clickhouse, parameters, body, headers, code):
    assert request(clickhouse.url, parameters, body, headers)[1] == code


_WRITER = """
import sys, clickhouse_connect
url, database, writer, batches = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
client = clickhouse_connect.get_client(dsn=url, database=database)
for batch in range(batches):
    client.insert("t", [(writer, batch, n) for n in range(1000)], column_names=["writer", "batch", "n"])
    print(batch, flush=True)
"""


@contextmanager
def writer(url: str, database: str, number: int, batches: int) -> Iterator[subprocess.Popen[str]]:
    """A process that inserts batches of 1,000 rows and prints the number of each that was acknowledged."""
    command = [sys.executable, "-c", _WRITER, url, database, str(number), str(batches)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_several_processes_write_and_read_one_store(clickhouse, database, client):
    client.command("CREATE TABLE t (writer UInt8, batch UInt32, n UInt32) ENGINE MergeTree ORDER BY (writer, batch, n)")
    with ExitStack() as stack:
        writers = [stack.enter_context(writer(clickhouse.url, database, number, 5)) for number in range(3)]
        assert [process.wait(120) for process in writers] == [0, 0, 0]
    assert rows(client, "SELECT writer, uniqExact(batch, n), count() FROM t GROUP BY writer ORDER BY writer") == [
        (number, 5_000, 5_000) for number in range(3)
    ]


def test_acknowledged_inserts_outlive_a_kill(clickhouse, database, client):
    client.command("CREATE TABLE t (writer UInt8, batch UInt32, n UInt32) ENGINE MergeTree ORDER BY (writer, batch, n)")
    with writer(clickhouse.url, database, 0, 100_000) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(25)]
        clickhouse.kill9()
        acknowledged += [int(line) for line in process.stdout]
        assert process.wait(60) != 0, "the writer did not see the server die"
    clickhouse.start()
    found = dict(rows(client, "SELECT batch, count() FROM t GROUP BY batch"))
    assert {batch: found.get(batch, 0) for batch in acknowledged} == dict.fromkeys(acknowledged, 1000)
    # The batch that was under way is there as a whole or not at all.
    assert set(found.values()) == {1000}


def test_a_stop_lets_the_query_under_way_end(clickhouse):
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(request, clickhouse.url, {"query": "SELECT sleep(1.5), 'done'"}, b"")
        with clickhouse_connect.get_client(dsn=clickhouse.url) as client:
            while not client.query(
                "SELECT count() FROM system.processes WHERE query LIKE '%done%' AND query NOT LIKE '%system%'"
            ).first_row[0]:
                pass
        clickhouse.stop()
        try:
            assert answer.result(30) == (200, None, b"0\tdone\n")
            assert clickhouse.process.exit_code == 0
        finally:
            clickhouse.start()


def test_the_log_holds_no_rows_and_no_statements(clickhouse, client):
    with pytest.raises(ClickHouseError):
        client.command("SELECT nothing AS never_in_the_log")
    with pytest.raises(ClickHouseError):
        client.raw_insert("FUNCTION null('id UInt64')", None, b"never_in_the_log\n", fmt="CSV")
    text = clickhouse.log_file.read_text()
    assert "code 47" in text
    assert "never_in_the_log" not in text


def test_the_summary_tells_what_was_written(client):
    client.command("CREATE TABLE t (id UInt64) ENGINE MergeTree ORDER BY id")
    summary = client.raw_insert("t", ["id"], b"1\n2\n3\n", fmt="TabSeparated")
    assert summary.written_rows == 3
    summary = client.command("INSERT INTO t SELECT number FROM numbers(10)")
    assert summary.written_rows == 10
