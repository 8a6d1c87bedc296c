"""How clean values are spelled in real files: each function gives one of the spellings that were seen, by chance.

What intake can put right and what it can not are both here: a share of the rows must end in quarantine.
"""

from datetime import date
from decimal import Decimal
from random import Random

from producers.simulate.bodies import wrong_check_digit

PLACEHOLDER = "0" * 17 + "X"
_FULL_WIDTH = {character: character + 0xFEE0 for character in range(0x21, 0x7F)}
_BRACKETS = ("〔〕", "[]", "【】", "()", "（）", "﹝﹞", "〔〕", "〔〕")
_NOTHING = ("", "/", "无", "-", "暂无")


def code(value: str, chance: Random) -> str:
    """A code that can be put right: mostly as it is, else full-width, spaced, lower-case or quoted."""
    match chance.randrange(40):
        case 0:
            return value.translate(_FULL_WIDTH)
        case 1:
            return f"{value[:4]} {value[4:8]} {value[8:12]} {value[12:]}"
        case 2:
            return value.lower()
        case 3:
            return "'" + value
        case 4:
            return value + "\u3000"
        case _:
            return value


def broken_code(value: str, chance: Random) -> str:
    """A code that can not be put right: a wrong check digit, a placeholder, a misread character, or nothing."""
    match chance.randrange(4):
        case 0:
            return wrong_check_digit(value)
        case 1:
            return PLACEHOLDER
        case 2:
            return value[:5] + "O" + value[6:] if value[5] != "0" else value[:17]
        case _:
            return chance.choice(_NOTHING)


def name(value: str, chance: Random) -> str:
    """A name with the other brackets, or with a space that does not belong there."""
    match chance.randrange(10):
        case 0:
            return value.replace("（", "(").replace("）", ")")
        case 1:
            return f" {value} "
        case _:
            return value


def document_number(value: str, chance: Random) -> str:
    """The number with one of the bracket pairs of real documents, sometimes with a space before 号."""
    left, right = chance.choice(_BRACKETS)
    spelled = value.replace("〔", left).replace("〕", right)
    return spelled.replace("号", " 号") if chance.randrange(12) == 0 else spelled


def day(value: date, chance: Random) -> str:
    """A date in one of the forms of real files."""
    match chance.randrange(7):
        case 0:
            return f"{value.year}/{value.month}/{value.day}"
        case 1:
            return f"{value:%Y-%m-%d} 00:00:00.0"
        case 2:
            return f"{value.year}年{value.month}月{value.day}日"
        case 3:
            return f"{value:%Y%m%d}"
        case 4:
            return f"{value.year}.{value.month}.{value.day}"
        case _:
            return f"{value:%Y-%m-%d}"


def myriads(yuan: int, chance: Random) -> str:
    """Yuan in a column of 万元: as decimals, with zeros behind, or with the unit written out."""
    amount = Decimal(yuan) / 10_000
    match chance.randrange(8):
        case 0:
            return f"{amount:.6f}"
        case 1:
            return f"{amount.normalize():f}万元"
        case _:
            return f"{amount.normalize():f}"
