"""The messages on the wire, declared once: every field with its type and its meaning.

The `.avsc` files beside this module, the lock file's newest entries and the field tables in the docs are written
from here (`python -m schemas write`) and compared in `make check`. Amounts are `long` fen, since the batch codec
knows neither `decimal` nor `fixed`. Missing text is the empty string, a missing date or amount is null.

An identified event begins with its *head*, what authorise and fold need, so that register decodes only that and
passes the rest on as the bytes it read. A record is a *revision header* followed by those very bytes.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

FRAME_BYTES = 5
STRING = "string"
STRINGS: dict[str, Any] = {"type": "array", "items": "string"}
INT = "int"
INTS: dict[str, Any] = {"type": "array", "items": "int"}
LONG = "long"
LONGS: dict[str, Any] = {"type": "array", "items": "long"}
MAYBE_LONG = ["null", "long"]
MAYBE_DATE = ["null", {"type": "int", "logicalType": "date"}]
TIMESTAMP = {"type": "long", "logicalType": "timestamp-millis"}
MAYBE_TIMESTAMP = ["null", TIMESTAMP]


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name, its Avro type, and the sentence that documents it."""

    name: str
    type: Any
    doc: str

    def to_avro(self) -> dict[str, Any]:
        avro: dict[str, Any] = {"name": self.name, "type": self.type, "doc": self.doc}
        if isinstance(self.type, list):
            avro["default"] = None
        return avro


_FRAME = tuple(Field(f"frame_{number}", INT, "a byte of the framing") for number in range(FRAME_BYTES))

# What a department reports. Kept apart in groups only so that the messages below can be put together from them.
_ORIGIN = (
    Field("submission", STRING, "the file or feed run that the event came with"),
    Field("source_row", INT, "row in that source as a person counts it, header included; 0 = none"),
    Field("source_part", INT, "which event of that row, from 0"),
    Field("reported_at", TIMESTAMP, "when the adapter handed the event to Kafka"),
)
_ACT = (
    Field("category", STRING, "category of the catalogue, e.g. penalty"),
    Field("operation", STRING, "report, correct, annul, withdraw, repair or reinstate"),
    Field("authority_code", STRING, "code of the deciding authority, empty where none is known"),
)
_FACTS = (
    Field("event_id", STRING, "128-bit hex id, the same each time the same row of a submission is sent"),
    Field("mapping", STRING, "mapping and its version, e.g. penalty-2018@1"),
    Field("subject_ids", STRINGS, "identifiers of the organisation, SCHEME:NUMBER, most authoritative first"),
    Field("subject_name", STRING, "name of the organisation"),
    Field("subject_kind", STRING, "kind of body"),
    Field("authority_name", STRING, "name of the deciding authority"),
    Field("region", STRING, "six-digit region code of the deciding authority"),
    Field("document_number", STRING, "number of the decision document or case"),
    Field("item", STRING, "what the decision is about: list, licence, honour, rating scheme"),
    Field("grade", STRING, "grade that the issuer gave; the platform computes none"),
    Field("classes", STRINGS, "kinds of the decision, e.g. of the penalty"),
    Field("legal_bases", STRINGS, "provisions that the decision cites"),
    Field("fine_fen", MAYBE_LONG, "fine, in fen"),
    Field("confiscated_fen", MAYBE_LONG, "confiscated gains and goods, in fen"),
    Field("amount_fen", MAYBE_LONG, "main amount of other categories (debt, capital), in fen"),
    Field("decided_on", MAYBE_DATE, "date of the decision"),
    Field("valid_from", MAYBE_DATE, "first day of validity"),
    Field("valid_to", MAYBE_DATE, "last day of validity; null = none or unlimited"),
    Field("change_document_number", STRING, "document that annuls, corrects, repairs or reinstates"),
    Field("change_decided_on", MAYBE_DATE, "date of that document"),
    Field("state", STRING, "state of the decision as the source words it"),
    Field("source_url", STRING, "where the decision is published"),
)
_ORDER = (
    Field("source_version", MAYBE_TIMESTAMP, "version of the row at its source; null = it has none"),
    Field("published_until", MAYBE_DATE, "last day of publication"),
)

