"""What a clerk may accept for an event that was set aside: repairs that a check digit confirms, and nothing else.

A scan takes O for 0 and loses a digit in a blank; a clerk swaps two keys. Where exactly one such repair makes the
number pass every check that its kind knows, it is proposed, with the reason in words. Nothing here is ever applied by
itself, and nothing is proposed for a value that has the form of a personal number.

Non-goals: repairs that no check confirms (a name that resembles another, an amount, a date), and repairs of a number of
which every check is right already.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate, islice, product
from typing import Any

import polars as pl

from schemas.documents import number_in_title
from schemas.normalise import document_numbers
from schemas.personal_numbers import looks_like_resident_id, looks_like_resident_id_15, personal_number_as_code
from schemas.reference import Reference
from schemas.schemes import SubjectTables, read_identifier, scope_of, subject_tables
from schemas.subjects import resolve_subject
from schemas.uscc import (
    ALPHABET,
    LENGTH,
    ORGANISATION_CODE,
    compact_code,
    examine_uscc,
    is_org_code,
    is_registration_number,
)

_SUBJECT_REASONS = ("subject_code_invalid", "subject_placeholder", "subject_codes_disagree")
_ANY_CODE = ("CN-USCC", "CN-ANY", "CN-TAX", "?")
_CANDIDATES_MOST = 256  # a number with more doubtful characters than this allows is not a misread one

USCC_CHECK = "GB 32100"
BODY_CHECK = "GB 11714"
REGISTRATION_CHECK = "ISO 7064 MOD 11,10"
REGISTRAR_AND_REGION = "registrar and region"
ORGANISATION_CODE_BESIDE = "organisation code beside it"


@dataclass(frozen=True, slots=True)
class Proposal:
    """One repair that a clerk may accept.

    Attributes:
        field: name of the event's field.
        value: the whole new value of that field.
        shown: the part of it that is new, to be shown.
        why_en, why_zh: what was done to the value, in words.
        confirmed_by: the checks that the new value passes.
    """

    field: str
    value: str | tuple[str, ...]
    shown: str
    why_en: str
    why_zh: str
    confirmed_by: tuple[str, ...]


def propose(event: Mapping[str, Any], reason: str, detail: str, reference: Reference) -> list[Proposal]:
    """Repairs of a quarantined event, mostly none, seldom more than one.

    Args:
        event: CREDIT_EVENT fields, as the quarantine holds them.
        reason, detail: why it was set aside.
    """
    if reason in _SUBJECT_REASONS:
        return _identifiers(list(event.get("subject_ids") or ()), subject_tables(reference.directory))
    if reason == "document_number_invalid" and detail == "document_number":
        return _document_number(str(event.get("document_number") or ""))
    return []


def accepted(event: Mapping[str, Any], proposal: Proposal) -> dict[str, Any]:
    """The event as it is after a clerk accepted the proposal; everything else in it stays as reported."""
    value = list(proposal.value) if isinstance(proposal.value, tuple) else proposal.value
    return {**event, proposal.field: value}


def _document_number(written: str) -> list[Proposal]:
    number = number_in_title(document_numbers(pl.Series([written])).item())
    if number is None:
        return []
    return [
        Proposal(
            "document_number",
            number,
            number,
            "the text holds this one number of a document",
            "文本中只含这一个文号",
            ("year and number in their usual form",),
        )
    ]


# -- identifiers ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Repair:
    """A number that may be meant: SCHEME:NUMBER, and how it came about."""

    identifier: str
    why_en: str
    why_zh: str
    confirmed_by: tuple[str, ...]


def _identifiers(ids: list[str], tables: SubjectTables) -> list[Proposal]:
    """Repairs of single identifiers after which the row has a subject."""
    found: list[Proposal] = []
    for place, identifier in enumerate(ids):
        repair = _repair(identifier, tables)
        if repair is None:
            continue
        mended = (*ids[:place], repair.identifier, *ids[place + 1 :])
        subject = resolve_subject(mended, tables)
        if subject.reason is None:
            confirmed = _with_neighbours(repair, mended, place, tables)
            found.append(
                Proposal(
                    "subject_ids", mended, confirmed.identifier, repair.why_en, repair.why_zh, confirmed.confirmed_by
                )
            )
    keys = {resolve_subject(proposal.value, tables).key for proposal in found}
    return found if len(keys) == 1 else []


def _with_neighbours(repair: _Repair, ids: tuple[str, ...], place: int, tables: SubjectTables) -> _Repair:
    """The repair, confirmed once more where another identifier of the row holds the same organisation code."""
    body = read_identifier(repair.identifier, tables).org_code
    others = {read_identifier(other, tables).org_code for at, other in enumerate(ids) if at != place}
    if body and body in others:
        return replace(repair, confirmed_by=(*repair.confirmed_by, ORGANISATION_CODE_BESIDE))
    return repair


def _repair(identifier: str, tables: SubjectTables) -> _Repair | None:
    """The one repair of a faulty identifier that its checks confirm, else None."""
    scheme, colon, number = identifier.partition(":")
    if not colon:
        scheme, number = "?", identifier
    scheme = scheme.strip().upper()
    if read_identifier(identifier, tables).state != "faulty" or _may_be_a_persons(number):
        return None
    if scheme in _ANY_CODE:
        found = _unified_code(number, tables)
        if found is not None or scheme == "CN-TAX":
            return found
    if scheme in (*_ANY_CODE, "CN-REG"):
        found = _registration_number(number, tables)
        if found is not None:
            return found
    return _organisation_code(number) if scheme in (*_ANY_CODE, "CN-ORG") else None


def _may_be_a_persons(number: str) -> bool:
    """Whether the number, with every letter read as the digit that it resembles, has the form of a personal number.

    A digit that is lost counts as any: what is one short of a resident's number is a damaged one of those.
    """
    code = "".join(character for character in compact_code(number) if character.isalnum())
    digits = "".join(_DIGIT_OF.get(character, character) for character in code)
    # The last character of a resident's number may be X, which resembles no digit.
    for form in {code, digits}:
        if personal_number_as_code(form) is not None or personal_number_as_code(f"?:{form}") is not None:
            return True
        for start in range(max(len(form) - 14, 0)):
            if looks_like_resident_id(form[start : start + 18]):
                return True
        if len(form) == LENGTH - 1 and any(looks_like_resident_id(_inserted(form, at, "0")) for at in range(LENGTH)):
            return True
    return looks_like_resident_id_15(digits) and not is_registration_number(digits)


# What a scan, or a hurried eye, takes one character for. Letters on the left that stand in no code come first.
_DIGIT_OF = {"O": "0", "D": "0", "Q": "0", "U": "0", "I": "1", "L": "1", "Z": "2", "S": "5", "G": "6", "B": "8"}
_MEANT_BY = {"O": "0DQ", "I": "1L", "Z": "2", "S": "58", "V": "UYW", "D": "0", "Q": "0", "L": "1", "G": "6", "B": "8"}
_TWINS = {"B": "8", "8": "B", "D": "0", "Q": "0", "0": "DQ", "L": "1", "1": "L", "G": "6", "6": "G", "U": "W", "W": "U"}


def _unified_code(written: str, tables: SubjectTables) -> _Repair | None:
    """The unified code that is meant, by the smallest kind of repair that gives exactly one good code."""
    plain = compact_code(written)
    code = "".join(character for character in plain if character in _LETTERS_AND_DIGITS)
    kinds: tuple[tuple[Iterable[str], str, str], ...] = (  # from what is hardly a change to what is a real one
        (
            [code] if code != plain else [],
            "signs that belong to no code were left out",
            "去掉了不属于代码的符号",
        ),
        (
            _possible_characters(code),
            "letters that can not stand there were read as the characters that they resemble",
            "把不可能出现的字母读作形近的字符",
        ),
        (
            _with_lost_character(written, code, tables),
            "a character that was lost in a blank was filled in",
            "补上了空白处缺失的一个字符",
        ),
        (
            (*_with_one_twin(code), *_with_pair_swapped(code)),
            "one character was read as the one that it resembles, or two neighbours in the organisation code swapped",
            "把一个字符读作与它形近的字符，或把组织机构代码中相邻的两个字符对调",
        ),
    )
    for candidates, why_en, why_zh in kinds:
        good = {candidate for candidate in candidates if _is_plausible(candidate, tables)}
        if len(good) > 1:
            return None
        for only in good:
            return _Repair(f"CN-USCC:{only}", why_en, why_zh, (USCC_CHECK, BODY_CHECK, REGISTRAR_AND_REGION))
    return None


_LETTERS_AND_DIGITS = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def _is_plausible(code: str, tables: SubjectTables) -> bool:
    """Both checks right, registrar and region known, in scope, and nobody's number."""
    _, fault, warning = examine_uscc(code, tables.uscc)
    if fault is not None or warning is not None or scope_of(code, tables)[1]:
        return False
    return not looks_like_resident_id(code)


