"""Files that would take a reader down: one sentence, bounded memory, nothing of them goes on that is wrong."""

import gzip
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest

from producers.readers import Column, Layout, read
from schemas.errors import InputError

CODE = "91370100XXXX00051M"
LAYOUT = Layout("demo", (Column("name", ("企业名称",), required=True), Column("code", ("统一社会信用代码",))))
HEADER = "企业名称,统一社会信用代码\n"
_READER = """
import importlib, json, resource, sys
from pathlib import Path
from producers.readers import Column, Layout, read
from schemas.errors import InputError

layout = Layout("demo", (Column("name", ("企业名称",), required=True), Column("code", ("统一社会信用代码",))))
for small in sys.argv[1:]:  # what libraries set up once is none of what a file costs
    list(read(Path(small), layout))
for line in sys.stdin:
    path, memory_bytes, limits = json.loads(line)
    kept = []
    for name, value in limits.items():  # a limit of ours, smaller than it is, so that no test has to write gigabytes
        module = importlib.import_module("producers.readers." + name.partition(".")[0])
        kept.append((module, name.partition(".")[2], getattr(module, name.partition(".")[2])))
        setattr(*kept[-1][:2], value)
    held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + memory_bytes, resource.RLIM_INFINITY))
    rows, faults = 0, set()
    try:
        for chunk in read(Path(path), layout):
            rows += len(chunk.rows)
            faults |= set(() if chunk.faults is None else chunk.faults.drop_nulls())
        said = " ".join(["rows", str(rows), *sorted(faults)])
    except InputError as error:
        said = str(error)
    for change in kept:
        setattr(*change)
    print(json.dumps(said), flush=True)
"""


