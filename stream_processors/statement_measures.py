"""The measures of a statement: what is intended, what binds, on what ground, until when, and what can be done about it.

A case that has ended is counted, and nothing else of it is told, like a closed record. Sole traders, public and social
bodies have none: no case is ever drafted about them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

_SHOWN = ("drafted", "noticed", "objected", "reviewed", "decided", "in_force", "suspended")
MEASURES = """
SELECT *
FROM (
    SELECT * FROM measures FINAL
    WHERE subject_key = {key:String} AND recorded_at <= toDateTime64({at:String}, 3, 'Asia/Shanghai')
)
ORDER BY case_id, revision DESC
LIMIT 1 BY case_id
"""


@dataclass(frozen=True, slots=True)
class MeasureEntry:
    """One case as it is shown. Days in Shanghai; empty or None where there is nothing yet.

    Attributes:
        binds: by its dates, on the day of the statement.
        objection_until: last day of the window; provisional where the calendar of a year is not announced.
        objected_on, reviewed_on: the dispute, and the answer to it.
        repair_path: what the subject can do to end it, and when at the earliest.
    """

    case_id: str
    rule: str
    measure: str
    kind: str
    activity: str
    state: str
    binds: bool
    evidence_document: str
    evidence_ids: tuple[str, ...]
    legal_bases: tuple[str, ...]
    authority_code: str
    authority_name: str
    notice_document: str
    notice_channel: str
    noticed_on: date | None
    objection_until: date | None
    provisional: bool
    objected_on: date | None
    reviewed_on: date | None
    decision_document: str
    decided_on: date | None
    in_force_from: date | None
    ends_on: date | None
    repair_path: str


def measures_of(rows: Sequence[Mapping[str, Any]], day: date) -> tuple[tuple[MeasureEntry, ...], Mapping[str, int]]:
    """The cases that are shown, what binds first, and how many have ended for which reason.

    Args:
        rows: the newest transition of each case of the subject.
        day: of the statement, by the calendar of the law.
    """
    entries: list[MeasureEntry] = []
    ended: Counter[str] = Counter()
    for row in rows:
        state, last = row["state"], row["ends_on"]
        if state == "ended":
            ended[_reason(row)] += 1
        elif state in ("in_force", "suspended") and last is not None and last < day:
            ended["expired"] += 1  # its last day has passed, whether the lane has come to say so or not
        elif state in _SHOWN:
            entries.append(_entry(row, day))
    entries.sort(key=lambda entry: (not entry.binds, entry.kind != "restriction", entry.measure, entry.case_id))
    return tuple(entries), dict(sorted(ended.items()))


def _reason(row: Mapping[str, Any]) -> str:
    """Why it ended; where the newest transition is about an act that came too late, it says no more than that."""
    return row["reason"] if row["transition"] == "ended" and row["reason"] else "ended"


def _entry(row: Mapping[str, Any], day: date) -> MeasureEntry:
    same = {name: row[name] for name in MeasureEntry.__slots__ if name in row}
    same |= {name: tuple(row[name]) for name in ("evidence_ids", "legal_bases")}
    first, last = row["in_force_from"], row["ends_on"]
    binds = row["state"] == "in_force" and first is not None and last is not None and first <= day <= last
    return MeasureEntry(**same, binds=binds)
