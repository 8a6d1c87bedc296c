"""What a personal number looks like, one text at a time: the forms that the guard knows, and how each is told apart.

The line that we hold is that nothing about a natural person is stored, forwarded or logged. A number that has the form
of a personal number but a wrong check digit is a mistyped personal number, and counts; where a form is shared with
numbers of organisations, the check digits decide, and doubt is decided against keeping the value.

Layouts of identity cards: GB 11643-1999 (18 digits, ISO 7064 MOD 11-2) and its 15-digit predecessor. From memory and
hence to be corrected here when better known: the permanent residence card of foreigners of 2023 (18 digits from 9) and
of 2004 (three letters and 12 digits), passports and travel permits, tax numbers of sole traders (identity number and
two characters).

No function here returns, logs or raises with the value that it looked at.
"""

import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import Literal, get_args

from stdnum.br import cpf

from schemas.reference.codes import provinces, uscc_prefixes
from schemas.reference.tables import read_table
from schemas.uscc import INVISIBLE, compact_code, is_org_code, is_registration_number, is_uscc

PersonalKind = Literal[
    "resident_id",
    "resident_id_15",
    "foreign_permanent_resident",
    "masked_id",
    "person_tax_number",
    "passport",
    "travel_permit",
    "identity_document",
    "bank_card",
    "mobile_phone",
]
PERSONAL_KINDS: tuple[PersonalKind, ...] = get_args(PersonalKind)

FIRST_BIRTH_YEAR = 1880
LAST_BIRTH_YEAR = 2040  # not "today": a guard that gives another answer tomorrow could not be checked from outside

SEPARATORS_IN_NUMBERS = " \\-_./·•・‐‑‒–—―−\u00a0\u3000\t\n\v\f\r\u0085\u2028\u2029"
MASKS = "*＊×✕●○◎■□█▇▓•∗⁎※"

_INVISIBLE = re.compile(f"[{INVISIBLE}]")
_MONTH_DAY = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_ID_18 = re.compile(rf"[1-9][0-9]{{5}}(?:18|19|20)[0-9]{{2}}{_MONTH_DAY}[0-9]{{3}}[0-9X]")
_ID_15 = re.compile(rf"[1-9][0-9]{{7}}{_MONTH_DAY}[0-9]{{3}}")


def plain_text(value: str) -> str:
    """The text in half-width characters, without those that print nothing; case is kept."""
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", value))


# -- forms of single numbers ----------------------------------------------------------------------------------------


def has_id_check(number: str) -> bool:
    """Whether 18 characters pass ISO 7064 MOD 11-2, the check of resident identity numbers."""
    total = sum(int(digit) * pow(2, 17 - position, 11) for position, digit in enumerate(number[:17]))
    return "10X98765432"[total % 11] == number[17]


def _is_birth_date(year: int, month: int, day: int) -> bool:
    if not FIRST_BIRTH_YEAR <= year <= LAST_BIRTH_YEAR:
        return False
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


@cache
def _identity_provinces() -> frozenset[str]:
    return frozenset(prefix for prefix, province in provinces().items() if province.on_identity_cards)


@cache
def _countries() -> tuple[frozenset[str], frozenset[str]]:
    """Letters and numbers of ISO 3166-1."""
    rows = read_table("countries", ("alpha_3", "numeric"))
    return frozenset(row["alpha_3"] for row in rows), frozenset(row["numeric"] for row in rows)


def looks_like_resident_id(number: str) -> bool:
    """Whether 18 characters have a region, a possible birth date and a sequence, whatever their check digit."""
    return (
        _ID_18.fullmatch(number) is not None
        and number[:2] in _identity_provinces()
        and _is_birth_date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    )


def is_foreign_resident(number: str) -> bool:
    """Whether 18 characters are the number of a foreigner's permanent residence card of 2023.

    9, province (2), country (3), birth date (8), sequence (3), check MOD 11-2 [from memory]. Codes of enterprises begin
    with 9 as well, so everything must be right: of their country numbers only few are a country's.
    """
    return (
        _ID_18.fullmatch(number) is not None
        and number[0] == "9"
        and number[1:3] in _identity_provinces()
        and number[3:6] in _countries()[1]
        and _is_birth_date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
        and has_id_check(number)
    )


