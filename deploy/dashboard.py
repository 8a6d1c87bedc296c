"""The Grafana dashboard as code: rows of panels with their queries; `deploy/dashboards/xinliu.json` is written of it.

Import the file in Grafana 10 or newer and choose the Prometheus that reads `deploy/prometheus.yml`. Every query is run
in the tests against a live Prometheus. Pilot units are shown by throughput, timeliness, quality and repairs; no panel
ranks bodies or units by punishments, and none may.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal

FILE = Path(__file__).parent / "dashboards" / "xinliu.json"

_COLUMNS = 24
_HEIGHT = 8
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_D, _U = '{department=~"$department"}', '{unit=~"$unit"}'
_OF_D, _OF_U = 'department=~"$department"', 'unit=~"$unit"'
_RATE = "[$__rate_interval]"


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and what its series are called."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture.

    Attributes:
        unit: as Grafana names units. columns: of 24.
    """

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Literal["timeseries", "stat", "table"] = "timeseries"
    columns: int = 8


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


def _share(part: str, whole: str, by: str) -> str:
    return f"sum by ({by}) (increase({part}[1h])) / sum by ({by}) (increase({whole}[1h]))"


def _quantile(share: str, histogram: str, by: str = "", matchers: str = "") -> str:
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket{{{matchers}}}{_RATE})))"


OVERVIEW = Row(
    "Overview",
    (
        Panel(
            "Events",
            "Events that each lane committed, per second.",
            "reqps",
            (Query(f"sum by (lane) (rate(xinliu_events_total{_RATE}))", "{{lane}}"),),
        ),
        Panel(
            "Outcomes",
            "What became of the events, per second. Each event has exactly one outcome.",
            "reqps",
            (Query(f"sum by (outcome) (rate(xinliu_outcomes_total{_RATE}))", "{{outcome}}"),),
        ),
        Panel(
            "Reported to readable",
            "From reported by the adapter to readable in credit.records; promised: 1 s at the 99th percentile.",
            "s",
            tuple(
                Query(_quantile(share, "xinliu_end_to_end_seconds", matchers='stage="readable"'), name)
                for share, name in (("0.5", "median"), ("0.99", "p99"))
            ),
        ),
        Panel(
            "Lag in seconds",
            "Age of the newest committed event while more wait; 0 = nothing waits.",
            "s",
            (Query("max by (lane) (xinliu_lag_seconds)", "{{lane}}"),),
        ),
        Panel(
            "Lag in events",
            "Events between the committed position and the end.",
            "short",
            (Query("sum by (lane) (xinliu_lag_events)", "{{lane}}"),),
        ),
        Panel(
            "Open transactions",
            "High watermark minus last stable offset, and how long the latter has stood still.",
            "short",
            (
                Query("max by (topic) (xinliu_last_stable_lag_events)", "{{topic}}, events"),
                Query("max by (topic) (xinliu_open_transaction_seconds)", "{{topic}}, seconds"),
            ),
        ),
    ),
)

DEPARTMENTS = Row(
    "Departments: $department",
    (
        Panel(
            "Events by department",
            "Events that intake took, per second.",
            "reqps",
            (
                Query(
                    f'sum by (department) (rate(xinliu_events_total{{lane="intake", {_OF_D}}}{_RATE}))',
                    "{{department}}",
                ),
            ),
        ),
        Panel(
            "Records by department",
            "New records and new states of records, per second.",
            "reqps",
            (
                Query(
                    "sum by (department) (rate("
                    f'xinliu_outcomes_total{{lane="register", outcome=~"new|superseding", {_OF_D}}}{_RATE}))',
                    "{{department}}",
                ),
            ),
        ),
        Panel(
            "Share set aside",
            "Quarantined events of the last hour, of all.",
            "percentunit",
            (
                Query(
                    _share(
                        f'xinliu_outcomes_total{{lane="intake", outcome="quarantined", {_OF_D}}}',
                        f'xinliu_events_total{{lane="intake", {_OF_D}}}',
                        "department",
                    ),
                    "{{department}}",
                ),
            ),
        ),
        Panel(
            "Set aside, by reason",
            "Quarantined events of the last hour by reason; deploy/reference.md says what each means.",
            "short",
            (Query(f"sum by (reason) (increase(xinliu_quarantined_total{_D}[1h]))", "{{reason}}"),),
        ),
        Panel(
            "Refused, by kind",
            "Events of the last hour that the platform may not hold, by kind. Nothing of them is kept.",
            "short",
            (Query(f"sum by (reason, kind) (increase(xinliu_refusals_total{_D}[1h]))", "{{reason}} {{kind}}"),),
        ),
        Panel(
            "In time",
            "First reports of the last day within 7 working days of the decision. law: licences and penalties, where "
            "the term is the law's; yardstick: other decisions.",
            "percentunit",
            (
                Query(
                    "sum by (department, rule) (increase("
                    f'xinliu_reports_timed_total{{verdict="in_time", {_OF_D}}}[1d]))'
                    " / sum by (department, rule) (increase("
                    f'xinliu_reports_timed_total{{verdict=~"in_time|late", {_OF_D}}}[1d]))',
                    "{{department}}, {{rule}}",
                ),
            ),
        ),
        Panel(
            "Delay of reports",
            "Working days from the decision to its first report: nine in ten came within.",
            "short",
            (
                Query(
                    "histogram_quantile(0.9, sum by (department, rule, le) (increase("
                    f"xinliu_reporting_delay_working_days_bucket{_D}[1d])))",
                    "{{department}}, {{rule}}",
                ),
            ),
        ),
        Panel(
            "Freshness",
            "Time since the last accepted report, and the declared cadence.",
            "s",
            (
                Query(
                    f"time() - max by (department) (xinliu_department_last_accepted_timestamp_seconds{_D})",
                    "{{department}}, last report",
                ),
                Query(f"max by (department) (xinliu_department_cadence_seconds{_D})", "{{department}}, cadence"),
            ),
        ),
        Panel(
            "Next report is due in",
            "By the declared cadence, moved on to a working day; negative = overdue.",
            "s",
            (Query(f"max by (department) (xinliu_department_due_timestamp_seconds{_D}) - time()", "{{department}}"),),
        ),
    ),
)

