"""The cheap half of the person guard: which cells of a column could hold a personal number at all.

Almost no text does, so the column's bytes are read a few times by vector instructions, and only the few cells that hold
a long run of digits, a mask, or digits next to unusual characters are looked at closely (`schemas.personal_numbers`).
A cell that is named here for nothing costs time; one that is not named is never looked at, so every form that the close
look knows must leave one of these traces (a property test holds the two together):

- 11 bytes of ASCII digits, spaces and punctuation in a row hold two aligned words of 4 such bytes;
- 7 digits in a row hold an aligned word of 4 digits, 6 digits after a letter do or leave their halves around a border;
- 7 letters X in a row hold an aligned XXXX;
- full-width digits, and characters beyond U+FFFF (other digits), are traces themselves;
- a line break or a tab between two bytes from space to question mark is a trace itself;
- anything else that can hide in a number stands after one of its digits, and is not ASCII.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.columns import Bytes, Offsets, string_bytes

Positions = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]
Flags = npt.NDArray[np.bool_]

_BLOCK_BYTES = 1 << 18  # so that a block and what is computed from it stay in the processor's cache
_OVERLAP_BYTES = 64  # no trace is longer
_U4 = np.uint32


def suspicious_cells(values: pl.Series) -> Positions:
    """Row numbers, ascending, of the cells that could hold a personal number. `values` holds no nulls."""
    data, offsets = string_bytes(values)
    found = [_traces(data[start : start + _BLOCK_BYTES + _OVERLAP_BYTES]) + start for start in _blocks(len(data))]
    if not found:
        return np.zeros(0, np.int64)
    return _cells(np.concatenate(found), offsets)


def _blocks(length: int) -> range:
    return range(0, length, _BLOCK_BYTES)


def _cells(positions: Positions, offsets: Offsets) -> Positions:
    """Cells in which the bytes stand."""
    named = np.zeros(len(offsets) - 1, np.bool_)
    named[np.searchsorted(offsets, positions, side="right") - 1] = True
    return np.flatnonzero(named)


def _traces(data: Bytes) -> Positions:
    """Positions, in no order, of a byte inside of each trace."""
    whole = len(data) >= 16 and len(data) % 4 == 0
    padded = data if whole else np.concatenate([data, np.zeros(20 - len(data) % 4, np.uint8)])
    words: Words = padded.view(_U4)
    capitals = (words & _U4(0xDFDFDFDF)) == _U4(0x58585858)  # XXXX or xxxx
    traces = [_long_runs(words), _digit_words(words), _split_digits(words), np.flatnonzero(capitals) * 4]
    traces.append(_breaks(padded))
    if padded.max() >= 0x80:
        traces += [_full_width_digits(padded), np.flatnonzero(padded >= 0xF0), _beside_digits(padded)]
    return np.minimum(np.concatenate(traces), len(data) - 1)


def _long_runs(words: Words) -> Positions:
    """Second of two neighbouring words of bytes from 0x20 to 0x3f: digits, space, most ASCII punctuation."""
    low = (words & _U4(0xE0E0E0E0)) == _U4(0x20202020)
    return np.flatnonzero(low[:-1] & low[1:]) * 4 + 4


def _breaks(data: Bytes) -> Positions:
    """Tabs and line breaks after digits, spaces or punctuation, and before them or another break."""
    breaks = data - np.uint8(9) < np.uint8(5)
    at = np.flatnonzero(breaks)
    if len(at) == 0:
        return at
    low = (data & np.uint8(0xE0)) == np.uint8(0x20)
    before, after = np.maximum(at - 1, 0), np.minimum(at + 1, len(data) - 1)
    return at[low[before] & (low[after] | breaks[after])]


def _full_width_digits(data: Bytes) -> Positions:
    """Full-width digits: EF BC 90 to EF BC 99."""
    found: list[Positions] = []
    for phase in (0, 1):
        pairs = data[phase : len(data) - (len(data) - phase) % 2].view(np.uint16)
        at = np.flatnonzero((pairs & np.uint16(0xF0FF)) == np.uint16(0x90BC)) * 2 + phase
        found.append(at[(data[at - 1] == 0xEF) & (data[at + 1] <= 0x99)])
    return np.concatenate(found)


def _digit_words(words: Words) -> Positions:
    """Words of 4 digits in runs of 7 or more, or of 6 after a letter.

    A year or the number of a decision has fewer. A date of 8 digits begins with 19 or 20: it is left out unless a
    letter stands before it. (Bytes from 0x3a to 0x3f, six signs, count as digits here.)
    """
    at = np.flatnonzero(_foreign_to_digits(words) == 0)
    if len(at) == 0:
        return at
    before, after = words[np.maximum(at - 1, 0)], words[np.minimum(at + 1, len(words) - 1)]
    before_foreign, after_foreign = _foreign_to_digits(before), _foreign_to_digits(after)
    digits_before = _clear_bytes(before_foreign, _HIGH_BYTES)
    digits_after = _clear_bytes(after_foreign, _LOW_BYTES)
    long = digits_before + digits_after >= 2
    at = at[long]
    digits_before, digits_after = digits_before[long], digits_after[long]
    data = words.view(np.uint8)
    first = at * 4 - digits_before
    letter = _is_letter(data, first - 1)
    digits = digits_before + digits_after + 4
    year = ((data[first] == 0x31) & (data[first + 1] == 0x39)) | ((data[first] == 0x32) & (data[first + 1] == 0x30))
    return at[letter | ((digits >= 7) & ~((digits == 8) & year))] * 4


_HIGH_BYTES = (0xFF000000, 0xFFFF0000, 0xFFFFFF00, 0xFFFFFFFF)  # the last byte of a word, the last two, three, all
_LOW_BYTES = (0x000000FF, 0x0000FFFF, 0x00FFFFFF, 0xFFFFFFFF)


def _clear_bytes(words: Words, masks: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """How many of the masks, each a byte longer than the one before, meet nothing in a word."""
    count = np.zeros(len(words), np.int64)
    for mask in masks:
        count += (words & _U4(mask)) == 0
    return count


def _foreign_to_digits(words: Words) -> Words:
    """Zero in each byte that is a digit."""
    return (words ^ _U4(0x30303030)) & _U4(0xF0F0F0F0)


def _split_digits(words: Words) -> Positions:
    """Six digits of which three end one word and three begin the next, after a letter."""
    letter_and_three = (words & _U4(0xF0F0F0C0)) == _U4(0x30303040)
    three = (words & _U4(0x00F0F0F0)) == _U4(0x00303030)
    return np.flatnonzero(letter_and_three[:-1] & three[1:]) * 4 + 4


def _beside_digits(data: Bytes) -> Positions:
    """ASCII digits, spaces or punctuation before a character that may stand between or for digits and is not ASCII.

    U+0080 to U+00FF (C2, C3: hard spaces, soft hyphen, multiplication sign, middle dot), U+2000 to U+2FFF (E2: spaces,
    dashes, invisible characters, geometric shapes), ideographic space (E3 80 80), variation selectors, byte order mark,
    full-width digits, asterisk, dot and hyphen (EF B8, BB, BC), and everything beyond U+FFFF (F0: other digits).
    """
    low = (data & np.uint8(0xE0)) == np.uint8(0x20)
    at = np.flatnonzero(low[:-1] & (data[1:] >= np.uint8(0xC2)))
    first, second, third = (_byte(data, at + step) for step in (1, 2, 3))
    unusual = (
        (first <= 0xC3) | (first == 0xE2) | (first >= 0xF0) | (first == 0xE1) | ((first >= 0xCC) & (first <= 0xDF))
    )
    unusual |= (first == 0xE3) & ((second == 0x80) & (third == 0x80) | (second == 0x85))
    unusual |= (first == 0xEF) & ((second != 0xBC) | ((third >= 0x8A) & (third != 0x8C) & (third <= 0x99)))
    return at[unusual]


def _byte(data: Bytes, positions: Positions) -> Bytes:
    return data[np.minimum(positions, len(data) - 1)]


def _is_letter(data: Bytes, positions: Positions) -> Flags:
    inside = positions >= 0
    byte = data[np.where(inside, positions, 0)] & np.uint8(0xDF)
    return inside & (byte >= 0x41) & (byte <= 0x5A)
