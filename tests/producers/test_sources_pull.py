"""A pull from its source to a real broker: once each, whatever happens on the way, and what is kept on the disk."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from publishing import PERSON, Department, answering, code, register_department
from pulling import Answer, company, feed, insert, item, mapping, now, page, sqlite_table

from producers.__main__ import answer
from producers.readers import Chunk
from producers.sources import pull as pull_module
from producers.sources import source_file
from producers.sources.pull import Pulled, PullOrder, pull
from producers.sources.seen import Seen
from producers.sources.spool import SpooledMapping, pack
from producers.sources.state import states
from schemas.errors import EXIT_INPUT, InputError, Retryable

BY_TIME = 'table = "companies"\nkey = ["id"]\nwatermark = "updated_at"\noverlap_seconds = 60'


@pytest.fixture
def department(broker, settings_for, tmp_path, monkeypatch) -> Department:
    """Registered, and the environment is that of its clerk."""
    made = register_department(broker, settings_for, tmp_path)
    monkeypatch.setenv("XINLIU_HOME", str(made.settings.home))
    monkeypatch.setenv("XINLIU_BOOTSTRAP_SERVERS", made.settings.kafka)
    monkeypatch.setenv("XINLIU_REFERENCE", str(made.settings.reference_dir))
    monkeypatch.setenv("COLUMNS", "200")
    return made


@pytest.fixture
def companies(tmp_path: Path) -> Iterator[object]:
    """A table of organisations in a file."""
    with sqlite_table(tmp_path / "a.db") as connection:
        yield connection


def table_file(tmp_path: Path, body: str = BY_TIME) -> Path:
    path = tmp_path / "companies.toml"
    path.write_text(f'[table]\nurl = "sqlite:///{tmp_path}/a.db"\n{body}\n', "utf-8")
    return path


def pull_once(department: Department, path: Path, **options: object) -> Pulled:
    source = source_file.load(path, os.environ)
    order = PullOrder(source, department.name, mapping(), **options)  # type: ignore[arg-type]
    return pull(department.settings, order, now, sleep=lambda seconds: None)


def sent_names(department: Department) -> Counter[str]:
    """How often each organisation was sent."""
    return Counter(department.events()["subject_name"].to_list())


def names(*numbers: int) -> Counter[str]:
    return Counter(f"演示{n}有限公司" for n in numbers)


def files(department: Department) -> list[Path]:
    return [path for path in (department.settings.home / "adapter").rglob("*") if path.is_file()]


# -- what is sent -------------------------------------------------------------------------------------------------


def test_a_pull_sends_what_is_new_and_only_that(department, companies, tmp_path):
    path = table_file(tmp_path)
    insert(companies, [company(n, f"2026-04-01 00:0{n}:00") for n in range(3)])
    first = pull_once(department, path)
    assert (first.rows_read, first.rows_sent, first.state.watermark) == (3, 3, "2026-04-01 00:02:00")
    again = pull_once(department, path)
    assert (again.rows_read, again.rows_sent, again.entry) == (2, 0, None)
    insert(companies, [company(3, "2026-04-01 00:03:00")])
    assert pull_once(department, path).rows_sent == 1
    assert sent_names(department) == names(0, 1, 2, 3)
    assert department.events()["source_row"].to_list().count(1) == 2  # rows are numbered within a pull
    (state,) = states(department.settings.home)
    assert (state.rows, state.pulls, state.pending) == (4, 2, None)


def test_rows_that_were_committed_late_are_sent_and_those_met_before_are_not(department, companies, tmp_path):
    path = table_file(tmp_path)
    insert(companies, [company(n, f"2026-04-01 00:0{n}:00") for n in (1, 2, 3)])
    pull_once(department, path)
    insert(companies, [company(9, "2026-04-01 00:02:30")])
    pull_once(department, path)
    companies.execute("UPDATE companies SET 企业名称 = '改名有限公司' WHERE id = 3")  # without a new watermark
    pull_once(department, path)
    assert sent_names(department) == names(1, 2, 3, 9) + Counter(["改名有限公司"])


def test_rows_without_a_watermark_are_sent_once_as_they_are(department, companies, tmp_path):
    path = table_file(tmp_path)
    insert(companies, [company(1, "2026-04-01 00:01:00"), company(2, None)])
    assert pull_once(department, path).rows_sent == 2
    assert pull_once(department, path).rows_sent == 0
    companies.execute("UPDATE companies SET 企业名称 = '改名有限公司' WHERE id = 2")
    assert pull_once(department, path).rows_sent == 1
    assert pull_once(department, path).rows_sent == 0


def test_without_a_watermark_rows_of_the_last_full_read_are_left_out(department, companies, tmp_path):
    path = table_file(tmp_path, 'table = "companies"\nkey = ["id"]')
    insert(companies, [company(n, None) for n in range(5)])
    assert pull_once(department, path).rows_sent == 5
    companies.execute("DELETE FROM companies WHERE id = 0")
    insert(companies, [company(7, None)])
    assert pull_once(department, path).rows_sent == 1
    insert(companies, [company(0, None)])  # it was away in between
    assert pull_once(department, path).rows_sent == 1
    assert sent_names(department) == names(0, 0, 1, 2, 3, 4, 7)


def test_from_the_start_everything_is_sent_again(department, companies, tmp_path):
    path = table_file(tmp_path)
    insert(companies, [company(n, "2026-04-01 00:00:00") for n in range(3)])
    pull_once(department, path)
    assert pull_once(department, path, from_start=True).rows_sent == 3


def test_a_watermark_is_not_used_for_another_table(department, companies, tmp_path):
    insert(companies, [company(1, "2026-04-01 00:00:00")])
    pull_once(department, table_file(tmp_path))
    companies.execute("CREATE TABLE others AS SELECT * FROM companies")
    other = table_file(tmp_path, BY_TIME.replace('"companies"', '"others"'))
    with pytest.raises(InputError, match="give the source another name, or pull with --from-start"):
        pull_once(department, other)
    assert pull_once(department, other, from_start=True).rows_sent == 1


def test_postgresql_is_pulled_by_transactions(department, postgres, tmp_path, monkeypatch):
    monkeypatch.setenv("DB", postgres.url())
    path = tmp_path / "pg.toml"
    path.write_text('[table]\nurl = "env:DB"\ntable = "pulled"\nwatermark = "xmin"\n', "utf-8")
    with postgres.connect() as connection:
        connection.execute(
            'CREATE TABLE pulled (id int, "企业名称" text, "统一社会信用代码" text, "注册日期" date, '
            '"法定代表人" text, updated_at text)'
        )
        insert(connection, [company(n, None) for n in range(50)], "pulled", "%s")
        assert pull_once(department, path).rows_sent == 50
        connection.execute("UPDATE pulled SET updated_at = 'x' WHERE id < 2")
        assert pull_once(department, path).rows_sent == 2
        assert pull_once(department, path).rows_read == 0


# -- what is kept -------------------------------------------------------------------------------------------------


def test_nothing_about_a_person_is_kept_or_sent(department, companies, tmp_path):
    person = (2, "赵甲", PERSON, "2001-02-03", f"赵甲 {PERSON}", "2026-04-01 00:00:00")
    insert(companies, [company(1, "2026-04-01 00:00:00"), person])
    at_work: list[bytes] = []

    def begun(submission: str, events: int) -> None:
        at_work.extend(path.read_bytes() for path in files(department))

    order = PullOrder(source_file.load(table_file(tmp_path), {}), department.name, mapping())
    progress = pull_module.PullProgress(publishing=pull_module.Progress(begun=begun))
    pulled = pull(department.settings, order, now, progress)
    assert pulled.sent.select("row", "reason").rows() == [(1, ""), (2, "personal_number")]
    assert pull_once(department, table_file(tmp_path)).rows_sent == 0  # the refused row is known as well
    contents = [*at_work, *(path.read_bytes() for path in files(department))]
    assert len(at_work) >= 3
    for content in contents:
        unpacked = _unpacked(content)
        assert PERSON.encode() not in unpacked
        assert "赵甲".encode() not in unpacked


def _unpacked(content: bytes) -> bytes:
    """The bytes of a file, of a spool file the events in it as well."""
    import base64
    import gzip

    if not content.startswith(b"\x1f\x8b"):
        return content
    lines = gzip.decompress(content)
    events = [json.loads(line)["events"].split(",") for line in lines.splitlines()]
    return lines + b"".join(base64.b64decode(event) for row in events for event in row)


def test_people_s_numbers_are_no_watermark(department, tmp_path):
    with sqlite_table(tmp_path / "a.db", "INTEGER") as connection:
        insert(connection, [company(1, int(PERSON))])
    with pytest.raises(InputError, match="the watermark column holds personal numbers"):
        pull_once(department, table_file(tmp_path))
    assert not any(PERSON.encode() in _unpacked(path.read_bytes()) for path in files(department))


def test_what_the_spool_gives_back_is_what_was_mapped(tmp_path):
    import polars as pl

    cells = pl.DataFrame(
        {
            "企业名称": ["甲有限公司", "赵甲", "", "乙有限公司"],
            "统一社会信用代码": [code(1), PERSON, "", code(2)],
            "注册日期": ["2001-02-03", "", "x", "9999-99-99"],
        }
    )
    rows = pl.Series("row", [1, 2, 3, 4], dtype=pl.Int32)
    mapped = mapping().apply(Chunk(cells, rows, None))
    again = SpooledMapping(mapping().rules, mapping().tables).apply(Chunk(pack(rows, mapped), rows, None))
    assert again.events.equals(mapped.events)
    assert again.refused.equals(mapped.refused.with_columns(pl.col("detail").fill_null("")))


def test_a_set_of_hashes_knows_what_is_in_it():
    import numpy as np

    hashes = np.array([[5, 1], [5, 2], [5, 2], [7, 1], [0, 0]], np.uint64)
    seen = Seen(hashes)
    assert len(seen) == 4
    asked = np.array([[5, 2], [5, 3], [7, 1], [8, 0], [0, 0], [0, 1]], np.uint64)
    assert seen.has(asked).tolist() == [True, False, True, False, True, False]
    assert not Seen(np.zeros((0, 2), np.uint64)).has(asked).any()


# -- what breaks on the way ---------------------------------------------------------------------------------------


def test_nothing_is_sent_of_a_feed_that_breaks_on_its_last_page(department, tmp_path):
    broken = True

    def pages(asked: dict[str, str], before: int) -> Answer:
        number = int(asked["p"])
        if number == 3 and broken:
            return Answer(b"", 500)
        return page([item(number)] if number < 5 else [])

    with feed(pages) as service:
        path = tmp_path / "feed.toml"
        paging = 'attempts = 2\npaging = { kind = "page", parameter = "p" }'
        path.write_text(f'[feed]\nurl = "{service.url}"\nwatermark = "updated_at"\n{paging}', "utf-8")
        with pytest.raises(Retryable, match="it answered 500, 2 times"):
            pull_once(department, path)
        assert department.events().height == 0
        assert not list((department.settings.home / "adapter" / "spool").iterdir())
        broken = False
        assert pull_once(department, path).rows_sent == 4
        assert pull_once(department, path).rows_sent == 0
    assert sent_names(department) == names(1, 2, 3, 4)


POINTS = ["read", "part", "spooled", "begun", "half", "sent", "acknowledged"]
EVERY_RUN = ("half", "sent")
_KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[4])
from producers import publisher
from producers.sources import pull, spool, state
point = sys.argv[1]
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def after(owner, name, number=1):
    real, calls = getattr(owner, name), []
    def wrapped(*arguments, **named):
        result = real(*arguments, **named)
        calls.append(1)
        if len(calls) == number:
            die()
        return result
    setattr(owner, name, wrapped)
def before(owner, name):
    setattr(owner, name, die)
{
    "read": lambda: after(pull._Read, "_copy"),
    "part": lambda: after(spool.SpoolWriter, "add"),
    "spooled": lambda: after(spool.SpoolWriter, "finish"),
    "begun": lambda: after(state.Shelf, "save"),
    "half": lambda: after(publisher._Run, "_send_chunk"),
    "sent": lambda: after(pull, "publish"),
    "acknowledged": lambda: after(state.Shelf, "save", 2),
}[point]()
from producers.__main__ import answer
sys.exit(answer(["pull", sys.argv[2], "--department", sys.argv[3], "--mapping", "registration-cn"]))
"""


