"""A file as bytes: what kind it is, how it is packed, whether it is whole and stays as it was.

Non-goal: the encoding of its text, which `encoding` finds out.
"""

import codecs
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, cast

from schemas.errors import InputError

Kind = Literal["delimited", "workbook", "json", "ndjson", "xml"]
KINDS: dict[str, Kind] = {
    ".csv": "delimited",
    ".tsv": "delimited",
    ".txt": "delimited",
    ".xlsx": "workbook",
    ".xls": "workbook",
    ".json": "json",
    ".ndjson": "ndjson",
    ".xml": "xml",
}
BLOCK_BYTES = 1 << 20
_HEAD_BYTES = 4096
_MAGIC = {
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file",
    b"\x1f\x8b": "a packed (.gz) file",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"{\\rt": "an RTF document",
}
_WEB_PAGE = (b"<!doctype html", b"<html", b"<head", b"<meta", b"<table", b"<style")
_EXCEL_XML = b"urn:schemas-microsoft-com:office:spreadsheet"


@dataclass(frozen=True, slots=True)
class Source:
    """A file that can be read.

    Attributes:
        packing: "" for a plain file.
        member: the one file in a .zip.
        size, changed_ns: bytes on disk and time of the last change when it was found.
    """

    path: Path
    kind: Kind
    packing: Literal["", "gzip", "zip"]
    member: str
    size: int
    changed_ns: int

    @property
    def doing(self) -> str:
        """How a message about it begins."""
        return f"reading {self.path}"

    @contextmanager
    def open(self) -> Iterator[tuple[BinaryIO, BinaryIO]]:
        """The file's bytes, unpacked, and the file on disk, whose position tells how far it has been read."""
        with self.path.open("rb") as disk:
            if self.packing == "zip":
                with zipfile.ZipFile(disk) as archive, archive.open(self.member) as unpacked:
                    yield cast(BinaryIO, unpacked), disk
            elif self.packing == "gzip":
                yield cast(BinaryIO, gzip.GzipFile(fileobj=disk)), disk
            else:
                yield disk, disk

    def require_unchanged(self) -> None:
        """Raise InputError where the file has been written to since it was found: its rows may be cut or mixed."""
        try:
            now = self.path.stat()
        except OSError:
            raise InputError(f"{self.doing}: the file is gone while it is read; put it back and run again") from None
        if (now.st_size, now.st_mtime_ns) != (self.size, self.changed_ns):
            raise InputError(
                f"{self.doing}: the file changes while it is read (from {self.size:,} to {now.st_size:,} bytes); wait "
                "until it is written to its end and run again"
            )


def find(path: Path) -> Source:
    """Say what kind of file it is; InputError where it can not be one that is read."""
    doing = f"reading {path}"
    if path.is_dir():
        raise InputError(f"{doing}: this is a folder; name the files in it")
    if not path.exists():
        raise InputError(f"{doing}: there is no such file; check the path")
    found = path.stat()
    if found.st_size == 0:
        if _kind_by_name(path.name) is None:
            raise _unknown_ending(path)
        raise InputError(f"{doing}: the file is empty; fetch it again")
    packing: Literal["", "gzip", "zip"] = ""
    name, member = path.name, ""
    if name.lower().endswith(".gz"):
        packing, name = "gzip", name[:-3]
    elif name.lower().endswith(".zip"):
        packing = "zip"
        name = member = _only_member(path, doing)
    kind = _kind_by_name(name)
    if kind is None:
        raise _unknown_ending(path)
    source = Source(path, kind, packing, member, found.st_size, found.st_mtime_ns)
    if kind == "workbook" and kind_of(_head(source)) is None:
        # What many programs call .xls is text with tabs between the cells.
        return Source(path, "delimited", packing, member, found.st_size, found.st_mtime_ns)
    return source


def _unknown_ending(path: Path) -> InputError:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in (".gz", ".zip")]
    return InputError(
        f"reading {path}: files {f'that end in {suffixes[-1]}' if suffixes else 'without an ending'} are not read; "
        f"use {', '.join(KINDS)}, or one of them with .gz or .zip behind it"
    )


def _kind_by_name(name: str) -> Kind | None:
    return KINDS.get(PurePosixPath(name.lower().removesuffix(".gz")).suffix)


def _only_member(path: Path, doing: str) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [
                member
                for member in archive.infolist()
                if not member.is_dir() and not member.filename.startswith("__MACOSX/")
            ]
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(f"{doing}: the ZIP archive is damaged; fetch it again") from error
    if len(members) != 1:
        raise InputError(f"{doing}: the ZIP archive holds {len(members)} files; unpack it and name the one to be read")
    if members[0].flag_bits & 1:
        raise InputError(f"{doing}: the ZIP archive has a password; unpack it and name the file in it")
    return members[0].filename


def _head(source: Source) -> bytes:
    return next(blocks(source, _HEAD_BYTES), b"")


def blocks(source: Source, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """The file's bytes, unpacked, block by block; InputError where it can not be read to its end."""
    read_bytes = 0
    try:
        with source.open() as (stream, _):
            while block := stream.read(block_bytes):
                read_bytes += len(block)
                yield block
    except EOFError as error:
        raise InputError(
            f"{source.doing}: the packed file ends too early (after {read_bytes:,} bytes of text), nothing of it was "
            "sent; fetch it again"
        ) from error
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        what = "by gzip" if source.packing == "gzip" else "in a way that is known"
        raise InputError(
            f"{source.doing}: the packed file is damaged or not packed {what}, nothing of it was sent; fetch it again"
        ) from error
    except OSError as error:
        raise InputError(f"{source.doing}: {error.strerror or 'the file can not be read'}") from error


def whole(source: Source, bytes_max: int, instead: str) -> bytes:
    """All bytes of a file whose format can only be read from memory.

    Args:
        bytes_max: unpacked; no more than this is ever held.
        instead: what to do with a larger file.
    """
    content = io.BytesIO()
    for block in blocks(source):
        if content.tell() + len(block) > bytes_max:
            raise InputError(
                f"{source.doing}: the file is larger than {bytes_max >> 20:,} MiB when it is unpacked; {instead}"
            )
        content.write(block)
    return content.getvalue()


def kind_of(head: bytes) -> str | None:
    """What the first bytes give away, in words; None for plain text."""
    for magic, words in _MAGIC.items():
        if head.startswith(magic):
            return words
    start = head[:_HEAD_BYTES].removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if start.startswith(_WEB_PAGE) or (start.startswith(b"<?xml") and b"<html" in start):
        return "a web page"
    if _EXCEL_XML in start:
        return "a workbook in Excel's XML of 2003"
    if b"\0" in head[:_HEAD_BYTES] and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "no text"
    return None
