"""How a field of an event comes out of the cells of a row: the rules of a mapping, applied to whole columns. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial, reduce
from typing import Literal

import polars as pl

from producers.formats import (
    SPLITTERS,
    Parsed,
    fold,
    holds,
    parse_amounts,
    parse_dates,
    parse_timestamps,
    plain_text,
    tidy,
)
from producers.formats.amounts import Unit
from producers.formats.dates import DateStyle
from producers.formats.parsed import by_distinct
from producers.readers import Chunk, Layout
from schemas.avro import CREDIT_EVENT, MAYBE_DATE, MAYBE_LONG, MAYBE_TIMESTAMP, STRING, STRINGS

Kind = Literal["text", "texts", "amount", "date", "timestamp"]
_KINDS: list[tuple[object, Kind]] = [
    (STRING, "text"),
    (STRINGS, "texts"),
    (MAYBE_LONG, "amount"),
    (MAYBE_DATE, "date"),
    (MAYBE_TIMESTAMP, "timestamp"),
]
# Filled in by the adapter, never by a mapping.
_OURS = frozenset({"submission", "source_row", "source_part", "reported_at", "event_id", "mapping", "faults"})

KINDS: dict[str, Kind] = {
    f.name: kind for f in CREDIT_EVENT.fields for of, kind in _KINDS if f.type == of and f.name not in _OURS
}
DTYPES: dict[Kind, pl.DataType | type[pl.DataType]] = {
    "text": pl.String,
    "texts": pl.List(pl.String),
    "amount": pl.Int64,
    "date": pl.Date,
    "timestamp": pl.Datetime("ms"),
}
_LOST = "\ufffd"  # what a byte becomes that could not be decoded


@dataclass(frozen=True)
class Codes:
    """A code list: words of the source, folded, and what each is called in a record.

    Attributes:
        within: find the words inside of the text (all of them) instead of comparing the whole text.
        unknown: what to do with a text that is not in the list: `fault`, `keep` it as it is, or leave it `blank`.
    """

    words: Mapping[str, str]
    within: bool = False
    unknown: Literal["fault", "keep", "blank"] = "fault"

    def find(self, text: str) -> list[str] | None:
        """Canonical words of a text; None where it has none and that is a fault."""
        folded = fold(text)
        if folded in self.words:
            return [self.words[folded]] if self.words[folded] else []
        if self.within and (found := self._find_within(folded)):
            return [canonical for canonical in found if canonical]
        return {"fault": None, "keep": [text], "blank": list[str]()}[self.unknown]

    def _find_within(self, folded: str) -> list[str]:
        """Canonical words in the order of the text; the longer word goes first, 没收违法所得 is not 没收 as well."""
        places: dict[str, int] = {}
        rest = folded
        for word in sorted(self.words, key=len, reverse=True):
            if word in rest:
                places.setdefault(self.words[word], folded.index(word))
                rest = rest.replace(word, "\n" * len(word))
        return sorted(places, key=lambda canonical: places[canonical])


@dataclass(frozen=True)
class Reading:
    """One way to a value: a column and how its text is read, or a constant, or a template over columns.

    Attributes:
        html: the cell is a piece of a web page: its tags are dropped and its entities written out.
        pattern: the value is the first group of the first match. An amount must be the only match: of a text that
            states two nobody knows which is meant.
        split: name of a splitter of `producers.formats`, for fields of several values.
        unlimited: a word for "without end" is no date.
    """

    column: str = ""
    constant: str = ""
    template: str = ""
    html: bool = False
    pattern: str = ""
    date: DateStyle = "ymd"
    unlimited: bool = False
    unit: Unit = "元"
    explicit_currency: bool = False
    split: str = ""
    codes: Codes | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it reads."""
        return (self.column,) if self.column else tuple(template_columns(self.template))


@dataclass(frozen=True)
class Agreement:
    """A second place that states the amount: where it states exactly one and it is another, the row is set aside."""

    column: str
    pattern: str


@dataclass(frozen=True)
class FieldRule:
    """How one field is filled: the first reading that yields a value wins; a field of several values takes them all.

    Attributes:
        required: an empty one is a fault.
        lenient: an unreadable one is empty instead of a fault.
    """

    name: str
    readings: tuple[Reading, ...]
    required: bool = False
    lenient: bool = False
    agrees: Agreement | None = None

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    @property
    def constant(self) -> bool:
        """Nothing of it comes from the source."""
        return all(not reading.columns for reading in self.readings)


@dataclass(frozen=True)
class Filled:
    """A field of all rows.

    Attributes:
        values: of the field's type; "", [] or null where there is none.
        faults: (which rows, fault as `reason:field`).
    """

    values: pl.Series
    faults: list[tuple[pl.Series, str]] = field(default_factory=list)


