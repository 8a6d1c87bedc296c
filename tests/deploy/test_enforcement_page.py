"""The example service of the page runs as it stands there."""

import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from measure_builders import Said, heartbeat, measure

from deploy.local.processes import wait_until
from schemas.topics import ACKS
from stream_processors import topics
from stream_processors.enforcement import LAW_TIME, read_acknowledgements
from stream_processors.kafka import end_offsets

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "deploy" / "enforcement.md"
KEY, CODE = "org:XXXX00051", "91370100XXXX00051M"


def test_the_example_answers_hears_of_the_end_and_acknowledges_it(broker, settings_for, tmp_path):
    settings = settings_for(tmp_path, broker=broker)
    topics.apply(settings)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    assert code.count("\n") <= 31
    (tmp_path / "portal.py").write_text(code, "utf-8")
    today = datetime.now(LAW_TIME).date()
    said = Said(settings)
    said.say(measure("x1", KEY, today), heartbeat(today))
    portal = subprocess.Popen(
        [sys.executable, str(tmp_path / "portal.py"), settings.kafka],
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert portal.stdin is not None and portal.stdout is not None
    try:
        print(CODE, file=portal.stdin, flush=True)
        first = portal.stdout.readline()
        assert first.startswith("may not bid until")
        assert "决〔2026〕1号" in first
        said.say(measure("x1", KEY, today, revision=6, state="ended", reason="annulled", ended_on=today))
        assert portal.stdout.readline().startswith("ended: M02")
        print(CODE, file=portal.stdin, flush=True)
        assert portal.stdout.readline() == "may bid\n"
    finally:
        portal.stdin.close()
        portal.wait(30)
        portal.stdout.close()

    def acknowledged() -> bool:
        rows = [row for _, row in read_acknowledgements(settings.kafka, end_offsets(settings, ACKS))]
        return ("x1", 6, "procurement-portal") in [(row["case_id"], row["revision"], row["service"]) for row in rows]

    assert wait_until(acknowledged, 20)
