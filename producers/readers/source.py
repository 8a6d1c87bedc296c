"""A file as bytes: what kind it is, whether it is whole, how its text is encoded.

The whole file is read once before the first row is handed out. That costs a few hundred megabytes per second, and
for it a packed file that ends early is refused before anything of it is sent.
"""

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np

from schemas.errors import InputError

Kind = Literal["delimited", "workbook", "json", "ndjson"]
KINDS: dict[str, Kind] = {
    ".csv": "delimited",
    ".tsv": "delimited",
    ".txt": "delimited",
    ".xlsx": "workbook",
    ".xls": "workbook",
    ".json": "json",
    ".ndjson": "ndjson",
}
_BLOCK_BYTES = 1 << 20
_MAGIC = {
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file",
    b"\x1f\x8b": "a packed (.gz) file",
    b"<!DO": "a web page",
    b"<htm": "a web page",
    b"<HTM": "a web page",
    b"{\\rt": "an RTF document",
}


@dataclass(frozen=True, slots=True)
class Source:
    """A file that can be read.

    Attributes:
        doing: how a message about it begins.
    """

    path: Path
    kind: Kind
    packed: bool

    @property
    def doing(self) -> str:
        return f"reading {self.path}"

    @contextmanager
    def open(self) -> Iterator[tuple[BinaryIO, BinaryIO]]:
        """The file's bytes, unpacked, and the file on disk, whose position tells how far it has been read."""
        with self.path.open("rb") as disk:
            yield (
                (cast(BinaryIO, gzip.GzipFile(fileobj=disk)) if self.packed else disk),
                disk,
            )


def find(path: Path) -> Source:
    """Say what kind of file it is; InputError where it can not be one that is read."""
    doing = f"reading {path}"
    if path.is_dir():
        raise InputError(f"{doing}: this is a folder; name the files in it")
    if not path.exists():
        raise InputError(f"{doing}: there is no such file; check the path")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] == ".gz"
    ending = (suffixes[:-1] if packed else suffixes)[-1:] or [""]
    kind = KINDS.get(ending[0])
    if kind is None:
        raise InputError(
            f"{doing}: files that end in {ending[0] or 'no such thing'} are not read; "
            f"use {', '.join(KINDS)}, or one of them with .gz behind it"
        )
    if path.stat().st_size == 0:
        raise InputError(f"{doing}: the file is empty; fetch it again")
    return Source(path, kind, packed)


def blocks(source: Source) -> Iterator[bytes]:
    """The file's bytes, unpacked, block by block; InputError where it can not be read to its end."""
    read_bytes = 0
    try:
        with source.open() as (stream, _):
            while block := stream.read(_BLOCK_BYTES):
                read_bytes += len(block)
                yield block
    except EOFError as error:
        raise InputError(
            f"{source.doing}: the packed file ends too early (after {read_bytes:,} bytes of text), nothing of it was "
            "sent; fetch it again"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"{source.doing}: the packed file is damaged or not packed by gzip, nothing of it was sent; fetch it again"
        ) from error
    except OSError as error:
        raise InputError(f"{source.doing}: {error.strerror or 'the file can not be read'}") from error


def kind_of(head: bytes) -> str | None:
    """What the first bytes give away, in words; None for plain text."""
    for magic, words in _MAGIC.items():
        if head.startswith(magic):
            return words
    return (
        "no text" if b"\0" in head[:4096] and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else None
    )


@dataclass(frozen=True, slots=True)
class Text:
    """What is known of a text file after one look at all of it.

    Attributes:
        encoding: name of Python's codec.
        bom_bytes: how many bytes of mark lead it.
        clean: every byte is good UTF-8, so that it can be passed on as it is.
        quotes: how many quotation marks it holds; of an odd number one may never be closed.
    """

    encoding: str
    bom_bytes: int
    clean: bool
    quotes: int


