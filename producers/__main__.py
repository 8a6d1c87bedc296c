"""`xinliu-adapter`, a department's command: look at a file, send it, and learn what became of each row.

Non-goals: nothing about credit is decided here; each command calls one function of a module and shows its answer.
"""

import json
import os
import re
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from schemas.errors import EXIT_INPUT, EXIT_RETRY, EXIT_SOME_NOT_GOOD, EXIT_STOP, InputError, XinliuError
from schemas.settings import Settings

# The modules behind the commands are imported by the commands, so that --help answers at once.

app = App(
    name="xinliu-adapter",
    help="Xinliu 信流, the department's side. Begin with: xinliu-adapter mappings, then check FILE, then publish FILE.",
    version_flags=["--version"],
)
simulate_app = App(
    name="simulate", help="Make up input: department files, or events for load. Nothing in it is about a real body."
)
app.command(simulate_app)
mappings_app = App(name="mappings", help="List the mappings, propose one for a new form, run its cases, show its page.")
app.command(mappings_app)

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON value instead of tables.")]
MappingName = Annotated[
    str, Parameter(name="--mapping", help="How to read the file; xinliu-adapter mappings lists them.")
]
Seed = Annotated[int, Parameter(help="The same seed makes the same input.")]
DepartmentName = Annotated[str, Parameter(name="--department", help="Who reports: the name of its topic.")]
Silence = Annotated[
    float, Parameter(name="--timeout", help="Give up after so many seconds without any answer from the platform.")
]
Wait = Annotated[bool, Parameter(negative="", help="Wait until each row has its outcome.")]
Corrects = Annotated[
    bool, Parameter(negative="", help="Rows that differ from what is on record replace it: they are newer.")
]
BadShareMax = Annotated[
    float | None,
    Parameter(
        help="Share of rows that may be set aside; past it nothing is sent. Default: XINLIU_BAD_PERCENT_MAX, 0.2 "
        "where it is not set."
    ),
]
Resume = Annotated[
    bool, Parameter(negative="", help="Somebody has looked into the department's last bad file: send again.")
]


@mappings_app.default
def mappings(*, as_json: AsJson = False) -> int:
    """List the mappings: how files of each form are read. Next: xinliu-adapter check FILE --mapping NAME."""
    from producers import mapping, show

    found = mapping.mappings(_settings())
    if as_json:
        _print_json([mapping_entry(m) for m in found])
    else:
        columns = ("name", "version", "category", "title", "formats")
        show.rows_table(columns, [[str(mapping_entry(m)[column]) for column in columns] for m in found])
    return 0


@mappings_app.command(name="new")
def mappings_new(
    file: Path,
    *,
    name: Annotated[str, Parameter(help="What the mapping is called; default DEPARTMENT-CATEGORY.")] = "",
    category: Annotated[str, Parameter(help="What its rows are; default: what the headers hint at.")] = "",
    department: Annotated[str, Parameter(help="Who reports such files.")] = "",
    out: Annotated[
        Path | None, Parameter(help="Where to write it, NAME.toml; default: the folder XINLIU_MAPPINGS, or here.")
    ] = None,
    rows: Annotated[str, Parameter(help="Where the rows stand in JSON or XML, such as data.list[].parties[].")] = "",
    as_json: AsJson = False,
) -> int:
    """Propose a mapping for a file of a form that has none, by its headers and by what stands below them.

    What is sure is written with a comment that says why, what is not as a question to answer. No value of the file goes
    into it. A first case goes beside it, NAME.cases.toml.

    Exit code 0: it loads as it is; 1: answer a question first; 2: the file can not be read. Next: edit it, then
    xinliu-adapter mappings test NAME, then check FILE.
    """
    from producers.mapping_commands import Wanted, new

    return new(_settings(), Wanted(file, name, category, department, out, rows, as_json))


@mappings_app.command(name="test")
def mappings_test(
    mapping: Annotated[str, Parameter(help="Name of a mapping, or path of its .toml file.")],
    *,
    cases: Annotated[Path | None, Parameter(help="File of cases; default NAME.cases.toml beside the mapping.")] = None,
    as_json: AsJson = False,
) -> int:
    """Run the cases of a mapping: what must become of made-up cells. Exit code 0: all pass, 1: some do not.

    A case says in `cells` what differs from the `row` of its file, and in `event`, `events` or `reason` what must
    become of it. Next: xinliu-adapter check FILE --mapping NAME.
    """
    from producers.mapping_commands import test

    return test(_settings(), mapping, cases, as_json)


