"""The lanes' side of `schemas.metrics`: one registry for a process, and histograms that take whole columns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from confluent_kafka import Consumer
from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from schemas.calendar import Calendar
from schemas.metrics import BY_NAME, METRICS, Metric
from schemas.reference import Department
from stream_processors.freshness import DAY_SECONDS, due_seconds
from stream_processors.kafka import Batch
from stream_processors.observations import Cells, Count


class ColumnHistogram(Collector):
    """A Prometheus histogram that takes a column of observations at once."""

    def __init__(self, metric: Metric, registry: CollectorRegistry) -> None:
        self._metric = metric
        self._bounds = np.array(metric.buckets)
        self._counts: dict[tuple[str, ...], np.ndarray[Any, Any]] = {}
        self._sums: dict[tuple[str, ...], float] = {}
        registry.register(self)

    def observe(self, labels: tuple[str, ...], values: Any) -> None:
        """Add observations (a number or a column of them) to the series with these label values."""
        column = np.atleast_1d(np.asarray(values, float))
        cells = np.bincount(np.searchsorted(self._bounds, column, "left"), minlength=len(self._bounds) + 1)
        self.add(labels, Cells(cells, float(column.sum())))

    def add(self, labels: tuple[str, ...], cells: Cells) -> None:
        """Add observations that lie in this histogram's buckets already."""
        self._counts[labels] = self._counts.get(labels, 0) + cells.counts
        self._sums[labels] = self._sums.get(labels, 0.0) + cells.total

    def collect(self) -> Iterable[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._metric.name, self._metric.help, labels=list(self._metric.labels))
        for labels, cells in list(self._counts.items()):
            cumulative = np.cumsum(cells)
            bounds = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
            buckets = list(zip(bounds, cumulative.tolist(), strict=True))
            family.add_metric(list(labels), buckets, self._sums[labels])
        yield family


