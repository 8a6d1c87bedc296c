"""The unified social credit code of organisations (GB 32100-2015 and amendment 1), judged a column at a time.

`examine_usccs` takes codes as people write them and says of each what it is, or what is wrong with it. The scalar
helpers below it are the same arithmetic for one code: check digits of the three kinds of Chinese organisation number.

Non-goals: whether a body of that code exists (that is the base register's knowledge), and whether a number is a
person's (`schemas.persons` is asked first).
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.columns import fixed_width_rows
from schemas.reference.codes import placeholder_words, provinces, uscc_overrides, uscc_prefixes
from schemas.reference.regions import load_regions

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
Warning_ = Literal["check_overridden", "prefix_unknown", "region_unknown"]
WARNINGS: tuple[Warning_, ...] = get_args(Warning_)

FAULT_TYPE = pl.Enum(FAULTS)
WARNING_TYPE = pl.Enum(WARNINGS)

# Spaces of every width, invisible characters, hyphens of every length, and what spreadsheets put around a text.
SEPARATORS = (
    r"\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    r"\-_~\u2010-\u2015\u2212"
)
_DECORATION = re.compile(f"[{SEPARATORS}'\"=\u2018\u2019\u201c\u201d`\u00b4]")
_DECIMALS = re.compile(r"\.0+$")
_SCIENTIFIC = r"^[0-9](?:\.[0-9]*)?E\+?[0-9]{1,3}$"


def compact_code(value: str) -> str:
    """One code as the tables write it: half-width, upper case, no spaces, hyphens, invisible or spreadsheet characters."""
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
    total = sum(_BODY_ALPHABET.index(character) * weight for character, weight in zip(body8, _BODY_WEIGHTS, strict=True))
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


@cache
def uscc_tables(directory: Path | None = None) -> UsccTables:
    """The tables for `examine_usccs`, from the shipped reference folder or the one that replaces it."""
    known_prefix = np.zeros(1 << 16, np.bool_)
    for characters in uscc_prefixes(directory):
        known_prefix[int.from_bytes(characters.encode("ascii"), "little")] = True
    known_region = np.zeros(1_000_000, np.bool_)
    for province in provinces(directory).values():
        if province.is_region:
            known_region[int(province.prefix) * 10_000 : (int(province.prefix) + 1) * 10_000] = True
    regions = load_regions(directory)
    home = int(regions.province[:2]) * 10_000
    known_region[home : home + 10_000] = False  # of the home province every county is known, so a wrong one shows
    known_region[[int(code) for code in regions.by_code]] = True
    words = placeholder_words(directory)
    placeholders = frozenset(compact_code(word) for word in words) | words
    return UsccTables(known_prefix, known_region, placeholders, uscc_overrides(directory))


# Everything that the 18 characters add up to is gathered from one table per position and packed into one integer, so
# that a column costs 18 look-ups and 17 additions per row. Fields of the integer, from the low end:
_CHECK_BITS = np.uint64(0)  # 16 bits: weighted sum of GB 32100, check character included with weight 1
_BODY_BITS = np.uint64(16)  # 12 bits: weighted sum of GB 11714, check character included with weight 1
_ALPHABET_BITS = np.uint64(28)  # 6 bits: characters outside of the alphabet
_REGION_FORMAT_BITS = np.uint64(34)  # 4 bits: characters of the region that are no digits
_BODY_FORMAT_BITS = np.uint64(38)  # 2 bits: a check character of the body that is neither digit nor X
_UNPLAIN_BITS = np.uint64(40)  # 6 bits: bytes that are neither digits nor upper-case letters: normalise first
_REGION_BITS = np.uint64(46)  # 17 bits would not do for 999,999: 18 bits up to the top hold the 20-bit number modulo
