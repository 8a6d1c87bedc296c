"""Outcomes and reject reasons, each declared once: receipts, metrics, docs and messages read them here.

An outcome says what became of an event; a reason says why it was not recorded. No reason ever carries the value
that caused it: `detail` names a field or a kind of fault.
"""

from dataclasses import dataclass
from typing import Literal, get_args

Outcome = Literal["new", "repeat", "superseding", "stale", "conflicting", "quarantined", "refused"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

# A row that became several events has the outcome of its worst event: first in this list wins.
WORST_FIRST: tuple[Outcome, ...] = (
    "refused",
    "quarantined",
    "conflicting",
    "new",
    "superseding",
    "stale",
    "repeat",
)

OUTCOME_SENTENCES: dict[Outcome, str] = {
    "new": "became a record that was not there before",
    "repeat": "says what is on record already; nothing changed",
    "superseding": "is newer than what was on record and took its place",
    "stale": "is older than what is on record, or its record is closed; kept in the history only",
    "conflicting": "disagrees with what its authority has on record; kept in the history for the authority to decide",
    "quarantined": "could not be recorded as it is; set aside with a reason, to be mended and sent again",
    "refused": "is outside of what this platform may hold; nothing of it was kept",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for not recording an event.

    Attributes:
        outcome: `quarantined` (kept aside, can be mended) or `refused` (kept nowhere, counted only).
        sentence: what a clerk is told; `{detail}` is replaced by a field's name or a kind of fault.
        remedy: what to do next.
    """

    name: str
    outcome: Outcome
    sentence: str
    remedy: str

    def message(self, detail: str = "") -> str:
        """The whole sentence, without any value from the data."""
        return f"{self.sentence.format(detail=detail or 'unspecified')}; {self.remedy}"


_ALL = (
    # -- refused: the line that we hold -------------------------------------------------------------------------
    Reason(
        "person_row",
        "refused",
        "the row is about a natural person",
        "send rows of registered organisations only",
    ),
    Reason(
        "personal_number",
        "refused",
        "a field holds a personal number ({detail})",
        "remove it at the source; nothing of the row was kept",
    ),
    Reason(
        "subject_is_person",
        "refused",
        "the subject is identified by a personal number ({detail})",
        "send rows of registered organisations only",
    ),
    Reason(
        "subject_out_of_scope",
        "refused",
        "the kind of body is outside of the platform's scope ({detail})",
        "do not send records of religious bodies, unions, law firms, notaries, foreign bureaux or cultural centres",
    ),
    # -- quarantined: the row as mapped -------------------------------------------------------------------------
    Reason(
        "value_unreadable",
        "quarantined",
        "the value of {detail} can not be read in the format that the mapping declares",
        "correct the cell, or add the format to the mapping",
    ),
    Reason(
        "value_missing",
        "quarantined",
        "the required field {detail} is empty",
        "fill it in at the source and send the row again",
    ),
    Reason(
        "value_too_long",
        "quarantined",
        "the value of {detail} is longer than a record may hold",
        "shorten it at the source",
    ),
    Reason(
        "code_unknown",
        "quarantined",
        "the value of {detail} is not in the mapping's code list",
        "add it to the code list of the mapping, or correct the cell",
    ),
    Reason(
        "row_shape",
        "quarantined",
        "the row has another number of cells than the header",
        "look for a line break or a separator inside a cell and quote it",
    ),
    Reason(
        "text_damaged",
        "quarantined",
        "the text of the row was damaged before it came here ({detail})",
        "compare the row with its original, and export the file again as UTF-8 or GB18030",
    ),
    Reason(
        "dates_disagree",
        "quarantined",
        "the dates contradict each other ({detail})",
        "correct the dates at the source",
    ),
    Reason(
        "date_implausible",
        "quarantined",
        "the date of {detail} can not be right: before 1949, after the day of the report, or centuries ahead",
        "correct the date at the source; leave it empty where there is none or no end",
    ),
    Reason(
        "amounts_disagree",
        "quarantined",
        "the amounts contradict each other ({detail})",
        "say which amount is right at the source",
    ),
    # -- quarantined: the subject -------------------------------------------------------------------------------
    Reason(
        "subject_unresolved",
        "quarantined",
        "the row names no identifier by which the organisation can be found",
        "add its unified social credit code or registration number",
    ),
    Reason(
        "subject_placeholder",
        "quarantined",
        "the identifier is a placeholder, not a code of an organisation",
        "add the real code or the registration number",
    ),
    Reason(
        "subject_code_invalid",
        "quarantined",
        "the organisation's code fails its check ({detail})",
        "compare it with the licence; a code that was issued with a wrong check digit goes on the override list",
    ),
    Reason(
        "subject_codes_disagree",
        "quarantined",
        "two identifiers in the row belong to different organisations",
        "say which of them is the subject",
    ),
    Reason(
        "subject_is_authority",
        "quarantined",
        "the code of the subject is that of the authority that decided",
        "put the organisation's own code into its column",
    ),
    Reason(
        "several_subjects",
        "quarantined",
        "{detail} names more than one organisation",
        "send one row for each of them, each with its own code",
    ),
    # -- quarantined: the record --------------------------------------------------------------------------------
    Reason(
        "category_unknown",
        "quarantined",
        "the category is not in the catalogue",
        "use one of the catalogue's categories in the mapping",
    ),
    Reason(
        "operation_unknown",
        "quarantined",
        "the operation is not one that a record knows",
        "use report, correct, annul, withdraw, repair or reinstate",
    ),
    Reason(
        "identity_incomplete",
        "quarantined",
        "a part of the record's identity is missing ({detail})",
        "the catalogue says which parts this category requires; add it at the source",
    ),
    Reason(
        "document_number_invalid",
        "quarantined",
        "what stands as {detail} is not the number of one document",
        "write the number as the decision bears it; a year alone, the name of the case and a whole title are none",
    ),
    # -- quarantined: the bytes on the topic --------------------------------------------------------------------
    Reason(
        "event_undecodable",
        "quarantined",
        "the message is not an event in the declared format",
        "write events with xinliu-adapter or the published Avro schema",
    ),
    Reason(
        "event_empty",
        "quarantined",
        "the message has no value",
        "do not write tombstones to a department's topic; annul the record instead",
    ),
    Reason(
        "event_too_large",
        "quarantined",
        "the event is larger than a record may be",
        "long texts do not belong in an event; send a link",
    ),
)

REASONS: dict[str, Reason] = {reason.name: reason for reason in _ALL}
