"""Writes a proposed mapping down as TOML with a comment for every column, and a first case for it. Pure.

The case is made up from a table of cells that are nobody's; no cell of the file goes into it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from producers.header_words import header_words
from producers.suggest import SCHEME_OF, Draft, Question, Use, quoted
from schemas.reference import Department

_COLUMN_DOCS = {
    "subject_code": ("统一社会信用代码", "unified social credit code; older codes that stand there are recognised"),
    "registration_number": ("工商注册号", "registration number of the business register"),
    "organisation_code": ("组织机构代码", "organisation code of nine characters"),
    "tax_number": ("税务登记号", "tax number; one that hides a personal number is refused"),
    "other_code": (
        "未注明种类的代码",
        "codes whose header does not say which; they are recognised by form and check digits",
    ),
    "brazilian_code": ("巴西法人登记号", "CNPJ; a person's CPF that stands there refuses the row"),
    "mexican_code": ("墨西哥纳税人登记号", "RFC; one of a person is refused"),
    "entity_code": ("法人机构识别编码", "legal entity identifier"),
    "party_class": ("相对人类别", "kind of party; rows of natural persons are refused"),
    "papers": ("自然人证件号码", "papers of a natural person; a filled one refuses the row, the number is not read"),
    "document": ("决定文书号", "number of the decision document"),
    "licence_number": ("许可编号", "number of the licence itself; stands for the document number where there is none"),
    "content": ("处罚内容", "main content of the decision: only compared with the fine, not kept"),
    "state_code": ("当前状态", "state of the decision"),
    "year": ("年度", "year that the record is about"),
    "class_1": ("类别", "kinds of the decision"),
    "class_2": ("类别2", "second kind of the decision"),
    "class_3": ("类别3", "third kind of the decision"),
}
_PLAIN = (
    "subject_name", "authority_name", "authority_code", "region", "item", "grade", "legal_bases", "decided_on",
    "valid_from", "valid_to", "published_until", "fine_fen", "confiscated_fen", "amount_fen", "change_document_number",
    "change_decided_on", "source_version", "source_url",
)  # fmt: skip
_EXTRA = {
    "region": ("lenient = true", "pattern = '^(\\d{6})'"),
    "source_version": ("lenient = true",),
}
_AGREES = (
    'agrees = { column = "content", pattern = \'(?:罚款(?:人民币|金额)?[:：]?)'
    "([0-9.,]{1,18}\\s?万?元|[零一二三四五六七八九十百千万两壹贰叁肆伍陆柒捌玖拾佰仟]{1,16}元)' }"
)
_CHINESE = re.compile("[\u4e00-\u9fff]")


@dataclass(frozen=True)
class Heading:
    """What stands at the top of a mapping.

    Attributes:
        rows: how many were looked at.
        path: where they stand in JSON and XML.
    """

    title_zh: str
    title_en: str
    rows: int
    path: str = ""


def heading(made: Draft, department: Department | None, rows: int, path: str = "") -> Heading:
    """Titles from the tables: the department's name and the category's."""
    if department is None:
        return Heading(f"{made.category.zh}（新表）", f"A new form: {made.category.en}", rows, path)
    return Heading(f"{department.name_zh}：{made.category.zh}", f"{department.name_en}: {made.category.en}", rows, path)


def mapping_text(made: Draft, top: Heading) -> str:
    """The whole mapping."""
    return "\n".join([*_top(made, top), *_columns(made), *_persons(made), *_fields(made), *_questions(made)]) + "\n"


def _top(made: Draft, top: Heading) -> Iterator[str]:
    yield f"# Proposed by xinliu-adapter mappings new from the headers of a file and its first {top.rows:,} rows."
    yield "# Read each line. What it is unsure of stands at the end as a question: answer it by taking away the # and"
    yield "# filling in the rest."
    yield "version = 1"
    yield f"title_zh = {quoted(top.title_zh)}"
    yield f"title_en = {quoted(top.title_en)}"
    yield 'source = "proposed from the headers of a file; say here which form it is, and who issued it"'
    yield f"category = {quoted(made.category.name)}"
    if made.ids:
        yield "subject_ids = ["
        yield from (f"  {{ scheme = {quoted(SCHEME_OF[name])}, column = {quoted(name)} }}," for name in made.ids)
        yield "]"
    if made.ids or top.path:
        yield ""
        yield "[layout]"
    if top.path:
        yield f"rows = {quoted(top.path)}"
    if made.ids:
        yield f"one_of = [[{', '.join(quoted(name) for name in made.ids)}]]"


def _columns(made: Draft) -> Iterator[str]:
    """Columns that no field holds as they are."""
    for name in made.ids:
        yield from _column(name, made.uses[name])
    for name in ("party_class", "papers", "content", "year"):
        if name in made.uses:
            yield from _column(name, made.uses[name])
    if "licence_number" in made.uses:
        if "document_number" in made.uses:
            yield from _column("document", made.uses["document_number"])
        yield from _column("licence_number", made.uses["licence_number"])
    if "state" in made.uses:
        yield from _column("state_code", made.uses["state"])
    classes = made.uses.get("classes", [])
    if len(classes) > 1:
        for number, use in enumerate(classes[:3], start=1):
            yield from _column(f"class_{number}", [use])


def _column(name: str, uses: Sequence[Use]) -> Iterator[str]:
    zh, en = _COLUMN_DOCS[name]
    yield ""
    yield from _why(uses)
    yield f"[columns.{name}]"
    yield f"doc_zh = {quoted(zh)}"
    yield f"doc_en = {quoted(en)}"
    yield f"headers = [{_headers(uses)}]"


def _why(uses: Sequence[Use]) -> Iterator[str]:
    for use in uses:
        yield f"# {_comment(use.look.header)}: by {use.why}."


def _comment(text: str) -> str:
    """On one line, without the characters that TOML allows in no comment."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split())


