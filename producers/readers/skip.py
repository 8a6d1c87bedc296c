"""Rows that are no data: blank ones, notes to the clerk, totals, samples, the header once more.

A row is left out only where it plainly is none of the rows that the header announces; what was left out is said.
"""

from functools import reduce

import polars as pl

from producers.readers.layout import Layout

_NOTE = r"^(?:填表说明|表格说明|填报说明|填写说明|说明|注|备注|填表单位|填报单位|填表人|制表|制表人|单位)\s*[:：]?"
_TOTAL = ("合计", "总计", "共计", "小计", "合 计", "总 计")
_SAMPLE_STARTS = ("示", "样", "测", "某", "X", "x", "×", "*", "＊")
_SAMPLE = (
    r"^(?:示例|样例|测试|(?:某+|[Xx×*＊]{2,})(?:省|市|县|区|镇|[Xx×*某])*(?:有限|责任|股份|科技|贸易)*"
    r"(?:公司|企业|单位|厂|合作社)?)(?:[（(].{0,10}[）)])?$"
)
_NOTE_CELLS_MOST = 2
_HEADER_CELLS_LEAST = 2


def reasons_to_skip(cells: pl.DataFrame, layout: Layout) -> pl.Series:
    """Per row null, or why it is no data: blank, note, total, sample or header."""
    nothing = pl.repeat(None, cells.height, dtype=pl.String, eager=True).rename("why")
    if cells.height == 0:
        return nothing
    located = layout.locate(cells.columns)
    suspects = _suspects(cells, layout, located)
    return nothing.scatter(suspects, _judge(cells[suspects], layout, located)) if len(suspects) else nothing


def _suspects(cells: pl.DataFrame, layout: Layout, located: dict[str, tuple[str, ...]]) -> pl.Series:
    """The few rows worth a look: without an identifier, with a header's word for one, or named like a sample."""
    ids = [pl.col(name) for column in layout.id_columns for name in located.get(column, ())]
    if not ids:
        return pl.int_range(cells.height, dtype=pl.UInt32, eager=True)
    headers = [name for column in layout.id_columns for name in (*located.get(column, ()), *_headers(layout, column))]
    unidentified = pl.all_horizontal([(i == "") | i.str.starts_with(" ") for i in ids])
    suspect = unidentified | pl.any_horizontal([i.is_in(headers) for i in ids])
    if layout.subject_column in located:
        suspect = suspect | pl.col(located[layout.subject_column][0]).str.head(1).is_in(_SAMPLE_STARTS)
    return cells.select(suspect=suspect)["suspect"].arg_true()


def _judge(cells: pl.DataFrame, layout: Layout, located: dict[str, tuple[str, ...]]) -> pl.Series:
    texts = [pl.col(name).str.strip_chars() for name in cells.columns]
    filled = pl.sum_horizontal([(text != "").cast(pl.UInt32) for text in texts])
    first = pl.coalesce([pl.when(text != "").then(text) for text in texts])
    why = (
        pl.when(filled == 0)
        .then(pl.lit("blank"))
        .when((filled <= _NOTE_CELLS_MOST) & first.str.contains(_NOTE))
        .then(pl.lit("note"))
        .when(first.is_in(_TOTAL))
        .then(pl.lit("total"))
    )
    repeats = [
        pl.col(printed[0]).str.strip_chars().is_in([*_headers(layout, column), printed[0]]).cast(pl.UInt32)
        for column, printed in located.items()
    ]
    if len(repeats) >= _HEADER_CELLS_LEAST:
        why = why.when(reduce(lambda a, b: a + b, repeats) >= _HEADER_CELLS_LEAST).then(pl.lit("header"))
    if layout.subject_column in located:
        subject = pl.col(located[layout.subject_column][0]).str.strip_chars()
        why = why.when(subject.str.contains(_SAMPLE)).then(pl.lit("sample"))
    return cells.select(why=why.otherwise(pl.lit(None, pl.String)))["why"]


def _headers(layout: Layout, column: str) -> tuple[str, ...]:
    return next(known.headers for known in layout.columns if known.name == column)
