"""The catalogue of categories, read from `catalogue.toml` and checked; see there for what each entry means."""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

_PARTS = frozenset({"authority", "subject", "document_number", "item", "decided_on", "valid_to"})


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a record's identity: the first of `fields` that is not empty."""

    fields: tuple[str, ...]
    optional: bool

    @classmethod
    def parse(cls, text: str) -> "Part":
        part = cls(tuple(text.removesuffix("?").split("/")), text.endswith("?"))
        if not set(part.fields) <= _PARTS:
            raise ValueError(f"reading the catalogue: {text} is not a part of an identity")
        return part

    @property
    def name(self) -> str:
        return " or ".join(self.fields)


@dataclass(frozen=True, slots=True)
class Category:
    """One category of public credit information."""

    name: str
    zh: str
    en: str
    sign: Literal["neutral", "positive", "negative", "mixed"]
    identity: tuple[Part, ...]
    publication_months_max: dict[str, int] = field(default_factory=dict)


@cache
def catalogue() -> dict[str, Category]:
    """All categories by name, in the order of their ids."""
    entries = tomllib.loads((Path(__file__).parent / "catalogue.toml").read_text("utf-8"))["category"]
    return {
        entry["name"]: Category(**entry | {"identity": tuple(Part.parse(part) for part in entry["identity"])})
        for entry in entries
    }