class Cells:
    """The cells of a chunk by the mapping's names of columns, tidied when first asked for.

    Args:
        blank_words: cells that say nothing in this source, beside those that do so everywhere.
    """

    def __init__(self, chunk: Chunk, layout: Layout, blank_words: Sequence[str] = ()) -> None:
        self._cells = chunk.cells
        self._located = layout.locate(chunk.cells.columns)
        self._blank_words = list(blank_words)
        self._tidied: dict[str, pl.Series] = {}
        self.height = chunk.cells.height

    def text(self, column: str) -> pl.Series:
        """Tidied text; all "" where the file has no such column. Of several columns the first filled one."""
        if column not in self._tidied:
            printed = [self._tidy(name) for name in self._located.get(column, ())]
            self._tidied[column] = (
                reduce(first_filled, printed) if printed else pl.repeat("", self.height, dtype=pl.String, eager=True)
            )
        return self._tidied[column]

    def any_filled(self, column: str) -> pl.Series:
        """Rows in which one of the columns of this name is filled."""
        printed = [self._tidy(name) != "" for name in self._located.get(column, ())]
        return reduce(lambda a, b: a | b, printed) if printed else self.none()

    def _tidy(self, name: str) -> pl.Series:
        tidied = tidy(self._cells[name])
        if not self._blank_words or not (blank := tidied.is_in(self._blank_words)).any():
            return tidied
        return tidied.set(blank, "")

    def none(self) -> pl.Series:
        return pl.repeat(False, self.height, dtype=pl.Boolean, eager=True)

    def unit_in_header(self, column: str) -> Unit | None:
        """罚款金额（万元） says its unit, whatever the mapping says."""
        header = self._located.get(column, ("",))[0]
        if "万元" in header:
            return "万元"
        return "元" if "元" in header else None


def first_filled(first: pl.Series, second: pl.Series) -> pl.Series:
    """Text of the first column, else of the second."""
    return pl.select(pl.when(first != "").then(first).otherwise(second)).to_series()


def template_columns(template: str) -> list[str]:
    """Names in braces."""
    return [part.partition("}")[0] for part in template.split("{")[1:]]


def fill(rule: FieldRule, cells: Cells) -> Filled:
    """The field of all rows of a chunk."""
    kind = rule.kind
    values: pl.Series | None = None
    unreadable = cells.none()
    unknown = cells.none()
    for reading in (reading for reading in rule.readings if reading.columns):
        texts = _template(reading.template, cells) if reading.template else cells.text(reading.column)
        if texts.str.len_bytes().sum() == 0:  # a column that is not there, or that nobody fills in
            values = _blank(kind, cells.height) if values is None else values
            continue
        parsed = _read(reading, kind, texts, cells)
        if reading.codes is not None:
            unknown = unknown | parsed.unreadable
        else:
            unreadable = unreadable | parsed.unreadable
        values = parsed.values if values is None else _coalesce(kind, values, parsed.values)
    faults: list[tuple[pl.Series, str]] = []
    if values is not None and not rule.lenient:
        # What another column says cures an unreadable one; a default does not, nor one value of several.
        open_rows = ~cells.none() if kind == "texts" else _is_missing(kind, values)
        for reason, which in (("value_unreadable", unreadable & open_rows), ("code_unknown", unknown & open_rows)):
            if which.any():
                faults.append((which, f"{reason}:{rule.name}"))
    for reading in (reading for reading in rule.readings if not reading.columns):
        default = _constant(reading.constant, kind, cells)
        values = default if values is None else _default(kind, values, default)
    assert values is not None, "a rule has at least one reading"
    if rule.required and (empty := _is_missing(kind, values) & ~unreadable & ~unknown).any():
        faults.append((empty, f"value_missing:{rule.name}"))
    if rule.agrees is not None and (other := _disagrees(rule.agrees, cells, values)).any():
        faults.append((other, f"amounts_disagree:{rule.name}"))
    return Filled(_without_nulls(kind, values).rename(rule.name), faults)


def _read(reading: Reading, kind: Kind, texts: pl.Series, cells: Cells) -> Parsed:
    unreadable: pl.Series | None = None
    if holds(texts, _LOST):
        unreadable = texts.str.contains(_LOST, literal=True)
    if reading.html:
        texts = plain_text(texts)
    if reading.pattern:
        found = tidy(texts.str.extract(reading.pattern).fill_null(""))
        unmatched = (found == "") & (texts != "")
        if kind == "amount":
            unmatched = unmatched | (texts.str.count_matches(reading.pattern) > 1)
        unreadable = unmatched if unreadable is None else unreadable | unmatched
        texts = found
    if unreadable is None or not unreadable.any():
        return _parser(reading, kind, cells)(texts)
    parsed = _parser(reading, kind, cells)(texts.set(unreadable, ""))
    return Parsed(parsed.values, parsed.unreadable | unreadable)


