"""Rows become events: persons out first, then the fields, then the guard over all that is kept. Pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from producers.fields import DTYPES, KINDS, Cells, FieldRule, Filled, fill
from producers.formats import fold
from producers.readers import Chunk, Column, Layout
from producers.rules import IdRule, Rules, When
from schemas.avro import CREDIT_EVENT
from schemas.persons import screen, screen_amounts
from schemas.reasons import REASONS
from schemas.schemes import SubjectTables
from schemas.several import people_beside
from schemas.subjects import keeps_names, may_be_persons, resolve_subjects

_CODE_FIELDS = ("subject_ids", "authority_code", "region")
_TITLE = Layout("title", (Column("title", ("title",)),))


@dataclass(frozen=True, slots=True)
class Mapped:
    """The two ways out of a chunk; each row is on one of them.

    Attributes:
        events: CREDIT_EVENT columns, by row and part; submission, event_id and reported_at are the publisher's.
        refused: columns row, reason, detail of the rows that the line forbids, and nothing else of them.
    """

    events: pa.RecordBatch
    refused: pl.DataFrame


def apply(rules: Rules, chunk: Chunk, tables: SubjectTables | None = None) -> Mapped:
    """Events and refusals of some rows; `tables` say which codes are whose, the shipped ones by default."""
    cells = Cells(chunk, rules.layout, rules.blank_words)
    refusals = _Refusals(chunk.rows)
    refusals.add("person_row", _persons(rules, cells))
    frame = _events(rules, cells, chunk, refusals)
    _guard(rules, frame, refusals)
    if "subject_name" in frame.columns:
        refusals.add("person_row", people_beside(frame["subject_name"]), frame["at"])
    subjects = resolve_subjects(frame["subject_ids"], tables)
    forbidden = subjects["reason"].is_in([name for name, reason in REASONS.items() if reason.outcome == "refused"])
    if forbidden.fill_null(False).any():
        for reason in subjects["reason"].filter(forbidden.fill_null(False)).unique():
            details = subjects.select(
                detail=pl.when(pl.col("reason") == reason).then(pl.col("reason_detail").fill_null(""))
            )["detail"]
            refusals.add(reason, details, frame["at"])
    frame = frame.with_columns(subject_name=_kept_names(frame, subjects))
    if refusals.found():
        frame = frame.filter(~frame["at"].is_in(refusals.places().implode()))
    return Mapped(_to_arrow(rules, _in_order(frame), chunk.rows), refusals.frame())


class _Refusals:
    """Rows refused so far: the first reason of a row is the one that counts, its events go no further."""

    def __init__(self, rows: pl.Series) -> None:
        self._rows = rows
        self._found = pl.DataFrame(schema={"at": pl.UInt32, "reason": pl.String, "detail": pl.String})

    def add(self, reason: str, details: pl.Series, at: pl.Series | None = None) -> None:
        """Refuse where the detail is not null; `at` says which rows of the chunk the details are about."""
        hits = details.is_not_null().arg_true()
        if len(hits) == 0:
            return
        places = hits if at is None else at.gather(hits)
        found = pl.DataFrame({"at": places.cast(pl.UInt32), "detail": details.gather(hits)}).select(
            "at", reason=pl.lit(reason), detail="detail"
        )
        self._found = pl.concat([self._found, found]).unique("at", keep="first", maintain_order=True)

    def found(self) -> bool:
        return self._found.height > 0

    def places(self) -> pl.Series:
        return self._found["at"]

    def frame(self) -> pl.DataFrame:
        ordered = self._found.sort("at")
        return ordered.select(self._rows.gather(ordered["at"]).alias("row"), "reason", "detail")


def _persons(rules: Rules, cells: Cells) -> pl.Series:
    """Per row null, or the column by which it is known to be about a natural person."""
    detail = pl.repeat(None, cells.height, dtype=pl.String, eager=True)
    for column, words in rules.persons.words.items():
        detail = detail.set(_is_one_of(cells.text(column), words) & detail.is_null(), column)
    for column in rules.persons.papers:
        detail = detail.set(cells.any_filled(column) & detail.is_null(), column)
    return detail


def subject_ids(rules: Rules, chunk: Chunk) -> pl.Series:
    """Identifiers of each row of a chunk as the mapping reads them, those of rows that are refused included.

    For a question about absence in memory only; a person's number among them resolves to no subject.
    """
    return _subject_ids(rules.subject_ids, Cells(chunk, rules.layout, rules.blank_words))


def _is_one_of(texts: pl.Series, words: frozenset[str]) -> pl.Series:
    """Whose folded text is one of the words."""
    return texts.is_in([text for text in texts.unique() if fold(text) in words])


def _events(rules: Rules, cells: Cells, chunk: Chunk, refusals: _Refusals) -> pl.DataFrame:
    """All events of the chunk: `at` (row of the chunk), `rule` (which event), `faults`, and the fields."""
    open_rows = ~pl.int_range(cells.height, dtype=pl.UInt32, eager=True).is_in(refusals.places().implode())
    shapeless = cells.none() if chunk.faults is None else chunk.faults.is_not_null()
    filled: dict[int, Filled] = {}
    ids = _subject_ids(rules.subject_ids, cells)
    above = [_from_title(rule, chunk, cells.height) for rule in rules.file_fields]
    made = cells.none()
    frames: list[pl.DataFrame] = []
    for number, event in enumerate(rules.events):
        fields = [_filled(rule, cells, filled) for rule in event.fields]
        columns = [ids, *(f.values for f in fields)]
        columns += [series for series in above if series.name not in {column.name for column in columns}]
        frame = pl.DataFrame(columns)
        where = _where(event.when, cells, frame) & open_rows & ~shapeless
        made = made | where
        faults = [fault for f in fields for fault in f.faults] + _dates_disagree(frame)
        frames.append(_event_rows(frame, where, number, faults))
    left = open_rows & ~made
    if left.any():
        frames.append(_without_event(rules, pl.DataFrame([ids]), left, shapeless, chunk.faults))
    return frames[0] if len(frames) == 1 else pl.concat(_even(frames))


def _filled(rule: FieldRule, cells: Cells, done: dict[int, Filled]) -> Filled:
    """Rules that several events share are applied once."""
    if id(rule) not in done:
        done[id(rule)] = fill(rule, cells)
    return done[id(rule)]


def _from_title(rule: FieldRule, chunk: Chunk, height: int) -> pl.Series:
    """A value that stands above the header, for each row."""
    title = pl.DataFrame({"title": pl.Series(chunk.title, dtype=pl.String)})
    above = Chunk(title, pl.Series(range(title.height), dtype=pl.Int32), None)
    values = fill(rule, Cells(above, _TITLE)).values.drop_nulls()
    found = [value for value in values.to_list() if value not in ("", [])]
    dtype = DTYPES[rule.kind]
    nothing = {"text": "", "texts": list[str]()}.get(rule.kind)
    return pl.Series(rule.name, [found[0] if found else nothing], dtype=dtype).new_from_index(0, height)


def _subject_ids(rules: tuple[IdRule, ...], cells: Cells) -> pl.Series:
    """SCHEME:NUMBER of each filled column, in the mapping's order."""
    found = []
    for rule in rules:
        texts = cells.text(rule.column)
        if rule.pattern:
            texts = pl.select(pl.coalesce(texts.str.extract(rule.pattern), texts)).to_series()
        filled = (texts != "").arg_true()
        if len(filled):
            found.append(pl.DataFrame({"at": filled, "id": f"{rule.scheme}:" + texts.gather(filled)}))
    if not found:
        return _empty("subject_ids", cells.height)
    flat = found[0] if len(found) == 1 else pl.concat(found).sort("at", maintain_order=True)
    ends = np.zeros(cells.height + 1, np.int64)
    np.cumsum(np.bincount(flat["at"].to_numpy(), minlength=cells.height), out=ends[1:])
    values = flat["id"].to_arrow(compat_level=pl.CompatLevel.oldest())
    return pl.Series("subject_ids", pl.from_arrow(pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), values)))


