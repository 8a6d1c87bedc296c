"""The readers' benchmark at a tiny size: it runs, says all that it promises, and means the same as before."""

import json
import subprocess
import sys

# Changes only when what the mappings make of the same rows changes: say in the commit why, and put the new one here.
DIGEST_OF_3000 = "5a8f6c1e589aa092"


def test_the_benchmark_of_the_readers_runs_and_its_digest_stands() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.readers", "--rows", "3000"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    for name in ("registrations.csv", "penalties.csv", "penalties.xlsx"):
        assert figures[f"{name}_rows_per_cpu_second"] > 0
    assert figures["digest"] == DIGEST_OF_3000