def _blank(kind: Kind, height: int) -> pl.Series:
    nothing = {"text": "", "texts": list[str]()}.get(kind)
    return pl.Series([nothing], dtype=DTYPES[kind]).new_from_index(0, height)


def _parser(reading: Reading, kind: Kind, cells: Cells) -> Callable[[pl.Series], Parsed]:
    match kind:
        case "date":
            return partial(parse_dates, style=reading.date, unlimited=reading.unlimited)
        case "timestamp":
            return parse_timestamps if reading.date == "ymd" else partial(_midnights, style=reading.date)
        case "amount":
            unit = cells.unit_in_header(reading.column) or reading.unit
            return partial(parse_amounts, unit=unit, explicit_currency=reading.explicit_currency)
        case "texts":
            return lambda texts: by_distinct(texts, partial(_lists, reading=reading))
        case "text":
            if reading.codes is None:
                return lambda texts: Parsed(texts, cells.none())
            return lambda texts: by_distinct(texts, partial(_coded, codes=reading.codes))


def _midnights(texts: pl.Series, style: DateStyle) -> Parsed:
    days = parse_dates(texts, style)
    return Parsed(days.values.cast(pl.Datetime("ms")), days.unreadable)


def _constant(constant: str, kind: Kind, cells: Cells) -> pl.Series:
    value: str | list[str] | date = constant
    if kind == "texts":
        value = [constant]
    elif kind == "date":
        value = date.fromisoformat(constant)
    return pl.Series([value], dtype=DTYPES[kind]).new_from_index(0, cells.height)


def _template(template: str, cells: Cells) -> pl.Series:
    """The template with the cells in it; "" where one of them is empty."""
    columns = template_columns(template)
    frame = pl.DataFrame([cells.text(column).rename(column) for column in columns])
    filled = pl.all_horizontal([pl.col(column) != "" for column in columns])
    pieces = [part.partition("}")[2] for part in template.split("{")[1:]]
    parts: list[pl.Expr] = [pl.lit(template.partition("{")[0])]
    for column, piece in zip(columns, pieces, strict=True):
        parts += [pl.col(column), pl.lit(piece)]
    return frame.select(text=pl.when(filled).then(pl.concat_str(parts)).otherwise(pl.lit("")))["text"]


def _coded(texts: pl.Series, codes: Codes) -> Parsed:
    found = [codes.find(text) if text else [] for text in texts]
    values = [None if words is None else "；".join(words) for words in found]
    return Parsed(pl.Series(values, dtype=pl.String), pl.Series([words is None for words in found], dtype=pl.Boolean))


def _lists(texts: pl.Series, reading: Reading) -> Parsed:
    values: list[list[str]] = []
    bad: list[bool] = []
    for text in texts:
        parts = SPLITTERS[reading.split](text) if reading.split else [text] if text else []
        found = [[part] if reading.codes is None else reading.codes.find(part) for part in parts]
        bad.append(any(words is None for words in found))
        values.append(list(dict.fromkeys(word for words in found for word in words or ())) if not bad[-1] else [])
    return Parsed(pl.Series(values, dtype=pl.List(pl.String)), pl.Series(bad, dtype=pl.Boolean))


def _is_missing(kind: Kind, values: pl.Series) -> pl.Series:
    match kind:
        case "text":
            return values.is_null() | (values == "").fill_null(True)
        case "texts":
            return values.list.len() == 0
        case _:
            return values.is_null()


def _coalesce(kind: Kind, first: pl.Series, second: pl.Series) -> pl.Series:
    if kind == "texts":
        return pl.select(pl.concat_list(first, second).list.unique(maintain_order=True)).to_series()
    return pl.select(pl.when(~_is_missing(kind, first)).then(first).otherwise(second)).to_series()


def _default(kind: Kind, values: pl.Series, default: pl.Series) -> pl.Series:
    return pl.select(pl.when(~_is_missing(kind, values)).then(values).otherwise(default)).to_series()


def _without_nulls(kind: Kind, values: pl.Series) -> pl.Series:
    return values.fill_null("") if kind == "text" else values


def _disagrees(agreement: Agreement, cells: Cells, amounts: pl.Series) -> pl.Series:
    """Rows whose text states exactly one amount, and another than the amount column's."""
    statements = cells.text(agreement.column)
    stating = (amounts.is_not_null() & (statements != "")).arg_true()
    if len(stating):
        only = statements.gather(stating).str.count_matches(agreement.pattern) == 1
        stating = stating.filter(only)
    if len(stating) == 0:
        return cells.none()
    stated = tidy(statements.gather(stating).str.extract(agreement.pattern).fill_null(""))
    other = parse_amounts(stated, "元").values != amounts.gather(stating)
    return cells.none().scatter(stating.filter(other.fill_null(False)), True)
