"""Dates as departments write them, read without guessing.

01/06/2018 is not read unless the mapping says that the day stands first; a year and a month alone are no date.
"""

import re
from datetime import UTC, date, datetime
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import polars as pl

from producers.formats.parsed import Parsed, by_distinct

DateStyle = Literal["ymd", "dmy", "mdy", "spanish", "english", "year"]
DATE_STYLES: tuple[DateStyle, ...] = get_args(DateStyle)

_BLANK = (
    "0000-00-00",
    "0001-01-01",
    "1899-12-30",
    "1899-12-31",
    "1900-01-00",
    "1900-01-01",
)  # a database's "none"
_UNLIMITED = (
    "长期",
    "永久",
    "无限期",
    "长期有效",
    "永久有效",
    "长久",
    "无固定期限",
    "permanent",
    "Permanent",
    "indefinite",
    "Indefinite",
    "ongoing",
    "Ongoing",
)
_UNLIMITED_FROM = date(2099, 12, 31)
_EARLIEST = date(1800, 1, 1)
_SERIAL_EPOCH = date(1899, 12, 30)  # Excel counts days from here, as long as its false 29 February 1900 lies behind
_HERE = "Asia/Shanghai"

_CHINESE_DIGITS = {c: i for i, c in enumerate("〇一二三四五六七八九")} | {
    "零": 0,
    "○": 0,
    "O": 0,
}
_SPANISH_MONTHS = {
    name: month
    for month, name in enumerate(
        [
            "enero",
            "febrero",
            "marzo",
            "abril",
            "mayo",
            "junio",
            "julio",
            "agosto",
            "septiembre",
            "octubre",
            "noviembre",
            "diciembre",
        ],
        start=1,
    )
} | {"setiembre": 9}

_ENGLISH_MONTHS = {
    name[:length]: month
    for month, name in enumerate(
        [
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ],
        start=1,
    )
    for length in (3, len(name))
} | {"sept": 9}


def parse_dates(texts: pl.Series, style: DateStyle = "ymd", *, unlimited: bool = False) -> Parsed:
    """Dates of a column of tidied text.

    Args:
        style: `ymd` for every spelling with the year first, Excel's day numbers and epoch stamps; `dmy` also reads the
            day first, `mdy` the month; `spanish` finds "1 de junio de 2018" in a text, `english` reads "Jul 03, 2024"
            and "3 July 2024"; `year` takes a year for its last day.
        unlimited: a word or date for "without end" (长期, 2099-12-31 and later) is no date instead of unreadable.
    """
    return by_distinct(texts, lambda distinct: _read_dates(distinct, style, unlimited))


def parse_timestamps(texts: pl.Series) -> Parsed:
    """Moments of a column of tidied text, as Datetime(ms) in UTC; without a zone it is China's."""
    return by_distinct(texts, _read_timestamps)


def _read_dates(texts: pl.Series, style: DateStyle, unlimited: bool) -> Parsed:
    frame = pl.DataFrame({"text": texts.str.normalize("NFKC").str.strip_chars()})
    readings = [_year_first(r"\d{4}"), _compact(), _serial(), _epoch()]
    if style == "ymd":
        readings.append(_year_first(r"\d{2}"))
    if style == "dmy":
        readings.append(_day_first())
    if style == "mdy":
        readings.append(_month_first())
    if style == "spanish":
        readings.append(_spanish())
    if style == "english":
        readings += _english()
    if style == "year":
        readings.append(_last_day())
    read = frame.select("text", date=pl.coalesce(readings))
    rest = read.with_row_index("at").filter(
        pl.col("date").is_null() | pl.col("text").str.contains(r"\d[Zz]$|[+-]\d\d:?\d\d$")
    )
    if rest.height:
        dates = [_read_alone(text) for text in rest["text"]]
        known = [i for i, found in enumerate(dates) if found is not None]
        read = read.with_columns(
            read["date"].scatter(
                rest["at"].gather(known),
                pl.Series([dates[i] for i in known], dtype=pl.Date),
            )
        )
    text, day = pl.col("text"), pl.col("date")
    blank = (text == "") | text.str.head(10).is_in(_BLANK) | day.cast(pl.String).is_in(_BLANK).fill_null(False)
    endless = (text.is_in(_UNLIMITED) | (day >= _UNLIMITED_FROM)).fill_null(False)
    good = (day >= _EARLIEST).fill_null(False) & ~endless & ~blank
    judged = read.select(
        value=pl.when(good).then(day),
        unreadable=~(good | blank | (endless if unlimited else pl.lit(False))),
    )
    return Parsed(judged["value"], judged["unreadable"])


