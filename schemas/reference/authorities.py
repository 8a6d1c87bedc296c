"""Departments that report, authorities that decide, and who of them may speak for whom.

A department is known by the name of its topic, never by what a message says. An authority is known by its code; where a
source gives only a name, one of its declared spellings leads to the code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas import normalise
from schemas.errors import ConfigurationError
from schemas.reference.tables import entries, read_table
from schemas.uscc import compact_codes, examine_usccs

RANK_DECIDES = 3  # the department speaks for the deciding authority
RANK_SUPERIOR = 2  # it is the declared superior of that authority
RANK_OTHER = 1  # anyone else: may corroborate, or raise a conflict


@dataclass(frozen=True, slots=True)
class Department:
    """Who reports. `id` is the end of the name of its topic.

    Attributes:
        authority_codes: authorities for which it speaks beyond those that name it as their department.
        superior: id of the department that may correct what this one reports, empty if none.
        cadence_days: how often it delivers; later than that counts as late.
        fictional: a body of the demonstration, not a real one.
    """

    id: str
    name_zh: str
    name_en: str
    authority_codes: tuple[str, ...]
    superior: str
    cadence_days: int
    fictional: bool


@dataclass(frozen=True, slots=True)
class Authority:
    """Who decides.

    Attributes:
        code: unified social credit code, or SCHEME:NUMBER of another register.
        aliases: other spellings of the name, former names too.
        department: id of the department that reports for it, empty if none does.
        superior_code: authority that may correct its decisions, empty if none is declared.
        region: six digits, empty where it is no Chinese authority.
    """

    code: str
    name: str
    aliases: tuple[str, ...]
    department: str
    superior_code: str
    region: str
    fictional: bool


@dataclass(frozen=True)
class Authorities:
    """All departments and authorities, with the answers of promise and precedence that follow from the tables."""

    departments: Mapping[str, Department]
    by_code: Mapping[str, Authority]

    @cached_property
    def _codes_by_name(self) -> pl.DataFrame:
        pairs = {
            name: authority.code for authority in self.by_code.values() for name in (*authority.aliases, authority.name)
        }
        names = normalise.names(pl.Series("name", list(pairs), pl.String))
        return pl.DataFrame({"name": names, "by_name": list(pairs.values())}).unique("name", keep="last")

    @cached_property
    def _regions_by_code(self) -> pl.DataFrame:
        regions = [authority.region for authority in self.by_code.values()]
        return pl.DataFrame({"authority_code": pl.Series(list(self.by_code), dtype=pl.String), "region": regions})

    def resolve(self, names: pl.Series, codes: pl.Series) -> pl.DataFrame:
        """Find the authority of each row by the code that came with it, else by one of its names.

        Args:
            names: names as written; they are normalised here.
            codes: codes as written, null or empty where none came.

        Returns:
            `authority_code` (String): the code in its normal spelling if it is a good one, else that of the name, else
            empty; `authority_known` (Boolean): whether the table holds that code; `authority_region` (String): its
            region in the table, else the region of the registrar that a Chinese code names, else empty.
        """
        rows = pl.DataFrame({"name": names.fill_null(""), "code": codes.fill_null("")})
        pairs = rows.unique()  # a batch names few authorities
        answers = pl.concat([pairs, self._resolve(pairs["name"], pairs["code"])], how="horizontal")
        joined = rows.join(answers, on=["name", "code"], how="left", maintain_order="left")
        return joined.select("authority_code", "authority_known", "authority_region")

    def _resolve(self, names: pl.Series, codes: pl.Series) -> pl.DataFrame:
        frame = pl.DataFrame({"name": normalise.names(names), "given": _good_codes(codes, self.by_code)})
        named = frame.join(self._codes_by_name, on="name", how="left", maintain_order="left")
        chosen = named.select(
            authority_code=pl.when(pl.col("given") != "").then("given").otherwise(pl.col("by_name").fill_null(""))
        )
        joined = chosen.join(self._regions_by_code, on="authority_code", how="left", maintain_order="left")
        chinese = pl.col("authority_code").str.contains(r"^[0-9A-Z]{2}[0-9]{6}[0-9A-Z]{10}$")
        registrar = pl.when(chinese).then(pl.col("authority_code").str.slice(2, 6)).otherwise(pl.lit(""))
        return joined.select(
            "authority_code",
            authority_known=pl.col("region").is_not_null(),
            authority_region=pl.coalesce("region", registrar),
        )

    def rank(self, department: str, authority_code: str) -> int:
        """3: the department speaks for that authority; 2: it is its declared superior; 1: anyone else."""
        return self._ranks.get((department, authority_code), RANK_OTHER)

    def ranks(self, departments: pl.Series, authority_codes: pl.Series) -> npt.NDArray[np.uint8]:
        """`rank` of each row, as numbers."""
        table = pl.DataFrame(
            {
                "department": [department for department, _ in self._ranks],
                "authority_code": [code for _, code in self._ranks],
                "rank": pl.Series(list(self._ranks.values()), dtype=pl.UInt8),
            },
            schema_overrides={"department": pl.String, "authority_code": pl.String},
        )
        rows = pl.DataFrame({"department": departments, "authority_code": authority_codes})
        joined = rows.join(table, on=["department", "authority_code"], how="left", maintain_order="left")
        return joined["rank"].fill_null(RANK_OTHER).to_numpy()

    @cached_property
    def _ranks(self) -> dict[tuple[str, str], int]:
        """Every pair that ranks above anyone else."""
        ranks: dict[tuple[str, str], int] = {}
        for code in self.by_code:
            speaks = self._speaking_for(code)
            for above in self._above(code):
                for department in self._speaking_for(above):
                    ranks[department, code] = RANK_SUPERIOR
            for department in speaks:
                superior = self.departments[department].superior
                if superior:
                    ranks[superior, code] = RANK_SUPERIOR
            for department in speaks:
                ranks[department, code] = RANK_DECIDES
        return ranks

    def _speaking_for(self, code: str) -> tuple[str, ...]:
        own = self.by_code[code].department
        named = tuple(d.id for d in self.departments.values() if code in d.authority_codes and d.id != own)
        return (own, *named) if own else named

    def _above(self, code: str) -> tuple[str, ...]:
        above: list[str] = []
        superior = self.by_code[code].superior_code
        while superior:
            above.append(superior)
            superior = self.by_code[superior].superior_code
        return tuple(above)


def _good_codes(codes: pl.Series, known: Mapping[str, Authority]) -> pl.Series:
    """Codes in their normal spelling; empty where there is none, or none that can be right."""
    written = codes.fill_null("").rename("code")
    usccs = examine_usccs(written.str.strip_prefix("CN-USCC:"))
    other_schemes = [code for code in known if ":" in code]
    compacted = compact_codes(written)
    spelled = dict(zip((_compact(code) for code in other_schemes), other_schemes, strict=True))
    by_scheme = (
        compacted.replace_strict(spelled, default="", return_dtype=pl.String)
        if spelled
        else compacted.clear(len(codes))
    )
    return pl.select(
        pl.when(usccs["fault"].is_null()).then(usccs["code"]).otherwise(by_scheme.fill_null(""))
    ).to_series()


def _compact(code: str) -> str:
    return compact_codes(pl.Series([code])).item()


@cache
def load_authorities(directory: Path | None = None) -> Authorities:
    """Departments and authorities. Raises ConfigurationError when the two tables do not fit together."""
    departments = {department.id: department for department in _departments(directory)}
    by_code: dict[str, Authority] = {}
    for authority in _authorities(directory):
        if authority.code in by_code:
            raise _problem("authorities", authority.code, "stands there twice")
        by_code[authority.code] = authority
    for department in departments.values():
        if department.superior and department.superior not in departments:
            raise _problem("departments", department.id, "has a superior that is no department")
        for code in department.authority_codes:
            if code not in by_code:
                raise _problem("departments", department.id, "speaks for a code that is no authority")
    for authority in by_code.values():
        if authority.department and authority.department not in departments:
            raise _problem("authorities", authority.code, "has a department that is none")
        seen = {authority.code}
        step = authority
        while step.superior_code:
            if step.superior_code not in by_code or step.superior_code in seen:
                raise _problem("authorities", authority.code, "has a superior that is no authority or leads back to it")
            seen.add(step.superior_code)
            step = by_code[step.superior_code]
    return Authorities(departments, by_code)


def _departments(directory: Path | None) -> list[Department]:
    columns = ("id", "name_zh", "name_en", "authority_codes", "superior", "cadence_days", "fictional")
    found: list[Department] = []
    for row in read_table("departments", columns, directory):
        if not row["cadence_days"].isdigit():
            raise _problem("departments", row["id"], "needs a whole number of days as its cadence")
        found.append(
            Department(
                row["id"],
                row["name_zh"],
                row["name_en"],
                entries(row["authority_codes"]),
                row["superior"],
                int(row["cadence_days"]),
                row["fictional"] == "true",
            )
        )
    return found


def _authorities(directory: Path | None) -> list[Authority]:
    columns = ("code", "name", "aliases", "department", "superior_code", "region", "fictional")
    return [
        Authority(
            row["code"],
            row["name"],
            entries(row["aliases"]),
            row["department"],
            row["superior_code"],
            row["region"],
            row["fictional"] == "true",
        )
        for row in read_table("authorities", columns, directory)
    ]


def _problem(table: str, entry: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"reading the reference table {table}.csv: {entry} {what}; correct the entry")
