"""The steps of an explanation: pure functions from what was found about an event to words in both languages.

The line holds here too: of a row that the guard refuses nothing is shown, of a closed record no facts, of an event that
was set aside only masked values, and no name that is not kept on record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

import polars as pl
import pyarrow as pa

from schemas.avro import CLOSED, CREDIT_EVENT, MARKERS
from schemas.catalogue import catalogue
from schemas.examine import examine
from schemas.normalise import document_identity
from schemas.reasons import REASONS
from schemas.reference import Reference
from stream_processors.explain_sources import Found, Said
from stream_processors.explain_words import PARTS_ZH, RANKS, STATUSES, outcome_words, reason_words
from stream_processors.quarantine_events import shown_event
from stream_processors.quarantine_page import moment as in_shanghai

_WITHOUT_EVENT = ("event_undecodable", "event_empty", "event_too_large")

Mark = Literal["ok", "stop", "gone", "none"]
"""ok: it went on from here; stop: it ended here; gone: not kept any more; none: it never came to this."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the flow.

    Attributes:
        name: a key of `STEPS`. zh, en: what happened there. at: when. details: line by line.
    """

    name: str
    mark: Mark
    zh: str
    en: str
    at: datetime | None = None
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """All that was found about one event.

    Attributes:
        said: receipts of the event at this place: intake's or register's. earlier: what was said of the same row and
            part before, at other places: it was sent more than once.
        found: the event itself; None where its topic does not keep it any more.
        history: of its record, see `Source.history`. stored: the record's row in the store.
        place: where this was looked up, in words.
    """

    said: Said
    found: Found | None
    history: Sequence[Mapping[str, Any]] = ()
    stored: Mapping[str, Any] | None = None
    earlier: Sequence[Said] = ()
    place: str = ""


@dataclass(slots=True)
class Seen:
    """What today's code says of the event: the identified report, or why it is none."""

    identified: Mapping[str, Any] | None = None
    reject: tuple[str, str, str] | None = None
    refused: bool = field(init=False)

    def __post_init__(self) -> None:
        self.refused = self.reject is not None and self.reject[0] == "refused"


def examined(known: Known, reference: Reference) -> Seen:
    if known.found is None:
        return Seen()
    batch = pa.RecordBatch.from_pylist([dict(known.found.event)], schema=CREDIT_EVENT.arrow)
    examined = examine(batch, known.said.department, reference)
    if examined.rejects.height:
        outcome, reason, detail = examined.rejects.select("outcome", "reason", "detail").row(0)
        return Seen(reject=(outcome, reason, detail))
    return Seen(identified=examined.identified.to_pylist()[0])


def of_event(known: Known) -> Mapping[str, Any] | None:
    """The history's row that this very event made."""
    for row in known.history:
        if (row["department"], row["source_partition"], row["source_offset"]) == (
            known.said.department,
            known.said.partition,
            known.said.offset,
        ) and row["operation"] != "expire":
            return row
    return None


def is_current(history: Sequence[Mapping[str, Any]], today: date) -> bool:
    """Whether the record may be shown: its newest revision is valid and within its publication."""
    revisions = [row for row in history if row["status"] not in MARKERS]
    if not revisions:
        return False
    newest = revisions[-1]
    return newest["status"] == "valid" and (newest["published_until"] is None or newest["published_until"] >= today)


# -- from the file to the topic -----------------------------------------------------------------------------------


def row_step(said: Said, reference: Reference) -> Step:
    department = reference.departments.get(said.department)
    name_zh = department.name_zh if department else said.department
    name_en = department.name_en if department else said.department
    if not said.submission:
        return Step(
            "row", "none", f"{name_zh}；消息未载明来源", f"{name_en}; the message could not say where it came from"
        )
    if said.row == 0:
        return Step("row", "ok", f"{name_zh}，{said.submission}，无行号", f"{name_en}, {said.submission}, by no row")
    part = f".{said.part}" if said.part else ""
    return Step(
        "row",
        "ok",
        f"{name_zh}，{said.submission} 第 {said.row}{part} 行",
        f"{name_en}, row {said.row}{part} of {said.submission}",
    )


def mapping_step(known: Known, row: Mapping[str, Any] | None, seen: Seen) -> Step:
    if seen.refused or known.said.outcome == "refused":
        return Step("mapping", "none", "不予显示", "not shown, since the row was refused")
    source: Mapping[str, Any] | None = known.found.event if known.found is not None else row
    if source is None or not source["mapping"]:
        return Step("mapping", "gone", "已无从得知", "not known any more: the event is gone from its topic")
    category = catalogue().get(source["category"])
    zh, en = (category.zh, category.en) if category else ("类别未知", "unknown category")
    return Step("mapping", "ok", f"{source['mapping']} → {zh}", f"{source['mapping']} → {en}, {source['operation']}")


