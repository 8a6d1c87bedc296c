"""The unified social credit code of organisations (GB 32100-2015 and amendment 1), judged a column at a time.

`examine_usccs` takes codes as people write them and says of each what it is, or what is wrong with it. The scalar
helpers below it are the same arithmetic for one code: check digits of the three kinds of Chinese organisation number.

Non-goals: whether a body of that code exists (that is the base register's knowledge), and whether a number is a
person's (`schemas.persons` is asked first).
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.columns import Bytes, rows_of_width

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # 31 characters: no I, O, S, V, Z (GB 32100-2015, 4.2)
LENGTH = 18
ORGANISATION_CODE = slice(8, 17)  # characters 9 to 17 are the organisation code of GB 11714

_MODULUS = len(ALPHABET)
_WEIGHTS = tuple(pow(3, position, _MODULUS) for position in range(17))
_BODY_MODULUS = 11
_BODY_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)  # GB 11714-1997
_BODY_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # here all 26 letters count, A = 10

Fault = Literal[
    "empty",
    "placeholder",
    "scientific_notation",
    "length",
    "alphabet",
    "region_format",
    "body_check",
    "check_digit",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
CodeWarning = Literal["check_overridden", "prefix_unknown", "region_unknown"]
WARNINGS: tuple[CodeWarning, ...] = get_args(CodeWarning)

FAULT_TYPE = pl.Enum(FAULTS)
WARNING_TYPE = pl.Enum(WARNINGS)

# Character classes (without their brackets) that Python's `re` and Polars read alike: spaces of every width,
# characters that print nothing, hyphens of every length.
SPACES = "\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
INVISIBLE = (
    "\x00-\x08\x0e-\x1f\x7f\u00ad\u034f\u061c\u115f\u1160\u180b-\u180e"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff"
)
HYPHENS = "\\-_~\u2010-\u2015\u2212"
BLANKS = SPACES + INVISIBLE
SEPARATORS = BLANKS + HYPHENS
_DECORATION = re.compile(f"[{SEPARATORS}'\"=\u2018\u2019\u201c\u201d`\u00b4]")
_DECIMALS = re.compile(r"\.0+$")
_SCIENTIFIC = r"^[0-9](?:\.[0-9]*)?E\+?[0-9]{1,3}$"


def compact_code(value: str) -> str:
    """One code in its normal spelling: half-width, upper case, without spaces, hyphens and what spreadsheets add."""
    plain = _DECORATION.sub("", unicodedata.normalize("NFKC", value).upper())
    return _DECIMALS.sub("", plain)


def compact_codes(values: pl.Series) -> pl.Series:
    """`compact_code` for a column of strings; null becomes the empty string."""
    plain = values.fill_null("").str.normalize("NFKC").str.to_uppercase()
    return plain.str.replace_all(_DECORATION.pattern, "").str.replace(_DECIMALS.pattern, "")


def uscc_check_digit(code17: str) -> str:
    """Check character of the first 17 characters. Raises ValueError for a character outside of the alphabet."""
    if len(code17) != 17:
        raise ValueError("the check character is computed from 17 characters")
    total = sum(ALPHABET.index(character) * weight for character, weight in zip(code17, _WEIGHTS, strict=True))
    return ALPHABET[-total % _MODULUS]  # -total % 31, because 31 - (total % 31) would be 31 where 0 is meant


def org_code_check(body8: str) -> str:
    """Check character of the first 8 characters of an organisation code (GB 11714-1997): a digit or X.

    Raises ValueError for a character that is neither a digit nor an upper-case letter.
    """
    if len(body8) != 8:
        raise ValueError("the check character is computed from 8 characters")
    total = sum(
        _BODY_ALPHABET.index(character) * weight for character, weight in zip(body8, _BODY_WEIGHTS, strict=True)
    )
    return "0123456789X"[-total % _BODY_MODULUS]


def registration_number_check(first14: str) -> str:
    """Check digit of the first 14 digits of a 15-digit registration number (ISO 7064 MOD 11,10)."""
    if len(first14) != 14:
        raise ValueError("the check digit is computed from 14 digits")
    product = 10
    for character in first14:
        product = ((product + int(character)) % 10 or 10) * 2 % 11
    return str((11 - product) % 10)


def is_org_code(code: str) -> bool:
    """Whether these 9 characters are an organisation code with the right check character."""
    return re.fullmatch(r"[0-9A-Z]{8}[0-9X]", code) is not None and org_code_check(code[:8]) == code[8]


def is_uscc(code: str) -> bool:
    """Whether these 18 characters are a unified social credit code with both checks right (overrides do not count)."""
    if re.fullmatch(f"[{ALPHABET}]{{2}}[0-9]{{6}}[{ALPHABET}]{{10}}", code) is None:
        return False
    return is_org_code(code[ORGANISATION_CODE]) and uscc_check_digit(code[:17]) == code[17]


_READABLE_LEAST = 6
_EDITS_MOST = 3


def is_another_body(broken: str, org_code: str) -> bool:
    """Whether what can be read of a broken unified code belongs to another organisation than this organisation code.

    A scan that broke a code misread one to three of its characters, lost or doubled one: in two lists of 2017 with 173
    such pairs all but three organisation codes stand in the broken code with at most 3 edits, while the code of another
    body in such a list takes 4 or more. Of a code whose end is mostly no letter and no digit nothing can be said.
    """
    if len(re.findall("[0-9A-Z]", broken[ORGANISATION_CODE.start :])) < _READABLE_LEAST:
        return False
    edits = [0] * (len(broken) + 1)  # of the organisation code's beginning to any part of the broken code
    for length, wanted in enumerate(org_code, start=1):
        before, edits = edits, [length]
        for place, found in enumerate(broken, start=1):
            edits.append(min(before[place] + 1, edits[-1] + 1, before[place - 1] + (wanted != found)))
    return min(edits) > _EDITS_MOST


def is_registration_number(number: str) -> bool:
    """Whether these 15 digits pass the check of a registration number."""
    return re.fullmatch(r"[0-9]{15}", number) is not None and registration_number_check(number[:14]) == number[14]


@dataclass(frozen=True, slots=True)
class UsccTables:
    """The reference tables in the form in which columns are judged.

    Attributes:
        known_prefix: by the two bytes of the prefix, first byte low.
        known_region: by the region code as a number.
        placeholders: normalised spellings of "there is no code".
        overrides: codes accepted although a check fails.
    """

    known_prefix: npt.NDArray[np.bool_]
    known_region: npt.NDArray[np.bool_]
    placeholders: frozenset[str]
    overrides: frozenset[str]


def _or_shipped(tables: UsccTables | None) -> UsccTables:
    if tables is not None:
        return tables
    from schemas.reference.codes import uscc_tables  # not at the top: that package reads codes with this module

    return uscc_tables()


# Everything that the 18 characters add up to is gathered from one table per position and packed into one integer, so
# that a column costs 18 look-ups and 17 additions per row. Fields of the integer, first bit and width:
_CHECK = (0, 14)  # weighted sum of GB 32100, the check character with weight 1: a multiple of 31 when right
_BODY = (14, 11)  # weighted sum of GB 11714, the check character with weight 1: a multiple of 11 when right
_BAD_ALPHABET = (25, 5)  # how many characters are outside of the alphabet
_BAD_REGION = (30, 3)  # how many characters of the region are no digits
_BAD_BODY = (33, 1)  # whether the body's check character is neither digit nor X
_NOT_PLAIN = (34, 5)  # how many bytes are neither digits nor upper-case letters, so that the code must be compacted
_REGION = (39, 20)  # the region code as a number

_REGION_POSITIONS = range(2, 8)
_BODY_POSITIONS = range(8, 16)
_BODY_CHECK_POSITION = 16
_CHECK_POSITION = 17


def _packed_tables() -> npt.NDArray[np.uint64]:
    tables = np.zeros((LENGTH, 256), np.uint64)
    for position in range(LENGTH):
        for byte in range(256):
            tables[position, byte] = _packed(position, chr(byte))
    return tables


def _packed(position: int, character: str) -> int:
    """What one character at one position adds to the packed integer."""
    in_alphabet = character in ALPHABET
    is_digit = "0" <= character <= "9"
    packed = 0 if in_alphabet else 1 << _BAD_ALPHABET[0]
    if character not in _BODY_ALPHABET:
        packed += 1 << _NOT_PLAIN[0]
    if in_alphabet:
        weight = 1 if position == _CHECK_POSITION else _WEIGHTS[position]
        packed += ALPHABET.index(character) * weight << _CHECK[0]
    if position in _REGION_POSITIONS:
        packed += int(character) * 10 ** (7 - position) << _REGION[0] if is_digit else 1 << _BAD_REGION[0]
    if position in _BODY_POSITIONS and character in _BODY_ALPHABET:
        packed += _BODY_ALPHABET.index(character) * _BODY_WEIGHTS[position - 8] << _BODY[0]
    if position == _BODY_CHECK_POSITION:
        value = "0123456789X".find(character)
        packed += value << _BODY[0] if value >= 0 else 1 << _BAD_BODY[0]
    return packed


_TABLES = _packed_tables()


def _sums(matrix: Bytes) -> npt.NDArray[np.uint64]:
    total = _TABLES[0][matrix[:, 0]]
    for position in range(1, LENGTH):
        total += _TABLES[position][matrix[:, position]]
    return total


def _part(packed: npt.NDArray[np.uint64], part: tuple[int, int]) -> npt.NDArray[np.uint32]:
    first, width = part
    return ((packed >> np.uint64(first)) & np.uint64((1 << width) - 1)).astype(np.uint32)


_GOOD = np.uint8(len(FAULTS))  # beyond the last fault and the last warning: becomes null
_SILENT = np.uint8(len(WARNINGS))


def examine_usccs(codes: pl.Series, tables: UsccTables | None = None) -> pl.DataFrame:
    """Judge a column of codes as they were written.

    Args:
        codes: strings, null allowed.
        tables: reference tables, the shipped ones by default.

    Returns:
        One row per code:
        `code` (String) the code in its normal spelling;
        `fault` (Enum of FAULTS) what is wrong, of several faults the first of FAULTS; null for a good code;
        `warning` (Enum of WARNINGS) what is unusual about a good code;
        `org_code` (String) characters 9 to 17 of a good code, else null.

    An unknown prefix or region is a warning, since registrars and regions are added faster than tables. A code that
    fails a check but is on the override list is good, with a warning.
    """
    tables = _or_shipped(tables)
    written = codes.fill_null("").rename("code")
    rows, matrix = rows_of_width(written, LENGTH)
    sums = _sums(matrix)
    plain = (sums & np.uint64(((1 << _NOT_PLAIN[1]) - 1) << _NOT_PLAIN[0])) == 0
    if rows is None and bool(plain.all()):
        fault, warning = _judge(written, matrix, sums, tables)
        return _answer(written, fault, warning)
    plain_rows = np.flatnonzero(plain) if rows is None else rows[plain]
    fault = np.full(len(written), _GOOD, np.uint8)
    warning = np.full(len(written), _SILENT, np.uint8)
    fault[plain_rows], warning[plain_rows] = _judge(written.gather(plain_rows), matrix[plain], sums[plain], tables)
    other = np.ones(len(written), np.bool_)
    other[plain_rows] = False
    other_rows = np.flatnonzero(other)
    rest = written.gather(other_rows)
    if len(rest) <= _FEW_ROWS:
        compacted, fault[other_rows], warning[other_rows] = _judge_few(rest, tables)
    else:
        compacted = compact_codes(rest)
        fault[other_rows], warning[other_rows] = _judge_unplain(rest, compacted, tables)
    return _answer(written.scatter(other_rows, compacted), fault, warning)


def examine_uscc(written: str, tables: UsccTables | None = None) -> tuple[str, Fault | None, CodeWarning | None]:
    """`examine_usccs` for one code, with the same answers: its normal spelling, its fault, its warning."""
    tables = _or_shipped(tables)
    code = compact_code(written)
    if re.fullmatch(f"[{BLANKS}]*", written):
        return code, "empty", None
    if is_placeholder(code, tables) or written in tables.placeholders:
        return code, "placeholder", None
    if code in tables.overrides:
        return code, None, "check_overridden"
    fault = _fault_of(code)
    return code, fault, None if fault else _warning_of(code, tables)


def is_placeholder(code: str, tables: UsccTables) -> bool:
    """Whether a compacted code is a word of the table, one character repeated, or nothing but what was stripped."""
    return code == "" or code in tables.placeholders or (len(code) > 1 and len(set(code)) == 1)


def _fault_of(code: str) -> Fault | None:
    if re.match(_SCIENTIFIC, code):
        return "scientific_notation"
    if len(code) != LENGTH:
        return "length"
    if not all(character in ALPHABET for character in code):
        return "alphabet"
    if not re.fullmatch("[0-9]{6}", code[2:8]):
        return "region_format"
    if not is_org_code(code[ORGANISATION_CODE]):
        return "body_check"
    return None if uscc_check_digit(code[:17]) == code[17] else "check_digit"


def _warning_of(code: str, tables: UsccTables) -> CodeWarning | None:
    if not tables.known_prefix[int.from_bytes(code[:2].encode("ascii"), "little")]:
        return "prefix_unknown"
    return None if tables.known_region[int(code[2:8])] else "region_unknown"


def _answer(code: pl.Series, fault: npt.NDArray[np.uint8], warning: npt.NDArray[np.uint8]) -> pl.DataFrame:
    faults = _enum(fault, FAULT_TYPE)
    org_code = code.str.slice(ORGANISATION_CODE.start, ORGANISATION_CODE.stop - ORGANISATION_CODE.start)
    if faults.null_count() < len(faults):
        org_code = pl.select(pl.when(faults.is_null()).then(org_code)).to_series()
    return pl.DataFrame({"code": code, "fault": faults, "warning": _enum(warning, WARNING_TYPE), "org_code": org_code})


def _enum(numbers: npt.NDArray[np.uint8], dtype: pl.Enum) -> pl.Series:
    """Numbers of an enumeration's words as that enumeration; the number after the last word as null."""
    words = [*dtype.categories.to_list(), None]
    return pl.Series(words, dtype=dtype).gather(numbers)


