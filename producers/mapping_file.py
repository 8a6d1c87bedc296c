"""Reads a mapping from TOML and refuses one that says something impossible, each time naming the key.

A mapping can not ask for what the line forbids: columns for representatives, papers of persons and free text of facts
and remarks, and scores are refused here, whatever field they are to fill.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date as day
from typing import Any

import polars as pl

from producers.fields import KINDS, Agreement, Codes, FieldRule, Reading, template_columns
from producers.formats import DATE_STYLES, SPLITTERS, UNITS, fold
from producers.readers import Column, Layout
from producers.rules import EventRule, IdRule, PersonRules, Rules, When
from schemas.avro import OPERATIONS
from schemas.catalogue import catalogue
from schemas.errors import InputError
from schemas.subjects import SCHEMES

# Words in a header that mean a person, free text in which names hide, or a score. Compared after folding.
_FORBIDDEN_WORDS = (
    "法定代表", "法人代表", "负责人", "经办人", "联系人", "实际控制人", "股东", "高管", "从业人员", "户主", "姓名",
    "证件", "身份证", "护照", "电话", "手机", "住址", "家庭", "性别", "出生", "民族", "车牌",
    "违法事实", "事实", "事由", "备注", "案情", "具体情形", "行为简况", "处罚内容", "许可内容", "主要内容", "是由",
    "信用分", "评分", "得分", "分数",
)  # fmt: skip
_FORBIDDEN_CODES = re.compile(r"(?:frdb|zjhm|zjlx|sfzh?|^(?:cf|xk)fr|^bz$|^(?:cf|xk)(?:sy|nr)$|legalrep|^lerep|idcard)")
# A header may name a person's papers beside an organisation's: 身份证号码/组织机构代码. The guard reads its cells.
_ORGANISATION_WORDS = ("组织机构代码", "统一社会信用代码", "社会信用代码", "名称")
_NAME = re.compile(r"[a-z][a-z_]*")
_UNLIMITED_FIELDS = ("valid_to", "published_until")
_DEFAULT_SPLIT = {"classes": "list", "legal_bases": "provisions"}


class _Table:
    """A TOML table that knows its path, and at the end which of its keys nobody asked for."""

    def __init__(self, doing: str, path: str, values: Any) -> None:
        self._doing = doing
        self.path = path
        if not isinstance(values, dict):
            raise InputError(f"{doing}: {path} must be a table")
        self._values: dict[str, Any] = values
        self._asked: list[str] = []

    def error(self, key: str, what: str) -> InputError:
        return InputError(f"{self._doing}: {self._at(key)} {what}")

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path and key else self.path or key

    def has(self, key: str) -> bool:
        return key in self._values

    def text(self, key: str, default: str | None = None, among: Sequence[str] | None = None) -> str:
        value = self._take(key, default)
        if not isinstance(value, str):
            raise self.error(key, "must be a text" if key in self._values else "is missing")
        if among is not None and key in self._values and value not in among:
            raise self.error(key, f"is {value!r}{_nearest(value, among)}; it must be one of {', '.join(among)}")
        return value

    def number(self, key: str, default: int | None = None) -> int:
        value = self._take(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.error(key, "must be a whole number from 1")
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self.error(key, "must be true or false")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._take(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.error(key, "must be a list of texts")
        return tuple(value)

    def lists(self, key: str) -> tuple[tuple[str, ...], ...]:
        value = self._take(key, [])
        if not isinstance(value, list) or not all(isinstance(item, list) for item in value):
            raise self.error(key, "must be a list of lists of texts")
        return tuple(tuple(item) for item in value)

    def table(self, key: str) -> "_Table":
        return _Table(self._doing, self._at(key), self._take(key, {}))

    def tables(self, key: str) -> list["_Table"]:
        value = self._take(key, [])
        if not isinstance(value, list):
            raise self.error(key, "must be a list of tables")
        return [_Table(self._doing, f"{self._at(key)}[{i}]", item) for i, item in enumerate(value)]

    def children(self) -> list[tuple[str, "_Table"]]:
        return [(key, self.table(key)) for key in self._values]

    def raw(self, key: str) -> Any:
        return self._take(key, None)

    def names(self) -> list[str]:
        return list(self._values)

    def done(self) -> None:
        """Refuse a key that nothing read: a misspelt option would else be passed over in silence."""
        for key in self._values:
            if key not in self._asked:
                raise self.error(key, f"is not an option here{_nearest(key, self._asked)}")

    def _take(self, key: str, default: Any) -> Any:
        self._asked.append(key)
        return self._values.get(key, default)


def parse(name: str, text: str) -> Rules:
    """A mapping from its TOML text; InputError says which key is wrong and how."""
    doing = f"reading mapping {name}"
    try:
        top = _Table(doing, "", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{doing}: this is not TOML: {error}") from error
    return _Parser(name, top).rules()


class _Parser:
    """Collects the columns while it goes through the fields, since a field may declare its own."""

    def __init__(self, name: str, top: _Table) -> None:
        self._name = name
        self._top = top
        self._columns: dict[str, Column] = {}
        self._documentation: dict[str, tuple[str, str]] = {}

    def rules(self) -> Rules:
        top = self._top
        for name, table in top.table("columns").children():
            self._declare(name, table)
            table.done()
        category = top.text("category", among=list(catalogue()))
        operation = top.text("operation", "report", among=OPERATIONS)
        shared = self._fields(top.table("fields"))
        ids = tuple(self._id(table) for table in top.tables("subject_ids"))
        if not ids:
            raise top.error("subject_ids", "is missing: name at least one column that identifies the organisation")
        file_fields = tuple(self._fields(top.table("file"), of_file=True).values())
        tables = top.tables("event")
        events = tuple(self._event(table, shared, category, operation) for table in tables) or (
            EventRule(When(), self._with_defaults(shared, category, operation)),
        )
        persons_table = top.table("persons")
        persons = self._persons(persons_table)
        layout = self._layout(top.table("layout"), persons_table.texts("dropped"), shared, ids)
        persons_table.done()
        rules = Rules(
            name=self._name,
            version=top.number("version"),
            title_zh=top.text("title_zh"),
            title_en=top.text("title_en"),
            source=top.text("source"),
            category=category,
            blank_words=top.texts("blank_words"),
            layout=layout,
            subject_ids=ids,
            persons=persons,
            file_fields=file_fields,
            events=events,
            documentation=self._documentation,
        )
        top.done()
        self._refuse_forbidden_columns(rules)
        return rules

    def _declare(self, name: str, table: _Table, required_key: str = "required") -> None:
        if not _NAME.fullmatch(name):
            raise table.error("", "is no name of a column: use lower-case letters and underscores")
        if name in self._columns:
            raise table.error("headers", f"declares the column {name} a second time")
        headers = table.texts("headers")
        if not headers:
            raise table.error("headers", "is missing: list the spellings of its header")
        self._columns[name] = Column(name, headers, table.flag(required_key))
        self._documentation[name] = (table.text("doc_zh", ""), table.text("doc_en", ""))

    def _known(self, table: _Table, key: str, column: str) -> str:
        if column not in self._columns:
            raise table.error(
                key, f"names the column {column!r}, which is not declared{_nearest(column, self._columns)}"
            )
        return column

    def _id(self, table: _Table) -> IdRule:
        scheme = table.text("scheme", among=["?", *SCHEMES])
        column = self._known(table, "column", table.text("column"))
        rule = IdRule(scheme, column, _pattern(table) if table.has("pattern") else "")
        table.done()
        return rule

    def _fields(self, fields: _Table, of_file: bool = False) -> dict[str, FieldRule]:
        rules: dict[str, FieldRule] = {}
        for name, table in fields.children():
            if name not in KINDS or name == "subject_ids":
                raise table.error("", f"is no field of an event{_nearest(name, KINDS)}")
            rules[name] = self._field(name, table, of_file)
        return rules

    def _field(self, name: str, table: _Table, of_file: bool) -> FieldRule:
        readings: list[Reading] = []
        if of_file:
            readings.append(self._reading(name, table, "title"))
        elif table.has("headers"):
            self._declare(name, table, "column_required")
            readings.append(self._reading(name, table, name))
        elif table.has("from"):
            readings += self._from(name, table)
        elif not table.has("constant") and not table.has("template"):
            raise table.error("", "says not where its value comes from: headers, from, template or constant")
        if table.has("template"):
            template = table.text("template")
            for column in template_columns(template):
                self._known(table, "template", column)
            own_pattern = table.has("pattern") and not table.has("headers") and not table.has("from")
            readings.append(Reading(template=template, pattern=_pattern(table) if own_pattern else ""))
        if table.has("constant"):
            readings.append(self._constant(name, table, table.text("constant")))
        agrees = table.table("agrees") if table.has("agrees") else None
        agreement = None
        if agrees is not None:
            column = self._known(agrees, "column", agrees.text("column"))
            agreement = Agreement(column, _pattern(agrees))
            agrees.done()
        rule = FieldRule(name, tuple(readings), table.flag("required"), table.flag("lenient", of_file), agreement)
        table.done()
        return rule

    def _from(self, name: str, table: _Table) -> list[Reading]:
        written = table.raw("from")
        items = written if isinstance(written, list) else [written]
        readings: list[Reading] = []
        for number, item in enumerate(items):
            if isinstance(item, str):
                readings.append(self._reading(name, table, self._known(table, "from", item)))
            else:
                inner = table.tables("from")[number]
                column = self._known(inner, "column", inner.text("column"))
                readings.append(self._reading(name, inner, column))
                inner.done()
        return readings

    def _reading(self, name: str, table: _Table, column: str) -> Reading:
        kind = KINDS[name]
        split = table.text("split", _DEFAULT_SPLIT.get(name, ""), among=list(SPLITTERS))
        if table.has("split") and kind != "texts":
            raise table.error("split", f"makes no sense: {name} holds one value")
        for option, fits in (("date", ("date", "timestamp")), ("unlimited", ("date",)), ("unit", ("amount",))):
            if table.has(option) and kind not in fits:
                raise table.error(option, f"makes no sense: {name} is no {fits[0]}")
        unlimited = table.flag("unlimited", name in _UNLIMITED_FIELDS)
        date = table.text("date", "ymd", among=DATE_STYLES)
        unit = table.text("unit", "元", among=UNITS)
        return Reading(
            column=column,
            html=table.flag("html"),
            pattern=_pattern(table) if table.has("pattern") else "",
            date=next(style for style in DATE_STYLES if style == date),
            unlimited=unlimited,
            unit=next(known for known in UNITS if known == unit),
            explicit_currency=table.flag("explicit_currency"),
            split=split if kind == "texts" else "",
            codes=self._codes(name, table) if table.has("codes") else None,
        )

    def _codes(self, name: str, table: _Table) -> Codes:
        codes = table.table("codes")
        words: dict[str, str] = {}
        for canonical in codes.names():
            self._check_word(name, canonical, codes)
            for word in (canonical, *codes.texts(canonical)):
                if fold(word):
                    words[fold(word)] = canonical
        within = table.text("match", "whole", among=("whole", "within")) == "within"
        unknown = table.text("unknown", "fault", among=("fault", "keep", "blank"))
        kept = unknown if unknown in ("keep", "blank") else "fault"
        return Codes(words, within, kept)

    def _check_word(self, name: str, word: str, table: _Table) -> None:
        known = {"operation": list(OPERATIONS), "category": list(catalogue())}.get(name)
        if known is not None and word not in known:
            raise table.error(word, f"is no {name}{_nearest(word, known)}")

    def _constant(self, name: str, table: _Table, value: str) -> Reading:
        if name == "valid_to":  # an end that the law sets; every other date is a fact of the row
            try:
                day.fromisoformat(value)
            except ValueError:
                raise table.error("constant", "is no day of the form 2026-05-01") from None
        elif KINDS[name] not in ("text", "texts"):
            raise table.error("constant", f"makes no sense: {name} is a {KINDS[name]}")
        self._check_word(name, value, table)
        return Reading(constant=value)

    def _event(self, table: _Table, shared: dict[str, FieldRule], category: str, operation: str) -> EventRule:
        own = self._fields(table.table("fields"))
        when = self._when(table.table("when"))
        fields = self._with_defaults(
            shared | own,
            table.text("category", category, among=list(catalogue())),
            table.text("operation", operation, among=OPERATIONS),
        )
        table.done()
        return EventRule(when, fields)

    def _with_defaults(self, fields: dict[str, FieldRule], category: str, operation: str) -> tuple[FieldRule, ...]:
        """Category and operation are always there; what a code list leaves blank is the default."""
        complete = dict(fields)
        for name, value in (("category", category), ("operation", operation)):
            readings = complete[name].readings if name in complete else ()
            complete[name] = FieldRule(name, (*readings, Reading(constant=value)))
        return tuple(complete.values())

    def _when(self, table: _Table) -> When:
        filled, empty = table.texts("filled"), table.texts("empty")
        for key, columns in (("filled", filled), ("empty", empty)):
            for column in columns:
                self._known(table, key, column)
        when = When(
            filled=filled,
            empty=empty,
            equals=self._words(table.table("equals")),
            differs=self._words(table.table("differs")),
            change_follows=table.flag("change_follows"),
            matches=self._patterns(table.table("matches")),
        )
        table.done()
        return when

    def _words(self, table: _Table) -> Mapping[str, frozenset[str]]:
        words = {
            self._known(table, column, column): frozenset(fold(word) for word in table.texts(column))
            for column in table.names()
        }
        table.done()
        return words

    def _patterns(self, table: _Table) -> Mapping[str, str]:
        patterns = {self._known(table, column, column): _pattern(table, column) for column in table.names()}
        table.done()
        return patterns

    def _persons(self, table: _Table) -> PersonRules:
        papers = table.texts("papers")
        for column in papers:
            self._known(table, "papers", column)
        return PersonRules(self._words(table.table("words")), papers)

    def _layout(
        self, table: _Table, dropped: tuple[str, ...], shared: dict[str, FieldRule], ids: tuple[IdRule, ...]
    ) -> Layout:
        one_of = table.lists("one_of")
        for column in (column for group in one_of for column in group):
            self._known(table, "one_of", column)
        names = shared["subject_name"].readings if "subject_name" in shared else ()
        layout = Layout(
            mapping=self._name,
            columns=tuple(self._columns.values()),
            dropped=dropped,
            one_of=one_of,
            header_rows=table.number("header_rows", 20),
            rows=table.text("rows", ""),
            sheet=table.text("sheet", ""),
            group_titles=table.text("group_titles", ""),
            group_pattern=_pattern(table, "group_pattern") if table.has("group_pattern") else "",
            subject_column=next((reading.column for reading in names if reading.column), ""),
            id_columns=tuple(rule.column for rule in ids),
        )
        table.done()
        return layout

    def _refuse_forbidden_columns(self, rules: Rules) -> None:
        read = {id_rule.column for id_rule in rules.subject_ids}
        for event in rules.events:
            read |= {column for rule in event.fields for reading in rule.readings for column in reading.columns}
        for column in rules.layout.columns:
            if column.name not in read:
                continue
            for header in column.headers:
                if forbidden(header):
                    raise InputError(
                        f"reading mapping {rules.name}: the column {column.name} ({header}) is about a person, a "
                        "score or free text in which names hide; no field may be filled from it"
                    )


def forbidden(header: str) -> bool:
    """Whether a header names what must never enter an event."""
    folded = fold(header)
    if any(fold(word) in folded for word in _ORGANISATION_WORDS):
        return any(word in folded for word in ("法定代表", "法人代表", "负责人", "股东"))
    return any(word in folded for word in _FORBIDDEN_WORDS) or _FORBIDDEN_CODES.search(folded) is not None


def _pattern(table: _Table, key: str = "pattern") -> str:
    pattern = table.text(key)
    try:
        groups = pl.Series([""]).str.extract_groups(pattern).struct.fields
    except pl.exceptions.PolarsError as error:
        raise table.error(key, "is no regular expression") from error
    if not groups:
        raise table.error(key, "has no group: put brackets around what is the value")
    return pattern


def _nearest(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
