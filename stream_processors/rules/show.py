"""Packs and comparisons for people and for machines; no decision here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from rich.console import Console
from rich.table import Table

from schemas.windows_packs import Tier, WindowPack
from stream_processors.rules.compare import CHANGES, Difference, Law
from stream_processors.rules.laws import Pack
from stream_processors.rules.rule import Rule

CHANGE_WORDS = {
    "drafted": "将立案 cases that would be drafted",
    "ended": "将终止 cases that would have no ground any more",
    "earlier": "公示提前结束 windows that would end earlier",
    "later": "公示延后结束 windows that would end later",
    "begins": "公示将有期限 windows where there was no limit",
    "no_longer": "公示不再有期限 windows that would have no limit any more",
}
FROM_MEMORY = "凭记忆 from memory"


def days_of(pack: Pack) -> str:
    """2023-05-01 … 2026-03-31."""
    return f"{pack.from_day} … {pack.to_day or ''}".rstrip()


def months_of(tier: Tier) -> str:
    """3 – 12, with what is special about the tier."""
    if not tier.published:
        return "不公示 not published"
    text = f"{tier.min_months} – {tier.max_months}"
    if tier.if_needed:
        text = f"必要时 if needed ≤ {tier.max_months}"
    if tier.real_length:
        text += "; 更长的按实际期限 a longer ban for its real length"
    return text + ("" if tier.early_end else "; 不得提前停止 no early end")


def kinds_of(tier: Tier) -> str:
    """Words by which it is known; for the default also everything else."""
    words = "、".join(tier.kinds)
    rest = "其他 everything else" if tier.default else ""
    fine = f"罚款 fine ≥ {tier.fine_fen_from} fen" if tier.fine_fen_from is not None else ""
    return "; ".join(filter(None, (words, fine, rest)))


def summary(pack: Pack) -> dict[str, Any]:
    """One line of the list as plain values."""
    return {
        "name": pack.name,
        "title_zh": pack.title_zh,
        "title_en": pack.title_en,
        "jurisdiction": pack.jurisdiction,
        "from_day": pack.from_day.isoformat(),
        "to_day": pack.to_day.isoformat() if pack.to_day else None,
        "tiers": len(pack.publication.tiers) if pack.publication else 0,
        "rules": len(pack.rules),
        "from_memory": pack.from_memory,
    }


def pack_json(pack: Pack) -> dict[str, Any]:
    """Everything about one pack as plain values."""
    return summary(pack) | {
        "source": pack.source,
        "publication": _plain(asdict(pack.publication)) if pack.publication else None,
        "rules": [_plain(asdict(rule)) for rule in pack.rules],
    }


def difference_json(laws: tuple[Law, Law], found: Difference) -> dict[str, Any]:
    """A comparison as plain values."""
    return {
        "before": laws[0].name,
        "after": laws[1].name,
        "days_set_aside": [law.name for law in laws if law.always],
        "records": found.records,
        "over": found.over,
        **{
            change: {
                "count": found.counts[change].total(),
                "by": dict(sorted(found.counts[change].items())),
                "examples": [_plain(example) for example in found.examples[change]],
            }
            for change in CHANGES
        },
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value


def _table(*columns: str, title: str | None = None) -> Table:
    """A table whose long Chinese words are broken and never cut."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def print_list(packs: Sequence[Pack], page: Console) -> None:
    """A line for each pack."""
    table = _table("pack", "days of the decision", "名称 title", "tiers", "rules", "")
    for pack in packs:
        table.add_row(
            pack.name,
            days_of(pack),
            f"{pack.title_zh} {pack.title_en}",
            str(len(pack.publication.tiers)) if pack.publication else "",
            str(len(pack.rules)) if pack.rules else "",
            FROM_MEMORY if pack.from_memory else "",
        )
    page.print(table)
    page.print("Next: xinliu packs show NAME, or xinliu packs diff current FOLDER.", highlight=False)


