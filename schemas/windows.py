"""How long a decision may be shown: its tier, the shortest and longest publication, the pack that says so. Pure.

`windows` gives the whole verdict with its explanation, on one channel. `publication_limits` gives only the last day, as
intake needs it for every event: it looks at rows of few categories, and at each distinct set of kinds once.

A period of months ends on the corresponding day, or on the last of a shorter month, and its first day is not counted
(Civil Code, Art. 201, 202). The longest publication is not carried over a holiday: that would be against the subject.
Where it is open which kind a decision is of, the pack's default holds, and where a fact that would lengthen the
publication is not known, it does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, lru_cache
from typing import Any

import numpy as np
import polars as pl

from schemas.catalogue import catalogue
from schemas.dates import FIRST_DAY, LAST_DAY
from schemas.windows_packs import Channel, Tier, WindowPack

Days = np.ndarray[Any, np.dtype[np.int64]]  # since 1970-01-01
Rows = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

WINDOWS_SCHEMA = {
    "pack": pl.String,
    "tier": pl.String,
    "published": pl.Boolean,
    "early_end": pl.Boolean,
    "min_on": pl.Date,
    "max_on": pl.Date,
    "publication_end": pl.Date,
    "why": pl.String,
}

_OPTIONAL = {
    "region": pl.String,
    "authority_name": pl.String,
    "legal_bases": pl.List(pl.String),
    "fine_fen": pl.Int64,
    "valid_to": pl.Date,
    "published_until": pl.Date,
    "published_on": pl.Date,
    "conduct_ended_on": pl.Date,
}
_UNIT = "\x1f"
_EPOCH = date(1970, 1, 1)
_NO_DAY = np.iinfo(np.int64).max
_FIRST, _LAST = (FIRST_DAY - _EPOCH).days, (LAST_DAY - _EPOCH).days
_START_WORDS = {
    "decided_on": "the day of the decision",
    "published_on": "the day of publication",
    "conduct_ended_on": "the end of the conduct",
}


def windows(records: pl.DataFrame, packs: Sequence[WindowPack], channel: Channel = "credit") -> pl.DataFrame:
    """One verdict for each record, in its row; nulls where no pack of the channel speaks about it.

    min_on is the first day on which the publication may end early, max_on the last day of the longest one, and
    publication_end the strictest of max_on, the limits of packs for every channel, and what the source says itself.
    Of what is not published, publication_end is the day of the decision.

    Args:
        records: category, classes, decided_on, subject_key, and as far as known region, authority_name, legal_bases,
            fine_fen, valid_to, published_until, published_on (on this channel), conduct_ended_on.
    """
    frame = records.with_columns(
        pl.lit(None, kind).alias(name) for name, kind in _OPTIONAL.items() if name not in records.columns
    )
    rows = frame.height
    found: dict[str, list[Any]] = {name: [None] * rows for name in WINDOWS_SCHEMA}
    ends = _days(frame["published_until"])
    batch = _Batch(frame)
    for pack in packs:
        if pack.channel not in (channel, "any"):
            continue
        for category in pack.categories:
            where, tiers = batch.judged(pack, category)
            if not len(where):
                continue
            some = frame[where]
            least, most = _least(some, pack, category, tiers), _most(batch, where, pack, category, tiers)
            ends[where] = np.minimum(ends[where], most)
            if pack.channel == channel:
                _tell(found, where, pack, category, tiers, least, most, some)
    if channel == "credit":
        ends = np.minimum(ends, _outer_limits(batch))
    found["publication_end"] = [_day(end) for end in ends.tolist()]
    return pl.DataFrame(found, schema=WINDOWS_SCHEMA)


def publication_limits(frame: pl.DataFrame, packs: Sequence[WindowPack], channel: Channel = "credit") -> pl.Series:
    """The last day on which each event may be shown, by the packs and the catalogue's outer limit; null = no limit.

    Args:
        frame: category, classes, decided_on, subject_key, region, fine_fen, valid_to; more columns do not matter.
    """
    usable = [p for p in packs if p.channel in (channel, "any") and p.starts in frame.columns]
    categories = {category for pack in usable for category in pack.categories} | _limited_categories()
    rows = np.flatnonzero(frame["category"].is_in(sorted(categories)).to_numpy())
    names = ["category", "classes", "subject_key", "region", "fine_fen", "decided_on", "valid_to"]
    some = frame.select({*names, *(pack.starts for pack in usable)})[rows]
    limits = np.full(len(rows), _NO_DAY, np.int64)
    batch = _Batch(some)
    for pack in usable:
        for category in pack.categories:
            where, tiers = batch.judged(pack, category)
            if len(where):
                limits[where] = np.minimum(limits[where], _most(batch, where, pack, category, tiers))
    if channel == "credit":
        limits = np.minimum(limits, _outer_limits(batch))
    known = limits != _NO_DAY
    ends = pl.Series("limit", limits[known].astype(np.int32)).cast(pl.Date)
    if len(ends) == frame.height:
        return ends
    return pl.Series("limit", [None], pl.Date).new_from_index(0, frame.height).scatter(rows[known], ends)


def of_jurisdiction(jurisdiction: str) -> pl.Expr:
    """Whether the subject's key is one of the jurisdiction."""
    if jurisdiction == "CN":
        return pl.col("subject_key").str.starts_with("org:") | pl.col("subject_key").str.starts_with("reg:")
    return pl.col("subject_key").str.starts_with(f"{jurisdiction}-")