_HEAD = (
    Field("record_id", STRING, "128-bit hex hash of the identity parts of the category"),
    Field("content", STRING, "64-bit hex hash of the material fields"),
    Field("subject_key", STRING, "org:<organisation code>, reg:<registration number> or SCHEME:<number>"),
    Field("department", STRING, "who reported: the name of the topic, never taken from the payload"),
    *_ACT,
    Field("region", STRING, "six-digit region code of the deciding authority"),
    Field(
        "effective_on", MAYBE_DATE, "date that orders the event: of the decision, or of the document that changes it"
    ),
    *_ORDER,
    Field("source_partition", INT, "partition of the department's topic"),
    Field("source_offset", LONG, "offset there"),
    *_ORIGIN,
)
_REVISION = (
    Field("revision", INT, "counts the states of a record, from 1"),
    Field(
        "status",
        STRING,
        "valid, annulled, withdrawn, repaired, expired; a marker: superseded, conflicting, changed, confirmed",
    ),
    Field("outcome", STRING, "what the event did that wrote this revision"),
    Field("variant_of", STRING, "for a marker: the record whose other content it marks as seen; empty for a record"),
    Field("rank", INT, "3 deciding authority, 2 its superior, 1 others: who stands behind the content"),
    Field("content_order", LONG, "position of the content: source version, then decision date"),
    Field("status_order", LONG, "position of the newest closing or reopening; 0 = never closed"),
)


@dataclass(frozen=True)
class Message:
    """One Avro record type. `head` counts the leading fields that a reader may decode alone."""

    name: str
    doc: str
    fields: tuple[Field, ...]
    head: int = 0

    @cached_property
    def avro(self) -> dict[str, Any]:
        return self._record(self.fields)

    @cached_property
    def json(self) -> str:
        return json.dumps(self.avro, ensure_ascii=False)

    @cached_property
    def head_json(self) -> str:
        """Schema of the leading fields: decoding with it skips the rest of the body."""
        return json.dumps(self._record(self.fields[: self.head]), ensure_ascii=False)

    @cached_property
    def framed_json(self) -> str:
        """The schema of a message with its framing in front: five bytes, each an Avro int as long as it is below 128.

        So the batch codec reads messages as they came, and none is copied only to cut its framing off.
        """
        return json.dumps(self._record((*_FRAME, *self.fields)))

    @cached_property
    def framed_head_json(self) -> str:
        """`framed_json` of the leading fields."""
        return json.dumps(self._record((*_FRAME, *self.fields[: self.head])))

    @cached_property
    def arrow(self) -> pa.Schema:
        """The Arrow schema that both codecs take and return."""
        return pa.schema([pa.field(f.name, _arrow(f.type), nullable=isinstance(f.type, list)) for f in self.fields])

    @cached_property
    def names(self) -> list[str]:
        return [f.name for f in self.fields]

    @cached_property
    def head_names(self) -> list[str]:
        return self.names[: self.head]

    def _record(self, fields: tuple[Field, ...]) -> dict[str, Any]:
        return {
            "type": "record",
            "name": self.name,
            "namespace": "xinliu",
            "doc": self.doc,
            "fields": [f.to_avro() for f in fields],
        }


def _arrow(avro_type: Any) -> pa.DataType:
    if isinstance(avro_type, list):
        return _arrow(avro_type[1])
    if isinstance(avro_type, dict):
        if avro_type["type"] == "array":
            return pa.list_(pa.field("item", _arrow(avro_type["items"]), nullable=False))
        return {"date": pa.date32(), "timestamp-millis": pa.timestamp("ms")}[avro_type["logicalType"]]
    return {"string": pa.string(), "int": pa.int32(), "long": pa.int64(), "boolean": pa.bool_()}[avro_type]


