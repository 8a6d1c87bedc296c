"""The configuration for Prometheus is one that Prometheus takes, and it reads each lane where the lane listens."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local.stack import LANES, stack
from schemas.settings import Settings

CONFIG = Path(__file__).parents[2] / "deploy" / "prometheus.yml"


def test_every_lane_is_read_at_its_default_port(tmp_path):
    read = re.findall(r'job_name: (\w+)\n\s+static_configs:\n\s+- targets: \["([^"]+)"\]', CONFIG.read_text())
    listening = {
        part.name: f"127.0.0.1:{part.ports[0]}" for part in stack(Settings(home=tmp_path)) if part.name in LANES
    }
    assert dict(read) == listening


def test_promtool_finds_no_fault():
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian package prometheus)")
    answer = subprocess.run([promtool, "check", "config", str(CONFIG)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