def add_months(days: Days, months: Days) -> Days:
    """The corresponding days `months` later, or the last of a shorter month; days since 1970-01-01."""
    dates = days.astype("datetime64[D]")
    first = dates.astype("datetime64[M]")
    in_month = (dates - first.astype("datetime64[D]")).astype(np.int64)
    target = first + months
    last = ((target + 1).astype("datetime64[D]") - target.astype("datetime64[D]")).astype(np.int64) - 1
    return target.astype("datetime64[D]").astype(np.int64) + np.minimum(in_month, last)


@lru_cache(maxsize=65_536)
def tier_of(tiers: tuple[Tier, ...], kind: str) -> tuple[int, bool]:
    """The place of the tier that a kind of decision is of, and whether a word of the pack says so.

    The longest word is found first and taken out, so that 暂扣或者吊销 is not read as 吊销.
    """
    words = sorted(((word, rank) for rank, tier in enumerate(tiers) for word in tier.kinds), key=lambda w: -len(w[0]))
    rest = kind
    ranks: list[int] = []
    for word, rank in words:
        if word in rest:
            rest = rest.replace(word, _UNIT)
            ranks.append(rank)
    return max(ranks, default=_default(tiers)), bool(ranks)


def _default(tiers: tuple[Tier, ...]) -> int:
    return next(rank for rank, tier in enumerate(tiers) if tier.default)


@dataclass(frozen=True, slots=True)
class _Kinds:
    """A column of lists of kinds, each distinct kind once.

    Attributes:
        distinct: the kinds; which: for each mention its place among them; rows: the row of each first mention, and
        first: where that mention stands.
    """

    distinct: list[str]
    which: Rows
    rows: Rows
    first: Rows

    @classmethod
    def of(cls, column: pl.Series) -> _Kinds:
        lengths = column.list.len().fill_null(0).to_numpy().astype(np.int64)
        rows = np.flatnonzero(lengths)
        mentions = column.list.explode(empty_as_null=False, keep_nulls=False).rechunk()
        coded = mentions.to_arrow(compat_level=pl.CompatLevel.oldest()).dictionary_encode()
        first = (np.cumsum(lengths) - lengths)[rows]
        return cls(
            [str(kind) for kind in coded.dictionary.to_pylist()], coded.indices.to_numpy().astype(np.int64), rows, first
        )

    def ranks(self, tiers: tuple[Tier, ...], height: int) -> Rows:
        """The place of the gravest tier of each row's kinds."""
        found = np.full(height, _default(tiers), np.int64)
        if len(self.rows):
            of_kind = np.array([tier_of(tiers, kind)[0] for kind in self.distinct], np.int64)
            found[self.rows] = np.maximum.reduceat(of_kind[self.which], self.first)
        return found