def _possible_characters(code: str) -> Iterator[str]:
    """The code with each character that can not stand in its place read as each that it resembles."""
    if len(code) != LENGTH:
        return
    choices = [_choices(place, character) for place, character in enumerate(code)]
    if all(len(choice) == 1 and choice == character for choice, character in zip(choices, code, strict=True)):
        return
    for characters in islice(product(*choices), _CANDIDATES_MOST):
        yield "".join(characters)


def _choices(place: int, character: str) -> str:
    digits_only = 1 <= place < 8  # category and region
    possible = character.isdigit() if digits_only else character in ALPHABET
    if place == ORGANISATION_CODE.stop - 1:  # its check character is a digit or X
        digits_only, possible = True, character.isdigit() or character == "X"
    if possible:
        return character
    meant = _MEANT_BY.get(character, character)
    return "".join(other for other in meant if other.isdigit()) or character if digits_only else meant


def _with_lost_character(written: str, code: str, tables: SubjectTables) -> list[str]:
    """17 characters with blanks between them, and one more in the place of a blank.

    Nothing where one more at an end would do as well: then nobody knows which character was lost.
    """
    parts = [sum(c in _LETTERS_AND_DIGITS for c in compact_code(part)) for part in written.split()]
    if len(code) != LENGTH - 1 or len(parts) < 2:
        return []
    at_ends = (_inserted(code, place, character) for place in (0, LENGTH - 1) for character in ALPHABET)
    if any(_is_plausible(candidate, tables) for candidate in at_ends):
        return []
    return [_inserted(code, place, c) for place in accumulate(parts[:-1]) for c in ALPHABET]


