"""Rows as a department writes them, mapped: a test says only the cells that matter to it."""

from pathlib import Path
from typing import Any

import polars as pl

from producers.mapping import Mapped, Mapping, load
from producers.readers import Chunk
from schemas.settings import Settings

GOOD_CODE = "91370100XXXX00051M"

PENALTY = {
    "行政相对人名称": "泉城商贸有限公司",
    "行政相对人类别": "法人及非法人组织",
    "行政相对人代码_1（统一社会信用代码）": GOOD_CODE,
    "行政处罚决定书文号": "济市监罚〔2023〕7号",
    "处罚类别": "罚款",
    "处罚依据": "《中华人民共和国广告法》第五十五条",
    "罚款金额（万元）": "0.2",
    "处罚决定日期": "2023/5/8",
    "处罚机关": "济南市市场监督管理局（演示）",
}


def shipped(name: str) -> Mapping:
    return load(name, Settings())


def chunk_of(rows: list[dict[str, str]], first_row: int = 2, title: tuple[str, ...] = ()) -> Chunk:
    """The rows under the union of their headers."""
    headers = list(dict.fromkeys(header for row in rows for header in row))
    cells = pl.DataFrame({header: [row.get(header, "") for row in rows] for header in headers})
    return Chunk(cells, pl.Series("row", range(first_row, first_row + len(rows)), dtype=pl.Int32), None, title)


def mapped(name: str, *rows: dict[str, str], title: tuple[str, ...] = ()) -> Mapped:
    return shipped(name).apply(chunk_of(list(rows), title=title))


def events(result: Mapped) -> list[dict[str, Any]]:
    return pl.DataFrame(pl.from_arrow(result.events)).to_dicts()


def event(name: str, row: dict[str, str]) -> dict[str, Any]:
    """The one event of one row."""
    (only,) = events(mapped(name, row))
    return only


def write_mapping(folder: Path, name: str, text: str) -> Settings:
    """A mapping of one's own, beside the shipped ones."""
    (folder / f"{name}.toml").write_text(text, "utf-8")
    return Settings(mappings_dir=folder)
