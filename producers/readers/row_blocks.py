"""Cuts the text of a table into blocks of whole rows, so that each can be parsed on its own.

A line feed inside of a quoted cell ends no row. Quotation marks count as the parser counts them: one opens a cell only
at its beginning, two in a row inside of it are a mark, and one in the middle of an unquoted cell is a letter.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from producers.readers.stream import Utf8Stream

Places = npt.NDArray[np.int64]
_QUOTE, _LF, _CR = b'"\n\r'


class RowTooLong(Exception):
    """No row ends within so many bytes as a block may have."""


def row_blocks(stream: Utf8Stream, separator: str, quoted: bool, block_bytes: int, bytes_max: int) -> Iterator[bytes]:
    """The text block by block, each ending where a row ends.

    Args:
        quoted: there are quotation marks in the text.
        block_bytes: about so long is a block; it grows where a row is longer, up to `bytes_max`.

    Raises:
        RowTooLong: one row has more than `bytes_max` bytes.
    """
    rest = b""
    wanted = block_bytes
    while piece := stream.read(wanted):
        block = rest + piece
        end = _end_of_rows(block, separator, quoted)
        if end > 0:
            yield block[:end]
            rest, wanted = block[end:], block_bytes
        elif len(block) > bytes_max:
            raise RowTooLong
        else:
            rest, wanted = block, max(block_bytes, len(block))
    if rest:
        yield rest


def _end_of_rows(block: bytes, separator: str, quoted: bool) -> int:
    """How many bytes of the block are whole rows. The block begins with a row."""
    marks = np.flatnonzero(np.frombuffer(block, np.uint8) == _QUOTE) if quoted else np.zeros(0, np.int64)
    if len(marks) == 0:
        return _last_line_end(block, 0, len(block))
    openings, closings = _quoted_cells(block, ord(separator), marks)
    # Between two quoted cells, from the last pair of them backwards.
    ends = np.concatenate((openings[1:], [len(block)])) if len(closings) == len(openings) else openings[1:]
    if len(openings) == 0:
        return _last_line_end(block, 0, len(block))
    for begin, end in zip(closings[::-1].tolist(), ends[: len(closings)][::-1].tolist(), strict=True):
        if (found := _last_line_end(block, begin, end)) > 0:
            return found
    return _last_line_end(block, 0, int(openings[0]))


def _last_line_end(block: bytes, begin: int, end: int) -> int:
    """Behind the last line end in a part of the block, or 0. A CR at the very end may have an LF yet."""
    line_feed = block.rfind(b"\n", begin, end)
    carriage_return = block.rfind(b"\r", max(begin, line_feed + 1), min(end, len(block) - 1))
    return max(line_feed, carriage_return) + 1


def _quoted_cells(block: bytes, separator: int, marks: Places) -> tuple[Places, Places]:
    """Places of the marks that open a quoted cell, and of those that close one; the last may be open."""
    data = np.frombuffer(block, np.uint8)
    before = data[np.maximum(marks - 1, 0)]
    at_begin = (before == separator) | (before == _LF) | (before == _CR) | (marks == 0)
    after = data[np.minimum(marks + 1, len(data) - 1)]
    at_end = (after == separator) | (after == _LF) | (after == _CR) | (marks == len(data) - 1)
    beside = np.zeros(len(marks) + 1, np.bool_)  # beside[i]: mark i stands directly behind mark i - 1
    beside[1:-1] = np.diff(marks) == 1
    opens = np.arange(len(marks)) % 2 == 0
    regular = np.where(opens, at_begin | beside[:-1], at_end | beside[1:])
    if regular.all():  # the usual case: marks by turns open and close, and close and open in one are a mark
        return marks[opens], marks[~opens]
    return _one_by_one(marks.tolist(), at_begin.tolist(), beside.tolist())


def _one_by_one(marks: list[int], at_begin: list[bool], beside: list[bool]) -> tuple[Places, Places]:
    openings: list[int] = []
    closings: list[int] = []
    inside = False
    at = 0
    while at < len(marks):
        if not inside:
            if at_begin[at]:
                openings.append(marks[at])
                inside = True
        elif beside[at + 1]:
            at += 1  # two in a row: a mark in the text
        else:
            closings.append(marks[at])
            inside = False
        at += 1
    return np.array(openings, np.int64), np.array(closings, np.int64)
