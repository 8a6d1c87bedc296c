"""Proposes a mapping for a file of a form that nobody has mapped yet: `xinliu-adapter mappings new`.

Headers are known by `header_words.csv`; the values are looked at to confirm them. What both say goes into the mapping
with a comment that says why; what is unsure goes in as a question that a person answers by taking away the `#`.

Non-goals: sending anything by a mapping that nobody has read, and copying a value of the file into it. What leaves the
file are headers, shares, and words of code lists.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from producers.fields import KINDS
from producers.header_words import HeaderWords, Recognised, header_words
from producers.mapping_file import forbidden
from producers.readers import Chunk, Layout, read
from producers.suggest_columns import Look, look
from schemas.catalogue import Category, catalogue
from schemas.errors import InputError
from schemas.persons import screen_text
from schemas.reference import Reference
from schemas.schemes import subject_tables

ROWS_LOOKED_AT = 5_000
_HEADER_LONGEST = 60
_KNOWN_HEADER = 1_000  # a header that is known weighs more than any number of cells that merely may be one

SCHEME_OF: dict[str, str] = {
    "subject_code": "?",
    "registration_number": "CN-REG",
    "organisation_code": "CN-ORG",
    "tax_number": "CN-TAX",
    "brazilian_code": "BR-CNPJ",
    "mexican_code": "MX-RFC",
    "entity_code": "XI-LEI",
    "other_code": "?",
}
DROPPED: dict[str, str] = {
    "representative": "about a person",
    "person": "about a person",
    "free_text": "free text, in which names hide",
    "score": "a score: the platform holds none",
    "currency": "an amount in another currency than the yuan",
    "other": "not part of a record",
}
_DATES = frozenset(name for name, kind in KINDS.items() if kind == "date")
_AMOUNTS = frozenset(name for name, kind in KINDS.items() if kind == "amount")
_SWAPPED_SHARE = 0.5


@dataclass(frozen=True)
class Use:
    """A column that the mapping reads.

    Attributes:
        look: what stands in it.
        options: lines of TOML that belong to it (a style of dates, a unit).
        why: for the comment.
    """

    look: Look
    why: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """What a person must answer.

    Attributes:
        text: the question.
        toml: lines that would be the answer, to be taken out of the comment.
    """

    text: str
    toml: tuple[str, ...] = ()


@dataclass
class Draft:
    """A mapping that takes shape.

    Attributes:
        uses: meaning -> the columns that mean it, the best first.
        dropped: (header, why).
        questions: about columns and about what is missing.
        constants: field -> (value, why), from the reference tables.
        unnamed: columns whose header can not be shown.
    """

    category: Category
    uses: dict[str, list[Use]] = field(default_factory=dict)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    constants: dict[str, tuple[str, str]] = field(default_factory=dict)
    unnamed: int = 0

    @property
    def ids(self) -> list[str]:
        """Meanings that identify the subject, in the order in which they are asked."""
        return [meaning for meaning in SCHEME_OF if meaning in self.uses]


class AnyForm(Layout):
    """The layout of a form that nobody knows: its header is the row with the most headers that the table knows."""

    # `typing.override` is of Python 3.12.
    def score(self, cells: Sequence[str]) -> int:  # pyrefly: ignore[missing-override-decorator]
        words = header_words()
        known = sum(words.recognise(cell) is not None for cell in cells if _may_be_header(cell))
        if len(cells) == 1:
            return known
        return known * _KNOWN_HEADER + len({cell for cell in cells if _may_be_header(cell)})


def looks_of(path: Path, reference: Reference, rows: str = "") -> tuple[list[Look], tuple[str, ...]]:
    """Look at the columns of the first rows of a file; also gives the titles above its header.

    Args:
        rows: path to the rows in JSON and XML, as in a mapping's layout; "" = the only ones there are.

    Raises:
        InputError: it can not be read, has no row, or no row that looks like a header.
    """
    layout = AnyForm(mapping="(a new one)", columns=(), rows=rows)
    chunk: Chunk | None = next(iter(read(path, layout, chunk_rows=ROWS_LOOKED_AT)), None)
    if chunk is None or chunk.cells.height == 0:
        raise InputError(f"proposing a mapping for {path}: the file has no rows; use one with some rows of data")
    tables = subject_tables(reference.directory)
    looks = [look(chunk.cells[header], tables) for header in chunk.cells.columns]
    _require_header(path, looks)
    return looks, chunk.title


def _require_header(path: Path, looks: Sequence[Look]) -> None:
    """A file without a header would have its first row of data taken for one, and copied."""
    headers = [one.header for one in looks if _shows(one.header)]
    known = sum(header_words().recognise(header) is not None for header in headers)
    if known < min(2, len(looks)) and (known == 0 or len(headers) < len(looks)):
        raise InputError(
            f"proposing a mapping for {path}: no row among its first 20 looks like a header; put the names of the "
            "columns above the data and run again"
        )


def _may_be_header(cell: str) -> bool:
    return bool(cell.strip()) and len(cell) <= _HEADER_LONGEST and not re.search(r"\d{5}|\d{4}[-/.年]\d", cell)


def _shows(header: str) -> bool:
    """Whether a header may stand in the mapping: it is one, and no value that got into the header's row."""
    return _may_be_header(header) and screen_text(header) is None and not re.fullmatch(r"#\d+", header)


