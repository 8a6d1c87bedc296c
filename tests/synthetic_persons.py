"""Personal numbers that belong to nobody, made with a seed, and the disguises in which files carry them."""

import random
from collections.abc import Callable
from datetime import date, timedelta

from reference_uscc import plain_fault

_PROVINCES = ("11", "13", "31", "32", "37", "41", "44", "51", "61", "65")
_ABROAD = ("840", "156", "276", "392", "410", "826", "124", "036")  # numbers of ISO 3166-1


def _birth(dice: random.Random, first: int = 1930, last: int = 2010) -> date:
    return date(first, 1, 1) + timedelta(days=dice.randrange((last - first) * 365))


def _mod_11_2(first17: str) -> str:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # as GB 11643-1999 prints them
    return "10X98765432"[sum(int(digit) * weight for digit, weight in zip(first17, weights, strict=True)) % 11]


def _luhn(first: str) -> str:
    for check in "0123456789":
        digits = [int(digit) for digit in reversed(first + check)]
        if (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0:
            return check
    raise AssertionError("one of ten digits fits")


def resident_id(dice: random.Random) -> str:
    first17 = f"{dice.choice(_PROVINCES)}{dice.randrange(100, 1000):04d}{_birth(dice):%Y%m%d}{dice.randrange(1000):03d}"
    return first17 + _mod_11_2(first17)


def mistyped_resident_id(dice: random.Random) -> str:
    """With a wrong check digit, and no good code of an organisation either (one in some hundreds is)."""
    while True:
        number = resident_id(dice)
        number = number[:17] + dice.choice([digit for digit in "0123456789X" if digit != number[17]])
        if plain_fault(number) is not None:
            return number


def residence_permit(dice: random.Random) -> str:
    first17 = f"{dice.choice(('810000', '820000', '830000'))}{_birth(dice):%Y%m%d}{dice.randrange(1000):03d}"
    return first17 + _mod_11_2(first17)


def foreign_resident(dice: random.Random) -> str:
    return card(dice, dice.choice(_ABROAD))


def card(dice: random.Random, country: str) -> str:
    first17 = f"9{dice.choice(_PROVINCES)}{country}{_birth(dice):%Y%m%d}{dice.randrange(1000):03d}"
    return first17 + _mod_11_2(first17)


def resident_id_15(dice: random.Random) -> str:
    born = _birth(dice, 1930, 1999)
    return f"{dice.choice(_PROVINCES)}{dice.randrange(100, 1000):04d}{born:%y%m%d}{dice.randrange(1000):03d}"


def sole_traders_tax_number(dice: random.Random) -> str:
    return resident_id(dice) + dice.choice(("01", "00", "L1", "0X", "2A"))


def mobile_phone(dice: random.Random) -> str:
    return f"1{dice.randrange(3, 10)}{dice.randrange(10**9):09d}"


def passport(dice: random.Random) -> str:
    return f"{dice.choice('EG')}{dice.randrange(10**8):08d}"


def travel_permit(dice: random.Random) -> str:
    return f"{dice.choice('HM')}{dice.randrange(10**8):08d}"


def bank_card(dice: random.Random) -> str:
    first = f"62{dice.randrange(10**16):016d}"[: dice.choice((15, 18))]
    return first + _luhn(first)


def cpf(dice: random.Random) -> str:
    digits = [dice.randrange(10) for _ in range(9)]
    for length in (9, 10):
        check = 11 - sum(digit * (length + 1 - place) for place, digit in enumerate(digits)) % 11
        digits.append(0 if check > 9 else check)
    return "".join(map(str, digits))


def rfc_of_a_person(dice: random.Random) -> str:
    letters = "".join(dice.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(4))
    return (
        f"{letters}{_birth(dice):%y%m%d}{dice.choice('ABCDEFGH')}{dice.choice('123456789')}{dice.choice('0123456789A')}"
    )


# -- all of them ------------------------------------------------------------------------------------------------------

MAKERS: tuple[Callable[[random.Random], str], ...] = (
    resident_id,
    mistyped_resident_id,
    residence_permit,
    foreign_resident,
    resident_id_15,
    sole_traders_tax_number,
    mobile_phone,
    passport,
    travel_permit,
    bank_card,
    cpf,
    rfc_of_a_person,
)
SPREAD_MAKERS = (resident_id, residence_permit, foreign_resident, resident_id_15, mobile_phone)
MASKED_MAKERS = (resident_id, resident_id_15, bank_card, foreign_resident)
WORDS = (passport, travel_permit, rfc_of_a_person)  # letters before or after make other words of these


# -- disguises ------------------------------------------------------------------------------------------------------


def _grouped(separator: str) -> Callable[[str], str]:
    def group(number: str) -> str:
        if len(number) == 18:
            return separator.join((number[:6], number[6:14], number[14:]))
        if len(number) == 15:
            return separator.join((number[:6], number[6:12], number[12:]))
        if len(number) == 11:
            return separator.join((number[:3], number[3:7], number[7:]))
        return separator.join(number[at : at + 4] for at in range(0, len(number), 4))

    return group


PLAIN: dict[str, Callable[[str], str]] = {
    "plain": str,
    "full width": lambda number: "".join(chr(ord(character) + 0xFEE0) for character in number),
    "mathematical": lambda number: "".join(chr(0x1D7CE + int(c)) if c.isdigit() else c for c in number),
    "lower case": str.lower,
    "zero width within": lambda number: "\u200b".join(number),
    "soft hyphen within": lambda number: number[:5] + "\u00ad" + number[5:],
    "byte order mark within": lambda number: number[:9] + "\ufeff" + number[9:],
    "after a letter": lambda number: "№" + number,
}
SPREAD: dict[str, Callable[[str], str]] = {
    "groups, spaces": _grouped(" "),
    "groups, hyphens": _grouped("-"),
    "groups, hard spaces": _grouped("\u00a0"),
    "groups, ideographic spaces": _grouped("\u3000"),
    "groups, en dashes": _grouped("–"),
    "groups, line breaks": _grouped("\n"),
    "groups, line breaks of Windows": _grouped("\r\n"),
    "groups, tabs": _grouped("\t"),
    "single, line breaks": "\n".join,
    "single, spaces": " ".join,
    "single, hyphens": "-".join,
    "single, two spaces": "  ".join,
    "single, full width and spaces": lambda number: " ".join(chr(ord(character) + 0xFEE0) for character in number),
    "single, full-width hyphens": "－".join,
}
MASKED: dict[str, Callable[[str], str]] = {
    "masked, stars": lambda number: number[:4] + "*" * (len(number) - 8) + number[-4:],
    "masked, full-width stars": lambda number: number[:4] + "＊" * (len(number) - 8) + number[-4:],
    "masked, crosses": lambda number: number[:6] + "×" * (len(number) - 10) + number[-4:],
    "masked, bullets": lambda number: number[:6] + "●" * (len(number) - 10) + number[-4:],
    "masked, letters": lambda number: number[:6] + "X" * 8 + number[-4:],
    "masked, tail hidden": lambda number: number[:10] + "*" * (len(number) - 10),
    "masked, on two lines": lambda number: number[:6] + "****\n****" + number[-4:],
    "masked, in groups": lambda number: f"{number[:4]} **** **** {number[-4:]}",
}
WRAPS = (
    "{}",
    "张某，身份证号{}，住济南市历下区",
    "济南市历下区{}商行",
    "当事人({})于2024年5月1日",
    "{}号",
    "处罚决定：{}；罚款2000元。",
    "tel:{} ",
    "2024-05-01 {}",
    "〔2024〕{}",
)
"""Texts that real files put around them."""
