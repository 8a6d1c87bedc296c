"""Shows what an operator asked of quarantine: tables for people, plain values for machines."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.calendar import LAW_TIME
from schemas.reasons import OUTCOMES, REASONS
from stream_processors.explain_words import reason_words
from stream_processors.quarantine_redrive import Redriven

_STATES = {
    "open": "待处理 open",
    "repaired": "已修复 repaired since",
    "again": "后来再次搁置 set aside again since",
}


def moment(at: datetime | None) -> str:
    """A moment as it is shown: to the second, in Shanghai."""
    return "" if at is None else f"{at.astimezone(LAW_TIME):%Y-%m-%d %H:%M:%S}"


def groups_json(groups: pl.DataFrame) -> list[dict[str, Any]]:
    """Groups as plain values."""
    return [
        group
        | {
            "first_seen": group["first_seen"].isoformat(),
            "last_seen": group["last_seen"].isoformat(),
            "message": REASONS[group["reason"]].message(", ".join(group["details"]))
            if group["reason"] in REASONS
            else group["reason"],
        }
        for group in groups.to_dicts()
    ]


def print_groups(groups: pl.DataFrame, page: Console) -> None:
    """A line for each group, and below it the reason in words."""
    table = Table("group", title="搁置的事件 set aside", title_justify="left")
    for name in ("rows", "open", "repaired"):
        table.add_column(name, justify="right")
    for name in ("first seen", "last seen", "example"):
        table.add_column(name, no_wrap=True)
    for group in groups.to_dicts():
        chinese, english = reason_words(group["reason"], ", ".join(group["details"]))
        table.add_row(
            Text(group["group"] + "\n").append(f"{chinese} {english}", style="dim"),
            *(f"{group[name]:,}" for name in ("rows", "open", "repaired")),
            moment(group["first_seen"])[:16],
            moment(group["last_seen"])[:16],
            str(group["example"]),
        )
    page.print(table)
    page.print("Next: xinliu quarantine show GROUP (or an example's number), then propose or redrive.", highlight=False)


def item_json(item: Mapping[str, Any], shown: Mapping[str, Any] | None, readable: bool) -> dict[str, Any]:
    """One item as plain values; `event` is masked, null where there is none or today's guard would refuse it."""
    chinese, english = reason_words(item["reason"], item["detail"])
    return {
        **item,
        "set_aside_at": item["set_aside_at"].isoformat(),
        "reported_at": item["reported_at"].isoformat() if item["reported_at"] else None,
        "message": english,
        "message_zh": chinese,
        "readable": readable,
        "event": None if shown is None else dict(shown),
    }


def print_item(item: Mapping[str, Any], shown: Mapping[str, Any] | None, readable: bool, page: Console) -> None:
    """One item: where it came from, why it lies here, and its fields, masked."""
    chinese, english = reason_words(item["reason"], item["detail"])
    table = Table(show_header=False, box=None, padding=(0, 1, 0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    rows = [
        ("状态 State", _STATES.get(item["state"], item["state"])),
        ("原因 Reason", f"{chinese}\n{english}"),
        ("来源 Source", _source(item)),
        ("映射 Mapping", f"{item['mapping'] or '—'} · {item['category'] or '—'}"),
        ("报送 Reported", moment(item["reported_at"]) or "—"),
        ("搁置 Set aside", moment(item["set_aside_at"])),
    ]
    if not readable:
        rows.append(("事件 Event", "无法读取 could not be read; its bytes lie on the department's topic for 7 days"))
    elif shown is None:
        rows.append(("事件 Event", "不予显示 today's guard refuses this row: nothing of it is shown or sent"))
    else:
        rows += [(name, _value(value)) for name, value in shown.items()]
    for label, value in rows:
        table.add_row(label, Text(value))
    page.print(Text(f"credit.quarantine@{item['id']}", style="bold"))
    page.print(table)
    page.print()


def _source(item: Mapping[str, Any]) -> str:
    place = f"credit.events.{item['department']}[{item['source_partition']}]@{item['source_offset']}"
    if not item["submission"]:
        return place
    return f"{item['submission']} 第 {item['source_row']} 行 row {item['source_row']}.{item['source_part']} · {place}"


def _value(value: Any) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


def print_offers(offers: list[dict[str, Any]], page: Console) -> None:
    """Proposals: what is proposed, why, and what confirms it."""
    table = Table("id", "proposed", title="修复建议 proposals, none of them applied", title_justify="left")
    table.add_column("why")
    for offer in offers:
        why = Text(f"{offer['why_zh']} {offer['why']}\n")
        why.append(f"校验 confirmed by: {', '.join(offer['confirmed_by'])}", style="dim")
        table.add_row(offer["id"], Text(f"{offer['field']}\n{offer['proposed']}"), why)
    page.print(table)
    page.print("Next: compare with the document, then xinliu quarantine propose --accept ID.", highlight=False)


def redriven_json(found: Redriven, applied: bool) -> dict[str, Any]:
    """What a redrive found and did, as plain values."""
    foreseen = found.foreseen
    answer: dict[str, Any] = {
        "applied": applied,
        "open": found.open,
        "seen": found.seen,
        "would_be": {name: foreseen.outcomes[name] for name in OUTCOMES if foreseen.outcomes[name]},
        "still_bad": dict(foreseen.still_bad.most_common()),
        "refused": dict(foreseen.refused.most_common()),
        "unreadable": foreseen.unreadable,
    }
    if applied:
        answer["sent"] = found.sent
        answer["outcomes"] = {name: found.answers[name] for name in OUTCOMES if found.answers[name]}
        answer["waiting"] = found.silent
    return answer


def print_redriven(found: Redriven, applied: bool, page: Console) -> None:
    """What would become of the items and, where they were sent, what became of them."""
    foreseen = found.foreseen
    table = Table("", title=f"{found.seen:,} of {found.open:,} open items looked at", title_justify="left")
    table.add_column("events", justify="right")
    for outcome in OUTCOMES:
        if foreseen.outcomes[outcome]:
            table.add_row(f"would be {_WOULD_BE[outcome]}", f"{foreseen.outcomes[outcome]:,}")
    for reason, count in foreseen.still_bad.most_common():
        table.add_row(f"still bad: {reason}", f"{count:,}")
    for reason, count in foreseen.refused.most_common():
        table.add_row(f"would be refused today: {reason}", f"{count:,}")
    if foreseen.unreadable:
        table.add_row("could not be read, the department has to send it anew", f"{foreseen.unreadable:,}")
    page.print(table)
    if applied:
        answers = ", ".join(f"{count:,} {outcome}" for outcome, count in found.answers.most_common())
        page.print(f"{found.sent:,} sent: {answers or 'no receipt yet'}", highlight=False)
        if found.silent:
            page.print(f"{found.silent:,} have no receipt yet; see xinliu status, then xinliu quarantine list")
    elif foreseen.outcomes.total():
        page.print("Nothing was sent. Next: the same command with --apply.", highlight=False)
    if foreseen.still_bad:
        page.print(
            "What the mapping could not read is not in the event: mend the mapping, then the department runs "
            "xinliu-adapter redrive FILE --mapping NAME.",
            highlight=False,
            soft_wrap=True,
        )


_WOULD_BE = {
    "new": "recorded: new",
    "superseding": "recorded: newer than what is on record",
    "repeat": "repeat",
    "stale": "stale: older than what is on record, or its record is closed",
    "conflicting": "conflicting with what is on record",
}