def look_through(source: Source) -> Text:
    """Read the file to its end and find out how its text is encoded: by mark, UTF-8, GB18030 or Windows-1252."""
    strict = codecs.getincrementaldecoder("utf-8")()
    lenient: codecs.IncrementalDecoder | None = None  # from the first block on that is no good UTF-8
    broken = whole = quotes = high = alone = 0
    head = b""
    for block in blocks(source):
        if not head:
            head = block[:4096]
            if words := kind_of(head):
                raise InputError(
                    f"{source.doing}: the file ends in {source.path.suffix} and is {words}; export it again"
                )
        quotes += block.count(b'"')
        if lenient is None:
            before = strict.getstate()
            try:
                whole += len(block) - len(strict.decode(block))
                continue
            except UnicodeDecodeError:
                lenient = codecs.getincrementaldecoder("utf-8")("replace")
                lenient.setstate(before)
        text = lenient.decode(block)
        wrong = text.count("\ufffd")
        broken += wrong
        whole += len(text.encode()) - len(text) - 2 * wrong
        some_high, some_alone = _high_bytes(block)
        high += some_high
        alone += some_alone
    if not head:
        raise InputError(f"{source.doing}: the file is empty; fetch it again")
    if (lenient or strict).getstate()[0]:  # ends in the middle of a character
        broken += 1
    if head.startswith(codecs.BOM_UTF8):
        return Text("utf-8", 3, broken == 0, quotes)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return Text("utf-16", 0, False, 1)
    if broken * 100 <= whole:  # a few lost bytes do not make it another encoding
        return Text("utf-8", 0, broken == 0, quotes)
    # Chinese characters are pairs of high bytes, Western letters stand alone among plain ones.
    return Text("cp1252" if alone * 2 > high else "gb18030", 0, False, quotes)


def _high_bytes(block: bytes) -> tuple[int, int]:
    """How many bytes are outside of ASCII, and how many of those have no such neighbour."""
    high = np.frombuffer(block, np.uint8) >= 0x80
    neighbour = np.zeros_like(high)
    neighbour[1:] |= high[:-1]
    neighbour[:-1] |= high[1:]
    return int(high.sum()), int((high & ~neighbour).sum())


class Utf8Stream:
    """The text as UTF-8 bytes without a mark, whatever it was; what can not be decoded becomes U+FFFD.

    A reader for `pyarrow.PythonFile`, which asks for no more than `read` and `closed`.
    """

    closed = False

    def __init__(self, stream: BinaryIO, text: Text) -> None:
        self._stream = stream
        self._decoder = None if text.clean else codecs.getincrementaldecoder(text.encoding)("replace")
        self._rest = b""
        self._ended = False
        if text.bom_bytes:
            stream.read(text.bom_bytes)

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, or all that are left; b"" at the end."""
        wanted = size if size >= 0 else 1 << 62
        parts: list[bytes] = []
        while wanted > 0 and (self._rest or not self._ended):
            part, self._rest = self._rest[:wanted], self._rest[wanted:]
            parts.append(part)
            wanted -= len(part)
            if not self._rest and not self._ended and wanted > 0:
                self._rest = self._next()
        return b"".join(parts)

    def lines(self) -> Iterator[str]:
        """The text line by line, each with its line feed, whichever way the file ends its lines."""
        rest = ""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while block := self.read(_BLOCK_BYTES):
            text = rest + decoder.decode(block)
            held = text.endswith("\r")  # its line feed may be in the next block
            *lines, rest = re.split(r"\r\n|\r|\n", text[:-1] if held else text)
            rest += "\r" if held else ""
            for line in lines:
                yield line + "\n"
        if rest:
            yield rest

    def push_back(self, head: bytes) -> None:
        """Give bytes again that were read."""
        self._rest = head + self._rest

    def _next(self) -> bytes:
        block = self._stream.read(_BLOCK_BYTES)
        self._ended = not block
        return block if self._decoder is None else self._decoder.decode(block, final=self._ended).encode()
