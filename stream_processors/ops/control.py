"""What operators ordered: which commands count, and what is paused now. Pure: the topic in, the standing out.

    lane (intake, register, cases, store)   pause: it takes nothing, commits nothing and keeps its partitions; resume
    reader (notices, webhook-<id>)          pause, resume: its queue grows and nothing is lost; redrive: dead letters
                                            go back into the queue

A paused cases lane sends no heartbeats either, since what it has not read may be an end: after `recheck_seconds` the
enforcement services stop enforcing by themselves. Doubt is for the subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.errors import ConfigurationError
from schemas.reference.tables import entries, read_table

LANES = ("intake", "register", "cases", "store")
ACTIONS = ("pause", "resume", "redrive")
BECAUSE = ("incident", "maintenance", "mended", "drill")
REFUSALS = {
    "operator_missing": "a command names the operator who gives it",
    "operator_unknown": "the table of operators has no such desk",
    "operator_may_not": "that desk may not order this",
    "action_unknown": "there are pause, resume and redrive",
    "target_unknown": "there is no such lane or reader",
    "nothing_to_redrive": "a lane has no dead letters; quarantined events are sent again by xinliu quarantine",
    "because_unknown": "the reason is one of incident, maintenance, mended and drill",
    "unreadable": "the message is no command",
}
Operators = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Command:
    """One command that counts, with its place in the topic."""

    offset: int
    operator: str
    action: str
    target: str
    because: str


@dataclass(slots=True)
class Standing:
    """What follows from all commands so far.

    Attributes:
        paused: target → the command that paused it.
        redrives: in their order; who has done one remembers its offset.
        refused: (offset, reason) of those that do not count.
    """

    paused: dict[str, Command] = field(default_factory=dict)
    redrives: list[Command] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)


def load_operators(directory: Path | None) -> Operators:
    """Id of each desk → what it may order."""
    rows = read_table("operators", ("id", "name_zh", "name_en", "actions", "fictional"), directory)
    for row in rows:
        if odd := [action for action in entries(row["actions"]) if action not in ACTIONS]:
            raise ConfigurationError(
                f"reading the reference table operators.csv: {row['id']} may {odd[0]}, an unknown action"
            )
    return {row["id"]: entries(row["actions"]) for row in rows}


def fault_of(command: Mapping[str, Any], operators: Operators, readers: Iterable[str] | None) -> str:
    """Why a command does not count; empty where it does.

    Args:
        readers: names of the readers of ops; None where they are not known, as in a lane.
    """
    operator, action, target = command["operator"], command["action"], command["target"]
    if not operator:
        return "operator_missing"
    if operator not in operators:
        return "operator_unknown"
    if action not in ACTIONS:
        return "action_unknown"
    if action not in operators[operator]:
        return "operator_may_not"
    if command["because"] not in BECAUSE:
        return "because_unknown"
    if target in LANES:
        return "nothing_to_redrive" if action == "redrive" else ""
    return "target_unknown" if readers is not None and target not in readers else ""


def standing(
    commands: Iterable[tuple[int, Mapping[str, Any] | None]], operators: Operators, readers: Iterable[str] | None
) -> Standing:
    """What follows from these commands, oldest first, each with its offset; None for an unreadable one."""
    known = None if readers is None else tuple(readers)
    found = Standing()
    for offset, row in commands:
        fault = "unreadable" if row is None else fault_of(row, operators, known)
        if row is None or fault:
            found.refused.append((offset, fault))
            continue
        command = Command(offset, row["operator"], row["action"], row["target"], row["because"])
        if command.action == "pause":
            found.paused.setdefault(command.target, command)
        elif command.action == "resume":
            found.paused.pop(command.target, None)
        else:
            found.redrives.append(command)
    return found
