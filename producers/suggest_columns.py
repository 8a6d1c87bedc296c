"""What stands in the columns of a file, in shares and counts: the evidence on which a mapping is proposed. Pure.

Non-goal: keeping values. Of all that a file holds only words of a code list leave this module, see `words_of`.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from producers.formats import DATE_STYLES, fold, parse_amounts, parse_dates, tidy
from producers.formats.lists import split_list
from schemas.persons import screen
from schemas.schemes import SCHEMES, SubjectTables, read_identifier

_DISTINCT_READ = 300  # identifiers are read one by one: so many of a column are enough to know it
_WORDS_MOST = 30
_WORD_LONGEST = 12
_DOCUMENT = re.compile(r"[〔\[【(（﹝]\s*(?:19|20)\d\d\s*[〕\]】)）﹞].*\d|字\s*第?.*\d+\s*号|^\d{3}(?:-\d+){2,}$")
_AUTHORITY = re.compile(
    r"(?:局|委|委员会|厅|院|政府|处|支队|大队|总队|法院|税务所|分局|部|办公室|中心|署|关)(?:[（(].{1,10}[）)])?$"
)
_COMPANY = re.compile(
    r"(?:公司|厂|店|企业|合作社|商行|中心|集团|部|社|院|场|所|馆|LTDA|LTD|S\.? ?A\.?|INC|CORP|GMBH)\.?$", re.IGNORECASE
)
# Two or three characters that begin with one of the hundred most frequent family names may be somebody's name.
_LIKE_A_PERSON = re.compile(
    "^[王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田"
    "任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文][\u4e00-\u9fff]{1,2}$"
)


@dataclass(frozen=True)
class Look:
    """What stands in one column. All shares are of the filled cells, from 0 to 1.

    Attributes:
        header: as printed.
        filled: cells with something in them, of `rows`.
        identifiers: scheme -> share of numbers that are good ones of that scheme (those of `?`: of any).
        dates: style -> share that can be read as dates.
        amounts: share that can be read as amounts; `unit_said`: of them, those that name their unit.
        personal: share in which a personal number stands.
        documents, authorities, companies: share that looks like a document number, an authority, an organisation.
        regions, years, links, laws: share of six-digit region codes, years, web addresses, texts that cite 《a law》.
        longest: characters of the longest cell; `digits`: share that holds a digit.
        words: texts of the cells that may be shown, with how many cells hold each: see `words_of`.
        hidden_words: whether there were few words and some of them may not be shown.
    """

    header: str
    rows: int
    filled: int
    distinct: int
    identifiers: Mapping[str, float]
    dates: Mapping[str, float]
    amounts: float
    unit_said: float
    personal: float
    documents: float
    authorities: float
    companies: float
    regions: float
    years: float
    links: float
    laws: float
    longest: int
    digits: float
    words: Mapping[str, int]
    hidden_words: bool


def look(cells: pl.Series, tables: SubjectTables) -> Look:
    """Look at one column, whose name is its header."""
    texts = tidy(cells)
    filled = texts.filter(texts != "")
    counts = filled.value_counts()
    distinct = counts[filled.name]
    number = len(filled)

    def share(flags: pl.Series) -> float:
        """Share of the filled cells, from flags on the distinct ones."""
        return int(str(counts["count"].filter(flags.fill_null(False)).sum())) / number if number else 0.0

    dates: dict[str, float] = {style: share(~_unread_dates(distinct, style)) for style in DATE_STYLES} if number else {}
    amounts = parse_amounts(distinct)
    words, hidden = words_of(filled)
    return Look(
        header=cells.name,
        rows=len(cells),
        filled=number,
        distinct=len(distinct),
        identifiers=_identifiers(counts, tables),
        dates=dates,
        amounts=share(~amounts.unreadable),
        unit_said=share(distinct.str.contains("元|圆|人民币|RMB|CNY")),
        personal=share(screen(pl.DataFrame({"cell": distinct}), ["cell"], []).is_not_null()),
        documents=share(_matches(distinct, _DOCUMENT)),
        authorities=share(_matches(distinct, _AUTHORITY)),
        companies=share(_matches(distinct, _COMPANY)),
        regions=share(distinct.str.contains(r"^\d{6}$")),
        years=share(distinct.str.contains(r"^(?:19|20)\d\d(?:年|年度)?$")),
        links=share(distinct.str.contains(r"^https?://")),
        laws=share(distinct.str.contains("《.+》")),
        longest=int(str(distinct.str.len_chars().max() or 0)),
        digits=share(distinct.str.contains(r"\d")),
        words=words,
        hidden_words=hidden,
    )


def words_of(filled: pl.Series) -> tuple[dict[str, int], bool]:
    """The few different words of a column that is filled from a code list, and whether some must not be shown.

    A cell with several is taken apart. Shown is only what is short, holds no digit, passes the guard, looks like no
    name of an organisation or a person and stands in at least two cells: nothing that tells one row from the others.
    """
    found: Counter[str] = Counter()
    for text, count in filled.value_counts().iter_rows():
        for word in split_list(text):
            found[word] += count
    if not found or len(found) > _WORDS_MOST:
        return {}, False
    personal = screen(pl.DataFrame({"word": list(found)}), ["word"], [])
    shown = {
        word: count
        for (word, count), kind in zip(found.items(), personal, strict=True)
        if count > 1
        and len(word) <= _WORD_LONGEST
        and kind is None
        and not re.search(r"\d", word)
        and not _COMPANY.search(word)
        and not _LIKE_A_PERSON.search(word)
        and fold(word)
    }
    return dict(sorted(shown.items(), key=lambda item: -item[1])), len(shown) < len(found)


def _identifiers(counts: pl.DataFrame, tables: SubjectTables) -> dict[str, float]:
    """Scheme -> share of the cells, as if the column were of that scheme; `?` counts what nobody said the kind of."""
    sample = counts.head(_DISTINCT_READ)
    total = int(str(sample["count"].sum()))
    numbers = [(text, count) for text, count in sample.iter_rows() if len(text) <= 40 and re.search(r"\d", text)]
    shares: dict[str, float] = {}
    for scheme in ("?", *SCHEMES):
        good = sum(count for number, count in numbers if read_identifier(f"{scheme}:{number}", tables).state == "good")
        shares[scheme] = good / total if total else 0.0
    return shares


def _unread_dates(distinct: pl.Series, style: str) -> pl.Series:
    known = next(one for one in DATE_STYLES if one == style)
    return parse_dates(distinct, known, unlimited=True).unreadable


def _matches(distinct: pl.Series, pattern: re.Pattern[str]) -> pl.Series:
    return pl.Series([pattern.search(text) is not None for text in distinct], dtype=pl.Boolean)
