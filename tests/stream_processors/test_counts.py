"""What the lanes count, held against the receipts of the same batches: every event once, by department and by unit."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from producers.simulate.events import Stream, generate_events
from schemas import codec
from schemas.avro import CREDIT_EVENT, RECEIPT
from schemas.settings import Settings
from schemas.timeliness import LIMIT_WORKING_DAYS
from schemas.topics import IDENTIFIED, RECEIPTS_PREFIX, events_topic
from stream_processors.index import Index
from stream_processors.intake import Intake
from stream_processors.kafka import Batch
from stream_processors.known_series import know_series
from stream_processors.lane import Work
from stream_processors.metrics import Registry
from stream_processors.register import Register
from tests.schemas.events import REFERENCE, RESIDENT_ID, event

P = 2
REGION_OF_RONGCHENG = "371082"


class Platform:
    """Intake and register without a broker; what they count goes to two pages, what they receipt is added up."""

    def __init__(self) -> None:
        self.intake = Intake(REFERENCE, P)
        self.register = Register(Settings(), REFERENCE, Path("unused"), {}, lambda: 1.79e9, lambda *_: None)
        self.register._partitions = list(range(P))
        self.register._indexes = {partition: Index() for partition in range(P)}
        self.pages = {"intake": Registry(), "register": Registry()}
        for lane, page in self.pages.items():
            know_series(page, lane, REFERENCE)
        self.receipts = Counter[tuple[str, str]]()
        self.offset = 0

    def send(self, values: Sequence[bytes | None], departments: Sequence[str]) -> None:
        """One batch through both lanes."""
        offsets = np.arange(self.offset, self.offset + len(values), dtype=np.int64)
        self.offset += len(values)
        topics = [events_topic(department) for department in departments]
        nothing = np.zeros(len(values), np.int64)
        work = self.intake.work(Batch(list(values), [None] * len(values), topics, nothing, offsets, nothing))
        self._count("intake", work)
        for output in work.outputs:
            if output.topic == IDENTIFIED and output.values:
                count = len(output.values)
                places, zeros = np.array(output.partitions, np.int32), np.zeros(count, np.int64)
                taken = Batch(list(output.values), list(output.keys), [IDENTIFIED] * count, places, zeros, zeros)
                self._count("register", self.register.work(taken))

    def events(self, *changes: dict[str, Any], department: str = "market") -> None:
        values = [codec.encode_one(CREDIT_EVENT, event(**each)) for each in changes]
        self.send(values, [department] * len(values))

    def _count(self, lane: str, work: Work) -> None:
        for name, labels, amount in work.counts:
            self.pages[lane].add(name, labels, amount)
        for output in work.outputs:
            if output.topic.startswith(RECEIPTS_PREFIX):
                for receipt in codec.decode(RECEIPT, list(output.values)).batch.to_pylist():
                    self.receipts[receipt["department"], receipt["outcome"]] += len(receipt["offsets"])

    def samples(self, name: str, *labels: str) -> Counter[tuple[str, ...]]:
        """Samples that are not 0 of both lanes, by these labels, the rest added up."""
        found = Counter[tuple[str, ...]]()
        for page in self.pages.values():
            for family in page.registry.collect():
                for sample in family.samples:
                    if sample.name == name:
                        found[tuple(sample.labels[label] for label in labels)] += sample.value
        return +found


@pytest.fixture(scope="module")
def platform() -> Platform:
    """After simulated events of two departments in odd batches, bytes that are none, and refused rows."""
    made = Platform()
    for department in ("market", "environment"):
        authorities = [a for a in REFERENCE.authorities.by_code.values() if a.department == department]
        stream = Stream(3, authorities, date(2026, 11, 1), 40)
        reported_ms = int(datetime.fromisoformat("2026-11-02T09:00+08:00").timestamp() * 1000)
        for events in generate_events(stream, 1_500, f"{department}-20261102-090000-abcd", reported_ms, batch_rows=701):
            values: list[bytes | None] = [*codec.encode(CREDIT_EVENT, events), b"no event", None]
            values.append(codec.encode_one(CREDIT_EVENT, event(item=RESIDENT_ID)))
            made.send(values, [department] * len(values))
    return made


def test_every_event_is_counted_with_the_outcome_that_its_receipt_says(platform: Platform) -> None:
    assert platform.samples("xinliu_outcomes_total", "department", "outcome") == platform.receipts
    taken = platform.samples("xinliu_events_total", "lane")
    assert taken["intake",] == platform.offset == sum(platform.receipts.values())
    set_aside = platform.samples("xinliu_quarantined_total") + platform.samples("xinliu_refusals_total")
    assert taken["intake",] - taken["register",] == set_aside[()]


def test_a_sectors_unit_counts_what_its_department_reports(platform: Platform) -> None:
    by_unit = platform.samples("xinliu_pilot_unit_events_total", "unit", "outcome")
    for department in ("market", "environment"):
        by_department = {outcome: n for (who, outcome), n in platform.receipts.items() if who == department}
        assert {outcome: n for (unit, outcome), n in by_unit.items() if unit == f"sector-{department}"} == by_department
        for label, name in (("department", "reports_timed_total"), ("unit", "pilot_unit_reports_timed_total")):
            owner = department if label == "department" else f"sector-{department}"
            timed = platform.samples(f"xinliu_{name}", label, "verdict")
            assert sum(n for (who, _), n in timed.items() if who == owner) == by_department["new"]


@pytest.mark.parametrize(
    ("prefix", "label"), [("xinliu_", "department"), ("xinliu_pilot_unit_", "unit")], ids=["department", "unit"]
)
def test_the_delays_are_those_of_the_reports_in_time_and_late(platform: Platform, prefix: str, label: str) -> None:
    timed = platform.samples(f"{prefix}reports_timed_total", label, "verdict")
    delays = platform.samples(f"{prefix}reporting_delay_working_days_bucket", label, "le")
    owners = {owner for owner, _ in timed}
    assert owners
    for owner in owners:
        assert delays[owner, str(float(LIMIT_WORKING_DAYS))] == timed[owner, "in_time"]
        assert delays[owner, "+Inf"] == timed[owner, "in_time"] + timed[owner, "late"]


def test_working_days_decide_and_an_unknown_year_blames_nobody() -> None:
    platform = Platform()
    reported = datetime.fromisoformat("2026-10-15T09:00+08:00")  # the holidays of October lie before it
    decided = {"a": date(2026, 9, 30), "b": date(2026, 9, 28), "c": date(2026, 10, 14), "d": None}
    for number, day in decided.items():
        platform.events({"document_number": f"{number}〔2026〕1号", "decided_on": day, "reported_at": reported})
    next_year = {"document_number": "e〔2026〕1号", "decided_on": date(2026, 12, 31)}
    platform.events(next_year | {"reported_at": datetime.fromisoformat("2027-03-01T09:00+08:00")})
    verdicts = platform.samples("xinliu_reports_timed_total", "department", "rule", "verdict")
    assert verdicts == {
        ("market", "law", "in_time"): 2,
        ("market", "law", "late"): 1,
        ("market", "law", "undated"): 1,
        ("market", "law", "provisional"): 1,
    }


def test_a_repeat_sent_late_makes_no_report_late() -> None:
    platform = Platform()
    soon, late = ({"reported_at": datetime.fromisoformat(f"2026-{day}T09:00+08:00")} for day in ("03-03", "08-03"))
    platform.events(soon)
    platform.events(late)
    assert platform.samples("xinliu_outcomes_total", "outcome") == {("new",): 1, ("repeat",): 1}
    assert platform.samples("xinliu_reports_timed_total", "verdict") == {("in_time",): 1}


def test_units_overlap_and_a_reject_counts_for_the_unit_of_its_authority() -> None:
    platform = Platform()
    platform.events(
        {"region": REGION_OF_RONGCHENG}, {"faults": ["value_missing:document_number"]}, {"region": RESIDENT_ID}
    )
    by_unit = platform.samples("xinliu_pilot_unit_events_total", "unit", "outcome")
    assert by_unit == {
        ("county-rongcheng", "new"): 1,
        ("city-jinan", "quarantined"): 1,
        ("sector-market", "new"): 1,
        ("sector-market", "quarantined"): 1,
        ("sector-market", "refused"): 1,
    }


def test_a_repair_counts_once_it_takes_effect() -> None:
    platform = Platform()
    platform.events({})
    repair = {
        "operation": "repair",
        "change_document_number": "济修〔2026〕1号",
        "change_decided_on": date(2026, 4, 28),
    }
    platform.events(repair)
    platform.events(repair)
    assert platform.samples("xinliu_repairs_total", "department") == {("market",): 1}
    assert platform.samples("xinliu_pilot_unit_repairs_total", "unit") == {("city-jinan",): 1, ("sector-market",): 1}


def test_no_label_holds_what_a_department_sent(platform: Platform) -> None:
    made = Platform()
    made.events({"region": RESIDENT_ID}, {"item": RESIDENT_ID}, {"category": RESIDENT_ID}, {"faults": [RESIDENT_ID]})
    for page in (*made.pages.values(), *platform.pages.values()):
        assert RESIDENT_ID.encode() not in page.page()
    units = {unit for (unit,) in platform.samples("xinliu_pilot_unit_events_total", "unit")}
    assert units <= {unit.id for unit in REFERENCE.pilot_units.units}
