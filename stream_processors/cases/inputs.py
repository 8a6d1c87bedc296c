"""Records of `credit.records` as facts about subjects: evidence, acts, and bodies that ceased.

The first step of the cases lane, columnar until only the few rows are left that a rule or a case is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from schemas import codec, normalise
from schemas.avro import CREDIT_RECORD
from stream_processors.cases.facts import ACT_KINDS, VALID, Act, Evidence, case_name
from stream_processors.match import match
from stream_processors.rules.packs import Packs

RESTRICTABLE = r"^CN-USCC:(?:91|93|N)"  # economic operators that are legal persons (the line; GB 32100-2015)
_CEASED = "注销|合并|终止"  # struck off, merged, dissolved; a licence that was revoked (吊销) leaves the body there

Rows = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Ceased:
    """The register says that the body is no more."""

    revision: int
    day: date | None


@dataclass(frozen=True, slots=True)
class Input:
    """One fact about one subject, with the partition that it came from."""

    partition: int
    subject_key: str
    subject_id: str
    restrictable: bool
    fact: Evidence | Act | Ceased
    reported_ms: int


def relevant(heads: pl.DataFrame, packs: Packs) -> Rows:
    """Rows of records that may matter: of a category that rules or acts speak of, and no markers."""
    categories = [*packs.categories, *ACT_KINDS, "registration"]
    return np.flatnonzero((heads["category"].is_in(categories) & (heads["variant_of"] == "")).to_numpy())


def inputs(values: list[bytes], partitions: list[int], packs: Packs) -> Iterator[Input]:
    """Facts in the order of the messages.

    Args:
        values: framed records that are `relevant`.
    """
    if not values:
        return
    frame = pl.DataFrame(pl.from_arrow(codec.decode(CREDIT_RECORD, values).batch))
    matched: dict[int, list[str]] = {}
    for row, rule in match(frame, packs).select("row", "rule").iter_rows():
        matched.setdefault(row, []).append(rule)
    documents = normalise.document_identity(normalise.document_numbers(frame["document_number"])).to_list()
    restrictable = frame["subject_id"].str.contains(RESTRICTABLE).to_list()
    for number, row in enumerate(frame.iter_rows(named=True)):
        fact = _fact(row, documents[number], tuple(sorted(matched.get(number, ()))))
        if fact is not None:
            yield Input(
                partitions[number],
                row["subject_key"],
                row["subject_id"],
                restrictable[number],
                fact,
                round(row["reported_at"].timestamp() * 1000),
            )


def _fact(row: dict[str, Any], document: str, rules: tuple[str, ...]) -> Evidence | Act | Ceased | None:
    category = row["category"]
    if category in ACT_KINDS:
        return _act(row)
    if category == "registration":
        if row["status"] != VALID or row["rank"] < 2:
            return None
        gone = any(word in row["state"] for word in _CEASED.split("|"))
        day = row["valid_to"] or row["decided_on"] or row["reported_at"].date()
        return Ceased(row["revision"], day if gone else None)
    if not rules and row["status"] == VALID and row["revision"] == 1:
        return None  # the first word about a record that no rule speaks of
    return Evidence(
        row["record_id"],
        row["revision"],
        row["rank"],
        row["status"],
        document or (row["decided_on"].isoformat() if row["decided_on"] else ""),
        rules,
        row["authority_code"],
        row["authority_name"],
        row["department"],
        row["decided_on"],
        row["valid_to"],
        row["change_decided_on"],
        row["event_id"],
    )


def _act(row: dict[str, Any]) -> Act:
    return Act(
        row["record_id"],
        row["revision"],
        row["rank"],
        row["status"],
        ACT_KINDS[row["category"]],
        case_name(row["item"]),
        row["document_number"],
        row["decided_on"],
        row["valid_from"],
        row["valid_to"],
        tuple(row["legal_bases"]),
        row["grade"] if row["category"] == "measure_review" else row["state"],
        row["authority_code"],
        row["authority_name"],
        row["department"],
        row["change_decided_on"],
        row["event_id"],
    )
