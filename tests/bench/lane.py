"""Runs one lane until it has processed so many events, and prints what that cost this process: one JSON line.

The clock starts with the first committed batch, so that connecting and compiling are not measured; the events of that
batch are not counted either.
"""

import json
import os
import sys
import threading
import time
from typing import Any

from schemas.settings import Settings
from stream_processors import memory


def main(name: str, events: int) -> None:
    """`events`: how many to process (for the store: rows to insert) before ending."""
    memory.keep()  # as `xinliu run` does, before polars is there
    from stream_processors.worker import build

    hosted = build(name, Settings.from_env(os.environ))
    thread = threading.Thread(target=hosted.loop.run, daemon=True)
    thread.start()
    began = (0, time.process_time(), time.monotonic())
    first: tuple[int, float, float] | None = None
    while (done := processed(hosted)) < events:
        if not thread.is_alive():
            sys.exit(f"the {name} lane ended after {done} of {events} events")
        if first is None and done > 0:
            first = (done, time.process_time(), time.monotonic())
        time.sleep(0.002 if first is None else 0.02)
    cpu, wall = time.process_time(), time.monotonic()
    hosted.stop.set()
    thread.join(30)
    # Where all came in one batch, the start of the process is measured with it.
    start = first if first is not None and first[0] < done else began
    counted = done - start[0]
    print(
        json.dumps(
            {
                "events": counted,
                "cpu_seconds": round(cpu - start[1], 3),
                "seconds": round(wall - start[2], 3),
            }
        )
    )


def processed(hosted: Any) -> int:
    """Events that the lane committed, or rows that the store was told are in."""
    name = "xinliu_store_rows_total" if hosted.name == "store" else "xinliu_events_total"
    total = 0.0
    for family in hosted.registry.registry.collect():
        for sample in family.samples:
            if sample.name != name:
                continue
            if hosted.name == "store" and sample.labels["table"] not in ("records", "history"):
                continue
            total += sample.value
    return round(total)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