def draft(
    looks: Sequence[Look],
    reference: Reference,
    titles: Sequence[str] = (),
    category: str = "",
    department: str = "",
) -> Draft:
    """Say what each column becomes; titles above the header may hint at the category, nothing of them is kept.

    Raises:
        InputError: nothing hints at the category and none is given.
    """
    words = header_words()
    shown = [one for one in looks if _shows(one.header)]
    category = category or words.category([*(one.header for one in shown), *titles]) or _ask_category()
    made = Draft(catalogue()[category], unnamed=len(looks) - len(shown))
    found = [(one, _recognise(words, _printed(one.header))) for one in shown]
    for one, recognised in found:
        _place(made, one, recognised)
    for one, recognised in found:
        if recognised is None:
            _ask_about(made, one)
    _settle(made)
    _complete(made, reference, department)
    return made


def _ask_category() -> str:
    raise InputError(
        "proposing a mapping: the headers do not say what kind of record the rows are; say it with --category, one of "
        f"{', '.join(catalogue())}"
    )


def _recognise(words: HeaderWords, header: str) -> Recognised | None:
    """A nested member is known by its last part as well, but for a name: whose it is, only the whole says."""
    whole = words.recognise(header)
    if whole is not None or "." not in header:
        return whole
    last = words.recognise(header.rpartition(".")[2])
    return None if last is None or last.meaning == "subject_name" else Recognised(last.meaning, False)


def _printed(header: str) -> str:
    """Without the number that tells a second column of the same header from the first."""
    return re.sub(r" #\d+$", "", header)


def _place(made: Draft, one: Look, recognised: Recognised | None) -> None:
    """Put a column whose header is known where it belongs, if its values do not speak against it."""
    if recognised is None:
        return
    meaning = recognised.meaning
    if meaning in DROPPED:
        made.dropped.append((one.header, DROPPED[meaning]))
        return
    if forbidden(_printed(one.header)) and meaning not in ("papers", "content", "party_class"):
        made.dropped.append((one.header, "about a person, a score or free text"))
        return
    why = "its header" if recognised.whole else "a part of its header"
    if meaning in _DATES or meaning == "source_version":
        _place_date(made, one, meaning, why)
    elif meaning in _AMOUNTS:
        _place_amount(made, one, meaning, why)
    elif doubt := _doubt(one, meaning):
        made.questions.append(Question(f"{one.header}: {doubt}", _as_field(meaning, one.header)))
    else:
        made.uses.setdefault(meaning, []).append(Use(one, f"{why}; {evidence(one, meaning)}"))


def _place_date(made: Draft, one: Look, meaning: str, why: str) -> None:
    style = max(one.dates, key=lambda name: (one.dates[name], name == "ymd")) if one.filled else "ymd"
    read_share = one.dates.get(style, 1.0)
    lines = () if style == "ymd" or meaning == "source_version" else (f'date = "{style}"',)
    if read_share < 0.5:
        made.questions.append(
            Question(
                f"{one.header}: only {percent(read_share)} of its values can be read as dates; is this {meaning}?",
                _as_field(meaning, one.header),
            )
        )
    elif style in ("dmy", "mdy") and one.dates["dmy"] == one.dates["mdy"]:
        text = (
            f"{one.header}: {meaning}, but does the day stand first or the month? All its values can be read both ways"
        )
        made.questions.append(Question(text, (*_as_field(meaning, one.header), 'date = "dmy"')))
    else:
        made.uses.setdefault(meaning, []).append(Use(one, f"{why}; {percent(read_share)} read as dates", lines))