@mappings_app.command(name="show")
def mappings_show(
    mapping: Annotated[str, Parameter(help="Name of a mapping, or path of its .toml file.")], *, as_json: AsJson = False
) -> int:
    """Print the page of a mapping: what each column becomes, and what can go wrong. Next: check FILE --mapping NAME."""
    from producers.mapping_commands import show_page

    return show_page(_settings(), mapping, as_json)


@app.command
def check(file: Path, *, mapping: MappingName, department: DepartmentName = "", as_json: AsJson = False) -> int:
    """Say what would become of each row, without any broker: by the very code that the platform runs.

    Exit code 0: all rows are good; 1: some are not; 2: the file can not be read. Next: xinliu-adapter publish.
    """
    from producers import show
    from producers.check import check as check_file
    from producers.mapping_commands import find
    from producers.publisher import require_department
    from schemas import reference
    from schemas.reasons import OUTCOME_SENTENCES

    settings = _settings()
    if department:
        require_department(settings, department)
    checked = check_file(file, find(mapping, settings), department, reference.load(settings.reference_dir))
    if as_json:
        _print_json(
            {
                "rows": checked.rows,
                "outcomes": {name: count for name, count in checked.outcomes.items() if count},
                "reasons": checked.reasons,
                "rejects": checked.rejects,
            }
        )
    else:
        sentences = {**OUTCOME_SENTENCES, "good": "would be recorded"}
        show.outcomes_table(f"{file}: what would become of it", checked.outcomes, sentences)
        show.rejects_table(checked.rejects)
    return 0 if checked.all_good else EXIT_SOME_NOT_GOOD


@app.command
def publish(
    files: list[Path],
    /,
    *,
    department: DepartmentName,
    mapping: MappingName,
    wait: Wait = False,
    corrects: Corrects = False,
    as_of: Annotated[
        date | None, Parameter(help="Day that the rows are of, YYYY-MM-DD: newer rows replace older.")
    ] = None,
    snapshot: Annotated[
        bool, Parameter(negative="", help="The file is a full list: what is absent since the last one is withdrawn.")
    ] = False,
    source: Annotated[
        str, Parameter(help="Name of the full list, where the department has several under one mapping.")
    ] = "",
    shrink_max: Annotated[
        float, Parameter(help="Share of the last list that a full list may withdraw; past it nothing is sent.")
    ] = 0.2,
    first: Annotated[bool, Parameter(negative="", help="This full list is the first: there was no last one.")] = False,
    previous: Annotated[
        Path | None, Parameter(help="File of the last full list, where nothing is known of it here.")
    ] = None,
    bad_share_max: BadShareMax = None,
    resume: Resume = False,
    timeout: Silence = 60.0,
    as_json: AsJson = False,
) -> int:
    """Send files to the department's topic; with --wait, say what became of each row.

    Interrupted? The same command goes on where it stopped, and sends nothing twice. A file that was sent to its end is
    a new submission when it is sent again, and its rows come back as repeats.

    With --snapshot: compared with the last full list of the same department, mapping and source. What stood there and
    is absent is withdrawn once every row is sent; what was withdrawn and stands here again is reinstated. A row that
    can not be read withdraws nothing. The last list is kept under XINLIU_HOME: publish a list from one machine. Where
    nothing of it is kept, the platform's records tell, or --previous.

    Exit code 0: sent, and with --wait no row was set aside (refused rows alone, about persons, do not count: the guard
    is meant to refuse them); 1: with --wait, some rows were set aside; 2: a file can not be used or must not be sent;
    75: the platform does not answer, run the same command again. Next: xinliu-adapter receipts SUBMISSION.
    """
    from producers.breaker import share_of
    from producers.commands import Wanted, publish_files, snapshot_order

    settings = _settings()
    wanted = Wanted(
        files,
        department,
        mapping,
        wait,
        corrects,
        as_of,
        timeout,
        as_json,
        snapshot_order(snapshot, source, shrink_max, first, previous),
        share_of(bad_share_max, settings),
        resume,
    )
    return publish_files(settings, wanted, _now)