def _where(when: When, cells: Cells, frame: pl.DataFrame) -> pl.Series:
    where = ~cells.none()
    for column in when.filled:
        where = where & (cells.text(column) != "")
    for column in when.empty:
        where = where & (cells.text(column) == "")
    for column, words in (when.equals or {}).items():
        where = where & _is_one_of(cells.text(column), words)
    for column, words in (when.differs or {}).items():
        where = where & ~_is_one_of(cells.text(column), words)
    for column, pattern in (when.matches or {}).items():
        where = where & cells.text(column).str.contains(pattern)
    if when.change_follows:
        where = where & (frame["change_decided_on"] >= frame["decided_on"]).fill_null(True)
    return where


def _dates_disagree(frame: pl.DataFrame) -> list[tuple[pl.Series, str]]:
    """The end of validity lies before its beginning, or, where that is not said, before the decision."""
    begins = [frame[name] for name in ("valid_from", "decided_on") if name in frame.columns]
    if "valid_to" not in frame.columns or not begins:
        return []
    begin = pl.select(pl.coalesce(begins)).to_series()
    wrong = (frame["valid_to"] < begin).fill_null(False)
    return [(wrong, "dates_disagree:valid_to")] if wrong.any() else []


def _event_rows(
    frame: pl.DataFrame, where: pl.Series, number: int, faults: list[tuple[pl.Series, str]]
) -> pl.DataFrame:
    frame = frame.with_columns(
        at=pl.int_range(frame.height, dtype=pl.UInt32, eager=True),
        rule=pl.lit(number, pl.UInt32),
        faults=_fault_lists(frame.height, faults),
    )
    return frame if where.all() else frame.filter(where)


