"""What the state of the cases lane costs: judging, memory, restoring, and the look for what is due. One JSON line.

Live cases are in force, one for each subject, all of them due on days of a year to come. The digest says what was told,
whatever the order: a change that is faster and means something else shows.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import time
import tracemalloc
from datetime import date, datetime, timedelta
from typing import Any

from schemas.calendar import load_calendar
from stream_processors.cases.book import Book, News, Now, Row
from stream_processors.cases.facts import Act, Evidence
from stream_processors.cases.inputs import Input
from stream_processors.rules.packs import load_packs

RULE = "CN-36/M02"
TODAY = date(2026, 11, 2)
NOW = Now(TODAY, datetime(2026, 11, 2))
PARTITIONS = 8
_LOOKS = 200
_MOST = 5_000
_SAMPLE = 2_000  # tracing every object costs time


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cases", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    print(json.dumps(bench(parser.parse_args().cases)))


def bench(count: int) -> dict[str, Any]:
    """All figures for so many live cases."""
    rules, calendar = load_packs().rules, load_calendar()
    book = Book(rules, calendar)
    book.open(range(PARTITIONS))
    news = News()
    began = time.process_time()
    for number in range(count):
        for fact in life(number):
            book.learn(Input(number % PARTITIONS, f"org:{number}", fact), NOW, news)
    judged_seconds = time.process_time() - began
    digest = hashlib.blake2b(digest_size=8)
    for _, row in sorted(news.transitions, key=lambda each: (str(each[1]["case_id"]), str(each[1]["revision"]))):
        digest.update(repr([row[name] for name in ("case_id", "revision", "transition", "state", "ends_on")]).encode())
    states = book.states(news)
    transitions = len(news.transitions)
    del news, book
    gc.collect()

    began = time.process_time()
    restored = Book(rules, calendar)
    restored.open(range(PARTITIONS))
    for partition, row in states:
        restored.restore(partition, str(row["subject_key"]), TODAY, str(row["facts"]))
    restored_seconds = time.process_time() - began
    began = time.process_time()
    while (passed := News()) and restored.pass_time(NOW, passed, _MOST):
        assert not passed.transitions, "what was restored was told before"
        restored.committed()
    first_judged_seconds = time.process_time() - began

    looks = time.process_time()
    for _ in range(_LOOKS):
        assert restored.pass_time(NOW, News(), _MOST) == 0
    look_seconds = (time.process_time() - looks) / _LOOKS
    return {
        "cases": count,
        "transitions": transitions,
        "facts_per_cpu_second": round(3 * count / judged_seconds),
        "restore_cpu_seconds": round(restored_seconds, 3),
        "first_judgement_cpu_seconds": round(first_judged_seconds, 3),
        "memory_bytes_per_case": memory_bytes(states[:_SAMPLE]) // min(count, _SAMPLE),
        "state_bytes_per_case": round(sum(len(str(row["facts"]).encode()) for _, row in states) / count),
        "look_for_due_microseconds": round(1e6 * look_seconds, 2),
        "digest": digest.hexdigest(),
    }


def life(number: int) -> list[Evidence | Act]:
    """Evidence, notice and decision of one case that is in force, and ends within a year."""
    document, case = f"N{number}", (RULE, f"N{number}")
    subject_id = f"CN-USCC:91{number}"
    evidence = Evidence(
        f"e{number:030}", 1, 3, "valid", document, (RULE,), "110000", "authority", "market",
        TODAY - timedelta(days=60), None, TODAY, f"v{number:030}", subject_id,
    )  # fmt: skip
    acts = [
        Act(
            f"{kind}{number:030}", 1, 3, "valid", kind, case, f"A{number}", day, None, ends_on, ("basis",), "post",
            "220000", "authority", "procurement", TODAY, f"w{number:030}", subject_id,
        )
        for kind, day, ends_on in (
            ("notice", TODAY - timedelta(days=40), None),
            ("decision", TODAY - timedelta(days=10), TODAY + timedelta(days=1 + number % 365)),
        )
    ]  # fmt: skip
    return [evidence, *acts]


def memory_bytes(states: list[Row]) -> int:
    """What a book of these subjects holds, once they are judged."""
    tracemalloc.start()
    book = Book(load_packs().rules, load_calendar())
    book.open(range(PARTITIONS))
    before, _ = tracemalloc.get_traced_memory()
    for partition, row in states:
        book.restore(partition, str(row["subject_key"]), TODAY, str(row["facts"]))
    while book.pass_time(NOW, News(), _MOST):
        book.committed()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return after - before


if __name__ == "__main__":
    main()
