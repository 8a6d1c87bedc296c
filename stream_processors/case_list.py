"""Which cases there are, by state, rule and who may decide; asked of the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.errors import InputError
from schemas.reference import Reference
from stream_processors.cases.judge import STATES
from stream_processors.clickhouse import ClickHouse
from stream_processors.rules.rule import Rule

_DOING = "listing cases"
_COLUMNS = (
    "case_id, revision, state, reason, at, subject_key, subject_id, rule, measure, kind, activity, evidence_document, "
    "authority_code, authority_name, noticed_on, objection_until, provisional, in_force_from, ends_on, ended_on"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; None = all."""

    state: str | None = None
    rule: str | None = None
    department: str | None = None
    limit: int = 100

    def checked(self, reference: Reference, rules: Mapping[str, Rule]) -> Wanted:
        """Itself. Raises InputError for a name that there is not."""
        if self.state is not None and self.state not in STATES:
            raise InputError(f"{_DOING}: there is no such state; there are {', '.join(STATES)}")
        if self.rule is not None and self.rule not in rules:
            raise InputError(f"{_DOING}: no pack has a rule of that name; xinliu packs show lists them")
        if self.department is not None and self.department not in reference.departments:
            raise InputError(f"{_DOING}: registered departments are {', '.join(reference.departments)}")
        if self.limit < 1:
            raise InputError(f"{_DOING}: --limit must be more than 0")
        return self


def cases(
    store: ClickHouse, wanted: Wanted, reference: Reference, rules: Mapping[str, Rule]
) -> tuple[list[dict[str, Any]], int]:
    """The newest cases that are wanted, and how many there are in all."""
    conditions = ["1"]
    parameters: dict[str, Any] = {}
    if wanted.state is not None:
        conditions.append("state = {state:String}")
        parameters["state"] = wanted.state
    if wanted.rule is not None:
        conditions.append("rule = {rule:String}")
        parameters["rule"] = wanted.rule
    if wanted.department is not None:
        named = [name for name, rule in rules.items() if wanted.department in rule.deciders]
        others = [name for name, rule in rules.items() if rule.deciders and wanted.department not in rule.deciders]
        department = reference.departments[wanted.department]
        codes = [a.code for a in reference.authorities.by_code.values() if a.department == department.id]
        conditions.append(
            "(has({named:Array(String)}, rule) OR "
            "(NOT has({others:Array(String)}, rule) AND has({codes:Array(String)}, authority_code)))"
        )
        parameters |= {"named": named, "others": others, "codes": [*codes, *department.authority_codes]}
    where = " AND ".join(conditions)
    count = store.rows(f"SELECT count() AS n FROM cases_current WHERE {where}", doing=_DOING, parameters=parameters)
    found = store.rows(
        f"SELECT {_COLUMNS} FROM cases_current WHERE {where} ORDER BY at DESC, case_id LIMIT {wanted.limit:d}",
        doing=_DOING,
        parameters=parameters,
    )
    return found, int(count[0]["n"])