@app.command
def pull(
    source: Path | None = None,
    /,
    *,
    department: DepartmentName = "",
    mapping: MappingName = "",
    wait: Wait = False,
    once: Annotated[bool, Parameter(negative="", help="One pull, though the source file says every_seconds.")] = False,
    status: Annotated[bool, Parameter(negative="", help="Say how far each source has been read, and end.")] = False,
    from_start: Annotated[
        bool, Parameter(negative="", help="Forget the watermark and read everything again; it comes back as repeats.")
    ] = False,
    corrects: Corrects = False,
    bad_share_max: BadShareMax = None,
    resume: Resume = False,
    timeout: Silence = 60.0,
    as_json: AsJson = False,
) -> int:
    """Send what is new in a table, a view or a web feed; SOURCE is a TOML file that says where the rows are.

    [table] has url (SQLAlchemy's, or env:NAME), one of table, view, query, and key, watermark, overlap_seconds,
    page_rows; the watermark xmin reads PostgreSQL by transactions. [feed] has url, rows, paging = {kind, parameter,
    member, size}, headers and parameters (env:NAME for secrets), watermark, since, attempts, page_mb_max.
    every_seconds on top pulls again and again.

    Interrupted? The same command goes on where it stopped. Nothing is sent of a read that broke, and the watermark
    moves only when every event is acknowledged. Rows that are deleted in the source are not seen.

    Exit code 0: sent, or nothing new, and with --wait no row was set aside; 1: with --wait, some rows were set aside;
    2: the source can not be used or must not be sent; 75: the source or the platform does not answer, run it again.
    Next: xinliu-adapter receipts SUBMISSION.
    """
    from producers.breaker import share_of
    from producers.sources import command

    if status:
        return command.say_status(_settings(), source, os.environ, as_json)
    path = command.require_options(source, department, mapping)
    settings = _settings()
    wanted = command.Wanted(
        path,
        department,
        mapping,
        wait,
        once,
        from_start,
        corrects,
        timeout,
        share_of(bad_share_max, settings),
        resume,
        as_json,
    )
    return command.pull_source(settings, wanted, os.environ, _now)


@app.command
def receipts(
    submission: str,
    *,
    wait: Wait = False,
    timeout: Silence = 60.0,
    as_json: AsJson = False,
) -> int:
    """Say what became of each row of a submission. Exit code 75: some rows still wait, ask again later."""
    from producers import show
    from producers.journal import Journal
    from producers.kafka import look
    from producers.publisher import note_result
    from producers.receipts import collect, so_far

    settings = _settings()
    journal = Journal(settings.home)
    entry, sent = journal.load(submission)
    look(settings)  # a broker that is away is said at once, not after the time-out
    result = (collect if wait else so_far)(settings, entry, sent, timeout)
    note_result(journal, entry, result)
    if as_json:
        _print_json(result.as_json())
    else:
        show.result(result)
    return EXIT_RETRY if result.waiting or result.withdrawn.get("waiting") else 0


@app.command
def redrive(
    file: Path,
    /,
    *,
    mapping: MappingName,
    submission: Annotated[str, Parameter(help="What it was published as; by default the newest of this file.")] = "",
    apply: Annotated[bool, Parameter(negative="--dry-run", help="Send them; without it only say.")] = False,
    timeout: Silence = 60.0,
    as_json: AsJson = False,
) -> int:
    """After a mapping was mended: read the rows of a published file that are set aside again, and with --apply send
    them, with their submission, row and time of report.

    Exit code 0: all of them are good now; 1: some are not; 2: it is not the file that was published; 75: no answer.
    """
    from producers import show
    from producers.mapping import load
    from producers.redrive import RedriveOrder
    from producers.redrive import redrive as redrive_rows
    from schemas import reference

    settings = _settings()
    order = RedriveOrder(file, load(mapping, settings), submission, apply, timeout)
    found = redrive_rows(settings, reference.load(settings.reference_dir), order)
    if as_json:
        _print_json(found.as_json(apply))
    else:
        show.redriven(found, apply)
    if found.result is not None and found.result.waiting:
        return EXIT_RETRY
    return 0 if found.outcomes["good"] == found.rows else EXIT_SOME_NOT_GOOD


@app.command
def resume(*, department: DepartmentName) -> int:
    """Let a department send again that was stopped because too many rows of its last file were set aside.

    For whoever has looked into that file: its receipts say what is wrong. Next: xinliu-adapter publish FILE.
    """
    from producers.journal import Journal
    from producers.publisher import require_department

    settings = _settings()
    require_department(settings, department)
    journal = Journal(settings.home)
    print(f"{department} was stopped and may send again" if journal.stopped(department) else f"{department} may send")
    journal.resume(department)
    return 0


