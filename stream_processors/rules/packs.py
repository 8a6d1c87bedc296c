"""Reads the packs and checks them: which rules there are, which packs they stand in, which categories they speak of.

A pack (`packs/*.toml`) is the law of repair as it stood between two days, and names the measures that it goes with.
What a measure is, whichever pack it stands in, is written once in `measures.toml`: instrument, article, edition, legal
maximum, who may decide. A pack may say otherwise for its own rules. Each fault is one sentence with the file.
Non-goal: deciding anything, see `stream_processors.match`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from schemas.catalogue import catalogue
from schemas.errors import ConfigurationError
from stream_processors.rules.conditions import Condition, conditions_of
from stream_processors.rules.operators import OPERATORS
from stream_processors.rules.rule import Rule

SHIPPED = Path(__file__).parent
_MEASURES = "measures.toml"
_OF_PACK = {"name", "title_zh", "title_en", "source", "jurisdiction", "from_day", "to_day", "defaults", "rule"}
_HOME = "CN"
_OF_BASIS = {"instrument", "article", "edition"}
_MEASURE = re.compile(r"M(?:0[1-9]|1[01])|I0[1-5]")
_NO_EVIDENCE = ("registration", "listing")  # no decision document stands behind them (国办发〔2020〕49号)
_BLANK: dict[str, Any] = {
    "deciders": (),
    "objection_days": 0,
    "lapse_months": 12,
    "min_months": 0,
    "repair_ends": True,
    "repair_zh": "",
    "repair_en": "",
    "from_memory": False,
    "memory": "",
    "when": {},
}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "code": str,
    "measure": str,
    "kind": str,
    "activity": str,
    "sentence_zh": str,
    "sentence_en": str,
    "repair_zh": str,
    "repair_en": str,
    "memory": str,
    "categories": list,
    "deciders": list,
    "bases": list,
    "objection_days": int,
    "max_months": int,
    "lapse_months": int,
    "min_months": int,
    "repair_ends": bool,
    "from_memory": bool,
    "from_day": date,
    "to_day": date,
    "when": dict,
}


@dataclass(frozen=True, slots=True)
class Head:
    """What a pack says of itself; `jurisdiction` as in Rule."""

    name: str
    title_zh: str
    title_en: str
    source: str
    from_day: date
    to_day: date | None
    jurisdiction: str


@dataclass(frozen=True, slots=True)
class Packs:
    """All rules by name.

    Attributes:
        conditions: what each rule asks of a record beyond category and date.
        categories: the categories of records that some rule speaks of.
        heads: the packs by name.
    """

    rules: Mapping[str, Rule]
    conditions: Mapping[str, tuple[Condition, ...]]
    categories: tuple[str, ...]
    heads: Mapping[str, Head]


@cache
def load_packs(directory: Path | None = None) -> Packs:
    """The shipped packs, and those of a folder: a file there replaces the shipped one of its name, or comes beside it.

    Raises:
        ConfigurationError: one sentence for the first fault.
    """
    folders = [SHIPPED / "packs"] + ([directory] if directory is not None else [])
    paths = {path.name: path for folder in folders for path in sorted(folder.glob("*.toml"))}
    own = paths.pop(_MEASURES, None)
    measures = _measures(SHIPPED / _MEASURES) | (_measures(own) if own is not None else {})
    rules: dict[str, Rule] = {}
    conditions: dict[str, tuple[Condition, ...]] = {}
    heads: dict[str, Head] = {}
    for file, path in sorted(paths.items()):
        pack = _read(path)
        head = _head(file, pack)
        if head.name in heads:
            raise _problem(file, f"there is another pack of the name {head.name}")
        heads[head.name] = head
        for rule, asked in _rules(file, pack, head, measures):
            if rule.name in rules:
                raise _problem(file, f"{rule.name} stands there twice")
            rules[rule.name], conditions[rule.name] = rule, asked
    used = {category for rule in rules.values() for category in rule.categories}
    return Packs(rules, conditions, tuple(name for name in catalogue() if name in used), heads)


def only(packs: Packs, name: str, *, always: bool = False) -> Packs:
    """One pack of them; with `always`, as if it spoke for every day."""
    rules = {rule.name: rule for rule in packs.rules.values() if rule.pack == name}
    if always:
        rules = {key: replace(rule, from_day=date.min, to_day=None) for key, rule in rules.items()}
    used = {category for rule in rules.values() for category in rule.categories}
    return Packs(
        rules,
        {key: packs.conditions[key] for key in rules},
        tuple(category for category in packs.categories if category in used),
        {key: head for key, head in packs.heads.items() if key == name},
    )


def _measures(path: Path) -> dict[str, dict[str, Any]]:
    """What stands in `measures.toml`, by code."""
    entries = _read(path)
    if odd := sorted(set(entries) - {"measure"}):
        raise _problem(path.name, f"there is no {odd[0]} in the table of measures")
    found: dict[str, dict[str, Any]] = {}
    for entry in entries.get("measure", []):
        code = entry.get("code")
        if not isinstance(code, str) or code in found:
            raise _problem(path.name, "each measure needs a code of its own")
        found[code] = entry
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _problem(path.name, "it is not TOML in UTF-8") from error


def _head(file: str, pack: Mapping[str, Any]) -> Head:
    if odd := sorted(set(pack) - _OF_PACK):
        raise _problem(file, f"a pack has no field {odd[0]}")
    for name in ("name", "title_zh", "title_en", "source"):
        if not isinstance(pack.get(name), str) or not pack[name]:
            raise _problem(file, f"the pack lacks {name}")
    if "/" in pack["name"] or "@" in pack["name"]:
        raise _problem(file, "a pack's name holds neither / nor @, which separate it from code and document")
    from_day, to_day = pack.get("from_day"), pack.get("to_day")
    if not isinstance(from_day, date) or not isinstance(to_day, date | None):
        raise _problem(file, "the pack needs from_day, and to_day where it ended, as days: 2026-04-01")
    if to_day is not None and to_day < from_day:
        raise _problem(file, "to_day is before from_day")
    jurisdiction = pack.get("jurisdiction", _HOME)
    if not isinstance(jurisdiction, str) or not re.fullmatch("[A-Z]{2,3}", jurisdiction):
        raise _problem(file, "jurisdiction is CN, or the letters before a foreign scheme, e.g. MX")
    return Head(pack["name"], pack["title_zh"], pack["title_en"], pack["source"], from_day, to_day, jurisdiction)


def _rules(
    file: str, pack: Mapping[str, Any], head: Head, measures: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[Rule, tuple[Condition, ...]]]:
    for entry in pack.get("rule", []):
        code = entry.get("code")
        if not isinstance(code, str) or not code or "@" in code:
            raise _problem(file, "each rule needs a code, without @")
        general = dict(measures.get(code, {}))
        values = {"from_day": head.from_day, "to_day": head.to_day, **_BLANK, **pack.get("defaults", {}), **general}
        if values.get("kind", entry.get("kind")) == "incentive":  # the defaults of a pack are about restrictions
            values = {"from_day": head.from_day, "to_day": head.to_day, **_BLANK, **general}
        values |= entry
        values.setdefault("measure", code)
        yield _rule(file, head, values)


def _rule(file: str, head: Head, values: dict[str, Any]) -> tuple[Rule, tuple[Condition, ...]]:
    code = values["code"]
    if odd := sorted(set(values) - set(_TYPES)):
        raise _problem(file, f"rule {code} has a field {odd[0]}, which no rule has")
    wanted = {field.name for field in fields(Rule)} - {"name", "pack", "jurisdiction"}
    if missing := sorted(wanted - set(values)):
        raise _problem(file, f"rule {code} lacks {missing[0]}")
    for name, value in values.items():
        fits = isinstance(value, (_TYPES[name], tuple)) or (name == "to_day" and value is None)
        if not fits or (isinstance(value, bool) and _TYPES[name] is not bool):
            raise _problem(file, f"rule {code}: {name} is of the wrong type")
    try:
        asked = conditions_of(values.pop("when"))
    except ValueError as error:
        raise _problem(file, f"rule {code} {error}") from None
    values["name"], values["pack"] = f"{head.name}/{values.pop('code')}", head.name
    values["jurisdiction"] = head.jurisdiction
    values["bases"] = tuple(_basis(file, code, basis) for basis in values["bases"])
    values["categories"], values["deciders"] = tuple(values["categories"]), tuple(values["deciders"])
    values["from_memory"] = values["from_memory"] or bool(values["memory"])
    rule = Rule(**values)
    _check(file, code, rule)
    return rule, asked


def _check(file: str, code: str, rule: Rule) -> None:
    """What a rule must not lack, whoever wrote it: a restriction without one of these could never take force."""
    if rule.jurisdiction not in OPERATORS:
        known = ", ".join(OPERATORS)
        raise _problem(
            file, f"no identifier of {rule.jurisdiction} says which bodies a rule may be about (of: {known})"
        )
    if rule.kind not in ("restriction", "incentive"):
        raise _problem(file, f"rule {code} is neither a restriction nor an incentive")
    if not _MEASURE.fullmatch(rule.measure) or (rule.measure[0] == "M") != (rule.kind == "restriction"):
        raise _problem(file, f"rule {code}: a restriction's measure is M01 to M11, an incentive's is I01 to I05")
    for category in rule.categories:
        if category not in catalogue():
            raise _problem(file, f"rule {code} names the category {category}, which the catalogue does not know")
        if category in _NO_EVIDENCE or category.startswith("measure_"):
            raise _problem(file, f"rule {code}: nothing of the category {category} can be evidence")
    for name in ("categories", "activity", "bases", "sentence_zh", "sentence_en"):
        if not getattr(rule, name):
            raise _problem(file, f"rule {code} lacks {name}")
    if rule.max_months <= 0 or not 0 <= rule.min_months <= rule.max_months:
        raise _problem(file, f"rule {code} needs a legal maximum, and no shortest duration beyond it")
    if rule.to_day is not None and rule.to_day < rule.from_day:
        raise _problem(file, f"rule {code}: to_day is before from_day")
    if rule.kind == "restriction":
        if rule.objection_days < 1:
            raise _problem(file, f"rule {code} needs a window for objections: objection_days of 1 or more")
        if rule.repair_ends and not (rule.repair_zh and rule.repair_en):
            raise _problem(file, f"rule {code} needs a repair path in Chinese and English, or repair_ends = false")
    elif rule.objection_days or rule.deciders:
        raise _problem(file, f"rule {code}: an incentive starts by itself, it has no deciders and no objection_days")


def _basis(file: str, code: str, basis: Any) -> str:
    """《instrument》（edition）article, and for other languages: instrument (edition), article."""
    texts = isinstance(basis, dict) and all(isinstance(text, str) and text for text in basis.values())
    if not texts or not {"instrument", "article"} <= set(basis) <= _OF_BASIS:
        raise _problem(file, f"rule {code}: each of bases is a table with instrument, article and, if known, edition")
    edition = basis.get("edition", "")
    if basis["article"].startswith("第"):
        return f"《{basis['instrument']}》" + (f"（{edition}）" if edition else "") + basis["article"]
    return basis["instrument"] + (f" ({edition})" if edition else "") + f", {basis['article']}"


def _problem(file: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"reading the rule pack {file}: {what}; correct the file")
