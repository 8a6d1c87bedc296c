"""What was set aside, seen as an operator sees it: items with their state, and groups of them.

Pure: where the items come from is `quarantine_shelf`'s work, printing is `quarantine_page`'s. An item is a message of
`credit.quarantine`, and its id is its offset there (the topic has one partition). A group is a reason, a department and
a mapping version, written `DEPARTMENT/REASON/MAPPING`; what is left out at its end means all.
"""

import re
from dataclasses import dataclass, replace

import polars as pl

from schemas.errors import InputError
from schemas.reasons import OUTCOMES, REASONS
from schemas.reference import Reference

GOOD_OUTCOMES = tuple(outcome for outcome in OUTCOMES if outcome not in ("quarantined", "refused"))
"""What register answers: an event with one of these is repaired, whatever was said of it before."""

ITEMS = pl.Schema(
    {
        "id": pl.Int64,
        "set_aside_at": pl.Datetime("ms", "UTC"),
        "department": pl.String,
        "source_partition": pl.Int32,
        "source_offset": pl.Int64,
        "submission": pl.String,
        "source_row": pl.Int32,
        "source_part": pl.Int32,
        "event_id": pl.String,
        "mapping": pl.String,
        "category": pl.String,
        "reason": pl.String,
        "detail": pl.String,
        "reported_at": pl.Datetime("ms", "UTC"),
        "state": pl.String,
    }
)
"""One line for each item. `state`: open; repaired (its event has a good outcome by now); again (the same event was set
aside once more, later)."""

_NO_MAPPING = "-"
_NAMES = re.compile(r"^[A-Za-z0-9@._-]{1,80}$")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which items are asked for; None = any."""

    department: str | None = None
    reason: str | None = None
    mapping: str | None = None
    submission: str | None = None
    id: int | None = None

    def keep(self, items: pl.DataFrame) -> pl.DataFrame:
        """Those of `items` that are asked for."""
        for column in ("department", "reason", "mapping", "submission", "id"):
            value = getattr(self, column)
            if value is not None:
                items = items.filter(pl.col(column) == value)
        return items

    def checked(self, reference: Reference) -> "Wanted":
        """The same, once it is known that there can be such items. Raises InputError that repeats nothing odd."""
        if self.department is not None and self.department not in reference.departments:
            raise InputError(
                "looking into quarantine: no such department is registered; registered are "
                f"{', '.join(reference.departments)}"
            )
        known = [name for name, reason in REASONS.items() if reason.outcome == "quarantined"]
        if self.reason is not None and self.reason not in known:
            raise InputError(f"looking into quarantine: no such reason; there are {', '.join(known)}")
        return self


def wanted_of(words: str, wanted: Wanted = Wanted()) -> Wanted:
    """An item's id, or a group as `DEPARTMENT/REASON/MAPPING`, as a person typed it.

    Raises InputError, which does not repeat what was typed.
    """
    if words.isascii() and words.isdigit() and len(words) <= 18:
        return replace(wanted, id=int(words))
    parts = words.split("/")
    if len(parts) > 3 or not all(_NAMES.match(part) for part in parts):
        raise InputError(
            "looking into quarantine: name an item by its number or a group as DEPARTMENT/REASON/MAPPING, as "
            "xinliu quarantine list shows them"
        )
    department, reason, mapping = (*parts, None, None)[:3]
    mapping = "" if mapping == _NO_MAPPING else mapping
    return replace(wanted, department=department, reason=reason, mapping=mapping)


def group_name(department: str, reason: str, mapping: str) -> str:
    """How a group is written."""
    return f"{department}/{reason}/{mapping or _NO_MAPPING}"


def groups(items: pl.DataFrame) -> pl.DataFrame:
    """Items by department, reason and mapping, those with most open items first.

    Columns: group, department, reason, mapping, rows, open, repaired, first_seen, last_seen, example (an open item's id
    where there is one), details (the most frequent kinds of fault, at most five). An event that was set aside more than
    once counts once, where it lies now.
    """
    by = ["department", "reason", "mapping"]
    standing = items.filter(pl.col("state") != "again")
    is_open = pl.col("state") == "open"
    found = standing.group_by(by, maintain_order=True).agg(
        rows=pl.len(),
        open=is_open.sum(),
        repaired=(pl.col("state") == "repaired").sum(),
        first_seen=pl.col("set_aside_at").min(),
        last_seen=pl.col("set_aside_at").max(),
        example=pl.coalesce(pl.col("id").filter(is_open).min(), pl.col("id").min()),
        details=pl.col("detail").filter(pl.col("detail") != "").value_counts(sort=True).head(5).struct.field("detail"),
    )
    names = [group_name(*row) for row in found.select(by).iter_rows()]
    return found.select(pl.Series("group", names, pl.String), pl.all()).sort(
        ["open", "rows", "group"], descending=[True, True, False]
    )