UNITS = Row(
    "Pilot units: $unit (units overlap and do not add up)",
    (
        Panel(
            "Events by unit",
            "Events of each unit, per second.",
            "reqps",
            (Query(f"sum by (unit) (rate(xinliu_pilot_unit_events_total{_U}{_RATE}))", "{{unit}}"),),
        ),
        Panel(
            "In time, by unit",
            "First reports of the last day within 7 working days of the decision.",
            "percentunit",
            (
                Query(
                    f'sum by (unit) (increase(xinliu_pilot_unit_reports_timed_total{{verdict="in_time", {_OF_U}}}[1d]))'
                    " / sum by (unit) (increase("
                    f'xinliu_pilot_unit_reports_timed_total{{verdict=~"in_time|late", {_OF_U}}}[1d]))',
                    "{{unit}}",
                ),
            ),
        ),
        Panel(
            "Delay of reports, by unit",
            "Working days from the decision to its first report: nine in ten came within.",
            "short",
            (
                Query(
                    "histogram_quantile(0.9, sum by (unit, le) (increase("
                    f"xinliu_pilot_unit_reporting_delay_working_days_bucket{_U}[1d])))",
                    "{{unit}}",
                ),
            ),
        ),
        Panel(
            "Share set aside, by unit",
            "Quarantined events of the last hour, of all.",
            "percentunit",
            (
                Query(
                    _share(
                        f'xinliu_pilot_unit_events_total{{outcome="quarantined", {_OF_U}}}',
                        f"xinliu_pilot_unit_events_total{_U}",
                        "unit",
                    ),
                    "{{unit}}",
                ),
            ),
        ),
        Panel(
            "Repairs by unit",
            "Credit repairs of the last day that took effect on records.",
            "short",
            (Query(f"sum by (unit) (increase(xinliu_pilot_unit_repairs_total{_U}[1d]))", "{{unit}}"),),
        ),
        Panel(
            "Repairs by department",
            "Credit repairs of the last day that took effect on records.",
            "short",
            (Query(f"sum by (department) (increase(xinliu_repairs_total{_D}[1d]))", "{{department}}"),),
        ),
    ),
)

STORE = Row(
    "Store",
    (
        Panel(
            "Rows stored",
            "Rows that ClickHouse acknowledged, per second.",
            "reqps",
            (Query(f"sum by (table) (rate(xinliu_store_rows_total{_RATE}))", "{{table}}"),),
        ),
        Panel(
            "Insert",
            "One insert: median, and one in a hundred.",
            "s",
            tuple(
                Query(_quantile(share, "xinliu_store_insert_seconds", "table"), f"{{{{table}}}}, {name}")
                for share, name in (("0.5", "median"), ("0.99", "p99"))
            ),
        ),
        Panel(
            "Reported to queryable",
            "From reported by the adapter to queryable in the store.",
            "s",
            tuple(
                Query(_quantile(share, "xinliu_end_to_end_seconds", matchers='stage="queryable"'), name)
                for share, name in (("0.5", "median"), ("0.99", "p99"))
            ),
        ),
    ),
)

MEASURES = Row(
    "Measures",
    (
        Panel(
            "Cases",
            "Cases by state. A draft binds nobody.",
            "short",
            (Query("sum by (state) (xinliu_cases)", "{{state}}"),),
        ),
        Panel(
            "Transitions",
            "Of all cases, per second.",
            "short",
            (Query(f"sum by (transition) (rate(xinliu_transitions_total{_RATE}))", "{{transition}}"),),
        ),
        Panel(
            "Ends acknowledged",
            "From the report that ends a measure to the word of an enforcement service that it stopped; promised: 1 s "
            "at the 99th percentile.",
            "s",
            tuple(
                Query(_quantile(share, "xinliu_end_acknowledged_seconds", "service"), f"{{{{service}}}}, {name}")
                for share, name in (("0.5", "median"), ("0.99", "p99"))
            ),
        ),
    ),
)

