"""Kinds of identifiers of organisations: what each looks like, how it is checked, and what key it gives a subject.

An identifier is written SCHEME:NUMBER, the scheme in the manner of org-id.guide (`CN-USCC:…`, `MX-RFC:…`). A scheme is
one entry in `SCHEMES`: a way to write the number, and a function that says what it is. `?` stands before a number of
which nobody said what it is: form and check digits decide.

Non-goal: whether a number is a person's is asked of `schemas.personal_numbers` first; only what the scheme itself knows
about persons (a 13-character RFC, an 11-digit number in a CNPJ column) is said here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from stdnum import lei
from stdnum.br import cnpj
from stdnum.mx import rfc

from schemas.reference.codes import Kind, provinces, sole_trader_sequences, uscc_prefixes, uscc_tables
from schemas.uscc import (
    ORGANISATION_CODE,
    UsccTables,
    compact_code,
    examine_uscc,
    is_org_code,
    is_placeholder,
    is_registration_number,
    is_uscc,
)

KEY_BYTES_MAX = 32

State = Literal["good", "empty", "placeholder", "faulty", "person", "out_of_scope"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one identifier turned out to be.

    Attributes:
        detail: of a faulty one the kind of fault, of one out of scope the registrar, of a person's the scheme's word.
        key: subject key of a good one, at most 32 bytes of ASCII.
        identifier: SCHEME:NUMBER in its normal spelling, of a good one.
        org_code: organisation code inside of it, also of a faulty one if the organisation code itself is right.
        warning: what is unusual about a good one, else empty.
        broken: what was written where a unified code should be and none is, if it is about as long as one.
    """

    state: State
    detail: str = ""
    key: str = ""
    identifier: str = ""
    kind: Kind = "unknown"
    org_code: str = ""
    warning: str = ""
    broken: str = ""


@dataclass(frozen=True, slots=True)
class SubjectTables:
    """Reference tables that schemes need."""

    uscc: UsccTables
    kinds: dict[str, Kind]
    out_of_scope: dict[str, str]
    registrars: frozenset[str]
    provinces: frozenset[str]
    sole_trader_sequences: frozenset[str]


@cache
def subject_tables(directory: Path | None = None) -> SubjectTables:
    """The tables, from the shipped reference folder or the one that replaces it."""
    prefixes = uscc_prefixes(directory)
    on_record = {prefix.characters[0] for prefix in prefixes.values() if prefix.scope != "out"}
    out = {prefix.characters[0]: prefix.registrar_en for prefix in prefixes.values() if prefix.scope == "out"}
    return SubjectTables(
        uscc_tables(directory),
        {characters: prefix.kind for characters, prefix in prefixes.items()},
        {first: registrar for first, registrar in out.items() if first not in on_record},
        frozenset(on_record),
        frozenset(prefix for prefix, province in provinces(directory).items() if province.is_region),
        sole_trader_sequences(directory),
    )


@dataclass(frozen=True, slots=True)
class Scheme:
    """One kind of identifier.

    Attributes:
        name: for people.
        source: the standard or register that defines it.
        read: number as written and reference tables to a finding.
    """

    code: str
    name: str
    source: str
    read: Callable[[str, SubjectTables], Finding]


def scope_of(code: str, tables: SubjectTables) -> tuple[Kind, str]:
    """Kind of body by the first two characters of a good code; the registrar's name if it is out of scope, else empty.

    Only bodies of the registrars on the list may be on record: an unknown registrar is out of scope, an unknown
    category of a known one is a body of unknown kind.
    """
    first = code[0]
    if first not in tables.registrars:
        return "unknown", tables.out_of_scope.get(first, "unknown registrar")
    return tables.kinds.get(code[:2], "unknown"), ""


# -- China ----------------------------------------------------------------------------------------------------------


