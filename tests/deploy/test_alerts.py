"""Each alert fires, stays quiet and resolves; each is explained; each metric that it names is declared."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from alert_cases import CASES, Case

from deploy import alerts
from schemas.metrics import GIVEN_METRICS, METRICS

DEPLOY = Path(alerts.__file__).parent
RUNBOOK = (DEPLOY / "runbook.md").read_text("utf-8")
BY_NAME = {alert.name: alert for alert in alerts.ALERTS}


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What promtool answers; skips where there is none."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (Debian package prometheus)")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


def rule_test(case: Case) -> dict[str, object]:
    """The case as a unit test of promtool."""
    labels = {"alertname": case.alert, "severity": BY_NAME[case.alert].severity, "alertstate": "firing", **case.labels}
    matchers = ",".join(f'{name}="{value}"' for name, value in labels.items())
    expr = f'ALERTS{{alertname="{case.alert}",alertstate="firing"}}'
    fires = [{"labels": f"ALERTS{{{matchers}}}", "value": 1}]
    moments = ((case.quiet_at, []), (case.fires_at, fires), (case.resolved_at, []))
    return {
        "interval": case.interval,
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "promql_expr_test": [{"expr": expr, "eval_time": at, "exp_samples": found} for at, found in moments],
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_stays_quiet_fires_and_resolves(case: Case, tmp_path: Path) -> None:
    written = tmp_path / "test.yml"
    test = {"rule_files": [str(alerts.FILE)], "evaluation_interval": case.interval, "tests": [rule_test(case)]}
    written.write_text(json.dumps(test), "utf-8")  # JSON is YAML
    answer = promtool("test", "rules", str(written))
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_promtool_finds_no_fault_in_the_rules() -> None:
    answer = promtool("check", "rules", str(alerts.FILE))
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_every_alert_has_a_case_and_a_section_of_the_runbook_and_none_is_left_over() -> None:
    sections = re.findall(r"^## (\w+)$", RUNBOOK, re.M)
    names = [alert.name for alert in alerts.ALERTS]
    assert sections == names
    assert sorted(case.alert for case in CASES) == sorted(names)
    for alert in alerts.ALERTS:
        text = RUNBOOK.split(f"\n## {alert.name}\n")[1].split("\n## ")[0]
        assert [word for word in ("**Means:**", "**Look at:**", "**Do:**") if word not in text] == [], alert.name


def test_links_within_the_runbook_lead_somewhere() -> None:
    anchors = {heading.lower() for heading in re.findall(r"^## (\w+)$", RUNBOOK, re.M)}
    for target in re.findall(r"\]\(([^)]+)\)", RUNBOOK):
        assert target[1:] in anchors if target.startswith("#") else (DEPLOY / target).exists(), target


def test_the_runbook_warns_of_the_brokers_that_leave_transactions_open() -> None:
    for words in ("4.3.0", "4.3.1", "KAFKA-20734"):
        assert words in RUNBOOK.split("## LaneDown")[0]
        assert words in RUNBOOK.split("## OpenTransaction")[1].split("\n## ")[0]


def test_the_commands_in_the_runbook_exist(capsys: pytest.CaptureFixture[str]) -> None:
    import producers.__main__
    import stream_processors.__main__

    apps = {"xinliu": stream_processors.__main__.app, "xinliu-adapter": producers.__main__.app}
    named = set(re.findall(r"\.venv/bin/(xinliu(?:-adapter)?) ([a-z]+)(?: ([a-z]+))?", RUNBOOK))
    assert len(named) > 5
    for program, command, sub in named:
        with pytest.raises(SystemExit) as end:
            apps[program]([command, *([sub] if command == "quarantine" else []), "--help"])
        assert end.value.code == 0, (program, command, sub)
    assert set(re.findall(r"`make (\w+)`", RUNBOOK)) <= set(
        re.findall(r"^(\w+):", (DEPLOY.parent / "Makefile").read_text("utf-8"), re.M)
    )


def test_every_metric_and_label_in_the_alerts_is_declared() -> None:
    assert undeclared(alert.expr for alert in alerts.ALERTS) == set()


def undeclared(expressions: object) -> set[str]:
    """Names of metrics in PromQL that `schemas.metrics` does not declare."""
    known = set(GIVEN_METRICS)
    for metric in METRICS:
        suffixes = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        known |= {metric.name + suffix for suffix in suffixes}
    text = "\n".join(str(one) for one in expressions)  # type: ignore[attr-defined]
    named = set(re.findall(r"\b(?:xinliu|process)_\w+|\bup\b", text))
    assert named
    return named - known