def _judge(
    codes: pl.Series, matrix: Bytes, sums: npt.NDArray[np.uint64], tables: UsccTables
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Faults and warnings of codes that are 18 digits and capital letters each."""
    fault = np.full(len(codes), _GOOD, np.uint8)
    warning = np.full(len(codes), _SILENT, np.uint8)
    if len(codes) == 0:
        return fault, warning
    check_fails = _part(sums, _CHECK) % _MODULUS != 0
    body_fails = (_part(sums, _BODY) % _BODY_MODULUS != 0) | (_part(sums, _BAD_BODY) != 0)
    region_fails = _part(sums, _BAD_REGION) != 0
    alphabet_fails = _part(sums, _BAD_ALPHABET) != 0
    prefix = matrix[:, 0].astype(np.uint16) | (matrix[:, 1].astype(np.uint16) << np.uint16(8))
    prefix_unknown = ~tables.known_prefix[prefix]
    warning[~tables.known_region[_part(sums, _REGION)]] = WARNINGS.index("region_unknown")
    warning[prefix_unknown] = WARNINGS.index("prefix_unknown")
    # later lines win, so that the first of FAULTS is what remains
    fault[check_fails] = FAULTS.index("check_digit")
    fault[body_fails] = FAULTS.index("body_check")
    fault[region_fails] = FAULTS.index("region_format")
    fault[alphabet_fails] = FAULTS.index("alphabet")
    doubtful = np.flatnonzero((fault != _GOOD) | prefix_unknown | (matrix[:, 0] == matrix[:, 1]))
    if len(doubtful):
        words = codes.gather(doubtful)
        overridden = doubtful[words.is_in(list(tables.overrides)).to_numpy()]
        fault[overridden] = _GOOD
        warning[overridden] = WARNINGS.index("check_overridden")
        repeated = (matrix[doubtful] == matrix[doubtful][:, :1]).all(axis=1)
        listed = words.is_in(list(tables.placeholders)).to_numpy()
        fault[doubtful[repeated | listed]] = FAULTS.index("placeholder")
    warning[fault != _GOOD] = _SILENT
    return fault, warning


_FEW_ROWS = 200  # below it, one code after the other costs less than the steps for columns


def _judge_few(
    written: pl.Series, tables: UsccTables
) -> tuple[pl.Series, npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Normal spelling, faults and warnings of codes that had to be compacted first, one by one."""
    answers = [examine_uscc(code, tables) for code in written.to_list()]
    fault = [_GOOD if fault is None else FAULTS.index(fault) for _, fault, _ in answers]
    warning = [_SILENT if warning is None else WARNINGS.index(warning) for _, _, warning in answers]
    codes = pl.Series([code for code, _, _ in answers], dtype=pl.String)
    return codes, np.array(fault, np.uint8), np.array(warning, np.uint8)


def _judge_unplain(
    written: pl.Series, compacted: pl.Series, tables: UsccTables
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Faults and warnings of codes that had to be compacted first, or that are of another length."""
    fault = np.full(len(compacted), _GOOD, np.uint8)
    warning = np.full(len(compacted), _SILENT, np.uint8)
    plain = compacted.str.contains(r"^[0-9A-Z]{18}$").to_numpy()
    rows = np.flatnonzero(plain)
    codes = compacted.gather(rows)
    _, matrix = rows_of_width(codes, LENGTH)
    fault[rows], warning[rows] = _judge(codes, matrix, _sums(matrix), tables)
    odd = np.flatnonzero(~plain)
    words = compacted.gather(odd)
    # later lines win, so that the first of FAULTS is what remains
    fault[odd] = FAULTS.index("alphabet")
    fault[odd[(words.str.len_chars() != LENGTH).to_numpy()]] = FAULTS.index("length")
    fault[odd[words.str.contains(_SCIENTIFIC).to_numpy()]] = FAULTS.index("scientific_notation")
    fault[odd[_are_placeholders(words, written.gather(odd), tables).to_numpy()]] = FAULTS.index("placeholder")
    fault[odd[_are_blank(written.gather(odd)).to_numpy()]] = FAULTS.index("empty")
    return fault, warning


def _are_placeholders(words: pl.Series, written: pl.Series, tables: UsccTables) -> pl.Series:
    """Words of the table, one character repeated, and what was nothing but hyphens or quotes."""
    first = words.str.slice(0, 1)
    one_character = (words.str.len_chars() > 1) & (words.str.strip_chars(first) == "")
    known = list(tables.placeholders)
    return words.is_in(known) | written.is_in(known) | one_character | (words == "")


def _are_blank(written: pl.Series) -> pl.Series:
    return written.str.replace_all(f"[{BLANKS}]", "") == ""