@pytest.mark.parametrize(
    "points", [EVERY_RUN, pytest.param(POINTS, marks=pytest.mark.nightly)], ids=["every run", "all"]
)
def test_killed_at_any_point_the_same_command_sends_each_row_once(department, companies, tmp_path, points):
    path = table_file(tmp_path)
    sent = 0
    for number, point in enumerate(points):
        numbers = range(100 * number, 100 * number + 40)
        insert(companies, [company(n, f"2026-04-0{number + 1} 00:00:00") for n in numbers])
        sent += 40
        command = [sys.executable, "-c", _KILLED, point, str(path), department.name, str(Path.cwd())]
        killed = subprocess.run(command, capture_output=True, text=True, check=False)
        assert killed.returncode == -signal.SIGKILL, (point, killed.stderr)
        done = pull_once(department, path)
        assert done.rows_sent == (0 if point == "acknowledged" else 40), point
        assert set(sent_names(department).values()) == {1}, point
        assert len(sent_names(department)) == sent, point
        assert not list((department.settings.home / "adapter" / "spool").iterdir()), point


def test_a_read_that_the_mapping_can_not_use_is_read_again_after_it_was_mended(department, companies, tmp_path):
    path = table_file(tmp_path)
    bad = "91370102XXXX00000X"
    insert(companies, [(n, f"演示{n}有限公司", bad, "2001-02-03", "", "2026-04-01 00:00:00") for n in range(90)])
    with pytest.raises(InputError, match="publishing companies: "):
        pull_once(department, path)
    assert department.events().height == 0
    (state,) = states(department.settings.home) or [None]
    assert state is None or state.pending is None
    companies.execute("DELETE FROM companies")
    insert(companies, [company(1, "2026-04-01 00:00:00")])
    assert pull_once(department, path).rows_sent == 1