def _inserted(code: str, at: int, character: str) -> str:
    return code[:at] + character + code[at:]


def _with_one_twin(code: str) -> Iterator[str]:
    if len(code) == LENGTH:
        for place, character in enumerate(code):
            for other in _TWINS.get(character, ""):
                yield code[:place] + other + code[place + 1 :]


def _with_pair_swapped(code: str) -> Iterator[str]:
    """Pairs inside of the organisation code only: there both checks fail before the swap and confirm it after."""
    if len(code) != LENGTH or is_org_code(code[ORGANISATION_CODE]):
        return
    for place in range(ORGANISATION_CODE.start, ORGANISATION_CODE.stop - 1):
        first, second = code[place], code[place + 1]
        if first != second:
            yield code[:place] + second + first + code[place + 2 :]


def _registration_number(written: str, tables: SubjectTables) -> _Repair | None:
    """15 digits. One check digit of ten confirms little, so only what can be read in one way is read anew."""
    code = compact_code(written)
    digits = "".join(_DIGIT_OF.get(c, c) for c in code if c in _LETTERS_AND_DIGITS)
    if digits == code or not is_registration_number(digits) or looks_like_resident_id_15(digits):
        return None
    if digits[:2] not in tables.provinces:
        return None
    return _Repair(
        f"CN-REG:{digits}",
        "what is no digit was read as the digit that it resembles, or left out",
        "把非数字字符读作形近的数字或去掉",
        (REGISTRATION_CHECK, REGISTRAR_AND_REGION),
    )


def _organisation_code(written: str) -> _Repair | None:
    """9 characters: letters that no code holds, and signs around it."""
    code = compact_code(written)
    kept = "".join(c for c in code if c in _LETTERS_AND_DIGITS)
    meant = "".join(_MEANT_BY[c][0] if c in "OISZ" else c for c in kept)
    if meant[-1:] not in "0123456789X":
        meant = meant[:-1] + _DIGIT_OF.get(meant[-1:], meant[-1:])
    if meant == code or not is_org_code(meant):
        return None
    return _Repair(
        f"CN-ORG:{meant}",
        "letters that no organisation code holds were read as the digits that they resemble",
        "把组织机构代码中不会出现的字母读作形近的数字",
        (BODY_CHECK,),
    )
