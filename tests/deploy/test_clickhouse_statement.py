"""What the local ClickHouse finds in a statement before the engine sees it."""

import pytest

from deploy.local.clickhouse.errors import EngineError
from deploy.local.clickhouse.statement import insert_with_rows, parse


@pytest.mark.parametrize(
    ("text", "output_format"),
    [
        ("SELECT 1", None),
        ("SELECT 1 FORMAT JSON", "JSON"),
        ("SELECT 1 format Native;", "Native"),
        ("SELECT 1 FORMAT Native SETTINGS max_threads = 1", "Native"),
        ("SELECT 1 FORMAT Native -- the end", "Native"),
        ("SELECT format FROM t", None),
        ("SELECT format FROM t FORMAT CSV", "CSV"),
        ("SELECT 'FORMAT CSV'", None),
        ("SELECT `FORMAT` FROM (SELECT 1 AS `FORMAT`)", None),
        ("SELECT $a$ FORMAT CSV $a$", None),
        ("SELECT 1 /* FORMAT CSV */", None),
        ("SELECT formatRow('CSV', 1)", None),
    ],
)
def test_the_format_that_a_query_names(text, output_format):
    assert parse(text.encode()).output_format == output_format


@pytest.mark.parametrize(
    ("text", "only_reads", "returns_rows"),
    [
        ("SELECT 1", True, True),
        ("  -- why\n select 1", True, True),
        ("(SELECT 1) UNION ALL (SELECT 2)", True, True),
        ("WITH 1 AS x SELECT x", True, True),
        ("SHOW TABLES", True, False),
        ("DROP TABLE t", False, False),
        ("SET max_threads = 1", False, False),
        ("INSERT INTO t SELECT 1", False, False),
        ("OPTIMIZE TABLE t", False, False),
    ],
)
def test_what_a_statement_does_is_told_by_its_verb(text, only_reads, returns_rows):
    statement = parse(text.encode())
    assert (statement.only_reads, statement.returns_rows) == (only_reads, returns_rows)


@pytest.mark.parametrize(
    ("head", "text", "insert_format", "data"),
    [
        (b"INSERT INTO t FORMAT CSV\n1\n", b"INSERT INTO t ", "CSV", b"1\n"),
        (b"INSERT INTO t FORMAT Native\n\x00\xff'", b"INSERT INTO t ", "Native", b"\x00\xff'"),
        (b"insert into `FORMAT x` (a, `format`) format CSV 1", b"insert into `FORMAT x` (a, `format`) ", "CSV", b"1"),
        (
            b"INSERT INTO t SETTINGS async_insert = 0 FORMAT TSV\r\n\n",
            b"INSERT INTO t SETTINGS async_insert = 0 ",
            "TSV",
            b"\n",
        ),
        (b"/* a */ INSERT INTO t FORMAT CSV", b"/* a */ INSERT INTO t ", "CSV", b""),
    ],
)
def test_an_insert_is_parted_from_its_rows(head, text, insert_format, data):
    statement = insert_with_rows(head)
    assert statement is not None
    assert (statement.text, statement.insert_format, statement.data) == (text, insert_format, data)


@pytest.mark.parametrize(
    "head",
    [
        b"INSERT INTO t VALUES (1, 'FORMAT CSV')",
        b"INSERT INTO t FORMAT Values (1)",
        b"INSERT INTO t SELECT * FROM u FORMAT CSV",
        b"INSERT INTO t (a",
        b"INSERT INTO t FORMAT",
        b"SELECT 1 FORMAT CSV",
        b"",
    ],
)
def test_no_rows_are_seen_where_none_follow(head):
    assert insert_with_rows(head) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELECT 1; SELECT 2", 62),
        ("SELECT 1;; DROP TABLE t", 62),
        ("SELECT 1 INTO OUTFILE 'x'", 48),
        ("SELECT 1 INTO /* */ OUTFILE 'x'", 48),
        ("INSERT INTO t FROM INFILE 'x' FORMAT CSV", 48),
    ],
)
def test_what_a_server_would_not_do_is_refused(text, code):
    with pytest.raises(EngineError) as raised:
        parse(text.encode())
    assert raised.value.code == code


@pytest.mark.parametrize("text", ["SELECT ';'", "SELECT 1;", "SELECT 1 ; -- and ; no more", "SELECT 'it\\'s; here'"])
def test_one_statement_is_not_taken_for_two(text):
    assert parse(text.encode()).text == text.encode()
