"""A statement as a page, Chinese and English side by side; what `xinliu statement` prints."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.catalogue import catalogue
from schemas.errors import EXIT_SOME_NOT_GOOD
from schemas.legal_basis import in_words
from schemas.reference import Reference, load
from schemas.settings import Settings
from stream_processors import case_words
from stream_processors.clickhouse import connect
from stream_processors.rules.packs import load_packs
from stream_processors.rules.rule import Rule
from stream_processors.statement import LAW_TIME, Contest, Entry, Statement, moment_of, statement, statement_json
from stream_processors.statement_measures import MeasureEntry

_STATUS = {
    "valid": "有效 valid",
    "annulled": "已撤销 annulled",
    "withdrawn": "已撤回 withdrawn",
    "repaired": "已修复 repaired",
    "expired": "公示期满 publication ended",
}
_ALWAYS = {"决定 Decision", "依据 Legal basis", "公示至 Published until"}
_HOW_TO_CONTEST = (
    "认为记录有误的，可向其来源部门或作出决定的机关提出异议，请注明记录编号。",
    "To contest an entry, write to its source or to the deciding authority, and name the record.",
)
_HOW_TO_OBJECT = (
    "对拟采取的措施，可在异议截止日前向作出决定的机关提出异议，请注明案件编号；未答复前不得作出决定。",
    "Against an intended measure, object to the deciding authority within the window, and name the case; nobody may "
    "decide before it is answered.",
)
_NO_SCORE = (
    "本页只列出已公示的记录，不含评分和排名。",
    "This page lists what is published; it holds no score and no ranking.",
)


def show(settings: Settings, subject: str, as_of: str | None, *, as_json: bool) -> int:
    """Print the statement of one organisation; returns 1 where nothing is on record, else 0.

    Raises InputError for a subject or a day that can not be read, Retryable while the store does not answer.
    """
    reference = load(settings.reference_dir)
    moment = moment_of(as_of) if as_of else None
    store = connect(settings)
    try:
        found = statement(store, reference, subject, moment, now=datetime.now(UTC))
    finally:
        store.close()
    if as_json:
        print(json.dumps(statement_json(found, reference), ensure_ascii=False, indent=1))
    else:
        render(found, reference, Console(), load_packs(settings.rules_dir).rules)
    return EXIT_SOME_NOT_GOOD if found.is_empty else 0


def render(
    statement: Statement, reference: Reference, console: Console, rules: Mapping[str, Rule] | None = None
) -> None:
    """Print the page.

    Args:
        rules: by name, for the sentence that says what each measure is.
    """
    console.print(_title(statement))
    if statement.is_empty:
        console.print(
            f"没有关于 {statement.subject_key} 的记录；请核对代码。\n"
            f"Nothing is on record about {statement.subject_key}; compare the code with the licence."
        )
        return
    for category, entries in groupby(statement.entries, key=lambda entry: entry.category):
        console.print()
        console.print(Text(_category(category), style="bold"))
        for entry in entries:
            console.print(_table(entry, reference))
            console.print()
    console.print(_closed(statement))
    if statement.measures:
        console.print()
        console.print(Text("措施 Measures", style="bold"))
        for case in statement.measures:
            console.print(_measure_table(case, (rules or {}).get(case.rule)))
            console.print()
    if statement.ended_measures:
        console.print(_ended_measures(statement.ended_measures))
    objection = _HOW_TO_OBJECT if statement.measures else ()
    for sentence in (*_NO_SCORE, *_HOW_TO_CONTEST, *objection):
        console.print(sentence, highlight=False)


def yuan(fen: int) -> str:
    """An amount with thousands separators: 2000000 fen is 20,000.00."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100:,}.{abs(fen) % 100:02d}"


def _title(statement: Statement) -> Text:
    text = Text("信用记录说明 Statement of public credit records\n", style="bold")
    lines = [
        ("主体 Subject", " / ".join(statement.names) or "—"),
        ("代码 Identifiers", " ".join(statement.identifiers) or statement.subject_key),
    ]
    if statement.as_of is not None:
        lines.append(("截至 As of", f"{statement.as_of.astimezone(LAW_TIME):%Y-%m-%d %H:%M:%S} (Asia/Shanghai)"))
    text.append("\n".join(f"{label}: {value}" for label, value in lines), style="not bold")
    return text


def _category(name: str) -> str:
    category = catalogue().get(name)
    return f"{category.zh} {category.en}" if category else name


def _table(entry: Entry, reference: Reference) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 1, 0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in _lines(entry, reference):
        if value or label in _ALWAYS:
            table.add_row(label, Text(value or "未载明 not stated"))
    return table


