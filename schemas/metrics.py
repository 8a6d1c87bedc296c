"""Every metric, declared once: the lanes count with them, docs, alerts and dashboards are checked against them."""

from dataclasses import dataclass
from typing import Literal

from schemas.timeliness import DELAY_BUCKETS_WORKING_DAYS

_SECONDS_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SECONDS_END_TO_END = (
    0.01,
    0.025,
    0.05,
    0.1,
    0.15,
    0.2,
    0.3,
    0.4,
    0.5,
    0.75,
    1.0,
    1.5,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
)
_ROWS = (1.0, 10.0, 100.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0, 50_000.0, 100_000.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: Prometheus name, kind, labels, and the sentence on its HELP line. Units last in the name."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


METRICS: tuple[Metric, ...] = (
    Metric("xinliu_events_total", "counter", "events that a lane took and committed", ("lane", "department")),
    Metric("xinliu_outcomes_total", "counter", "events by what became of them", ("lane", "department", "outcome")),
    Metric(
        "xinliu_refusals_total",
        "counter",
        "events refused, by the kind of what the line forbids",
        ("department", "reason", "kind"),
    ),
    Metric("xinliu_quarantined_total", "counter", "events set aside, by reason", ("department", "reason")),
    Metric(
        "xinliu_repairs_total",
        "counter",
        "reports of a credit repair that took effect on a record",
        ("department",),
    ),
    Metric(
        "xinliu_reports_timed_total",
        "counter",
        "first reports of a decision, against 7 working days: in_time, late, provisional (a year without an announced "
        "calendar), undated; rule: law for licences and penalties, yardstick for the rest",
        ("department", "rule", "verdict"),
    ),
    Metric(
        "xinliu_reporting_delay_working_days",
        "histogram",
        "working days from the decision to its first report, of those that are in time or late",
        ("department", "rule"),
        DELAY_BUCKETS_WORKING_DAYS,
    ),
    Metric(
        "xinliu_department_last_accepted_timestamp_seconds",
        "gauge",
        "when a report of the department was last accepted, in seconds since 1970; absent before the first",
        ("department",),
    ),
    Metric(
        "xinliu_department_cadence_seconds",
        "gauge",
        "how often the department has declared to report",
        ("department",),
    ),
    Metric(
        "xinliu_department_due_timestamp_seconds",
        "gauge",
        "end of the day by which the department's next report is due, in seconds since 1970: its cadence after the "
        "last accepted one, moved on to a working day",
        ("department",),
    ),
    Metric(
        "xinliu_pilot_unit_events_total",
        "counter",
        "events of a pilot unit by what became of them; units overlap, so they do not add up",
        ("unit", "outcome"),
    ),
    Metric(
        "xinliu_pilot_unit_repairs_total",
        "counter",
        "reports of a credit repair that took effect on a record of a pilot unit; units overlap",
        ("unit",),
    ),
    Metric(
        "xinliu_pilot_unit_reports_timed_total",
        "counter",
        "the same as xinliu_reports_timed_total, by pilot unit; units overlap",
        ("unit", "rule", "verdict"),
    ),
    Metric(
        "xinliu_pilot_unit_reporting_delay_working_days",
        "histogram",
        "the same as xinliu_reporting_delay_working_days, by pilot unit; units overlap",
        ("unit", "rule"),
        DELAY_BUCKETS_WORKING_DAYS,
    ),
    Metric("xinliu_batch_rows", "histogram", "events in a batch", ("lane",), _ROWS),
    Metric("xinliu_batch_seconds", "histogram", "work on a batch, from taken to committed", ("lane",), _SECONDS_SHORT),
    Metric(
        "xinliu_transaction_seconds",
        "histogram",
        "an open transaction, from begin to committed",
        ("lane",),
        _SECONDS_SHORT,
    ),
    Metric(
        "xinliu_transactions_aborted_total", "counter", "transactions aborted; their events were taken again", ("lane",)
    ),
    Metric(
        "xinliu_lag_events",
        "gauge",
        "events between the committed position and the end",
        ("lane", "topic", "partition"),
    ),
    Metric("xinliu_lag_seconds", "gauge", "age of the newest committed event while there is lag, else 0", ("lane",)),
    Metric(
        "xinliu_last_stable_lag_events",
        "gauge",
        "high watermark minus last stable offset: an open transaction upstream",
        ("topic", "partition"),
    ),
    Metric(
        "xinliu_open_transaction_seconds",
        "gauge",
        "how long the last stable offset has stood still below the high watermark; 0 = it does not",
        ("topic", "partition"),
    ),
    Metric(
        "xinliu_partition_paused",
        "gauge",
        "1 = the partition waits for a reader that knows its schema id",
        ("lane", "topic", "partition"),
    ),
    Metric(
        "xinliu_state_rows",
        "gauge",
        "records and markers in register's state, subjects in that of cases",
        ("partition",),
    ),
    Metric("xinliu_restore_seconds", "gauge", "the last restore of the state of register or cases", ("partition",)),
    Metric("xinliu_transitions_total", "counter", "transitions of cases", ("rule", "transition")),
    Metric("xinliu_cases", "gauge", "cases by the state that was told last; processes add up", ("state",)),
    Metric(
        "xinliu_end_acknowledged_seconds",
        "histogram",
        "from the report of an event that ended a measure to the word of an enforcement service, by its clock, that it "
        "stopped",
        ("service",),
        _SECONDS_END_TO_END,
    ),
    Metric(
        "xinliu_deliveries_total",
        "counter",
        "attempts of ops to tell a reader of a transition: delivered, failed (tried again) or dead",
        ("reader", "outcome"),
    ),
    Metric("xinliu_deliveries_waiting", "gauge", "transitions that a reader of ops is still to be told", ("reader",)),
    Metric(
        "xinliu_dead_letters", "gauge", "transitions that ops gave up telling; an operator may redrive", ("reader",)
    ),
    Metric("xinliu_expired_total", "counter", "records closed because their publication ended", ()),
    Metric("xinliu_starts_total", "counter", "starts of a lane's process since its data folder was made", ("lane",)),
    Metric("xinliu_store_rows_total", "counter", "rows that ClickHouse acknowledged", ("table",)),
    Metric("xinliu_store_insert_seconds", "histogram", "one insert into ClickHouse", ("table",), _SECONDS_SHORT),
    Metric(
        "xinliu_end_to_end_seconds",
        "histogram",
        "from reported by the adapter to readable in credit.records, and to queryable in the store",
        ("stage",),
        _SECONDS_END_TO_END,
    ),
    Metric(
        "xinliu_verify_timestamp_seconds",
        "gauge",
        "when xinliu verify last judged the whole platform from this machine, in seconds since 1970; 0 = never",
        ("lane",),
    ),
    Metric(
        "xinliu_verify_ok",
        "gauge",
        "1 = that verification found no difference, 0 = it did; absent before the first",
        ("lane",),
    ),
    Metric("xinliu_disk_free_bytes", "gauge", "free room where the lane keeps its data", ("lane",)),
    Metric("xinliu_disk_size_bytes", "gauge", "all room where the lane keeps its data", ("lane",)),
)

GIVEN_METRICS: tuple[str, ...] = (
    "up",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
)
"""Not ours: `up` is Prometheus' own, the others are of its client library, on the page of each lane."""

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS}