class _Batch:
    """The columns of a batch as the packs ask for them; what several packs ask is answered once."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame
        self._kinds = _Kinds.of(frame["classes"])
        self._days: dict[str, Days] = {}
        self._masks: dict[str, Flags] = {}

    def days(self, name: str) -> Days:
        """A column of dates as days since 1970-01-01; `_NO_DAY` for null."""
        if name not in self._days:
            self._days[name] = _days(self.frame[name])
        return self._days[name]

    def of(self, category: str, jurisdiction: str) -> Flags:
        """Which rows are of a category and a jurisdiction."""
        return self._mask(f"category {category}", pl.col("category") == category) & self._mask(
            jurisdiction, of_jurisdiction(jurisdiction)
        )

    def judged(self, pack: WindowPack, category: str) -> tuple[Rows, Rows]:
        """Rows about which the pack speaks, and the place of each row's tier among `pack.tiers_of(category)`."""
        decided = self.days("decided_on")
        speaks = (decided >= _number(pack.from_day)) & (decided <= _number(pack.to_day or date.max))
        speaks &= self.of(category, pack.jurisdiction)
        if pack.region:
            speaks &= self._mask(f"region {pack.region}", pl.col("region").str.starts_with(pack.region))
        rows = np.flatnonzero(speaks)
        tiers = pack.tiers_of(category)
        if not len(rows) or len(tiers) == 1:
            return rows, np.zeros(len(rows), np.int64)
        found = self._kinds.ranks(tiers, self.frame.height)[rows]
        for rank, tier in enumerate(tiers):
            if tier.fine_fen_from is not None:
                fined = (self.frame["fine_fen"].gather(rows) >= tier.fine_fen_from).fill_null(False).to_numpy()
                found = np.where(fined, np.maximum(found, rank), found)
        return rows, found

    def _mask(self, name: str, condition: pl.Expr) -> Flags:
        if name not in self._masks:
            answers = self.frame.select(condition.fill_null(False).alias("answer"))["answer"]
            self._masks[name] = answers.to_numpy()
        return self._masks[name]


def _least(some: pl.DataFrame, pack: WindowPack, category: str, tiers: Rows) -> Days:
    """First days on which an early end is possible; `_NO_DAY` where the law bars it or the start is not known."""
    all_tiers = pack.tiers_of(category)
    months = np.array([tier.min_months for tier in all_tiers])[tiers]
    if pack.areas is not None:
        longer = np.array([tier.published and not tier.if_needed for tier in all_tiers])[tiers] & _in_areas(some, pack)
        months = np.where(longer, np.maximum(months, pack.areas.min_months), months)
    starts = _days(some[pack.starts])
    known = starts != _NO_DAY
    ends = add_months(np.where(known, starts, 0), months)
    possible = known & np.array([tier.early_end and tier.published for tier in all_tiers])[tiers]
    return np.where(possible, ends, _NO_DAY)


def _most(batch: _Batch, rows: Rows, pack: WindowPack, category: str, tiers: Rows) -> Days:
    """Last days of publication of these rows; `_NO_DAY` where the day from which it counts is not known."""
    all_tiers = pack.tiers_of(category)
    starts = batch.days(pack.starts)[rows]
    ends = np.full(len(rows), _NO_DAY, np.int64)
    for rank, tier in enumerate(all_tiers):
        of_tier = np.flatnonzero((tiers == rank) & (starts != _NO_DAY))
        if not tier.published:
            of_tier = np.flatnonzero(tiers == rank)
            ends[of_tier] = batch.days("decided_on")[rows[of_tier]]
        elif len(of_tier):
            ends[of_tier] = _later(starts[of_tier], tier.max_months)
        if tier.real_length and len(of_tier):
            banned_to = batch.days("valid_to")[rows[of_tier]]
            ends[of_tier] = np.where(banned_to == _NO_DAY, ends[of_tier], np.maximum(ends[of_tier], banned_to))
    return ends


