"""The person guard: says of each row whether any of its fields holds a personal number, and of what kind.

It stands in the adapter before anything is sent, and in intake before anything is written. What it finds is refused
whole; only the kind is passed on, never the value. Forms and their check digits are in `schemas.personal_numbers`; here
they are brought to columns of thousands of rows, most of which hold nothing of the sort.

Non-goals: names of persons (a field that may hold one is dropped by the mapping), and any list of persons.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.digit_scan import suspicious_cells
from schemas.personal_numbers import (
    MASKS,
    PERSONAL_KINDS,
    PRINTED_CNPJ,
    SEPARATORS_IN_NUMBERS,
    PersonalKind,
    personal_number_as_code,
    personal_number_in,
    plain_text,
)
from schemas.uscc import INVISIBLE

__all__ = ["PERSONAL_KINDS", "PersonalKind", "mask", "screen", "screen_amounts", "screen_text", "words_to_show"]

Rows = npt.NDArray[np.int64]

_MONTH_DAY = "(?:0[1-9]|1[0-2])[0-3][0-9]"
# Every form in `personal_numbers`, and more: a second sieve before texts are looked at one by one. The first half is
# looked for in the text itself, the second where the separators between digits are taken out.
_COARSE_TEXT = "|".join(
    (
        r"(?:^|[^0-9])[0-9]{11}(?:$|[^0-9])",
        r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}[-/.][0-9]{2}",
        rf"[{MASKS}][ \-.\n\r]{{0,2}}[0-9{MASKS}]",
        rf"[0-9][ \-.\n\r]{{0,2}}[{MASKS}]",
        r"[0-9]\.[0-9]{7,}[Ee]\+?1[5-9]",
        r"[Xx]{7}",
        r"[A-Za-z][0-9]{7}",
        r"[A-Za-zÑñ&]{4}[0-9]{6}[0-9A-Za-z]{3}",
        r"(?:证|护照|(?i:passport))[^0-9A-Za-z]{0,12}[A-Za-z]{0,3}[0-9]{7}",
    )
)
_BETWEEN_DIGITS = f"[{SEPARATORS_IN_NUMBERS}]"
_ELEVEN_DIGITS = rf"[0-9](?:{_BETWEEN_DIGITS}{{0,3}}[0-9Xx]){{10}}"
_COARSE_JOINED = "|".join(
    (
        rf"[1-9][0-9]{{5}}(?:18|19|20)[0-9]{{2}}{_MONTH_DAY}[0-9]{{3}}[0-9Xx]",
        rf"[1-9][0-9]{{7}}{_MONTH_DAY}[0-9]{{3}}",
        r"1[3-9][0-9]{9}",
        r"(?:62|4[0-9]|5[1-5]|2[2-7]|35|95)[0-9]{14}",
    )
)
# Cells of code columns that are not plainly the code of an organisation: odd characters, or the shape of a number.
_COARSE_CODE = "|".join(
    (
        r"[^0-9A-Z:?-]",
        r"[0-9][-:]|(?:^|:)-",
        r"[1-9][0-9]{5}(?:18|19|20)[0-9]{2}[01][0-9][0-3][0-9]",
        r"(?:^|:)[1-9][0-9]{7}[01][0-9][0-3][0-9]{4}$",
        r"(?:^|:)(?:0{0,2}86)?[0-9]{11}$",
        r"BR-CNPJ:[0-9]{8,10}$",
        r"(?:^|:)(?:62|4[0-9]|5[1-5]|2[2-7]|35|95)[0-9]{14,17}$",
        r"(?:^|:)[A-Z]{1,2}[0-9]{7,10}$",
        r"[A-Z]{4}[0-9]{6}[0-9A-Z]",
        r"[A-Z]{3}[0-9]{12}",
        r"[0-9]{3}X{7}",
        r"[A-Z][0-9]{11}",
        r"(?:^|:)[0-9]{11,15}[A-Z]",
    )
)


def screen_text(value: str, is_code: bool = False) -> PersonalKind | None:
    """The kind of personal number that `value` holds, or None.

    Args:
        value: one cell as it came.
        is_code: the cell holds one identifier, perhaps with its scheme (`CN-USCC:…`), not free text. Codes of
            organisations share forms with personal numbers: cards and phone numbers are not looked for inside them.
    """
    return personal_number_as_code(value) if is_code else personal_number_in(plain_text(value))


def screen(
    frame: pl.DataFrame, text_columns: Sequence[str], code_columns: Sequence[str] = (), repetitive: Sequence[str] = ()
) -> pl.Series:
    """The kind of personal number that each row holds in any of these columns.

    Args:
        frame: rows as they came, before any normalisation.
        text_columns: String or List(String) columns of free text, names, document numbers.
        code_columns: String or List(String) columns of identifiers; see `screen_text`.
        repetitive: those of them that hold few different cells: each is looked at once, which changes no verdict.

    Returns:
        A String series `personal`, one row each: null, or one of PERSONAL_KINDS (that of the first column that holds
        one, texts before codes). Each cell has the verdict that `screen_text` gives it.
    """
    verdicts: dict[int, PersonalKind] = {}
    for columns, candidates, judge in (
        (text_columns, _suspicious_texts, _judge_plain),
        (code_columns, _suspicious_codes, personal_number_as_code),
    ):
        for name in columns:
            _screen_column(frame[name], candidates, judge, verdicts, name in repetitive)
    if not verdicts:
        return pl.Series("personal", [None], pl.String).new_from_index(0, frame.height)
    kinds: list[PersonalKind | None] = [None] * frame.height
    for row, kind in verdicts.items():
        kinds[row] = kind
    return pl.Series("personal", kinds, pl.String)


def screen_amounts(frame: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """The kind of personal number that stands in a column of amounts, where it became one; otherwise as `screen`.

    Args:
        columns: Int64 columns in fen. What was read as yuan has two digits more than what stood in the cell.
    """
    kinds: list[PersonalKind | None] = [None] * frame.height
    for name in columns:
        for row in (frame[name] >= _AMOUNT_LIKE_A_NUMBER).fill_null(False).arg_true():
            fen = frame[name][row]
            kinds[row] = kinds[row] or screen_text(str(fen)) or screen_text(str(fen // 100))
    return pl.Series("personal", kinds, pl.String)


def mask(value: str) -> str:
    """A quarantined value as it may be shown: at most its first 4 and last 2 characters, and never more than half."""
    shown = len(value) // 2
    tail = min(2, shown // 3)
    head = min(4, shown - tail)
    return value[:head] + "*" * (len(value) - head - tail) + (value[-tail:] if tail else "")


_AMOUNT_LIKE_A_NUMBER = 10**14  # fen; from 15 digits on, what stands in a column of amounts may be somebody's number
WITHHELD = "(withheld)"
_PIECE = re.compile(r"[^\s'\"“”‘’,;，；、()（）\[\]{}<>]+(?<![:：.])")
_SPREAD_OUT = re.compile(rf"[0-9A-Za-z０-９*＊](?:[^0-9A-Za-z\u4e00-\u9fff]{{0,4}}[0-9Xx０-９{MASKS}]){{6,}}")


def words_to_show(words: str) -> str:
    """A sentence, a log line or a stack trace as it may be shown: what looks like a personal number is struck out.

    The last resort, for words that come from elsewhere (a file's name, a library's error); what we say ourselves never
    repeats a value.
    """
    if screen_text(words) is None:
        return words
    for pieces in (_PIECE, _SPREAD_OUT):
        words = pieces.sub(lambda found: found[0] if screen_text(found[0]) is None else WITHHELD, words)
        if screen_text(words) is None:
            return words
    return f"{WITHHELD[:-1]}: these words hold what looks like a personal number)"


def _screen_column(
    column: pl.Series,
    candidates: Callable[[pl.Series], tuple[Rows, pl.Series]],
    judge: Callable[[str], PersonalKind | None],
    verdicts: dict[int, PersonalKind],
    repetitive: bool,
) -> None:
    """Add the verdicts on one column to those of the columns before it."""
    values, owners = _cells(column)
    if repetitive and len(candidates(values.unique())[0]) == 0:
        return
    at, texts = candidates(values)
    if len(at) == 0:
        return
    rows = at if owners is None else owners[at]
    for row, text in zip(rows.tolist(), texts.to_list(), strict=True):
        if row not in verdicts:
            kind = judge(text)
            if kind is not None:
                verdicts[row] = kind


def _cells(column: pl.Series) -> tuple[pl.Series, Rows | None]:
    """The cells of a column without nulls, and the row of each (None: cell n is row n)."""
    if column.dtype == pl.List(pl.String):
        lengths = column.list.len().fill_null(0).to_numpy()
        owners = np.repeat(np.arange(len(column), dtype=np.int64), lengths)
        values = (
            column.drop_nulls().list.explode(empty_as_null=False) if len(owners) else pl.Series([], dtype=pl.String)
        )
        return values.fill_null(""), owners
    return column.cast(pl.String).fill_null(""), None


def _suspicious_texts(values: pl.Series) -> tuple[Rows, pl.Series]:
    """Cells that a close look must judge, as plain text."""
    at = suspicious_cells(values)
    if len(at) == 0:
        return at, values.clear()
    texts = values.gather(at)
    if not (texts.str.len_bytes() == texts.str.len_chars()).all():
        texts = texts.str.normalize("NFKC").str.replace_all(f"[{INVISIBLE}]", "")
    named = texts.str.contains(_COARSE_TEXT).to_numpy().copy()
    spread = np.flatnonzero(~named & texts.str.contains(_ELEVEN_DIGITS).to_numpy())
    joined = texts.gather(spread).str.replace_all(_BETWEEN_DIGITS, "")
    named[spread] = joined.str.contains(_COARSE_JOINED).to_numpy()
    kept = np.flatnonzero(named)
    return at[kept], texts.gather(kept)


def _judge_plain(text: str) -> PersonalKind | None:
    return personal_number_in(plain_text(text))


def _suspicious_codes(values: pl.Series) -> tuple[Rows, pl.Series]:
    odd = values.str.contains(_COARSE_CODE)
    if odd.any():  # printed numbers of Brazil's organisations are odd, and many
        odd &= ~values.str.contains(rf"^(?:{PRINTED_CNPJ})$")
    at = np.flatnonzero(odd.to_numpy())
    return at, values.gather(at)
