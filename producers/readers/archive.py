"""Looks into an .xlsx before anything unpacks it whole: a small file can unpack to more than a machine holds.

An .xlsx is a ZIP archive of XML parts. What its directory says of sizes is checked first, then each part is unpacked
piece by piece, counted and thrown away. A sheet is held as a grid from its first to its last filled cell, so two cells
far apart cost as much as all between them: the grid is measured too. Links to other workbooks are never followed.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator

import polars as pl

from schemas.errors import InputError

BYTES_MAX = 2 << 30
GRID_CELLS_MAX = 32 << 20
_PART_BYTES_MAX = 1 << 30
_RATIO_MAX = 1032  # what deflate can do at best
_PIECE_BYTES = 4 << 20
# A cell that does not say its place as Excel writes it, <c r="AB123", or is beyond ZZ999999.
_ODD_CELL = (
    r'[<:]c(?:[/>]|\s(?:[^r]|r[^=]|r=[^"]|r="(?:[^A-Z]|[A-Z]{3}|[A-Z]{1,2}(?:[^A-Z0-9]|[0-9]{7}|[0-9]{1,6}[^0-9"]))))'
)
_UNUSUAL = rf'{_ODD_CELL}|[<:]f[\s/>]|\st="e"'
_TAG = re.compile(rb"<(?:\w+:)?(row|c)(?=[\s/>])([^>]*)>")
_PLACE = re.compile(rb"""\br=["']([A-Za-z]*)(\d+)["']""")
_COLUMNS_MOST, _ROWS_MOST = 16_384, 1_048_576  # what Excel's format allows
# A formula whose result was never saved, and a cell that shows an error (#REF!): both come out empty.
_UNSAVED = (
    r'<(?:\w+:)?c r="([A-Z]{1,3})(\d{1,7})"[^>]*>\s*<(?:\w+:)?f(?:\s[^>]*)?(?:/>|>[^<]*</(?:\w+:)?f>)\s*'
    r"(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)
_ERROR = r'<(?:\w+:)?c r="([A-Z]{1,3})(\d{1,7})"[^>]*\st="e"'


Place = tuple[int, int]


class Archive:
    """An .xlsx that was looked through.

    Attributes:
        without_value: per sheet, in the order of the workbook, the cells that show a value and hold none that can be
            read: (row, column), both from 0.
    """

    def __init__(self, content: bytes, doing: str) -> None:
        """Raise InputError where it is no such workbook, is damaged, or is too large to be read."""
        self._doing = doing
        self.without_value: list[frozenset[Place]] = []
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                self._look(archive)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
            raise InputError(f"{doing}: the file is damaged; export it from Excel again") from error
        except RuntimeError as error:  # what zipfile says of an encrypted member
            raise InputError(f"{doing}: the workbook has a password; save it without one") from error

    def _look(self, archive: zipfile.ZipFile) -> None:
        names = set(archive.namelist())
        if "xl/workbook.bin" in names:
            raise InputError(f"{self._doing}: this is a binary workbook (.xlsb); save it as .xlsx")
        if not any(name.lower() == "xl/workbook.xml" for name in names):
            raise InputError(
                f"{self._doing}: the file is a ZIP archive, no Excel workbook; unpack it or export it again"
            )
        members = archive.infolist()
        without_value: dict[str, frozenset[Place]] = {}
        self._refuse_more_than(sum(member.file_size for member in members), BYTES_MAX)
        unpacked = 0
        for member in members:
            sheet = re.fullmatch(r"/?xl/worksheets/[^/]+\.xml", member.filename)
            if not sheet and member.compress_size * _RATIO_MAX <= 1 << 20:
                continue
            look = _SheetLook()
            size = 0
            for piece in _pieces(archive, member):
                size += len(piece)
                self._refuse_more_than(size, _PART_BYTES_MAX)
                self._refuse_more_than(unpacked + size, BYTES_MAX)
                if sheet:
                    look.see(piece)
            unpacked += size
            if sheet:
                if look.grid_cells_most > GRID_CELLS_MAX:
                    self._refuse_grid(*_grid(_pieces(archive, member)))
                without_value[member.filename.lstrip("/")] = frozenset(look.without_value)
        if any(without_value.values()):
            self.without_value = [without_value.get(part, frozenset()) for part in _parts_of_sheets(archive)]

    def _refuse_more_than(self, size: int, limit: int) -> None:
        if size > limit:
            raise InputError(
                f"{self._doing}: the workbook unpacks to more than {limit >> 30} GiB, which no list of a department "
                "does; export it again, or split it into several files"
            )

    def _refuse_grid(self, columns: int, rows: int) -> None:
        if columns > _COLUMNS_MOST or rows > _ROWS_MOST or columns * rows > GRID_CELLS_MAX:
            raise InputError(
                f"{self._doing}: a sheet spreads over {columns:,} columns and {rows:,} rows or more, which is no list; "
                "delete the cells far from the table and save it again"
            )


def _pieces(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """A part piece by piece, each ending with a tag where it can, so that no cell is cut."""
    with archive.open(member) as part:
        rest = b""
        while piece := part.read(_PIECE_BYTES):
            piece = rest + piece
            at = piece.rfind(b"<row")
            if at <= 0 or len(piece) > 16 * _PIECE_BYTES:
                at = len(piece)
            yield piece[:at]
            rest = piece[at:]
        yield rest


class _SheetLook:
    """One quick look over a sheet: how far it may spread at most, and which of its rows hold a cell without a value."""

    def __init__(self) -> None:
        self._odd = self._wide = self._long = False
        self.without_value: set[Place] = set()

    @property
    def grid_cells_most(self) -> int:
        """An upper bound by the letters and digits of the places; a cell that is written otherwise may be anywhere."""
        if self._odd:
            return GRID_CELLS_MAX + 1
        return (702 if self._wide else 26) * (999_999 if self._long else 9_999)

    def see(self, piece: bytes) -> None:
        text = pl.Series([piece.decode("utf-8", "replace")])
        if text.str.contains(_UNUSUAL).item():
            self._odd = self._odd or bool(text.str.contains(_ODD_CELL).item())
            self._note(text, _UNSAVED)
            self._note(text, _ERROR)
        self._wide = self._wide or bool(text.str.contains(' r="[A-Z]{2}').item())
        self._long = self._long or bool(text.str.contains(' r="[A-Z]+[0-9]{5}').item())

    def _note(self, text: pl.Series, pattern: str) -> None:
        found = text.str.extract_all(pattern).explode().drop_nulls().str.extract_groups(pattern).struct.unnest()
        self.without_value |= {(int(row) - 1, _column_number(column.encode()) - 1) for column, row in found.iter_rows()}


def _parts_of_sheets(archive: zipfile.ZipFile) -> list[str]:
    """Names of the parts that hold the sheets, in the order of the workbook."""
    book = archive.read("xl/workbook.xml").decode("utf-8", "replace")
    relations = archive.read("xl/_rels/workbook.xml.rels").decode("utf-8", "replace")
    targets: dict[str, str] = {}
    for tag in re.findall(r"<(?:\w+:)?Relationship\s[^>]*>", relations):
        name, target = re.search(r'\bId="([^"]*)"', tag), re.search(r'\bTarget="([^"]*)"', tag)
        if name and target:
            path = target[1]
            targets[name[1]] = path.lstrip("/") if path.startswith("/") else f"xl/{path}"
    ids = re.findall(r'<(?:\w+:)?sheet\s[^>]*\bid="([^"]*)"', book)
    return [targets.get(name, "") for name in ids]


def _grid(pieces: Iterator[bytes]) -> tuple[int, int]:
    """(columns, rows) over which the filled cells of a sheet spread, cell by cell; ends early where it is too far."""
    row = column = 0
    columns, rows, top = 1, 1, 0
    for piece in pieces:
        for found in _TAG.finditer(piece):
            attributes = found[2]
            place = _PLACE.search(attributes)
            if found[1] == b"row":
                row, column = int(place[2]) if place else row + 1, 0
                continue
            column = _column_number(place[1]) if place and place[1] else column + 1
            row = int(place[2]) if place and place[1] else row
            if not attributes.endswith(b"/"):
                top = min(top or row, row)
                columns, rows = max(columns, column), max(rows, row - top + 1)
                if columns > _COLUMNS_MOST or rows > _ROWS_MOST or columns * rows > GRID_CELLS_MAX:
                    return columns, rows
    return columns, rows


def _column_number(letters: bytes) -> int:
    """A = 1, Z = 26, AA = 27."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number