def print_pack(pack: Pack, page: Console) -> None:
    """Everything about one pack."""
    page.print(f"{pack.name}  {pack.title_zh}  {pack.title_en}\n{days_of(pack)}\n{pack.source}\n", highlight=False)
    if pack.publication is not None:
        page.print(_tiers(pack.publication))
        if pack.publication.clocks:
            page.print(_clocks(pack.publication))
    for rule in pack.rules:
        page.print("\n".join(rule_lines(rule)), highlight=False)
    if not pack.rules:
        page.print("It triggers no measure.", highlight=False)


def _tiers(pack: WindowPack) -> Table:
    table = _table("tier", "categories", "kinds", "months", "source", title="公示期限 windows")
    for tier in pack.tiers:
        table.add_row(
            tier.name,
            ", ".join(tier.categories),
            kinds_of(tier),
            months_of(tier),
            with_memory(tier.source, tier.memory),
        )
    if pack.areas is not None:
        words = "、".join((*pack.areas.bases, *pack.areas.authorities))
        least = f"≥ {pack.areas.min_months}"
        table.add_row("areas", "", words, least, with_memory(pack.areas.source, pack.areas.memory))
    return table


def _clocks(pack: WindowPack) -> Table:
    table = _table("clock", "期限 deadline", "working days", "source", title="工作日 deadlines")
    for clock in pack.clocks:
        table.add_row(
            clock.name, f"{clock.zh} {clock.en}", str(clock.working_days), with_memory(clock.source, clock.memory)
        )
    return table


def with_memory(source: str, memory: str) -> str:
    """A source, and beside it what was not read there."""
    return source + (f" ({FROM_MEMORY}: {memory})" if memory else "")


def rule_lines(rule: Rule) -> Iterator[str]:
    """A rule in a few lines, for the terminal."""
    yield f"{rule.name}  {rule.measure}  {rule.kind}: {rule.activity}"
    yield f"  {rule.sentence_zh} {rule.sentence_en}"
    yield f"  {'; '.join(rule.bases)}"
    yield f"  evidence: {', '.join(rule.categories)}, decided {rule.from_day} … {rule.to_day or ''}".rstrip()
    yield f"  {length_of(rule)}"
    if rule.memory:
        yield f"  {FROM_MEMORY}: {rule.memory}"
    yield ""


def length_of(rule: Rule) -> str:
    """Who decides, after which window, for how long at most, and how it ends early."""
    if rule.kind == "incentive":
        return f"starts and ends by itself, {rule.max_months} months at most"
    who = ", ".join(rule.deciders) or "the department that speaks for the evidence's authority"
    early = f"an early end by repair from month {rule.min_months} on" if rule.repair_ends else "no early end by repair"
    decides = f"{who} decides after {rule.objection_days} working days, for {rule.max_months} months at most"
    return f"{decides}; {early}; a draft lapses after {rule.lapse_months} months"


def print_difference(laws: tuple[Law, Law], found: Difference, page: Console) -> None:
    """Counts, then examples."""
    page.print(
        f"{laws[0].name} → {laws[1].name}: {found.records:,} current records looked at, nothing written",
        highlight=False,
    )
    for law in laws:
        if law.always:
            page.print(f"{law.name} is taken for every record, whatever its day.", highlight=False)
    table = _table("change", "count", "by measure or category")
    for change in CHANGES:
        counts = found.counts[change]
        by = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
        table.add_row(CHANGE_WORDS[change], f"{counts.total():,}", by)
    page.print(table)
    if found.over:
        page.print(f"{found.over:,} of them would be over today.", highlight=False)
    for change in CHANGES:
        for example in found.examples[change]:
            page.print(f"{change}: {_example(example)}", highlight=False, soft_wrap=True)


def _example(example: dict[str, Any]) -> str:
    kinds = "、".join(example["classes"])
    about = (
        f"{example['subject_id']} {example['category']} {example['document_number']} {example['decided_on']} {kinds}"
    )
    if "rule" in example:
        return f"{about.strip()}: {example['why']}"
    return f"{about.strip()}: {example['from'] or 'no limit'} → {example['to'] or 'no limit'}"
