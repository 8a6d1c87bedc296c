"""Made-up acts of public bodies: what an authority decided about a fictional organisation, in clean values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random

import numpy as np

from producers.simulate.bodies import bodies
from schemas.reference import Authority, Reference
from schemas.uscc import registration_number_check

_DAYS_BACK = 300  # a penalty is published for a year at most here, so all of them still are
_IN_A_PILOT_UNIT = 0.7

# Kinds of a penalty, and the words that the national form uses for them.
PENALTY_CLASSES = ("降低资质等级", "罚款", "没收违法所得", "没收非法财物", "责令停产停业", "吊销许可证件")
LICENCE_CLASSES = ("普通", "特许", "认可", "核准", "登记")
_BASES = {
    "market": (
        "《中华人民共和国产品质量法》第四十九条",
        "《中华人民共和国广告法》第五十五条",
        "《中华人民共和国价格法》第四十条",
    ),
    "environment": ("《中华人民共和国环境保护法》第五十九条", "《中华人民共和国大气污染防治法》第九十九条"),
    "procurement": ("《中华人民共和国政府采购法》第七十七条",),
}
_SIGNS = {"market": "市监罚", "environment": "环罚", "procurement": "采购罚", "reform": "发改"}
_LICENCES = ("食品经营许可证", "药品经营许可证", "排污许可证", "特种设备使用登记证")


@dataclass(frozen=True, slots=True)
class Body:
    """One fictional organisation.

    Attributes:
        prefix: first two characters of its code; 92 is a sole trader.
        registration_number: the older number of the business register.
    """

    code: str
    name: str
    prefix: str
    registration_number: str


@dataclass(frozen=True, slots=True)
class Act:
    """What one row of a file says. A field that a form does not have is empty.

    Attributes:
        item: licence, honour or grade; `classes` the kinds of a penalty or licence.
        yuan: fine of a penalty, amount of an enforcement case.
        change_number, changed_on: document that annuls the act.
    """

    body: Body
    authority: Authority
    number: str
    decided_on: date
    classes: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    item: str = ""
    yuan: int = 0
    confiscated_yuan: int = 0
    valid_to: date | None = None
    state: str = "正常"
    change_number: str = ""
    changed_on: date | None = None


class Province:
    """The bodies and authorities of the demonstration, from which acts are drawn by chance."""

    def __init__(self, reference: Reference, seed: int, bodies_count: int, today: date) -> None:
        self.today = today
        self._reference = reference
        regions = sorted(
            {a.region for a in reference.authorities.by_code.values() if a.region[4:] != "00" and a.region}
        )
        made = bodies(seed, np.arange(bodies_count), regions)
        columns = zip(made.codes.to_list(), made.names.to_list(), made.prefixes.to_list(), strict=True)
        self._bodies = [
            Body(code, name, prefix, _registration_number(code[2:8], number))
            for number, (code, name, prefix) in enumerate(columns)
        ]

    def body(self, chance: Random) -> Body:
        return chance.choice(self._bodies)

    @property
    def bodies(self) -> Sequence[Body]:
        return self._bodies

    def authority(self, department: str, chance: Random) -> Authority:
        """One that decides for the department, mostly in a place that belongs to a pilot unit."""
        own = [a for a in self._reference.authorities.by_code.values() if a.department == department]
        in_units = [a for a in own if self._reference.units_of(a.region, "")]
        return chance.choice(in_units if in_units and chance.random() < _IN_A_PILOT_UNIT else own)

    def day(self, chance: Random) -> date:
        return self.today - timedelta(days=1 + chance.randrange(_DAYS_BACK))


def _registration_number(region: str, number: int) -> str:
    first = f"{region}{2_000_000 + number:08d}"  # 0 to 3 leads the sequence of a domestic enterprise (from memory)
    return first + registration_number_check(first)


def penalty(province: Province, department: str, sequence: int, chance: Random) -> Act:
    """An administrative penalty of the department's own authority."""
    authority, decided_on = province.authority(department, chance), province.day(chance)
    classes = tuple(chance.sample(PENALTY_CLASSES, 1 + (chance.random() < 0.15)))
    return Act(
        province.body(chance),
        authority,
        _number(authority, _SIGNS[department], decided_on, sequence),
        decided_on,
        classes,
        (chance.choice(_BASES[department]),),
        yuan=chance.choice((500, 2_000, 5_000, 10_000, 36_500, 120_000)) if "罚款" in classes else 0,
        confiscated_yuan=chance.choice((800, 4_300)) if set(classes) & {"没收违法所得", "没收非法财物"} else 0,
    )


