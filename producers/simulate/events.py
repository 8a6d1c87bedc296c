"""Events at a rate or at full speed: penalties of fictional bodies, in columns, the same for the same seed.

Of a hundred events 5 repeat an earlier one, 2 correct an earlier one under a newer version of its source, and of the
decisions one in a hundred names a code with a wrong check digit. What each must become is known (`expected_outcomes`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from producers.simulate.bodies import bodies, wrong_check
from producers.simulate.chance import below, chosen, draw
from producers.stamp import stamp
from schemas.avro import CREDIT_EVENT
from schemas.reference import Authority

Numbers = np.ndarray[Any, np.dtype[np.int64]]

BATCH_ROWS = 20_000
REPEATS, CORRECTIONS, BAD_CODES = 0.05, 0.02, 0.01
_FRESH, _REPEAT, _CORRECTION = 0, 1, 2
_GROUP = 8  # of eight decisions in a row the first may be corrected, the others may be repeated
_TRIES = 8
_FIRST_VERSION_MS = 1_577_836_800_000  # 2020-01-01: versions only have to grow, by what a record can tell apart (10 ms)
_VERSION_STEP_MS = 10
_FINE_FEN_MAX = 100_000 * 201  # above the fine of any decision before its correction
_DAYS_BACK = 300  # within the year that a penalty is published; none is of a class that is published for less

_CLASSES = ["降低资质等级", "罚款", "没收违法所得", "没收非法财物", "责令停产停业", "吊销许可证件"]
_BASES = [
    "《中华人民共和国产品质量法》第四十九条",
    "《中华人民共和国食品安全法》第一百二十四条",
    "《中华人民共和国环境保护法》第五十九条",
    "《中华人民共和国大气污染防治法》第九十九条",
    "《中华人民共和国广告法》第五十五条",
    "《中华人民共和国反不正当竞争法》第十九条",
    "《中华人民共和国价格法》第四十条",
    "《中华人民共和国安全生产法》第九十七条",
]


@dataclass(frozen=True, slots=True)
class Stream:
    """What a stream of events is made from.

    Attributes:
        authorities: who decides, one of them for each decision.
        today: decisions are of the days before it.
        population: how many bodies there are.
    """

    seed: int
    authorities: Sequence[Authority]
    today: date
    population: int = 200_000


def generate_events(
    stream: Stream, count: int, submission: str, reported_at_ms: int, *, first: int = 0, batch_rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Stamped events `first` to `first` + `count` - 1 of a stream, in CREDIT_EVENT columns."""
    for events in unstamped_events(stream, count, first=first, batch_rows=batch_rows):
        yield stamp(events, submission, reported_at_ms, None)


