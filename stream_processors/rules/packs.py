"""Reads the packs and checks them: which rules there are, which packs they stand in, which categories they speak of.

Each fault of a pack is one sentence with the place in the file. Non-goal: deciding anything, see
`stream_processors.match`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from schemas.catalogue import catalogue
from schemas.errors import ConfigurationError
from stream_processors.rules.rule import Rule

_SHIPPED = Path(__file__).parent / "packs"
_OF_PACK = ("name", "title_zh", "title_en", "source", "from_day", "to_day", "rule")
_DEFAULTS: dict[str, Any] = {
    "to_day": None,
    "deciders": (),
    "objection_days": 0,
    "min_months": 0,
    "repair_ends": True,
    "repair_zh": "",
    "repair_en": "",
    "from_memory": False,
    "when": {},
}


@dataclass(frozen=True, slots=True)
class Packs:
    """All rules by name.

    Attributes:
        categories: the categories of records that some rule speaks of.
        conditions: for each rule, column → what one of its values has to contain.
    """

    rules: Mapping[str, Rule]
    conditions: Mapping[str, Mapping[str, tuple[str, ...]]]
    categories: tuple[str, ...]


@cache
def load_packs(directory: Path | None = None) -> Packs:
    """The shipped packs, or those of a folder in their place; ConfigurationError says a fault in one sentence."""
    rules: dict[str, Rule] = {}
    conditions: dict[str, Mapping[str, tuple[str, ...]]] = {}
    for path in sorted((directory or _SHIPPED).glob("*.toml")):
        try:
            pack = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise _problem(path.name, "it is not TOML in UTF-8") from error
        for entry in pack.get("rule", []):
            rule, when = _rule(path.name, pack, entry)
            if rule.name in rules:
                raise _problem(path.name, f"{rule.name} stands there twice")
            rules[rule.name], conditions[rule.name] = rule, when
    used = {category for rule in rules.values() for category in rule.categories}
    return Packs(rules, conditions, tuple(name for name in catalogue() if name in used))


def _rule(file: str, pack: Mapping[str, Any], entry: Mapping[str, Any]) -> tuple[Rule, dict[str, tuple[str, ...]]]:
    known = {field.name for field in fields(Rule)} | {"code", "when"}
    if odd := sorted(set(entry) - known):
        raise _problem(file, f"a rule has no field {odd[0]}")
    values = _DEFAULTS | {"from_day": pack.get("from_day", date.min), "to_day": pack.get("to_day")} | dict(entry)
    when = {column: tuple(words) for column, words in values.pop("when").items()}
    code = values.pop("code", None)
    if not code or "name" not in pack:
        raise _problem(file, "each pack needs a name and each rule a code")
    values |= {"name": f"{pack['name']}/{code}", "pack": pack["name"]}
    for name in ("categories", "deciders", "bases"):
        values[name] = tuple(values.get(name, ()))
    if missing := sorted({field.name for field in fields(Rule)} - set(values)):
        raise _problem(file, f"rule {code} lacks {missing[0]}")
    if unknown := [name for name in values["categories"] if name not in catalogue()]:
        raise _problem(file, f"rule {code} names the category {unknown[0]}, which the catalogue does not know")
    if values["kind"] not in ("restriction", "incentive"):
        raise _problem(file, f"rule {code} is neither a restriction nor an incentive")
    if not values["bases"] or values["max_months"] <= 0:
        raise _problem(file, f"rule {code} needs a legal basis and a longest duration")
    return Rule(**values), when


def _problem(file: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"reading the rule pack {file}: {what}; correct the file")
