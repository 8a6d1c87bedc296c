"""Full lists for tests: made-up suppliers that are barred from procurement, and what comes of comparing two lists."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from publishing import code

from producers import snapshot, snapshot_base
from producers.breaker import Judge
from producers.mapping import load
from producers.readers import read
from producers.snapshot import Base, Plan, Survey
from producers.snapshot_file import About, ListFile, Lists
from schemas import reference
from schemas.settings import Settings

HEADERS = ("供应商名称", "统一社会信用代码", "处罚决定书文号", "执法单位", "处罚日期", "处罚截止日期")
NOW_MS = 1_777_600_000_000
MAPPING = "procurement-ban"


def barred(number: int, **changes: str) -> dict[str, str]:
    """A row: the supplier of this number under a decision of its own; `changes` name, code, document, date, until."""
    row = {
        "name": f"演示{number}有限公司",
        "code": code(number),
        "document": f"演财采〔2023〕{number}号",
        "authority": "演示省财政厅",
        "date": "2023-05-08",
        "until": "2026-05-07",
    }
    return row | changes


def write_list(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    """The rows as a department's file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADERS)
        writer.writerows(list(row.values()) for row in rows)
    return path


def numbers(lines: pl.DataFrame) -> list[int]:
    """The numbers of the suppliers that some lines are about."""
    return sorted(int(key[-7:-1]) for key in lines["subject_key"])


@dataclass
class Shelf:
    """Lists that follow each other, kept in a folder, without any broker."""

    folder: Path
    department: str = "procurement"
    mapping: str = MAPPING
    count: int = 0

    def lists(self, source: str = "") -> Lists:
        return Lists(self.folder / "home", self.department, self.mapping, source)

    def judge(self) -> Judge:
        return Judge(self.department, reference.load(None), NOW_MS)

    def survey(self, path: Path, source: str = "") -> Survey:
        mapping = load(self.mapping, Settings())
        with self.lists(source).lines_file("now") as lines:
            found = snapshot.survey(read(path, mapping.layout), mapping, self.judge(), Survey(lines))
            found.lines = list(lines)  # type: ignore[assignment]  # the file ends with the block
        return found

    def compare(self, rows: Sequence[dict[str, str]], base: Base | None = None, source: str = "") -> Plan:
        """What the list would do; nothing is kept."""
        return self._compare(self.survey(self.file(rows), source), base, source)

    def publish(self, rows: Sequence[dict[str, str]], source: str = "") -> Plan:
        """What the list does; it is the last one from now on."""
        return self.publish_file(self.file(rows), source)

    def publish_file(self, path: Path, source: str = "") -> Plan:
        now = self.survey(path, source)
        plan = self._compare(now, None, source)
        self.begin(now, plan, source)
        self.lists(source).finish()
        return plan

    def begin(self, now: Survey, plan: Plan, source: str = "") -> ListFile:
        """The list lies on disk, as before its first event."""
        about = About(f"s-{self.count}", NOW_MS + self.count, NOW_MS + self.count, None, [], {0: 0})
        return self.lists(source).begin(about, snapshot.lines_to_keep(now, plan))

    def file(self, rows: Sequence[dict[str, str]]) -> Path:
        self.count += 1
        return write_list(self.folder / f"{self.count}.csv", rows)

    def _compare(self, now: Survey, base: Base | None, source: str) -> Plan:
        lists = self.lists(source)
        return snapshot.compare(
            now,
            base or snapshot_base.of_last(lists.last()),
            snapshot_base.Joined(*lists.others()),
            self.judge(),
        )


def counts(plan: Plan) -> dict[str, Any]:
    """What differs, without what is nought."""
    return {name: count for name, count in snapshot.as_dict(plan.counts).items() if count}
