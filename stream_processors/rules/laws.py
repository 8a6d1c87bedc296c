"""Finds what `xinliu packs` is asked about: a pack by its name, a folder of packs, or what is in force here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from schemas.errors import InputError
from schemas.settings import Settings
from schemas.windows_packs import WindowPack, load_windows
from stream_processors.rules.compare import Law, always
from stream_processors.rules.packs import Packs, load_packs, only
from stream_processors.rules.rule import Rule

CURRENT = "current"


@dataclass(frozen=True, slots=True)
class Pack:
    """One pack from both rooms: what is published for how long, and what it triggers. Either may be empty."""

    name: str
    title_zh: str
    title_en: str
    source: str
    jurisdiction: str
    from_day: date
    to_day: date | None
    publication: WindowPack | None
    rules: tuple[Rule, ...]

    @property
    def from_memory(self) -> bool:
        """Whether something in it was not read in a source."""
        windows = self.publication is not None and self.publication.from_memory
        return windows or any(rule.from_memory for rule in self.rules)


def all_packs(rules: Packs, publication: Sequence[WindowPack]) -> list[Pack]:
    """The packs of both rooms, joined by name, in the order of their first day."""
    windows = {pack.name: pack for pack in publication}
    found = []
    for name in {**windows, **rules.heads}:
        head = windows.get(name) or rules.heads[name]
        of_pack = tuple(rule for rule in rules.rules.values() if rule.pack == name)
        found.append(
            Pack(
                name,
                head.title_zh,
                head.title_en,
                head.source,
                head.jurisdiction,
                head.from_day,
                head.to_day,
                windows.get(name),
                tuple(sorted(of_pack, key=lambda rule: rule.name)),
            )
        )
    return sorted(found, key=lambda pack: (pack.from_day, pack.name))


def packs_of(settings: Settings) -> list[Pack]:
    """The packs that are in force here."""
    return all_packs(load_packs(settings.rules_dir), load_windows(settings.reference_dir))


def law_of(asked: str, settings: Settings) -> Law:
    """What a name or a folder stands for.

    A name: that pack alone, for every record whatever its day, since two packs of different days never speak of the
    same record. A folder: everything as it would be with this folder, rule packs in it and packs on publication in its
    own folder `packs`. "current": everything as it is.

    Raises:
        InputError: there is neither a pack nor a folder of that name.
        ConfigurationError: a pack in the folder is faulty.
    """
    if asked == CURRENT:
        return Law(asked, load_packs(settings.rules_dir), load_windows(settings.reference_dir))
    rules, publication = load_packs(settings.rules_dir), load_windows(settings.reference_dir)
    names = [pack.name for pack in all_packs(rules, publication)]
    if asked in names:
        own = tuple(always(pack) for pack in publication if pack.name == asked)
        channel = own[0].channel if own else "credit"
        return Law(asked, only(rules, asked, always=True), own, channel, always=True)
    if Path(asked).is_dir():
        return Law(asked, load_packs(Path(asked)), load_windows(Path(asked)))
    raise InputError(
        f"looking for a pack: there is neither a pack nor a folder of that name; the packs are {', '.join(names)}, "
        f"and {CURRENT} is all of them as they are"
    )


def pack_of(asked: str, settings: Settings) -> Pack:
    """One pack by its name; InputError names those that there are."""
    packs = {pack.name: pack for pack in packs_of(settings)}
    if asked not in packs:
        raise InputError(f"looking for a pack: there is none of that name; the packs are {', '.join(packs)}")
    return packs[asked]
