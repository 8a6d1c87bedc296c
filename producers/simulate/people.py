"""Rows about persons, so that the guard has work: made-up names and numbers that belong to nobody.

The numbers have every form and check of real ones, or the guard would not be tested; their region digits are ones
that no county has (370199), so no number is anybody's.
"""

from datetime import date, timedelta
from random import Random

NO_COUNTY = "370199"
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_FAMILY = "赵钱孙李周吴郑王"
_GIVEN = "甲乙丙丁戊己庚辛"
_FIRST_BIRTH = date(1950, 1, 1)
_BIRTH_DAYS = 365 * 50


def resident_number(chance: Random) -> str:
    """Eighteen characters with a birth date and a right check (GB 11643)."""
    born = _FIRST_BIRTH + timedelta(days=chance.randrange(_BIRTH_DAYS))
    first = f"{NO_COUNTY}{born:%Y%m%d}{chance.randrange(1000):03d}"
    return first + _CHECKS[sum(int(digit) * weight for digit, weight in zip(first, _WEIGHTS, strict=True)) % 11]


def person_name(chance: Random) -> str:
    """Two characters that nobody is called."""
    return chance.choice(_FAMILY) + chance.choice(_GIVEN)


def disguised(number: str, chance: Random) -> str:
    """The number as it hides in real cells: plain, in full-width digits, spaced, in lower case or masked."""
    match chance.randrange(5):
        case 0:
            return number
        case 1:
            return number.translate({ord("0") + i: 0xFF10 + i for i in range(10)})
        case 2:
            return f"{number[:6]} {number[6:14]} {number[14:]}"
        case 3:
            return number.lower()
        case _:
            return f"{number[:4]}**********{number[14:]}"
