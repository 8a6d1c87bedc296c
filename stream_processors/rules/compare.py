"""What would change if another law were in force: drafts, ends and windows of the current records under two laws. Pure.

A law is some rule packs and some packs on publication. Nothing is written, and nothing is told of a body that could not
be the subject of a measure. Non-goals: decisions that stand (a new pack puts nothing in force), and the day on which a
case would be drafted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import polars as pl

from schemas.windows import publication_limits
from schemas.windows_packs import Channel, WindowPack
from stream_processors.match import match
from stream_processors.rules.operators import ANY_OPERATOR
from stream_processors.rules.packs import Packs

_HANDS_ON = 2  # rank: the deciding authority or its superior stands behind it
EXAMPLES_MAX = 5
CHANGES = ("drafted", "ended", "earlier", "later", "begins", "no_longer")
COLUMNS = (
    "record_id", "status", "rank", "subject_key", "subject_id", "category", "item", "grade", "state", "classes",
    "legal_bases", "fine_fen", "confiscated_fen", "amount_fen", "authority_name", "region", "document_number",
    "decided_on", "valid_to", "published_until",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Law:
    """What is compared.

    Attributes:
        name: as it was asked for.
        always: its days are set aside, so that it speaks of every record.
    """

    name: str
    rules: Packs
    publication: tuple[WindowPack, ...]
    channel: Channel = "credit"
    always: bool = False


def _no_counts() -> dict[str, Counter[str]]:
    return {change: Counter() for change in CHANGES}


def _no_examples() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for change in CHANGES:
        found[change] = []
    return found


@dataclass(slots=True)
class Difference:
    """What would change from one law to the other.

    Attributes:
        records: current records that were looked at.
        over: of those whose window ends earlier, how many would be over today.
        counts: by change, by measure (drafted, ended) or category (windows).
        examples: by change, a few; of a case its rule and why, of a window both ends.
    """

    records: int = 0
    over: int = 0
    counts: dict[str, Counter[str]] = field(default_factory=_no_counts)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=_no_examples)


def add(
    found: Difference,
    records: pl.DataFrame,
    before: Law,
    after: Law,
    now_in_force: Sequence[WindowPack],
    today: date,
) -> None:
    """Add a batch of current records.

    Args:
        records: `COLUMNS`, valid records only, each once in all batches.
        now_in_force: packs by which intake set `published_until`; what is stricter than they is the source's own word.
    """
    found.records += records.height
    _cases(found, records, before, after)
    _windows(found, records, before, after, now_in_force, today)


def _cases(found: Difference, records: pl.DataFrame, before: Law, after: Law) -> None:
    about = records["subject_id"].str.contains(ANY_OPERATOR) & (records["rank"] >= _HANDS_ON)
    some = records.filter(about.fill_null(False))
    sides = [
        match(some, law.rules).with_columns(code=pl.col("rule").str.split("/").list.last()) for law in (before, after)
    ]
    for change, here, there in (("drafted", sides[1], sides[0]), ("ended", sides[0], sides[1])):
        only_here = here.join(there, on=["row", "code"], how="anti").sort("row", "code")
        found.counts[change].update(only_here["code"].to_list())
        room = EXAMPLES_MAX - len(found.examples[change])
        for row, rule, why in only_here.select("row", "rule", "why").head(room).iter_rows():
            found.examples[change].append(_record(some, row) | {"rule": rule, "why": why})


def _windows(
    found: Difference,
    records: pl.DataFrame,
    before: Law,
    after: Law,
    now_in_force: Sequence[WindowPack],
    today: date,
) -> None:
    ends = records.select(
        "category",
        said="published_until",
        now=publication_limits(records, now_in_force),
        old=publication_limits(records, before.publication, before.channel),
        new=publication_limits(records, after.publication, after.channel),
    ).with_row_index("row")
    own = pl.when(pl.col("now").is_null() | (pl.col("said") < pl.col("now"))).then("said")
    ends = ends.with_columns(old=pl.min_horizontal("old", own), new=pl.min_horizontal("new", own))
    ends = ends.filter(pl.col("old").ne_missing(pl.col("new")))
    found.over += ends.filter((pl.col("new") < today) & (pl.col("old").is_null() | (pl.col("old") >= today))).height
    changes = {
        "earlier": pl.col("new") < pl.col("old"),
        "later": pl.col("new") > pl.col("old"),
        "begins": pl.col("old").is_null(),
        "no_longer": pl.col("new").is_null(),
    }
    for change, condition in changes.items():
        moved = ends.filter(condition.fill_null(False))
        found.counts[change].update(moved["category"].to_list())
        room = EXAMPLES_MAX - len(found.examples[change])
        for row, old, new in moved.select("row", "old", "new").head(room).iter_rows():
            found.examples[change].append(_record(records, row) | {"from": old, "to": new})


def _record(records: pl.DataFrame, row: int) -> dict[str, Any]:
    names = ("record_id", "subject_id", "category", "document_number", "decided_on", "classes")
    return records.select(names).row(row, named=True)


def always(pack: WindowPack) -> WindowPack:
    """A pack on publication as if it spoke for every day."""
    return replace(pack, from_day=date.min, to_day=None)