def _headers(uses: Sequence[Use]) -> str:
    return ", ".join(dict.fromkeys(quoted(_unnumbered(use.look.header)) for use in uses))


def _unnumbered(header: str) -> str:
    name, _, number = header.rpartition(" #")
    return name if number.isdigit() and name else header


def _persons(made: Draft) -> Iterator[str]:
    yield ""
    yield "# What is known and never read. Rows about natural persons are refused whole."
    yield "[persons]"
    if "papers" in made.uses:
        yield 'papers = ["papers"]'
    if made.dropped:
        yield "dropped = ["
        for header, why in made.dropped:
            yield f"  {quoted(_unnumbered(header))},  # {why}"
        yield "]"
    if "party_class" in made.uses:
        words = _in_script_of(made.uses["party_class"][0].look.header, "natural_person")
        yield f"words.party_class = [{', '.join(map(quoted, words))}]"
    if made.category.name == "penalty" and "classes" in made.uses:
        column = "classes" if len(made.uses["classes"]) == 1 else "class_1"
        words = [word for group in header_words().cells["detention"] for word in group]
        yield f"words.{column} = [{', '.join(map(quoted, words))}]  # only persons are detained"


def _in_script_of(header: str, meaning: str) -> list[str]:
    """The words of a meaning that may stand under a header: Chinese ones under a Chinese header or a column code."""
    latin = not _CHINESE.search(header) and not re.fullmatch("[A-Z]+_[A-Z_]+", header)
    words = [word for group in header_words().cells[meaning] for word in group]
    return [word for word in words if (_CHINESE.search(word) is None) == latin]