def unstamped_events(
    stream: Stream, count: int | None, *, first: int = 0, batch_rows: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Events without submission, id and time; without end where `count` is None."""
    start, end = first, None if count is None else first + count
    while end is None or start < end:
        stop = start + batch_rows if end is None else min(start + batch_rows, end)
        yield _batch(stream, np.arange(start, stop))
        start = stop


def expected_outcomes(stream: Stream, count: int) -> dict[str, int]:
    """How many of the first `count` events become what, sent once and in order to an empty platform."""
    totals = {"new": 0, "repeat": 0, "superseding": 0, "quarantined": 0}
    for start in range(0, count, 1_000_000):
        numbers = np.arange(start, min(start + 1_000_000, count))
        kinds, decisions = _kinds_and_decisions(stream.seed, numbers)
        bad = _has_bad_code(stream.seed, decisions)
        totals["quarantined"] += int(bad.sum())
        for name, kind in (("new", _FRESH), ("repeat", _REPEAT), ("superseding", _CORRECTION)):
            totals[name] += int(((kinds == kind) & ~bad).sum())
    return totals


def _kinds_and_decisions(seed: int, numbers: Numbers) -> tuple[Numbers, Numbers]:
    """What each event is, and the decision that it reports: its own number, or that of an earlier event."""
    wanted = _wanted(seed, numbers)
    decisions = numbers.copy()
    kinds = np.zeros(len(numbers), np.int64)
    groups = np.maximum(numbers // _GROUP, 1)
    for attempt in range(_TRIES):
        open_rows = np.flatnonzero((wanted != _FRESH) & (kinds == _FRESH))
        group = (draw(seed, f"target {attempt}", numbers[open_rows]) % groups[open_rows].astype(np.uint64)).astype(
            np.int64
        )
        place = 1 + below(seed, f"place {attempt}", numbers[open_rows], _GROUP - 1)
        target = group * _GROUP + np.where(wanted[open_rows] == _CORRECTION, 0, place)
        good = (_wanted(seed, target) == _FRESH) & ~_has_bad_code(seed, target)
        decisions[open_rows[good]] = target[good]
        kinds[open_rows[good]] = wanted[open_rows[good]]
    return kinds, decisions


def _wanted(seed: int, numbers: Numbers) -> Numbers:
    """Kind of each event; the first two groups have nothing before them and are fresh."""
    percent = below(seed, "kind of event", numbers, 10_000) / 10_000
    kinds = np.select([percent < REPEATS, percent < REPEATS + CORRECTIONS], [_REPEAT, _CORRECTION], _FRESH)
    return np.where(numbers < 2 * _GROUP, _FRESH, kinds)


def _has_bad_code(seed: int, decisions: Numbers) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return chosen(seed, "bad code", decisions, BAD_CODES)


def _batch(stream: Stream, numbers: Numbers) -> pa.RecordBatch:
    seed = stream.seed
    kinds, decisions = _kinds_and_decisions(seed, numbers)
    corrects = kinds == _CORRECTION
    regions = sorted({authority.region for authority in stream.authorities if authority.region})
    subjects = bodies(seed, below(seed, "subject", decisions, stream.population), regions)
    bad = pl.Series(_has_bad_code(seed, decisions))
    codes = pl.select(pl.when(bad).then(wrong_check(subjects.codes)).otherwise(subjects.codes)).to_series()
    authority = pl.Series(below(seed, "authority", decisions, len(stream.authorities)))
    days = below(seed, "day", decisions, _DAYS_BACK)
    # A correction changes the fine to one that no other event has, or it might be a repeat by accident.
    fines = np.where(corrects, _FINE_FEN_MAX + 100 * numbers, 100_000 * (1 + below(seed, "fine", decisions, 200)))
    frame = pl.DataFrame(
        {
            "source_row": pl.Series(numbers + 1, dtype=pl.Int32),
            "subject_ids": "CN-USCC:" + codes,
            "subject_name": subjects.names,
            "authority_code": pl.Series([a.code for a in stream.authorities]).gather(authority),
            "authority_name": pl.Series([a.name for a in stream.authorities]).gather(authority),
            "region": pl.Series([a.region for a in stream.authorities]).gather(authority),
            "decision": decisions,
            "year": stream.today.year,
            "classes": _picked(seed, "class", decisions, _CLASSES),
            "legal_bases": _picked(seed, "basis", decisions, _BASES),
            "fine_fen": fines,
            "decided_on": pl.Series(np.datetime64(stream.today - timedelta(days=1)) - days).cast(pl.Date),
            "source_version": pl.Series(np.where(corrects, _FIRST_VERSION_MS + numbers * _VERSION_STEP_MS, -1)).cast(
                pl.Int64
            ),
        }
    ).with_columns(
        document_number=pl.format("演罚〔{}〕{}号", "year", "decision"),
        source_url=pl.format("https://credit.example/decisions/{}", "decision"),
        source_version=pl.when(pl.col("source_version") >= 0).then("source_version").cast(pl.Datetime("ms")),
    )
    return _assemble(frame)


def _picked(seed: int, purpose: str, numbers: Numbers, words: list[str]) -> pl.Series:
    return pl.Series(words).gather(below(seed, purpose, numbers, len(words)))


_CONSTANTS = {"category": "penalty", "operation": "report", "mapping": "simulated@1", "state": "0"}


def _assemble(frame: pl.DataFrame) -> pa.RecordBatch:
    """CREDIT_EVENT columns from the frame's, with the missing ones empty."""
    count = frame.height
    lists = frame.with_columns(pl.concat_list(name) for name in ("subject_ids", "classes", "legal_bases"))
    table = lists.to_arrow(compat_level=pl.CompatLevel.oldest())
    columns: list[pa.Array[Any]] = []
    for field in CREDIT_EVENT.arrow:
        if field.name in table.column_names:
            columns.append(table[field.name].combine_chunks().cast(field.type))
        elif field.nullable:
            columns.append(pa.nulls(count, field.type))
        else:
            empty: Any = [] if pa.types.is_list(field.type) else "" if pa.types.is_string(field.type) else 0
            columns.append(pa.repeat(pa.scalar(_CONSTANTS.get(field.name, empty), field.type), count))
    return pa.RecordBatch.from_arrays(columns, schema=CREDIT_EVENT.arrow)
