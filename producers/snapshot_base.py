"""What stood in the last full list: from the file that was kept of it, corrected by what an interrupted one has sent,
or, where there is no such file, from the platform's records or from the last list itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl

from producers.kafka import Cluster, end_offsets, read_up_to
from producers.snapshot import Base, Survey
from producers.snapshot_file import ListFile
from producers.snapshot_lines import (
    CLOSED,
    ID,
    LISTED,
    PARTS,
    REOPENED,
    UNREADABLE,
    WITHDRAW,
    WITHDRAWN,
    no_lines,
    of_records,
)
from producers.stamp import Keys, places_of
from schemas import codec
from schemas.avro import CREDIT_RECORD
from schemas.errors import InputError, Retryable
from schemas.settings import Settings
from schemas.topics import RECORDS

_SOURCE_LONGEST = 16
_SUBMISSION_END = r"-\d{8}-\d{6}-[0-9a-f]{4,8}$"
_READ = ("record_id", "variant_of", "status", "department", "submission", "mapping", "source_version", "subject_key")


def of_last(last: ListFile | None) -> Base:
    """The last list as it was kept; nothing where there was none."""
    if last is None:
        return Base()
    about = last.about
    return Base(
        last,
        version_ms=about.version_ms,
        acts_version_ms=about.acts_version_ms,
        contents=tuple(about.contents),
    )


def of_survey(last: Survey, content: str) -> Base:
    """The last list, read again from its own file."""
    return Base(
        Joined(last.lines, [last.unreadable]),
        version_ms=last.version_ms_max,
        acts_version_ms=last.version_ms_max,
        contents=(content,),
    )


def together(known: Base, more: Base) -> Base:
    """Two accounts of what stood before: whatever stands in either of them."""
    return Base(
        Joined(known.lines, more.lines),
        known.no_longer_listed,
        known.no_longer_closed,
        version_ms=max(known.version_ms or 0, more.version_ms or 0) or None,
        acts_version_ms=max(known.acts_version_ms or 0, more.acts_version_ms or 0) or None,
        contents=(*more.contents, *known.contents),
    )


class Joined:
    """Lines from several places, one after the other, as often as they are asked for."""

    def __init__(self, *parts: Iterable[pl.DataFrame]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for part in self._parts:
            yield from part


def after_interruption(last: ListFile | None, begun: ListFile, sent: Keys | None) -> Base:
    """The last list, and what of one that was begun after it has reached the topic.

    Args:
        sent: places of its events on the topic; None where the topic does not tell any more. Then each of its rows
            counts as sent, and its withdrawals as both sent and not: they are sent again where they are still right.
    """
    before = of_last(last)
    if sent is not None and len(sent) == 0:
        return before
    records = begun.of_kind(LISTED, CLOSED)
    acts = begun.of_kind(WITHDRAW)
    opened = begun.of_kind(REOPENED)
    no_longer_listed = no_longer_closed = no_lines().select(ID)
    if sent is not None:
        records, acts, opened = (_that_were_sent(lines, sent) for lines in (records, acts, opened))
        no_longer_listed, no_longer_closed = acts.select(ID), opened.select(ID)
    lines = Joined(before.lines, [records, acts.with_columns(kind=pl.lit(WITHDRAWN))])
    about = begun.about
    return Base(
        lines,
        no_longer_listed,
        no_longer_closed,
        version_ms=max(about.version_ms, before.version_ms or 0),
        acts_version_ms=max(about.acts_version_ms, before.acts_version_ms or 0),
        contents=(*before.contents, *about.contents[-1:]),
    )


def _that_were_sent(lines: pl.DataFrame, sent: Keys) -> pl.DataFrame:
    return lines.filter(pl.Series(np.isin(places_of(lines["row"], lines["part"]), sent), dtype=pl.Boolean))


def of_platform(
    settings: Settings, cluster: Cluster, department: str, mapping: str, list_name: str, silence_seconds_max: float
) -> Base:
    """The records that the platform holds of this list: reported by the department, through the mapping, and named so.

    Reads the whole of `credit.records`, which takes its time: only where nothing was kept here.

    Raises:
        InputError: this department may not read the records, or there are none yet.
    """
    cluster.require(settings, RECORDS)
    ends = end_offsets(settings, RECORDS, cluster.partitions[RECORDS])
    found = [_no_records()]
    name = department.encode()
    try:
        for values in read_up_to(settings, RECORDS, dict.fromkeys(ends, 0), ends, silence_seconds_max):
            found.append(_records_of(department, [value for value in values if name in value]))
    except Retryable as error:
        raise InputError(
            f"looking for the last list in {RECORDS}: {error}; where the department may not read it, name the file of "
            "the last list with --previous, or say --first where there was none"
        ) from error
    records = pl.concat(found).unique("record_id", keep="last", maintain_order=True)
    ours = pl.col("submission").str.replace(_SUBMISSION_END, "") == list_name
    of_mapping = pl.col("mapping").str.replace(r"@\d+$", "") == mapping
    # A closed record does not tell its mapping, but a submission has only one.
    by_mapping = pl.col("submission").is_in(records.filter(of_mapping)["submission"].unique().implode())
    kind = (
        pl.when(ours & of_mapping & (pl.col("status") == "valid"))
        .then(pl.lit(LISTED))
        .when(ours & (pl.col("status") == "withdrawn"))
        .then(pl.lit(WITHDRAWN))
        .when(ours & by_mapping & pl.col("status").is_in(["annulled", "repaired"]))
        .then(pl.lit(CLOSED))
    )
    lines = records.with_columns(kind=kind).filter(pl.col("kind").is_not_null())
    newest = lines["source_version"].dt.epoch("ms").max()
    version = int(newest) if isinstance(newest, int) else None
    return Base([of_records(lines)], version_ms=version, acts_version_ms=version)


def _no_records() -> pl.DataFrame:
    return _records_of("", [])


def _records_of(department: str, values: list[bytes]) -> pl.DataFrame:
    """Records of the department, markers left out."""
    batch = codec.decode(CREDIT_RECORD, values).batch
    columns = list(dict.fromkeys([*_READ, *PARTS, "subject_name"]))
    frame = pl.DataFrame(pl.from_arrow(batch.select(columns)))
    return frame.filter((pl.col("department") == department) & (pl.col("variant_of") == ""))


def list_name(department: str, source: str) -> str:
    """How the submissions of a list begin, so that the platform's records tell whose they are."""
    return f"{department}-{source}" if source else department


def settled(base: Base) -> Iterator[pl.DataFrame]:
    """The same as lines that stand for themselves: what an interrupted list has changed is applied."""
    for lines in base.lines:
        listed, closed, withdrawn, unreadable = (
            lines.filter(pl.col("kind").is_in(kinds))
            for kinds in ([LISTED], [CLOSED], [WITHDRAWN, WITHDRAW], [UNREADABLE])
        )
        yield listed.join(base.no_longer_listed, on=ID, how="anti")
        yield closed.join(base.no_longer_closed, on=ID, how="anti")
        yield withdrawn.join(base.no_longer_closed, on=ID, how="anti").with_columns(kind=pl.lit(WITHDRAWN))
        yield unreadable


def source_name(text: str) -> str:
    """A source's name in small letters; raises InputError where it can not stand in the id of a submission."""
    if not re.fullmatch(r"(?:[A-Za-z]+(?:[-_][A-Za-z]+)*)?", text) or len(text) > _SOURCE_LONGEST:
        raise InputError(
            f"publishing: --source {text!r} can not be the name of a list; use up to {_SOURCE_LONGEST} letters and "
            "hyphens, such as ceis"
        )
    return text.lower()
