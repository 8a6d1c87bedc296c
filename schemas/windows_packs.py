"""Reads the dated packs on publication: which tier a decision is of, how long it may be shown at least and at most.

One file of `packs/` is one pack; a folder `packs` beside the operator's own reference tables replaces or adds files.
Each fault is one sentence with the file. Non-goals: judging a record (`schemas.windows`), and what a record triggers
(`stream_processors.rules`).
"""

import tomllib
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from schemas.catalogue import catalogue
from schemas.errors import ConfigurationError

SHIPPED = Path(__file__).parent / "packs"
TierName = Literal["minor", "general", "serious", "ungraded"]
TIER_NAMES: tuple[TierName, ...] = get_args(TierName)
Channel = Literal["credit", "necips", "any"]
Start = Literal["decided_on", "published_on", "conduct_ended_on"]


@dataclass(frozen=True, slots=True)
class Tier:
    """One tier of a pack for some categories. The tiers stand in the order of gravity: of several kinds in one decision
    the gravest counts.

    Attributes:
        kinds: words by which a kind of the decision is known; where two of them fit, the longer one.
        default: the tier of what no word fits.
        published: False = nothing of this tier is shown at all.
        if_needed: shown only where there is a need; the months are the limit for that.
        early_end: False where the law bars it.
        real_length: a ban that is longer than the limit is shown until its own end.
        fine_fen_from: a fine of this or more is of this tier at the least; None = no amount is.
        memory: what in here was not read in a source; empty = nothing.
    """

    name: TierName
    categories: tuple[str, ...]
    source: str
    kinds: tuple[str, ...] = ()
    default: bool = False
    min_months: int = 0
    max_months: int = 0
    published: bool = True
    if_needed: bool = False
    early_end: bool = True
    real_length: bool = False
    fine_fen_from: int | None = None
    memory: str = ""


@dataclass(frozen=True, slots=True)
class Areas:
    """Fields in which the shortest publication is longer, known by instruments cited or by the authority's name."""

    min_months: int
    source: str
    bases: tuple[str, ...] = ()
    authorities: tuple[str, ...] = ()
    memory: str = ""


@dataclass(frozen=True, slots=True)
class Clock:
    """A deadline of working days, the first day not counted."""

    name: str
    zh: str
    en: str
    working_days: int
    source: str
    memory: str = ""


@dataclass(frozen=True, slots=True)
class WindowPack:
    """The law on publication as it stood between two days.

    Attributes:
        channel: where it is published; "any" = a limit for every channel.
        jurisdiction: CN, or the letters before a foreign scheme. region: first digits of the authority's region code.
        from_day, to_day: days of the decision for which it speaks; None = still in force.
        starts: the day from which the months are counted.
    """

    name: str
    title_zh: str
    title_en: str
    source: str
    channel: Channel
    jurisdiction: str
    from_day: date
    starts: Start
    tiers: tuple[Tier, ...]
    to_day: date | None = None
    region: str = ""
    areas: Areas | None = None
    clocks: tuple[Clock, ...] = ()

    @property
    def categories(self) -> tuple[str, ...]:
        """Those that some tier speaks of, in the catalogue's order."""
        return tuple(name for name in catalogue() if any(name in tier.categories for tier in self.tiers))

    def tiers_of(self, category: str) -> tuple[Tier, ...]:
        """The tiers that speak of a category, in the order of gravity."""
        return tuple(tier for tier in self.tiers if category in tier.categories)

    @property
    def from_memory(self) -> bool:
        """Whether something in it was not read in a source."""
        parts: Sequence[Tier | Clock | Areas] = (*self.tiers, *self.clocks, *((self.areas,) if self.areas else ()))
        return any(part.memory for part in parts)