def _measure_table(case: MeasureEntry, rule: Rule | None) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 1, 0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in _measure_lines(case, rule):
        if value:
            table.add_row(label, Text(value))
    return table


def _measure_lines(case: MeasureEntry, rule: Rule | None) -> list[tuple[str, str]]:
    """In the order in which people ask: what, where it stands, by whom, why, until when, what can be done."""
    state = "生效中 in force" if case.binds else case_words.state(case.state)
    window = _day(case.objection_until) + (" （暂定 provisional）" if case.provisional else "")
    return [
        ("措施 Measure", _joined(case.measure, case.activity)),
        ("内容 What it is", rule.sentence_zh if rule else ""),
        ("", rule.sentence_en if rule else ""),
        ("状态 State", state),
        ("机关 Authority", _joined(case.authority_name, case.authority_code)),
        ("依据 Legal basis", "；".join(case.legal_bases)),
        ("证据 Rests on", _joined(case.evidence_document, *case.evidence_ids)),
        ("告知 Notice", _joined(case.notice_document, _day(case.noticed_on), case.notice_channel)),
        ("异议截止 Objections until", window if case.objection_until else ""),
        ("异议 Objection", _day(case.objected_on)),
        ("复核 Answer to it", _day(case.reviewed_on)),
        ("决定 Decision", _joined(case.decision_document, _day(case.decided_on))),
        ("期限 In force", _span(case.in_force_from, case.ends_on)),
        ("修复 Repair", case.repair_path),
        ("案件 Case", case.case_id),
    ]


def _ended_measures(ended: Mapping[str, int]) -> str:
    parts = ", ".join(f"{case_words.end(reason)}: {count}" for reason, count in ended.items())
    return f"已终止的措施 Measures that have ended: {parts}"


def _repair(first: date | None) -> str:
    """How a publication ends early, and when at the earliest."""
    if first is None:
        return ""
    return (
        f"最早 {first}：改正、履行完毕并作出信用承诺后，向来源部门申请修复 / earliest {first}, if the breach is "
        "corrected, all duties are performed and the commitment is given; apply to the source"
    )


def _lines(entry: Entry, reference: Reference) -> list[tuple[str, str]]:
    """What an entry shows, in the order in which people ask: what, by whom, on what ground, how long, who disagrees."""
    return [
        ("决定 Decision", _joined(entry.document_number, _day(entry.decided_on))),
        ("机关 Authority", _joined(entry.authority_name, entry.authority_code)),
        ("事项 Item", _joined(entry.item, entry.grade)),
        ("类别 Kind", "、".join(entry.classes)),
        ("依据 Legal basis", "；".join(in_words(entry.legal_bases))),
        ("罚款（元） Fine, yuan", _amount(entry.fine_fen)),
        ("没收（元） Confiscated, yuan", _amount(entry.confiscated_fen)),
        ("金额（元） Amount, yuan", _amount(entry.amount_fen)),
        ("有效期 Validity", _span(entry.valid_from, entry.valid_to)),
        ("状态 Status", _joined(_STATUS.get(entry.status, entry.status), entry.state)),
        ("公示至 Published until", _day(entry.published_until)),
        ("修复 Repair", _repair(entry.repair_from)),
        ("来源 Source", _department(entry.department, reference)),
        ("链接 Link", entry.source_url),
        ("争议 Contested by", "；".join(_contest(contest, reference) for contest in entry.contested_by)),
        ("记录 Record", f"{entry.record_id} · {entry.revision} · {entry.recorded_at:%Y-%m-%d %H:%M}"),
    ]


def _closed(statement: Statement) -> str:
    parts = [f"{_STATUS.get(status, status)}: {count}" for status, count in statement.closed.items()]
    if statement.ended_since:
        parts.append(f"此后已终止 ended since: {statement.ended_since}")
    return f"已终止的记录（不再公示其内容） Closed, no longer shown: {', '.join(parts) or '无 none'}"


def _contest(contest: Contest, reference: Reference) -> str:
    return _joined(_department(contest.department, reference), _day(contest.effective_on))


def _department(name: str, reference: Reference) -> str:
    department = reference.departments.get(name)
    return f"{department.name_zh} {department.name_en}" if department else name


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def _day(day: date | None) -> str:
    return day.isoformat() if day else ""


def _span(first: date | None, last: date | None) -> str:
    if first is None and last is None:
        return ""
    return f"{_day(first) or '…'} – {_day(last) or '…'}"


def _amount(fen: int | None) -> str:
    return "" if fen is None else yuan(fen)