def event_step(known: Known) -> Step:
    said = known.said
    place = f"credit.events.{said.department}[{said.partition}]@{said.offset}"
    if said.outcome == "refused":
        return Step("event", "none", f"{place}（未再读取）", f"{place}; not read again, since it was refused")
    if known.found is None and said.reason in _WITHOUT_EVENT:
        return Step("event", "stop", f"{place}（内容无法读取）", f"{place}; its bytes can not be read")
    if known.found is None:
        return Step("event", "gone", f"{place}（主题只保留 7 天，已不在）", f"{place}; gone, its topic keeps 7 days")
    reported_at = in_shanghai(known.found.event["reported_at"].replace(tzinfo=UTC))
    return Step("event", "ok", f"{place}（报送 {reported_at}）", f"reported {reported_at}", known.found.at)


# -- intake -------------------------------------------------------------------------------------------------------


def guard_step(said: Said, seen: Seen) -> Step:
    if said.outcome == "refused":
        zh, en = reason_words(said.reason, said.detail)
        return Step("guard", "stop", f"拒收：{zh}；内容不予显示", f"refused: {en}", said.at)
    if seen.refused and seen.reject is not None:
        zh, en = reason_words(seen.reject[1], seen.reject[2])
        return Step(
            "guard", "stop", f"当时通过，现行规则拒收：{zh}", f"let through then, refused by today's code: {en}"
        )
    return Step("guard", "ok", "未发现个人号码", "no personal number was found")


def normalise_steps(known: Known, seen: Seen, shows: bool, reference: Reference) -> list[Step]:
    if known.said.outcome == "refused" or seen.refused:
        return []
    if known.said.outcome == "quarantined":
        return [_aside_step(known, seen, reference)]
    if known.found is None:
        return [Step("normalise", "gone", "原报内容已不在", "what was reported is gone; what was kept is on record")]
    if not shows:
        return [Step("normalise", "ok", "记录已终止，不显示内容", "its record is closed: no facts are shown")]
    if seen.identified is None:
        return [Step("normalise", "ok", "现行规则不会收录此事件", "today's code would not take this event any more")]
    changes = tuple(_changes(known.found.event, seen.identified))
    if not changes:
        return [Step("normalise", "ok", "按原报保存", "kept as reported")]
    return [Step("normalise", "ok", "原报 → 保存：", "as reported → as kept:", details=changes)]


def _aside_step(known: Known, seen: Seen, reference: Reference) -> Step:
    """Set aside: why, what of it may be shown, and what today's code would say."""
    said = known.said
    zh, en = reason_words(said.reason, said.detail)
    details: list[str] = []
    if known.found is not None:
        shown = shown_event(known.found.event, said.department, reference) or {}
        details += [
            f"{name}: {'; '.join(value) if isinstance(value, list) else value}" for name, value in shown.items()
        ]
        if seen.identified is not None:
            details.append("现行规则可以收录 today it would pass: xinliu quarantine redrive")
        elif seen.reject is not None and seen.reject[1:] != (said.reason, said.detail):
            details.append(f"现行规则 today: {REASONS[seen.reject[1]].message(seen.reject[2])}")
    return Step("examine", "stop", f"搁置：{zh}", f"set aside: {en}", said.at, tuple(details))


_COMPARED = (
    "subject_name",
    "authority_name",
    "authority_code",
    "region",
    "document_number",
    "item",
    "grade",
    "state",
    "change_document_number",
    "classes",
    "legal_bases",
    "published_until",
    "source_version",
)


def _changes(event: Mapping[str, Any], kept: Mapping[str, Any]) -> list[str]:
    """Fields that are kept otherwise than they were reported, as lines."""
    lines: list[str] = []
    ids = event["subject_ids"]
    if ids != [kept["subject_id"]]:
        lines.append(f"subject: {', '.join(ids)} → {kept['subject_id']}")
    for name in _COMPARED:
        before, after = event[name], kept[name]
        if before == after:
            continue
        if name == "subject_name" and not after:
            lines.append("subject_name: 未保存 not kept, it holds no word of business and may be its owner's")
        else:
            lines.append(f"{name}: {_text(before)} → {_text(after)}")
    return lines


def identify_steps(known: Known, seen: Seen, row: Mapping[str, Any] | None, shows: bool) -> list[Step]:
    said = known.said
    if said.lane != "register":
        return []
    identified = seen.identified or (row if shows else None)
    if identified is None or not shows:
        return [Step("identify", "ok", f"记录 {said.record_id}", f"record {said.record_id}")]
    parts = _identity_parts(identified)
    step = Step("identify", "ok", f"记录 {said.record_id}", f"record {said.record_id}, made of:", details=tuple(parts))
    if identified["record_id"] != said.record_id:
        note = f"现行规则另成一条记录 by today's code it is another record: {identified['record_id']}"
        step = Step("identify", "ok", step.zh, step.en, details=(*parts, note))
    return [step]


