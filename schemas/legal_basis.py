"""Provisions that a decision cites, read to instrument, edition, article, paragraph and item, in one spelling.

《广告法》第五十八条第一款第（二）项 becomes 《广告法》第58条第1款第2项; a text that cites several becomes several.
What is not plainly a list of provisions stays as it was printed: nothing is lost, and nothing is read into it.

Non-goals: whether the provision exists, and which edition was in force.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

_NUMERALS = {numeral: digit for digit, numeral in enumerate("〇一二三四五六七八九")} | {"零": 0, "两": 2}
_TENS = {"十": 10, "百": 100, "千": 1000}
_NUMBER = "[〇零一二三四五六七八九十百千两0-9]+"

_LEVELS = ("条", "款", "项", "目")  # article, paragraph, item, sub-item
_PLACE = re.compile(rf"第[（(]?({_NUMBER})[）)]?(条|款|项|目)(?:之({_NUMBER}))?")
_EDITION = r"[（(《]?((?:19|20)[0-9]{2}年?(?:修[订正改]|版|施行|公布|通过|第[一二三四五六]次修[订正])?(?:版|本)?)[）)]"
_TITLED = re.compile(rf"《([^《》]{{2,80}}?)(?:{_EDITION})?》(?:{_EDITION})?")
# Without its marks, an instrument is known by how its name ends, and only where an article or nothing more follows; a
# sentence is no name.
_ENDING = r"(?:条例|规定|办法|细则|法典|(?<![合非违方])法)"
_BEHIND = rf"(?=第[（(]?{_NUMBER}[）)]?条|$|[、，,；;。]|的?规定)"
_SENTENCE = "违反|依据|根据|依照|按照|当事人|公司|构成|行为|予以|责令|罚款|上述|本案"
_UNTITLED = re.compile(rf"((?:(?!{_SENTENCE})[\u4e00-\u9fff（）()]){{1,40}}?(?<!的){_ENDING})(?:{_EDITION})?{_BEHIND}")
_JOINING = re.compile(r"[、，,；;+/＋和及与。.]|以及|的规定|规定|的有关规定|的相关规定|等有关规定|之规定|的|了")
_LEADING = re.compile(r"依据|根据|依照|按照|违反了?|适用|参照|(?:处罚|法律)依据[:：]?|(?:予以|进行)?处罚。?$|执行。?$")
_STATE = "中华人民共和国"
_UNIT = "\x1f"


@dataclass(frozen=True, slots=True)
class Provision:
    """One provision.

    Attributes:
        instrument: name as printed, without its marks; 中华人民共和国 stays where it was printed.
        edition: year and kind of change, e.g. 2018修正; empty where none is named.
        article, paragraph, item, subitem: numbers; 0 where the citation does not go so deep.
        article_inserted: 1 for 第一百二十条之一; 0 for an article of the first text.
    """

    instrument: str
    edition: str = ""
    article: int = 0
    article_inserted: int = 0
    paragraph: int = 0
    item: int = 0
    subitem: int = 0

    @property
    def place(self) -> str:
        """第83条第1款第2项; empty where the whole instrument is cited."""
        numbers = (self.article, self.paragraph, self.item, self.subitem)
        parts = [f"第{number}{level}" for number, level in zip(numbers, _LEVELS, strict=True) if number]
        if self.article_inserted:
            parts[0] += f"之{self.article_inserted}"
        return "".join(parts)

    def __str__(self) -> str:
        edition = f"（{self.edition}）" if self.edition else ""
        return f"《{self.instrument}》{edition}{self.place}"


def parse_legal_basis(text: str) -> list[Provision] | None:
    """All provisions that a text cites, in its order; None where something in it is not understood.

    Words that only join or lead (依据, 违反, 、, 的规定) are passed over.
    """
    rest = re.sub(r"\s+", "", text)
    found: list[Provision] = []
    instrument: Provision | None = None
    last: Provision | None = None
    cited = True  # whether the instrument at hand has been cited already
    while rest:
        if match := _places(rest):
            last = None if instrument is None else _at(instrument, last, list(_levels(match[0])))
            if last is None:
                return None
            found.append(last)
            cited = True
        elif not (match := _LEADING.match(rest) or _JOINING.match(rest)):
            match = _TITLED.match(rest) or _UNTITLED.match(rest)
            if match is None:
                return None
            if instrument is not None and not cited:
                found.append(instrument)
            instrument, last, cited = _instrument(match), None, False
        rest = rest[match.end() :]
    if instrument is not None and not cited:
        found.append(instrument)
    return list(dict.fromkeys(found)) or None


def spell(text: str) -> list[str]:
    """A citation in the one spelling, a text for each provision; the text itself where it is not understood."""
    provisions = parse_legal_basis(text)
    return [text] if provisions is None else [str(provision) for provision in provisions]


def spell_lists(column: pl.Series) -> pl.Series:
    """`spell` for a column of lists of citations; doubles are dropped. Equal lists are read once."""
    lengths = column.list.len()
    if not lengths.sum():
        return column
    joined = column.list.first().fill_null("") if lengths.max() == 1 else column.list.join(_UNIT)
    coded = joined.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).dictionary_encode()
    lists = [
        [text for text in texts.split(_UNIT) if text] for texts in pl.Series(pl.from_arrow(coded.dictionary)).to_list()
    ]
    spelled = [list(dict.fromkeys(each for text in texts for each in spell(text))) for texts in lists]
    if spelled == lists:
        return column
    return pl.Series(column.name, spelled, dtype=pl.List(pl.String)).gather(pl.Series(pl.from_arrow(coded.indices)))


def for_comparison(text: pl.Expr) -> pl.Expr:
    """A provision without 中华人民共和国, which people print or leave out as they please."""
    return text.str.replace(f"《{_STATE}", "《", literal=True)


def in_words(spelled: Iterable[str]) -> list[str]:
    """Provisions for people: those of one instrument that follow each other behind one name.

    《广告法》第16条 and 《广告法》第58条 are shown as 《广告法》第16条、第58条.
    """
    shown: list[tuple[str, list[str]]] = []
    for text in spelled:
        name, mark, place = _split(text)
        if shown and mark and place and shown[-1][0] == name and shown[-1][1]:
            shown[-1][1].append(place)
        else:
            shown.append((name, [place] if place else []))
    return [name + "、".join(places) for name, places in shown]


def _split(text: str) -> tuple[str, bool, str]:
    """Instrument with its edition, whether it is in our spelling, and the place in it."""
    found = re.fullmatch(r"(《[^《》]+》(?:（[^（）]+）)?)((?:第[0-9]+[条款项目](?:之[0-9]+)?)*)", text)
    return (text, False, "") if found is None else (found[1], True, found[2])


def _instrument(match: re.Match[str]) -> Provision:
    name, *editions = match.groups()
    edition = next((each for each in editions if each), "")
    return Provision(name.strip(), edition.removesuffix("版").replace("年", ""))


def _places(rest: str) -> re.Match[str] | None:
    """第八十三条第一款第（二）项 at the beginning of the text, if it is no range (第四条至第六条)."""
    return re.match(rf"(?:{_PLACE.pattern})+(?![第至到—~-])", rest)


def _levels(text: str) -> Iterator[tuple[str, int, int]]:
    for number, level, inserted in _PLACE.findall(text):
        yield level, _number(number), _number(inserted) if inserted else 0


def _at(instrument: Provision, last: Provision | None, numbers: Sequence[tuple[str, int, int]]) -> Provision | None:
    """The provision at these numbers; what they leave out above (、第三项) is that of the provision before.

    Args:
        numbers: level, number, number behind 之 (0 without).
    """
    first = _LEVELS.index(numbers[0][0])
    if first > 0 and last is None:
        return None
    above = last or instrument
    values = [above.article, above.paragraph, above.item, above.subitem]
    values = values[:first] + [0] * (len(_LEVELS) - first)
    inserted = above.article_inserted if first > 0 else 0
    depth = first - 1
    for level, number, behind in numbers:
        place = _LEVELS.index(level)
        if place <= depth or number == 0 or (behind and place > 0):
            return None
        values[place], depth = number, place
        inserted = behind or inserted
    article, paragraph, item, subitem = values
    return Provision(instrument.instrument, instrument.edition, article, inserted, paragraph, item, subitem)


def _number(text: str) -> int:
    """一百零五 = 105, 十二 = 12, 118 = 118; 0 where it is no number."""
    if text.isdigit() and text.isascii():
        return int(text)
    total = digit = 0
    for character in text:
        if character in _TENS:
            total += (digit or 1) * _TENS[character]
            digit = 0
        elif character in _NUMERALS:
            digit = digit * 10 + _NUMERALS[character] if digit else _NUMERALS[character]
        else:
            return 0
    return total + digit
