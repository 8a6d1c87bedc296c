"""The catalogue of dirt: 52 kinds that real files hold, each with what becomes of it, from file to examine."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from case_tables import cases
from openpyxl import Workbook
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from producers.mapping import load
from producers.readers import read
from producers.simulate.writers import write_file
from producers.stamp import stamp
from schemas.examine import examine
from schemas.proposals import propose
from schemas.settings import Settings
from tests.schemas.events import REFERENCE

KINDS = 52
REPORTED_AT_MS = round(datetime(2026, 5, 1, 4, tzinfo=UTC).timestamp() * 1000)

HEADERS = {
    "name": "行政相对人名称",
    "party": "行政相对人类别",
    "code": "行政相对人代码_1（统一社会信用代码）",
    "reg": "行政相对人代码_2（工商注册号）",
    "org": "行政相对人代码_3（组织机构代码）",
    "doc": "行政处罚决定书文号",
    "class": "处罚类别",
    "facts": "违法事实",
    "content": "处罚内容",
    "basis": "处罚依据",
    "fine": "罚款金额（万元）",
    "confiscated": "没收违法所得、没收非法财物的金额（万元）",
    "decided": "处罚决定日期",
    "valid_to": "处罚有效期",
    "until": "公示截止期",
    "authority": "处罚机关",
    "region": "地方编码",
    "state": "当前状态",
    "change": "撤销日期",
    "item": "许可证书名称",
}
SOUND = {
    "name": "泉城商贸有限公司",
    "party": "法人及非法人组织",
    "code": "91370100XXXX00051M",
    "doc": "济市监罚〔2023〕7号",
    "class": "罚款",
    "basis": "《中华人民共和国广告法》第五十五条",
    "fine": "0.2",
    "decided": "2023/5/8",
    "authority": "济南市市场监督管理局（演示）",
}
LICENCE_HEADERS = {"doc": "行政许可决定文书号", "class": "许可类别", "decided": "许可决定日期", "authority": "许可机关"}
BUILDERS: dict[str, Callable[[Path, list[dict[str, str]]], Path]] = {}


def builder(name: str) -> Callable[[Callable[[Path, list[dict[str, str]]], Path]], Any]:
    """Registers a way to write a file under the name that the table of cases uses."""
    return lambda write: BUILDERS.setdefault(name, write)


def _csv(encoding: str) -> Callable[[Path, list[dict[str, str]]], Path]:
    def write(folder: Path, rows: list[dict[str, str]]) -> Path:
        write_file(folder / "rows.csv", rows, encoding=encoding)
        return folder / "rows.csv"

    return write


BUILDERS[""] = _csv("utf-8")
BUILDERS["csv in UTF-8 with mark"] = _csv("utf-8-sig")


@builder("csv in GB18030")
def _gb18030(folder: Path, rows: list[dict[str, str]]) -> Path:
    return _csv("gb18030")(folder, rows)


@builder("csv written twice")
def _written_twice(folder: Path, rows: list[dict[str, str]]) -> Path:
    path = _csv("utf-8")(folder, rows)
    misread = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in path.read_bytes())
    path.write_text(misread, "utf-8", newline="")
    return path


@builder("csv with columns reversed")
def _reversed(folder: Path, rows: list[dict[str, str]]) -> Path:
    return _csv("utf-8")(folder, [dict(reversed(row.items())) for row in rows])


@builder("xml declared UTF-8 in GB18030")
def _xml(folder: Path, rows: list[dict[str, str]]) -> Path:
    names = {header: f"C{number}" for number, header in enumerate(rows[0])}
    codes = {"行政相对人名称": "CF_XDR_MC", "行政相对人代码_1（统一社会信用代码）": "CF_XDR_SHXYM"}
    codes |= {"行政处罚决定书文号": "CF_WSH", "处罚类别": "CF_CFLB", "处罚决定日期": "CF_JDRQ", "处罚机关": "CF_CFJG"}
    lines = ["<?xml version='1.0' encoding='UTF-8'?>", "<rows>"]
    for row in rows:
        cells = "".join(f"<{codes.get(h, names[h])}>{v}</{codes.get(h, names[h])}>" for h, v in row.items())
        lines.append(f"<row>{cells}</row>")
    path = folder / "rows.xml"
    path.write_bytes("\n".join([*lines, "</rows>"]).encode("gb18030"))
    return path


@builder("xlsx")
def _xlsx(folder: Path, rows: list[dict[str, str]]) -> Path:
    write_file(folder / "rows.xlsx", rows)
    return folder / "rows.xlsx"


@builder("xlsx with title")
def _xlsx_with_title(folder: Path, rows: list[dict[str, str]]) -> Path:
    write_file(folder / "rows.xlsx", rows, title="行政处罚信息公示表")
    return folder / "rows.xlsx"


@builder("xlsx of 1904")
def _xlsx_of_1904(folder: Path, rows: list[dict[str, str]]) -> Path:
    """Days are numbers that are formatted as dates, and the workbook counts from 1904."""
    path = folder / "rows.xlsx"
    book = Workbook()
    book.epoch = CALENDAR_MAC_1904
    sheet = book.active
    assert sheet is not None
    sheet.append(list(rows[0]))
    for row in rows:
        sheet.append([int(cell) if cell.isdigit() and len(cell) == 5 else cell for cell in row.values()])
    for cells in sheet.iter_rows(min_row=2):
        for cell in cells:
            if isinstance(cell.value, int):
                cell.number_format = "yyyy-mm-dd"
    book.save(path)
    return path


def _cells(text: str, mapping: str) -> dict[str, str]:
    """One row under its headers: the sound row with what the case changes."""
    headers = HEADERS | (LICENCE_HEADERS if mapping == "licence-2018" else {})
    values, renamed = dict(SOUND), dict[str, str]()
    for change in text.split(" | ") if text else ():
        name, _, value = change.partition("=")
        if name.startswith("header of "):
            renamed[name.removeprefix("header of ").strip()] = value
        else:
            values[name.strip()] = _unescaped(value.strip())
    return {renamed.get(name, headers[name]): value for name, value in values.items()}


def _unescaped(text: str) -> str:
    for written, meant in (("\\r", "\r"), ("\\n", "\n"), ("\\t", "\t"), ("\\\\", "\\")):
        text = text.replace(written, meant)
    return re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text)


@dataclass(frozen=True)
class Became:
    """All that happened to the rows of one case."""

    identified: list[dict[str, Any]]
    rejected: list[tuple[str, str, str]]
    skipped: list[str]
    proposed: list[str]


def _through(case: dict[str, str], folder: Path) -> Became:
    mapping = load(case["mapping"] or "penalty-2018", Settings())
    rows = [_cells(text, mapping.name) for text in case["cells"].split(" || ")]
    headers = list(dict.fromkeys(header for row in rows for header in row))
    path = BUILDERS[case["file"]](folder, [{header: row.get(header, "") for header in headers} for row in rows])
    became = Became([], [], [], [])
    for chunk in read(path, mapping.layout):
        became.skipped.extend(chunk.skipped["why"].to_list())
        mapped = mapping.apply(chunk)
        became.rejected.extend(("refused", *row) for row in mapped.refused.select("reason", "detail").iter_rows())
        events = stamp(mapped.events, "market-20260501-120000-abcd", REPORTED_AT_MS, None)
        found = examine(events, "market", REFERENCE)
        became.identified.extend(found.identified.to_pylist())
        for row, *reject in found.rejects.iter_rows():
            became.rejected.append((reject[0], reject[1], reject[2]))
            event = events.slice(row, 1).to_pylist()[0]
            became.proposed.extend(proposal.shown for proposal in propose(event, reject[1], reject[2], REFERENCE))
    return became


CASES = cases("dirt")


@pytest.mark.parametrize("case", CASES, ids=[f"{case['kind']} {case['why']}" for case in CASES])
def test_dirt(case: dict[str, str], tmp_path: Path) -> None:
    outcome, _, rest = case["becomes"].partition(":")
    expected, _, proposed = rest.strip().partition("; proposed ")
    became = _through(case, tmp_path)
    assert became.proposed == ([proposed] if proposed else [])
    match outcome:
        case "good":
            (record,) = became.identified
            assert became.rejected == []
            for assertion in expected.split("; "):
                field, _, value = assertion.partition("=")
                said = record[field]
                assert ("|".join(said) if isinstance(said, list) else str(said)) == value, assertion
        case "same" | "same record":
            assert became.rejected == []
            assert len({record["record_id"] for record in became.identified}) == 1 < len(became.identified)
            assert (len({record["content"] for record in became.identified}) == 1) == (outcome == "same")
        case "skipped":
            assert (became.identified, became.rejected, became.skipped) == ([], [], [expected])
        case _:
            reason, _, detail = expected.partition(" ")
            (reject,) = became.rejected
            assert (reject[:2], became.identified) == ((outcome, reason), [])
            assert not detail or reject[2] == detail


def test_every_kind_has_its_case_and_every_case_its_reason() -> None:
    assert {int(case["kind"]) for case in CASES} == set(range(1, KINDS + 1))
    assert all(case["why"] and case["becomes"] for case in CASES)
