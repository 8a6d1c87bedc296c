"""The page on the packs, written of the packs as they are shipped, so that it can not say what the code does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from schemas.windows_packs import WindowPack
from stream_processors.rules.laws import Pack
from stream_processors.rules.packs import Packs
from stream_processors.rules.rule import Rule
from stream_processors.rules.show import days_of, kinds_of, length_of, months_of, with_memory

_HEAD = """# Packs: the law as data

Written by `make docs` from `schemas/packs/*.toml` and `stream_processors/rules/*`; do not edit.

A pack is the law as it stood between two days; the day of the decision says which pack speaks of a record. What is
marked *from memory* was not read in a source: it is configuration, to be checked before it is used in earnest.

- **How long a decision is published** stands in `schemas/packs/*.toml`. Files in the folder `packs` of
  `XINLIU_REFERENCE` replace those of the same name or come beside them. Adapters and intake use the same packs: the end
  of publication is the strictest of the packs, the catalogue's outer limit and what the source itself says.
- **What a record can trigger** stands in `stream_processors/rules/measures.toml` (each measure once) and
  `stream_processors/rules/packs/*.toml` (from when on, repair). Files in the folder `XINLIU_RULES` replace those of the
  same name or come beside them. A rule drafts a case and does no more: a restriction takes force by a named authority's
  decision, after notice and the window for objections.
- **Whom a restriction is about** is no field of a rule. It can be an economic operator that is a legal person and
  nobody else, of the pack's own jurisdiction and in the regulated activity; the engine holds that itself. Its
  identifier has to say so: in China a unified social credit code that begins with 91, 93 or N; in Mexico the RFC of a
  legal person, which does not say whether the body trades, so that it counts under Mexico's own law and no other.
- **A repair ends a measure on the day of the repair**, even before the month that a rule names. That month is what the
  subject is told; whether the breach is repaired is decided by who recorded it, and nobody holds a body longer than
  that decision does.

`xinliu packs list`, `xinliu packs show NAME`, and before a change `xinliu packs diff current FOLDER`: what would change
for the current records, without writing.
"""


def page(packs: Sequence[Pack], rules: Packs) -> str:
    """The whole page; the same for the same packs."""
    return "\n".join([_HEAD, *(_pack(pack, rules) for pack in packs)])


def _pack(pack: Pack, rules: Packs) -> str:
    return "\n".join(_lines(pack, rules))


def _lines(pack: Pack, rules: Packs) -> Iterator[str]:
    yield f"## {pack.name} {pack.title_zh}\n"
    yield f"{pack.title_en}. Jurisdiction {pack.jurisdiction}; decisions of {days_of(pack)}. Source: {pack.source}.\n"
    if pack.publication is not None:
        yield from _publication(pack.publication)
    if not pack.rules:
        yield "It triggers no measure.\n"
    for rule in pack.rules:
        yield from _rule(rule, rules)


def _publication(pack: WindowPack) -> Iterator[str]:
    starts = {
        "decided_on": "the day of the decision",
        "published_on": "the day of publication, which records do not hold: a window only where it is known",
        "conduct_ended_on": "the end of the conduct, which records do not hold: a window only where it is known",
    }[pack.starts]
    region = f", authorities of region {pack.region}" if pack.region else ""
    yield f"Channel `{pack.channel}`{region}. The months count from {starts}.\n"
    yield from _table(
        ("tier", "categories", "kinds", "months, least – most", "source"),
        (
            (t.name, ", ".join(t.categories), kinds_of(t), months_of(t), with_memory(t.source, t.memory))
            for t in pack.tiers
        ),
    )
    if pack.areas is not None:
        words = "、".join((*pack.areas.bases, *pack.areas.authorities))
        source = with_memory(pack.areas.source, pack.areas.memory)
        yield f"At least {pack.areas.min_months} months in fields known by {words}: {source}.\n"
    if pack.clocks:
        yield from _table(
            ("deadline", "working days", "source"),
            ((f"{c.zh} {c.en}", str(c.working_days), with_memory(c.source, c.memory)) for c in pack.clocks),
        )


def _rule(rule: Rule, packs: Packs) -> Iterator[str]:
    yield f"### {rule.name}\n"
    yield f"{rule.measure}, {rule.kind}: {rule.activity}.\n"
    yield f"> {rule.sentence_zh}\n> {rule.sentence_en}\n"
    asked = "".join(f", {condition}" for condition in packs.conditions[rule.name])
    until = f" to {rule.to_day}" if rule.to_day else " on"
    yield f"- on: {'; '.join(rule.bases)}"
    yield f"- evidence: {' or '.join(rule.categories)} decided from {rule.from_day}{until}{asked}"
    yield f"- {length_of(rule)}"
    if rule.repair_ends and rule.kind == "restriction":
        yield f"- repair: {rule.repair_zh} {rule.repair_en}"
    if rule.memory:
        yield f"- from memory: {rule.memory}"
    yield ""


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    yield ""
