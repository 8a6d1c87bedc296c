"""Files as rows: every encoding, separator and format gives the same rows, every unusable file one sentence."""

import gzip
import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from workbooks import workbook

from producers.readers import Chunk, Column, Layout, progress_total, read
from schemas.errors import InputError

LAYOUT = Layout(
    "demo",
    (
        Column("name", ("企业名称", "单位名称"), required=True),
        Column("code", ("统一社会信用代码",), required=True),
        Column("decided", ("决定日期",)),
        Column("fine", ("罚款金额（万元）",)),
    ),
    dropped=("备注",),
    subject_column="name",
    id_columns=("code",),
)
HEADER = ["企业名称", "统一社会信用代码", "决定日期", "罚款金额（万元）"]
ROWS = [
    ["䶮城商贸有限公司", "91370100XXXX00051M", "2016/5/1", "0.2"],
    ["乙“联合”公司", "93370100XXXX000787", "2016/5/2", "20,000"],
    ["", "N2370100XXXX00086P", "", ""],
]


def lines(rows: list[list[str]], separator: str = ",", end: str = "\r\n") -> str:
    quoted = [[f'"{cell}"' if separator in cell or "\n" in cell else cell for cell in row] for row in rows]
    return "".join(separator.join(row) + end for row in quoted)