def _fields(made: Draft) -> Iterator[str]:
    for name in _PLAIN:
        if name == "decided_on" and name not in made.uses and "year" in made.uses:
            yield from (
                "",
                "# Only a year is given: its last day.",
                "[fields.decided_on]",
                'from = "year"',
                'date = "year"',
            )
        if name == "fine_fen":
            yield from _document_number(made)
            yield from _classes(made)
        if name in made.uses:
            yield from _field(made, name)
        elif name in made.constants:
            value, why = made.constants[name]
            yield from ("", f"# No column names it: {why}.", f"[fields.{name}]", f"constant = {quoted(value)}")
    if "party_class" in made.uses:
        words = [word for group in header_words().cells["sole_trader"] for word in group]
        yield from ("", "[fields.subject_kind]", 'from = "party_class"')
        yield f"codes = {{ sole_trader = [{', '.join(map(quoted, words))}] }}"
        yield 'unknown = "blank"'
    if "state" in made.uses:
        yield from _state(made.uses["state"][0])


def _field(made: Draft, name: str) -> Iterator[str]:
    uses = made.uses[name]
    yield ""
    yield from _why(uses)
    yield f"[fields.{name}]"
    yield f"headers = [{_headers(uses)}]"
    yield from uses[0].options
    yield from _EXTRA.get(name, ())
    if name == "fine_fen" and "content" in made.uses:
        yield _AGREES
    if name in _required(made):
        yield "column_required = true"


def _required(made: Draft) -> set[str]:
    """Fields without which no row of a file could be recorded."""
    return {"subject_name"} | {
        part.fields[0] for part in made.category.identity if len(part.fields) == 1 and not part.optional
    }


def _document_number(made: Draft) -> Iterator[str]:
    if "licence_number" in made.uses:
        columns = ["document", "licence_number"] if "document_number" in made.uses else ["licence_number"]
        yield from ("", "[fields.document_number]", f"from = [{', '.join(map(quoted, columns))}]")
    elif "document_number" in made.uses:
        yield from _field(made, "document_number")


def _classes(made: Draft) -> Iterator[str]:
    uses = made.uses.get("classes", [])
    if not uses:
        return
    yield ""
    yield from _why(uses[:3])
    yield "[fields.classes]"
    if len(uses) > 1:
        yield f"from = [{', '.join(quoted(f'class_{number}') for number in range(1, len(uses[:3]) + 1))}]"
    else:
        yield f"headers = [{_headers(uses)}]"
    groups = header_words().cells.get(f"class.{made.category.name}", ())
    if not groups:
        return
    yield 'match = "within"'
    if made.category.name != "penalty":
        yield 'unknown = "keep"'
    yield ""
    yield "# What a word of the file is called in a record."
    yield "[fields.classes.codes]"
    for group in groups:
        yield f"{quoted(group[0])} = [{', '.join(map(quoted, group[1:]))}]"
    known = {word for group in groups for word in group}
    new = {
        word: count for use in uses[:3] for word, count in use.look.words.items() if not any(k in word for k in known)
    }
    if new:
        yield "# These words are in the file and in no list of ours; which kind is each, or is it one of its own?"
        yield from (f"# {quoted(word)} = []  # in {count:,} rows" for word, count in new.items())


def _state(use: Use) -> Iterator[str]:
    yield ""
    yield from _why([use])
    yield from ("[fields.state]", 'from = "state_code"')
    cells = header_words().cells
    operations = {name.removeprefix("operation."): cells[name] for name in cells if name.startswith("operation.")}
    known = {word for groups in operations.values() for group in groups for word in group}
    yield ""
    if not use.look.filled or use.look.digits > 0.5 or not known & set(use.look.words):
        yield "# What does each state say: is the record reported, annulled, withdrawn, repaired? Fill in its words:"
        mark = "# "
    else:
        yield "# What a state says of the record; one that is not listed sets the row aside."
        mark = ""
        new = {word: count for word, count in use.look.words.items() if word not in known}
        if new:
            yield "# These are in the file and not listed yet; put each where it belongs:"
            yield from (f"#   {quoted(word)} in {count:,} rows" for word, count in new.items())
    yield f"{mark}[fields.operation]"
    yield f'{mark}from = "state_code"'
    lists = (
        f"{operation} = [{', '.join(quoted(word) for group in groups for word in group)}]"
        for operation, groups in operations.items()
    )
    yield f"{mark}codes = {{ {', '.join(lists)} }}"


