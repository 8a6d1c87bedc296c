"""What the subject of a measure is told at each step, in Chinese and English, and the outbox of notices.

A notice says what happened, on which document, what the subject can do and until when, and when it ends by itself. It
does not take the place of the authority's own document: it repeats what that says. A draft that nobody has acted on is
no news to anybody and is not told.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from stream_processors.ops.message import message_id
from stream_processors.ops.sender import Answer
from stream_processors.rules.rule import Rule

READER = "notices"

# Transition → what is said. A sentence whose fields are not all known is left out.
SENTENCES: dict[str, tuple[tuple[str, str], ...]] = {
    "noticed": (
        (
            "{authority_name}于{noticed_on}以告知书{notice_document}告知贵单位。",
            "{authority_name} gave notice on {noticed_on} by document {notice_document}.",
        ),
        ("{rule_zh}", "{rule_en}"),
        (
            "贵单位可在{objection_until}（含当日）之前向该机关提出异议；异议得到答复之前不作决定。",
            "You may object to that authority until {objection_until} inclusive; nothing is decided before the answer.",
        ),
    ),
    "objected": (
        (
            "贵单位于{objected_on}提出的异议已记录；得到答复之前不作决定。",
            "Your objection of {objected_on} is on record; nothing is decided before it is answered.",
        ),
    ),
    "reviewed": (("贵单位的异议已于{reviewed_on}得到答复。", "Your objection was answered on {reviewed_on}."),),
    "decided": (
        (
            "{authority_name}于{decided_on}作出决定{decision_document}，自{in_force_from}起生效。",
            "{authority_name} decided on {decided_on} by document {decision_document}, in force from {in_force_from}.",
        ),
        ("{rule_zh}", "{rule_en}"),
    ),
    "entered": (
        ("该措施自{in_force_from}起生效。", "The measure is in force from {in_force_from}."),
        ("{rule_zh}", "{rule_en}"),
        ("所依据的决定：{decision_document}。", "It rests on the decision {decision_document}."),
        ("到{ends_on}为止，届满自动终止。", "It ends by itself after {ends_on}."),
    ),
    "suspended": (("该措施暂停执行。", "The measure is suspended and does not bind."),),
    "resumed": (
        ("暂停已结束，该措施恢复执行。", "The suspension is over and the measure binds again."),
        ("到{ends_on}为止，届满自动终止。", "It ends by itself after {ends_on}."),
    ),
    "reopened": (
        (
            "终止的依据不再成立，该案恢复到终止之前的状态。",
            "What ended it no longer stands; the case is again as it was before the end.",
        ),
    ),
    "ended": (
        ("该措施或程序已终止：{end_zh}。", "The measure or procedure has ended: {end_en}."),
        ("终止日期：{ended_on}。", "It ended on {ended_on}."),
        (
            "各执行单位不得再以此为据。",
            "No service may rely on it any more.",
        ),
    ),
}
END_WORDS: dict[str, tuple[str, str]] = {
    "expired": ("期限届满", "its time is over"),
    "repaired": ("信用修复", "the credit was repaired"),
    "annulled": ("所依据的文书被撤销", "the document that it rests on was annulled"),
    "withdrawn": ("作出机关撤回", "the authority withdrew it"),
    "ceased": ("主体已注销或合并", "the body was struck off or merged"),
    "corrected": ("所依据的记录已更正", "the record that it rests on was corrected"),
    "objection_accepted": ("异议成立", "the objection was accepted"),
    "lapsed": ("逾期未作决定", "nobody decided in time"),
}
_PROVISIONAL = (
    "该期限所在年份的工作日安排尚未公布，期限按对贵单位有利的方式计算。",
    "The working days of that year are not announced yet; the term is counted in your favour.",
)
_LATER = ("entered", "decided", "noticed", "resumed")  # while there is something to repair


def wants(measure: Mapping[str, Any]) -> bool:
    """Whether the subject is told of this transition."""
    return bool(measure["subject_id"]) and measure["transition"] in SENTENCES


def notice_body(measure: Mapping[str, Any], rules: Mapping[str, Rule]) -> bytes:
    """The notice as JSON: to whom, by which channel, about which case, and the words."""
    chinese, english = words(measure, rules.get(measure["rule"]))
    notice = {
        "id": message_id(measure),
        "to": measure["subject_id"],
        "channel": measure["notice_channel"] or "registered",
        "case_id": measure["case_id"],
        "measure": measure["measure"],
        "transition": measure["transition"],
        "at": measure["at"].replace(tzinfo=UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "legal_bases": measure["legal_bases"],
        "zh": chinese,
        "en": english,
    }
    return json.dumps(notice, ensure_ascii=False, indent=1).encode()


def words(measure: Mapping[str, Any], rule: Rule | None) -> tuple[str, str]:
    """Chinese and English."""
    end_zh, end_en = END_WORDS.get(measure["reason"], ("", ""))
    known = {name: _text(value) for name, value in measure.items()} | {
        "rule_zh": rule.sentence_zh if rule else "",
        "rule_en": rule.sentence_en if rule else "",
        "end_zh": end_zh,
        "end_en": end_en,
    }
    said = [pair for pair in SENTENCES[measure["transition"]] if _complete(pair[0], known)]
    if measure["transition"] == "noticed" and measure["provisional"]:
        said.append(_PROVISIONAL)
    if bases := "；".join(measure["legal_bases"]):
        said.append((f"法律依据：{bases}。", f"Legal basis: {bases}."))
    if measure["repair_path"] and measure["transition"] in _LATER:
        chinese, _, english = measure["repair_path"].partition(" / ")
        said.append((f"修复途径：{chinese}。", f"How to end it earlier: {english or chinese}."))
    zh = "".join(chinese.format_map(known) for chinese, _ in said)
    return zh, " ".join(english.format_map(known) for _, english in said)


def _complete(sentence: str, known: Mapping[str, str]) -> bool:
    names = [piece.split("}")[0] for piece in sentence.split("{")[1:]]
    return all(known.get(name) for name in names)


def _text(value: object) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str) else ""


class FileOutbox:
    """One file for each notice, for whoever serves them: written whole or not at all, once however often it is told.

    Another way to serve them is another `Receiver`: an office's mailbox, the platform of the province.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def deliver(self, message_id: str, body: bytes) -> Answer:
        """See `Receiver`."""
        target = self._folder / f"{message_id}.json"
        part = self._folder / f".{message_id}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except OSError:
            return Answer(False, "outbox_not_writable")
        return Answer(True)
