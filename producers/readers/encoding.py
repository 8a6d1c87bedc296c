"""How the text of a file is encoded, found out by one look at all of it, before the first row is handed out.

The whole file speaks, never one cell: an encoding is taken where every byte, or all but a few that were lost, fits it.
Text that was decoded wrongly and written again (UTF-8 taken for Windows-1252 or GB18030, GB18030 taken for
Windows-1252) is repaired only where the way back succeeds for every character of the file. What stays unreadable
becomes U+FFFD, and its row is set aside by `damage`.
"""

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from producers.readers.source import Source, blocks, kind_of
from schemas.errors import InputError

Encoding = Literal["utf-8", "utf-16", "utf-32", "gb18030", "cp1252", "latin-1"]
Wrong = Literal["", "western", "gb18030"]
_HEAD_BYTES = 4096
_LOST_SHARE = 100  # of so many characters one may be lost without the file being in another encoding
_PROOF_CHARACTERS = 4  # so many must come right, and all others with them, before text is taken to be misread
_LINE_BYTES_MAX = 64 << 20
_NEVER_CP1252 = re.compile(b"[\x81\x8d\x8f\x90\x9d]")  # bytes that stand for nothing in Windows-1252
_HANZI = re.compile("[\u3000-\u303f\u3400-\u9fff\uff01-\uff5e]")


@dataclass(frozen=True, slots=True)
class Text:
    """What is known of a text file after one look at all of it.

    Attributes:
        encoding: of its bytes.
        bom_bytes: how many bytes of mark lead it.
        clean: every byte is good UTF-8, so that it can be passed on as it is.
        quotes: how many quotation marks it holds; of an odd number one may never be closed.
        misread_as: the wrong encoding by which its text was once decoded, "" for none.
        truly: the encoding by which it should have been.
    """

    encoding: Encoding
    bom_bytes: int
    clean: bool
    quotes: int
    misread_as: Wrong = ""
    truly: Literal["utf-8", "gb18030"] = "utf-8"


# -- GB18030, edition 2022 ----------------------------------------------------------------------------------------

# Python's codec is of the edition of 2000 and gives private use characters for these; by the edition of 2022
# (GB 18030-2022, Annex D) they are the vertical forms and the eight characters that Unicode has had since 4.1.
_EDITION_2022 = {
    0xE78D: 0xFE10, 0xE78E: 0xFE12, 0xE78F: 0xFE11, 0xE790: 0xFE13, 0xE791: 0xFE14, 0xE792: 0xFE15, 0xE793: 0xFE16,
    0xE794: 0xFE17, 0xE795: 0xFE18, 0xE796: 0xFE19, 0xE81E: 0x9FB4, 0xE826: 0x9FB5, 0xE82B: 0x9FB6, 0xE82C: 0x9FB7,
    0xE832: 0x9FB8, 0xE843: 0x9FB9, 0xE854: 0x9FBA, 0xE864: 0x9FBB, 0xE7C7: 0x1E3F,
}  # fmt: skip
_PRIVATE = re.compile("[" + "".join(map(chr, _EDITION_2022)) + "]")


def edition_2022(text: str) -> str:
    """Text that Python decoded from GB18030, with the characters of the edition of 2022."""
    return text.translate(_EDITION_2022) if _PRIVATE.search(text) else text


# -- text that was decoded wrongly --------------------------------------------------------------------------------


def _western_bytes() -> dict[int, int]:
    """Character -> byte of Windows-1252 and of Latin-1 at once: no character stands for two bytes."""
    table = {byte: byte for byte in range(256)}
    for byte in range(0x80, 0xA0):
        decoded = bytes([byte]).decode("cp1252", "ignore")
        if decoded:
            table[ord(decoded)] = byte
    return table


_WESTERN = _western_bytes()


def back_to_bytes(wrong: Wrong) -> Callable[[str], bytes]:
    """Undo a wrong decoding; the function raises UnicodeEncodeError where the text can not come from it."""
    if wrong == "gb18030":
        return lambda text: text.encode("gb18030")
    return lambda text: codecs.charmap_encode(text, "strict", _WESTERN)[0]


class _Misread:
    """A supposition about the whole file: it was in `truly`, decoded by `wrong`, and written again as UTF-8."""

    def __init__(self, wrong: Wrong, truly: Literal["utf-8", "gb18030"]) -> None:
        self.wrong: Wrong = wrong
        self.truly: Literal["utf-8", "gb18030"] = truly
        self.possible = True
        self._back = back_to_bytes(wrong)
        self._decoder = codecs.getincrementaldecoder(truly)()
        self._foreign = self._hanzi = 0
        self._votes = _Votes()

    def see(self, text: str) -> None:
        if not self.possible:
            return
        try:
            raw = self._back(text)
            decoded = self._decoder.decode(raw)
        except UnicodeError:
            self.possible = False
            return
        self._foreign += len(decoded) - len(decoded.encode("ascii", "ignore"))
        self._hanzi += len(_HANZI.findall(decoded))
        if self.truly == "gb18030":
            self._votes.see(raw)

    def proved(self) -> bool:
        try:
            self._decoder.decode(b"", final=True)
        except UnicodeError:
            return False
        if not self.possible or self._foreign < _PROOF_CHARACTERS:
            return False
        if self.wrong == "western" and self.truly == "utf-8":
            return True  # no text that a person wrote is good UTF-8 when its letters are taken for bytes
        chinese = self._hanzi >= _PROOF_CHARACTERS and self._hanzi * 2 >= self._foreign
        return chinese and (self.truly == "utf-8" or self._votes.chinese())


