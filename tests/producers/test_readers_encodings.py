"""Encodings are told apart by the whole file; what was damaged is set aside, and nothing is guessed cell by cell."""

import codecs
import tomllib
from typing import Any

import polars as pl
import pytest
from adapter_cases import CASES

from producers.mapping import load
from producers.readers import Chunk, Column, Layout, read
from producers.readers.encoding import edition_2022
from schemas.settings import Settings

ENCODINGS = CASES.parent / "readers" / "encodings.toml"
LAYOUT = Layout(
    "demo",
    (Column("name", ("企业名称", "Razão social"), required=True), Column("code", ("统一社会信用代码", "Código"))),
    subject_column="name",
    id_columns=("code",),
)
CODE = "91370100XXXX00051M"


def cases() -> list[dict[str, Any]]:
    return tomllib.loads(ENCODINGS.read_text("utf-8"))["case"]


def as_written(text: str, way: list[str]) -> bytes:
    data = b""
    for step, encoding in enumerate(way):
        if step % 2 == 0:
            data = text.encode(encoding)
        elif encoding == "sloppy-1252":  # what programs do with the five bytes that stand for nothing
            text = "".join(bytes([b]).decode("cp1252", "ignore") or chr(b) for b in data)
        else:
            text = data.decode(encoding)
    return data


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["name"])
def test_what_a_file_says_is_read_whatever_became_of_its_text(tmp_path, case):
    header = "Razão social;Código" if case.get("western") else "企业名称;统一社会信用代码"
    good = "Comércio de pães;X1" if case.get("western") else f"泉城商贸有限公司;{CODE}"
    if case.get("even"):  # each cell of an even number of bytes: else the misreading loses some, and nothing is proved
        good = f"海湾运输公司;{CODE}"
    text = f"{header}\n{good}\n{case['text']};{CODE}\n" + f"{good}\n" * 40
    path = tmp_path / "a.csv"
    path.write_bytes(as_written(text, case["way"]))
    (chunk,) = read(path, LAYOUT)
    assert chunk.cells.row(1) == (case["text"], CODE)
    faults = [None] * 42 if chunk.faults is None else chunk.faults.to_list()
    assert faults[1] == ("text_damaged:lost_characters" if case.get("lost") else None)
    assert faults[0] is None


# GB 18030-2022: bytes, and the character that they are since that edition.
EDITION_2022 = {
    "A6D9": "︐", "A6DA": "︒", "A6DB": "︑", "A6DC": "︓", "A6DD": "︔", "A6DE": "︕", "A6DF": "︖", "A6EC": "︗",
    "A6ED": "︘", "A6F3": "︙", "FE59": "龴", "FE61": "龵", "FE66": "龶", "FE67": "龷", "FE6D": "龸", "FE7E": "龹",
    "FE90": "龺", "FEA0": "龻", "A8BC": "ḿ",
}  # fmt: skip


@pytest.mark.parametrize("code", EDITION_2022)
def test_characters_that_the_edition_of_2022_moved_are_read_as_it_says(code):
    assert edition_2022(bytes.fromhex(code).decode("gb18030")) == EDITION_2022[code]


def test_a_file_in_the_edition_of_2022_holds_no_private_characters(tmp_path):
    path = tmp_path / "a.csv"
    line = "龴城".encode("gb18030").replace("龴".encode("gb18030"), bytes.fromhex("FE59"))
    path.write_bytes(f"企业名称,统一社会信用代码\n泉城商贸有限公司,{CODE}\n".encode("gb18030") + line + b",x\n")
    (chunk,) = read(path, LAYOUT)
    assert chunk.cells.row(1) == ("龴城", "x")


def test_chinese_under_the_mark_of_utf_8_is_read_as_what_it_is(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(codecs.BOM_UTF8 + f"企业名称,统一社会信用代码\n泉城商贸有限公司,{CODE}\n".encode("gb18030"))
    (chunk,) = read(path, LAYOUT)
    assert chunk.cells.rows() == [("泉城商贸有限公司", CODE)]


def test_a_file_of_which_one_character_can_not_come_from_a_misreading_is_left_as_it_is(tmp_path):
    wrong = as_written("泉城商贸有限公司", ["utf-8", "latin-1", "utf-8"]).decode()
    path = tmp_path / "a.csv"
    path.write_text(f"企业名称,统一社会信用代码\n{wrong},{CODE}\n", "utf-8")
    (chunk,) = read(path, LAYOUT)
    assert chunk.cells.row(0)[0] == wrong


def test_a_chinese_file_with_one_lost_byte_sets_that_row_aside(tmp_path):
    good = f"泉城商贸有限公司,{CODE}\n"
    data = ("企业名称,统一社会信用代码\n" + good * 30).encode("gb18030")
    at = data.index("泉".encode("gb18030"), 400)
    path = tmp_path / "a.csv"
    path.write_bytes(data[:at] + b"\xff" + data[at + 2 :])
    (chunk,) = read(path, LAYOUT)
    assert chunk.faults is not None
    assert chunk.faults.drop_nulls().to_list() == ["text_damaged:lost_characters"]
    assert chunk.cells.height == 30


def test_a_name_that_lost_its_end_to_the_next_row_is_set_aside_with_that_row(tmp_path):
    names = ["泉城物流有限公", "司海湾运输有限公司", "司徒货运有限公司", "济水物流有限公司"]
    path = tmp_path / "a.csv"
    path.write_text("企业名称,统一社会信用代码\n" + "".join(f"{name},{CODE}\n" for name in names), "utf-8")
    (chunk,) = read(path, LAYOUT)
    assert chunk.faults is not None
    assert chunk.faults.to_list() == ["text_damaged:cut_name", "text_damaged:cut_name", None, None]


def test_a_damaged_row_is_one_event_that_says_so_and_holds_nothing_of_it():
    mapping = load("registration-cn", Settings())
    cells = pl.DataFrame({"企业名称": ["\ufffd公司"], "统一社会信用代码": [CODE]})
    rows, faults = pl.Series("row", [2], dtype=pl.Int32), pl.Series("fault", ["text_damaged:lost_characters"])
    (event,) = pl.DataFrame(pl.from_arrow(mapping.apply(Chunk(cells, rows, faults)).events)).to_dicts()
    assert event["faults"] == ["text_damaged:lost_characters"]
    assert (event["subject_ids"], event["subject_name"]) == ([], "")
