"""Titles between the rows: 2017年第一季度 above the rows of that quarter becomes a column of theirs."""

import polars as pl

from producers.readers.layout import Layout


class Groups:
    """Takes the titles out of the rows of a file and carries each down to the next."""

    def __init__(self, layout: Layout) -> None:
        self._header = layout.group_titles
        self._pattern = layout.group_pattern
        self._current = ""

    def carry_down(self, cells: pl.DataFrame, above: tuple[str, ...]) -> tuple[pl.DataFrame, pl.Series]:
        """The cells with the column of the titles, and which rows are titles.

        A title is the one filled cell of its row, and where the mapping says how it reads, it reads so. Before the
        first one, what stands above the header may be the title.
        """
        texts = [pl.col(name).str.strip_chars() for name in cells.columns]
        filled = pl.sum_horizontal([(text != "").cast(pl.UInt32) for text in texts])
        text = pl.concat_str(texts)
        if self._pattern:
            text = text.str.extract(self._pattern)
        found = cells.select(title=pl.when((filled == 1) & (text != "")).then(text))["title"]
        if not self._current:
            self._current = self._from_above(above)
        titles = found.fill_null(strategy="forward").fill_null(self._current)
        if len(titles):
            self._current = titles[-1]
        name = self._header
        if name in cells.columns:  # a column of that name fills itself, the titles fill what is empty in it
            own = cells[name]
            titles = pl.select(pl.when(own.str.strip_chars() != "").then(own).otherwise(titles)).to_series()
        return cells.with_columns(titles.alias(name)), found.is_not_null()

    def _from_above(self, above: tuple[str, ...]) -> str:
        lines = pl.Series(above, dtype=pl.String)
        if self._pattern:
            lines = lines.str.extract(self._pattern).drop_nulls()
        return str(lines[-1]) if len(lines) and self._pattern else ""
