"""The documentation page of a mapping: what a form's columns become, written from the mapping itself.

One page serves both readers: `xinliu-adapter mappings show` prints it, `deploy/mappings/` holds it as Markdown.
"""

from collections.abc import Iterable, Iterator, Sequence

from producers.fields import FieldRule, Reading
from producers.mapping import Mapping
from producers.readers import Column
from producers.rules import EventRule, Rules, When
from schemas.avro import CREDIT_EVENT
from schemas.catalogue import catalogue
from schemas.reasons import REASONS
from schemas.schemes import SCHEMES, UNTYPED

_DOCS = {field.name: field.doc for field in CREDIT_EVENT.fields}
_SPLITS = {"list": "several values, joined by ; 、 , / + or a line break", "provisions": "the laws that the text cites"}
_DATES = {
    "ymd": "the year first, in any spelling",
    "dmy": "the day first",
    "spanish": "a Spanish date within a text",
    "year": "a year, for its last day",
}
_SKIPPED = (
    "Left out and counted, because they are no data: blank rows, notes to the clerk (填表说明, 备注：), totals (合计), "
    "samples (某某公司), the header once more."
)
# Whatever a mapping says, these can happen to its rows: the line that we hold, and what the subject's code is.
_ALWAYS = (
    "personal_number", "subject_is_person", "subject_out_of_scope", "subject_unresolved", "subject_placeholder",
    "subject_code_invalid", "row_shape", "value_too_long", "identity_incomplete",
)  # fmt: skip


def page(mapping: Mapping) -> str:
    """The page of one mapping as Markdown; the same for the same mapping."""
    rules = mapping.rules
    category = catalogue()[rules.category]
    parts = [
        f"# {rules.title_zh} · {rules.title_en}\n",
        f"Mapping `{rules.name}`, version {rules.version}. "
        f"Category: {category.zh}, {category.en} (`{category.name}`).\n",
        f"Source of the form: {rules.source}.\n",
        f"Reads {', '.join(mapping.formats)}, packed as .gz or .zip as well. Check a file with "
        f"`xinliu-adapter check FILE --mapping {rules.name}`.\n",
        _section("Who it is about", _subject(rules)),
        *_events(rules),
        _section("Columns that are read and not kept, or kept under another name", _columns(rules)),
        _section("Never read", _never_read(rules)),
        _section("Rows that are left out", [_SKIPPED]),
        _section("What can go wrong with a row", _reasons(rules)),
    ]
    return "\n".join(part for part in parts if part)


def _section(title: str, lines: Iterable[str]) -> str:
    lines = list(lines)
    return f"## {title}\n\n" + "\n".join(lines) + "\n" if lines else ""


def _subject(rules: Rules) -> Iterator[str]:
    columns = {column.name: column for column in rules.layout.columns}
    yield from _table_head("identifier", "headers that are accepted")
    for rule in rules.subject_ids:
        scheme = SCHEMES.get(rule.scheme, UNTYPED)
        yield _row(f"{scheme.name} ({rule.scheme})", _headers(columns[rule.column]))
    yield ""
    for group in rules.layout.one_of:
        yield f"A file must have one of: {', '.join(columns[name].headers[0] for name in group)}."
    for column, words in rules.persons.words.items():
        yield f"A row is refused whole where {columns[column].headers[0]} says: {', '.join(sorted(words))}."
    for column in rules.persons.papers:
        yield f"A row is refused whole where {columns[column].headers[0]} is filled: papers of a person."


def _events(rules: Rules) -> Iterator[str]:
    several = len(rules.events) > 1
    for number, event in enumerate(rules.events, start=1):
        title = f"Event {number} of a row" if several else "What a row becomes"
        yield _section(title, _event(rules, event))
    if rules.file_fields:
        lines = [*_table_head("field", "how"), *(_row(f"`{r.name}`", _how(rules, r)) for r in rules.file_fields)]
        yield _section("Once for the whole file, from above its header", lines)
    codes = list(_codes(rules))
    if codes:
        yield _section("Code lists", codes)


def _event(rules: Rules, event: EventRule) -> Iterator[str]:
    conditions = list(_conditions(rules, event.when))
    if conditions:
        yield f"Made of rows where {'; '.join(conditions)}."
        yield ""
    yield from _table_head("field", "meaning", "headers that are accepted", "how it is read")
    for rule in event.fields:
        yield _row(f"`{rule.name}`", _DOCS.get(rule.name, ""), _sources(rules, rule), _how(rules, rule))


def _conditions(rules: Rules, when: When) -> Iterator[str]:
    first = {column.name: column.headers[0] for column in rules.layout.columns}
    yield from (f"{first[column]} is filled" for column in when.filled)
    yield from (f"{first[column]} is empty" for column in when.empty)
    for column, words in (when.equals or {}).items():
        yield f"{first[column]} is {' or '.join(sorted(words))}"
    for column, words in (when.differs or {}).items():
        yield f"{first[column]} is not {' or '.join(sorted(words))}"
    if when.change_follows:
        yield "the change is not older than the decision"