def _place_amount(made: Draft, one: Look, meaning: str, why: str) -> None:
    header = _printed(one.header)
    in_header = "万元" if "万元" in header else "元" if "元" in header else ""
    unit = in_header or ("万元" if re.fullmatch("CF_NR_(?:FK|WFFF)", header.upper()) else "")
    read = f"{percent(one.amounts)} read as amounts"
    if one.filled and one.amounts < 0.5:
        text = f"{one.header}: only {percent(one.amounts)} of its values can be read as amounts; is this {meaning}?"
        made.questions.append(Question(text, (*_as_field(meaning, header), 'unit = "元"')))
    elif unit:
        said = "the unit stands in the header" if in_header else "万元 by the standard"
        made.uses.setdefault(meaning, []).append(Use(one, f"{why}; {read}; {said}", (f'unit = "{unit}"',)))
    elif one.filled and one.unit_said >= 0.9:
        lines = ("explicit_currency = true",) + (("lenient = true",) if meaning == "amount_fen" else ())
        made.uses.setdefault(meaning, []).append(Use(one, f"{why}; {read}; the values name their unit", lines))
    else:
        text = f"{one.header}: in 元 or in 万元? Neither the header nor the values say it"
        made.questions.append(Question(text, (*_as_field(meaning, header), 'unit = "万元"')))


def _doubt(one: Look, meaning: str) -> str:
    """What the values say against the header; empty where they agree."""
    if not one.filled:
        return ""
    if meaning == "classes" and one.authorities > _SWAPPED_SHARE and not _class_words(one):
        return (
            f"{percent(one.authorities)} of its values look like authorities, none is a known class; swapped columns?"
        )
    if meaning == "authority_name" and one.words and len(_class_words(one)) == len(one.words):
        return "its values are classes of decisions and no authorities; are columns swapped?"
    if meaning == "document_number" and one.dates.get("ymd", 0.0) > _SWAPPED_SHARE and not one.documents:
        return "its values look like dates; which column holds the document's number?"
    if meaning in SCHEME_OF and one.companies > _SWAPPED_SHARE and not any(one.identifiers.values()):
        return "its values look like names; which column holds the code?"
    if meaning == "subject_name" and one.identifiers.get("?", 0.0) > _SWAPPED_SHARE:
        return "its values are codes; which column holds the name?"
    return ""


def _class_words(one: Look) -> list[str]:
    known = {
        word for name in ("class.penalty", "class.licence") for group in header_words().cells[name] for word in group
    }
    return [word for word in one.words if word in known]


def evidence(one: Look, meaning: str) -> str:
    """What the values say for the header, in a few words and shares."""
    if not one.filled:
        return "empty in this file"
    if meaning in SCHEME_OF:
        said = f"{percent(one.identifiers.get(SCHEME_OF[meaning], 0.0))} of {one.filled:,} values are good codes"
        return said + (f", {percent(one.personal)} hold a personal number" if one.personal else "")
    share = {
        "document_number": (one.documents, "look like document numbers"),
        "authority_name": (one.authorities, "look like authorities"),
        "subject_name": (one.companies, "end like names of organisations"),
        "legal_bases": (one.laws, "cite a law"),
        "source_url": (one.links, "are web addresses"),
        "region": (one.regions, "are six-digit codes"),
        "year": (one.years, "are years"),
    }.get(meaning)
    filled = f"filled in {percent(one.filled / one.rows)} of the rows"
    said = f"{filled}, {percent(share[0])} {share[1]}" if share else filled
    return said + (f"; {percent(one.personal)} hold a personal number and will be refused" if one.personal else "")


def _ask_about(made: Draft, one: Look) -> None:
    """A column whose header says nothing: take a code that proves itself, ask about the rest."""
    if one.personal >= 0.5:
        made.dropped.append((one.header, "holds personal numbers"))
        return
    scheme, share = max(((s, v) for s, v in one.identifiers.items() if s != "?"), key=lambda pair: pair[1])
    if one.filled >= 3 and share >= 0.9 and not made.ids:
        why = f"its values: {percent(one.identifiers['?'])} of {one.filled:,} are good codes of organisations"
        made.uses["subject_code"] = [Use(one, why)]
        return
    guesses = [
        (share >= 0.8, f"its values are codes ({scheme}); of the subject?", "subject_code"),
        (one.documents >= 0.8, "its values look like document numbers; of this decision?", "document_number"),
        (one.links >= 0.8, "its values are web addresses; of the decision?", "source_url"),
        (one.years >= 0.8, "its values are years; of what?", "decided_on"),
        (one.dates.get("ymd", 0.0) >= 0.8 and one.amounts < 0.8, "its values are dates; of what?", "decided_on"),
        (one.authorities >= 0.8, "its values look like authorities; those who decide?", "authority_name"),
        (one.companies >= 0.8, "its values look like names of organisations; the subject's?", "subject_name"),
    ]
    for holds, question, meaning in guesses:
        if holds and one.filled and not forbidden(_printed(one.header)):
            made.questions.append(Question(f"{one.header}: {question}", _as_field(meaning, one.header)))
            return
    made.questions.append(Question(f"{one.header}: what is this? It is not read as long as no field names it"))


