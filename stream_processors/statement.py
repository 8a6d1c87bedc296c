"""All that is on record about one organisation, now or as of a day: what the organisation itself may ask for.

Only what may be shown: valid records within their publication, with who said it, on what ground, and who disagrees. A
closed record is counted, and nothing of it is told. No score, no ranking, and nothing about other organisations.
Printing is `statement_page`'s work.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

import polars as pl

from schemas.asked import subject_key_asked
from schemas.calendar import LAW_TIME
from schemas.catalogue import catalogue
from schemas.errors import InputError
from schemas.reference import Reference
from schemas.windows import windows
from schemas.windows_packs import WindowPack, load_windows
from stream_processors.clickhouse import ClickHouse
from stream_processors.statement_measures import MEASURES, MeasureEntry, measures_of

_DOING = "reading what is on record about the subject"
_UNRECOGNISED = ("?:", "CN-ANY:")  # as reported; what it was recognised as is the canonical identifier beside it

_CURRENT = "SELECT * FROM current_records WHERE subject_key = {key:String}"
_AS_OF = "SELECT * FROM records_as_of(at = {at:String}) WHERE subject_key = {key:String}"
_CONFLICTS = """
SELECT variant_of AS record_id, department, content_order, effective_on
FROM records FINAL
WHERE subject_key = {key:String} AND variant_of != '' AND status = 'conflicting'
  AND recorded_at <= toDateTime64({at:String}, 3, 'Asia/Shanghai')
ORDER BY effective_on, department
"""
_NEWEST_STATES = """
SELECT record_id, argMax(status, (epoch, revision)) AS status
FROM record_revisions
WHERE subject_key = {key:String} AND recorded_at <= toDateTime64({at:String}, 3, 'Asia/Shanghai')
GROUP BY record_id
"""


@dataclass(frozen=True, slots=True)
class Contest:
    """Another source that says otherwise, and from when; what it says is for the authority to judge."""

    department: str
    effective_on: date | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as it is shown. Amounts in fen, days in Shanghai; empty or None where the source says nothing.

    Attributes:
        repair_from: first day on which a repair may end its publication; None where no rule says one.
    """

    record_id: str
    category: str
    department: str
    authority_code: str
    authority_name: str
    document_number: str
    decided_on: date | None
    item: str
    grade: str
    classes: tuple[str, ...]
    legal_bases: tuple[str, ...]
    fine_fen: int | None
    confiscated_fen: int | None
    amount_fen: int | None
    state: str
    status: str
    valid_from: date | None
    valid_to: date | None
    published_until: date | None
    source_url: str
    revision: int
    recorded_at: datetime
    contested_by: tuple[Contest, ...]
    repair_from: date | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """What is on record about one organisation.

    Attributes:
        as_of: the moment asked for, None = now.
        names, identifiers: of the organisation, as its records have them, newest record first.
        entries: by category in the catalogue's order, newest decision first.
        closed: records that had ended by then, by status; nothing else of them is told.
        ended_since: records that were shown at the moment asked for and have ended since.
        measures: what is intended or binds. ended_measures: cases that had ended by then, by reason; nothing else of
            them is told.
    """

    subject_key: str
    as_of: datetime | None
    names: tuple[str, ...]
    identifiers: tuple[str, ...]
    entries: tuple[Entry, ...]
    closed: Mapping[str, int]
    ended_since: int
    measures: tuple[MeasureEntry, ...] = ()
    ended_measures: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is on record, closed records included."""
        shown = self.entries or self.measures
        return not shown and not self.closed and not self.ended_since and not self.ended_measures


def statement(
    store: ClickHouse, reference: Reference, subject: str, as_of: date | datetime | None = None, *, now: datetime
) -> Statement:
    """Everything that may be shown about one organisation.

    Args:
        subject: unified social credit code, organisation code, registration number, `SCHEME:NUMBER`, or a subject key.
        as_of: a moment, or a day, which means its end in Shanghai; None = now.
        now: the present moment, in any zone.

    Raises:
        InputError: the subject is none, in one sentence that does not repeat it.
    """
    key = subject_key_of(subject)
    moment = _moment(as_of)
    past = moment is not None and moment < now
    parameters = {"key": key, "at": _text(moment if moment is not None and past else now)}
    rows = store.rows(_AS_OF if past else _CURRENT, doing=_DOING, parameters=parameters)
    conflicts = store.rows(_CONFLICTS, doing=_DOING, parameters=parameters)
    states = store.rows(_NEWEST_STATES, doing=_DOING, parameters=parameters)
    measures = store.rows(MEASURES, doing=_DOING, parameters=parameters)
    day = (moment if moment is not None and past else now).astimezone(LAW_TIME).date()
    packs = load_windows(reference.directory)
    return assemble(key, moment, rows, conflicts, states, packs, measures, day)


def subject_key_of(subject: str) -> str:
    """The key of the organisation that a person typed. Raises InputError with a sentence that does not repeat it."""
    return subject_key_asked(subject, "asking for a statement")


def moment_of(text: str) -> date | datetime:
    """A day (2026-05-01) or a moment (2026-05-01T12:00, in Shanghai unless it names a zone) as a person typed it."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError("reading --as-of: write a day as 2026-05-01, or a moment as 2026-05-01T12:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=LAW_TIME)