@simulate_app.command
def files(
    *,
    out: Annotated[Path, Parameter(help="Folder to write to; made where it is missing.")],
    seed: Seed = 1,
    rows: Annotated[int, Parameter(help="Rows of the largest file; the others follow.")] = 2_000,
    today: Annotated[date | None, Parameter(help="Day from which decisions are dated back; default today.")] = None,
    as_json: AsJson = False,
) -> int:
    """Write files of six departments, with the dirt of real ones and rows of persons for the guard.

    manifest.json says how to publish each. Next: xinliu-adapter publish FILE --department D --mapping M --wait.
    """
    from producers import show
    from producers.simulate.files import write_files
    from schemas import reference

    settings = _settings()
    written = write_files(out, seed, rows, today or _now().date(), reference.load(settings.reference_dir))
    if as_json:
        _print_json({"out": str(out), "files": [entry.as_json() for entry in written]})
    else:
        columns = ("file", "department", "mapping", "rows", "corrects")
        show.rows_table(columns, [[str(entry.as_json()[column]) for column in columns] for entry in written])
    return 0


@simulate_app.command
def events(
    *,
    department: DepartmentName,
    rate: Annotated[float | None, Parameter(help="Events per second; without it, full speed.")] = None,
    full_speed: Annotated[bool, Parameter(negative="", help="As fast as the broker takes them.")] = False,
    count: Annotated[int | None, Parameter(help="End after so many events.")] = None,
    seconds: Annotated[float | None, Parameter(help="End after so many seconds.")] = None,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> int:
    """Send made-up events to a department's topic, for load. Next: xinliu status, xinliu verify."""
    from producers.simulate.send import Load, department_stream, send_events

    if (rate is None) != full_speed:
        raise InputError("sending simulated events: say either --rate EVENTS_PER_SECOND or --full-speed")
    if count is None and seconds is None:
        raise InputError("sending simulated events: say when to end, --count N or --seconds S")
    if rate is not None and rate <= 0:
        raise InputError("sending simulated events: --rate must be more than 0 events per second")
    settings = _settings()
    stream = department_stream(settings, department, seed, _now())
    sent = send_events(settings, department, stream, Load(count, seconds, rate), _now)
    per_second = round(sent.events / sent.seconds) if sent.seconds else 0
    if as_json:
        _print_json(
            {
                "submission": sent.submission,
                "events": sent.events,
                "seconds": round(sent.seconds, 3),
                "events_per_second": per_second,
            }
        )
    else:
        print(f"{sent.events:,} events in {sent.seconds:.1f} s, {per_second:,} a second, as {sent.submission}")
    return 0


def mapping_entry(mapping: Any) -> dict[str, Any]:
    """What the list of mappings says of one."""
    return {
        "name": mapping.name,
        "version": mapping.version,
        "category": mapping.category,
        "title": f"{mapping.title_zh} {mapping.title_en}".strip(),
        "formats": ", ".join(mapping.formats),
    }


def _settings() -> Settings:
    return Settings.from_env(os.environ)


def _now() -> datetime:
    return datetime.now(UTC)


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=1))


def _require_no_person(arguments: Sequence[str]) -> None:
    """Raise InputError, which does not repeat it, where a word of the command line may be a personal number.

    A file that is called after one would be named in messages and progress bars, and by whatever logs them.
    """
    from schemas.persons import screen_text

    for place, argument in enumerate(arguments, 1):
        kinds = [screen_text(words) for words in (argument, *re.split(r"[/\\]", argument))]
        kind = next(filter(None, kinds), None)
        if kind is not None:
            raise InputError(
                f"reading the command line: word {place} of it holds what looks like a personal number ({kind}); "
                "rename the file, or leave the number out; nothing was read"
            )


def _say(error: Exception | str) -> None:
    from schemas.persons import words_to_show

    print(words_to_show(str(error)), file=sys.stderr)


def answer(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code. Errors are one sentence on stderr, with no stack trace."""
    try:
        _require_no_person(arguments)
        code = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:  # said by cyclopts already, with the usage
        return EXIT_INPUT
    except XinliuError as error:
        _say(error)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception:  # a fault of ours: the stack trace is for whoever mends it, and may quote what was read
        _say(traceback.format_exc())
        return EXIT_STOP
    return code if isinstance(code, int) else 0


def main() -> None:
    """The console script."""
    sys.exit(answer(sys.argv[1:]))


if __name__ == "__main__":
    main()
