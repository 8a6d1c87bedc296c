"""Lives of restrictions as events of two departments, and what each of them must come to."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from producers.kafka import Sender
from producers.publisher import new_submission
from producers.simulate.bodies import bodies
from producers.stamp import messages
from schemas import reference
from schemas.avro import CREDIT_EVENT
from schemas.settings import Settings
from schemas.topics import events_topic

RULE = "CN-36/M02"
BASIS = "《中华人民共和国政府采购法》第七十七条"
LIST = "政府采购严重违法失信行为记录名单"
# By the last digit of its number, what becomes of the case of a body that can be restricted.
FATES = {
    0: "drafted",
    1: "noticed",
    2: "ended annulled",  # its evidence
    3: "ended annulled",  # its decision
    4: "ended withdrawn",
    5: "ended ceased",
    6: "in_force",
    7: "in_force",
    8: "noticed",  # a decision without a basis decides nothing
    9: "ended objection_accepted",
}
_NONE = np.array([], np.int64)


class Lives:
    """So many bodies, each on the list by one document of the market authority."""

    def __init__(self, count: int, today: date) -> None:
        known = list(reference.load(None).authorities.by_code.values())
        self.today = today
        self.codes = bodies(5, np.arange(count), ["370100"]).codes.to_list()
        self.market = next(a for a in known if a.department == "market" and not a.superior_code)
        self.procurement = next(a for a in known if a.department == "procurement" and not a.superior_code)

    def expected(self) -> Counter[str]:
        """How many cases end in which state; sole traders and other bodies have none."""
        return Counter(FATES[n % 10] for n, code in enumerate(self.codes) if code.startswith(("91", "93", "N")))

    def sent(self) -> Counter[str]:
        """How many events each department sends."""
        counts: Counter[str] = Counter()
        for department, rows in self.phases():
            counts[department] += len(rows)
        return counts

    def phases(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Departments and their events, in the order in which they are sent."""
        numbers = range(len(self.codes))
        listed = [self._evidence(n) for n in numbers]
        notices = [self._act(n, "measure_notice", 40, state="直接送达") for n in numbers if n % 10 != 0]
        objections = [self._act(n, "measure_objection", 38) for n in numbers if n % 10 == 9]
        reviews = [self._act(n, "measure_review", 30, grade="accepted") for n in numbers if n % 10 == 9]
        decisions = [
            self._act(
                n,
                "measure_decision",
                20,
                legal_bases=() if n % 10 == 8 else (BASIS,),
                valid_to=self.today + timedelta(days=300),
            )
            for n in numbers
            if 2 <= n % 10 <= 8
        ]
        gone = [self._registration(n) for n in numbers if n % 10 == 5]
        annulled = [self._annulled(self._evidence(n)) for n in numbers if n % 10 == 2]
        undone = [
            self._annulled(row)
            for n, row in zip((n for n in numbers if 2 <= n % 10 <= 8), decisions, strict=True)
            if n % 10 == 3
        ]
        withdrawn = [self._act(n, "measure_withdrawal", 2) for n in numbers if n % 10 == 4]
        return [
            ("market", listed),
            ("procurement", notices),
            ("procurement", [*objections, *reviews, *decisions]),
            ("market", [*gone, *annulled]),
            ("procurement", [*undone, *withdrawn]),
        ]

    def _row(self, number: int, **given: Any) -> dict[str, Any]:
        return {
            "operation": "report",
            "mapping": "kill@1",
            "subject_ids": (f"CN-USCC:{self.codes[number]}",),
            **given,
        }

    def _evidence(self, number: int) -> dict[str, Any]:
        return self._row(
            number,
            category="serious_list",
            authority_code=self.market.code,
            authority_name=self.market.name,
            document_number=f"演示市监严〔2026〕{number + 1}号",
            item=LIST,
            decided_on=self.today - timedelta(days=60),
        )

    def _act(self, number: int, category: str, days_ago: int, **given: Any) -> dict[str, Any]:
        return self._row(
            number,
            category=category,
            authority_code=self.procurement.code,
            authority_name=self.procurement.name,
            document_number=f"演示财采〔2026〕{category[8:10]}{number + 1}号",
            item=f"{RULE}@演示市监严〔2026〕{number + 1}号",
            decided_on=self.today - timedelta(days=days_ago),
            **given,
        )

    def _registration(self, number: int) -> dict[str, Any]:
        return self._row(
            number,
            category="registration",
            authority_code=self.market.code,
            authority_name=self.market.name,
            state="注销",
            decided_on=self.today - timedelta(days=1),
        )

    def _annulled(self, row: dict[str, Any]) -> dict[str, Any]:
        return row | {
            "operation": "annul",
            "change_document_number": "（2026）演示行终1号",
            "change_decided_on": self.today - timedelta(days=1),
        }


def send(settings: Settings, department: str, rows: list[dict[str, Any]], rows_per_second: float) -> None:
    """Send them and return when all are acknowledged."""
    now = datetime.now(UTC)
    submission = new_submission(department, now, f"{time.time_ns() % (1 << 16):04x}")
    sender = Sender(settings, events_topic(department), 120.0, lambda events: None, 20)
    step = max(1, round(rows_per_second / 10))
    for start in range(0, len(rows), step):
        some = [
            {column.name: row.get(column.name, _blank(column)) for column in CREDIT_EVENT.arrow}
            | {"source_row": start + index + 1}
            for index, row in enumerate(rows[start : start + step])
        ]
        batch = pa.RecordBatch.from_pylist(some, schema=CREDIT_EVENT.arrow)
        out = messages(batch, submission, round(now.timestamp() * 1000), None, _NONE)
        sender.send(out.values, out.keys)
        time.sleep(0.1)  # a rate, so that the kills fall into the middle
    sender.finish()


def _blank(column: pa.Field[Any]) -> Any:
    if column.nullable:
        return None
    if pa.types.is_list(column.type):
        return ()
    if pa.types.is_timestamp(column.type):
        return datetime(2026, 1, 1)
    return "" if pa.types.is_string(column.type) else 0
