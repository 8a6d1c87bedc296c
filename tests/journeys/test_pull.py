"""Penalties in a PostgreSQL table: pulled, written anew, pulled again, and every row accounted for."""

import csv
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from postgres_server import PostgresServer
from psycopg import sql
from stacks import Stack

from producers.simulate.files import write_files
from schemas import reference
from schemas.errors import EXIT_SOME_NOT_GOOD

DEPARTMENT, MAPPING = "environment", "penalty-2018"


def pull(stack: Stack, source: Path, *more: str) -> dict[str, Any]:
    line = ["pull", str(source), "--department", DEPARTMENT, "--mapping", MAPPING, "--wait", "--json", *more]
    done = stack.adapter(*line)
    assert done.returncode in (0, EXIT_SOME_NOT_GOOD) and done.stdout, done.stderr
    return json.loads(done.stdout)


def load_table(postgres: PostgresServer, file: Path) -> int:
    """The cells of a file as a table of texts; returns its rows."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        header, *rows = list(csv.reader(lines))
    columns = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(name)) for name in header)
    with postgres.connect() as connection:
        connection.execute(sql.SQL("CREATE TABLE penalties ({})").format(columns))
        places = sql.SQL(", ").join([sql.Placeholder()] * len(header))
        connection.cursor().executemany(sql.SQL("INSERT INTO penalties VALUES ({})").format(places), rows)
    return len(rows)


@pytest.mark.nightly
def test_a_table_becomes_records_and_what_is_pulled_again_comes_back_as_repeats(
    running_stack, postgres, tmp_path, monkeypatch
):
    written = write_files(tmp_path, 11, 300, date(2026, 11, 20), reference.load(None))
    file = tmp_path / next(w.file for w in written if (w.department, w.mapping) == (DEPARTMENT, MAPPING))
    rows = load_table(postgres, file)
    source = tmp_path / "penalties.toml"
    source.write_text('[table]\nurl = "env:PENALTIES_DB"\ntable = "penalties"\nwatermark = "xmin"\n', "utf-8")
    monkeypatch.setenv("PENALTIES_DB", postgres.url())

    first = pull(running_stack, source)
    assert (first["rows"], sum(first["outcomes"].values())) == (rows, rows)
    assert first["outcomes"]["new"] > rows // 2
    assert pull(running_stack, source)["rows"] == 0

    with postgres.connect() as connection:
        connection.execute('UPDATE penalties SET "BZ" = "BZ"')  # every row is written anew and says the same
    again = pull(running_stack, source)
    assert (again["rows"], again["rows_so_far"]) == (rows, 2 * rows)
    assert again["outcomes"].get("new", 0) == 0
    assert again["outcomes"]["repeat"] >= first["outcomes"]["new"]
    published = running_stack.publish(file, department=DEPARTMENT, mapping=MAPPING)
    assert published["outcomes"] == again["outcomes"]  # a table says the same as the file with the same rows
    running_stack.verify()
