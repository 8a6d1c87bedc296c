"""Shows an explanation: one line for each step, Chinese and English, aligned; or the same as plain values."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from schemas.errors import Retryable
from schemas.reference import Reference, load
from schemas.settings import Settings
from stream_processors.clickhouse import ClickHouse, connect
from stream_processors.console import console
from stream_processors.explain import Explanation, explain, look_up
from stream_processors.explain_sources import StoreSource, TopicSource
from stream_processors.explain_target import Target, target_of
from stream_processors.explain_words import STEPS
from stream_processors.quarantine_page import LAW_TIME, moment

_MARKS = {"ok": "✓", "stop": "✗", "gone": "…", "none": "–"}
_ANSWER_SECONDS_MAX = 120


def show(settings: Settings, words: str, *, as_json: bool) -> int:
    """Explain and print; returns 0. Raises InputError for what is unknown, Retryable while nobody answers."""
    target = target_of(words)
    reference = load(settings.reference_dir)
    explanations = _explain(settings, reference, target)
    if as_json:
        print(json.dumps({"explanations": [steps_json(one) for one in explanations]}, ensure_ascii=False, indent=1))
    else:
        for one in explanations:
            render(one, console())
    return 0


def _explain(settings: Settings, reference: Reference, target: Target) -> list[Explanation]:
    departments = list(reference.departments)
    store = _store(settings)
    try:
        source = TopicSource(settings, departments) if store is None else StoreSource(store, settings, departments)
        today = datetime.now(UTC).astimezone(LAW_TIME).date()
        return [explain(known, reference, today) for known in look_up(settings, source, reference, target)]
    finally:
        if store is not None:
            store.close()


def _store(settings: Settings) -> ClickHouse | None:
    """The store where it answers; else None, which is said on stderr."""
    try:
        store = connect(settings, answer_seconds_max=_ANSWER_SECONDS_MAX)
        store.rows("SELECT 1 AS one FROM receipts LIMIT 1", doing="asking the store")
    except Retryable:
        print("the store does not answer: reading Kafka's topics instead", file=sys.stderr)
        return None
    return store


def render(explanation: Explanation, page: Console) -> None:
    """Print one explanation."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for step in explanation.steps:
        zh, en = STEPS[step.name]
        words = Text(step.zh)
        if step.en and step.en != step.zh:
            words.append(f"  {step.en}", style="dim")
        table.add_row(_MARKS[step.mark], f"{zh} {en}", moment(step.at), words)
        for line in step.details:
            table.add_row("", "", "", Padding(Text(line), (0, 0, 0, 2)))
    page.print(table)
    for one in explanation.earlier:
        page.print(
            f"另有一次报送 sent another time: {moment(one.at)} {one.outcome} {one.reason} "
            f"credit.events.{one.department}[{one.partition}]@{one.offset}",
            highlight=False,
            soft_wrap=True,
        )
    page.print()


def steps_json(explanation: Explanation) -> dict[str, Any]:
    """The explanation as plain values."""
    said = explanation.said
    return {
        "department": said.department,
        "submission": said.submission,
        "row": said.row,
        "part": said.part,
        "event": f"credit.events.{said.department}[{said.partition}]@{said.offset}",
        "receipt": f"{said.topic}[0]@{said.topic_offset}",
        "outcome": said.outcome,
        "reason": said.reason,
        "detail": said.detail,
        "record_id": said.record_id,
        "sent_before": [
            {"at": one.at.isoformat(), "outcome": one.outcome, "reason": one.reason, "offset": one.offset}
            for one in explanation.earlier
        ],
        "steps": [
            {
                "step": step.name,
                "name_zh": STEPS[step.name][0],
                "mark": step.mark,
                "at": step.at.isoformat() if step.at else None,
                "zh": step.zh,
                "en": step.en,
                "details": list(step.details),
            }
            for step in explanation.steps
        ],
    }
