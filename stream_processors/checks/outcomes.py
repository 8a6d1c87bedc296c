"""Every event has exactly one outcome: what went in, held against what intake, quarantine and register say. Pure.

An event is judged once its lane has passed it, and while its topic keeps it. Differences are: an event without an
outcome, an event with two, and an outcome of an event that was never there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from schemas.reasons import OUTCOMES
from stream_processors.checks import places
from stream_processors.checks.findings import Check, Found, check, found
from stream_processors.checks.places import Departments, Ranges

Ints = np.ndarray[Any, Any]

OF_INTAKE = ("quarantined", "refused")
OF_REGISTER = tuple(outcome for outcome in OUTCOMES if outcome not in OF_INTAKE)


@dataclass(frozen=True, slots=True)
class Reported:
    """Events and what was said of them; every event is a place (`checks.places`) of `departments`.

    Attributes:
        events: those within `ranges`, ascending.
        due: which of them must have an outcome; an older one may have outlived its outcome (both are kept so long).
        identified: what intake let through, repeats included. folded: which of these register has passed.
        receipts: columns lane, outcome, place: one row for each event that a receipt speaks of.
        quarantine: what lies on the quarantine topic.
    """

    departments: Departments
    ranges: Ranges
    events: Ints
    due: Ints
    identified: Ints
    folded: Ints
    receipts: pl.DataFrame
    quarantine: Ints


def receipt_rows(receipts: pl.DataFrame) -> pl.DataFrame:
    """RECEIPT messages to one row for each event: partition, offset (of the receipt), lane, department, outcome,
    source_partition, source_offset."""
    rows = receipts.select(
        "partition", "offset", "lane", "department", "outcome", "source_partition", source_offset="offsets"
    )
    return rows.explode("source_offset", empty_as_null=False)


def outcome_checks(reported: Reported) -> list[Check]:
    """What must hold of the events and their outcomes."""
    look = reported.ranges.looked_at
    by_intake = _said(reported, "intake")
    by_register = _said(reported, "register")["place"].to_numpy()
    quarantined = np.unique(look(by_intake.filter(pl.col("outcome") == "quarantined")["place"].to_numpy()))
    identified = np.unique(look(reported.identified))
    folded = np.isin(identified, reported.identified[reported.folded])
    name = reported.departments.named
    return [
        check(
            "every event was identified, quarantined or refused, exactly once",
            int(reported.due.sum()),
            *_compare(
                reported.events,
                reported.due,
                look(np.concatenate([reported.identified, by_intake["place"].to_numpy()])),
                name,
                "intake says nothing of it",
            ),
        ),
        check(
            "every identified event has exactly one outcome of register",
            int(folded.sum()),
            *_compare(identified, folded, look(by_register), name, "register says nothing of it"),
        ),
        check(
            "every quarantined event lies on credit.quarantine, exactly once",
            len(quarantined),
            *_compare(
                quarantined,
                np.ones(len(quarantined), bool),
                look(reported.quarantine),
                name,
                "its receipt says quarantined, but it does not lie there",
            ),
        ),
        check(
            "every receipt bears an outcome that its lane may give",
            reported.receipts.height,
            _foreign_outcomes(reported, name),
        ),
    ]


def _said(reported: Reported, lane: str) -> pl.DataFrame:
    return reported.receipts.filter(pl.col("lane") == lane)


def _compare(
    expected: Ints, due: Ints, outcomes: Ints, name: Callable[[int], str], silence: str
) -> tuple[Found, Found, Found]:
    """Missing, doubled, unknown. `expected` is ascending and unique; `due` says which of it may not be missing."""
    at = np.searchsorted(expected, outcomes)
    known = np.zeros(len(outcomes), bool)
    inside = at < len(expected)
    known[inside] = expected[at[inside]] == outcomes[inside]
    times = np.bincount(at[known], minlength=len(expected))
    return (
        found(expected[due & (times == 0)], lambda place: f"missing: {name(place)}, {silence}"),
        found(expected[times > 1], lambda place: f"doubled: {name(place)} has more than one outcome"),
        found(np.unique(outcomes[~known]), lambda place: f"unknown: {name(place)} has an outcome but is not there"),
    )


def _foreign_outcomes(reported: Reported, name: Callable[[int], str]) -> Found:
    of_intake = (pl.col("lane") == "intake") & pl.col("outcome").is_in(OF_INTAKE)
    of_register = (pl.col("lane") == "register") & pl.col("outcome").is_in(OF_REGISTER)
    wrong = reported.receipts.filter(~(of_intake | of_register))["place"].to_numpy()
    return found(
        wrong, lambda place: f"foreign: the receipt of {name(place)} has an outcome that its lane can not give"
    )


def counted(reported: Reported) -> pl.DataFrame:
    """How many events each partition of each department's topic has, and what became of them.

    Columns: department, partition, first_offset, last_offset, events, identified, then one for each outcome.
    """
    events = (
        _with_streams(reported.events)
        .with_columns(offset=pl.Series(places.offsets_of(reported.events), dtype=pl.Int64))
        .group_by("stream")
        .agg(first_offset=pl.col("offset").min(), last_offset=pl.col("offset").max(), events=pl.len())
    )
    identified = (
        _with_streams(reported.ranges.looked_at(reported.identified)).group_by("stream").agg(identified=pl.len())
    )
    said = _with_streams(reported.receipts["place"].to_numpy()).with_columns(reported.receipts["outcome"])
    said = said.filter(pl.Series(np.isin(said["place"].to_numpy(), reported.events)))
    outcomes = said.group_by("stream").agg((pl.col("outcome") == outcome).sum().alias(outcome) for outcome in OUTCOMES)
    table = events.join(identified, on="stream", how="left").join(outcomes, on="stream", how="left").sort("stream")
    split = [places.department_and_partition(stream) for stream in table["stream"].to_list()]
    return table.select(
        pl.Series("department", [reported.departments.names[department] for department, _ in split], pl.String),
        pl.Series("partition", [partition for _, partition in split], pl.Int32),
        "first_offset",
        "last_offset",
        "events",
        pl.col("identified", *OUTCOMES).fill_null(0),
    )


def _with_streams(of: Ints) -> pl.DataFrame:
    schema = {"place": pl.UInt64, "stream": pl.UInt64}
    return pl.DataFrame({"place": of, "stream": places.streams_of(of)}, schema=schema)
