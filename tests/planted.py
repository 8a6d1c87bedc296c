"""Good penalties of made-up organisations, with made-up personal numbers planted into every column and corner."""

import csv
import gzip
import io
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import openpyxl
import polars as pl
import synthetic_persons as made

from producers.simulate.acts import Province, penalty
from producers.simulate.events import generate_events
from producers.simulate.send import department_stream
from schemas import codec, reference
from schemas.avro import CREDIT_EVENT
from schemas.settings import Settings
from schemas.uscc import is_org_code, is_registration_number

MAPPING = "penalty-2018"
_CODES = {
    "行政相对人名称": "CF_XDR_MC",
    "行政相对人类别": "CF_XDR_LB",
    "行政相对人代码_1（统一社会信用代码）": "CF_XDR_SHXYM",
    "行政相对人代码_2（工商注册号）": "CF_XDR_GSZC",
    "行政相对人代码_3（组织机构代码）": "CF_XDR_ZZJG",
    "行政相对人代码_4（税务登记号）": "CF_XDR_SWDJ",
    "法定代表人": "CF_FRDB",
    "法定代表人证件号码": "CF_FR_ZJHM",
    "证件号码": "CF_XDR_ZJHM",
    "行政处罚决定书文号": "CF_WSH",
    "违法行为类型": "CF_WFXW",
    "违法事实": "CF_SY",
    "处罚类别": "CF_CFLB",
    "处罚依据": "CF_YJ",
    "处罚内容": "CF_NR",
    "罚款金额（万元）": "CF_NR_FK",
    "处罚决定日期": "CF_JDRQ",
    "处罚机关": "CF_CFJG",
    "处罚机关统一社会信用代码": "CF_CFJGDM",
    "地方编码": "DFBM",
    "当前状态": "CF_ZT",
    "备注": "BZ",
    "不认识的一列": "UNKNOWN_1",
}
COLUMNS = tuple(_CODES)
_CODE_COLUMNS = {name for name in COLUMNS if "代码" in name or name == "地方编码"}
KEPT = _CODE_COLUMNS - {"地方编码"} | {"行政相对人名称", "行政处罚决定书文号", "处罚机关", "证件号码", "当前状态"}
"""Columns whose cells would become part of an event: a row with a number there is refused whole."""
_IN_AMOUNTS = (made.resident_id, made.resident_id_15)  # eleven digits may be an amount


@dataclass(frozen=True)
class Number:
    """A personal number, and the words in which it was planted: the disguise alone."""

    number: str
    as_sent: str


