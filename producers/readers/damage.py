"""Rows whose text was damaged before it came here: set aside, never guessed at.

Signs: characters that were lost (U+FFFD, and what becomes of it when it is decoded once more), cells longer than any
form's, and a name whose end slid out of it when a page was read by a machine: …有限公, with the 司 at the front of the
next row or nowhere.
"""

import polars as pl

from producers.readers.layout import Layout

CELL_BYTES_MAX = 1 << 20
# U+FFFD in UTF-8 is EF BF BD: two of them read as GB18030 are 锟斤拷, one read as Windows-1252 is ï¿½.
# Memory that a program never filled (CC CC ...) reads 烫烫烫.
_LOST = "\ufffd|锟斤拷|ï¿½|烫烫烫"
_CUT_NAME = r"(?:有限|责任|股份)公$"


def faults_of_text(cells: pl.DataFrame, layout: Layout) -> pl.Series | None:
    """Per row null or the fault of its text; None where no row has one.

    A cell that is too long counts in every column, lost characters only in those that the mapping reads.
    """
    located = layout.locate(cells.columns)
    longest = cells.select(pl.all().str.len_bytes().max().fill_null(0)).row(0, named=True) if cells.height else {}
    names = dict.fromkeys(name for printed in located.values() for name in printed if longest.get(name))
    faults: list[pl.Expr] = []
    for name, length in longest.items():
        if length > CELL_BYTES_MAX:
            faults.append(pl.when(pl.col(name).str.len_bytes() > CELL_BYTES_MAX).then(pl.lit("value_too_long:cell")))
    for name in names:
        lost = cells[name].str.contains(_LOST)  # one pass for all signs
        if lost.any():
            faults.append(pl.when(lost).then(pl.lit("text_damaged:lost_characters")))
    for name in located.get(layout.subject_column, ())[:1]:
        if cells[name].str.ends_with("公").any():
            cut = pl.col(name).str.contains(_CUT_NAME)
            slid = pl.col(name).str.starts_with("司") & cut.shift(1, fill_value=False)
            faults.append(pl.when(cut | slid).then(pl.lit("text_damaged:cut_name")))
    if not faults:
        return None
    found = cells.select(fault=pl.coalesce(faults))["fault"]
    return found if found.null_count() < len(found) else None


def without_long_cells(cells: pl.DataFrame) -> pl.DataFrame:
    """The cells that are too long emptied: their row is set aside, and nothing of it goes on."""
    return cells.with_columns(
        pl.when(pl.col(name).str.len_bytes() > CELL_BYTES_MAX).then(pl.lit("")).otherwise(pl.col(name)).alias(name)
        for name in cells.columns
    )