def _sources(rules: Rules, rule: FieldRule) -> str:
    columns = {column.name: column for column in rules.layout.columns}
    found = [_headers(columns[name]) for reading in rule.readings for name in reading.columns if name in columns]
    return "; else ".join(dict.fromkeys(found))


def _how(rules: Rules, rule: FieldRule) -> str:
    said = list(dict.fromkeys(word for reading in rule.readings for word in _reading(reading, rule)))
    if rule.required:
        said.append("**required**")
    if any(
        column.required and column.name in reading.columns
        for column in rules.layout.columns
        for reading in rule.readings
    ):
        said.append("a file without its column is not read")
    if rule.lenient:
        said.append("left empty where it can not be read")
    if rule.agrees is not None:
        said.append("a row whose text states another amount is set aside")
    return "; ".join(said)


def _reading(reading: Reading, rule: FieldRule) -> Iterator[str]:
    if reading.constant:
        yield f"always “{reading.constant}”" if rule.constant else f"otherwise “{reading.constant}”"
        return
    if reading.template:
        yield f"put together as “{reading.template}”"
        return
    match rule.kind:
        case "date" | "timestamp":
            yield f"a date, {_DATES[reading.date]}"
            if reading.unlimited:
                yield "长期, 永久, 2099-12-31 and later mean without end"
        case "amount":
            yield f"an amount in {reading.unit} where neither header nor cell says otherwise"
            if reading.explicit_currency:
                yield "only one that names the yuan"
        case "texts":
            if reading.split:
                yield _SPLITS[reading.split]
        case "text":
            pass
    if reading.pattern:
        yield f"what `{reading.pattern}` finds"
    if reading.codes is not None:
        yield "by a code list, words within the text" if reading.codes.within else "by a code list"


def _codes(rules: Rules) -> Iterator[str]:
    done: set[tuple[str, int]] = set()
    for event in rules.events:
        for rule in event.fields:
            for reading in rule.readings:
                if reading.codes is None or (rule.name, id(reading.codes)) in done:
                    continue
                done.add((rule.name, id(reading.codes)))
                unknown = {"fault": "sets the row aside", "keep": "is kept as it is", "blank": "is left out"}
                yield f"`{rule.name}` (a word that is not listed {unknown[reading.codes.unknown]}):\n"
                spellings: dict[str, list[str]] = {}
                for word, canonical in reading.codes.words.items():
                    spellings.setdefault(canonical, []).append(word)
                yield from _table_head("in the record", "as written")
                yield from (_row(canonical or "(nothing)", ", ".join(words)) for canonical, words in spellings.items())
                yield ""


def _columns(rules: Rules) -> Iterator[str]:
    """Columns that the mapping names by itself; a field's own column stands with the field."""
    fields = {rule.name for event in rules.events for rule in event.fields}
    own = [column for column in rules.layout.columns if column.name not in fields]
    if not own:
        return
    yield from _table_head("column", "meaning", "headers that are accepted")
    for column in own:
        zh, en = rules.documentation.get(column.name, ("", ""))
        yield _row(f"`{column.name}`", f"{zh} {en}".strip(), _headers(column))


def _never_read(rules: Rules) -> Iterator[str]:
    if rules.layout.dropped:
        yield "Known, and never read: " + ", ".join(rules.layout.dropped) + "."
        yield ""
    yield "Columns that the mapping does not know are not read either."


def _reasons(rules: Rules) -> Iterator[str]:
    possible = [*_ALWAYS]
    if rules.persons.words or rules.persons.papers:
        possible.append("person_row")
    field_rules = [rule for event in rules.events for rule in event.fields]
    if any(rule.required for rule in field_rules) or any(event.when.filled for event in rules.events):
        possible.append("value_missing")
    if any(rule.kind in ("date", "timestamp", "amount") and not rule.lenient for rule in field_rules):
        possible.append("value_unreadable")
    if any(r.codes is not None and r.codes.unknown == "fault" for rule in field_rules for r in rule.readings):
        possible.append("code_unknown")
    if any(rule.agrees is not None for rule in field_rules):
        possible.append("amounts_disagree")
    if any(rule.name == "valid_to" for rule in field_rules):
        possible.append("dates_disagree")
    if len(rules.subject_ids) > 1:
        possible.append("subject_codes_disagree")
    yield from _table_head("reason", "becomes", "what it means", "what to do")
    for name in (name for name in REASONS if name in possible):
        reason = REASONS[name]
        yield _row(f"`{name}`", reason.outcome, reason.sentence.format(detail="the field"), reason.remedy)


def _headers(column: Column) -> str:
    return ", ".join(column.headers)


def _table_head(*titles: str) -> Sequence[str]:
    return ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]


def _row(*cells: str) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"
