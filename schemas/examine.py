"""What would become of an event: guard, normalise, identify. Read this first.

The same function runs in `xinliu-adapter check`, offline, and in the intake lane. It is pure: a batch of events in,
identified events and rejects out, each input row exactly once on one of the two sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import polars as pl
import pyarrow as pa

from schemas import legal_basis, normalise
from schemas.avro import IDENTIFIED_EVENT, OPERATIONS
from schemas.catalogue import catalogue
from schemas.dates import faulty_dates
from schemas.documents import are_numbers
from schemas.hashing import hash_64
from schemas.identify import CLOSING, identify
from schemas.persons import screen, screen_amounts
from schemas.reasons import REASONS
from schemas.reference import Reference
from schemas.schemes import subject_tables
from schemas.several import several_identified, several_named
from schemas.subjects import keeps_names, resolve_subjects
from schemas.windows import publication_limits
from schemas.windows_packs import WindowPack, load_windows

_TEXTS = (
    "subject_name",
    "authority_name",
    "document_number",
    "item",
    "grade",
    "state",
    "change_document_number",
    "source_url",
    "classes",
    "legal_bases",
)
_PLAIN_TEXTS = ("subject_name", "authority_name", "document_number", "item")
_CODES = ("subject_ids", "authority_code", "region")
# Of both, those in which a batch says few different things.
_REPETITIVE = ("authority_name", "grade", "state", "classes", "legal_bases", "authority_code", "region")
_WORDS = ("submission", "mapping", "category", "operation", "subject_kind", "faults")  # few different values in a batch
_AMOUNTS = ("fine_fen", "confiscated_fen", "amount_fen")
_FIELD_NAME = "^[a-z_]{1,40}$"
_NAMES_LONGEST = 400
_TEXT_LONGEST = 8_000

REJECTS_SCHEMA = {"row": pl.Int64, "outcome": pl.String, "reason": pl.String, "detail": pl.String}


@dataclass(frozen=True, slots=True)
class Examined:
    """The two ways out.

    Attributes:
        identified: IdentifiedEvent columns in input order; `source_partition` and `source_offset` are 0.
        rows: which input row each of them came from.
        rejects: columns row (input row), outcome ("quarantined" or "refused"), reason, detail; never a value.
    """

    identified: pa.RecordBatch
    rows: np.ndarray[Any, np.dtype[np.int64]]
    rejects: pl.DataFrame


def examine(events: pa.RecordBatch, departments: str | pl.Series, reference: Reference) -> Examined:
    """Say of each reported event what it is: an identified report of one record, or a reject with its reason.

    Args:
        events: CREDIT_EVENT columns.
        departments: who reports, by the name of the topic: one for all rows, or one for each.
    """
    frame = pl.DataFrame(pl.from_arrow(events))
    verdict = _Verdict(frame.height)

    verdict.reject("personal_number", screen(frame, (*_TEXTS, *_odd_words(frame)), _CODES, _REPETITIVE))
    verdict.reject("personal_number", screen_amounts(frame, _AMOUNTS))
    frame, unmarked = _without_markup(frame)
    if unmarked:
        verdict.reject("personal_number", screen(frame, unmarked))  # what tags had cut in two
    people, several = several_named(frame["subject_name"])
    verdict.reject("person_row", people)
    tables = subject_tables(reference.directory)
    subjects = resolve_subjects(frame["subject_ids"], tables)
    verdict.refuse_each(subjects["reason"], subjects["reason_detail"])
    verdict.reject_faults(frame["faults"])

    spelled = _spell(frame, reference)
    verdict.reject("category_unknown", _where(~spelled["category"].is_in(list(catalogue())), "category"))
    verdict.reject("operation_unknown", _where(~spelled["operation"].is_in(OPERATIONS), "operation"))
    verdict.reject("value_too_long", _too_long(spelled))

    verdict.reject("several_subjects", several)
    verdict.reject("several_subjects", several_identified(frame["subject_ids"], tables))
    verdict.reject_each(subjects["reason"], subjects["reason_detail"])
    verdict.reject("subject_is_authority", _where(_is_authority(spelled, subjects), "subject_ids"))
    dates = faulty_dates(frame)
    verdict.reject_each(dates["reason"], dates["detail"])
    verdict.reject("document_number_invalid", _where(~are_numbers(spelled["document_number"]), "document_number"))

    good = verdict.good()
    if len(good) < frame.height:
        spelled, subjects = spelled[good], subjects[good]
    dated = _dates(_with_subjects(spelled, subjects), load_windows(reference.directory))
    hashes = identify(dated, catalogue())
    verdict.reject_at(good, "identity_incomplete", hashes.missing)

    who = departments if isinstance(departments, str) else departments.gather(good)
    identified = _assemble(dated, who, hashes.record_id, hashes.content)
    whole = np.flatnonzero(hashes.missing.is_null().to_numpy())
    if len(whole) < len(good):
        identified, good = identified.take(whole), good[whole]
    return Examined(identified, good, verdict.rejects())


class _Verdict:
    """First reason wins: the steps are in the order of what must be said first, refusals before all."""

    def __init__(self, rows: int) -> None:
        self._bad = np.zeros(rows, bool)
        self._found: list[pl.DataFrame] = []

    def good(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.flatnonzero(~self._bad)

    def reject(self, reason: str, details: pl.Series) -> None:
        """Reject the rows whose detail is not null."""
        self._take(details.is_not_null().to_numpy(), reason, details)

    def refuse_each(self, reasons: pl.Series, details: pl.Series) -> None:
        """Like `reject_each` for those reasons that refuse: what may not be held goes before what can be mended."""
        if reasons.null_count() < len(reasons):
            refuses = reasons.is_in([name for name, reason in REASONS.items() if reason.outcome == "refused"])
            self._take(refuses.fill_null(False).to_numpy(), reasons, details)

    def reject_each(self, reasons: pl.Series, details: pl.Series) -> None:
        self._take(reasons.is_not_null().to_numpy(), reasons, details)

    def reject_at(self, rows: np.ndarray[Any, np.dtype[np.int64]], reason: str, details: pl.Series) -> None:
        """Like `reject`, where the details are about only some of the rows."""
        bad = np.flatnonzero(details.is_not_null().to_numpy())
        self._add(rows[bad], pl.Series([reason] * len(bad), dtype=pl.String), details.gather(bad))

    def reject_faults(self, faults: pl.Series) -> None:
        """The adapter's own words: `reason:field`; a word that is no reason of ours counts as unreadable.

        What is not spelled like a field's name is left out: a receipt must not say what a cell held.
        """
        lengths = faults.list.len()
        if not lengths.sum():
            return
        first = faults.list.first()
        parts = first.str.split_exact(":", 1).struct.unnest()
        known = [name for name, reason in REASONS.items() if reason.outcome == "quarantined"]
        reasons = pl.select(
            pl.when(parts["field_0"].is_in(known)).then(parts["field_0"]).otherwise(pl.lit("value_unreadable"))
        ).to_series()
        named = parts["field_1"].str.contains(_FIELD_NAME)
        fields = pl.select(pl.when(named).then(parts["field_1"]).otherwise(pl.lit(""))).to_series()
        self._take((lengths > 0).to_numpy(), reasons, fields)

    def _take(self, bad: np.ndarray[Any, np.dtype[np.bool_]], reason: str | pl.Series, details: pl.Series) -> None:
        rows = np.flatnonzero(bad & ~self._bad)
        if len(rows) == 0:
            return
        reasons = pl.Series([reason] * len(rows), dtype=pl.String) if isinstance(reason, str) else reason.gather(rows)
        self._add(rows, reasons, details.gather(rows))

    def _add(self, rows: np.ndarray[Any, np.dtype[np.int64]], reasons: pl.Series, details: pl.Series) -> None:
        self._bad[rows] = True
        outcomes = [REASONS[reason].outcome for reason in reasons.to_list()]
        self._found.append(
            pl.DataFrame(
                {
                    "row": pl.Series(rows, dtype=pl.Int64),
                    "outcome": pl.Series(outcomes, dtype=pl.String),
                    "reason": reasons,
                    "detail": details.cast(pl.String).fill_null(""),
                }
            )
        )

    def rejects(self) -> pl.DataFrame:
        return pl.concat(self._found).sort("row") if self._found else pl.DataFrame(schema=REJECTS_SCHEMA)


def _where(condition: pl.Series, detail: str) -> pl.Series:
    return pl.select(pl.when(condition).then(pl.lit(detail)).otherwise(pl.lit(None, pl.String))).to_series()


def _odd_words(frame: pl.DataFrame) -> list[str]:
    """Those columns of few values in which something else than our own words stands, so that the guard reads them."""
    usual = r"^[a-z_-]{0,40}(?:-\d{8}-\d{6}-[0-9a-f]{4,8})?$|^[a-z][a-z0-9-]{0,40}@\d{1,4}$|^[a-z_]{1,40}:[a-z_]{0,40}$"
    odd = [name for name in _WORDS if not _unique_texts(frame[name]).str.contains(usual).all(ignore_nulls=True)]
    if not (frame["event_id"].str.len_bytes() == 32).all() or frame["event_id"].str.contains("[^0-9a-f]").any():
        odd.append("event_id")
    return odd


def _unique_texts(column: pl.Series) -> pl.Series:
    if column.dtype == pl.List(pl.String):
        column = column.list.explode(empty_as_null=False)
    return column.unique()


def _without_markup(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The frame without pasted HTML, and the names of the columns that held any."""
    changed: list[pl.Series] = []
    for column in (frame[name] for name in _PLAIN_TEXTS):
        plain = normalise.without_markup(column)
        if plain is not column:
            changed.append(plain)
    return frame.with_columns(changed), [column.name for column in changed]


