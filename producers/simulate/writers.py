"""Writes rows of text as department files, byte for byte the same each time. Only what made-up files need."""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

Row = Mapping[str, str]
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest date that a ZIP archive can hold; a real one would change the bytes

_PARTS = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/xl/workbook.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Target="xl/workbook.xml" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
    '<sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Target="worksheets/sheet1.xml" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"/></Relationships>',
}


def write_file(path: Path, rows: Sequence[Row], *, title: str = "", encoding: str = "utf-8-sig") -> None:
    """Write rows in the format of the name: .csv, .xlsx, .json or .ndjson, each also .gz.

    Args:
        rows: all with the same headers in the same order, which become the header row.
        title: a line above the header, merged over all columns in a workbook.
        encoding: of a .csv; the JSON forms are UTF-8.
    """
    ending = Path(path.name.removesuffix(".gz")).suffix
    match ending:
        case ".csv":
            content = _csv(rows, title).encode(encoding)
        case ".xlsx":
            content = _xlsx(rows, title)
        case ".json":
            content = json.dumps(list(map(dict, rows)), ensure_ascii=False, indent=1).encode()
        case ".ndjson":
            content = "".join(json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows).encode()
        case _:
            raise ValueError(f"{path.name} is in no format that is written here")
    path.write_bytes(gzip.compress(content, mtime=0) if path.name.endswith(".gz") else content)


def _csv(rows: Sequence[Row], title: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    if title:
        writer.writerow([title])
    writer.writerow(list(rows[0]))
    writer.writerows(list(row.values()) for row in rows)
    return text.getvalue()


def _xlsx(rows: Sequence[Row], title: str) -> bytes:
    lines = [[title]] if title else []
    lines += [list(rows[0]), *(list(row.values()) for row in rows)]
    merged = f'<mergeCells count="1"><mergeCell ref="A1:{_column(len(rows[0]) - 1)}1"/></mergeCells>' if title else ""
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        + "".join(_xlsx_row(number, cells) for number, cells in enumerate(lines, start=1))
        + f"</sheetData>{merged}</worksheet>"
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in {**_PARTS, "xl/worksheets/sheet1.xml": sheet}.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(entry, '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>' + content)
    return archive.getvalue()


def _xlsx_row(number: int, cells: Sequence[str]) -> str:
    filled = (
        f'<c r="{_column(position)}{number}" t="inlineStr"><is><t xml:space="preserve">{escape(cell)}</t></is></c>'
        for position, cell in enumerate(cells)
        if cell
    )
    return f'<row r="{number}">{"".join(filled)}</row>'


def _column(position: int) -> str:
    """A, B, ... Z, AA of a column from 0."""
    letters = ""
    position += 1
    while position:
        position, rest = divmod(position - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
