"""What the subject is told: at each step that concerns it, in two languages, with the term and the way to end it."""

import asyncio
import json
from datetime import date

import pytest
from ops_receivers import encoded, measure

from schemas import codec
from schemas.avro import MEASURE
from stream_processors.cases.judge import ENDS
from stream_processors.ops import notices
from stream_processors.ops.notices import END_WORDS, SENTENCES, FileOutbox, notice_body, wants, words
from stream_processors.rules.packs import load_packs

RULES = load_packs().rules
M02 = RULES["CN-36/M02"]


def told(**fields) -> dict:
    """A transition as it comes from the topic."""
    return codec.decode(MEASURE, encoded(measure(**fields))).batch.to_pylist()[0]


NOTICED = {
    "transition": "noticed",
    "authority_name": "济南市财政局（演示）",
    "noticed_on": date(2026, 5, 1),
    "notice_document": "济财告〔2026〕1号",
    "notice_channel": "registered mail",
    "objection_until": date(2026, 5, 12),
    "repair_path": "改正后申请 / correct the breach and apply",
}


def test_a_notice_says_who_what_until_when_and_how_to_end_it():
    chinese, english = words(told(**NOTICED), M02)
    for piece in (
        "济南市财政局（演示）",
        "济财告〔2026〕1号",
        M02.sentence_zh,
        "2026-05-12",
        "异议",
        "第77条",
        "改正后申请",
    ):
        assert piece in chinese
    for piece in ("2026-05-01", M02.sentence_en, "until 2026-05-12", "correct the breach and apply"):
        assert piece in english
    assert "{" not in chinese + english


def test_a_term_in_a_year_without_a_calendar_is_said_to_be_in_favour_of_the_subject():
    chinese, english = words(told(**NOTICED, provisional=True), M02)
    assert "有利" in chinese and "in your favour" in english
    assert "in your favour" not in words(told(**NOTICED), M02)[1]


def test_what_is_not_known_is_not_said():
    chinese, english = words(told(transition="entered", in_force_from=date(2026, 6, 1)), None)
    assert chinese.startswith("该措施自2026-06-01起生效。") and "到" not in chinese
    assert "{" not in chinese + english and "None" not in chinese + english


@pytest.mark.parametrize("reason", ENDS)
def test_every_end_has_words(reason):
    chinese, english = words(told(transition="ended", reason=reason, ended_on=date(2026, 9, 1)), M02)
    assert END_WORDS[reason][0] in chinese and END_WORDS[reason][1] in english and "2026-09-01" in english
    assert "How to end it" not in english


@pytest.mark.parametrize("transition", SENTENCES)
def test_every_step_is_said_in_both_languages(transition):
    everything = {f.name: date(2026, 5, 1) for f in MEASURE.fields if f.name.endswith(("_on", "_until", "_from"))}
    row = told(**NOTICED | everything | {"transition": transition, "reason": "expired", "decision_document": "文2号"})
    chinese, english = words(row, M02)
    assert chinese and english and "{" not in chinese + english
    assert len(SENTENCES[transition]) == len([p for p in SENTENCES[transition] if notices._complete(p[0], _known(row))])


def _known(row) -> dict[str, str]:
    given = {name: notices._text(value) for name, value in row.items()}
    return given | {"rule_zh": "x", "rule_en": "x", "end_zh": "x", "end_en": "x"}


def test_both_languages_of_a_sentence_name_the_same_facts():
    for pairs in SENTENCES.values():
        for chinese, english in pairs:
            names = [{piece.split("}")[0] for piece in text.split("{")[1:]} for text in (chinese, english)]
            assert {n.replace("_zh", "_en") for n in names[0]} == names[1]


@pytest.mark.parametrize(
    ("transition", "subject", "is_told"),
    [("noticed", "uscc:1", True), ("ended", "uscc:1", True), ("drafted", "uscc:1", False), ("heartbeat", "", False),
     ("refused", "uscc:1", False), ("ended", "", False)],
)  # fmt: skip
def test_a_draft_a_refused_act_and_a_heartbeat_are_no_news_to_the_subject(transition, subject, is_told):
    assert wants(told(transition=transition, subject_id=subject)) is is_told


def test_a_notice_told_twice_is_one_file(tmp_path):
    outbox = FileOutbox(tmp_path / "outbox")
    body = notice_body(told(**NOTICED), RULES)
    for _ in range(2):
        assert asyncio.run(outbox.deliver("c1.1", body)).ok
    (file,) = (tmp_path / "outbox").iterdir()
    notice = json.loads(file.read_text())
    assert (notice["id"], notice["channel"], notice["to"]) == ("c1.1", "registered mail", "uscc:91370100MA3TESTX0K")


def test_an_outbox_that_can_not_be_written_is_tried_again(tmp_path):
    (tmp_path / "outbox").write_text("not a folder")
    answer = asyncio.run(FileOutbox(tmp_path / "outbox").deliver("c1.1", b"{}"))
    assert (answer.ok, answer.why, answer.hopeless) == (False, "outbox_not_writable", False)