def _read_uscc(number: str, tables: SubjectTables) -> Finding:
    code, fault, warning = examine_uscc(number, tables.uscc)
    if fault in ("empty", "placeholder"):
        return Finding(fault)
    if fault == "length":  # clerks write the number of the old licence into the column of the new one
        older = _first_good(code, (_read_registration_number, _read_org_code), tables)
        return older or Finding("faulty", fault, broken=_broken(code))
    if fault is not None:
        body = code[ORGANISATION_CODE]
        if len(code) == 18 and is_org_code(body):
            return Finding("faulty", fault, org_code=body)
        return Finding("faulty", fault, broken=_broken(code))
    kind, registrar = scope_of(code, tables)
    if registrar:
        return Finding("out_of_scope", registrar)
    body = code[ORGANISATION_CODE]
    return Finding("good", "", f"org:{body}", f"CN-USCC:{code}", kind, body, warning or "")


def _broken(code: str) -> str:
    """A code that is none, if it was meant as a unified code by its length: older numbers have up to 15 characters."""
    return code if 16 <= len(code) <= 21 else ""


def _read_org_code(number: str, tables: SubjectTables) -> Finding:
    code = compact_code(number)
    return _absent(number, code, tables) or _checked(
        is_org_code(code),
        "check_digit" if re.fullmatch(r"[0-9A-Z]{8}[0-9X]", code) else "length" if len(code) != 9 else "alphabet",
        Finding("good", "", f"org:{code}", f"CN-ORG:{code}", org_code=code),
    )


def _read_registration_number(number: str, tables: SubjectTables) -> Finding:
    code = compact_code(number)
    absent = _absent(number, code, tables)
    if absent is not None:
        return absent
    if not re.fullmatch(r"[0-9]+", code):
        return Finding("faulty", "alphabet")
    if len(code) == 13:
        known = code[:2] in tables.provinces
        good = Finding("good", "", f"reg:{code}", f"CN-REG:{code}", warning="registration_number_13")
        return _checked(known, "region_format", good)
    kind: Kind = "sole_trader" if code[6:7] in tables.sole_trader_sequences else "unknown"
    return _checked(
        is_registration_number(code),
        "check_digit" if len(code) == 15 else "length",
        Finding("good", "", f"reg:{code}", f"CN-REG:{code}", kind),
    )


def _read_tax_number(number: str, tables: SubjectTables) -> Finding:
    """15 characters: region and organisation code. 18: the unified code. 20: a person's (a sole trader's of old)."""
    code = compact_code(number)
    absent = _absent(number, code, tables)
    if absent is not None:
        return absent
    if len(code) == 18:
        return _read_uscc(code, tables) if is_uscc(code) else Finding("faulty", "check_digit")
    if re.fullmatch(r"[0-9]{17}[0-9X][0-9A-Z]{2}", code):
        return Finding("person", "person_tax_number")
    body = code[6:]
    return _checked(
        len(code) == 15 and code[:6].isdigit() and is_org_code(body),
        "check_digit" if len(code) == 15 else "length",
        Finding("good", "", f"org:{body}", f"CN-TAX:{code}", org_code=body),
    )


# -- other countries, through python-stdnum -------------------------------------------------------------------------


def _read_rfc(number: str, tables: SubjectTables) -> Finding:
    code = rfc.compact(compact_code(number))
    absent = _absent(number, code, tables)
    if absent is not None:
        return absent
    if re.fullmatch(r"[A-ZÑ&]{4}[0-9A-Z]{9}", code):
        return Finding("person", "person_tax_number")
    key = code.replace("Ñ", "~N")  # keys are ASCII
    return _checked(
        len(code) == 12 and rfc.is_valid(code),
        "format" if len(code) == 12 else "length",
        Finding("good", "", f"MX-RFC:{key}", f"MX-RFC:{code}"),
    )


