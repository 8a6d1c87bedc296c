"""The dashboard: its file is Grafana's, its metrics are declared, and every query finds something under load."""

import json
import re
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from measure_builders import acknowledge
from stacks import Stack, wait_for
from test_alerts import undeclared

from deploy import alerts, dashboard
from deploy.local.http import http_get
from deploy.local.processes import free_port_base, wait_until
from deploy.local.stack import LANES

CONFIG = Path(alerts.__file__).parent / "prometheus.yml"
QUERIES = [
    (row.title, panel.title, query.expr) for row in dashboard.ROWS for panel in row.panels for query in panel.queries
]
DEPARTMENTS = ("market", "environment")
EVENTS = 3_000
EVENTS_PER_SECOND = 1_000
# What a lane counts for the first time, Prometheus sees rise from the second reading on; it reads once a second here.
READINGS = 4


def test_every_metric_in_the_dashboard_is_declared() -> None:
    assert undeclared([expr for _, _, expr in QUERIES] + [metric for _, _, metric in dashboard.VARIABLES]) == set()


def test_panels_lie_beside_each_other_and_nothing_is_told_of_punishments() -> None:
    taken: set[tuple[int, int]] = set()
    made = dashboard.dashboard()
    for panel in made["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in made["panels"]}) == len(made["panels"])
    assert not re.search(r"topk|bottomk|sort|penalt|punish|category", " ".join(expr for _, _, expr in QUERIES))


def test_the_file_that_is_handed_out_is_the_one_of_the_code() -> None:
    assert dashboard.FILE.read_text("utf-8") == dashboard.page()
    assert alerts.FILE.read_text("utf-8") == alerts.page()


class Prometheus:
    """A running one, asked over its HTTP interface."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str, **parameters: str) -> Any:
        body = http_get(self.port, f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        return json.loads(body)["data"] if body else None

    def values(self, expr: str) -> list[float]:
        """What a query finds now, one number for each series."""
        found = self.ask("query", query=expr)
        assert found is not None, f"Prometheus does not take {expr}"
        return [float(sample["value"][1]) for sample in found["result"]]

    def has_read_all(self) -> bool:
        """Every lane, often enough for a rate."""
        found = self.ask("query", query="count_over_time(up[1h]) * min_over_time(up[2s])")
        return bool(found) and sum(float(each["value"][1]) >= READINGS for each in found["result"]) == len(LANES)


@contextmanager
def prometheus(stack: Stack, folder: Path) -> Iterator[Prometheus]:
    """The real one with our configuration, but for the ports of this stack and a reading each second."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed (Debian package prometheus)")
    base = stack.settings.port_base
    text = CONFIG.read_text("utf-8").replace("scrape_interval: 5s", "scrape_interval: 1s")
    text = text.replace("scrape_timeout: 4s", "scrape_timeout: 1s")
    text = re.sub(r"127\.0\.0\.1:195(\d\d)", lambda found: f"127.0.0.1:{base + int(found[1])}", text)
    (folder / "prometheus.yml").write_text(text, "utf-8")
    shutil.copy(alerts.FILE, folder / "alerts.yml")
    port = free_port_base(1)
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        running = Prometheus(port)
        wait_for(running.has_read_all, f"Prometheus reads the lanes; see {folder / 'prometheus.log'}")
        yield running
    finally:
        process.terminate()
        process.wait(20)


def test_every_query_finds_a_series_and_every_rule_is_sound_while_the_lanes_work(
    running_stack: Stack, tmp_path: Path
) -> None:
    with prometheus(running_stack, tmp_path) as live:
        for seed, department in enumerate(DEPARTMENTS, 71):
            with running_stack.simulating(department, seed, EVENTS, EVENTS_PER_SECOND):
                pass
        # As from a service that enforces; a rate needs a second word after the first one was read.
        acknowledge(running_stack.settings, "dashboard", 0.2)
        wait_until(lambda: bool(live.values("xinliu_end_acknowledged_seconds_count")), 30)
        acknowledge(running_stack.settings, "dashboard", 0.3)
        wait_until(lambda: silent(live) == [], 60)
        assert silent(live) == []
        rules = [rule for group in live.ask("rules")["groups"] for rule in group["rules"]]
        assert {rule["name"] for rule in rules} == {alert.name for alert in alerts.ALERTS}
        assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] == "err"] == []


def silent(live: Prometheus) -> list[tuple[str, str, str]]:
    """Queries that find no series, or no number in any."""
    return [query for query in QUERIES if not any(value == value for value in live.values(as_grafana_asks(query[2])))]


def as_grafana_asks(expr: str) -> str:
    """With all departments and units chosen, and a minute as the interval."""
    expr = expr.replace("$__rate_interval", "1m").replace("$department", ".*").replace("$unit", ".*")
    assert "$" not in expr
    return expr
