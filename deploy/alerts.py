"""What an operator is woken or told for: `deploy/alerts.yml` is written of it, `deploy/runbook.md` explains it.

Each alert has a section of its name in `deploy/runbook.md`. Windows are at least four scrape intervals of
`deploy/prometheus.yml`. Non-goals: routing and silences, which belong to Alertmanager.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from typing import Literal

FILE = Path(__file__).parent / "alerts.yml"
RUNBOOK = "deploy/runbook.md"


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule.

    Attributes:
        expr: PromQL; the alert fires for each series that it returns, once that has lasted.
        lasts: how long before it fires, as Prometheus writes durations.
        severity: `page` = somebody has to look now; `ticket` = on a working day.
        summary, description: texts with Prometheus' templates; they name labels and figures, never data.
    """

    name: str
    expr: str
    lasts: str
    severity: Literal["page", "ticket"]
    summary: str
    description: str

    @property
    def runbook_url(self) -> str:
        """The section in the runbook: its heading as an anchor."""
        return f"{RUNBOOK}#{self.name.lower()}"


ALERTS: tuple[Alert, ...] = (
    # -- lanes ----------------------------------------------------------------------------------------------------
    Alert(
        "LaneDown",
        'up{job=~"intake|register|cases|store|ops"} == 0',
        "1m",
        "page",
        "the lane {{ $labels.job }} does not answer",
        "Prometheus has not been able to read {{ $labels.instance }} for a minute: the process is down or stuck. "
        "Events wait in Kafka meanwhile and are not lost.",
    ),
    Alert(
        "LaneRestartsLoop",
        "max by (lane) (increase(xinliu_starts_total[10m])) > 3",
        "0m",
        "page",
        "the lane {{ $labels.lane }} starts again and again",
        "{{ $value | humanize }} starts in 10 minutes. One restart is the normal way back from trouble; a loop of them "
        "has a cause that a restart does not mend.",
    ),
    Alert(
        "LaneLagging",
        "max by (lane) (xinliu_lag_seconds) > 30",
        "1m",
        "page",
        "the lane {{ $labels.lane }} is {{ $value | humanizeDuration }} behind",
        "The newest event that the lane has committed is {{ $value | humanizeDuration }} old while more wait.",
    ),
    Alert(
        "LaneMakesNoProgress",
        """
        sum by (lane) (xinliu_lag_events) > 0
          unless on (lane) sum by (lane) (increase(xinliu_batch_rows_count[2m])) > 0
          unless on (lane) label_replace(sum(increase(xinliu_store_rows_total[2m])) > 0, "lane", "store", "", "")
        """,
        "1m",
        "page",
        "the lane {{ $labels.lane }} has work and does none",
        "{{ $value | humanize }} events wait, and for two minutes none was committed.",
    ),
    Alert(
        "OpenTransaction",
        "max by (topic, partition) (xinliu_open_transaction_seconds) > 15",
        "0m",
        "page",
        "a transaction on {{ $labels.topic }}[{{ $labels.partition }}] does not end",
        "The last stable offset has stood still below the high watermark for {{ $value | humanizeDuration }}, longer "
        "than the 10 seconds after which a broker ends a transaction. Readers of committed messages wait behind it.",
    ),
    Alert(
        "TransactionsAborted",
        "sum by (lane) (increase(xinliu_transactions_aborted_total[5m])) > 5",
        "0m",
        "ticket",
        "the lane {{ $labels.lane }} aborts transactions",
        "{{ $value | humanize }} transactions were aborted in 5 minutes. Their events were taken again and nothing is "
        "lost, but the lane works for nothing.",
    ),
    Alert(
        "PartitionPaused",
        "max by (lane, topic, partition) (xinliu_partition_paused) == 1",
        "0m",
        "page",
        "{{ $labels.topic }}[{{ $labels.partition }}] waits in the lane {{ $labels.lane }}: its schema id is unknown",
        "The partition holds an event in a schema that this version of the lane does not know, and waits before it.",
    ),
    Alert(
        "EndToEndSlow",
        'histogram_quantile(0.99, sum by (le) (rate(xinliu_end_to_end_seconds_bucket{stage="readable"}[5m]))) > 1',
        "5m",
        "ticket",
        "one record in a hundred takes {{ $value | humanizeDuration }} from its adapter to readers",
        "The promise is one second from reported by the adapter to readable in credit.records, at the 99th percentile.",
    ),
    Alert(
        "EndReachesServicesSlowly",
        "histogram_quantile(0.99, sum by (le, service) (rate(xinliu_end_acknowledged_seconds_bucket[15m]))) > 1",
        "15m",
        "ticket",
        "the service {{ $labels.service }} stops enforcing {{ $value | humanizeDuration }} after an end is reported",
        "The promise is one second from the report that ends a measure to the word of whoever enforces it that it has "
        "stopped, at the 99th percentile.",
    ),
    Alert(
        "RestoreSlow",
        "max by (job, partition) (xinliu_restore_seconds) > 60",
        "0m",
        "ticket",
        "{{ $labels.job }} took {{ $value | humanizeDuration }} to restore its partition {{ $labels.partition }}",
        "Until its state is restored a partition waits: an outage of the lane is at least so long.",
    ),
    # -- departments ----------------------------------------------------------------------------------------------
    Alert(
        "QuarantineShareHigh",
        """
        sum by (department) (increase(xinliu_outcomes_total{lane="intake", outcome="quarantined"}[15m]))
          / sum by (department) (increase(xinliu_events_total{lane="intake"}[15m])) > 0.2
          and sum by (department) (increase(xinliu_events_total{lane="intake"}[15m])) > 100
        """,
        "0m",
        "ticket",
        "{{ $value | humanizePercentage }} of what {{ $labels.department }} sends is set aside",
        "More than a fifth of the department's events of the last 15 minutes went to quarantine: its form has changed, "
        "or its mapping is wrong.",
    ),
    Alert(
        "PersonalNumbersRefused",
        "sum by (department) (increase("
        'xinliu_refusals_total{reason=~"personal_number|person_row|subject_is_person"}[10m])) > 10',
        "0m",
        "page",
        "rows about natural persons come from {{ $labels.department }}",
        "Intake refused {{ $value | humanize }} events with personal numbers in 10 minutes. Nothing of them was kept; "
        "but they passed the department's adapter, which should have refused them before anything was sent.",
    ),
    Alert(
        "DepartmentSilent",
        "time() - max by (department) (xinliu_department_due_timestamp_seconds) > 0",
        "15m",
        "ticket",
        "{{ $labels.department }} has not reported by the day that it declared",
        "A report was due {{ $value | humanizeDuration }} ago by the department's own cadence, holidays considered.",
    ),
    Alert(
        "ReportsLate",
        """
        sum by (department) (increase(xinliu_reports_timed_total{rule="law", verdict="late"}[1d]))
          / sum by (department) (increase(xinliu_reports_timed_total{rule="law", verdict=~"in_time|late"}[1d])) > 0.1
          and sum by (department) (increase(xinliu_reports_timed_total{rule="law", verdict=~"in_time|late"}[1d])) > 20
        """,
        "0m",
        "ticket",
        "{{ $value | humanizePercentage }} of what {{ $labels.department }} decided came later than 7 working days",
        "Licences and penalties are to be published within seven working days of the decision. Years without an "
        "announced calendar are not counted against anybody.",
    ),
    # -- the store and the proof ----------------------------------------------------------------------------------
    Alert(
        "StoreParkedRows",
        'sum(increase(xinliu_store_rows_total{table="parked"}[15m])) > 0',
        "0m",
        "ticket",
        "the store could not hold {{ $value | humanize }} messages",
        "Messages that no table can hold were parked: the table `parked` names their places, their bytes are in Kafka.",
    ),
    Alert(
        "StoreInsertsSlow",
        "histogram_quantile(0.99, sum by (table, le) (rate(xinliu_store_insert_seconds_bucket[5m]))) > 5",
        "5m",
        "ticket",
        "inserts into {{ $labels.table }} take {{ $value | humanizeDuration }}",
        "One insert in a hundred takes longer than 5 seconds: ClickHouse is busy, merging, or short of memory.",
    ),
    Alert(
        "DeliveriesWaiting",
        "min_over_time(xinliu_deliveries_waiting[1h]) > 0",
        "0m",
        "ticket",
        "{{ $labels.reader }} has not been told everything for an hour",
        "{{ $value | humanize }} transitions of cases or more have waited for this reader of ops for an hour. They are "
        "not lost, and nobody else waits for them.",
    ),
    Alert(
        "DeadLetters",
        "xinliu_dead_letters > 0",
        "5m",
        "ticket",
        "{{ $value | humanize }} transitions were given up for {{ $labels.reader }}",
        "The receiver refused them, or did not answer for three days. They are kept; an operator may send them again.",
    ),
    Alert(
        "VerifyFailed",
        "min(xinliu_verify_ok) == 0",
        "0m",
        "page",
        "the last verification found that something was lost, doubled or changed",
        "xinliu verify compared the topics and the store from outside, and they disagree.",
    ),
    Alert(
        "VerifyTooOld",
        "time() - max(xinliu_verify_timestamp_seconds) > 2 * 86400",
        "1h",
        "ticket",
        "the platform was not verified for two days",
        "xinliu verify has not judged the whole platform from this machine for two days, or never.",
    ),
    Alert(
        "DiskNearlyFull",
        "min by (lane) (xinliu_disk_free_bytes / xinliu_disk_size_bytes) < 0.1",
        "5m",
        "page",
        "the disk of the lane {{ $labels.lane }} has {{ $value | humanizePercentage }} left",
        "A lane that can not write its checkpoints restores for longer, and a broker without room stops taking events.",
    ),
)


def page() -> str:
    """The whole of `deploy/alerts.yml`."""
    head = (
        "# Written by `make docs` from deploy/alerts.py; do not edit. Each alert is explained in deploy/runbook.md.\n"
        "# runbook_url is relative to the repository: put the address of yours before it where people click on it.\n"
        "# Rules tested with promtool 2.42.\n"
        "groups:\n  - name: xinliu\n    rules:\n"
    )
    return head + "".join(indent(_rule(alert), " " * 6) for alert in ALERTS)


def _rule(alert: Alert) -> str:
    expr = indent(dedent(alert.expr).strip(), " " * 4)
    texts = {"summary": alert.summary, "description": alert.description, "runbook_url": alert.runbook_url}
    annotations = "".join(f"    {name}: {json.dumps(text, ensure_ascii=False)}\n" for name, text in texts.items())
    return (
        f"- alert: {alert.name}\n"
        f"  expr: |-\n{expr}\n"
        f"  for: {alert.lasts}\n"
        f"  labels:\n    severity: {alert.severity}\n"
        f"  annotations:\n{annotations}"
    )
