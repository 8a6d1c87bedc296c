"""Workbooks as offices make them: titles, headers over two rows, several sheets, numbers that lost their end."""

import os
import shutil
import zipfile
from datetime import date, datetime
from pathlib import Path

import openpyxl
import polars as pl
import pytest
from workbooks import workbook

from producers.readers import Column, Layout, read
from producers.readers.cells import text
from schemas.errors import InputError

SHARED = Path(os.environ.get("XINLIU_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
LAYOUT = Layout(
    "demo",
    (
        Column("name", ("企业名称",), required=True),
        Column("code", ("统一社会信用代码",)),
        Column("from", ("期限 起", "From Date")),
        Column("to", ("期限 止", "To Date")),
        Column("fine", ("罚款",)),
    ),
    subject_column="name",
    id_columns=("code",),
)
HEADER = ["企业名称", "统一社会信用代码", "罚款"]
ROW = ["甲公司", "91370100XXXX00051M", "1"]


def rewritten(path: Path, part: str, old: str, new: str) -> Path:
    """The workbook with a text replaced in one of its parts."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert old in parts[part]
    parts[part] = parts[part].replace(old, new)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def shared_file(name: str) -> Path:
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"real data is not there: {name} (set XINLIU_SHARED_DATA to its folder)")
    return path


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (370100000000016.0, "370100000000016"),
        (911010667669428720, "9.11010667669429E+17"),
        (9.11101e17, "9.11101E+17"),
        (1234567890123456.0, "1234567890123456"),  # a whole number below 2^53 that Excel did not cut
        (1234567890123450.0, "1.23456789012345E+15"),  # sixteen digits, the last one a nought: cut or not, who knows
        (0.1 + 0.2, "0.3"),
        (-5.0, "-5"),
        (0.0, "0"),
        (1e-7, "1E-07"),
        (True, "TRUE"),
        (None, ""),
        (date(2016, 5, 1), "2016-05-01"),
        (datetime(2016, 5, 1, 12), "2016-05-01 12:00:00"),
    ],
)
def test_a_cell_shows_the_digits_that_it_surely_has(value, shown):
    assert text(value) == shown


def test_a_header_over_two_rows_names_each_column_by_both(tmp_path):
    rows = [
        ["下载于 2025-01-07"],
        ["企业名称", "统一社会信用代码", "期限", None, "罚款"],
        [None, None, "起", "止", None],
        ["甲公司", "91370100XXXX00051M", "2016-01-01", "2017-01-01", "1"],
    ]
    path = workbook(tmp_path / "a.xlsx", {"s": rows})
    book = openpyxl.load_workbook(path)
    for merged in ("A1:E1", "A2:A3", "B2:B3", "C2:D2", "E2:E3"):
        book["s"].merge_cells(merged)
    book.save(path)
    (chunk,) = read(path, LAYOUT)
    assert chunk.cells.to_dicts() == [
        dict(zip(["企业名称", "统一社会信用代码", "期限 起", "期限 止", "罚款"], rows[3], strict=True))
    ]
    assert chunk.rows.to_list() == [4]
    assert chunk.title == ("下载于 2025-01-07",)


def test_a_header_over_two_rows_in_a_csv_is_found_as_well(tmp_path):
    path = tmp_path / "a.csv"
    header = "企业名称,统一社会信用代码,期限,\n,,From Date,To Date"
    path.write_text(f"表,,,\n{header}\n甲,x,2016-01-01,2017-01-01\n", "utf-8")
    (chunk,) = read(path, LAYOUT)
    assert chunk.cells.columns == ["企业名称", "统一社会信用代码", "From Date", "To Date"]
    assert chunk.rows.to_list() == [4]


def test_all_visible_sheets_with_the_header_that_fits_best_are_read_and_the_others_are_said(tmp_path):
    path = workbook(
        tmp_path / "a.xlsx",
        {
            "说明": [["本表由各单位填写"]],
            "一季度": [["表"], HEADER, ROW],
            "旧": [HEADER, ["旧公司", "x", "1"]],
            "汇总": [["企业名称", "统一社会信用代码"], ["汇总公司", "x"]],
            "二季度": [HEADER, ["乙公司", "91370100XXXX00051M", "2"]],
        },
        hidden=("旧",),
    )
    chunks = list(read(path, LAYOUT))
    assert pl.concat([chunk.cells for chunk in chunks])["企业名称"].to_list() == ["甲公司", "乙公司"]
    assert [chunk.rows.to_list() for chunk in chunks] == [[3], [5]]  # counted on from the last row of the first sheet
    assert chunks[0].skipped.rows() == [(0, "hidden sheet"), (0, "sheet with another header")]


def test_a_damaged_sheet_is_said_and_not_passed_over(tmp_path):
    path = workbook(tmp_path / "a.xlsx", {"一": [HEADER, ROW], "二": [HEADER, ["乙公司", *ROW[1:]]]})
    rewritten(path, "xl/worksheets/sheet2.xml", "</sheetData>", "<")
    with pytest.raises(InputError, match="sheet 2 of the workbook is damaged"):
        list(read(path, LAYOUT))


def test_the_mapping_may_name_the_sheet(tmp_path):
    layout = Layout("demo", LAYOUT.columns, sheet="汇总")
    path = workbook(tmp_path / "a.xlsx", {"数据": [HEADER, ROW], "汇总": [HEADER[:2], ["汇总公司", "x"]]})
    assert [chunk.cells.rows() for chunk in read(path, layout)] == [[("汇总公司", "x")]]
    with pytest.raises(InputError, match="the sheet '汇总' is missing or has no header"):
        next(iter(read(workbook(tmp_path / "b.xlsx", {"数据": [HEADER, ROW]}), layout)))


def test_a_formula_without_a_saved_result_and_an_error_set_their_rows_aside_in_columns_that_count(tmp_path):
    last = ["丙公司", "91370100XXXX00051M", "x", ""]
    rows = [[*HEADER, "备注"], [*ROW, "=1+1"], ["乙公司", "=A2", "2", ""], ROW, last]
    path = workbook(tmp_path / "a.xlsx", {"封面": [["x"]], "s": rows})
    book = openpyxl.load_workbook(path)
    book["s"]["C5"].value, book["s"]["C5"].data_type = "#REF!", "e"
    book.save(path)
    (chunk,) = read(path, LAYOUT)
    assert chunk.faults is not None
    assert chunk.faults.to_list() == [None, "value_unreadable:formula", None, "value_unreadable:formula"]


def test_the_saved_result_of_a_formula_is_its_value(tmp_path):
    path = workbook(tmp_path / "a.xlsx", {"s": [HEADER, ["甲公司", "91370100XXXX00051M", "=1+1"]]})
    rewritten(path, "xl/worksheets/sheet1.xml", "<f>1+1</f><v />", "<f>1+1</f><v>2</v>")
    (chunk,) = read(path, LAYOUT)
    assert chunk.faults is None
    assert chunk.cells["罚款"].to_list() == ["2"]


def test_dates_are_days_whichever_year_the_workbook_counts_from(tmp_path):
    for name, epoch in (("a", openpyxl.utils.datetime.CALENDAR_WINDOWS_1900), ("b", openpyxl.utils.datetime.MAC_EPOCH)):
        path = workbook(tmp_path / f"{name}.xlsx", {"s": [HEADER]})
        book = openpyxl.load_workbook(path)
        book.epoch = epoch
        book["s"].append(["甲公司", "x", date(2016, 5, 1)])
        book.save(path)
        (chunk,) = read(path, LAYOUT)
        assert chunk.cells["罚款"].to_list() == ["2016-05-01"]


def test_links_to_other_workbooks_are_not_followed(tmp_path):
    path = workbook(tmp_path / "a.xlsx", {"s": [HEADER, ["甲公司", "x", "='[/etc/passwd]s'!A1"]]})
    rewritten(path, "xl/worksheets/sheet1.xml", "<v />", "<v>3</v>")
    (chunk,) = read(path, LAYOUT)
    assert chunk.cells["罚款"].to_list() == ["3"]


def test_a_title_between_the_rows_becomes_a_column_of_the_rows_below_it(tmp_path):
    layout = Layout(
        "demo", LAYOUT.columns, group_titles="季度", group_pattern=r"(\d{4}年第.季度)", subject_column="name"
    )
    rows = [
        ["2017年第一季度超标企业"],
        HEADER,
        ROW,
        ["2017年第二季度（国家重点监控企业）"],
        ROW,
        ["只有名称的公司"],
        ROW,
    ]
    path = workbook(tmp_path / "a.xlsx", {"s": rows})
    chunks = list(read(path, layout, chunk_rows=2))
    cells = pl.concat([chunk.cells for chunk in chunks])
    assert cells["季度"].to_list() == ["2017年第一季度", "2017年第二季度", "2017年第二季度", "2017年第二季度"]
    assert cells["企业名称"].to_list() == ["甲公司", "甲公司", "只有名称的公司", "甲公司"]
    assert pl.concat([chunk.skipped for chunk in chunks]).rows() == [(4, "group")]


def test_a_title_between_the_rows_of_a_csv_need_not_have_the_separators(tmp_path):
    layout = Layout("demo", LAYOUT.columns, group_titles="区域", group_pattern="(.+[省市区])")
    path = tmp_path / "a.csv"
    path.write_text(f"{','.join(HEADER)}\n山东省\n{','.join(ROW)}\n", "utf-8")
    (chunk,) = read(path, layout)
    assert chunk.cells["区域"].to_list() == ["山东省"]
    assert chunk.rows.to_list() == [3]


# -- what the file is, is told by its content ---------------------------------------------------------------------


def test_an_old_workbook_under_the_name_of_a_new_one_is_read_and_the_other_way_round(tmp_path):
    layout = Layout("demo", (Column("name", ("企业名称",)), Column("code", ("统一社会信用代码",))))
    old = shutil.copy(shared_file("cn_field_templates/xzcf.xls"), tmp_path / "a.xlsx")
    assert sum(chunk.cells.height for chunk in read(Path(old), layout)) == 1
    new = workbook(tmp_path / "b.xlsx", {"s": [HEADER, ROW]}).rename(tmp_path / "b.xls")
    assert sum(chunk.cells.height for chunk in read(new, layout)) == 1


def test_text_with_tabs_that_is_called_xls_is_read(tmp_path):
    path = tmp_path / "a.xls"
    path.write_bytes("\n".join("\t".join(row) for row in (HEADER, ROW)).encode("gb18030"))
    assert [chunk.cells.rows() for chunk in read(path, LAYOUT)] == [[tuple(ROW)]]


def test_real_sheets_with_two_header_rows_and_slid_names_are_read():
    layout = Layout(
        "bank", (Column("name", ("Firm Name",)), Column("from", ("From Date",)), Column("to", ("To Date",)))
    )
    chunks = list(read(shared_file("mdb_debarred/world_bank_ineligible_2025-01-07.xlsx"), layout))
    assert sum(chunk.cells.height for chunk in chunks) == 925
    assert chunks[0].cells.columns == ["Firm Name", "Country", "From Date", "To Date", "Grounds"]
    assert chunks[0].cells["To Date"].str.contains(r"^\d{4}-\d\d-\d\d$").all()
    columns = (Column("name", ("企业名称",)), Column("code", ("统一信用代码",)))
    layout = Layout("logistics", columns, subject_column="name")
    (chunk,) = read(shared_file("cn_credit_blacklists/logistics_serious_2017.xls"), layout)
    assert chunk.faults is not None
    assert chunk.faults.drop_nulls().to_list() == ["text_damaged:cut_name"] * 9