CREDIT_EVENT = Message(
    "CreditEvent",
    "What a department reports about one organisation, as reported.",
    (
        *_ORIGIN,
        *_ACT,
        *_ORDER,
        *_FACTS,
        Field("faults", STRINGS, "what the adapter could not read, reason:field; such an event is quarantined"),
    ),
)
IDENTIFIED_EVENT = Message(
    "IdentifiedEvent",
    "A report in one spelling, with the record and the subject that it is about.",
    (
        *_HEAD,
        *(field for field in _FACTS if field.name != "region"),
        Field("subject_id", STRING, "canonical identifier, SCHEME:NUMBER"),
        Field("identity_version", INT, "version of the normaliser that made record_id"),
    ),
    head=len(_HEAD),
)
CREDIT_RECORD = Message(
    "CreditRecord",
    "One revision of a record; closed ones are stubs with blank facts; markers say which other contents were seen.",
    (*_REVISION, *IDENTIFIED_EVENT.fields),
    head=len(_REVISION) + len(_HEAD),
)
REVISION_HEADER = Message("RevisionHeader", "The leading fields of a record that register writes.", _REVISION)
QUARANTINED = Message(
    "Quarantined",
    "An event that was set aside: why, where it lies, and, where it could be read, the event itself.",
    (
        Field("department", STRING, "who reported"),
        Field("source_partition", INT, "partition of the department's topic"),
        Field("source_offset", LONG, "offset there"),
        Field("submission", STRING, "submission, where the event could be read"),
        Field("source_row", INT, "row in the source"),
        Field("source_part", INT, "which event of that row"),
        Field("event_id", STRING, "id of the event"),
        Field("mapping", STRING, "mapping and its version"),
        Field("category", STRING, "category as reported"),
        Field("reason", STRING, "reject reason"),
        Field("detail", STRING, "field or kind of fault, never a value"),
        Field("reported_at", MAYBE_TIMESTAMP, "when the adapter handed the event to Kafka"),
        Field("event", STRING, "the event as JSON, screened by the guard; empty where it could not be read"),
    ),
)
RECEIPT = Message(
    "Receipt",
    "What became of some events of one submission: one outcome, one reason, one source partition, many rows.",
    (
        Field("lane", STRING, "intake or register"),
        Field("department", STRING, "who reported"),
        Field("submission", STRING, "submission; empty where the events could not be read"),
        Field("outcome", STRING, "outcome that all of them had"),
        Field("reason", STRING, "reject reason, empty for recorded ones"),
        Field("detail", STRING, "field or kind of fault, never a value"),
        Field("source_partition", INT, "partition of the department's topic"),
        Field("offsets", LONGS, "their offsets there"),
        Field("rows", INTS, "their rows in the source"),
        Field("parts", INTS, "which event of the row each is"),
        Field("record_ids", STRINGS, "their records, where there is one"),
    ),
)

