"""The documentation page of a mapping: what a form's columns become, written from the mapping itself.

One page serves both readers: `xinliu-adapter mappings show` prints it, `deploy/mappings/` holds it as Markdown.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from producers.fields import Codes, FieldRule, Reading
from producers.formats.dates import DateStyle
from producers.mapping import Mapping as OneMapping
from producers.readers import Column
from producers.rules import EventRule, Rules, When
from schemas.avro import CREDIT_EVENT
from schemas.catalogue import catalogue
from schemas.reasons import REASONS
from schemas.schemes import SCHEMES

_DOCS = {field.name: field.doc for field in CREDIT_EVENT.fields}
_SPLITS = {"list": "several values, joined by ; 、 , / + or a line break", "provisions": "the laws that the text cites"}
DATES: Mapping[DateStyle, str] = {
    "ymd": "the year first, in any spelling",
    "dmy": "the day first",
    "mdy": "the month first",
    "spanish": "a Spanish date within a text",
    "english": "an English date such as Jul 3, 2024",
    "year": "a year, for its last day",
}
_SKIPPED = (
    "Left out and counted, because they are no data: blank rows, notes to the clerk (填表说明, 备注：), totals (合计), "
    "samples (某某公司), the header once more."
)
# Faults of messages that no adapter of ours writes, and of mappings that do not load.
_NEVER = ("event_undecodable", "event_empty", "event_too_large", "category_unknown", "operation_unknown")


def page(mapping: OneMapping) -> str:
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
        _section("Where the rows stand", _place(rules)),
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


def _place(rules: Rules) -> Iterator[str]:
    """What is said of the file beside its header."""
    layout = rules.layout
    if layout.rows:
        yield f"- in JSON and XML at `{layout.rows}`"
    if layout.sheet:
        yield f"- in a workbook on the sheet {layout.sheet}"
    if layout.group_titles:
        titles = f" that match `{layout.group_pattern}`" if layout.group_pattern else ""
        yield f"- titles between the rows{titles} fill the column {layout.group_titles}"
    if rules.blank_words:
        yield f"- a cell that says {', '.join(rules.blank_words)} is empty"


def _subject(rules: Rules) -> Iterator[str]:
    columns = {column.name: column for column in rules.layout.columns}
    yield from _table_head("identifier", "headers that are accepted")
    for rule in rules.subject_ids:
        scheme = SCHEMES[rule.scheme].name if rule.scheme in SCHEMES else "any code, known by its form and check digits"
        found = f"; of its text, what `{rule.pattern}` finds" if rule.pattern else ""
        yield _row(f"{scheme} ({rule.scheme})", _headers(columns[rule.column]) + found)
    yield ""
    for group in rules.layout.one_of:
        yield f"- A file must have one of: {', '.join(columns[name].headers[0] for name in group)}."
    for column, words in rules.persons.words.items():
        yield f"- A row is refused whole where {columns[column].headers[0]} says: {', '.join(sorted(words))}."
    for column in rules.persons.papers:
        yield f"- A row is refused whole where {columns[column].headers[0]} is filled: papers of a person."


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
    for column, pattern in (when.matches or {}).items():
        yield f"{first[column]} holds `{pattern}`"
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
            yield f"a date, {DATES[reading.date]}"
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
    if reading.html:
        yield "without the tags of a web page"
    if reading.pattern:
        yield f"what `{reading.pattern}` finds"
    if reading.codes is not None:
        yield "by a code list, words within the text" if reading.codes.within else "by a code list"


def _codes(rules: Rules) -> Iterator[str]:
    done: list[tuple[str, Codes]] = []  # events that share a field share its code list
    for event in rules.events:
        for rule in event.fields:
            for reading in rule.readings:
                if reading.codes is None or (rule.name, reading.codes) in done:
                    continue
                done.append((rule.name, reading.codes))
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
    impossible = {*_NEVER, *(name for name, possible in _possible(rules).items() if not possible)}
    yield from _table_head("reason", "becomes", "what it means", "what to do")
    for reason in REASONS.values():
        if reason.name not in impossible:
            yield _row(f"`{reason.name}`", reason.outcome, reason.sentence.format(detail="…"), reason.remedy)


def _possible(rules: Rules) -> dict[str, bool]:
    """Reasons that depend on what the mapping says; all others can happen to any row."""
    fields = [rule for event in rules.events for rule in event.fields]
    return {
        "person_row": bool(rules.persons.words or rules.persons.papers),
        "value_missing": any(rule.required for rule in fields) or any(event.when.filled for event in rules.events),
        "code_unknown": any(
            reading.codes is not None and reading.codes.unknown == "fault"
            for rule in fields
            for reading in rule.readings
        ),
        "amounts_disagree": any(rule.agrees is not None for rule in fields),
        "subject_codes_disagree": len(rules.subject_ids) > 1,
    }


def _headers(column: Column) -> str:
    return ", ".join(column.headers)


def _table_head(*titles: str) -> Sequence[str]:
    return ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]


def _row(*cells: str) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"