def _fault_lists(height: int, faults: list[tuple[pl.Series, str]]) -> pl.Series:
    """Each row's faults as a list, in the order of the fields."""
    if not faults:
        return pl.Series("faults", [[]], dtype=pl.List(pl.String)).new_from_index(0, height)
    pairs = pl.concat([which.arg_true().to_frame("at").with_columns(fault=pl.lit(fault)) for which, fault in faults])
    lists = pairs.cast({"at": pl.UInt32}).group_by("at", maintain_order=True).agg("fault")
    rows = pl.DataFrame({"at": pl.int_range(height, dtype=pl.UInt32, eager=True)})
    joined = rows.join(lists, on="at", how="left", maintain_order="left")
    return joined.select(faults=pl.col("fault").fill_null(pl.lit([], pl.List(pl.String))))["faults"]


def _without_event(
    rules: Rules, ids: pl.DataFrame, left: pl.Series, shapeless: pl.Series, faults: pl.Series | None
) -> pl.DataFrame:
    """Rows that no event came of: one of the first event, incomplete, so that they are counted and explained."""
    first = rules.events[0]
    lacking = f"value_missing:{first.when.filled[0] if first.when.filled else 'subject_ids'}"
    shape = pl.lit("row_shape") if faults is None else pl.lit(faults)
    frame = ids.with_columns(
        at=pl.int_range(ids.height, dtype=pl.UInt32, eager=True),
        rule=pl.lit(0, pl.UInt32),
        faults=pl.concat_list(pl.when(shapeless).then(_with_detail(shape)).otherwise(pl.lit(lacking))),
        subject_ids=pl.when(shapeless).then(pl.lit([], pl.List(pl.String))).otherwise(pl.col("subject_ids")),
        **{
            rule.name: pl.lit(rule.readings[-1].constant)
            for rule in first.fields
            if rule.name in ("category", "operation")
        },
    )
    return frame.filter(left)


def _with_detail(fault: pl.Expr) -> pl.Expr:
    """`reason:detail`, with an empty detail where the reader gave none."""
    return pl.when(fault.str.contains(":", literal=True)).then(fault).otherwise(pl.concat_str(fault, pl.lit(":")))


def _even(frames: list[pl.DataFrame]) -> list[pl.DataFrame]:
    """The same columns in each frame; a field that an event does not fill is empty in it."""
    names = list(dict.fromkeys(name for frame in frames for name in frame.columns))
    return [
        frame.with_columns([_empty(name, frame.height) for name in names if name not in frame.columns]).select(names)
        for frame in frames
    ]


