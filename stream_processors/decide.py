"""Reports an act of an authority that has no adapter of its own: notice, decision, objection, answer and so on.

An act is an event like every other: it goes to the department's topic, through intake and register, and gets a receipt;
then the cases lane says what became of it. Nothing is sent that intake would set aside. Non-goal: any way around that.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
from confluent_kafka import KafkaError, Message, Producer

from schemas import codec
from schemas.avro import CREDIT_EVENT
from schemas.calendar import LAW_TIME
from schemas.errors import InputError, Retryable
from schemas.examine import examine
from schemas.hashing import hash_128, to_hex
from schemas.reasons import REASONS
from schemas.reference import Authority, Reference
from schemas.settings import Settings
from schemas.topics import events_topic, receipts_topic
from stream_processors.case_reader import Known, Law, Subjects
from stream_processors.cases.facts import ACT_KINDS, Facts
from stream_processors.cases.judge import Case, Fate
from stream_processors.kafka import client_config, end_offsets
from stream_processors.quarantine_send import outcomes_of

MAPPING = "act-by-hand@1"
_DELIVERY_MS = 30_000
_TOOK = ("new", "superseding")
_CATEGORIES = {kind: category for category, kind in ACT_KINDS.items()}


@dataclass(frozen=True, slots=True)
class ActOrder:
    """What an authority did.

    Attributes:
        kind: notice, objection, review, decision, suspension or withdrawal.
        authority: code or name; empty = the one that the department speaks for in this case.
        document: number of the act's own document; on: its date.
        details: further columns of the event: state (channel of a notice), grade (answer of a review), legal_bases,
            valid_from, valid_to.
        annulled_by: number of the document that annuls the act; empty = the act itself is reported.
        annulled_on: its date.
    """

    kind: str
    department: str
    document: str
    on: date
    authority: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    annulled_by: str = ""
    annulled_on: date | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """What became of it.

    Attributes:
        outcome: of the event: new, repeat and so on; empty while there is no receipt.
        known, case, fate: what the cases lane made of it; None while it has not come to it, or nothing was recorded.
    """

    submission: str
    event_id: str
    record_id: str
    outcome: str = ""
    reason: str = ""
    detail: str = ""
    known: Known | None = None
    case: Case | None = None
    fate: Fate | None = None


def report_act(
    settings: Settings, law: Law, known: Known, name: tuple[str, str], order: ActOrder, wait_seconds: float
) -> Reported:
    """Send an act about a case, wait for its receipt and for the case's answer.

    Raises:
        InputError: intake would set it aside; nothing was sent.
        Retryable: the broker does not take it.
    """
    authority = authority_of(law.reference, order, known.facts, name)
    submission, event = event_of(known.facts, name, order, authority, datetime.now(UTC))
    examined = examine(event, order.department, law.reference)
    if examined.rejects.height:
        reject = examined.rejects.row(0, named=True)
        sentence = REASONS[reject["reason"]].message(reject["detail"] or "")
        raise InputError(f"reporting the {order.kind}: {sentence}; nothing was sent")
    record_id: str = examined.identified["record_id"][0].as_py()
    event_id: str = event["event_id"][0].as_py()
    starts = end_offsets(settings, receipts_topic(order.department))
    partition, offset = _send(settings, order.department, event)
    answers = outcomes_of(
        settings, {(order.department, partition, offset): 0}, {order.department: starts}, wait_seconds
    )
    if 0 not in answers:
        return Reported(submission, event_id, record_id)
    outcome, reason, detail = answers[0]
    done = Reported(submission, event_id, record_id, outcome, reason, detail)
    if outcome not in (*_TOOK, "repeat", "stale"):
        return done

    def has_come(facts: Facts) -> bool:
        act = facts.acts.get(record_id)
        return act is not None and (outcome not in _TOOK or act.event_id == event_id)

    found = Subjects(settings, known.facts.subject_key).wait(has_come, wait_seconds)
    if found is None:
        return done
    case = found.judged(found.facts.acts[record_id].case, law)
    return Reported(submission, event_id, record_id, outcome, reason, detail, found, case, case.fates.get(record_id))


def authority_of(reference: Reference, order: ActOrder, facts: Facts, name: tuple[str, str]) -> Authority:
    """Who acts: the authority that was named; else that of the evidence, if the department speaks for it; else the one
    at the department's head. Raises InputError where that is nobody, or not clear."""
    doing = f"reporting the {order.kind}"
    if order.department not in reference.departments:
        raise InputError(
            f"{doing}: no such department is registered; registered are {', '.join(reference.departments)}"
        )
    known = reference.authorities.by_code
    if order.authority:
        wanted = order.authority.strip()
        named = [a for a in known.values() if wanted in (a.code, a.name, *a.aliases)]
        if not named:
            raise InputError(f"{doing}: authorities.csv knows no authority of that code or name")
        return named[0]
    rule, document = name
    for piece in facts.evidence.values():
        if (rule, document) in piece.names() and reference.rank(order.department, piece.authority_code) == 3:
            return known[piece.authority_code]
    own = [a for a in known.values() if a.department == order.department]
    heads = [a for a in own if all(a.superior_code != other.code for other in own)]
    if len(heads) != 1:
        raise InputError(f"{doing}: {order.department} speaks for {len(own)} authorities; name one with --authority")
    return heads[0]


