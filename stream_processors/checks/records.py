"""Do the log's own copies agree: receipts with the fold, revisions with one another, records with the history? Pure."""

from typing import Any

import numpy as np
import polars as pl
import polars_hash as plh

from schemas.hashing import mix
from stream_processors.checks import refold
from stream_processors.checks.findings import Check, Found, check, found_sentences
from stream_processors.checks.history import UNJUDGED, Aligned, Verdict
from stream_processors.checks.places import Departments
from stream_processors.checks.refold import Marker

Ints = np.ndarray[Any, Any]

_RECORD = ["high", "low"]


def record_checks(
    aligned: Aligned,
    verdict: Verdict,
    records: pl.DataFrame,
    history_stable_to: dict[int, int],
    receipts: pl.DataFrame,
    departments: Departments,
) -> list[Check]:
    """What must hold between identified events, history, records and receipts.

    Args:
        records: columns of `columns.record_columns`, markers included, in the order of partition and offset.
        history_stable_to: what lay before this offset of the history was committed before `records` was read.
        receipts: columns place, outcome of register.
    """
    newest = records.unique(_RECORD, keep="last", maintain_order=True)
    judged = int((verdict.outcomes != UNJUDGED).sum())
    return [
        check(
            "the history is what a second fold of the identified events says",
            judged,
            found_sentences(verdict.differences, verdict.sentences),
        ),
        check(
            "register's receipts say what a second fold says",
            judged,
            _receipts(aligned, verdict, receipts, departments),
        ),
        check("the revisions of each record are 1, 2, 3 and so on", aligned.rows.height, _revisions(aligned)),
        check(
            "credit.records holds the newest revision of each record",
            int((~newest["marker"]).sum()),
            *_newest(aligned, newest.filter(~pl.col("marker")), history_stable_to),
        ),
        check(
            "credit.records holds a marker for every other thing said of a record",
            int(newest["marker"].sum()),
            *_markers(aligned, verdict, newest.filter("marker"), departments),
        ),
    ]


def _receipts(aligned: Aligned, verdict: Verdict, receipts: pl.DataFrame, departments: Departments) -> Found:
    codes = {name: code for code, name in enumerate(refold.OUTCOMES)}
    said = receipts.select(
        "place", said=pl.col("outcome").replace_strict(codes, default=UNJUDGED, return_dtype=pl.UInt8)
    ).unique("place")
    folded = aligned.events.select("place").with_columns(folded=pl.Series(verdict.outcomes, dtype=pl.UInt8))
    both = folded.filter(pl.col("folded") != UNJUDGED).join(said, on="place", how="inner")
    differing = both.filter(pl.col("folded") != pl.col("said")).sort("place")
    return found_sentences(
        differing.height,
        (
            f"{departments.named(place)} is {refold.OUTCOMES[folded]}, its receipt says {_outcome(said)}"
            for place, folded, said in differing.iter_rows()
        ),
    )


def _outcome(code: int) -> str:
    return refold.OUTCOMES[code] if code < len(refold.OUTCOMES) else "something else"