def test_two_pulls_of_one_source_at_a_time_are_refused(department, companies, tmp_path):
    insert(companies, [company(1, "2026-04-01 00:00:00")])
    path = table_file(tmp_path)
    said: list[str] = []

    def begun(submission: str, events: int) -> None:
        with pytest.raises(InputError) as error:
            pull_once(department, path)
        said.append(str(error.value))

    order = PullOrder(source_file.load(path, {}), department.name, mapping())
    pull(department.settings, order, now, pull_module.PullProgress(publishing=pull_module.Progress(begun=begun)))
    assert "another process is pulling this source now" in said[0]


# -- the command --------------------------------------------------------------------------------------------------


def test_the_command_waits_for_outcomes_and_says_how_far_it_is(department, companies, tmp_path, capsys):
    path = table_file(tmp_path)
    insert(companies, [company(n, "2026-04-01 00:00:00") for n in range(3)])
    options = ["--department", department.name, "--mapping", "registration-cn"]
    with answering(department, leave_out=-1):  # the rows of a pull are counted from 1
        assert answer(["pull", str(path), *options, "--wait", "--once", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["rows"], said["rows_so_far"], said["watermark"]) == (3, 3, "2026-04-01 00:00:00")
    assert sum(said["outcomes"].values()) == 3
    assert answer(["pull", str(path), *options]) == 0
    assert "nothing new, 3 rows were met before; watermark 2026-04-01 00:00:00" in capsys.readouterr().out
    assert answer(["pull", "--status", "--json"]) == 0
    (status,) = json.loads(capsys.readouterr().out)
    assert (status["source"], status["rows"], status["pending_rows"]) == ("companies", 3, 0)
    assert answer(["pull", str(path), "--status"]) == 0
    assert "companies" in capsys.readouterr().out


def test_a_pull_without_its_options_says_which_are_missing(capsys):
    assert answer(["pull"]) == EXIT_INPUT
    assert "say SOURCE.toml and --department and --mapping" in capsys.readouterr().err


def test_a_source_that_says_every_seconds_is_pulled_again_and_again(department, companies, tmp_path, capsys):
    from producers.sources.command import Wanted, pull_source

    path = table_file(tmp_path)
    path.write_text("every_seconds = 30\n" + path.read_text("utf-8"), "utf-8")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        insert(companies, [company(len(slept), f"2026-04-0{len(slept)} 00:00:00")])
        if len(slept) == 3:
            raise KeyboardInterrupt

    wanted = Wanted(path, department.name, "registration-cn", False, False, False, False, 60.0, 1.0, False, True)
    with pytest.raises(KeyboardInterrupt):
        pull_source(department.settings, wanted, {}, now, sleep)
    assert slept == [30, 30, 30]
    assert sent_names(department) == names(1, 2)