def _spell(frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """One spelling for every text, and the authority found by its code or by one of its names."""
    authorities = _authorities(frame, reference)
    authority_names = authorities["authority_name"]
    return frame.with_columns(
        normalise.names(frame["subject_name"]),
        authority_names,
        authorities["authority_code"],
        region=pl.when(pl.col("region") == "").then(authorities["authority_region"]).otherwise(pl.col("region")),
        authority_part=pl.when(authorities["authority_code"] != "")
        .then(authorities["authority_code"])
        .otherwise(authority_names),
        document_number=normalise.document_numbers(frame["document_number"]),
        change_document_number=normalise.document_numbers(frame["change_document_number"]),
        item=normalise.texts(frame["item"]),
        grade=normalise.texts(frame["grade"]),
        state=normalise.texts(frame["state"]),
        classes=normalise.lists(frame["classes"]),
        legal_bases=legal_basis.spell_lists(normalise.lists(frame["legal_bases"])),
    )


def _authorities(frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Name, code and region of each row's authority. A batch names few of them: each pair is looked up once."""
    pairs = hash_64(frame, ["authority_name", "authority_code"])
    _, first, which = np.unique(pairs, return_index=True, return_inverse=True)
    few = frame.select("authority_name", "authority_code")[first]
    names = normalise.names(few["authority_name"])
    return reference.resolve_authorities(names, few["authority_code"]).with_columns(authority_name=names)[which]


def _is_authority(frame: pl.DataFrame, subjects: pl.DataFrame) -> pl.Series:
    """Whether the subject of an act is whoever decided it: then the wrong code was copied."""
    same = subjects["subject_id"] == "CN-USCC:" + frame["authority_code"]
    return (same & (frame["category"] != "registration")).fill_null(False)


def _too_long(frame: pl.DataFrame) -> pl.Series:
    """Name of a field that is longer than a record may hold, or null."""
    names = ("subject_name", "authority_name", "document_number", "change_document_number", "item", "source_url")
    lists = [name for name in ("classes", "legal_bases", "subject_ids") if frame[name].list.len().sum()]
    lengths = {name: pl.col(name).str.len_chars() for name in names}
    lengths |= {name: pl.col(name).list.join("").str.len_chars() for name in lists}
    limits = dict.fromkeys(names, _NAMES_LONGEST) | dict.fromkeys(lists, _TEXT_LONGEST)
    suspect = [name for name in names if cast("int", frame[name].str.len_bytes().max() or 0) > _NAMES_LONGEST]
    suspect += [name for name in lists if _bytes_in(frame[name]) > _TEXT_LONGEST]
    detail = pl.lit(None, pl.String)
    for name in suspect:
        detail = pl.when(lengths[name] > limits[name]).then(pl.lit(name)).otherwise(detail)
    if not suspect:
        return pl.Series("detail", [None], pl.String).new_from_index(0, frame.height)
    return frame.select(detail=detail)["detail"]


def _bytes_in(column: pl.Series) -> int:
    """An upper bound of the bytes in any of the lists."""
    longest = column.list.explode(empty_as_null=False).str.len_bytes().max()
    most = column.list.len().max()
    return cast("int", longest or 0) * cast("int", most or 0)


def _with_subjects(frame: pl.DataFrame, subjects: pl.DataFrame) -> pl.DataFrame:
    """Key, canonical identifier and kind; a sole trader's name stays only where it is a name of business."""
    kept = keeps_names(frame["subject_name"], subjects["subject_kind"])
    return frame.with_columns(
        subjects["subject_key"],
        subjects["subject_id"],
        subjects["subject_kind"],
        subject_name=pl.when(kept).then(frame["subject_name"]).otherwise(pl.lit("")),
    )


def _dates(frame: pl.DataFrame, packs: Sequence[WindowPack]) -> pl.DataFrame:
    """The end of publication, which is the strictest of the source's own and the law's limits; the date that orders
    the event; no version from the future.
    """
    limits = publication_limits(frame, packs)
    changes = pl.col("operation").is_in((*CLOSING, "reinstate"))
    effective = pl.when(changes).then(pl.coalesce("change_decided_on", "decided_on")).otherwise(pl.col("decided_on"))
    reported_on = pl.col("reported_at").dt.date()
    return frame.with_columns(
        reported_until=pl.col("published_until"),
        limited_until=pl.min_horizontal("published_until", limits),
        effective_on=pl.min_horizontal(effective, pl.when(effective.is_not_null()).then(reported_on)),
        source_version=pl.min_horizontal(
            "source_version", pl.when(pl.col("source_version").is_not_null()).then(pl.col("reported_at"))
        ),
    )


def _assemble(
    frame: pl.DataFrame, departments: str | pl.Series, record_id: pa.StringArray, content: pa.StringArray
) -> pa.RecordBatch:
    """IdentifiedEvent columns in their order and types."""
    department = pl.lit(departments) if isinstance(departments, str) else departments.alias("department")
    made = ("record_id", "content", "department", "source_partition", "source_offset", "identity_version")
    source = frame.with_columns(published_until=pl.col("limited_until")).select(
        [name for name in IDENTIFIED_EVENT.names if name not in made]
    )
    text = source.with_columns(department=department).to_arrow(compat_level=pl.CompatLevel.oldest())
    rows = frame.height
    columns: dict[str, Any] = {name: text[name] for name in text.column_names}
    columns["record_id"], columns["content"] = record_id, content
    columns["source_partition"] = pa.array(np.zeros(rows, np.int32))
    columns["source_offset"] = pa.array(np.zeros(rows, np.int64))
    columns["identity_version"] = pa.array(np.full(rows, normalise.IDENTITY_VERSION, np.int32))
    return pa.RecordBatch.from_arrays(
        [_one_chunk(columns[field.name]).cast(field.type) for field in IDENTIFIED_EVENT.arrow],
        schema=IDENTIFIED_EVENT.arrow,
    )


def _one_chunk(column: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Array[Any]:
    if not isinstance(column, pa.ChunkedArray):
        return column
    one = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return cast("pa.Array[Any]", one)
