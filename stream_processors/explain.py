"""Why something is on record as it is, or is not: one event from its file row to the store's row, step by step.

`explain` reads top to bottom in the order of the flow. What lanes decided comes from their receipts and the history;
what they saw on the way is computed once more from the event, by the same pure code, while its topic still keeps it.

Non-goal: judging whether it was right; `xinliu verify` proves the whole, and what is wrong is mended by its source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from schemas.errors import InputError
from schemas.reference import Reference
from schemas.settings import Settings
from schemas.topics import EVENTS_PREFIX, QUARANTINE, RECEIPTS_PREFIX
from stream_processors.explain_sources import Said, Source, reported
from stream_processors.explain_steps import (
    Known,
    Step,
    authorise_steps,
    event_step,
    examined,
    fold_steps,
    guard_step,
    identify_steps,
    is_current,
    mapping_step,
    normalise_steps,
    of_event,
    record_steps,
    row_step,
    store_steps,
)
from stream_processors.explain_target import Target

_DOING = "explaining"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The steps of one event, and what it was about."""

    said: Said
    steps: tuple[Step, ...]
    earlier: tuple[Said, ...] = ()


def explain(known: Known, reference: Reference, today: date) -> Explanation:
    """The steps, in the order of the flow.

    Args:
        today: the day in Shanghai: past the end of its publication a record is closed.
    """
    seen = examined(known, reference)
    shows = not seen.refused and known.said.outcome != "refused" and is_current(known.history, today)
    row = of_event(known)
    steps = [
        row_step(known.said, reference),
        mapping_step(known, row, seen),
        event_step(known),
        guard_step(known.said, seen),
        *normalise_steps(known, seen, shows, reference),
        *identify_steps(known, seen, row, shows),
        *authorise_steps(known, row, seen, reference),
        *fold_steps(known, row),
        *record_steps(known),
        *store_steps(known, shows),
    ]
    return Explanation(known.said, tuple(steps), tuple(known.earlier))


def look_up(settings: Settings, source: Source, reference: Reference, target: Target) -> list[Known]:
    """What is known of the events that were asked for: one for each event of a row, as it went last.

    Raises:
        InputError: nothing is known of it; the sentence says what that may mean.
    """
    said = list(_standing(_said(source, reference, target)))
    if not said:
        raise InputError(_unknown(target))
    found = []
    for one, earlier in said:
        history = source.history(one.record_id) if one.record_id else []
        stored = source.stored(one.record_id) if one.record_id else None
        # Nothing of a refused row is read again: what the guard found stays unread.
        event = None if one.outcome == "refused" else reported(settings, one.department, one.partition, one.offset)
        found.append(Known(one, event, history, stored, earlier, source.place))
    return found


def _said(source: Source, reference: Reference, target: Target) -> list[Said]:
    """Receipts of the events that were asked for, and of whatever was sent for the same row and part."""
    if target.kind == "row":
        said = source.of_row(target.submission, target.row or 0)
        return [one for one in said if target.part is None or one.part == target.part]
    if target.kind == "place":
        return _with_siblings(source, _at_place(source, reference, target))
    history = source.history(target.id)
    if history:
        newest = history[-1]
        for row in reversed(history):
            if row["submission"] or row["operation"] != "expire":
                newest = row
                break
        said = source.of_event(newest["department"], newest["source_partition"], newest["source_offset"])
        return _with_siblings(source, said)
    place = source.row_of_event_id(target.id)
    return [] if place is None else _with_siblings(source, source.of_event(*place))


def _at_place(source: Source, reference: Reference, target: Target) -> list[Said]:
    if target.topic == QUARANTINE:
        place = source.row_of_item(target.offset)
        return [] if place is None else source.of_event(*place)
    department = target.topic.removeprefix(EVENTS_PREFIX).removeprefix(RECEIPTS_PREFIX)
    if department not in reference.departments:
        raise InputError(
            f"{_DOING}: no such department is registered; registered are {', '.join(reference.departments)}"
        )
    if target.topic.startswith(EVENTS_PREFIX):
        return source.of_event(department, target.partition, target.offset)
    said = source.at_receipt(target.topic, target.offset)
    return [one for one in said if one.row == target.row] if target.row is not None else said[:1]


def _with_siblings(source: Source, said: list[Said]) -> list[Said]:
    """The same, with what was said of the same rows and parts at other places: before, or since."""
    together = {(one.topic, one.topic_offset, one.row, one.part): one for one in said}
    for one in said:
        if one.submission and one.row:
            for other in source.of_row(one.submission, one.row):
                if other.part == one.part:
                    together[other.topic, other.topic_offset, other.row, other.part] = other
    return sorted(together.values(), key=lambda one: one.topic_offset)


def _standing(said: list[Said]) -> Iterator[tuple[Said, list[Said]]]:
    """Of each row and part the receipt that stands, and those before it: the first good one, else the last."""
    parts: dict[tuple[str, str, int, int, int], list[Said]] = {}
    for one in said:
        its_own = one.offset if one.row == 0 else -1
        parts.setdefault((one.department, one.submission, one.row, one.part, its_own), []).append(one)
    for several in parts.values():
        good = [one for one in several if one.outcome not in ("quarantined", "refused")]
        stands = good[0] if good else several[-1]
        yield stands, [one for one in several if one is not stands]


def _unknown(target: Target) -> str:
    if target.kind == "row":
        return (
            f"{_DOING}: the platform has no receipt for row {target.row} of {target.submission}; either there is no "
            "such row, or the adapter refused it before anything was sent (xinliu-adapter receipts says so), or the "
            "lanes have not come to it (xinliu status)"
        )
    if target.kind == "place":
        return (
            f"{_DOING}: nothing is known of {target.topic}[{target.partition}]@{target.offset}; either it is not "
            "there, or the lanes have not come to it (xinliu status)"
        )
    return (
        f"{_DOING}: no record and no event has that id; a statement names the records of a subject, a receipt those "
        "of a row; a case is shown by xinliu cases show"
    )