class _Votes:
    """Chinese or Western? Chinese text comes in runs of high bytes, Western letters stand among plain ones."""

    def __init__(self) -> None:
        self._chinese = self._western = 0

    def see(self, block: bytes) -> None:
        data = np.frombuffer(block, np.uint8)
        high = np.concatenate(([False], data >= 0x80, [False]))
        edges = np.flatnonzero(high[1:] != high[:-1])
        starts, ends = edges[::2], edges[1::2]
        lengths = ends - starts
        folded = np.concatenate(([0], data | 0x20, [0]))  # one place further, so that both ends have neighbours
        letter = (folded >= ord("a")) & (folded <= ord("z"))
        touches = letter[starts] | letter[ends + 1]
        chinese = (lengths >= 4) | ((lengths == 2) & ~touches)
        self._chinese += int(lengths[chinese].sum())
        self._western += int(lengths[~chinese].sum())

    def chinese(self) -> bool:
        return self._chinese > self._western


# -- the look -----------------------------------------------------------------------------------------------------


def look_through(source: Source) -> Text:
    """Read the file to its end and find out how its text is encoded.

    Raises:
        InputError: it is no text, is damaged, or one of its lines is longer than any table's.
    """
    look: _Look | None = None
    for block in blocks(source):
        if look is None:
            look = _Look(source, block[:_HEAD_BYTES])
        look.see(block)
    if look is None:
        raise InputError(f"{source.doing}: the file is empty; fetch it again")
    return look.text()


class _Look:
    """Counts what tells the encodings apart, block by block."""

    def __init__(self, source: Source, head: bytes) -> None:
        self._doing = source.doing
        if words := kind_of(head):
            raise InputError(f"{self._doing}: the file ends in {source.path.suffix} and is {words}; export it again")
        self._head = head
        self._wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        self._strict = codecs.getincrementaldecoder("utf-8")()
        self._lenient: codecs.IncrementalDecoder | None = None  # from the first block on that is no good UTF-8
        self._broken = self._continuing = self._quotes = self._bytes = self._line = 0
        self._never_cp1252 = False
        self._votes = _Votes()
        self._suppositions = [
            _Misread("western", "utf-8"),
            _Misread("gb18030", "utf-8"),
            _Misread("western", "gb18030"),
        ]

    def see(self, block: bytes) -> None:
        if not self._wide and (at := block.find(b"\0")) >= 0:
            raise InputError(
                f"{self._doing}: byte {self._bytes + at + 1:,} of the text is zero, so the file is damaged or no text; "
                "export it again"
            )
        self._measure_lines(block)
        self._bytes += len(block)
        self._quotes += block.count(b'"')
        if self._wide:
            return
        if self._lenient is None:
            before = self._strict.getstate()
            try:
                self._see_good(block)
                return
            except UnicodeDecodeError:
                self._lenient = codecs.getincrementaldecoder("utf-8")("replace")
                self._lenient.setstate(before)
        text = self._lenient.decode(block)
        wrong = text.count("\ufffd")
        self._broken += wrong
        self._continuing += len(text.encode()) - len(text) - 2 * wrong
        self._never_cp1252 = self._never_cp1252 or _NEVER_CP1252.search(block) is not None
        self._votes.see(block)

    def _see_good(self, block: bytes) -> None:
        text = self._strict.decode(block)
        self._continuing += len(block) - len(text)
        if len(block) == len(text):
            return
        self._suppositions = [supposed for supposed in self._suppositions if supposed.possible]
        for supposed in self._suppositions:
            supposed.see(text.removeprefix("\ufeff"))

    def _measure_lines(self, block: bytes) -> None:
        """Refuse a line that spans blocks without an end; one within a block can not be too long."""
        first = min((at for end in (b"\n", b"\r") if (at := block.find(end)) >= 0), default=-1)
        self._line += len(block) if first < 0 else first
        if self._line > _LINE_BYTES_MAX:
            raise InputError(
                f"{self._doing}: a line of the text is longer than {_LINE_BYTES_MAX >> 20} MiB, so the file is no "
                "table of rows; export it again"
            )
        if first >= 0:
            self._line = len(block) - 1 - max(block.rfind(b"\n"), block.rfind(b"\r"))

    def text(self) -> Text:
        quotes = self._quotes
        if self._head.startswith(codecs.BOM_UTF32_LE):
            return Text("utf-32", 0, False, 1)
        if self._wide:
            return Text("utf-16", 0, False, 1)
        if (self._lenient or self._strict).getstate()[0]:  # ends in the middle of a character
            self._broken += 1
        bom_bytes = 3 if self._head.startswith(codecs.BOM_UTF8) else 0
        if self._broken * _LOST_SHARE <= self._continuing:  # a few lost bytes do not make it another encoding
            for supposed in self._suppositions if not self._broken else []:
                if supposed.proved():
                    return Text("utf-8", bom_bytes, False, quotes, supposed.wrong, supposed.truly)
            return Text("utf-8", bom_bytes, not self._broken, quotes)
        if self._votes.chinese():
            return Text("gb18030", bom_bytes, False, quotes)
        return Text("latin-1" if self._never_cp1252 else "cp1252", bom_bytes, False, quotes)
