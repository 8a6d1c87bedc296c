"""Which organisation an event is about: from the identifiers that came with it to one subject key, or a reason why not.

The key is the organisation code inside of the unified social credit code, which survives changes of region and prefix
and is what older codes hold, too; else the registration number; else SCHEME:NUMBER of another register. Renames change
nothing. Identifiers of persons, of bodies outside of the line that we hold, and placeholders give no key.

`resolve_subjects` is for columns: rows with one good unified code, most of them, are judged together; the rest goes
through `resolve_subject` one by one, with the same answers.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from schemas.personal_numbers import personal_number_as_code
from schemas.reference.codes import KINDS, Kind, business_words, organisation_words
from schemas.schemes import SCHEMES, Finding, SubjectTables, read_identifier, scope_of, subject_tables
from schemas.uscc import examine_usccs, is_another_body

__all__ = ["KINDS", "SCHEMES", "Kind", "Subject", "keeps_name", "keeps_names", "resolve_subject", "resolve_subjects"]

SubjectReason = Literal[
    "subject_unresolved",
    "subject_code_invalid",
    "subject_placeholder",
    "subject_out_of_scope",
    "subject_is_person",
    "subject_codes_disagree",
]


@dataclass(frozen=True, slots=True)
class Subject:
    """What the identifiers of one event say.

    Attributes:
        key: subject key, at most 32 bytes of ASCII; None if there is a reason.
        identifier: best identifier as SCHEME:NUMBER in its normal spelling; None if there is a reason.
        kind: kind of body; `unknown` without a unified code.
        reason: why there is no key, else None; one of `schemas.reasons`.
        detail: a word about the reason, never a value; None without a reason.
        warning: what is unusual about the identifier, else None.
    """

    key: str | None = None
    identifier: str | None = None
    kind: Kind = "unknown"
    reason: SubjectReason | None = None
    detail: str | None = None
    warning: str | None = None


def resolve_subject(ids: Sequence[str], tables: SubjectTables | None = None) -> Subject:
    """The subject of one event.

    Args:
        ids: identifiers SCHEME:NUMBER, most authoritative first; `?:NUMBER` where nobody said what it is.
        tables: reference tables, the shipped ones by default.

    A number of a person makes the whole row a person's. A faulty or missing identifier gives way to a later good one,
    unless the two belong to different organisations.
    """
    tables = tables or subject_tables()
    for identifier in ids:
        kind = personal_number_as_code(identifier)
        if kind is not None:
            return Subject(reason="subject_is_person", detail=kind)
    findings = [read_identifier(identifier, tables) for identifier in ids]
    for finding in findings:
        if finding.state == "person":
            return Subject(reason="subject_is_person", detail=finding.detail)
    for finding in findings:
        if finding.state == "out_of_scope":
            return Subject(reason="subject_out_of_scope", detail=finding.detail)
    good = [finding for finding in findings if finding.state == "good"]
    if not good:
        return _nothing_good(findings)
    best = min(good, key=_authority_of_scheme)  # the first of the best: min keeps the order
    if _disagree(best, findings):
        return Subject(reason="subject_codes_disagree", detail="identifiers")
    return Subject(best.key, best.identifier, best.kind, warning=best.warning or None)


def _nothing_good(findings: list[Finding]) -> Subject:
    for finding in findings:
        if finding.state == "faulty":
            return Subject(reason="subject_code_invalid", detail=finding.detail)
    if any(finding.state == "placeholder" for finding in findings):
        return Subject(reason="subject_placeholder", detail="placeholder")
    return Subject(reason="subject_unresolved", detail="no identifier")


_RANKS = {scheme: rank for rank, scheme in enumerate(SCHEMES)}


def _authority_of_scheme(finding: Finding) -> int:
    return _RANKS[finding.identifier.partition(":")[0]]


def _disagree(best: Finding, findings: list[Finding]) -> bool:
    """Whether two identifiers of one kind are of different organisations.

    An organisation code inside of a faulty unified code counts if it is right itself: then the fault is elsewhere. If
    it is not, what can be read of the broken code must be near to the organisation code that is to stand in for it.
    """
    if best.org_code:
        broken = [
            finding.broken for finding in findings if finding.broken and not best.identifier.startswith("CN-USCC:")
        ]
        if any(is_another_body(code, best.org_code) for code in broken):
            return True
        return len({finding.org_code for finding in findings if finding.org_code}) > 1
    scheme = best.key.partition(":")[0]
    return len({finding.key for finding in findings if finding.key.partition(":")[0] == scheme}) > 1


_RESULT_SCHEMA = {
    "subject_key": pl.String,
    "subject_id": pl.String,
    "subject_kind": pl.String,
    "reason": pl.String,
    "reason_detail": pl.String,
    "warning": pl.String,
}

# A unified code that has the shape of a resident's number, and what may stand beside a good one without a closer look.
_LIKE_A_PERSONS = r"^[1-9][0-9]{5}(?:18|19|20)[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9]{4}"
_PLAIN_REGISTRATION_NUMBER = r"^CN-REG:[0-9]{15}$"
_REGISTRATION_NUMBER_LIKE_A_PERSONS = r"^CN-REG:[1-9][0-9]{7}(?:0[1-9]|1[0-2])[0-3][0-9]{4}$"
_MASKED_BY_LETTERS = r"[0-9]{3}X{7}"
_USCC_PREFIX = "CN-USCC:"
_TYPED = r"^(?:CN-USCC|CN-ANY|\?):"


def resolve_subjects(ids: pl.Series, tables: SubjectTables | None = None) -> pl.DataFrame:
    """The subject of each event; see `resolve_subject`.

    Args:
        ids: List(String), one list of identifiers per row; null and empty lists allowed.
        tables: reference tables, the shipped ones by default.

    Returns:
        One row each, String columns `subject_key`, `subject_id`, `subject_kind`, `reason`, `reason_detail`, `warning`:
        key and id null where there is a reason; reason, detail and warning null where there is none.
    """
    tables = tables or subject_tables()
    lengths = ids.list.len().fill_null(0)
    first = ids.list.first().fill_null("").rename("first")
    # A column that may hold any code mostly holds this one; a good one that is nobody's number needs no recognising.
    typed = first.str.contains(_TYPED)
    usccs = examine_usccs(first.str.replace(_TYPED, ""), tables.uscc)
    scopes = _scopes(usccs["code"], tables)
    like_a_persons = usccs["code"].str.contains(_LIKE_A_PERSONS)
    plain = typed & usccs["fault"].is_null() & (scopes["registrar"] == "") & ~like_a_persons
    more = np.flatnonzero((lengths > 1).to_numpy() & plain.to_numpy())
    if len(more):
        plain = plain.scatter(more, _harmless_beside(ids.gather(more), usccs[more]))
    together = pl.DataFrame(
        {
            "subject_key": "org:" + usccs["org_code"],
            "subject_id": _USCC_PREFIX + usccs["code"],
            "subject_kind": scopes["kind"],
            "reason": pl.Series([None], dtype=pl.String).new_from_index(0, len(ids)),
            "reason_detail": pl.Series([None], dtype=pl.String).new_from_index(0, len(ids)),
            "warning": usccs["warning"].cast(pl.String),
        },
        schema=_RESULT_SCHEMA,
    )
    # A unified code that fails a check and stands alone is not another scheme's number: no closer look either.
    failed = usccs["fault"].cast(pl.String).fill_null("")
    alone = (lengths == 1) & typed & failed.is_in(("check_digit", "body_check"))
    alone &= ~like_a_persons & ~usccs["code"].str.contains(_MASKED_BY_LETTERS)
    if alone.any():
        together = _with_invalid_codes(together, alone, failed)
    slow = np.flatnonzero(~(plain | alone).to_numpy())
    if len(slow) == 0:
        return together
    apart = _one_by_one(ids.gather(slow), tables)
    rows = np.arange(len(ids), dtype=np.int64)
    rows[slow] = len(ids) + np.arange(len(slow))
    return pl.concat([together, apart])[rows]


def _with_invalid_codes(subjects: pl.DataFrame, invalid: pl.Series, faults: pl.Series) -> pl.DataFrame:
    """The rows that `invalid` names as subjects whose only code is faulty."""
    nothing = pl.lit(None, pl.String)
    return subjects.with_columns(
        *(
            pl.when(invalid).then(nothing).otherwise(pl.col(name)).alias(name)
            for name in ("subject_key", "subject_id", "warning")
        ),
        subject_kind=pl.when(invalid).then(pl.lit("unknown")).otherwise(pl.col("subject_kind")),
        reason=pl.when(invalid).then(pl.lit("subject_code_invalid")).otherwise(nothing),
        reason_detail=pl.when(invalid).then(faults).otherwise(nothing),
    )


def _scopes(codes: pl.Series, tables: SubjectTables) -> pl.DataFrame:
    """Kind of body and, where out of scope, registrar of each good code, by its first two characters."""
    prefixes = codes.str.slice(0, 2).rename("prefix")
    known = prefixes.unique()
    answers = [scope_of(prefix, tables) if len(prefix) == 2 else ("unknown", "no code") for prefix in known.to_list()]
    table = pl.DataFrame(
        {
            "prefix": known,
            "kind": pl.Series([kind for kind, _ in answers], dtype=pl.String),
            "registrar": pl.Series([registrar for _, registrar in answers], dtype=pl.String),
        }
    )
    if len(table) == 1:
        return table.select(pl.exclude("prefix").first().repeat_by(1).explode())[np.zeros(len(codes), np.int64)]
    return prefixes.to_frame().join(table, on="prefix", how="left", maintain_order="left").select("kind", "registrar")


def _harmless_beside(ids: pl.Series, usccs: pl.DataFrame) -> pl.Series:
    """Whether all that stands beside the good unified code of each row says the same, or nothing of its own."""
    lengths = ids.list.len().to_numpy()
    owners = np.repeat(np.arange(len(ids)), lengths)
    leads = np.cumsum(lengths) - lengths
    beside = np.ones(len(owners), np.bool_)
    beside[leads] = False
    others = ids.list.explode(empty_as_null=False).fill_null("").filter(pl.Series(beside))
    whose = owners[beside]
    same = (others == "CN-ORG:" + usccs["org_code"].gather(whose)) | (others == "CN-TAX:" + usccs["code"].gather(whose))
    number = others.str.contains(_PLAIN_REGISTRATION_NUMBER) & ~others.str.contains(_REGISTRATION_NUMBER_LIKE_A_PERSONS)
    harmful = np.zeros(len(ids), np.bool_)
    harmful[whose[~(same | number).to_numpy()]] = True
    return pl.Series(~harmful)


def _one_by_one(ids: pl.Series, tables: SubjectTables) -> pl.DataFrame:
    answers: dict[tuple[str, ...], Subject] = {}
    rows: list[tuple[str | None, ...]] = []
    for identifiers in ids.to_list():
        each = tuple(identifier or "" for identifier in identifiers or ())
        subject = answers.get(each)
        if subject is None:
            subject = answers[each] = resolve_subject(each, tables)
        rows.append((subject.key, subject.identifier, subject.kind, subject.reason, subject.detail, subject.warning))
    return pl.DataFrame(rows, schema=_RESULT_SCHEMA, orient="row")


# -- names that may be a person's -----------------------------------------------------------------------------------


@cache
def _business_words(directory: Path | None = None) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, business_words(directory))))


def keeps_name(name: str, kind: str, directory: Path | None = None) -> bool:
    """Whether a name may be kept: a sole trader's only with a word of business in it, else it may be the owner's."""
    return kind != "sole_trader" or _business_words(directory).search(name) is not None


def keeps_names(names: pl.Series, kinds: pl.Series, directory: Path | None = None) -> pl.Series:
    """`keeps_name` of each row, as a Boolean series."""
    kept = (kinds != "sole_trader").fill_null(True).rename("kept")
    doubtful = (~kept).arg_true()
    if len(doubtful) == 0:
        return kept
    said = names.gather(doubtful).fill_null("").str.contains(_business_words(directory).pattern)
    return kept.scatter(doubtful, said)


_DOTTED_FORMS = r"\bS\.? ?[/.] ?A\b|\bS\.A\.|\bS\.p\.A|\bS\.R\.L|\bL\.L\.C|\bB\.V\.|\bN\.V\.|\bS\.L\.|\bCo\.|&"
_CHINESE = "[\u3400-\u9fff]"
_LIKE_A_CHINESE_NAME = f"^{_CHINESE}{{1,4}}$|^{_CHINESE}+[·•・．]{_CHINESE}+"
_FIGURES = "[0-9]"


@cache
def _organisation_words(directory: Path | None = None) -> str:
    words = "|".join(map(re.escape, organisation_words(directory)))
    return rf"(?i)\b(?:{words})\b|{_DOTTED_FORMS}"


def may_be_persons(names: pl.Series, directory: Path | None = None) -> pl.Series:
    """Whether each name may be a natural person's, where no code says whose it is; for rows without a subject.

    Chinese: up to four characters, or a middle dot, and no word of business. Other scripts: no word that only
    organisations have in their names, and no figure.
    """
    plain = names.fill_null("").str.replace_all(r"\s", "")
    chinese = plain.str.contains(_CHINESE)
    doubtful = chinese & plain.str.contains(_LIKE_A_CHINESE_NAME)
    doubtful &= ~plain.str.contains(_business_words(directory).pattern)
    foreign = ~chinese & (plain != "")
    if foreign.any():
        spoken = names.fill_null("")
        doubtful |= foreign & ~spoken.str.contains(_organisation_words(directory)) & ~spoken.str.contains(_FIGURES)
    return doubtful.rename("doubtful")