MEASURE = Message(
    "Measure",
    "A case about one measure after one of its transitions; in the topic of what binds, its newest state.",
    (
        Field("case_id", STRING, "128-bit hex hash of subject, rule and evidence document; empty for a heartbeat"),
        Field("revision", INT, "counts the transitions of a case, from 1"),
        Field("transition", STRING, "what happened, e.g. drafted, noticed, entered, ended, refused; heartbeat"),
        Field("state", STRING, "state of the case afterwards"),
        Field("reason", STRING, "why it ended or lapsed, or why an act was refused"),
        Field("at", TIMESTAMP, "when the cases lane said so"),
        Field("as_of", MAYBE_DATE, "the day, by the calendar of the law, for which it was judged"),
        Field("subject_key", STRING, "key of the subject"),
        Field("subject_id", STRING, "canonical identifier, SCHEME:NUMBER"),
        Field("rule", STRING, "rule of a pack, PACK/CODE"),
        Field("measure", STRING, "code of the measure, e.g. M02"),
        Field("kind", STRING, "restriction or incentive"),
        Field("activity", STRING, "the regulated activity in which it binds"),
        Field("evidence_document", STRING, "number of the document that the case rests on, in its normal spelling"),
        Field("evidence_ids", STRINGS, "records that it rests on"),
        Field("legal_bases", STRINGS, "provisions that the rule and the decision rest on"),
        Field("authority_code", STRING, "authority that decided, else the one that is asked to"),
        Field("authority_name", STRING, "its name"),
        Field("notice_document", STRING, "notice to the subject"),
        Field("notice_channel", STRING, "how it was served"),
        Field("noticed_on", MAYBE_DATE, "day of the notice"),
        Field("objection_until", MAYBE_DATE, "last day of the window for objections"),
        Field("provisional", "boolean", "a deadline falls into a year whose calendar is not announced yet"),
        Field("objected_on", MAYBE_DATE, "day of an objection in time"),
        Field("reviewed_on", MAYBE_DATE, "day of the answer to it"),
        Field("decision_document", STRING, "decision that put it in force"),
        Field("decided_on", MAYBE_DATE, "day of the decision"),
        Field("in_force_from", MAYBE_DATE, "first day in force"),
        Field("ends_on", MAYBE_DATE, "last day in force; it ends by itself"),
        Field("ended_on", MAYBE_DATE, "day on which it ended"),
        Field("repair_path", STRING, "what the subject can do to end it, and when at the earliest"),
        Field("act_id", STRING, "record of the act that this transition is about, or of the evidence"),
        Field("event_id", STRING, "event that brought it"),
        Field("recheck_seconds", INT, "a reader that has heard nothing for longer has stale data"),
        Field("reported_at", MAYBE_TIMESTAMP, "when the event that brought it was reported; null where time alone did"),
    ),
)
SUBJECT_CASES = Message(
    "SubjectCases",
    "All that the cases lane knows of one subject: its state, of which the cases are computed.",
    (
        Field("subject_key", STRING, "key of the subject"),
        Field("as_of", MAYBE_DATE, "the latest day for which it was judged"),
        Field("facts", STRING, "evidence and acts as JSON, see stream_processors.cases.facts"),
    ),
)
ACKNOWLEDGEMENT = Message(
    "Acknowledgement",
    "An enforcement service says that it stopped enforcing a measure.",
    (
        Field("case_id", STRING, "the case that ended"),
        Field("revision", INT, "revision of the case that it saw"),
        Field("service", STRING, "name of the enforcement service"),
        Field("at", TIMESTAMP, "when it stopped"),
        Field("reported_at", MAYBE_TIMESTAMP, "when the event that ended it was reported; null where time alone did"),
    ),
)

COMMAND = Message(
    "Command",
    "An operator's order to a lane or to ops; kept for ever, so that it can be seen who ordered what.",
    (
        Field("command_id", STRING, "random 128-bit hex id"),
        Field("operator", STRING, "id in the table of operators: a duty desk, never a person's name"),
        Field("action", STRING, "pause, resume or redrive"),
        Field("target", STRING, "a lane (intake, register, cases, store) or a reader of ops (notices, webhook-<id>)"),
        Field("because", STRING, "incident, maintenance, mended or drill"),
        Field("at", TIMESTAMP, "when it was ordered"),
    ),
)

MESSAGES: tuple[Message, ...] = (
    CREDIT_EVENT,
    IDENTIFIED_EVENT,
    CREDIT_RECORD,
    QUARANTINED,
    RECEIPT,
    MEASURE,
    SUBJECT_CASES,
    ACKNOWLEDGEMENT,
    COMMAND,
)
OPERATIONS = ("report", "correct", "annul", "withdraw", "repair", "reinstate")
CLOSED_BY = {"annul": "annulled", "withdraw": "withdrawn", "repair": "repaired"}
CLOSED = ("annulled", "withdrawn", "repaired", "expired")
MARKERS = ("superseded", "conflicting", "changed", "confirmed")