def licence(province: Province, sequence: int, chance: Random) -> Act:
    """A licence of market regulation; one in five has no end."""
    authority, decided_on = province.authority("market", chance), province.day(chance)
    return Act(
        province.body(chance),
        authority,
        _number(authority, "市监许", decided_on, sequence),
        decided_on,
        (chance.choice(LICENCE_CLASSES),),
        item=chance.choice(_LICENCES),
        valid_to=None if chance.random() < 0.2 else decided_on + timedelta(days=5 * 365),
        state="有效",
    )


def debt(province: Province, sequence: int, chance: Random) -> Act:
    """An organisation that a court has under enforcement."""
    authority, decided_on = province.authority("court", chance), province.day(chance)
    return Act(
        province.body(chance),
        authority,
        f"（{decided_on.year}）演{authority.region[2:]}执{sequence}号",
        decided_on,
        yuan=1_000 * (1 + chance.randrange(900)),
        state=chance.choice(("全部未履行", "部分未履行", "全部已履行")),
    )


def rating(province: Province, body: Body, chance: Random) -> Act:
    """A tax authority's grade of one body for the year before."""
    grade = chance.choices("ABMCD", (20, 45, 25, 7, 3))[0]
    last_year = date(province.today.year - 1, 12, 31)
    return Act(body, province.authority("tax", chance), "", last_year, item=grade)


def ban(province: Province, sequence: int, chance: Random) -> Act:
    """A supplier barred from government procurement for one to three years (政府采购法 Art. 77)."""
    authority, decided_on = province.authority("procurement", chance), province.day(chance)
    return Act(
        province.body(chance),
        authority,
        _number(authority, _SIGNS["procurement"], decided_on, sequence),
        decided_on,
        bases=_BASES["procurement"],
        valid_to=decided_on + timedelta(days=365 * chance.randint(1, 3)),
        state="有效",
    )


def honour(province: Province, sequence: int, chance: Random) -> Act:
    """An honour that the development and reform commission has given."""
    authority, decided_on = province.authority("reform", chance), province.day(chance)
    number = _number(authority, _SIGNS["reform"], decided_on, sequence)
    return Act(province.body(chance), authority, number, decided_on, item="诚信示范单位（演示）", state="有效")


def registration(body: Body, authority: Authority, chance: Random) -> Act:
    """An entry of the business register."""
    founded = date(1995 + chance.randrange(25), 1 + chance.randrange(12), 1 + chance.randrange(28))
    return Act(body, authority, "", founded, yuan=10_000 * chance.choice((10, 50, 100, 500, 1_000)))


def annulled(act: Act, sequence: int, province: Province) -> Act:
    """The same act, annulled by its authority."""
    today = province.today
    number = _number(act.authority, "撤", today, sequence)
    return replace(act, state="撤销", change_number=number, changed_on=max(act.decided_on, today - timedelta(days=1)))


def corrected(act: Act) -> Act:
    """The same act with a fine a tenth higher."""
    return replace(act, yuan=act.yuan + max(100, act.yuan // 10))


def _number(authority: Authority, sign: str, day: date, sequence: int) -> str:
    return f"演{authority.region[2:]}{sign}〔{day.year}〕{sequence}号"
