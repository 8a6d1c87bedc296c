"""Cells that hold several values: kinds of a decision, provisions that it cites."""

import re
from collections.abc import Callable

_NUMBER = "[零〇一二三四五六七八九十百千两0-9]+"
_ARTICLE = rf"第\s*[（(]?{_NUMBER}[)）]?\s*(?:条|款|项|目)(?:之{_NUMBER})?"
_ARTICLES = rf"(?:\s*(?:[、和及+]|以及)?\s*{_ARTICLE})*"
_TITLED = re.compile(rf"《[^《》]{{2,80}}》(?:[（(][^（）()]{{1,20}}[)）])?{_ARTICLES}")
_UNTITLED = re.compile(
    rf"(?:依据|根据|依照|按照|违反|了)?((?:[\u4e00-\u9fff]{{2,40}}?(?:条例|规定|办法|细则|法))(?:[（(][^（）()]{{1,20}}[)）])?{_ARTICLES})"
)


def split_list(text: str) -> list[str]:
    """Values joined by ; 、 , / + or a line break, blanks left out, first sighting kept."""
    parts = (part.strip() for part in re.split(r"[;；、,，/+|\r\n]+", text))
    return list(dict.fromkeys(part for part in parts if part))


def split_provisions(text: str) -> list[str]:
    """The laws that a text cites, each with its articles: 《行政处罚法》第二十八条.

    Only what is plainly a provision is kept, so that no sentence about the case, and no name in it, comes along.
    """
    joined = re.sub(r"\s+", "", text)
    found = _TITLED.findall(joined) or [match[1] for match in _UNTITLED.finditer(joined)]
    return list(dict.fromkeys(found))


SPLITTERS: dict[str, Callable[[str], list[str]]] = {
    "list": split_list,
    "provisions": split_provisions,
}