def _identity_parts(identified: Mapping[str, Any]) -> list[str]:
    """The parts of the record's identity and what stands in each."""
    category = catalogue()[identified["category"]]
    lines = [f"category 类别: {category.name} {category.zh}"]
    for part in category.identity:
        said = [(name, _part_value(name, identified)) for name in part.fields]
        name, value = next(((name, value) for name, value in said if value), (part.fields[0], ""))
        lines.append(f"{name} {PARTS_ZH.get(name, '')}: {value or '— (可空 may be empty)'}")
    return lines


def _part_value(name: str, identified: Mapping[str, Any]) -> str:
    if name == "subject":
        return identified["subject_key"]
    if name == "authority":
        return identified["authority_code"] or identified["authority_name"]
    if name == "document_number":
        return str(document_identity(pl.Series([identified[name]], dtype=pl.String))[0])
    return _text(identified[name]) if identified[name] else ""


# -- register -----------------------------------------------------------------------------------------------------


def authorise_steps(known: Known, row: Mapping[str, Any] | None, seen: Seen, reference: Reference) -> list[Step]:
    if known.said.lane != "register":
        return []
    source = seen.identified or row
    if source is None:
        return [Step("authorise", "gone", "已无从得知", "not known any more")]
    rank = reference.rank(known.said.department, source["authority_code"])
    zh, en = RANKS[rank]
    return [Step("authorise", "ok", f"{rank} 级：{zh}", f"rank {rank}: {en}")]


def fold_steps(known: Known, row: Mapping[str, Any] | None) -> list[Step]:
    said = known.said
    if said.lane != "register":
        return []
    zh, en = outcome_words(said.outcome)
    place = f"credit.receipts.{said.department}[0]@{said.topic_offset}"
    details = [f"回执 receipt: {place}"]
    if row is not None:
        details.append(f"历史 history: credit.history[{row['partition']}]@{row['offset']}")
    return [Step("fold", "ok", f"{said.outcome}：{zh}", f"{said.outcome}: {en}", said.at, tuple(details))]


def record_steps(known: Known) -> list[Step]:
    if known.said.lane != "register":
        return []
    if not known.history:
        return [Step("record", "none", "历史中尚无此记录", "not in the history yet; see xinliu status")]
    lines = tuple(_revision_line(row, known.said) for row in known.history)
    revisions = [row for row in known.history if row["status"] not in MARKERS]
    newest = revisions[-1] if revisions else known.history[-1]
    zh, en = STATUSES.get(newest["status"], ("", newest["status"]))
    return [
        Step(
            "record",
            "ok",
            f"共 {newest['revision']} 版，现为{zh}",
            f"{newest['revision']} revision(s), now {en}",
            newest["recorded_at"],
            lines,
        )
    ]


def _revision_line(row: Mapping[str, Any], said: Said) -> str:
    """One line of the history; an event that changed nothing has no revision of its own."""
    changed = row["status"] not in MARKERS
    number = f"版本 revision {row['revision']}" if changed else "未改动 no change"
    status = row["status"] if changed else ""
    who = f"{row['submission']}:{row['source_row']}" if row["submission"] else row["operation"]
    mine = " ◀" if (row["source_partition"], row["source_offset"]) == (said.partition, said.offset) else ""
    words = (number, status, row["outcome"], row["operation"], row["department"], who)
    return f"{in_shanghai(row['recorded_at'])} {' '.join(word for word in words if word)}{mine}"


def store_steps(known: Known, shows: bool) -> list[Step]:
    if known.said.lane != "register" or known.place != "the store":
        return []
    stored = known.stored
    if stored is None:
        return [Step("store", "none", "存储中尚无此记录", "not in the store yet; see xinliu status")]
    shown_zh, shown_en = ("可查询", "shown to those who ask") if shows else ("不再公示", "not shown any more")
    if stored["status"] in CLOSED:
        shown_zh, shown_en = "已终止，仅留存根", "closed: only its stub is kept"
    return [
        Step(
            "store",
            "ok",
            f"{shown_zh}（credit.records[{stored['partition']}]@{stored['offset']}）",
            f"table records, revision {stored['revision']}, {stored['status']}: {shown_en}",
            stored["recorded_at"],
        )
    ]


def _text(value: Any) -> str:
    if value is None or value == "" or value == []:
        return "—"
    if isinstance(value, list):
        return "、".join(map(str, value))
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
