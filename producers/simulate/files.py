"""Files of six departments, as they would send them in the course of a month: the demonstration's input.

Each file has the dirt of real ones (`dirt`), some rows twice, some that can not be recorded, and rows about persons.
`manifest.json` says how each is published, in the order in which they were sent.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from producers.simulate import acts, dirt, forms, people
from producers.simulate.acts import Act, Province
from producers.simulate.forms import Form, Row
from producers.simulate.writers import write_file
from schemas.errors import InputError
from schemas.reference import Reference
from schemas.uscc import compact_code, uscc_check_digit

MANIFEST = "manifest.json"
# Shares of the rows. What is wrong with a row is wrong with it alone.
_TWICE = 0.02
_BROKEN_CODE = 0.015
_NO_NUMBER = 0.005
_PERSON = 0.03
_NUMBER_IN_NAME = 0.005
_OUT_OF_SCOPE = 0.005
_WRONG_UNIT = 0.01
_NO_DAY = 0.005
_OUT_OF_SCOPE_PREFIXES = ("31", "71", "81")  # law firms, places of worship, unions


@dataclass(frozen=True, slots=True)
class Written:
    """One file that was written, and how it is published.

    Attributes:
        rows: rows of data.
        corrects: publish it with --corrects.
    """

    file: str
    department: str
    mapping: str
    rows: int
    corrects: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "department": self.department,
            "mapping": self.mapping,
            "rows": self.rows,
            "corrects": self.corrects,
        }


def write_files(out: Path, seed: int, rows: int, today: date, reference: Reference) -> list[Written]:
    """Write all files and their manifest into a folder; `rows` is the length of the largest."""
    if rows < 1:
        raise InputError("making department files: --rows must be at least 1")
    try:
        out.mkdir(parents=True, exist_ok=True)
        written = _Month(out, seed, rows, Province(reference, seed, max(20, rows // 2), today)).write()
        manifest = {"seed": seed, "today": today.isoformat(), "files": [entry.as_json() for entry in written]}
        (out / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise InputError(f"writing department files to {out}: {error.strerror}; choose another folder") from error
    return written


class _Month:
    """Writes the files one after the other; later ones correct, annul and copy what earlier ones said."""

    def __init__(self, out: Path, seed: int, rows: int, province: Province) -> None:
        self._out = out
        self._seed = seed
        self._rows = rows
        self._province = province
        self._month = f"{province.today:%Y-%m}"

    def write(self) -> list[Written]:
        province, share = self._province, self._share
        market = self._draw("market", share(1), lambda n, chance: acts.penalty(province, "market", n, chance))
        environment = self._draw(
            "environment", share(2), lambda n, chance: acts.penalty(province, "environment", n, chance)
        )
        copied = self._copied([*market, *environment], share(2))
        again = Random(f"{self._seed} corrections")
        annulled = again.sample(market, share(40))
        corrected = again.sample([act for act in market if act not in annulled], share(20))
        return [
            self._file("market", "registrations.csv.gz", forms.REGISTRATION, self._registrations(share(2))),
            self._file(
                "market",
                "licences.csv",
                forms.LICENCE,
                self._draw("licences", share(2), lambda n, chance: acts.licence(province, n, chance)),
                encoding="gb18030",
            ),
            self._file("market", "penalties.xlsx", forms.PENALTY, market, title="行政处罚信息公示表（演示数据）"),
            self._file("environment", "penalties.csv", forms.PENALTY_BY_CODES, environment),
            self._file(
                "court",
                "debtors.json",
                forms.DEBT,
                self._draw("debts", share(4), lambda n, chance: acts.debt(province, n, chance)),
            ),
            self._file("tax", "ratings.ndjson.gz", forms.RATING, self._ratings(share(2))),
            self._file(
                "procurement",
                "bans.csv",
                forms.BAN,
                self._draw("bans", share(8), lambda n, chance: acts.ban(province, n, chance)),
                title="政府采购严重违法失信行为记录名单（演示数据）",
            ),
            self._file(
                "reform",
                "honours.xlsx",
                forms.HONOUR,
                self._draw("honours", share(8), lambda n, chance: acts.honour(province, n, chance)),
            ),
            self._file("reform", "penalties-copied.csv.gz", forms.PENALTY_COPIED, copied, encoding="gb18030"),
            self._file(
                "market",
                "penalties-corrected.csv",
                forms.PENALTY,
                [acts.corrected(act) for act in corrected],
                corrects=True,
                clean=True,
            ),
            self._file(
                "market",
                "penalties-annulled.json.gz",
                forms.PENALTY,
                [acts.annulled(act, number, province) for number, act in enumerate(annulled, start=1)],
                clean=True,
            ),
        ]

    def _share(self, part: int) -> int:
        return max(1, self._rows // part)

    def _draw(self, what: str, count: int, act: Callable[[int, Random], Act]) -> list[Act]:
        chance = Random(f"{self._seed} {what}")
        return [act(number, chance) for number in range(1, count + 1)]

    def _ratings(self, count: int) -> list[Act]:
        chance = Random(f"{self._seed} ratings")
        rated = chance.sample(list(self._province.bodies), min(count, len(self._province.bodies)))
        return [acts.rating(self._province, body, chance) for body in rated]

    def _registrations(self, count: int) -> list[Act]:
        chance = Random(f"{self._seed} registrations")
        registrar = self._province.authority("market", chance)
        return [acts.registration(body, registrar, chance) for body in self._province.bodies[:count]]

    def _copied(self, decided: Sequence[Act], count: int) -> list[Act]:
        """What the aggregator has of others; one in fifty with another fine than theirs."""
        chance = Random(f"{self._seed} copied")
        chosen = chance.sample(decided, min(count, len(decided)))
        return [acts.corrected(act) if act.yuan and chance.random() < 0.02 else act for act in chosen]

    def _file(
        self,
        department: str,
        name: str,
        form: Form,
        said: Sequence[Act],
        *,
        title: str = "",
        encoding: str = "utf-8-sig",
        corrects: bool = False,
        clean: bool = False,
    ) -> Written:
        """Write one file; a `clean` one has no row that can not be recorded."""
        file = f"{department}-{self._month}-{name}"
        chance = Random(f"{self._seed} {department} {name}")
        rows = [form.row(act, chance) for act in said]
        if not clean:
            rows = [soiled for row in rows for soiled in _soiled(row, form, chance)]
        write_file(self._out / file, rows, title=title, encoding=encoding)
        return Written(file, department, form.mapping, len(rows), corrects)


def _soiled(row: Row, form: Form, chance: Random) -> list[Row]:
    """The row as it is, twice, spoilt, or followed by one about a person."""
    dice = chance.random()
    for share, spoil in (
        (_TWICE, lambda: [row, row]),
        (_BROKEN_CODE, lambda: [{**row, form.code: dirt.broken_code(_clean_code(row, form), chance)}]),
        (_NO_NUMBER, lambda: [{**row, form.number: ""}] if form.number else [row]),
        (_PERSON, lambda: [row, _about_a_person(row, form, chance)]),
        (_NUMBER_IN_NAME, lambda: [_with_number_in_name(row, form, chance)]),
        (_WRONG_UNIT, lambda: [_in_wrong_unit(row, form)]),
        (_NO_DAY, lambda: [{**row, form.day: "待定"}] if form.day else [row]),
        (_OUT_OF_SCOPE, lambda: [{**row, form.code: _out_of_scope(_clean_code(row, form), chance)}]),
    ):
        if dice < share:
            return spoil()
        dice -= share
    return [row]


def _clean_code(row: Row, form: Form) -> str:
    return compact_code(row[form.code])


def _about_a_person(row: Row, form: Form, chance: Random) -> Row:
    """A row of the same form about a made-up person: by its kind of party and papers, else by the number as a code."""
    number = people.resident_number(chance)
    person = {**row, form.name: people.person_name(chance)}
    if form.party:
        return {**person, form.party: form.person_words, form.code: "", form.papers: number}
    return {**person, form.code: people.disguised(number, chance)}


def _with_number_in_name(row: Row, form: Form, chance: Random) -> Row:
    return {**row, form.name: f"{row[form.name]}（{people.disguised(people.resident_number(chance), chance)}）"}


def _in_wrong_unit(row: Row, form: Form) -> Row:
    """Yuan in a column of 万元, as clerks often enter them."""
    amount = row.get(form.myriads, "").removesuffix("万元")
    return {**row, form.myriads: f"{Decimal(amount) * 10_000:f}"} if amount else row


def _out_of_scope(code: str, chance: Random) -> str:
    """A right code of a kind of body that the platform does not hold."""
    first = chance.choice(_OUT_OF_SCOPE_PREFIXES) + code[2:17]
    return first + uscc_check_digit(first)
