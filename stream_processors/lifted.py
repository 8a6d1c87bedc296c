"""Who has stopped enforcing what ended, and who has not: the ends of `credit.measures.in-force` against `acks`.

A service is expected to acknowledge an end that was told after its first word. Non-goal: making it stop.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from schemas import codec
from schemas.avro import ACKNOWLEDGEMENT, MEASURE, Message
from schemas.calendar import LAW_TIME
from schemas.errors import InputError, Retryable
from schemas.settings import Settings
from schemas.topics import ACKS, IN_FORCE
from stream_processors.console import console
from stream_processors.in_force import Entry, entry_of
from stream_processors.kafka import Batch, read_all


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """One service and one end: when it was told, and after how many seconds the service stopped; None = not yet."""

    case_id: str
    measure: str
    subject_id: str
    reason: str
    ended_at: str
    service: str
    after_seconds: float | None


def compare(entries: Iterable[Entry], acks: Iterable[tuple[int, dict[str, Any]]]) -> list[Acknowledged]:
    """Each end with each service that had given its first word by then, those that have not stopped first. Pure.

    Args:
        entries: cases that ended, as they were last said.
        acks: (when it was written, in milliseconds since 1970, fields of ACKNOWLEDGEMENT) in their order.
    """
    since: dict[str, int] = {}
    stopped: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for said_ms, ack in acks:
        if ack["case_id"] == "":
            since.setdefault(ack["service"], said_ms)
        else:
            stopped.setdefault((ack["case_id"], ack["service"]), []).append((ack["revision"], said_ms))
    found: list[Acknowledged] = []
    for entry in entries:
        binding = entry.binding
        for service, first_ms in sorted(since.items()):
            times = [ms for revision, ms in stopped.get((binding.case_id, service), []) if revision >= binding.revision]
            if not times and entry.said_ms < first_ms:
                continue
            after = max(0, min(times) - entry.said_ms) / 1000 if times else None
            ended_at = datetime.fromtimestamp(entry.said_ms / 1000, UTC).astimezone(LAW_TIME)
            found.append(
                Acknowledged(
                    binding.case_id,
                    binding.measure,
                    binding.subject_id,
                    entry.reason,
                    ended_at.isoformat(timespec="milliseconds"),
                    service,
                    after,
                )
            )
    return sorted(found, key=lambda each: (each.after_seconds is not None, each.ended_at, each.service))


def show(settings: Settings, what: str, *, as_json: bool) -> bool:
    """Print who has acknowledged; returns whether somebody has not.

    Raises InputError where no measure of that name has ended.
    """
    entries = [entry for entry in _ended(settings) if _is_meant(entry, what)]
    if not entries:
        raise InputError(
            "asking who has stopped: no measure of that name has ended; see xinliu cases list --state ended"
        )
    found = compare(entries, _acks(settings))
    missing = [each for each in found if each.after_seconds is None]
    if as_json:
        value = {"ends": len(entries), "not_acknowledged": len(missing), "services": [asdict(each) for each in found]}
        print(json.dumps(value, ensure_ascii=False, indent=1))
        return bool(missing)
    table = Table("case", "measure", "subject", "why", "told at", "service", "stopped after")
    for each in found:
        after = "not acknowledged" if each.after_seconds is None else f"{each.after_seconds:.3f} s"
        row = (each.case_id[:12], each.measure, each.subject_id, each.reason, each.ended_at, each.service, after)
        table.add_row(*row)
    if found:
        console().print(table)
    print(f"{len(entries)} ended; {len(found) - len(missing)} acknowledgements, {len(missing)} missing")
    return bool(missing)


def _is_meant(entry: Entry, what: str) -> bool:
    binding = entry.binding
    return what in (binding.measure, binding.rule) or (len(what) >= 8 and binding.case_id.startswith(what.lower()))


def _ended(settings: Settings) -> list[Entry]:
    newest: dict[str, Entry] = {}
    for batch in read_all(settings, IN_FORCE):
        decoded = _decode(MEASURE, batch, IN_FORCE)
        for row, said_ms in zip(decoded.batch.to_pylist(), batch.timestamps_ms.tolist(), strict=True):
            if row["case_id"]:
                newest[row["case_id"]] = entry_of(row, said_ms)
    return [entry for entry in newest.values() if entry.state == "ended"]


def _acks(settings: Settings) -> list[tuple[int, dict[str, Any]]]:
    found: list[tuple[int, dict[str, Any]]] = []
    for batch in read_all(settings, ACKS):
        decoded = _decode(ACKNOWLEDGEMENT, batch, ACKS)
        found += zip(batch.timestamps_ms.tolist(), decoded.batch.to_pylist(), strict=True)
    return found


def _decode(message: Message, batch: Batch, topic: str) -> codec.Decoded:
    decoded = codec.decode(message, batch.values)
    if decoded.faults or decoded.unknown:
        raise Retryable(f"reading {topic}: a message is of no known version; use a newer version of this command")
    return decoded
