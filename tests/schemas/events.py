"""Reported events for tests: a sound penalty, of which a test says only what it changes."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pyarrow as pa

from schemas import reference
from schemas.avro import CREDIT_EVENT
from schemas.examine import Examined, examine

REFERENCE = reference.load(None)
USCC = "91110000600056171L"
SOLE_TRADER = "92370100XXXX0006XA"
AUTHORITY = "11370100XXXX10022M"
AUTHORITY_NAME = "济南市市场监督管理局（演示）"
RESIDENT_ID = "110101199003074258"  # its check digit is right, and it is nobody's
REPORTED_AT = datetime(2026, 5, 1, 4, 0, tzinfo=UTC)

_BLANK: dict[str, Any] = {
    field.name: (
        None if field.nullable else [] if pa.types.is_list(field.type) else "" if pa.types.is_string(field.type) else 0
    )
    for field in CREDIT_EVENT.arrow
}


def event(**changes: Any) -> dict[str, Any]:
    """A penalty against a legal person that would be recorded."""
    sound = {
        "submission": "market-20260501-120000-abcd",
        "source_row": 2,
        "event_id": "0123456789abcdef" * 2,
        "mapping": "penalty-2018@1",
        "category": "penalty",
        "operation": "report",
        "reported_at": REPORTED_AT,
        "subject_ids": [f"CN-USCC:{USCC}"],
        "subject_name": "济南示例商贸有限公司",
        "authority_code": AUTHORITY,
        "authority_name": AUTHORITY_NAME,
        "document_number": "济市监处罚〔2026〕12号",
        "classes": ["fine"],
        "legal_bases": ["《广告法》第五十五条"],
        "fine_fen": 500_000,
        "decided_on": date(2026, 3, 2),
    }
    assert not changes.keys() - _BLANK.keys(), "no field of an event"
    return _BLANK | sound | changes


def batch_of(*events: Mapping[str, Any]) -> pa.RecordBatch:
    """Events as CREDIT_EVENT columns."""
    return pa.RecordBatch.from_pylist([dict(one) for one in events], schema=CREDIT_EVENT.arrow)


def examined(*events: Mapping[str, Any], departments: str | pl.Series = "market") -> Examined:
    """What becomes of the events."""
    return examine(batch_of(*events), departments, REFERENCE)


def identified(**changes: Any) -> dict[str, Any]:
    """The identified report of one event, which must not be rejected."""
    result = examined(event(**changes))
    assert result.rejects.is_empty(), result.rejects
    return result.identified.to_pylist()[0]


def rejected(**changes: Any) -> tuple[str, str, str]:
    """(outcome, reason, detail) of one event, which must be rejected."""
    result = examined(event(**changes))
    assert result.identified.num_rows == 0
    return result.rejects.select("outcome", "reason", "detail").row(0)