class Registry:
    """Every declared metric, made once for a process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._looks: list[Callable[[], None]] = []
        self._metrics: dict[str, Any] = {}
        for metric in METRICS:
            if metric.kind == "histogram":
                self._metrics[metric.name] = ColumnHistogram(metric, self.registry)
            else:
                kind = Counter if metric.kind == "counter" else Gauge
                name = metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name
                self._metrics[metric.name] = kind(name, metric.help, metric.labels, registry=self.registry)

    def add(self, name: str, labels: Sequence[str], amount: float | Cells = 1) -> None:
        """Count up, or observe in a histogram. An amount of 0 makes the series of a counter known."""
        metric = self._metrics[name]
        if isinstance(amount, Cells):
            metric.add(tuple(labels), amount)
        elif BY_NAME[name].kind == "histogram":
            metric.observe(tuple(labels), amount)
        else:
            (metric.labels(*labels) if labels else metric).inc(amount)

    def set(self, name: str, labels: Sequence[str], value: float) -> None:
        metric = self._metrics[name]
        (metric.labels(*labels) if labels else metric).set(value)

    def observe(self, name: str, labels: tuple[str, ...], values: Any) -> None:
        self._metrics[name].observe(labels, values)

    def at_each_page(self, look: Callable[[], None]) -> None:
        """Call this before each page is written: for what is looked at, not counted."""
        self._looks.append(look)

    def page(self) -> bytes:
        """The text of /metrics."""
        for look in self._looks:
            look()
        return generate_latest(self.registry)


class LaneMetrics:
    """What a lane tells of itself."""

    def __init__(self, lane: str, registry: Registry) -> None:
        self.registry = registry
        self.last_rows = 0
        self._lane = lane
        self._newest_ms = 0
        self._stable_since: dict[tuple[str, int], tuple[int, float]] = {}

    def batch(self, batch: Batch, seconds: float, consumer: Consumer) -> None:
        """A committed batch."""
        self.last_rows = len(batch)
        self._newest_ms = int(batch.timestamps_ms.max())
        self.registry.observe("xinliu_batch_rows", (self._lane,), len(batch))
        self.registry.observe("xinliu_batch_seconds", (self._lane,), seconds)

    def committed(self, counts: list[Count], seconds: float) -> None:
        for name, labels, amount in counts:
            self.registry.add(name, labels, amount)
        self.registry.observe("xinliu_transaction_seconds", (self._lane,), seconds)

    def aborted(self) -> None:
        self.registry.add("xinliu_transactions_aborted_total", (self._lane,))

    def paused(self, topic: str, partition: int) -> None:
        self.registry.set("xinliu_partition_paused", (self._lane, topic, str(partition)), 1)

    def lag(self, lag: dict[tuple[str, int], int]) -> None:
        for (topic, partition), events in lag.items():
            self.registry.set("xinliu_lag_events", (self._lane, topic, str(partition)), events)
            self.registry.add("xinliu_partition_paused", (self._lane, topic, str(partition)), 0)
        age = time.time() - self._newest_ms / 1000 if self._newest_ms and sum(lag.values()) else 0.0
        self.registry.set("xinliu_lag_seconds", (self._lane,), max(0.0, age))

    def last_stable(self, topic: str, partition: int, stable: int, high: int) -> None:
        """Where readers of committed messages must stop, and the end. Under load there is always a short gap between
        them; a transaction that nobody ends shows in how long the first one has not moved."""
        place = topic, partition
        now = time.monotonic()
        before, since = self._stable_since.get(place, (-1, now))
        if before != stable or high <= stable:
            since = now
        self._stable_since[place] = stable, since
        self.registry.set("xinliu_last_stable_lag_events", (topic, str(partition)), max(0, high - stable))
        self.registry.set("xinliu_open_transaction_seconds", (topic, str(partition)), now - since)


class StoreMetrics:
    """What the store lane tells of itself."""

    def __init__(self, registry: Registry, departments: Mapping[str, Department], calendar: Calendar) -> None:
        self._registry = registry
        self._departments = departments
        self._calendar = calendar
        self._accepted: dict[str, float] = {}
        for name, department in departments.items():
            registry.set("xinliu_department_cadence_seconds", (name,), department.cadence_days * DAY_SECONDS)

    def accepted(self, newest_seconds: Mapping[str, float]) -> None:
        for name, moment in newest_seconds.items():
            if name not in self._departments or moment <= self._accepted.get(name, 0.0):
                continue
            self._accepted[name] = moment
            due = due_seconds(moment, self._departments[name].cadence_days, self._calendar)
            self._registry.set("xinliu_department_last_accepted_timestamp_seconds", (name,), moment)
            self._registry.set("xinliu_department_due_timestamp_seconds", (name,), due)

    def stored(self, table: str, rows: int, seconds: float) -> None:
        self._registry.add("xinliu_store_rows_total", (table,), rows)
        self._registry.observe("xinliu_store_insert_seconds", (table,), seconds)

    def readable(self, seconds: Any) -> None:
        if len(seconds):
            self._registry.observe("xinliu_end_to_end_seconds", ("readable",), seconds)

    def queryable(self, seconds: Any) -> None:
        if len(seconds):
            self._registry.observe("xinliu_end_to_end_seconds", ("queryable",), seconds)

    def lag(self, events: Mapping[tuple[str, int], int], newest_ms: float) -> None:
        for (topic, partition), behind in events.items():
            self._registry.set("xinliu_lag_events", ("store", topic, str(partition)), behind)
            self._registry.add("xinliu_partition_paused", ("store", topic, str(partition)), 0)
        age = time.time() - newest_ms / 1000 if newest_ms and sum(events.values()) else 0.0
        self._registry.set("xinliu_lag_seconds", ("store",), max(0.0, age))

    def paused(self, topic: str, partition: int, waits: bool) -> None:
        self._registry.set("xinliu_partition_paused", ("store", topic, str(partition)), int(waits))