class Reader:
    """A process that reads one file after the other, each within so much more memory than it holds already."""

    def __init__(self, small: list[Path]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _READER, *map(str, small)],
            env=os.environ | {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def says(self, path: Path, *, memory_mib: int = 512, **limits: int) -> str:
        """The sentence of the error, or how many rows there are and which faults they have."""
        assert self._process.stdin and self._process.stdout
        changed = {name.replace("__", ".", 1): value for name, value in limits.items()}
        self._process.stdin.write(json.dumps([str(path), memory_mib << 20, changed]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the reader died of {path.name}"
        return json.loads(answer)

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("small")
    (folder / "a.csv").write_text(HEADER + f"甲,{CODE}\n", "utf-8")
    (folder / "a.xlsx").write_bytes(workbook_bytes([HEADER.strip().split(","), ["甲", CODE]]))
    started = Reader([folder / "a.csv", folder / "a.xlsx"])
    yield started
    started.stop()


def workbook_bytes(rows: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def with_sheet(path: Path, change) -> Path:
    """A workbook whose sheet's XML was changed: a list of pieces, so that it can be large."""
    with zipfile.ZipFile(io.BytesIO(workbook_bytes([["企业名称", "统一社会信用代码"], ["甲", CODE]]))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            with archive.open(name, "w") as part:
                for piece in change(content) if name == "xl/worksheets/sheet1.xml" else [content]:
                    part.write(piece)
    return path


def test_a_zip_bomb_under_the_name_of_a_workbook(tmp_path, reader):
    row = b'<row><c r="A3" t="inlineStr"><is><t>' + b"x" * (1 << 20) + b"</t></is></c></row>"

    def bomb(content):
        yield content.partition(b"</sheetData>")[0]
        yield from (row for _ in range(130))
        yield b"</sheetData></worksheet>"

    path = with_sheet(tmp_path / "a.xlsx", bomb)
    assert path.stat().st_size < 1 << 20
    said = reader.says(path, memory_mib=160, archive___PART_BYTES_MAX=128 << 20)
    assert "the workbook unpacks to more than" in said


def test_a_bomb_whose_directory_lies_about_its_size(tmp_path, reader):
    path = with_sheet(tmp_path / "a.xlsx", lambda content: [content, b" " * (130 << 20)])
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02", 0, data.rfind(b"xl/worksheets/sheet1.xml"))
    data[at + 24 : at + 28] = (1000).to_bytes(4, "little")  # uncompressed size in the directory
    path.write_bytes(data)
    assert "the file is damaged" in reader.says(path, memory_mib=160)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'<c r="B2"', b'<c r="XFD1048576"'),
        (b'<c r="B2"', b'<c r="ZZZZZ2"'),
        (b'<c r="B2"', b'<c t="n" r="ABC900000"'),
        (b'<c r="A2"', b"<c/>" * 20_000 + b"<c"),
        (b'<c r="A2"', b'<c r="A999999999"'),
    ],
)
def test_cells_far_apart_do_not_make_a_grid_of_all_between_them(tmp_path, reader, old, new):
    path = with_sheet(tmp_path / "a.xlsx", lambda content: [content.replace(old, new)])
    assert "a sheet spreads over" in reader.says(path)


def test_entities_in_the_parts_of_a_workbook_do_not_multiply(tmp_path, reader):
    entities = b'<!DOCTYPE a [<!ENTITY a "' + b"x" * 1000 + b'">'
    for name, of in zip(b"bcdefgh", b"abcdefg", strict=True):
        entities += b'<!ENTITY %c "%s">' % (name, b"&%c;" % of * 10)
    path = with_sheet(tmp_path / "a.xlsx", lambda content: [entities + b"]>" + content.replace(CODE.encode(), b"&h;")])
    reader.says(path)


def test_a_billion_laughs_and_a_file_of_the_machine_in_xml(tmp_path, reader):
    entities = '<!ENTITY a "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1 or str()};" * 10}">' for n in range(1, 10))
    path = tmp_path / "a.xml"
    path.write_text(f"<!DOCTYPE a [{entities}]><a><企业名称>&a9;</企业名称></a>", "utf-8")
    assert "has a document type" in reader.says(path)
    path.write_text('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "utf-8")
    assert "has a document type" in reader.says(path)


def test_a_million_columns_in_a_csv(tmp_path, reader):
    path = tmp_path / "a.csv"
    path.write_text(HEADER.strip() + "".join(f",c{n}" for n in range(1_000_000)) + "\n1,2\n", "utf-8")
    assert "the first row alone is longer than 256 KiB" in reader.says(path)
    path.write_text(HEADER.strip() + "," * 100_000 + ",x\n" + HEADER, "utf-8")
    assert "the header has 100,003 columns" in reader.says(path)
    path.write_text(HEADER + f"甲,{CODE}\n" + "x," * 1_000_000 + f"\n乙,{CODE}\n", "utf-8")
    assert reader.says(path) == "rows 3 row_shape"


def test_a_cell_of_ten_mebibytes_sets_its_row_aside_in_every_format(tmp_path, reader):
    long = "长" * (10 << 20 >> 1)
    rows = [["甲", CODE], [long, CODE], ["乙", CODE]]
    texts = {
        "a.csv": HEADER + "".join(f"{name},{code}\n" for name, code in rows),
        "a.json": json.dumps([{"企业名称": name, "统一社会信用代码": code} for name, code in rows], ensure_ascii=False),
        "a.ndjson": "\n".join(json.dumps({"企业名称": name, "统一社会信用代码": code}) for name, code in rows),
        "a.xml": "<a>"
        + "".join(f"<r><企业名称>{n}</企业名称><统一社会信用代码>{c}</统一社会信用代码></r>" for n, c in rows)
        + "</a>",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, "utf-8")
        assert reader.says(tmp_path / name, memory_mib=700) == "rows 3 value_too_long:cell", name


def test_a_quoted_cell_of_ten_mebibytes_with_line_breaks(tmp_path, reader):
    path = tmp_path / "a.csv"
    path.write_text(HEADER + '甲,"' + "x\n" * (5 << 20) + f'"\n乙,{CODE}\n', "utf-8")
    assert reader.says(path) == "rows 2 value_too_long:cell"
    path.write_text(HEADER + f"乙,{CODE}\n" + '甲,"' + "x\n" * (5 << 20) + '"\n', "utf-8")
    said = reader.says(path, delimited___ROW_BYTES_MAX=4 << 20)
    assert "one of the rows from row 3 on is longer than 4 MiB" in said


def test_a_packed_file_that_unpacks_to_one_endless_line(tmp_path, reader):
    path = tmp_path / "a.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(HEADER.encode())
        for _ in range(20):
            file.write(b"x" * (1 << 20))
    said = reader.says(path, memory_mib=160, encoding___LINE_BYTES_MAX=16 << 20)
    assert "a line of the text is longer than 16 MiB" in said


def test_a_packed_json_that_unpacks_to_more_than_memory_is_for(tmp_path, reader):
    path = tmp_path / "a.json.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"[")
        for _ in range(20):
            file.write(b" " * (1 << 20) + b"\n")
    said = reader.says(path, memory_mib=160, json_rows___FILE_BYTES_MAX=16 << 20)
    assert "larger than 16 MiB when it is unpacked; export it as .ndjson" in said


def test_values_nested_a_million_deep(tmp_path, reader):
    path = tmp_path / "a.json"
    path.write_text("[" * 1_000_000, "utf-8")
    assert "the values are nested too deeply" in reader.says(path)
    path = tmp_path / "a.ndjson"
    path.write_text(f'{{"企业名称": "甲", "统一社会信用代码": "{CODE}"}}\n' + '{"a":' * 100_000 + "\n", "utf-8")
    assert reader.says(path) == "rows 2 row_shape"


# -- sentences ----------------------------------------------------------------------------------------------------

ENCRYPTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504 + "EncryptedPackage".encode("utf-16-le") + b"\0" * 512
HTML = "<html><body><table><tr><td>企业名称</td></tr></table></body></html>".encode()
XML_2003 = b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"></Workbook>'
GOOD = workbook_bytes([["企业名称", "统一社会信用代码"], ["甲", CODE]])
SENTENCES = {
    "a.xlsx": (ENCRYPTED, "the workbook has a password; save it without one"),
    "b.xls": (HTML, "is a web page that was saved as .xls; open it in Excel and save it as .xlsx"),
    "c.xls": (XML_2003, "a workbook in Excel's XML of 2003, no Excel workbook"),
    "d.xlsx": (GOOD[: len(GOOD) // 2], "the file is damaged"),
    "e.xls": (b"\xd0\xcf\x11\xe0" + b"\0" * 2000, "the file is damaged"),
    "f.csv": (HEADER.encode() + b"x,y\n" * 5000 + b"\0\0\n", "is zero, so the file is damaged or no text"),
    "g.csv": (HEADER.encode("utf-16-le"), "is no text"),
    "h.csv": (HTML, "is a web page"),
    "i.csv.zip": (b"PK\x03\x04 and no more", "the ZIP archive is damaged"),
    "j.xml": (b"", "the file is empty"),
    "k.xml.gz": (gzip.compress(b"<a>" * 100)[:20], "ends too early"),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_an_unusable_file_is_one_sentence(tmp_path, name):
    content, said = SENTENCES[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(read(path, LAYOUT))
    message = str(caught.value)
    assert message.startswith(f"reading {path}: ")
    assert said in message
    assert "\n" not in message


def test_a_zip_of_something_else_and_a_binary_workbook_are_said_to_be_that(tmp_path):
    for part, said in (("a.txt", "is a ZIP archive, no Excel workbook"), ("xl/workbook.bin", "binary workbook")):
        path = tmp_path / "a.xlsx"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(part, "x")
        with pytest.raises(InputError, match=said):
            list(read(path, LAYOUT))


@pytest.mark.parametrize("name", ["a.csv", "a.ndjson"])
def test_a_file_that_grows_while_it_is_read_gives_out_no_row_of_what_changed(tmp_path, name):
    path = tmp_path / name
    line = f"甲,{CODE}\n" if name == "a.csv" else json.dumps({"企业名称": "甲", "统一社会信用代码": CODE}) + "\n"
    path.write_text((HEADER if name == "a.csv" else "") + line * 10, "utf-8")
    chunks = read(path, LAYOUT, chunk_rows=4)
    assert len(next(chunks).rows) == 4
    with path.open("a", encoding="utf-8") as file:
        file.write(line[:5])
    with pytest.raises(InputError, match=r"the file changes while it is read .* wait until it is written to its end"):
        next(chunks)


def test_a_file_that_is_taken_away_while_it_is_read_is_said(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(HEADER + f"甲,{CODE}\n" * 10, "utf-8")
    chunks = read(path, LAYOUT, chunk_rows=4)
    next(chunks)
    path.unlink()
    with pytest.raises(InputError, match="the file is gone while it is read"):
        next(chunks)


# -- a large file -------------------------------------------------------------------------------------------------

_MAP = """
import sys
from pathlib import Path
from producers.mapping import load
from producers.readers import progress_total, read
from schemas.settings import Settings
mapping, path = load("registration-cn", Settings()), Path(sys.argv[1])
total, rows, done = progress_total(path), 0, [0]
for chunk in read(path, mapping.layout):
    rows += mapping.apply(chunk).events.num_rows
    done.append(chunk.bytes_done)
assert done == sorted(done) and done[-1] == total, (done[-1], total)
peak_kib = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(rows, len(done) - 1, peak_kib)
"""


@pytest.mark.parametrize("rows", [200_000, pytest.param(5_000_000, marks=pytest.mark.nightly)])
def test_a_large_csv_is_mapped_within_a_gibibyte_and_the_progress_is_right(tmp_path, rows):
    path = tmp_path / "a.csv"
    lines = "".join(
        f"泉城{n}商贸有限公司,91370100XXXX00051M,2016-05-{n % 28 + 1:02},有限责任公司,{n}万人民币,山东,济南\n"
        for n in range(10_000)
    )
    with path.open("w", encoding="utf-8") as file:
        file.write("企业名称,统一社会信用代码,注册日期,企业类型,注册资金,所在省份,地区\n")
        for _ in range(rows // 10_000):
            file.write(lines)
    done = subprocess.run([sys.executable, "-c", _MAP, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    mapped, chunks, peak_kib = map(int, done.stdout.split())
    print(f"{mapped:,} rows in {chunks} chunks, peak {peak_kib >> 10} MiB")
    assert mapped == rows
    assert chunks >= rows // 100_000
    assert peak_kib < 1 << 20