def event_of(
    facts: Facts, name: tuple[str, str], order: ActOrder, authority: Authority, now: datetime
) -> tuple[str, pa.RecordBatch]:
    """The submission's id, and the act as one CREDIT_EVENT row."""
    if not facts.subject_id:
        raise InputError(f"reporting the {order.kind}: nothing is known of the subject yet; report its record first")
    submission = f"{order.department}-{now.astimezone(LAW_TIME):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    values: dict[str, Any] = {
        "submission": submission,
        "source_row": 1,
        "source_part": 0,
        "reported_at": now.replace(tzinfo=None),
        "category": _CATEGORIES[order.kind],
        "operation": "annul" if order.annulled_by else "report",
        "authority_code": authority.code,
        "authority_name": authority.name,
        "event_id": event_id_of(submission),
        "mapping": MAPPING,
        "subject_ids": [facts.subject_id],
        "document_number": order.document,
        "item": f"{name[0]}@{name[1]}",
        "decided_on": order.on,
        "change_document_number": order.annulled_by,
        "change_decided_on": order.annulled_on if order.annulled_by else None,
        **order.details,
    }
    row = {column.name: values.get(column.name, _blank(column)) for column in CREDIT_EVENT.arrow}
    return submission, pa.RecordBatch.from_pylist([row], schema=CREDIT_EVENT.arrow)


def event_id_of(submission: str) -> str:
    """The id of the only row of a submission, as adapters make it."""
    import polars as pl

    frame = pl.DataFrame({"submission": [submission], "row": ["1"], "part": ["0"]})
    return to_hex(*hash_128(frame, ["submission", "row", "part"]))[0].as_py()


def _blank(column: pa.Field[Any]) -> Any:
    if column.nullable:
        return None
    if pa.types.is_list(column.type):
        return ()
    return "" if pa.types.is_string(column.type) else 0


def _send(settings: Settings, department: str, event: pa.RecordBatch) -> tuple[int, int]:
    """Partition and offset at which the broker has it. Raises Retryable."""
    producer = Producer(
        client_config(settings)
        | {
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",  # as the adapters have it: a subject's events keep their partition
            "linger.ms": 0,
            "message.timeout.ms": _DELIVERY_MS,
        }
    )
    places: list[tuple[int, int]] = []
    problems: list[str] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        partition, offset = message.partition(), message.offset()
        if error is not None or partition is None or offset is None:
            problems.append(error.str() if error is not None else "no position")
        else:
            places.append((partition, offset))

    key = event["subject_ids"][0].as_py()[0].encode()
    producer.produce(events_topic(department), codec.encode(CREDIT_EVENT, event)[0], key, on_delivery=delivered)
    producer.flush()
    if not places:
        raise Retryable(
            f"reporting to {settings.kafka}: the broker did not take it ({', '.join(problems)}); run it again"
        )
    return places[0]