def looks_like_resident_id_15(number: str) -> bool:
    """Whether 15 digits have a region and a possible birth date of the 20th century. There is no check digit."""
    return (
        _ID_15.fullmatch(number) is not None
        and number[:2] in _identity_provinces()
        and _is_birth_date(1900 + int(number[6:8]), int(number[8:10]), int(number[10:12]))
    )


def _judge_18(number: str) -> PersonalKind | None:
    """18 characters: a resident first, an organisation second, and in doubt a resident who was mistyped."""
    if is_foreign_resident(number):
        return "foreign_permanent_resident"
    if looks_like_resident_id(number) and (has_id_check(number) or not _is_organisation(number)):
        return "resident_id"
    return None


def _is_organisation(number: str) -> bool:
    """Whether both checks of a unified code are right, and a registrar gives out such codes."""
    return is_uscc(number) and number[:2] in uscc_prefixes()


def _is_bank_card(number: str) -> bool:
    """UnionPay, Visa, Mastercard, JCB and the oldest domestic cards, with the Luhn check (ISO/IEC 7812)."""
    known = re.fullmatch(r"62[0-9]{14,17}|4[0-9]{15}|5[1-5][0-9]{14}|2[2-7][0-9]{14}|35[0-9]{14}|9558[0-9]{15}", number)
    if known is None or is_uscc(number):
        return False
    doubled = (int(digit) * (1 + position % 2) for position, digit in enumerate(reversed(number)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _is_cpf(number: str) -> bool:
    """Brazilian taxpayer number of a person: 11 digits, the last two of them checks."""
    return re.fullmatch(r"[0-9]{11}", number) is not None and len(set(number)) > 1 and bool(cpf.is_valid(number))


_RFC_OF_PERSON = r"[A-ZÑ&]{4}[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9A-Z]{3}"
_RFC_OF_NOBODY = frozenset({"XAXX010101000", "XEXX010101000"})  # what invoices to the public bear
_CURP = r"[A-Z]{4}[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[HMX][A-Z]{5}[0-9A-Z][0-9]"
_OLD_FOREIGN_CARD = re.compile(rf"([A-Z]{{3}})([0-9]{{2}})[0-9]{{2}}[0-9]{{2}}{_MONTH_DAY}[0-9]{{2}}")


def _is_old_foreign_card(number: str) -> bool:
    """Permanent residence card of 2004: country (3 letters), area (4), birth date (6), 2 more digits [from memory]."""
    found = _OLD_FOREIGN_CARD.fullmatch(number)
    return found is not None and found[1] in _countries()[0] and found[2] in _identity_provinces()


# -- numbers inside of texts ----------------------------------------------------------------------------------------

_RUN = re.compile(r"[0-9]{11,}[Xx]?")
_WORD = re.compile(r"(?<![0-9A-Za-zÑñ&])[0-9A-Za-zÑñ&]{8,20}(?![0-9A-Za-zÑñ&])")
_SPREAD = re.compile(rf"[0-9](?:[{SEPARATORS_IN_NUMBERS}]{{0,3}}[0-9Xx]){{10,}}")
_GROUP = re.compile(r"[0-9Xx]+")
_DOTS = "./_·"
_MASKED = re.compile(
    rf"[0-9]{{2,}}[{MASKS}]{{4,}}[0-9Xx]"  # digits on both sides
    rf"|[0-9]{{6,}}[{MASKS}]{{4,}}"  # the tail hidden
    rf"|[{MASKS}]{{6,}}[0-9]{{3,}}[0-9Xx]"  # the head hidden
    rf"|[{MASKS}]{{3}}\.?[0-9]{{3}}\.?[0-9]{{3}}-?[{MASKS}]{{2}}"  # as Brazil prints a person's number
    r"|[0-9]{3,}[Xx]{7,}[0-9Xx]*"  # letters as masks
)
_SPACED_MASK = re.compile(rf"(?<=[0-9{MASKS}])[ \-\n\r]{{1,2}}(?=[0-9Xx{MASKS}])")
_SCIENTIFIC = re.compile(r"(?<![0-9])([1-9])\.([0-9]{7,})[Ee]\+?(1[5-9])(?![0-9])")
_CPF_PRINTED = re.compile(r"(?<![0-9])[0-9]{3}\.[0-9]{3}\.[0-9]{3}[-/.][0-9]{2}(?![0-9])")
_PASSPORT = re.compile(r"[EGeg][0-9]{8}|[Ee][A-HJ-NP-Za-hj-np-z][0-9]{7}|[DSPdsp][Ee][0-9]{7}")
_TRAVEL_PERMIT = re.compile(r"[HMhm](?:[0-9]{8}|[0-9]{10})")
_CALLED_A_DOCUMENT = re.compile(
    r"(?:身份证(?!明)|护照|通行证|台胞证|回乡证|军官证|士兵证|居留证|居住证|驾驶证|[Pp][Aa][Ss][Ss][Pp][Oo][Rr][Tt])"
    r"[^0-9A-Za-z]{0,12}([A-Za-z]{0,3})([0-9]{7,})"
)
_MOBILE = re.compile(r"(?:0?0?86)?1[3-9][0-9]{9}")
_USUAL_GROUPS_18 = {(6, 8, 4), (6, 4, 4, 4), (6, 4, 2, 2, 4), (6, 2, 6, 4), (3, 3, 4, 4, 4), (3, 3, 4, 2, 2, 4)}
_USUAL_GROUPS_CARD = {(4, 4, 4, 4), (4, 4, 4, 4, 1), (4, 4, 4, 4, 2), (4, 4, 4, 4, 3), (6, 13), (6, 10), (8, 8)}
_USUAL_GROUPS_MOBILE = {(3, 4, 4), (3, 8), (7, 4), (3, 3, 5), (5, 6), (4, 3, 4), (2, 3, 4, 4), (2, 11), (2, 3, 8)}


def personal_number_in(text: str) -> PersonalKind | None:
    """Kind of the first form, in the order of the list below, that a plain text (`plain_text`) holds; None if none.

    A number that is in full a code of an organisation is passed over.
    """
    for search in (_in_runs, _in_words, _in_spread, _in_masked, _in_scientific, _in_phrases):
        for kind in search(text):
            return kind
    return None


def _in_runs(text: str) -> Iterator[PersonalKind]:
    """Digits without anything between them."""
    for run in _RUN.finditer(text):
        digits = run[0].upper()
        if _is_code_of_organisation(text, run[0], run.start()):
            continue
        kind = _judge_run(digits) or (_judge_run(digits[:-1]) if digits.endswith("X") else None)
        if kind is not None:
            yield kind


def _is_code_of_organisation(text: str, digits: str, start: int) -> bool:
    """Whether the digits that begin at `start` stand inside of a word that is a good code of an organisation."""
    end = start + len(digits)
    while start > 0 and text[start - 1].isascii() and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and text[end].isascii() and text[end].isalnum():
        end += 1
    word = text[start:end].upper()
    return len(word) == 18 and is_uscc(word) and _judge_18(word) is None


def _judge_run(digits: str) -> PersonalKind | None:
    length = len(digits)
    if length == 18:
        kind = _judge_18(digits)
        if kind is not None:
            return kind
    if length == 15 and looks_like_resident_id_15(digits):
        return "resident_id_15"
    if _MOBILE.fullmatch(digits):
        return "mobile_phone"
    if length == 11 and _is_cpf(digits):
        return "person_tax_number"
    if _is_bank_card(digits):
        return "bank_card"
    if length > 18:
        for start in range(length - 17):
            window = digits[start : start + 18]
            if (looks_like_resident_id(window) and has_id_check(window)) or is_foreign_resident(window):
                return "person_tax_number" if length == 20 and start == 0 else "resident_id"
    return None


def _in_words(text: str) -> Iterator[PersonalKind]:
    """Words of digits and letters, whole."""
    for found in _WORD.finditer(text):
        word = found[0]
        if word.isdigit() or word.isalpha():
            continue
        kind = judge_word(word.upper())
        if kind is not None:
            yield kind


def judge_word(word: str) -> PersonalKind | None:
    """Verdict on one word of capital letters and digits, at least one of each."""
    if _PASSPORT.fullmatch(word):
        return "passport"
    if _TRAVEL_PERMIT.fullmatch(word):
        return "travel_permit"
    if re.fullmatch(_RFC_OF_PERSON, word) and word not in _RFC_OF_NOBODY:
        return "person_tax_number"
    if re.fullmatch(_CURP, word):
        return "person_tax_number"
    if _is_old_foreign_card(word):
        return "foreign_permanent_resident"
    if len(word) == 20 and (looks_like_resident_id(word[:18]) or is_foreign_resident(word[:18])):
        return "person_tax_number"
    return None


def _in_spread(text: str) -> Iterator[PersonalKind]:
    """Digits with spaces, hyphens or dots between them."""
    for found in _SPREAD.finditer(text):
        groups = [group.upper() for group in _GROUP.findall(found[0])]
        if len(groups) > 1:
            dotted = any(mark in found[0] for mark in _DOTS)
            kind = _judge_groups(groups, dotted)
            if kind is None and dotted:
                kind = _between_dots(found[0])
            if kind is not None:
                yield kind
    for found in _CPF_PRINTED.finditer(text):
        if _is_cpf(re.sub("[^0-9]", "", found[0])):
            yield "person_tax_number"


def _between_dots(spread: str) -> PersonalKind | None:
    """What stands between dots or strokes, for itself: in `3/139 1234 5678` only the stroke is of a date or a path."""
    for part in re.split(f"[{_DOTS}]", spread):
        groups = [group.upper() for group in _GROUP.findall(part)]
        # The empty group says that the part is not all of the digits: what counts only as a whole does not here.
        kind = _judge_groups([*groups, ""], False) if len(groups) > 1 else None
        if kind is not None:
            return kind
    return None


def _judge_groups(groups: list[str], dotted: bool) -> PersonalKind | None:
    """Numbers that begin and end with a group. Without a right check digit only the usual ways to group one count.

    Where there are dots or strokes (dates, amounts), only resident numbers with a right check digit count.
    """
    for first in range(len(groups)):
        joined = ""
        for last in range(first, len(groups)):
            joined += groups[last]
            if len(joined) > 20:
                break
            sizes = tuple(map(len, groups[first : last + 1]))
            if len(sizes) == 1 or 0 in sizes:
                continue
            kind = _judge_resident_groups(joined, sizes, dotted)
            if kind is None and not dotted:
                kind = _judge_other_groups(joined, sizes, len(sizes) == len(groups))
            if kind is not None:
                return kind
    return None


def _judge_resident_groups(joined: str, sizes: tuple[int, ...], dotted: bool) -> PersonalKind | None:
    if len(joined) not in (18, 20) or "X" in joined[:17]:
        return None
    number = joined[:18]
    usual = not dotted and (_is_single(sizes) or sizes in _USUAL_GROUPS_18)
    right = has_id_check(number)
    if is_foreign_resident(number) or (
        looks_like_resident_id(number) and (right or (usual and not _is_organisation(number)))
    ):
        return "resident_id" if len(joined) == 18 else "person_tax_number"
    return None


def _judge_other_groups(joined: str, sizes: tuple[int, ...], whole: bool) -> PersonalKind | None:
    if "X" in joined:
        return None
    if len(joined) == 15 and (whole or _is_single(sizes) or sizes == (6, 6, 3)) and looks_like_resident_id_15(joined):
        return "resident_id_15"
    if _MOBILE.fullmatch(joined) and (_is_single(sizes) or sizes in _USUAL_GROUPS_MOBILE):
        return "mobile_phone"
    if whole and (_is_single(sizes) or sizes in _USUAL_GROUPS_CARD) and _is_bank_card(joined):
        return "bank_card"
    return None


def _is_single(sizes: tuple[int, ...]) -> bool:
    return max(sizes) == 1


def _in_masked(text: str) -> Iterator[PersonalKind]:
    """Numbers of which a part is hidden: still a person's."""
    if _MASKED.search(_SPACED_MASK.sub("", text)):
        yield "masked_id"


def _in_scientific(text: str) -> Iterator[PersonalKind]:
    """A long number that a spreadsheet took for an amount: of a person's the region and the birth date are left.

    Of a bank card (16, 17 or 19 digits here, since 18 may be an organisation's code) all but the last few digits are.
    """
    for found in _SCIENTIFIC.finditer(text):
        head = (found[1] + found[2]).ljust(15, "0")[:14]
        length = int(found[3]) + 1
        if length in (18, 20) and (looks_like_resident_id(head + "0000") or _begins_as_foreign_resident(head)):
            yield "masked_id"
        elif head.startswith("62") and length in (16, 17, 19):
            yield "bank_card"


def _begins_as_foreign_resident(head: str) -> bool:
    """Whether 14 digits are those of a foreigner's card up to the birth date."""
    return (
        head[0] == "9"
        and head[1:3] in _identity_provinces()
        and head[3:6] in _countries()[1]
        and _is_birth_date(int(head[6:10]), int(head[10:12]), int(head[12:14]))
    )


def _in_phrases(text: str) -> Iterator[PersonalKind]:
    """Any number that the text calls one of an identity document, unless it is a date or an organisation's."""
    for found in _CALLED_A_DOCUMENT.finditer(text):
        is_date = not found[1] and re.fullmatch("(?:19|20)[0-9]{6}", found[2]) is not None
        if not is_date and not _is_code_of_organisation(text, found[2], found.start(2)):
            yield "identity_document"


# -- columns that hold one code -------------------------------------------------------------------------------------

PRINTED_CNPJ = r"(?:BR-CNPJ:|\?:)?[0-9]{2}\.[0-9]{3}\.[0-9]{3}/[0-9]{4}-[0-9]{2}"
"""As Brazil prints the number of an organisation: no personal number has 14 digits in these groups."""
_SCHEME = re.compile(r"\s*([A-Za-z]{2}-[A-Za-z]{2,8}|\?)\s*[:：]")


def personal_number_as_code(value: str) -> PersonalKind | None:
    """Kind of personal number that a cell of a code column is, or holds; None if none.

    The cell may name its scheme (`CN-REG:370102…`): 15 digits that look like a person's are taken for a registration
    number only if the scheme says so (`CN-REG`, or `CN-ANY` for a column of a register of organisations) and their
    check digit is right; 9 characters that look like a passport for an organisation code likewise.
    """
    if re.fullmatch(PRINTED_CNPJ, value):
        return None
    found = _SCHEME.match(value)
    scheme = found[1].upper() if found else ""
    number = value[found.end() :] if found else value
    code = compact_code(number)
    if not re.fullmatch(r"[0-9A-ZÑ&]*", code):
        return personal_number_in(plain_text(number))
    if len(code) == 18:
        return _judge_18(code) or (None if is_uscc(code) else _card_or_hidden(code))
    if len(code) == 15 and looks_like_resident_id_15(code):
        return None if scheme in ("CN-REG", "CN-ANY") and is_registration_number(code) else "resident_id_15"
    if len(code) == 9 and scheme in ("CN-ORG", "CN-ANY") and is_org_code(code):
        return None
    if scheme == "BR-CNPJ" and 8 <= len(code) <= 10 and _is_cpf(code.zfill(11)):
        return "person_tax_number"  # a spreadsheet took its zeros away
    return _judge_digits_as_code(code) if code.isdigit() else _hidden_in_code(code)


def _judge_digits_as_code(code: str) -> PersonalKind | None:
    if _MOBILE.fullmatch(code):
        return "mobile_phone"
    if len(code) == 11 and _is_cpf(code):
        return "person_tax_number"
    if _is_bank_card(code):
        return "bank_card"
    if len(code) in (19, 20, 21):
        for start in range(len(code) - 17):
            window = code[start : start + 18]
            if looks_like_resident_id(window) and (start == 0 or has_id_check(window)):
                return "person_tax_number" if len(code) == 20 else "resident_id"
    return None


def _card_or_hidden(code: str) -> PersonalKind | None:
    return "bank_card" if code.isdigit() and _is_bank_card(code) else _hidden_in_code(code)


def _hidden_in_code(code: str) -> PersonalKind | None:
    """Letters and digits that are no code of an organisation of China: masked, or with a number inside."""
    if re.search(r"[0-9]{3,}X{7,}", code):
        return "masked_id"
    for start in range(max(len(code) - 17, 0)):
        window = code[start : start + 18]
        if (looks_like_resident_id(window) and has_id_check(window)) or is_foreign_resident(window):
            return "person_tax_number" if len(code) == 20 and start == 0 else "resident_id"
    kind = judge_word(code)
    for run in _RUN.finditer(code) if kind is None else ():
        found = _judge_run(run[0])
        if found == "resident_id" or (found not in (None, "bank_card") and len(code) not in _LENGTHS_OF_CODES):
            return found
    return kind


_LENGTHS_OF_CODES = (9, 12, 18, 20)  # organisation code, RFC, unified code, LEI: long runs of digits are theirs