def _outer_limits(batch: _Batch) -> Days:
    """The catalogue's limit for the credit portals: no pack goes beyond it, and it holds where none speaks."""
    limits = np.full(batch.frame.height, _NO_DAY, np.int64)
    decided = batch.days("decided_on")
    for name, category in catalogue().items():
        for jurisdiction, months in category.publication_months_max.items():
            rows = np.flatnonzero(batch.of(name, jurisdiction) & (decided != _NO_DAY))
            if len(rows):
                limits[rows] = _later(decided[rows], months)
    return limits


def _limited_categories() -> set[str]:
    return {name for name, category in catalogue().items() if category.publication_months_max}


def _later(days: Days, months: int) -> Days:
    """`add_months` by a table of all days that a record can hold."""
    if len(days) < 1_000 or int(days.min()) < _FIRST or int(days.max()) > _LAST:
        return add_months(days, np.full(len(days), months, np.int64))
    return _all_days_later(months)[days - _FIRST]


@cache
def _all_days_later(months: int) -> Days:
    return add_months(np.arange(_FIRST, _LAST + 1), np.full(_LAST + 1 - _FIRST, months, np.int64))


def _in_areas(some: pl.DataFrame, pack: WindowPack) -> Flags:
    areas = pack.areas
    assert areas is not None
    bases = pl.col("legal_bases").list.join(_UNIT).str.contains_any(list(areas.bases))
    authorities = pl.col("authority_name").str.contains_any(list(areas.authorities))
    within = (bases.fill_null(False) if areas.bases else pl.lit(False)) | (
        authorities.fill_null(False) if areas.authorities else pl.lit(False)
    )
    return some.select(within.alias("within"))["within"].to_numpy() & np.ones(some.height, bool)


def _tell(
    found: dict[str, list[Any]],
    where: Rows,
    pack: WindowPack,
    category: str,
    tiers: Rows,
    least: Days,
    most: Days,
    some: pl.DataFrame,
) -> None:
    """The verdict in words, row by row."""
    all_tiers = pack.tiers_of(category)
    for row, rank, first, last, kinds in zip(
        where.tolist(), tiers.tolist(), least.tolist(), most.tolist(), some["classes"].to_list(), strict=True
    ):
        tier = all_tiers[rank]
        found["pack"][row], found["tier"][row] = pack.name, tier.name
        found["published"][row], found["early_end"][row] = tier.published, tier.early_end and tier.published
        found["min_on"][row], found["max_on"][row] = _day(first), _day(last) if tier.published else None
        found["why"][row] = _why(pack, tier, _because(all_tiers, rank, kinds or ()), known=last != _NO_DAY)


def _because(tiers: tuple[Tier, ...], rank: int, kinds: Sequence[str]) -> str:
    """What makes the decision one of this tier."""
    judged = [(kind, *tier_of(tiers, kind)) for kind in kinds]
    if found := [kind for kind, place, named in judged if named and place == rank]:
        return f"{found[0]} is {tiers[rank].name}"
    if tiers[rank].default and max((place for _, place, _ in judged), default=rank) == rank:
        return f"{tiers[rank].name}, as is everything of the category that the pack does not name"
    return f"the fine makes it {tiers[rank].name}"


def _why(pack: WindowPack, tier: Tier, because: str, *, known: bool) -> str:
    """The sentence that explains a tier, with its source."""
    start = _START_WORDS[pack.starts]
    if not tier.published:
        length = "not published"
    elif tier.if_needed:
        length = f"published only where needed, {tier.max_months} months from {start} at most"
    else:
        length = f"published {tier.min_months} to {tier.max_months} months from {start}"
    unknown = "" if known else ", which is not on record"
    memory = f"; from memory: {tier.memory}" if tier.memory else ""
    return f"{pack.name}: {because}; {length}{unknown} ({tier.source}{memory})"


def _days(column: pl.Series) -> Days:
    """As days since 1970-01-01; `_NO_DAY` for null."""
    days = column.cast(pl.Date).to_physical().cast(pl.Int64).fill_null(_NO_DAY)
    return days.to_numpy().copy()


def _number(day: date) -> int:
    return (day - _EPOCH).days


def _day(number: int) -> date | None:
    return None if number == _NO_DAY else _EPOCH + timedelta(days=number)