PROCESSES = Row(
    "Processes",
    (
        Panel("Up", "1 = Prometheus reads the lane.", "short", (Query("up", "{{job}}"),), columns=6),
        Panel(
            "Starts",
            "Starts of a lane in the last hour.",
            "short",
            (Query("max by (lane) (increase(xinliu_starts_total[1h]))", "{{lane}}"),),
            columns=6,
        ),
        Panel(
            "Processor",
            "Cores in use.",
            "short",
            (Query(f"rate(process_cpu_seconds_total{_RATE})", "{{job}}"),),
            columns=6,
        ),
        Panel("Memory", "Resident memory.", "bytes", (Query("process_resident_memory_bytes", "{{job}}"),), columns=6),
        Panel(
            "Batches",
            "Work on a batch, from taken to committed, and its transaction: one in a hundred.",
            "s",
            (
                Query(_quantile("0.99", "xinliu_batch_seconds", "lane"), "{{lane}}, batch"),
                Query(_quantile("0.99", "xinliu_transaction_seconds", "lane"), "{{lane}}, transaction"),
            ),
            columns=6,
        ),
        Panel(
            "Events in a batch",
            "On average.",
            "short",
            (
                Query(
                    f"sum by (lane) (rate(xinliu_batch_rows_sum{_RATE}))"
                    f" / sum by (lane) (rate(xinliu_batch_rows_count{_RATE}))",
                    "{{lane}}",
                ),
            ),
            columns=6,
        ),
        Panel(
            "Aborted",
            "Transactions aborted in the last hour; their events were taken again.",
            "short",
            (Query("sum by (lane) (increase(xinliu_transactions_aborted_total[1h]))", "{{lane}}"),),
            columns=6,
        ),
        Panel(
            "Paused partitions",
            "Partitions that wait for a reader that knows their schema id.",
            "short",
            (Query("sum by (lane) (xinliu_partition_paused)", "{{lane}}"),),
            columns=6,
        ),
        Panel(
            "State",
            "Records and markers in register's state, subjects in that of cases.",
            "short",
            (Query("sum by (job, partition) (xinliu_state_rows)", "{{job}}, {{partition}}"),),
            columns=6,
        ),
        Panel(
            "Restore",
            "The last restore of the state of register and cases.",
            "s",
            (Query("max by (job, partition) (xinliu_restore_seconds)", "{{job}}, {{partition}}"),),
            columns=6,
        ),
        Panel(
            "Free disk",
            "Where the lanes keep their data.",
            "percentunit",
            (Query("min by (lane) (xinliu_disk_free_bytes / xinliu_disk_size_bytes)", "{{lane}}"),),
            columns=6,
        ),
        Panel(
            "Since the last verification",
            "Of the whole platform by xinliu verify; as old as 1970 where there was none.",
            "s",
            (Query("time() - max(xinliu_verify_timestamp_seconds)", "age"),),
            kind="stat",
            columns=6,
        ),
    ),
)

ROWS = (OVERVIEW, DEPARTMENTS, UNITS, MEASURES, STORE, PROCESSES)

VARIABLES = (
    ("department", "Department", "xinliu_department_cadence_seconds"),
    ("unit", "Pilot unit", "xinliu_pilot_unit_events_total"),
)
"""(label, what people read, the metric that has all of its values)."""


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana's JSON model."""
    return {
        "uid": "xinliu",
        "title": "Xinliu 信流",
        "description": "Throughput, timeliness, quality and freshness by department and pilot unit; lanes and store.",
        "tags": ["xinliu"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource(), *(_variable(*each) for each in VARIABLES)]},
        "annotations": {"list": []},
        "links": [],
        "panels": list(_panels(ROWS)),
    }


def page() -> str:
    """The whole of `deploy/dashboards/xinliu.json`."""
    return json.dumps(dashboard(), ensure_ascii=False, indent=1) + "\n"


def _panels(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Rows and panels with their places, from left to right and from above."""
    numbers = count(1)
    y = 0
    for row in rows:
        place = {"h": 1, "w": _COLUMNS, "x": 0, "y": y}
        yield {
            "id": next(numbers),
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": place,
            "panels": [],
        }
        y, x = y + 1, 0
        for panel in row.panels:
            if x + panel.columns > _COLUMNS:
                x, y = 0, y + _HEIGHT
            yield _panel(panel, next(numbers), x, y)
            x += panel.columns
        y += _HEIGHT


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _DATASOURCE,
        "gridPos": {"h": _HEIGHT, "w": panel.columns, "x": x, "y": y},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _DATASOURCE,
                "expr": query.expr,
                "legendFormat": query.legend,
                "editorMode": "code",
                "range": True,
            }
            for index, query in enumerate(panel.queries)
        ],
    }


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0}


def _variable(label: str, words: str, metric: str) -> dict[str, Any]:
    query = f"label_values({metric}, {label})"
    return {
        "name": label,
        "label": words,
        "type": "query",
        "datasource": _DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": label},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
    }