class Numbers:
    """Draws numbers in disguise, and remembers each that it has drawn."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.drawn: list[Number] = []

    def draw(self, *, code: bool = False, plain: bool = False) -> str:
        """A number in disguise; one that a column of codes or amounts may hold, where asked for.

        Left out of codes is what no form tells apart: an old identity number that is a registration number as well,
        its check digit included, and a passport that is an organisation code; in a column of just that they stay.
        """
        while True:
            number, words = self._draw(code, plain)
            if not (code and (is_registration_number(number) or is_org_code(number))):
                self.drawn.append(Number(number, words))
                return words

    def _draw(self, code: bool, plain: bool) -> tuple[str, str]:
        dice = self.dice
        kind = 0 if plain else dice.randrange(10)
        if plain:
            number = dice.choice(_IN_AMOUNTS)(dice).replace("X", "0")
            words = number
        elif kind < 6:
            maker = dice.choice(made.MAKERS)
            number = maker(dice)
            names = [name for name in made.PLAIN if not (name == "after a letter" and (code or maker in made.WORDS))]
            words = number if code and maker in made.WORDS else made.PLAIN[dice.choice(names)](number)
        elif kind < 9:
            number = dice.choice(made.SPREAD_MAKERS)(dice)
            words = made.SPREAD[dice.choice(list(made.SPREAD))](number)
        else:
            number = dice.choice(made.MASKED_MAKERS)(dice)
            words = made.MASKED[dice.choice(list(made.MASKED))](number)
        return number, words

    def in_words(self) -> str:
        """A number within a text."""
        return self.dice.choice(made.WRAPS).format(self.draw())

    def cell(self, column: str, there: str) -> str:
        """What a cell of this column becomes."""
        if column in _CODE_COLUMNS:
            return self.draw(code=True)
        if "金额" in column:
            return self.draw(plain=True)
        return self.dice.choice((self.in_words, lambda: there + self.draw(), self.draw))()


def good_rows(seed: int, count: int, today: date, department: str = "market") -> Iterator[dict[str, str]]:
    """Rows that would be recorded."""
    dice = random.Random(seed)
    province = Province(reference.load(None), seed, count, today)
    for number in range(count):
        act = penalty(province, department, number, dice)
        row = dict.fromkeys(COLUMNS, "")
        row["行政相对人名称"] = act.body.name
        row["行政相对人类别"] = "个体工商户" if act.body.prefix == "92" else "法人及非法人组织"
        row["行政相对人代码_1（统一社会信用代码）"] = act.body.code
        row["行政处罚决定书文号"] = act.number
        row["处罚类别"] = "；".join(act.classes)
        row["处罚依据"] = "；".join(act.bases)
        row["处罚内容"] = f"处以{'、'.join(act.classes)}"
        row["处罚决定日期"] = act.decided_on.isoformat()
        row["处罚机关"] = act.authority.name
        row["处罚机关统一社会信用代码"] = act.authority.code
        row["地方编码"] = act.authority.region
        yield row


@dataclass(frozen=True)
class PlantedFile:
    """A file to be checked and published.

    Attributes:
        rows: of data. refused_at_least: those with a number in a kept column.
    """

    path: Path
    rows: int
    refused_at_least: int


Row = dict[str, str]
Writer = Callable[[Path, Sequence[Row], Numbers], None]


def write_files(folder: Path, numbers: Numbers, count: int, today: date) -> list[PlantedFile]:
    """Files of every format; together they hold `count` planted cells, and some more in titles, headers and names."""
    share = -(-count // len(WRITERS))
    written = []
    for place, (name, write) in enumerate(WRITERS.items()):
        rows: list[Row] = []
        refused = 0
        for number, row in enumerate(good_rows(place, share, today)):
            column = COLUMNS[number % len(COLUMNS)]
            rows.append(row | {column: numbers.cell(column, row[column])})
            refused += column in KEPT
        write(folder / name, rows, numbers)
        written.append(PlantedFile(folder / name, len(rows), refused))
    return written


def _table(rows: Sequence[Row], numbers: Numbers) -> list[list[str]]:
    """With two title rows above, and a header cell that nobody knows."""
    title = [f"行政处罚信息表（{numbers.in_words()}）", *[""] * len(COLUMNS)]
    maker = ["填报人：", numbers.draw(), *[""] * (len(COLUMNS) - 1)]
    header = [*COLUMNS, f"联系方式{numbers.draw()}"]
    return [title, maker, header, *([*row.values(), ""] for row in rows)]


def _csv(encoding: str, separator: str = ",") -> Writer:
    def write(path: Path, rows: Sequence[Row], numbers: Numbers) -> None:
        text = io.StringIO()
        csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL).writerows(_table(rows, numbers))
        content = text.getvalue().encode(encoding)
        path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)

    return write


def _xlsx(path: Path, rows: Sequence[Row], numbers: Numbers) -> None:
    """Sheets are called after numbers, some cells are numbers of Excel, one is hidden, the properties hold one."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = made.resident_id(numbers.dice)
    numbers.drawn.append(Number(sheet.title, sheet.title))
    for cells in _table(rows, numbers):
        # Without the zeros that an amount does not begin with, nothing tells of the number.
        sheet.append([int(cell) if re.fullmatch("[1-9][0-9]{10,}", cell) else cell for cell in cells])
    notes = book.create_sheet("说明")
    notes.append([numbers.in_words()])
    hidden = book.create_sheet(numbers.draw(plain=True))
    hidden.sheet_state = "hidden"
    for cells in _table(rows[:1], numbers):
        hidden.append(cells)
    book.properties.creator = numbers.in_words()
    book.save(path)


def _coded(row: Row) -> dict[str, str]:
    return {_CODES[name]: cell for name, cell in row.items()}


def _json(path: Path, rows: Sequence[Row], numbers: Numbers) -> None:
    """Rows below other members."""
    body = {"code": 0, "contact": numbers.draw(), numbers.draw(): "", "data": {"list": [_coded(row) for row in rows]}}
    path.write_text(json.dumps(body, ensure_ascii=False), "utf-8")


def _ndjson(path: Path, rows: Sequence[Row], numbers: Numbers) -> None:
    lines = [json.dumps(_coded(row) | ({"contact": numbers.draw()} if not n else {})) for n, row in enumerate(rows)]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _xml(path: Path, rows: Sequence[Row], numbers: Numbers) -> None:
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<DATA contact={quoteattr(numbers.draw())}>"]
    lines.append(f"<!-- {escape(numbers.draw().replace('--', '- '))} -->")
    for row in rows:
        lines.append("<ROW>" + "".join(f"<{n}>{escape(cell)}</{n}>" for n, cell in _coded(row).items()) + "</ROW>")
    path.write_text("\n".join([*lines, "</DATA>"]), "utf-8")


WRITERS: dict[str, Writer] = {
    "bom.csv": _csv("utf-8-sig"),
    "gb18030.csv": _csv("gb18030"),
    "packed.csv.gz": _csv("utf-8"),
    "tabs.txt": _csv("utf-8", "\t"),
    "book.xlsx": _xlsx,
    "nested.json": _json,
    "lines.ndjson": _ndjson,
    "rows.xml": _xml,
}