def _settle(made: Draft) -> None:
    """One column for each field: of several the one whose header is wholly known and that is filled most."""
    several = {"classes", "papers", "legal_bases", *SCHEME_OF}
    for meaning, uses in made.uses.items():
        uses.sort(key=lambda use: (not use.why.startswith("its"), -use.look.filled))
        if meaning in several:
            continue
        for other in uses[1:]:
            text = f"{other.look.header}: also looks like {meaning}, which {uses[0].look.header} fills; which is right?"
            made.questions.append(Question(text))
        del uses[1:]
    _without_fine(made)


def _without_fine(made: Draft) -> None:
    """The content of a decision is only compared with its fine; without one it is free text."""
    if "content" in made.uses and "fine_fen" not in made.uses:
        made.dropped += [(use.look.header, DROPPED["free_text"]) for use in made.uses.pop("content")]


def _complete(made: Draft, reference: Reference, department: str) -> None:
    """What the record's identity needs and no column gives."""
    if not made.ids:
        made.questions.insert(
            0,
            Question(
                "Which column identifies the organisation? Without one no row can be recorded",
                (
                    'subject_ids = [{ scheme = "?", column = "subject_code" }]',
                    "[columns.subject_code]",
                    'headers = ["…"]',
                ),
            ),
        )
    given = {"document_number": ("document_number", "licence_number"), "decided_on": ("decided_on", "year")}
    for part in made.category.identity:
        if part.optional or "subject" in part.fields:
            continue
        if "authority" in part.fields:
            _complete_authority(made, reference, department)
        elif not any(meaning in made.uses for name in part.fields for meaning in given.get(name, (name,))):
            name = part.fields[0]
            lines = (f"[fields.{name}]", 'constant = "…"' if name == "item" else 'headers = ["…"]')
            text = f"A record of this category needs {part.name}, and no column was found for it. Which one is it?"
            made.questions.append(Question(text, lines))


def _complete_authority(made: Draft, reference: Reference, department: str) -> None:
    if "authority_name" in made.uses or "authority_code" in made.uses:
        return
    speaks_for = [
        authority.name
        for authority in reference.authorities.by_code.values()
        if authority.department == department
        or (department in reference.departments and authority.code in reference.departments[department].authority_codes)
    ]
    if department and len(speaks_for) == 1:
        made.constants["authority_name"] = (speaks_for[0], f"the one authority that {department} speaks for")
    else:
        text = "Who decides? No column names an authority; say it here where all rows are of one"
        made.questions.append(Question(text, ("[fields.authority_name]", 'constant = "…"')))


def _as_field(meaning: str, header: str) -> tuple[str, ...]:
    """The lines that would read a header as a meaning."""
    header = _printed(header)
    if meaning in SCHEME_OF:
        return (f"[columns.{meaning}]", f"headers = [{quoted(header)}]")
    return (f"[fields.{meaning}]", f"headers = [{quoted(header)}]")


def quoted(text: str) -> str:
    """A TOML string."""
    plain = re.sub(r"[\x00-\x1f\x7f]", " ", text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


def percent(share: float) -> str:
    """A share as people say it; never 100 % where something is missing."""
    if 0.99 <= share < 1:
        return "over 99 %"
    return f"{share:.0%}".replace("%", " %")


def known_headers(layouts: Mapping[str, Layout], looks: Sequence[Look]) -> list[tuple[str, int]]:
    """Mappings that know at least two thirds of the headers, the best first: perhaps no new one is needed."""
    headers = [one.header for one in looks]
    scores = [(name, layout.score(headers)) for name, layout in layouts.items()]
    good = [(name, score) for name, score in scores if score * 3 >= len(headers) * 2]
    return sorted(good, key=lambda pair: -pair[1])
