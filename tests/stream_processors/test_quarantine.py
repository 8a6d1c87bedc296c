"""What was set aside: listed, shown masked, repaired by a proposal or after a mended rule; the proof holds."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hand_run_platform import MISREAD, RIGHT, SUBMISSION, WRONG, Platform, event, reference_with
from small_platform import messages

from schemas import codec
from schemas.avro import CREDIT_EVENT, CREDIT_RECORD, Message
from schemas.errors import InputError
from schemas.reference import Reference, load
from schemas.topics import HISTORY, events_topic
from stream_processors.__main__ import answer
from stream_processors.quarantine import ITEMS, Wanted, group_name, groups, wanted_of
from stream_processors.quarantine_events import NOT_SHOWN, events_of, shown_event
from stream_processors.quarantine_log import log_file
from stream_processors.quarantine_redrive import Order, Redriven, redrive
from stream_processors.quarantine_shelf import StoreShelf, TopicShelf, open_shelf
from stream_processors.verify import verify
from tests.schemas.events import RESIDENT_ID, batch_of

pytest_plugins = ["operator_fixtures"]

# -- pure -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("120", Wanted(id=120)),
        ("market", Wanted("market")),
        ("market/value_missing", Wanted("market", "value_missing")),
        ("market/value_missing/penalty-2018@1", Wanted("market", "value_missing", "penalty-2018@1")),
        ("market/event_undecodable/-", Wanted("market", "event_undecodable", "")),
    ],
)
def test_an_item_or_a_group_is_named_as_the_list_shows_it(words: str, wanted: Wanted):
    assert wanted_of(words) == wanted
    if wanted.mapping is not None:
        assert group_name("market", wanted.reason or "", wanted.mapping) == words


@pytest.mark.parametrize("words", ["", "a b", "market/x/y/z", RESIDENT_ID + "号", "张三/李四"])
def test_what_names_nothing_is_refused_without_repeating_it(words: str):
    with pytest.raises(InputError) as caught:
        wanted_of(words)
    assert not words or words not in str(caught.value)


def test_an_event_comes_back_from_quarantine_as_it_was_reported():
    rows = batch_of(event(2), event(3, decided_on=None, subject_ids=[], fine_fen=None, source_version=NOON))
    texts = pl.DataFrame(pl.from_arrow(rows)).write_ndjson().splitlines()
    found = events_of([7, 9, 8], [*texts, ""])
    assert found.batch.to_pylist() == rows.to_pylist()
    assert (found.ids, found.unreadable) == ([7, 9], [8])


NOON = datetime(2026, 5, 1, 12, 0, 0, 125_000, tzinfo=UTC)


def test_a_field_that_is_newer_than_the_item_is_blank():
    text = json.loads(pl.DataFrame(pl.from_arrow(batch_of(event(2)))).write_ndjson())
    del text["source_url"]
    assert events_of([1], [json.dumps(text)]).batch.to_pylist()[0]["source_url"] == ""
    assert events_of([1, 2, 3], ["{", "[]", '{"decided_on": "+12345-01-01"}']).unreadable == [1, 2, 3]


def test_what_is_shown_is_masked_and_names_no_person():
    shown = shown_event(event(2, subject_name="赵某某", subject_ids=[f"CN-USCC:{WRONG}"]), "market", load())
    assert shown is not None
    assert shown["subject_name"] == NOT_SHOWN
    assert shown["subject_ids"] == [f"CN-USCC:9137{'*' * 12}1X"]
    assert WRONG not in json.dumps(shown, ensure_ascii=False)
    assert shown["fine_fen"] == 500_000
    assert shown_event(event(2, item=f"经办 {RESIDENT_ID}"), "market", load()) is None


def test_groups_count_an_event_once_where_it_lies_now():
    at = datetime(2026, 5, 1, tzinfo=UTC)
    rows = [
        {"id": 1, "reason": "value_missing", "detail": "item", "state": "again"},
        {"id": 4, "reason": "value_missing", "detail": "item", "state": "open"},
        {"id": 2, "reason": "value_missing", "detail": "grade", "state": "repaired"},
        {"id": 3, "reason": "row_shape", "detail": "", "state": "open"},
    ]
    blank = dict.fromkeys(ITEMS) | {"department": "market", "mapping": "m@1", "set_aside_at": at}
    found = groups(pl.DataFrame([blank | row for row in rows], schema=ITEMS)).to_dicts()
    assert [(g["group"], g["rows"], g["open"], g["repaired"], g["example"]) for g in found] == [
        ("market/value_missing/m@1", 2, 1, 1, 4),
        ("market/row_shape/m@1", 1, 1, 0, 3),
    ]


# -- on a real broker -----------------------------------------------------------------------------------------------


def told(capsys: pytest.CaptureFixture[str], *command: str, code: int = 0) -> Any:
    """What a command says as JSON."""
    assert answer([*command, "--json"]) == code, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def groups_of(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[int, int, int]]:
    listed = told(capsys, "quarantine", "list")["groups"]
    return {group["group"]: (group["rows"], group["open"], group["repaired"]) for group in listed}


INVALID = "market/subject_code_invalid/penalty-2018@1"


def test_while_the_store_is_away_the_topics_are_listed(platform, environment, capsys):
    assert told(capsys, "quarantine", "list")["source"] == "Kafka's topics"
    assert groups_of(capsys) == {
        INVALID: (3, 3, 0),
        "market/event_undecodable/-": (1, 1, 0),
        "market/value_unreadable/penalty-2018@1": (1, 1, 0),
        "tax/subject_unresolved/penalty-2018@1": (1, 1, 0),
    }
    assert answer(["quarantine", "list", "--department", "tax"]) == 0
    page = capsys.readouterr()
    assert "该行没有可以确认组织身份的标识" in page.out
    assert "market" not in page.out
    assert "the store does not answer" in page.err


def test_an_item_is_shown_masked_with_its_reason_in_words(platform, environment, capsys):
    assert answer(["quarantine", "show", INVALID]) == 0
    page = capsys.readouterr().out
    assert f"{SUBMISSION} 第 3 行" in page
    assert "组织代码未通过校验" in page
    assert "fails its check" in page
    for hidden in (WRONG, MISREAD, "赵某某", "济南示例商贸有限公司"):
        assert hidden not in page
    undecodable = told(capsys, "quarantine", "show", "market/event_undecodable")["items"][0]
    assert (undecodable["readable"], undecodable["event"]) == (False, None)


def test_a_redrive_first_says_what_would_become_of_them_and_sends_nothing(platform, environment, capsys, tmp_path):
    before = len(messages(platform.settings, events_topic("market")))
    nothing_mended = told(capsys, "quarantine", "redrive", code=1)
    assert nothing_mended["would_be"] == {}
    assert nothing_mended["still_bad"] == {
        "subject_code_invalid": 3,
        "value_unreadable": 1,
        "subject_unresolved": 1,
    }
    assert (nothing_mended["open"], nothing_mended["seen"], nothing_mended["unreadable"]) == (6, 6, 1)
    foreseen = run(platform, Order(wanted_of(INVALID)), load(reference_with(tmp_path / "r", WRONG)))
    assert dict(foreseen.foreseen.outcomes) == {"new": 2}
    assert dict(foreseen.foreseen.still_bad) == {"subject_code_invalid": 1}
    assert len(messages(platform.settings, events_topic("market"))) == before


def run(platform: Platform, order: Order, reference: Reference, away: bool = False) -> Redriven:
    shelf = open_shelf(platform.settings, away=away)
    try:
        return redrive(platform.settings, reference, shelf, order, lambda: datetime.now(UTC))
    finally:
        shelf.close()


def test_a_proposal_is_shown_and_changes_nothing_until_it_is_accepted(platform, environment, capsys):
    found = told(capsys, "quarantine", "propose", INVALID)["proposals"]
    assert [(one["field"], one["proposed"]) for one in found] == [("subject_ids", f"CN-USCC:{RIGHT}")]
    assert groups_of(capsys)[INVALID] == (3, 3, 0)
    assert answer(["quarantine", "propose", INVALID]) == 0
    assert MISREAD not in capsys.readouterr().out

    assert answer(["quarantine", "propose", "--accept", found[0]["id"], "--by", "clerk", "--timeout", "0.2"]) == 75
    assert "was sent" in capsys.readouterr().err
    platform.run_lanes()
    assert groups_of(capsys)[INVALID] == (3, 2, 1)
    sent = pl.DataFrame(
        pl.from_arrow(codec.decode(CREDIT_EVENT, messages(platform.settings, events_topic("market")).values).batch)
    )
    both = sent.filter(pl.col("source_row") == 4).to_dicts()
    assert both[1] == both[0] | {"subject_ids": [f"CN-USCC:{RIGHT}"]}
    line = json.loads(log_file(platform.settings).read_text("utf-8").splitlines()[-1])
    assert (line["act"], line["by"], line["event_id"]) == ("accept", "clerk", both[0]["event_id"])

    assert answer(["quarantine", "propose", "--accept", found[0]["id"]]) == 2
    assert "repaired since" in capsys.readouterr().err


def test_after_a_mended_table_those_that_pass_are_sent_once_and_as_reported(
    platform, environment, clickhouse, capsys, tmp_path
):
    platform.with_store(clickhouse, "quarantined")
    environment(platform.settings)
    assert groups_of(capsys)[INVALID] == (3, 2, 1)
    mended = load(reference_with(tmp_path / "r", WRONG))
    order = Order(wanted_of("market"), apply=True, by="clerk", silence_seconds_max=0.2)

    first = run(platform, replace(order, limit=1), mended)
    assert (first.sent, first.silent) == (1, 1)
    platform.run_lanes(mended)
    second = run(platform, order, mended)
    assert (second.open, second.sent) == (3, 1)
    platform.run_lanes(mended)
    third = run(platform, order, mended)
    assert (third.open, third.sent, dict(third.foreseen.still_bad)) == (2, 0, {"value_unreadable": 1})
    assert groups_of(capsys)[INVALID] == (3, 0, 3)

    recorded = decoded(platform, CREDIT_RECORD, HISTORY)
    of_rows = {row["source_row"]: row for row in recorded if row["submission"] == SUBMISSION}
    assert of_rows[3]["event_id"] == event(3)["event_id"]
    assert of_rows[3]["reported_at"] == event(3)["reported_at"].replace(tzinfo=None)


def decoded(platform: Platform, message: Message, topic: str) -> list[dict[str, Any]]:
    """All messages of a topic."""
    return codec.decode(message, messages(platform.settings, topic).values).batch.to_pylist()


def test_both_shelves_say_the_same(platform):
    settings = platform.settings
    assert platform.store is not None
    for wanted in (Wanted(), Wanted("market"), Wanted(reason="subject_code_invalid"), Wanted(submission=SUBMISSION)):
        by_store, by_topic = StoreShelf(platform.store).items(wanted), TopicShelf(settings).items(wanted)
        assert by_store.height
        assert by_store.to_dicts() == by_topic.to_dicts()
    ids = by_store["id"].to_list()
    assert StoreShelf(platform.store).events(ids) == TopicShelf(settings).events(ids)
    keys = ["org:XXXX00051"]
    heads = [
        codec.decode(CREDIT_RECORD, shelf.records(keys).values, head=True).batch.to_pylist()
        for shelf in (StoreShelf(platform.store), TopicShelf(settings))
    ]
    newest = [{row["record_id"]: row for row in rows} for rows in heads]
    assert newest[0] == newest[1] and newest[0]


def test_what_was_sent_twice_is_a_repeat_and_what_is_older_is_stale(platform, tmp_path):
    """A redrive whose receipts are not there yet sends again: nothing is doubled, and nothing newer is overwritten."""
    late = event(20, subject_ids=["CN-USCC:91370100XXXX00078X"])
    platform.report(late)
    platform.run_lanes()
    newer = late | {"source_row": 21, "event_id": "f" * 32, "fine_fen": 1, "source_version": late["reported_at"]}
    mended = load(reference_with(tmp_path / "r", "91370100XXXX00078X"))
    platform.report(newer)
    platform.run_lanes(mended)
    order = Order(wanted_of(INVALID), apply=True, by="clerk", silence_seconds_max=0.2)
    first, second = run(platform, order, mended), run(platform, order, mended)
    assert (dict(first.foreseen.outcomes), dict(second.foreseen.outcomes)) == ({"stale": 1}, {"stale": 1})
    platform.run_lanes(mended)
    rows = decoded(platform, CREDIT_RECORD, HISTORY)
    assert [row["outcome"] for row in rows if row["source_row"] in (20, 21)] == ["new", "stale"]


def test_the_proof_from_outside_still_holds(platform):
    report = verify(
        platform.settings,
        platform.reference,
        department=None,
        wait_seconds=5.0,
        now_ms=int(time.time() * 1000),
        say=lambda _: None,
    )
    assert [check.name for check in report.checks if not check.ok] == []
    assert report.unjudged == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["list", "--department", "nobody"], "no such department is registered"),
        (["list", "--reason", "bad_luck"], "no such reason"),
        (["show", "999999"], "nothing is there under that name"),
        (["show", "market/row_shape"], "nothing is there under that name"),
        (["show", "a b c"], "name an item by its number"),
        (["propose"], "name an item or a group"),
        (["propose", "--accept", "120"], "no id of a proposal"),
        (["propose", "--accept", "999999-abcdef", "--by", "clerk"], "nothing was set aside under number 999999"),
        (["propose", "--accept", "0-abcdef", "--by", RESIDENT_ID], "no personal number"),
        (["redrive", "--limit", "0"], "must be more than 0"),
        (["redrive", "market", "--reason", "row_shape"], "not both"),
        (["redrive", "--apply", "--by", RESIDENT_ID], "no personal number"),
    ],
)
def test_what_can_not_be_done_is_one_sentence(platform, environment, capsys, command, said):
    environment(platform.settings)
    assert answer(["quarantine", *command]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert RESIDENT_ID not in captured.err


def test_when_nothing_is_there_it_is_said(platform, environment, capsys):
    environment(platform.settings)
    assert answer(["quarantine", "list", "--reason", "row_shape"]) == 0
    assert "nothing is in quarantine that was asked for" in capsys.readouterr().out
    assert answer(["quarantine", "redrive", "market/row_shape"]) == 0
    assert "nothing to redrive" in capsys.readouterr().out


def test_when_neither_store_nor_broker_answers_it_is_one_sentence(environment, platform, capsys, monkeypatch):
    monkeypatch.setattr("stream_processors.kafka._ASK_SECONDS", 0.5)
    environment(replace(platform.settings, bootstrap_servers="127.0.0.1:9", clickhouse_url="http://127.0.0.1:9"))
    assert answer(["quarantine", "list"]) == 75
    assert "asking the broker at 127.0.0.1:9" in capsys.readouterr().err