def _read_cnpj(number: str, tables: SubjectTables) -> Finding:
    code = cnpj.compact(compact_code(number))
    absent = _absent(number, code, tables)
    if absent is not None:
        return absent
    if re.fullmatch(r"[0-9]{11}", code):
        return Finding("person", "person_tax_number")
    padded = code.zfill(14) if len(code) in (12, 13) else code  # spreadsheets drop leading zeros
    return _checked(
        cnpj.is_valid(padded),
        "check_digit" if len(padded) == 14 else "length",
        Finding("good", "", f"BR-CNPJ:{padded}", f"BR-CNPJ:{padded}"),
    )


def _read_lei(number: str, tables: SubjectTables) -> Finding:
    code = lei.compact(compact_code(number))
    return _absent(number, code, tables) or _checked(
        len(code) == 20 and lei.is_valid(code),
        "check_digit" if len(code) == 20 else "length",
        Finding("good", "", f"XI-LEI:{code}", f"XI-LEI:{code}"),
    )


# -- nobody said what it is -----------------------------------------------------------------------------------------


def _read_any_chinese(number: str, tables: SubjectTables) -> Finding:
    code = compact_code(number)
    if len(code) == 18:
        return _read_uscc(number, tables)
    absent = _absent(number, code, tables)
    if absent is not None:
        return absent
    older = _first_good(code, (_read_registration_number, _read_org_code, _read_tax_number), tables)
    scientific = examine_uscc(number, tables.uscc)[1] == "scientific_notation"
    if scientific:
        return older or Finding("faulty", "scientific_notation")
    return older or Finding("faulty", "unrecognised", broken=_broken(code))


def _read_any(number: str, tables: SubjectTables) -> Finding:
    chinese = _read_any_chinese(number, tables)
    if chinese.detail != "unrecognised":
        return chinese
    return _first_good(number, (_read_cnpj, _read_lei, _read_rfc), tables) or chinese


def _first_good(
    number: str, readers: tuple[Callable[[str, SubjectTables], Finding], ...], tables: SubjectTables
) -> Finding | None:
    """What the first scheme makes of the number that takes it for a good one."""
    for read in readers:
        finding = read(number, tables)
        if finding.state == "good":
            return replace(finding, warning=finding.warning or "scheme_recognised")
    return None


def _absent(number: str, code: str, tables: SubjectTables) -> Finding | None:
    """Nothing, or what people write where there is nothing."""
    if not number.strip():
        return Finding("empty")
    return Finding("placeholder") if is_placeholder(code, tables.uscc) else None


def _checked(right: bool, fault: str, good: Finding) -> Finding:
    return good if right else Finding("faulty", fault)


SCHEMES: dict[str, Scheme] = {
    scheme.code: scheme
    for scheme in (
        Scheme("CN-USCC", "统一社会信用代码", "GB 32100-2015", _read_uscc),
        Scheme("CN-ORG", "组织机构代码", "GB 11714-1997", _read_org_code),
        Scheme("CN-TAX", "税务登记号", "region and organisation code", _read_tax_number),
        Scheme("CN-REG", "工商注册号", "GS 15-2006, check of ISO 7064 MOD 11,10", _read_registration_number),
        Scheme("CN-ANY", "a column of a register of organisations with any of these", "as above", _read_any_chinese),
        Scheme("MX-RFC", "Registro Federal de Contribuyentes", "SAT, organisations only", _read_rfc),
        Scheme("BR-CNPJ", "Cadastro Nacional da Pessoa Jurídica", "Receita Federal", _read_cnpj),
        Scheme("XI-LEI", "Legal Entity Identifier", "ISO 17442", _read_lei),
    )
}
UNTYPED = Scheme("?", "nobody said what it is", "form and check digits", _read_any)


def read_identifier(identifier: str, tables: SubjectTables) -> Finding:
    """What one identifier SCHEME:NUMBER is. An unknown scheme is a fault; a number without any is untyped."""
    scheme, colon, number = identifier.partition(":")
    if not colon:
        return UNTYPED.read(identifier, tables)
    known = UNTYPED if scheme.strip() == "?" else SCHEMES.get(scheme.strip().upper())
    return Finding("faulty", "unknown_scheme") if known is None else known.read(number, tables)
