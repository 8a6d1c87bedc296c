"""Finds what is known of a case in `credit.cases`, the state of the cases lane, and judges it as the lane does.

The topic is compacted and keyed by subject; a reader of one partition therefore has all of its subjects. The answer is
computed from the same facts by the same function, so it can not differ from what the lane says.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from schemas import codec
from schemas.avro import SUBJECT_CASES
from schemas.calendar import LAW_TIME, Calendar, load_calendar
from schemas.errors import InputError, Retryable
from schemas.hashing import partition_of
from schemas.reference import Reference, load
from schemas.settings import Settings
from schemas.topics import CASES
from stream_processors.cases.facts import Facts, case_name, from_json
from stream_processors.cases.judge import Case, case_id_of, judge
from stream_processors.kafka import read_all, topic_partitions
from stream_processors.rules.packs import load_packs
from stream_processors.rules.rule import Rule

_CASE_ID = re.compile(r"[0-9a-f]{8,32}")
_LOOK_SECONDS = 0.2
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Law:
    """What a case is judged by: the rules, the working days, the day, and who speaks for whom."""

    reference: Reference
    rules: Mapping[str, Rule]
    calendar: Calendar
    today: date


@dataclass(frozen=True, slots=True)
class Known:
    """A subject's facts, and the day for which the lane judged them last."""

    facts: Facts
    as_of: date | None

    def judged(self, name: tuple[str, str], law: Law) -> Case:
        """A case of the subject as it stands today; a day that the lane has seen is not taken back."""
        today = law.today if self.as_of is None else max(law.today, self.as_of)
        return judge(self.facts, name, law.rules, today, law.calendar)


def law_of(settings: Settings, clock: Callable[[], float]) -> Law:
    """The law as the lane of these settings has it."""
    reference = load(settings.reference_dir)
    ahead = clock() + settings.clock_ahead_days * _DAY_SECONDS
    today = datetime.fromtimestamp(ahead, LAW_TIME).date()
    return Law(reference, load_packs(settings.rules_dir).rules, load_calendar(reference.directory), today)


class Subjects:
    """Facts of one subject, read to the end of its partition and then on."""

    def __init__(self, settings: Settings, subject_key: str) -> None:
        self._settings = settings
        self._key = subject_key
        count = len(topic_partitions(settings, CASES))
        self._partition = int(partition_of([subject_key.encode()], count)[0])
        self._next: dict[int, int] = {}
        self._known = Known(Facts(subject_key), None)

    def read(self) -> Known:
        """The newest facts that are committed."""
        for batch in read_all(self._settings, CASES, start=self._next, only=[self._partition]):
            for (_, partition), offset in batch.next_offsets().items():
                self._next[partition] = offset
            pairs = zip(batch.keys, batch.values, strict=True)
            mine = [value for key, value in pairs if value is not None and key == self._key.encode()]
            if mine:
                self._known = _known(mine[-1:])[0]
        return self._known

    def wait(self, until: Callable[[Facts], bool], seconds_max: float) -> Known | None:
        """The facts once they are so; None where that does not come in time."""
        started = time.monotonic()
        while not until((known := self.read()).facts):
            if time.monotonic() - started > seconds_max:
                return None
            time.sleep(_LOOK_SECONDS)
        return known


def find_case(settings: Settings, case: str) -> tuple[Known, tuple[str, str]]:
    """The subject and the name of the case with this id, or with an id that begins so.

    Raises:
        InputError: there is none, or more than one.
    """
    text = case.strip().lower()
    if not _CASE_ID.fullmatch(text):
        raise InputError(
            "looking for the case: a case has an id of 32 digits 0 to f, of which the first 8 may do; xinliu cases "
            "list shows them"
        )
    newest: dict[bytes, bytes] = {}
    needle = b'"' + text.encode()
    for batch in read_all(settings, CASES):
        for key, value in zip(batch.keys, batch.values, strict=True):
            if key is None or value is None:
                continue
            if needle in value:
                newest[key] = value
            else:
                newest.pop(key, None)
    found = [
        (known, name)
        for known in (_known(list(newest.values())) if newest else [])
        for name in known.facts.names()
        if case_id_of(known.facts.subject_key, *name).startswith(text)
    ]
    if not found:
        raise InputError(f"looking for the case {text}: there is none; xinliu cases list shows them")
    if len(found) > 1:
        raise InputError(f"looking for the case {text}: {len(found)} begin so; give more of its id")
    return found[0]


def named_case(settings: Settings, name: str, subject_key: str) -> tuple[Known, tuple[str, str]]:
    """The case RULE@DOCUMENT of a subject, whether its evidence is known yet or not."""
    rule, document = case_name(name)
    if not rule or not document:
        raise InputError("looking for the case: name it RULE@DOCUMENT, such as CN-36/M02@鲁市监罚〔2026〕1号")
    return Subjects(settings, subject_key).read(), (rule, document)


def _known(values: list[bytes]) -> list[Known]:
    decoded = codec.decode(SUBJECT_CASES, values)
    if decoded.faults or decoded.unknown:
        raise Retryable(f"reading {CASES}: a message is of no known version; use a newer version of this command")
    return [Known(from_json(row["subject_key"], row["facts"]), row["as_of"]) for row in decoded.batch.to_pylist()]