def written(path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
    return path


def cells(path: Path, layout: Layout = LAYOUT) -> list[list[str]]:
    frames = [chunk.cells for chunk in read(path, layout)]
    return [list(row) for row in pl.concat(frames).rows()] if frames else []


def all_rows(chunks: list[Chunk]) -> list[int]:
    return [row for chunk in chunks for row in chunk.rows]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_the_encoding_and_the_separator_are_found_out(tmp_path, encoding, separator):
    path = written(tmp_path / "a.csv", lines([HEADER, *ROWS], separator), encoding)
    assert cells(path) == ROWS


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_way(tmp_path, end):
    assert cells(written(tmp_path / "a.csv", lines([HEADER, *ROWS], end=end))) == ROWS


def test_western_letters_are_not_taken_for_chinese(tmp_path):
    layout = Layout("mx", (Column("rfc", ("RFC",)), Column("situation", ("Situación del contribuyente",))))
    text = lines([["Información"], ["RFC", "Situación del contribuyente"], ["ZZZ010101VZ4", "ASESORÍA Ñandú é"]])
    assert cells(written(tmp_path / "a.csv", text, "cp1252"), layout) == [["ZZZ010101VZ4", "ASESORÍA Ñandú é"]]


def test_one_lost_byte_does_not_turn_the_file_into_another_encoding(tmp_path):
    good = lines([HEADER, *ROWS * 20]).encode()
    broken = good.replace("乙“联合”公司".encode(), b"\xe4\xb9" + "“联合”公司".encode(), 1)
    names = [row[0] for row in cells(written(tmp_path / "a.csv", broken))]
    assert names.count("乙“联合”公司") == 19
    assert names[1].startswith("\ufffd")


def test_a_packed_file_reads_like_the_plain_one(tmp_path):
    assert cells(written(tmp_path / "a.csv.gz", gzip.compress(lines([HEADER, *ROWS]).encode()))) == ROWS


def test_rows_are_numbered_as_a_person_counts_them(tmp_path):
    title = "2016年处罚情况表,,,\r\n\r\n"
    rows = [*ROWS, ["丙公司\n（分公司）", "91370100XXXX00051M", "", ""], ["丁公司", "91370100XXXX00051M", "", ""]]
    path = written(tmp_path / "a.csv", title + lines([HEADER, *rows]))
    chunks = list(read(path, LAYOUT, chunk_rows=2))
    assert all_rows(chunks) == [4, 5, 6, 7, 8]
    assert chunks[0].title == ("2016年处罚情况表",)
    assert [chunk.cells.height for chunk in chunks] == [2, 2, 1]


def test_the_progress_ends_at_the_total(tmp_path):
    path = written(tmp_path / "a.csv.gz", gzip.compress(lines([HEADER, *ROWS * 10]).encode()))
    done = [chunk.bytes_done for chunk in read(path, LAYOUT, chunk_rows=7)]
    assert done == sorted(done)
    assert done[-1] == progress_total(path)


def test_a_row_of_another_shape_is_counted_in_its_place_and_nothing_of_it_is_guessed(tmp_path):
    text = (
        lines([HEADER, ROWS[0]])
        + "戊公司,91370100XXXX00051M\r\n"
        + "己,公司,91370100XXXX00051M,2016/5/1,3\r\n"
        + lines([ROWS[1]])
    )
    (chunk,) = read(written(tmp_path / "a.csv", text), LAYOUT)
    assert chunk.rows.to_list() == [2, 3, 4, 5]
    assert chunk.faults.to_list() == [None, "row_shape", "row_shape", None]
    assert chunk.cells.rows()[1] == chunk.cells.rows()[2] == ("", "", "", "")
    assert list(chunk.cells.rows()[3]) == ROWS[1]


def test_empty_cells_behind_the_last_column_do_no_harm(tmp_path):
    text = ",".join(HEADER) + "\n" + ",".join(ROWS[0]) + ",,\n"
    (chunk,) = read(written(tmp_path / "a.csv", text), LAYOUT)
    assert chunk.faults is None
    assert chunk.cells.rows() == [tuple(ROWS[0])]


def test_rows_that_are_no_data_are_left_out_and_said(tmp_path):
    rows = [
        ["填表说明：代码必须填写", "", "", ""],
        HEADER,
        ROWS[0],
        ["", "  ", "", ""],
        ["某某有限公司", "91370100XXXX00051M", "2016/5/1", "1"],
        HEADER,
        ["某某某", "91370100XXXX00051M", "2016/5/1", "1"],
        ["测试技术有限公司", "91370100XXXX00051M", "2016/5/1", "1"],
        ["注：以上金额含利息", "", "", ""],
        ["合计", "", "", "3.2"],
    ]
    (chunk,) = read(written(tmp_path / "a.csv", lines(rows)), LAYOUT)
    assert chunk.rows.to_list() == [3, 8]
    assert chunk.skipped.rows() == [(5, "sample"), (6, "header"), (7, "sample"), (9, "note"), (10, "total")]


def test_two_columns_with_one_header_are_told_apart(tmp_path):
    text = lines([[*HEADER, "备注", "备注", ""], [*ROWS[0], "a", "b", "c"]])
    (chunk,) = read(written(tmp_path / "a.csv", text), LAYOUT)
    assert chunk.cells.columns == [*HEADER, "备注", "备注 #2"]


def test_the_first_visible_sheet_with_the_header_is_read(tmp_path):
    path = workbook(
        tmp_path / "a.xlsx",
        {"旧": [HEADER, ["旧公司", "x", "", ""]], "说明": [["本表"]], "数据": [["处罚情况表"], [], HEADER, *ROWS]},
        hidden=("旧",),
    )
    chunks = list(read(path, LAYOUT))
    assert pl.concat([chunk.cells for chunk in chunks]).rows() == [tuple(row) for row in ROWS]
    assert all_rows(chunks) == [4, 5, 6]
    assert chunks[0].title == ("处罚情况表",)
    assert chunks[-1].bytes_done == progress_total(path)


def test_cells_of_a_workbook_are_what_excel_shows(tmp_path):
    values: list[object] = [911010667669428720, 0.1 + 0.2, date(2016, 5, 1), 42491]
    path = workbook(tmp_path / "a.xlsx", {"s": [HEADER, values, ["甲公司", 370100000000016, True, 2.5]]})
    assert cells(path) == [
        ["9.11010667669429E+17", "0.3", "2016-05-01", "42491"],
        ["甲公司", "370100000000016", "TRUE", "2.5"],
    ]


OBJECTS = [dict(zip(HEADER, row, strict=True)) for row in ROWS]


@pytest.mark.parametrize(
    "document",
    [OBJECTS, {"total": 3, "rows": OBJECTS}, {"code": "0", "data": {"page": 1, "records": OBJECTS}}],
    ids=["array", "object that holds an array", "array two levels down"],
)
def test_json_rows_are_found(tmp_path, document):
    path = written(tmp_path / "a.json", json.dumps(document, ensure_ascii=False))
    chunks = list(read(path, LAYOUT))
    assert pl.concat([chunk.cells for chunk in chunks]).rows() == [tuple(row) for row in ROWS]
    assert all_rows(chunks) == [1, 2, 3]


def test_json_numbers_stay_as_they_are_written_and_nested_values_are_laid_flat(tmp_path):
    text = (
        '[{"企业名称": "甲", "统一社会信用代码": null, "罚款金额（万元）": 0.20, '
        '"类别": [{"name": "罚款"}, {"name": "警告"}], "案件": {"号": 123456789012345678901}}]'
    )
    (chunk,) = read(written(tmp_path / "a.json", text), LAYOUT)
    assert chunk.cells.to_dicts() == [
        {
            "企业名称": "甲",
            "统一社会信用代码": "",
            "罚款金额（万元）": "0.20",
            "类别": "罚款;警告",
            "案件.号": "123456789012345678901",
        }
    ]


def test_a_line_that_is_no_object_is_a_row_of_another_shape(tmp_path):
    good = [json.dumps(row, ensure_ascii=False) for row in OBJECTS]
    path = written(tmp_path / "a.ndjson", "\n".join([good[0], "", '{"企业名称": ', "7", good[1]]))
    (chunk,) = read(path, LAYOUT)
    assert chunk.rows.to_list() == [1, 3, 4, 5]
    assert chunk.faults.to_list() == [None, "row_shape", "row_shape", None]


def test_a_member_that_comes_late_is_a_column_from_then_on(tmp_path):
    late = OBJECTS[0] | {"备注": "晚"}
    path = written(tmp_path / "a.ndjson", "\n".join(json.dumps(row) for row in [OBJECTS[0], late, OBJECTS[1]]))
    chunks = list(read(path, LAYOUT, chunk_rows=1))
    assert [chunk.cells.width for chunk in chunks] == [4, 5, 5]


GOOD = lines([HEADER, *ROWS * 2000]).encode()
NAMELESS = lines([["统一社会信用代码", "决定日期", "电话"], ["91370100XXXX00051M", "2016/5/1", "0"]])
OPEN_QUOTE = lines([HEADER, ROWS[0]]) + '"甲公司,91370100XXXX00051M,,\r\n' + lines([ROWS[0]] * 9)
SWALLOWING = (
    lines([HEADER, ROWS[0]]) + '"甲公司,91370100XXXX00051M,,\r\n' + lines(ROWS) + '乙"公司,x,,"\r\n' + lines(ROWS)
)
BAD_FILES = {
    "a.xlsx": (b"%PDF-1.4 ...", "is a PDF document, no Excel workbook"),
    "b.xlsx": (b"PK\x03\x04 and no more", "is damaged"),
    "c.csv": (b"%PDF-1.4 ...", "is a PDF document; export it again"),
    "d.csv": (b"PK\x03\x04" + b"\0" * 50, "is a ZIP archive or an Excel workbook"),
    "e.csv.gz": (gzip.compress(GOOD)[:200], "ends too early"),
    "f.csv.gz": (GOOD, "damaged or not packed by gzip"),
    "g.csv": (b"", "the file is empty"),
    "h.csv.gz": (gzip.compress(b""), "the file is empty"),
    "i.docx": (b"PK", "files that end in .docx are not read"),
    "j": (b"x", "files without an ending are not read"),
    "k.csv": ("电话,手机\n1,2\n".encode(), "is a header that mapping demo knows"),
    "l.csv": (
        NAMELESS.encode(),
        "needs the column 企业名称, and the header has only 统一社会信用代码, 决定日期, 电话;",
    ),
    "m.json": (b'[{"a": 1}', "not whole JSON"),
    "n.json": (json.dumps({"a": OBJECTS, "b": OBJECTS}).encode(), "must hold one array of objects and holds a, b"),
    "o.json": (b"7", "holds one value and no rows"),
    "p.ndjson": (b'{"x": 1}\n', "have no members that mapping demo knows"),
    "q.csv": (OPEN_QUOTE.encode(), "a quotation mark in row 3 is never closed"),
    "r.csv": (SWALLOWING.encode(), "a quotation mark in row 3 swallows the rows below it"),
    "s.json.gz": (gzip.compress(json.dumps(OBJECTS).encode())[:-9], "ends too early"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_an_unusable_file_is_one_sentence_before_any_row_is_given_out(tmp_path, name):
    content, said = BAD_FILES[name]
    path = written(tmp_path / name, content)
    with pytest.raises(InputError) as caught:
        next(iter(read(path, LAYOUT)))
    message = str(caught.value)
    assert message.startswith(f"reading {path}: ")
    assert said in message
    assert "\n" not in message


def test_a_folder_and_a_missing_file_are_said_to_be_that(tmp_path):
    with pytest.raises(InputError, match="this is a folder"):
        next(iter(read(tmp_path, LAYOUT)))
    with pytest.raises(InputError, match="there is no such file"):
        next(iter(read(tmp_path / "a.csv", LAYOUT)))


def test_a_header_without_rows_is_a_file_without_rows(tmp_path):
    assert cells(written(tmp_path / "a.csv", lines([HEADER]))) == []
    assert cells(written(tmp_path / "b.csv", ",".join(HEADER))) == []


def test_no_message_shows_a_personal_number_that_stands_in_a_header(tmp_path):
    number = "11010119900307" + "7715"  # made up, and of the form that the guard knows
    path = written(tmp_path / "a.csv", lines([["统一社会信用代码", "决定日期", number], ["x", "y", "z"]]))
    with pytest.raises(InputError) as caught:
        next(iter(read(path, LAYOUT)))
    assert number not in str(caught.value)
