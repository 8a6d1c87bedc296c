"""Shows results to people: tables on stdout, progress on stderr. Non-goal: judging a row."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from producers.receipts import Result
from producers.redrive import Redriven
from schemas.reasons import OUTCOME_SENTENCES

_ROWS_SHOWN = 8
SENTENCES: dict[str, str] = {
    **OUTCOME_SENTENCES,
    "waiting": "has no receipt yet; ask with xinliu-adapter receipts SUBMISSION",
}

_SNAPSHOT_SENTENCES = {
    "stood": "stood in the last list and were not closed",
    "listed": "stand in this list and are not closed",
    "new": "stand in this list and did not in the last",
    "withdrawn": "stood in the last list and are absent from this one",
    "reinstated": "had been withdrawn or closed and stand here again",
    "kept_in_doubt": "absent, but a row that can not be read may be about them; not withdrawn",
    "kept_by_other_lists": "absent, but another list of the department still holds them; not withdrawn",
}
_WITHDRAWN_SENTENCES = {
    "superseding": "are closed now",
    "repeat": "were withdrawn before",
    "stale": "something newer than this list is on record; not closed",
    "conflicting": "another authority holds the record; not closed",
    "new": "were not on record; the withdrawal waits for a report",
}


def _console() -> Console:
    # A pipe has no width: rich would wrap at 80 columns, and a reader of the pipe would find words cut in two.
    console = Console()
    return console if console.is_terminal else Console(width=200)


def outcomes_table(title: str, counts: Mapping[str, int], sentences: Mapping[str, str]) -> None:
    """Rows for each outcome, with what it means, and their sum."""
    table = Table(title=title, title_justify="left", show_footer=True)
    table.add_column("outcome", footer="rows")
    table.add_column("rows", justify="right", footer=f"{sum(counts.values()):,}")
    table.add_column("meaning")
    for outcome, count in counts.items():
        table.add_row(outcome, f"{count:,}", sentences.get(outcome, ""))
    _console().print(table)


def rejects_table(rejects: Sequence[Mapping[str, Any]]) -> None:
    """Reasons with what to do next, how many rows each, and the first row numbers. Entries: row, reason, message."""
    if not rejects:
        return
    table = Table(title="not recorded", title_justify="left")
    table.add_column("reason", no_wrap=True)
    table.add_column("rows", justify="right")
    table.add_column("what it means; what to do")
    table.add_column("row numbers")
    groups: dict[tuple[str, str], list[int]] = {}
    for reject in rejects:
        groups.setdefault((reject["reason"], reject["message"]), []).append(reject["row"])
    for (reason, message), rows in sorted(groups.items(), key=lambda group: -len(group[1])):
        table.add_row(reason, f"{len(rows):,}", message, row_numbers(rows))
    _console().print(table)


def row_numbers(rows: Sequence[int]) -> str:
    """The first row numbers, and how many more there are."""
    more = len(rows) - _ROWS_SHOWN
    return ", ".join(map(str, rows[:_ROWS_SHOWN])) + (f" and {more:,} more" if more > 0 else "")


def result(one: Result) -> None:
    """One submission as tables."""
    answer = one.as_json()
    outcomes_table(f"submission {one.submission}", with_waiting(answer), SENTENCES)
    rejects_table(answer["rejects"])
    if one.snapshot is not None:
        snapshot_table(one.snapshot, one.withdrawn)


def snapshot_table(counts: Mapping[str, int], withdrawn: Mapping[str, int]) -> None:
    """How a full list differs from the last one, in records, and what became of the withdrawals."""
    table = Table(title="full list", title_justify="left")
    table.add_column("compared with the last list")
    table.add_column("records", justify="right")
    table.add_column("meaning")
    for name, count in counts.items():
        table.add_row(name.replace("_", " "), f"{count:,}", _SNAPSHOT_SENTENCES.get(name, ""))
    for outcome, count in withdrawn.items():
        table.add_row(f"withdrawn: {outcome}", f"{count:,}", _WITHDRAWN_SENTENCES.get(outcome, SENTENCES[outcome]))
    _console().print(table)


def with_waiting(answer: Mapping[str, Any]) -> dict[str, int]:
    """Outcomes of an answer for machines, and what still waits."""
    waiting = answer.get("waiting", 0)
    return {**answer["outcomes"], **({"waiting": waiting} if waiting else {})}


def rows_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table."""
    table = Table(*columns)
    for row in rows:
        table.add_row(*row)
    _console().print(table)


@contextmanager
def bars() -> Iterator[Bars]:
    """Progress bars on stderr, and none where stderr is not a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        yield shown


def redriven(found: Redriven, applied: bool) -> None:
    """Rows that were set aside, and what the mended mapping makes of them."""
    title = f"{found.submission}: {found.rows:,} rows were set aside by {found.mapping_before}; by {found.mapping}"
    sentences = {**OUTCOME_SENTENCES, "good": "would be recorded"}
    outcomes_table(title, +found.outcomes, sentences)
    reasons = [[reason, detail, f"{rows:,}"] for (reason, detail), rows in found.reasons.most_common()]
    if reasons:
        rows_table(("reason", "detail", "rows"), reasons)
    if not applied:
        if found.rows:
            _console().print("Nothing was sent. Next: the same command with --apply.", highlight=False)
    elif found.result is not None:
        outcomes_table("sent again", with_waiting(found.result.as_json()), SENTENCES)