@cache
def load_windows(directory: Path | None = None) -> tuple[WindowPack, ...]:
    """All packs in the order of their first day.

    Args:
        directory: folder whose `packs/*.toml` replace shipped files of the same name or come beside them.

    Raises:
        ConfigurationError: one sentence for the first fault.
    """
    paths = {path.name: path for path in SHIPPED.glob("*.toml")}
    if directory is not None:
        paths |= {path.name: path for path in (directory / "packs").glob("*.toml")}
    packs = [_pack(path) for _, path in sorted(paths.items())]
    names = [pack.name for pack in packs]
    for pack in packs:
        if names.count(pack.name) > 1:
            raise _problem(pack.name, "two files are packs of this name")
    return tuple(sorted(packs, key=lambda pack: (pack.from_day, pack.name)))


def _pack(path: Path) -> WindowPack:
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _problem(path.name, "it is not TOML in UTF-8") from error
    for name in ("tier", "clock"):
        if not isinstance(values.get(name, []), list):
            raise _problem(path.name, f"{name} has to be written as [[{name}]]")
    tiers = tuple(_part(Tier, entry, path.name, "a tier") for entry in values.pop("tier", ()))
    clocks = tuple(_part(Clock, entry, path.name, "a clock") for entry in values.pop("clock", ()))
    areas = values.pop("areas", None)
    parts = {"tiers": tiers, "clocks": clocks, "areas": areas and _part(Areas, areas, path.name, "the table of areas")}
    pack = _part(WindowPack, values | parts, path.name, "the pack")
    _check(pack, path.name)
    return pack


def _check(pack: WindowPack, file: str) -> None:
    for word, known in (("channel", get_args(Channel)), ("starts", get_args(Start))):
        if getattr(pack, word) not in known:
            raise _problem(file, f"{word} is none of {', '.join(known)}")
    if pack.to_day is not None and pack.to_day < pack.from_day:
        raise _problem(file, "to_day is before from_day")
    for tier in pack.tiers:
        if tier.name not in TIER_NAMES:
            raise _problem(file, f"a tier's name is none of {', '.join(TIER_NAMES)}")
        if unknown := sorted(set(tier.categories) - set(catalogue())):
            raise _problem(file, f"a tier names the category {unknown[0]}, which the catalogue does not know")
        if tier.published and not 0 <= tier.min_months <= tier.max_months > 0:
            raise _problem(file, f"the tier {tier.name} needs 0 <= min_months <= max_months and max_months > 0")
        if not tier.published and (tier.min_months or tier.max_months):
            raise _problem(file, f"the tier {tier.name} is not published and so has no months")
    for category in pack.categories:
        if sum(tier.default for tier in pack.tiers_of(category)) != 1:
            raise _problem(file, f"exactly one tier of the category {category} has to be the default")
    if any(clock.working_days <= 0 for clock in pack.clocks):
        raise _problem(file, "a clock needs working_days of 1 or more")


def _part(kind: Any, entry: Any, file: str, what: str) -> Any:
    """One dataclass from a table of the file; says which field is missing, unknown or of another type."""
    if not isinstance(entry, dict):
        raise _problem(file, f"{what} has to be a table")
    known = {field.name: field for field in fields(kind)}
    if odd := sorted(set(entry) - set(known)):
        raise _problem(file, f"{what} has no field {odd[0]}")
    needed = [name for name, field in known.items() if field.default is MISSING]
    if missing := sorted(name for name in needed if entry.get(name) in (None, "", [])):
        raise _problem(file, f"{what} lacks {missing[0]}")
    values = {}
    for name, value in entry.items():
        if not _fits(value, str(known[name].type)):
            raise _problem(file, f"{what}: {name} is of the wrong type")
        values[name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


def _fits(value: Any, written: str) -> bool:
    """Whether a value of the file, or a part read from it, can be of a type as it is written in the class."""
    if isinstance(value, bool):
        return "bool" in written
    if isinstance(value, list):
        return "tuple[str" in written and all(isinstance(word, str) and word for word in value)
    if isinstance(value, int):
        return "int" in written
    if isinstance(value, date):
        return "date" in written and not isinstance(value, datetime)
    if isinstance(value, str):
        return not any(word in written for word in ("bool", "int", "date", "tuple"))
    return value is None or isinstance(value, (tuple, Areas))  # parts are checked when they are read


def _problem(file: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"reading the pack on publication {file}: {what}; correct the file")
