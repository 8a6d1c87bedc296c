"""Nested JSON and XML: one agreement with many parties is as many rows, and nothing is lost on the way."""

import gzip
import json
import zipfile
from pathlib import Path

import polars as pl
import pytest

from producers.readers import Chunk, Column, Layout, progress_total, read
from schemas.errors import InputError

LAYOUT = Layout(
    "leniency",
    (Column("code", ("cnpj", "@cnpj", "party.cnpj")), Column("name", ("name",)), Column("begun", ("begun", "@begun"))),
    rows="data.list[].parties[]",
)
PARTIES = [{"cnpj": "11444777000161", "name": "甲", "id": 1}, {"cnpj": "11222333000181", "name": "乙", "id": 2}]
AGREEMENTS = [
    {"id": 2100001, "begun": "15/09/2022", "organ": {"name": "CGU"}, "parties": PARTIES},
    {"id": 2100002, "begun": "16/09/2022", "organ": {"name": "CGU"}, "parties": []},
    {"id": 2100003, "begun": "17/09/2022", "organ": {"name": "CGU"}, "parties": [7]},
]


def written(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def only(path: Path, layout: Layout = LAYOUT) -> Chunk:
    (chunk,) = read(path, layout)
    return chunk


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_what_an_agreement_says_comes_down_to_each_of_its_parties(tmp_path, name):
    chunk = only(written(tmp_path / name, json.dumps({"total": 3, "data": {"list": AGREEMENTS}})))
    first = {"cnpj": "11444777000161", "name": "甲", "id": "1", "list.id": "2100001", "begun": "15/09/2022"}
    assert {key: chunk.cells.row(0, named=True)[key] for key in first} == first
    assert chunk.cells["organ.name"].to_list() == ["CGU", "CGU", "CGU", ""]
    assert chunk.cells["begun"].to_list() == ["15/09/2022", "15/09/2022", "16/09/2022", ""]
    assert chunk.cells["cnpj"].to_list() == ["11444777000161", "11222333000181", "", ""]
    assert chunk.faults is not None
    assert chunk.faults.to_list() == [None, None, None, "row_shape"]
    assert chunk.rows.to_list() == [1, 2, 3, 4]


def test_a_path_that_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match=r"rows are at data.list\[\].parties\[\], and the file has no data"):
        only(written(tmp_path / "a.json", json.dumps({"list": AGREEMENTS})))


def test_the_path_to_the_rows_of_one_of_several_arrays(tmp_path):
    layout = Layout("demo", LAYOUT.columns, rows="b.list")
    document = {"a": [{"cnpj": "1", "name": "x"}], "b": {"list": PARTIES}}
    assert only(written(tmp_path / "a.json", json.dumps(document)), layout).cells["name"].to_list() == ["甲", "乙"]


def test_a_number_keeps_every_digit(tmp_path):
    layout = Layout("demo", LAYOUT.columns)
    text = '[{"cnpj": 123456789012345678901234567890, "name": 1.10, "begun": 1E400}]'
    assert only(written(tmp_path / "a.json", text), layout).cells.row(0) == (
        "123456789012345678901234567890",
        "1.10",
        "1E400",
    )


XML = """<?xml version="1.0" encoding="{encoding}"?>
<data xmlns="urn:x" xmlns:y="urn:y">
  <total>3</total>
  <list begun="15/09/2022"><id>2100001</id><organ><name>CGU</name></organ>
    <parties cnpj="11444777000161"><name>甲 &amp; 子</name><id>1</id></parties>
    <y:parties cnpj="11222333000181"><name><![CDATA[乙<公司>]]></name></y:parties></list>
  <list begun="16/09/2022"><id>2100002</id></list>
</data>
"""


@pytest.mark.parametrize("name", ["a.xml", "a.xml.gz"])
def test_elements_of_xml_are_rows_and_attributes_cells(tmp_path, name):
    layout = Layout("demo", LAYOUT.columns, rows="list[].parties[]")
    chunk = only(written(tmp_path / name, XML.format(encoding="UTF-8")), layout)
    assert chunk.cells.select("@cnpj", "name", "@begun", "id", "organ.name").rows() == [
        ("11444777000161", "甲 & 子", "15/09/2022", "1", "CGU"),
        ("11222333000181", "乙<公司>", "15/09/2022", "", "CGU"),
        ("", "", "16/09/2022", "", ""),
    ]
    # An agreement's number is none of a party's, also where the party has none.
    assert chunk.cells["list.id"].to_list() == ["2100001", "2100001", "2100002"]


def test_the_path_may_begin_with_the_root_and_chinese_under_a_false_declaration_is_read(tmp_path):
    layout = Layout("demo", LAYOUT.columns, rows="data.list[].parties[]")
    path = tmp_path / "a.xml"
    path.write_bytes(XML.format(encoding="UTF-8").encode("gb18030"))
    assert only(path, layout).cells["name"].to_list() == ["甲 & 子", "乙<公司>", ""]


def test_without_a_path_rows_are_the_elements_whose_children_the_mapping_knows(tmp_path):
    layout = Layout("demo", (Column("name", ("企业名称",)), Column("code", ("代码",))))
    rows = "".join(f"<行><企业名称>公司{n}</企业名称><代码>{n}</代码></行>" for n in range(5))
    path = written(tmp_path / "a.xml", f"<表><时间>2016</时间><数据>{rows}</数据></表>")
    chunks = list(read(path, layout, chunk_rows=2))
    assert pl.concat([chunk.cells for chunk in chunks])["代码"].to_list() == ["0", "1", "2", "3", "4"]
    assert [chunk.rows.to_list() for chunk in chunks] == [[1, 2], [3, 4], [5]]
    assert chunks[-1].bytes_done == progress_total(path)


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        ("<a><行><企业名称>x</企业名称><代码>1</代码></行>", "is not whole XML"),
        ("<a><b>1</b></a>", "no element has children that mapping demo knows"),
        ("<a>" + "<b>" * 100, "nested more than 64 deep"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "has a document type"),
    ],
)
def test_xml_that_can_not_be_read_is_one_sentence(tmp_path, xml, said):
    layout = Layout("demo", (Column("name", ("企业名称",)), Column("code", ("代码",))))
    with pytest.raises(InputError, match=said):
        list(read(written(tmp_path / "a.xml", xml), layout))


def test_the_one_file_in_a_zip_is_read(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("名单.ndjson", "\n".join(map(json.dumps, PARTIES)))
        archive.writestr("__MACOSX/._名单.ndjson", "x")
    chunk = only(path, Layout("demo", LAYOUT.columns))
    assert chunk.cells["name"].to_list() == ["甲", "乙"]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("another.csv", "x")
    with pytest.raises(InputError, match="the ZIP archive holds 2 files"):
        only(path)