def _questions(made: Draft) -> Iterator[str]:
    questions = list(made.questions)
    if made.unnamed:
        many = "1 column has" if made.unnamed == 1 else f"{made.unnamed} columns have"
        text = f"{many} no header that can be shown here; give each one in the file if it matters"
        questions.append(Question(text))
    if not questions:
        return
    yield ""
    yield "# -- questions ".ljust(120, "-")
    for question in questions:
        yield ""
        yield f"# {_comment(question.text)}"
        yield from (f"# {line}" for line in question.toml)


# Meaning -> a made-up cell, and what it becomes in the event (as TOML).
_MADE_UP: dict[str, tuple[str, str, str]] = {
    "subject_code": ("91370100XXXX00051M", "subject_ids", '["?:91370100XXXX00051M"]'),
    "registration_number": ("370100000000016", "subject_ids", '["CN-REG:370100000000016"]'),
    "organisation_code": ("XXXX0005-1", "subject_ids", '["CN-ORG:XXXX0005-1"]'),
    "tax_number": ("370100XXXX00051", "subject_ids", '["CN-TAX:370100XXXX00051"]'),
    "brazilian_code": ("11.222.333/0001-81", "subject_ids", '["BR-CNPJ:11.222.333/0001-81"]'),
    "mexican_code": ("ZZZ010101VZ4", "subject_ids", '["MX-RFC:ZZZ010101VZ4"]'),
    "subject_name": ("泉城商贸有限公司", "subject_name", '"泉城商贸有限公司"'),
    "document_number": ("泉罚〔2026〕7号", "document_number", '"泉罚〔2026〕7号"'),
    "authority_name": ("泉城市某局", "authority_name", '"泉城市某局"'),
    "decided_on": ("2026-03-02", "decided_on", "2026-03-02"),
    "valid_to": ("2029-03-02", "valid_to", "2029-03-02"),
}  # fmt: skip
_MADE_UP_DATES = {"dmy": "02/03/2026", "spanish": "2 de marzo de 2026", "year": "2026"}


def cases_text(made: Draft, name: str) -> str:
    """A first case, beside which the others are to be written."""
    cells: list[str] = []
    event: list[str] = [f'category = "{made.category.name}"', 'operation = "report"']
    known_ids = [meaning for meaning in made.ids if meaning in _MADE_UP][:1]
    for meaning in [*known_ids, *(m for m in _MADE_UP if m not in SCHEME_OF and m in made.uses)]:
        use = made.uses[meaning][0]
        cell, field_name, value = _MADE_UP[meaning]
        style = next((line.split('"')[1] for line in use.options if line.startswith("date =")), "")
        if style:
            if meaning != "decided_on":
                continue
            cell = _MADE_UP_DATES[style]
        cells.append(f"{quoted(_unnumbered(use.look.header))} = {quoted(cell)}")
        event.append(f"{field_name} = {value}")
    extra: list[str] = []
    if "party_class" in made.uses:
        header = quoted(_unnumbered(made.uses["party_class"][0].look.header))
        extra += [
            "",
            "[[case]]",
            'why = "a row about a natural person is refused"',
            f'cells = {{ {header} = "自然人" }}',
        ]
        extra += ['reason = "person_row"']
    return "\n".join(
        [
            f"# Cases of the mapping {name}: run them with xinliu-adapter mappings test. The cells are made up.",
            "# row: the cells of every case; a case says in cells what differs, and what must become of it: event (the",
            "# fields that matter), events (of a row that makes several), or reason (why it is refused or set aside).",
            "[row]",
            *cells,
            "",
            "[[case]]",
            'why = "a good row"',
            "",
            "[case.event]",
            *event,
            *extra,
            "",
        ]
    )