def broken_files(folder: Path, numbers: Numbers) -> list[Path]:
    """Files that no command can use: what it says about them must not repeat what stands in them."""
    draw, plain = numbers.draw, lambda: numbers.draw(plain=True)
    contents = {
        "header.csv": f"行政相对人名称,行政处罚决定书文号,{draw()},{plain()}\na,b,{draw()},\n",
        "no-header.csv": f"{plain()},{plain()}\n{plain()},{plain()}\n",
        "quote.csv": ",".join(COLUMNS) + f'\n"{draw()},"a\n{plain()},b\n',
        "bytes.csv": ",".join(COLUMNS) + f"\n{plain()}\n",
        "cut.json": json.dumps({"data": [{"CF_XDR_MC": plain(), "CF_WSH": plain()}]})[:-4],
        "value.json": json.dumps(plain()),
        "key.json": json.dumps({plain(): {plain(): [{plain(): plain(), "CF_WSH": "1"}]}}),
        "bad.ndjson": json.dumps({"CF_XDR_MC": plain(), "CF_WSH": ""}) + "\n" + plain() + " {" + "\n",
        "cut.xml": f"<A><B><CF_XDR_MC>{plain()}</CF_XDR_MC><CF_WSH>{plain()}</CF_WSH></B><{'c' + plain()}",
        "entity.xml": f'<!DOCTYPE A [<!ENTITY e "{plain()}">]><A><B><CF_XDR_MC>&e;</CF_XDR_MC></B></A>',
        "fake.xlsx": plain(),
        f"strange.{plain()}": plain(),
    }
    paths = []
    for name, content in contents.items():
        path = folder / name
        path.write_bytes(content.encode("utf-8", "surrogatepass") + (b"\xff\xfe\x81" if name == "bytes.csv" else b""))
        paths.append(path)
    return paths


# -- events of an adapter that is not ours --------------------------------------------------------------------------

_TEXT_FIELDS = (
    "subject_name",
    "authority_name",
    "document_number",
    "item",
    "grade",
    "state",
    "change_document_number",
    "source_url",
    "submission",
    "mapping",
    "category",
    "operation",
    "subject_kind",
    "event_id",
)
_LIST_FIELDS = ("classes", "legal_bases", "faults")
_CODE_FIELDS = ("subject_ids", "authority_code", "region")
_AMOUNT_FIELDS = ("fine_fen", "confiscated_fen", "amount_fen")
FIELDS = (*_TEXT_FIELDS, *_LIST_FIELDS, *_CODE_FIELDS, *_AMOUNT_FIELDS)
_SCHEMES = ("CN-USCC:", "?:", "CN-TAX:", "MX-RFC:", "BR-CNPJ:", "XX-ANY:", "")
_BESIDE = 3  # of an event's key, of a header, and of bytes that are no event


@dataclass
class HostileMessages:
    """What goes straight onto a department's topic.

    Attributes:
        events: framed events, each with a number in one field. broken: bytes that are no event and hold one.
        keys, headers: of further events that are good, but for these.
    """

    events: list[bytes] = field(default_factory=list)
    broken: list[bytes] = field(default_factory=list)
    good: list[bytes] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    headers: list[list[tuple[str, bytes]]] = field(default_factory=list)


def hostile_messages(settings: Settings, numbers: Numbers, department: str, count: int) -> HostileMessages:
    """Events of the department as a program may send them that knows nothing of the guard."""
    now = datetime.now(UTC)
    stream = department_stream(settings, department, 77, now)
    submission = f"{department}-20261120-000000-abcd"
    made_up = generate_events(stream, count + 10, submission, round(now.timestamp() * 1000))
    rows = [row for batch in made_up for row in pl.DataFrame(pl.from_arrow(batch)).to_dicts()]
    schema = CREDIT_EVENT.arrow
    good, planted = rows[:10], rows[10:]
    for number, row in enumerate(planted):
        name = FIELDS[number % len(FIELDS)]
        row[name] = _hostile_value(numbers, name, row[name])
    found = HostileMessages()
    for framed, chosen in ((found.events, planted), (found.good, good)):
        table = pl.DataFrame(chosen, infer_schema_length=None).select(schema.names).to_arrow()
        batch = table.cast(schema).combine_chunks().to_batches()[0]
        framed.extend(codec.encode(CREDIT_EVENT, batch))
    found.keys = [numbers.draw().encode() for _ in found.good]
    found.headers = [[("contact", numbers.in_words().encode())] for _ in found.good]
    found.broken = [found.events[at][:-2] + numbers.in_words().encode() for at in range(10)]
    found.broken += [numbers.in_words().encode() for _ in range(10)]
    return found


def _hostile_value(numbers: Numbers, name: str, there: object) -> object:
    dice = numbers.dice
    if name == "subject_ids":
        assert isinstance(there, list)
        return [*there[: dice.randrange(2)], dice.choice(_SCHEMES) + numbers.draw(code=True)]
    if name in _CODE_FIELDS:
        return numbers.draw(code=True)
    if name in _LIST_FIELDS:
        assert isinstance(there, list)
        return [*there, dice.choice((numbers.in_words, numbers.draw, lambda: f"value_unreadable:{numbers.draw()}"))()]
    if name in _AMOUNT_FIELDS:
        number = made.resident_id_15(dice) if dice.randrange(2) else made.resident_id(dice).replace("X", "1")
        numbers.drawn.append(Number(number, number))
        return int(number) * (100 if len(number) == 15 else 1)
    # Not glued to other digits or letters: where a number begins within a longer one, no form tells.
    return dice.choice((numbers.in_words, numbers.draw, lambda: f"{there}，{numbers.draw()}"))()
