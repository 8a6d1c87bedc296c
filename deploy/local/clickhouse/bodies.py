"""Reads the body of a request in chunks, undoing its compression, in constant memory and never beyond a limit."""

import zlib
from collections.abc import AsyncGenerator, Callable
from typing import Protocol

import lz4.frame
import zstandard
from aiohttp import StreamReader

from deploy.local.clickhouse.errors import CANNOT_DECOMPRESS, NOT_IMPLEMENTED, TOO_MANY_BYTES, EngineError

CHUNK_BYTES = 1 << 20


class _Decompressor(Protocol):
    """What zlib, zstandard and lz4 have in common; one object decompresses one frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, /) -> bytes: ...


_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "deflate": lambda: zlib.decompressobj(),
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "lz4": lz4.frame.LZ4FrameDecompressor,
}


async def read_chunks(content: StreamReader, encoding: str | None, bytes_max: int) -> AsyncGenerator[bytes, None]:
    """Decompressed chunks of about CHUNK_BYTES; never empty ones.

    Raises EngineError for an unknown or broken encoding, and above `bytes_max` decompressed bytes.
    """
    pending = bytearray()
    total = 0
    async for piece in _decompressed(content, encoding):
        total += len(piece)
        if total > bytes_max:
            raise EngineError.ours(TOO_MANY_BYTES, f"The body of the request is larger than {bytes_max} bytes.")
        pending += piece
        if len(pending) >= CHUNK_BYTES:
            yield bytes(pending)
            pending.clear()
    if pending:
        yield bytes(pending)


async def _decompressed(content: StreamReader, encoding: str | None) -> AsyncGenerator[bytes, None]:
    if encoding in (None, "", "identity"):
        async for piece in content.iter_any():
            yield piece
        return
    new_decompressor = _DECOMPRESSORS.get(str(encoding))
    if new_decompressor is None:
        raise EngineError.ours(NOT_IMPLEMENTED, f"Content-Encoding {encoding} is not supported.")
    frame: _Decompressor | None = None
    async for piece in content.iter_any():
        # A body may hold several frames one after the other: clients compress block by block.
        rest: bytes | None = piece
        while rest:
            frame = frame or new_decompressor()
            try:
                plain = frame.decompress(rest)
            except (zlib.error, zstandard.ZstdError, RuntimeError) as error:
                raise EngineError.ours(CANNOT_DECOMPRESS, f"Cannot decompress the {encoding} body: {error}.") from error
            if plain:
                yield plain
            rest, frame = (frame.unused_data, None) if frame.eof else (None, frame)
    if frame is not None:
        raise EngineError.ours(CANNOT_DECOMPRESS, f"Cannot decompress: the {encoding} body ends in mid-frame.")
