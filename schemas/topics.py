"""Every topic, declared once as data: its key, its partitions, what it keeps and for how long, and why.

`xinliu topics plan|apply` compares a broker with this list; the docs print it.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

RECORD_BYTES_MAX = 1_000_000
EVENT_BYTES_MAX = (
    256 * 1024
)  # an event is codes, numbers, dates and a link; more than this is a text that belongs elsewhere
_DAY = timedelta(days=1)

EVENTS_PREFIX = "credit.events."
RECEIPTS_PREFIX = "credit.receipts."
IDENTIFIED = "credit.identified"
QUARANTINE = "credit.quarantine"
RECORDS = "credit.records"
HISTORY = "credit.history"
CASES = "credit.cases"
MEASURES = "credit.measures"
IN_FORCE = "credit.measures.in-force"
ACKS = "credit.measures.acks"
CONTROL = "credit.control"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it must stand on the broker.

    Attributes:
        by_subject: keyed by subject with P partitions, or one partition without a meaningful key.
        retention: None keeps for ever.
        compact: keep the newest message of each key.
        compaction_lag: a message stays readable at least so long, so that a reader that follows sees every revision.
    """

    name: str
    message: str
    by_subject: bool
    retention: timedelta | None
    purpose: str
    compact: bool = False
    compaction_lag: timedelta = timedelta(0)
    message_bytes_max: int = RECORD_BYTES_MAX

    def partitions(self, subject_partitions: int) -> int:
        return subject_partitions if self.by_subject else 1

    def config(self) -> dict[str, str]:
        """Kafka's topic settings, by Kafka's names."""
        settings = {
            "cleanup.policy": "compact" if self.compact else "delete",
            "retention.ms": "-1" if self.retention is None else str(_ms(self.retention)),
            "max.message.bytes": str(self.message_bytes_max),
            "compression.type": "producer",
            "message.timestamp.type": "CreateTime",
        }
        if self.compact:
            settings["min.compaction.lag.ms"] = str(_ms(self.compaction_lag))
        return settings


def events_topic(department: str) -> str:
    return EVENTS_PREFIX + department


def receipts_topic(department: str) -> str:
    return RECEIPTS_PREFIX + department


def department_of(events_topic_name: str) -> str:
    """Who may write the topic, and so who reports: the only source of an event's department."""
    return events_topic_name.removeprefix(EVENTS_PREFIX)


def topics(departments: list[str], kind: Literal["all", "platform"] = "all") -> list[Topic]:
    """All topics of a platform with these departments, in the order of the flow."""
    platform = [
        Topic(QUARANTINE, "Quarantined", False, 90 * _DAY, "events set aside with a reason, to be sent again"),
        Topic(IDENTIFIED, "IdentifiedEvent", True, 7 * _DAY, "reports in one spelling, by subject"),
        Topic(
            RECORDS,
            "CreditRecord",
            True,
            None,
            "newest revision of each record, closed stubs and markers included: the state of register",
            compact=True,
            compaction_lag=7 * _DAY,
        ),
        Topic(HISTORY, "CreditRecord", True, None, "every revision, for ever"),
        Topic(
            CASES,
            "SubjectCases",
            True,
            None,
            "what is known of each subject with cases: the state of cases",
            compact=True,
            compaction_lag=_DAY,
        ),
        Topic(MEASURES, "Measure", True, None, "every transition of every case, for ever"),
        Topic(
            IN_FORCE,
            "Measure",
            True,
            None,
            "what binds now, and what ended; a heartbeat for each partition",
            compact=True,
            compaction_lag=30 * _DAY,
        ),
        Topic(ACKS, "Acknowledgement", False, None, "which enforcement service stopped enforcing what ended"),
        Topic(CONTROL, "Command", False, None, "what operators ordered; only they may write it"),
    ]
    if kind == "platform":
        return platform
    # Larger than any event, so that what is too large arrives and is quarantined with a reason, not stuck at a
    # producer.
    events = [
        Topic(
            events_topic(department),
            "CreditEvent",
            True,
            7 * _DAY,
            f"reports of {department}; only it may write here",
            message_bytes_max=8 * 1024 * 1024,
        )
        for department in departments
    ]
    receipts = [
        Topic(receipts_topic(department), "Receipt", False, 30 * _DAY, f"what became of each row of {department}")
        for department in departments
    ]
    return [*events, *platform, *receipts]


def _ms(span: timedelta) -> int:
    return round(span.total_seconds() * 1000)
