"""Each step of an event's way is named with its reason in words, and nothing is shown that the line forbids."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hand_run_platform import AGAIN, MISREAD, SUBMISSION, SUBMISSION_OF_TAX, Platform, event
from small_platform import fill_store, messages

from schemas import codec
from schemas.avro import QUARANTINED
from schemas.errors import InputError
from schemas.reasons import OUTCOMES, REASONS
from schemas.settings import Settings
from schemas.topics import QUARANTINE
from stream_processors.__main__ import answer
from stream_processors.clickhouse import connect
from stream_processors.explain_target import Target, target_of
from stream_processors.explain_words import OUTCOMES_ZH, REASONS_ZH, outcome_words, reason_words
from tests.schemas.events import RESIDENT_ID, SOLE_TRADER, USCC

pytest_plugins = ["operator_fixtures"]


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("a" * 32, Target("id", id="a" * 32)),
        (f" {SUBMISSION}:12 ", Target("row", submission=SUBMISSION, row=12)),
        (f"{SUBMISSION}:12.1", Target("row", submission=SUBMISSION, row=12, part=1)),
        ("credit.receipts.market/0/12", Target("place", topic="credit.receipts.market", offset=12)),
        ("credit.receipts.market[0]@12:7", Target("place", topic="credit.receipts.market", offset=12, row=7)),
        ("credit.events.mx-sat[3]@0", Target("place", topic="credit.events.mx-sat", partition=3)),
        ("credit.quarantine/0/7", Target("place", topic="credit.quarantine", offset=7)),
    ],
)
def test_what_may_be_explained(words: str, target: Target):
    assert target_of(words) == target


@pytest.mark.parametrize("words", [RESIDENT_ID, "", f"{RESIDENT_ID}:2", "credit.records/0/1", "A" * 32, USCC])
def test_what_can_not_be_explained_is_not_repeated(words: str):
    with pytest.raises(InputError) as caught:
        target_of(words)
    assert not words or words not in str(caught.value)


def test_every_outcome_and_every_reason_has_words_in_both_languages():
    assert set(OUTCOMES_ZH) == set(OUTCOMES)
    assert set(REASONS_ZH) == set(REASONS)
    for reason in REASONS.values():
        assert ("{detail}" in reason.sentence) == ("{detail}" in REASONS_ZH[reason.name])
        assert all(reason_words(reason.name, "decided_on"))
    assert all(all(outcome_words(outcome)) for outcome in OUTCOMES)


# -- on a real broker -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(platform: Platform, clickhouse: Any) -> Iterator[Settings]:
    """Settings of the same platform with a store that holds everything."""
    settings = replace(platform.settings, clickhouse_url=clickhouse.url, clickhouse_database="explained")
    store = connect(settings)
    fill_store(settings, store, platform.reference)
    yield settings
    store.command("DROP DATABASE explained", doing="clearing up")
    store.close()


@pytest.fixture(params=["topics", "store"])
def anywhere(
    request: pytest.FixtureRequest, platform: Platform, stored: Settings, environment: Callable[[Settings], None]
) -> str:
    """The same answers with the store and while it is away."""
    environment(stored if request.param == "store" else platform.settings)
    return request.param


def explained(capsys: pytest.CaptureFixture[str], what: str) -> list[dict[str, Any]]:
    assert answer(["explain", what, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)["explanations"]


def steps_of(explanation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["step"]: step for step in explanation["steps"]}


def test_a_recorded_row_is_followed_to_its_record(anywhere, capsys):
    (found,) = explained(capsys, f"{SUBMISSION}:2")
    steps = steps_of(found)
    names = ["row", "mapping", "event", "guard", "normalise", "identify", "authorise", "fold", "record"]
    assert list(steps) == [*names, *(["store"] if anywhere == "store" else [])]
    assert (found["outcome"], found["row"]) == ("new", 2)
    assert "第 2 行" in steps["row"]["zh"]
    assert "penalty-2018@1 → administrative penalty" in steps["mapping"]["en"]
    assert "document_number: 济市监处罚[2026] 2 号 → 济市监处罚〔2026〕2号" in steps["normalise"]["details"]
    assert "authority 机关: 11370100XXXX10022M" in steps["identify"]["details"]
    assert "subject 主体: org:600056171" in steps["identify"]["details"]
    assert "rank 3" in steps["authorise"]["en"]
    assert "新增记录" in steps["fold"]["zh"]
    assert "1 revision(s), now valid" in steps["record"]["en"]
    if anywhere == "store":
        assert "shown to those who ask" in steps["store"]["en"]


def test_record_event_receipt_and_row_lead_to_the_same_steps(anywhere, capsys):
    (by_row,) = explained(capsys, f"{SUBMISSION}:2")
    for what in (by_row["record_id"], event(2)["event_id"], by_row["event"], f"{by_row['receipt']}:2"):
        assert explained(capsys, what)[0] == by_row


def test_a_repeat_says_so_and_shows_the_record_that_it_repeats(anywhere, capsys):
    (found,) = explained(capsys, f"{AGAIN}:2")
    assert found["outcome"] == "repeat"
    assert found["record_id"] == explained(capsys, f"{SUBMISSION}:2")[0]["record_id"]
    (by_id,) = explained(capsys, event(2, submission=AGAIN)["event_id"])
    assert by_id == found


def test_what_was_set_aside_is_masked_with_its_reason_in_words(anywhere, platform, capsys):
    (found,) = explained(capsys, f"{SUBMISSION}:4")
    steps = steps_of(found)
    assert list(steps) == ["row", "mapping", "event", "guard", "examine"]
    assert steps["examine"]["mark"] == "stop"
    assert "组织代码未通过校验" in steps["examine"]["zh"]
    assert "fails its check" in steps["examine"]["en"]
    assert MISREAD not in json.dumps(found)
    lie = messages(platform.settings, QUARANTINE)
    rows = codec.decode(QUARANTINED, lie.values).batch["source_row"].to_pylist()
    assert explained(capsys, f"credit.quarantine/0/{lie.offsets[rows.index(4)]}") == [found]


def test_of_a_refused_row_nothing_is_shown(anywhere, capsys):
    (found,) = explained(capsys, f"{SUBMISSION}:7")
    steps = steps_of(found)
    assert "某字段含有个人号码" in steps["guard"]["zh"]
    assert {name: step["mark"] for name, step in steps.items()} == {
        "row": "ok",
        "mapping": "none",
        "event": "none",
        "guard": "stop",
    }
    assert RESIDENT_ID not in json.dumps(found)
    assert "经办" not in json.dumps(found, ensure_ascii=False)


def test_a_name_that_is_not_kept_is_not_shown_and_of_a_closed_record_no_facts(anywhere, capsys):
    (trader,) = explained(capsys, f"{SUBMISSION}:8")
    said = json.dumps(trader, ensure_ascii=False)
    assert "赵某某" not in said
    assert "未保存 not kept" in said
    assert f"org:{SOLE_TRADER[8:17]}" in said
    (closed,) = explained(capsys, f"{SUBMISSION}:9")
    said = json.dumps(closed, ensure_ascii=False)
    assert "now annulled" in steps_of(closed)["record"]["en"]
    assert "no facts are shown" in steps_of(closed)["normalise"]["en"]
    for hidden in ("济市监处罚", "济南示例", "500000"):
        assert hidden not in said
    if anywhere == "store":
        assert "only its stub is kept" in steps_of(closed)["store"]["en"]


def test_the_page_has_a_line_for_each_step(anywhere, capsys):
    assert answer(["explain", f"{SUBMISSION}:2"]) == 0
    page = capsys.readouterr().out
    lines = [line for line in page.splitlines() if line.startswith(("✓", "✗", "…", "–"))]
    assert len(lines) == (10 if anywhere == "store" else 9)
    assert "归并 fold" in page
    assert answer(["explain", f"{SUBMISSION_OF_TAX}:2"]) == 0
    assert "没有可以确认组织身份的标识" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (f"{SUBMISSION}:999", "no receipt for row 999"),
        ("f" * 32, "no record and no event has that id"),
        ("credit.receipts.market/0/99999", "nothing is known of credit.receipts.market[0]@99999"),
        ("credit.events.nobody/0/1", "no such department is registered"),
        (RESIDENT_ID, "name a record or an event by its id"),
    ],
)
def test_what_is_unknown_is_one_sentence(anywhere, capsys, what, said):
    assert answer(["explain", what]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert RESIDENT_ID not in captured.err
    assert captured.out == ""


def test_when_nobody_answers_it_is_one_sentence(platform, environment, capsys, monkeypatch):
    monkeypatch.setattr("stream_processors.explain_sources._ASK_SECONDS", 0.5)
    environment(replace(platform.settings, bootstrap_servers="127.0.0.1:9"))
    assert answer(["explain", f"{SUBMISSION}:2"]) == 75
    assert "127.0.0.1:9" in capsys.readouterr().err
