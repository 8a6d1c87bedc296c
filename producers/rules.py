"""What a mapping says, as values: columns, persons, events and their fields. Read from TOML by `mapping_file`."""

from collections.abc import Mapping
from dataclasses import dataclass

from producers.fields import FieldRule
from producers.readers import Layout


@dataclass(frozen=True)
class IdRule:
    """One identifier of the subject: its scheme, and the column whose cells are its numbers.

    Attributes:
        scheme: as in `schemas.subjects`; "?" for a column that may hold any kind of code.
        pattern: the number is the first group of its first match; a cell that it does not match is taken as it is.
    """

    scheme: str
    column: str
    pattern: str = ""


@dataclass(frozen=True)
class PersonRules:
    """By what a row about a natural person is known; such a row is refused whole.

    Attributes:
        words: column -> folded words that say "a natural person" (行政相对人类别 = 自然人).
        papers: columns for a person's papers: a filled one says that the subject is a person.
    """

    words: Mapping[str, frozenset[str]]
    papers: tuple[str, ...]


@dataclass(frozen=True)
class When:
    """Which rows make an event; all that is said must hold.

    Attributes:
        equals, differs: column -> folded words of which its text is one, is none.
        matches: column -> pattern that its text holds somewhere.
        change_follows: the document that changes the decision is not older than the decision.
    """

    filled: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    equals: Mapping[str, frozenset[str]] | None = None
    differs: Mapping[str, frozenset[str]] | None = None
    change_follows: bool = False
    matches: Mapping[str, str] | None = None


@dataclass(frozen=True)
class EventRule:
    """One event that a row makes."""

    when: When
    fields: tuple[FieldRule, ...]


@dataclass(frozen=True)
class Rules:
    """A whole mapping.

    Attributes:
        category: the one that most of its events have, for lists of mappings.
        blank_words: what this source writes where it has nothing to say, beside the usual words for it.
        file_fields: values that stand above the header and hold for every row.
        events: in the order of their parts; a row that makes none of them counts as an incomplete one of the first.
    """

    name: str
    version: int
    title_zh: str
    title_en: str
    source: str
    category: str
    blank_words: tuple[str, ...]
    layout: Layout
    subject_ids: tuple[IdRule, ...]
    persons: PersonRules
    file_fields: tuple[FieldRule, ...]
    events: tuple[EventRule, ...]
    documentation: Mapping[str, tuple[str, str]]
