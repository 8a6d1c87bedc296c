"""Numbers of decision documents: what is one, and where one stands inside of a longer text.

A number is what the authority printed: its word, a year in brackets, a serial number (济环罚字〔2019〕第13号), or any
run of letters and digits by which a register numbers its decisions. A text without a digit beyond a year in brackets
is none: the name of the case, or a form that nobody filled in. Two numbers, or a number in the middle of a title, are
not one number either: which text is meant is for a clerk to say.
"""

import re

import polars as pl

_YEAR = "〔(?:19|20)[0-9]{2}〕"
_WORD = r"(?:\([\u4e00-\u9fff]{1,8}\)|[\u4e00-\u9fff])"
_SERIAL = r"[\u4e00-\u9fffA-Z]{0,4}?第?(?=[A-Z之-]*[0-9])[A-Z0-9]+(?:[-之][A-Z0-9]+)*号(?:[-之][0-9]+)?"
_COURT_SERIAL = r"[\u4e00-\u9fff]{1,2}[0-9]{2,4}[\u4e00-\u9fff]{1,6}[0-9]+号(?:之[一二三四五六七八九])?"
_NUMBER = re.compile(rf"(?P<word>{_WORD}*)(?P<court>{_YEAR}{_COURT_SERIAL})|(?P<words>{_WORD}*){_YEAR}{_SERIAL}")
_WORD_LONGEST = 30  # 泉城市城市管理行政执法委员会(燃气)处罚决定字 has 23 characters
_WORD_SHORTEST = 3

# Most numbers, so that they need no closer look: word, year, serial number; or a register's plain number.
_INSIDE = "[^〔〕《》:;,。号书]"
_USUAL = rf"^{_INSIDE}{{0,{_WORD_LONGEST}}}{_YEAR}{_INSIDE}{{0,20}}[0-9]{_INSIDE}{{0,6}}号?$|^[0-9A-Z./()-]{{5,}}$"


def are_numbers(documents: pl.Series) -> pl.Series:
    """Whether each normalised text is the number of one document; the empty text counts as one that is not given."""
    usual = documents.str.contains(_USUAL)
    rest = (~usual & (documents != "")).arg_true()
    if len(rest) == 0:
        return pl.Series("number", [True]).new_from_index(0, len(documents))
    odd = documents.gather(rest)
    distinct = odd.unique()
    answers = pl.DataFrame({"text": distinct, "good": [is_number(text) for text in distinct.to_list()]})
    good = odd.to_frame("text").join(answers, on="text", how="left", maintain_order="left")["good"]
    return pl.Series("number", [True]).new_from_index(0, len(documents)).scatter(rest, good)


def is_number(text: str) -> bool:
    """Whether one normalised text is the number of one document."""
    without_year = re.sub(rf"{_YEAR}|^(?:19|20)[0-9]{{2}}年?$", "", text)
    if not re.search("[0-9]", without_year):
        return False
    found = list(_NUMBER.finditer(text))
    if not found:
        return True  # a register's own way to number: nothing is known against it
    if len(found) > 1:
        return False
    before, number, after = _parts(text, found[0])
    return not re.search("[\u4e00-\u9fff]", after) and not before and len(number) <= _WORD_LONGEST + 30


def number_in_title(text: str) -> str | None:
    """The number of the one document that a longer text names; None if it names none, or several, or is a number.

    Args:
        text: normalised, as `schemas.normalise.document_numbers` spells it.
    """
    found = list(_NUMBER.finditer(text))
    if len(found) != 1 or is_number(text):
        return None
    _, number, _ = _parts(text, found[0])
    word = number.partition("〔")[0]
    return number if len(word) <= _WORD_LONGEST and (len(word) >= _WORD_SHORTEST or found[0]["court"]) else None


def _parts(text: str, found: re.Match[str]) -> tuple[str, str, str]:
    """What stands before the number, the number, and what stands after it.

    The authority's word reaches back to a sign, or to the end of the form's name (…决定书, …通知书). A court's number
    begins with its year.
    """
    start = found.start()
    if found["court"]:
        start = found.start("court")
    else:
        form = found["words"].rfind("书") + 1
        if 0 < form <= len(found["words"]) - _WORD_SHORTEST:
            start += form
    return text[:start], text[start : found.end()], text[found.end() :]
