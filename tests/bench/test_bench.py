"""The benchmark at a tiny size: it runs, says all that it promises, and means the same as before."""

import json
import subprocess
import sys

# Changes only when what the lanes make of the same events changes: say in the commit why, and put the new one here.
# (And in June 2028, when the first of these penalties are not published any more: they are of the days of CN-58.)
DIGEST_OF_20000 = "f0a4987c04d82cd56c78d197e8473994"


def test_the_benchmark_runs_and_its_digest_stands() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--events", "20000", "--heap-mb", "256"],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    rates = ("intake", "register", "chain")
    assert all(figures[f"{name}_events_per_cpu_second"] > 0 for name in rates)
    assert figures["store_rows_per_second"] > 0
    assert figures["digest"] == DIGEST_OF_20000