def _empty(name: str, height: int) -> pl.Series:
    kind = KINDS.get(name, "texts")
    nothing = {"text": "", "texts": list[str]()}.get(kind)
    return pl.Series(name, [nothing], dtype=DTYPES[kind]).new_from_index(0, height)


def _guard(rules: Rules, frame: pl.DataFrame, refusals: _Refusals) -> None:
    """Screen every kept text that comes from the source for personal numbers."""
    constant = {
        name
        for name in KINDS
        if all(rule.constant for event in rules.events for rule in event.fields if rule.name == name)
        and name not in ("subject_ids", *(rule.name for rule in rules.file_fields))
    }
    kept = [
        name
        for name, kind in KINDS.items()
        if kind in ("text", "texts") and name in frame.columns and name not in constant and _any(frame[name])
    ]
    amounts = [name for name, kind in KINDS.items() if kind == "amount" and name in frame.columns]
    refusals.add("personal_number", screen_amounts(frame, amounts), frame["at"])
    codes = [name for name in kept if name in _CODE_FIELDS]
    refusals.add("personal_number", screen(frame, [name for name in kept if name not in codes], codes), frame["at"])


def _any(column: pl.Series) -> bool:
    """Whether any row has something in it."""
    lengths = column.list.len() if isinstance(column.dtype, pl.List) else column.str.len_bytes()
    return bool((lengths > 0).any())


def _kept_names(frame: pl.DataFrame, subjects: pl.DataFrame) -> pl.Series:
    """Names that can not be a person's.

    The name of a sole trader, who may be called like the person, stays only where it is a name of business; that of a
    row whose organisation nobody found, only where it is plainly an organisation's.
    """
    names = frame["subject_name"] if "subject_name" in frame.columns else _empty("subject_name", frame.height)
    kinds = subjects["subject_kind"]
    if "subject_kind" in frame.columns:
        said = pl.DataFrame({"kind": kinds, "said": frame["subject_kind"]})
        kinds = said.select(
            kind=pl.when(pl.col("said") == "sole_trader").then(pl.lit("sole_trader")).otherwise(pl.col("kind"))
        )["kind"]
    kept = keeps_names(names, kinds)
    unfound = subjects["reason"].is_not_null().arg_true()
    if len(unfound):
        kept = kept.clone().scatter(unfound, kept.gather(unfound) & ~may_be_persons(names.gather(unfound)))
    return pl.select(pl.when(kept).then(names).otherwise(pl.lit(""))).to_series()


def _in_order(frame: pl.DataFrame) -> pl.DataFrame:
    """By row and event, the events of a row numbered from 0."""
    if not (frame["rule"] > 0).any():
        ordered = frame if frame["at"].is_sorted() else frame.sort("at")
        return ordered.with_columns(source_part=pl.lit(0, pl.Int32))
    ordered = frame.sort("at", "rule")
    return ordered.with_columns(source_part=pl.int_range(pl.len(), dtype=pl.Int32).over("at"))


def _to_arrow(rules: Rules, frame: pl.DataFrame, rows: pl.Series) -> pa.RecordBatch:
    made: dict[str, Any] = {
        "mapping": pa.repeat(pa.scalar(f"{rules.name}@{rules.version}", pa.string()), frame.height),
        "source_row": _array(rows.gather(frame["at"]), pa.int32()),
    }
    for field in CREDIT_EVENT.arrow:
        if field.name not in made:
            made[field.name] = (
                _array(frame[field.name], field.type) if field.name in frame.columns else _nothing(field, frame.height)
            )
    return pa.RecordBatch.from_arrays([made[field.name] for field in CREDIT_EVENT.arrow], schema=CREDIT_EVENT.arrow)


def _array(series: pl.Series, dtype: pa.DataType) -> Any:
    array = series.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    return array.cast(dtype)


def _nothing(field: Any, height: int) -> Any:
    if field.nullable:
        return pa.nulls(height, field.type)
    if pa.types.is_list(field.type):
        return pa.array([[]] * height, field.type)
    zero = "" if pa.types.is_string(field.type) else 0
    return pa.repeat(pa.scalar(zero, field.type), height)