def _year_first(year: str) -> pl.Expr:
    """2016/5/1, 2016-05-01 00:00:00.0, 2016年5月1日, 2016.5.1, 16/5/1."""
    parts = pl.col("text").str.extract_groups(
        rf"^({year})\s*[-/.年]\s*(\d{{1,2}})\s*[-/.月]\s*(\d{{1,2}})\s*日?(?:[T\s]*\d{{1,2}}[:时]\d{{1,2}}.*)?$"
    )
    return _date(parts.struct.field("1"), parts.struct.field("2"), parts.struct.field("3"))


def _compact() -> pl.Expr:
    """20160501 and 20160501120000."""
    parts = pl.col("text").str.extract_groups(r"^((?:18|19|20|21|99)\d\d)(\d\d)(\d\d)(?:\d{6})?(?:\.0)?$")
    return _date(parts.struct.field("1"), parts.struct.field("2"), parts.struct.field("3"))


def _day_first() -> pl.Expr:
    """01/06/2018 and 14-08-19, where the mapping says so; of several dates the first."""
    parts = pl.col("text").str.extract_groups(r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})(?:\D.*)?$")
    return _date(parts.struct.field("3"), parts.struct.field("2"), parts.struct.field("1"))


def _month_first() -> pl.Expr:
    """08/15/2011, where the mapping says so."""
    parts = pl.col("text").str.extract_groups(r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})$")
    return _date(parts.struct.field("3"), parts.struct.field("1"), parts.struct.field("2"))


def _english() -> list[pl.Expr]:
    """Jul 03, 2024; July 3 2024; 3 July 2024."""
    text = pl.col("text").str.to_lowercase()
    month_first = text.str.extract_groups(r"^(?P<m>[a-z]{3,9})\.?\s+(?P<d>\d{1,2}),?\s+(?P<y>\d{4})$")
    day_first = text.str.extract_groups(r"^(?P<d>\d{1,2})\s+(?P<m>[a-z]{3,9})\.?,?\s+(?P<y>\d{4})$")
    return [
        _date(
            parts.struct.field("y"),
            parts.struct.field("m")
            .replace_strict(_ENGLISH_MONTHS, default=None, return_dtype=pl.Int64)
            .cast(pl.String),
            parts.struct.field("d"),
        )
        for parts in (month_first, day_first)
    ]


def _spanish() -> pl.Expr:
    """The first "1 de junio de 2018", "16 junio 2017" or "18 de junio del 2018" in a text."""
    parts = (
        pl.col("text").str.to_lowercase().str.extract_groups(r"(\d{1,2})\s+(?:de\s+)?([a-z]+)\s+(?:del?\s+)?(\d{4})")
    )
    month = parts.struct.field("2").replace_strict(_SPANISH_MONTHS, default=None, return_dtype=pl.Int64)
    return _date(parts.struct.field("3"), month.cast(pl.String), parts.struct.field("1"))


def _last_day() -> pl.Expr:
    """2016 and 2016年度."""
    year = pl.col("text").str.extract(r"^((?:19|20)\d\d)(?:年|年度)?$")
    return _date(year, pl.lit("12"), pl.lit("31"))


def _serial() -> pl.Expr:
    """Excel's number of a day: 42491 = 2016-05-01. Five digits only, so that no year and no month is taken for one."""
    days = pl.col("text").str.extract(r"^([2-7]\d{4})(?:\.\d+)?$").cast(pl.Int32)
    return pl.lit(_SERIAL_EPOCH) + pl.duration(days=days)


