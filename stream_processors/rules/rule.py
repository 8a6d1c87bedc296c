"""What a rule of a pack says about one measure: who decides, how long, on which provision. Data, no code.

There is no field for whom a rule is about: a restriction is about economic operators that are legal persons and nobody
else, and the engine holds that line itself (`stream_processors.cases.judge`). Whether a rule speaks about a record is
`stream_processors.match`; what follows is the case.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

Kind = Literal["restriction", "incentive"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One measure of one dated pack.

    Attributes:
        name: PACK/CODE, e.g. `CN-36/M02`; it is what an act names, together with the evidence's document number.
            Several rules of a pack may be about one measure on different provisions: M03-53, M03-54.
        measure: canonical code, M01 to M11 for restrictions, I01 to I05 for incentives.
        activity: the regulated activity in which it binds; never anything beyond it.
        categories: categories of records that can be evidence.
        jurisdiction: whose law it is: CN, or the letters before a foreign scheme (MX); it speaks of no other's bodies.
        from_day, to_day: days of the evidence's decision for which the pack speaks; `to_day` None = still in force.
        deciders: departments that may decide; empty = the department that speaks for the evidence's authority.
        objection_days: working days between notice and decision.
        max_months: legal maximum of its duration.
        lapse_months: a draft on which nobody decides lapses so long after its evidence, or the last act about it.
        min_months: after its first day in force, earliest month for which the subject is told to apply for repair.
            It does not keep an end back: who recorded the breach decides whether it is repaired, and once the record
            says so, the measure ends with it at once, whatever the month. To bind longer would be to doubt that
            authority's decision at the cost of the subject.
        repair_ends: False where the law bars an early end.
        bases: provisions in the one spelling, 《instrument》（edition）article.
        sentence_zh, sentence_en: what a notice cites.
        repair_zh, repair_en: what the subject can do to end it.
        from_memory: a fact in here was not read in a source; it is configuration, and the pack says so.
        memory: which fact that is.
    """

    name: str
    pack: str
    measure: str
    kind: Kind
    activity: str
    categories: tuple[str, ...]
    from_day: date
    to_day: date | None
    deciders: tuple[str, ...]
    objection_days: int
    max_months: int
    min_months: int
    repair_ends: bool
    bases: tuple[str, ...]
    sentence_zh: str
    sentence_en: str
    repair_zh: str
    repair_en: str
    from_memory: bool = False
    memory: str = ""
    lapse_months: int = 12
    jurisdiction: str = "CN"
