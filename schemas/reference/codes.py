"""Reference tables about codes of organisations: prefixes and scope, provinces, placeholders, codes with a fault."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from schemas.errors import ConfigurationError
from schemas.reference.regions import load_regions
from schemas.reference.tables import read_table
from schemas.uscc import UsccTables, compact_code

Kind = Literal[
    "legal_person",
    "sole_trader",
    "cooperative",
    "rural_collective",
    "public_institution",
    "government_body",
    "social_organisation",
    "unknown",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

Scope = Literal["operator", "sole_trader", "public", "out"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True, slots=True)
class Prefix:
    """What the first two characters of a unified social credit code say (GB 32100-2015, amendment 1).

    Attributes:
        characters: registrar and category, e.g. `91`.
        scope: `operator` (records, and measures by a named authority), `sole_trader` and `public` (records, never
            measures), `out` (nothing is kept).
    """

    characters: str
    registrar_zh: str
    registrar_en: str
    body_zh: str
    kind: Kind
    scope: Scope


@cache
def uscc_prefixes(directory: Path | None = None) -> dict[str, Prefix]:
    """All known prefixes by their two characters. Raises ConfigurationError for a kind or scope that is none."""
    columns = ("first", "second", "registrar_zh", "registrar_en", "body_zh", "kind", "scope")
    prefixes: dict[str, Prefix] = {}
    for row in read_table("uscc_prefixes", columns, directory):
        characters = row["first"] + row["second"]
        kind = next((known for known in KINDS if known == row["kind"]), None)
        scope = next((known for known in SCOPES if known == row["scope"]), None)
        if kind is None or scope is None or len(characters) != 2:
            raise ConfigurationError(
                f"reading the reference table uscc_prefixes.csv: the entry of {characters} needs two characters, "
                f"a kind of {', '.join(KINDS)} and a scope of {', '.join(SCOPES)}"
            )
        prefixes[characters] = Prefix(characters, row["registrar_zh"], row["registrar_en"], row["body_zh"], kind, scope)
    return prefixes


@cache
def uscc_overrides(directory: Path | None = None) -> frozenset[str]:
    """Codes that were issued although they fail a check: they are accepted, with a warning."""
    return frozenset(row["code"].upper() for row in read_table("uscc_overrides", ("code", "source"), directory))


@cache
def placeholder_words(directory: Path | None = None) -> frozenset[str]:
    """What people write where there is no code, as printed in the table (not yet normalised)."""
    return frozenset(row["value"] for row in read_table("placeholders", ("value",), directory))


@dataclass(frozen=True, slots=True)
class Province:
    """First two digits of a region code of GB/T 2260."""

    prefix: str
    name: str
    on_identity_cards: bool
    is_region: bool


@cache
def provinces(directory: Path | None = None) -> dict[str, Province]:
    """All provinces by their two digits, the state level (10) and the residence permits' prefixes included."""
    return {
        row["prefix"]: Province(
            row["prefix"], row["name"], row["on_identity_cards"] != "no", row["on_identity_cards"] != "permit"
        )
        for row in read_table("provinces", ("prefix", "name", "on_identity_cards"), directory)
    }


@cache
def business_words(directory: Path | None = None) -> tuple[str, ...]:
    """Words that make a sole trader's name a name of a business, longest first."""
    words = {row["word"] for row in read_table("business_words", ("word",), directory)}
    return tuple(sorted(words, key=lambda word: (-len(word), word)))


@cache
def organisation_words(directory: Path | None = None) -> tuple[str, ...]:
    """Words that make a name in Latin letters the name of an organisation, longest first."""
    words = {row["word"] for row in read_table("organisation_words", ("word",), directory)}
    return tuple(sorted(words, key=lambda word: (-len(word), word)))


@cache
def sole_trader_sequences(directory: Path | None = None) -> frozenset[str]:
    """First digits of the sequence in a 15-digit registration number that were given to sole traders.

    From memory of GS 15-2006, hence a table and not code.
    """
    rows = read_table("registration_sequences", ("first_digit", "holder"), directory)
    return frozenset(row["first_digit"] for row in rows if row["holder"] == "sole_trader")


@cache
def uscc_tables(directory: Path | None = None) -> UsccTables:
    """The tables for `schemas.uscc.examine_usccs`, from the shipped folder or the one that replaces it."""
    known_prefix = np.zeros(1 << 16, np.bool_)
    for characters in uscc_prefixes(directory):
        known_prefix[int.from_bytes(characters.encode("ascii"), "little")] = True
    known_region = np.zeros(1_000_000, np.bool_)
    for province in provinces(directory).values():
        if province.is_region:
            known_region[int(province.prefix) * 10_000 : (int(province.prefix) + 1) * 10_000] = True
    regions = load_regions(directory)
    home = int(regions.province[:2]) * 10_000
    known_region[home : home + 10_000] = False  # of the home province every county is known, so a wrong one shows
    known_region[[int(code) for code in regions.by_code]] = True
    words = placeholder_words(directory)
    placeholders = frozenset(compact_code(word) for word in words) | words
    return UsccTables(known_prefix, known_region, placeholders, uscc_overrides(directory))