def _rewriting(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of the history that made a revision; the others bear the status of a marker."""
    return rows.filter(pl.col("status") < refold.SUPERSEDED)


def _revisions(aligned: Aligned) -> Found:
    counted = _rewriting(aligned.rows).with_columns(expected=pl.int_range(1, pl.len() + 1).over("record"))
    wrong = counted.filter(pl.col("revision") != pl.col("expected")).unique("record", keep="first", maintain_order=True)
    return found_sentences(
        wrong.height,
        (
            f"record {_identity(high, low)}: revision {expected} is expected in the history, {revision} is there"
            for high, low, expected, revision in wrong.select(*_RECORD, "expected", "revision").iter_rows()
        ),
    )


def _newest(aligned: Aligned, newest: pl.DataFrame, stable_to: dict[int, int]) -> tuple[Found, Found, Found]:
    """Missing, outdated, and other than the history."""
    made = _rewriting(aligned.rows)
    limit = pl.col("partition").replace_strict(stable_to, default=0, return_dtype=pl.Int64)
    due = made.filter(pl.col("offset") < limit).group_by(_RECORD).agg(due=pl.col("revision").max())
    held = due.join(newest.select(*_RECORD, "revision"), on=_RECORD, how="left")
    missing = held.filter(pl.col("revision").is_null()).sort(_RECORD)
    outdated = held.filter(pl.col("revision") < pl.col("due")).sort(_RECORD)
    known = made.select(*_RECORD, "revision", "whole")
    foreign = newest.join(known, on=known.columns, how="anti", nulls_equal=False).sort(_RECORD)
    return (
        found_sentences(
            missing.height,
            (
                f"missing: record {_identity(high, low)} is in the history up to revision {due}, not in credit.records"
                for high, low, due in missing.select(*_RECORD, "due").iter_rows()
            ),
        ),
        found_sentences(
            outdated.height,
            (
                f"outdated: record {_identity(high, low)} is at revision {revision}, its history at {due}"
                for high, low, due, revision in outdated.iter_rows()
            ),
        ),
        found_sentences(
            foreign.height,
            (
                f"differing: record {_identity(high, low)}, revision {revision}, is not as the history has it"
                for high, low, revision in foreign.select(*_RECORD, "revision").iter_rows()
            ),
        ),
    )


def _markers(
    aligned: Aligned, verdict: Verdict, there: pl.DataFrame, departments: Departments
) -> tuple[Found, Found, Found]:
    """Missing, differing, and unexplained."""
    expected = _expected_markers(verdict.markers, departments)
    of_events = aligned.events.select("place").unique().with_columns(ours=True)
    there = there.join(of_events, on="place", how="left", maintain_order="left")
    both = expected.join(
        there.select(*_RECORD, "status", "content_order", "ours"), on=_RECORD, how="left", suffix="_there"
    )
    missing = both.filter(pl.col("status_there").is_null()).sort(_RECORD)
    differing = both.filter(
        pl.col("ours") & ((pl.col("status") != pl.col("status_there")) | (pl.col("order") != pl.col("content_order")))
    ).sort(_RECORD)
    settled = aligned.events.select("record", *_RECORD).unique("record")
    settled = settled.filter(pl.Series(verdict.settled[settled["record"].to_numpy()]))
    unexplained = (
        there.filter("ours")
        .join(settled, left_on=["variant_high", "variant_low"], right_on=_RECORD, how="semi")
        .join(expected, on=_RECORD, how="anti")
        .sort(_RECORD)
    )
    return (
        _named_markers("missing", missing, ["of_high", "of_low"]),
        _named_markers("differing", differing, ["of_high", "of_low"]),
        _named_markers("unexplained", unexplained, ["variant_high", "variant_low"]),
    )


def _named_markers(how: str, markers: pl.DataFrame, of: list[str]) -> Found:
    return found_sentences(
        markers.height,
        (
            f"{how}: marker {_identity(high, low)} ({refold.STATUSES[status]}) of record {_identity(of_high, of_low)}"
            for high, low, of_high, of_low, status in markers.select(*_RECORD, *of, "status").iter_rows()
        ),
    )


def _expected_markers(markers: list[tuple[str, Marker, int]], departments: Departments) -> pl.DataFrame:
    """Ids of markers: the record's id mixed with what is marked, so that each thing said has one id of its own."""
    count = len(markers)
    of_high = _uint64(int(identity[:16], 16) for identity, _, _ in markers)
    of_low = _uint64(int(identity[16:], 16) for identity, _, _ in markers)
    what = _uint64(
        refold.CONFIRMED if marker.status == refold.CONFIRMED else marker.content for _, marker, _ in markers
    )
    acts = np.fromiter((marker.act is not None for _, marker, _ in markers), bool, count)
    if acts.any():
        hashes = _department_hashes(departments)
        done = [marker.act for _, marker, _ in markers if marker.act is not None]
        sender = _uint64(0 if department is None else hashes[department] for _, _, department in done)
        act = mix(mix(_uint64(order for order, _, _ in done), _uint64(operation for _, operation, _ in done)), sender)
        what[acts] = mix(what[acts], act)
    return pl.DataFrame(
        {
            "high": mix(of_high, what),
            "low": mix(of_low, what),
            "of_high": of_high,
            "of_low": of_low,
            "status": [marker.status for _, marker, _ in markers],
            "order": [order for _, _, order in markers],
        },
        schema={
            "high": pl.UInt64,
            "low": pl.UInt64,
            "of_high": pl.UInt64,
            "of_low": pl.UInt64,
            "status": pl.UInt8,
            "order": pl.Int64,
        },
    )


def _uint64(numbers: Any) -> Ints:
    return np.array(list(numbers), np.uint64)


def _department_hashes(departments: Departments) -> list[int]:
    """The lower 32 bits of xxh3-64 of each department's name, which is how a record's state names it."""
    names = pl.DataFrame({"name": departments.names}, schema={"name": pl.String})
    hashed = names.select(hash=plh.col("name").nchash.xxh3_64() & 0xFFFFFFFF)
    return hashed["hash"].to_list()


def _identity(high: int, low: int) -> str:
    return f"{high:016x}{low:016x}"
