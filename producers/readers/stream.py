"""The text of a file as UTF-8, whatever it was encoded in."""

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from producers.readers.encoding import Text, back_to_bytes, edition_2022
from producers.readers.source import BLOCK_BYTES


class Utf8Stream:
    """The text as UTF-8 bytes without a mark; what can not be decoded becomes U+FFFD."""

    def __init__(self, stream: BinaryIO, text: Text) -> None:
        self._stream = stream
        self._text = text
        self._decoder = None if text.clean else codecs.getincrementaldecoder(text.encoding)("replace")
        self._again = codecs.getincrementaldecoder(text.truly)("replace") if text.misread_as else None
        self._back = back_to_bytes(text.misread_as)
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
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        begun: list[str] = []  # pieces of the line that goes on in the next block
        held = False  # the block ended with a CR, whose LF may be in the next one
        while block := self.read(BLOCK_BYTES):
            text = ("\r" if held else "") + decoder.decode(block)
            held = text.endswith("\r")
            if "\r" in text:
                text = text[: len(text) - held].replace("\r\n", "\n").replace("\r", "\n")
            first, *others = text.split("\n")
            begun.append(first)
            if others:
                yield "".join(begun) + "\n"
                begun = [others.pop()]
                for line in others:
                    yield line + "\n"
        rest = "".join(begun)
        if rest or held:
            yield rest + ("\n" if held else "")

    def push_back(self, head: bytes) -> None:
        """Give bytes again that were read."""
        self._rest = head + self._rest

    def _next(self) -> bytes:
        block = self._stream.read(BLOCK_BYTES)
        self._ended = not block
        if self._decoder is None:
            return block
        text = self._decoder.decode(block, final=self._ended)
        if self._again is not None:
            text = self._again.decode(self._back(text), final=self._ended)
        if "gb18030" in (self._text.encoding, self._text.misread_as and self._text.truly):
            text = edition_2022(text)
        return text.encode()