def assemble(
    key: str,
    moment: datetime | None,
    rows: Sequence[Mapping[str, Any]],
    conflicts: Sequence[Mapping[str, Any]],
    states: Sequence[Mapping[str, Any]],
    packs: Sequence[WindowPack],
    measures: Sequence[Mapping[str, Any]],
    day: date,
) -> Statement:
    """Put the answers of the store together.

    Args:
        rows: the records that were shown at the moment; `shown` is 0 where they have ended since.
        conflicts: other contents that were reported of records, with their position.
        states: the newest status of every record of the subject at the moment.
        packs: on publication; they say when a repair may end it.
        measures: the newest transition of every case of the subject at the moment.
        day: the day for which they are told.
    """
    shown = [row for row in rows if row.get("shown", 1)]
    newest_first = sorted(shown, key=lambda row: row["reported_at"], reverse=True)
    identifiers = [row["subject_id"] for row in newest_first]
    reported = (identifier for row in newest_first for identifier in row["subject_ids"])
    identifiers += [identifier for identifier in reported if not identifier.startswith(_UNRECOGNISED)]
    ids = {row["record_id"] for row in rows}
    # A record whose publication has ended is closed, whether register has come to say so yet or not.
    closed = Counter(
        "expired" if state["status"] == "valid" else state["status"]
        for state in states
        if state["record_id"] not in ids
    )
    entries = [_entry(row, conflicts, first) for row, first in zip(shown, _repair_from(shown, packs), strict=True)]
    cases, ended_measures = measures_of(measures, day)
    order = {name: place for place, name in enumerate(catalogue())}
    entries.sort(key=lambda entry: entry.record_id)
    entries.sort(key=lambda entry: entry.decided_on or date.min, reverse=True)
    entries.sort(key=lambda entry: order.get(entry.category, len(order)))
    return Statement(
        subject_key=key,
        as_of=moment,
        names=tuple(dict.fromkeys(row["subject_name"] for row in newest_first if row["subject_name"])),
        identifiers=tuple(dict.fromkeys(identifier for identifier in identifiers if identifier)),
        entries=tuple(entries),
        closed=dict(sorted(closed.items())),
        ended_since=len(rows) - len(shown),
        measures=cases,
        ended_measures=ended_measures,
    )


def _repair_from(rows: Sequence[Mapping[str, Any]], packs: Sequence[WindowPack]) -> list[date | None]:
    """First day on which the publication of each record may end early; None where it may not, or no rule says so."""
    if not rows:
        return []
    said = ("category", "classes", "decided_on", "subject_key", "region", "authority_name", "legal_bases", "fine_fen")
    kinds = {"classes": pl.List(pl.String), "legal_bases": pl.List(pl.String), "decided_on": pl.Date}
    kinds |= {"fine_fen": pl.Int64, "valid_to": pl.Date, "published_until": pl.Date}
    columns = {name: [row.get(name) for row in rows] for name in (*said, "valid_to", "published_until")}
    frame = pl.DataFrame(
        {name: pl.Series(values, dtype=kinds.get(name, pl.String)) for name, values in columns.items()}
    )
    verdicts = windows(frame, packs)
    return [row["min_on"] if row["early_end"] else None for row in verdicts.iter_rows(named=True)]


def _entry(row: Mapping[str, Any], conflicts: Sequence[Mapping[str, Any]], repair_from: date | None) -> Entry:
    """A conflict counts while it is not older than what stands: what the authority said after it has settled it."""
    contests = [
        Contest(conflict["department"], conflict["effective_on"])
        for conflict in conflicts
        if conflict["record_id"] == row["record_id"] and conflict["content_order"] >= row["content_order"]
    ]
    same = {name: row[name] for name in Entry.__slots__ if name in row}
    same |= {"classes": tuple(row["classes"]), "legal_bases": tuple(row["legal_bases"])}
    same["recorded_at"] = row["recorded_at"].astimezone(LAW_TIME)
    return Entry(**same, contested_by=tuple(dict.fromkeys(contests)), repair_from=repair_from)


def statement_json(statement: Statement, reference: Reference) -> dict[str, Any]:
    """The statement as plain values; amounts in fen, days and moments in ISO 8601."""
    entries = []
    for entry in statement.entries:
        department = reference.departments.get(entry.department)
        entries.append(
            json.loads(json.dumps(asdict(entry), default=date.isoformat))
            | {
                "category_zh": catalogue()[entry.category].zh if entry.category in catalogue() else "",
                "category_en": catalogue()[entry.category].en if entry.category in catalogue() else "",
                "department_zh": department.name_zh if department else "",
                "department_en": department.name_en if department else "",
            }
        )
    return {
        "subject": statement.subject_key,
        "as_of": statement.as_of.isoformat() if statement.as_of else None,
        "names": list(statement.names),
        "identifiers": list(statement.identifiers),
        "records": entries,
        "closed": dict(statement.closed),
        "ended_since": statement.ended_since,
        "measures": [json.loads(json.dumps(asdict(case), default=date.isoformat)) for case in statement.measures],
        "ended_measures": dict(statement.ended_measures),
    }


def _moment(as_of: date | datetime | None) -> datetime | None:
    if as_of is None or isinstance(as_of, datetime):
        return as_of
    return datetime.combine(as_of, time(23, 59, 59, 999_000), LAW_TIME)


def _text(moment: datetime) -> str:
    """As ClickHouse reads it: milliseconds, in Shanghai."""
    local = moment.astimezone(UTC).astimezone(LAW_TIME)
    return local.strftime("%Y-%m-%d %H:%M:%S.") + f"{local.microsecond // 1000:03d}"