def _epoch() -> pl.Expr:
    """Milliseconds or seconds since 1970, as the day in China."""
    number = pl.col("text").str.extract(r"^(-?\d{12,13}|\d{9,10})$").cast(pl.Int64)
    milliseconds = pl.when(number.abs() >= 100_000_000_000).then(number).otherwise(number * 1000)
    return pl.from_epoch(milliseconds, time_unit="ms").dt.replace_time_zone("UTC").dt.convert_time_zone(_HERE).dt.date()


def _date(year: pl.Expr, month: pl.Expr, day: pl.Expr) -> pl.Expr:
    century = pl.when(year >= "50").then(pl.lit("19")).otherwise(pl.lit("20"))
    full_year = pl.when(year.str.len_bytes() == 2).then(century + year).otherwise(year)
    return pl.concat_str(full_year, month.str.zfill(2), day.str.zfill(2)).str.to_date("%Y%m%d", strict=False)


def _read_alone(text: str) -> date | None:
    """The rare spellings, one by one: a zone that moves the day, and Chinese numerals."""
    if re.search(r"\d[Zz]$|[+-]\d\d:?\d\d$", text) and "T" in text.upper().replace(" ", "T"):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        return moment.astimezone(ZoneInfo(_HERE)).date()
    if found := re.fullmatch(
        r"([〇零○O一二三四五六七八九]{4})年([一二三四五六七八九十]{1,2})月([一二三四五六七八九十]{1,3})日",
        text,
    ):
        year = int("".join(str(_CHINESE_DIGITS[c]) for c in found[1]))
        try:
            return date(year, _below_hundred(found[2]), _below_hundred(found[3]))
        except ValueError:
            return None
    return None


def _below_hundred(text: str) -> int:
    """十二 = 12, 三十一 = 31, 五 = 5."""
    if "十" not in text:
        return _CHINESE_DIGITS[text] if len(text) == 1 else 0
    tens, _, ones = text.partition("十")
    return (_CHINESE_DIGITS[tens] if tens else 1) * 10 + (_CHINESE_DIGITS[ones] if ones else 0)


def _read_timestamps(texts: pl.Series) -> Parsed:
    text = texts.str.normalize("NFKC").str.strip_chars()
    zone = ZoneInfo(_HERE)
    days = _read_dates(text, "ymd", unlimited=False)
    moments: list[int | None] = []
    for written, day in zip(text, days.values, strict=True):
        moments.append(_moment_ms(written, day, zone))
    values = pl.Series(moments, dtype=pl.Int64).cast(pl.Datetime("ms"))
    return Parsed(values, values.is_null() & ~(days.values.is_null() & ~days.unreadable))


def _moment_ms(text: str, day: date | None, zone: ZoneInfo) -> int | None:
    if re.fullmatch(r"\d{12,13}", text):
        return int(text)
    if re.fullmatch(r"\d{9,10}", text):
        return int(text) * 1000
    if day is None:
        return None
    if re.search(r"\d[Zz]$|[+-]\d\d:?\d\d$", text) and ":" in text:
        return _milliseconds(datetime.fromisoformat(text))
    clock = re.search(r"(?:[T\s日])(\d{1,2})[:时](\d{1,2})(?:[:分](\d{1,2})(?:\.(\d{1,6}))?)?", text) or re.fullmatch(
        r"\d{8}(\d\d)(\d\d)(\d\d)()", text
    )
    if clock is None:
        return _milliseconds(datetime(day.year, day.month, day.day, tzinfo=zone))
    hour, minute, second = (int(part or 0) for part in clock.groups()[:3])
    if hour > 23 or minute > 59 or second > 59:
        return None
    micro = int((clock.groups()[3] or "0").ljust(6, "0"))
    return _milliseconds(datetime(day.year, day.month, day.day, hour, minute, second, micro, tzinfo=zone))


def _milliseconds(moment: datetime) -> int:
    return (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // _MILLISECOND


_MILLISECOND = datetime(1970, 1, 1, microsecond=1000) - datetime(1970, 1, 1)
