"""Receipts are gathered and folded to one outcome for each row."""

import polars as pl
import pytest

from producers.journal import SENT_SCHEMA
from producers.receipts import RECEIVED_SCHEMA, Collector, settle, total
from schemas import codec
from schemas.avro import RECEIPT
from schemas.errors import InputError

SUBMISSION = "market-20260101-000000-abcd"


def sent(*lines: tuple[int, int, str]) -> pl.DataFrame:
    """(row, part, reason of the adapter's refusal or empty)."""
    return pl.DataFrame([(*line, "") for line in lines], schema=SENT_SCHEMA, orient="row")


def received(*lines: tuple[int, int, str, str]) -> pl.DataFrame:
    return pl.DataFrame([(*line, "field") for line in lines], schema=RECEIVED_SCHEMA, orient="row")


def receipt(outcome: str, places: list[tuple[int, int]], reason: str = "", submission: str = SUBMISSION) -> bytes:
    return codec.encode_one(
        RECEIPT,
        {
            "lane": "register",
            "department": "market",
            "submission": submission,
            "outcome": outcome,
            "reason": reason,
            "detail": "",
            "source_partition": 0,
            "offsets": list(range(len(places))),
            "rows": [row for row, _ in places],
            "parts": [part for _, part in places],
            "record_ids": ["" for _ in places],
        },
    )


def test_outcomes_of_rows_add_up_to_the_rows():
    lines = sent((2, 0, ""), (3, 0, ""), (4, -1, "person_row"), (5, 0, ""))
    told = received((2, 0, "new", ""), (3, 0, "repeat", ""), (5, 0, "quarantined", "value_missing"))
    result = settle(SUBMISSION, 4, lines, told)
    assert result.as_json() == {
        "submission": SUBMISSION,
        "rows": 4,
        "outcomes": {"new": 1, "repeat": 1, "quarantined": 1, "refused": 1},
        "reasons": {"person_row": 1, "value_missing": 1},
        "rejects": [
            {
                "row": 4,
                "reason": "person_row",
                "message": "the row is about a natural person; send rows of registered organisations only",
            },
            {
                "row": 5,
                "reason": "value_missing",
                "message": "the required field field is empty; fill it in at the source and send the row again",
            },
        ],
    }


@pytest.mark.parametrize(
    ("parts", "worst"),
    [
        (["repeat", "new"], "new"),
        (["stale", "repeat"], "stale"),
        (["new", "conflicting"], "conflicting"),
        (["conflicting", "quarantined", "new"], "quarantined"),
        (["superseding", "new"], "new"),
    ],
)
def test_a_row_of_several_events_has_the_worst_outcome(parts, worst):
    lines = sent(*[(9, part, "") for part in range(len(parts))])
    reason = {"quarantined": "value_missing"}
    told = received(*[(9, part, outcome, reason.get(outcome, "")) for part, outcome in enumerate(parts)])
    assert settle(SUBMISSION, 1, lines, told).outcomes == {worst: 1}


def test_a_row_waits_until_each_of_its_events_has_a_receipt():
    lines = sent((2, 0, ""), (2, 1, ""), (3, 0, ""))
    result = settle(SUBMISSION, 2, lines, received((2, 0, "quarantined", "value_missing"), (3, 0, "new", "")))
    assert (result.outcomes, result.waiting, result.rejects.height) == ({"new": 1}, 1, 0)
    assert result.as_json()["waiting"] == 1


def test_a_row_that_was_neither_sent_nor_refused_is_our_bug():
    with pytest.raises(AssertionError, match="neither sent nor refused"):
        settle(SUBMISSION, 2, sent((2, 0, "")), received((2, 0, "new", "")))


def test_an_empty_file_has_no_outcomes():
    assert settle(SUBMISSION, 0, sent(), received()).as_json()["outcomes"] == {}


def test_the_collector_takes_its_own_submission_and_the_first_good_receipt_of_each_event():
    collector = Collector(SUBMISSION, sent((2, 0, ""), (3, 0, ""), (4, -1, "person_row")))
    collector.add([receipt("new", [(2, 0)], submission="market-20260101-000000-ffff")])
    assert (collector.events, collector.collected) == (2, 0)
    collector.add([receipt("new", [(2, 0), (99, 0)]), b"no receipt at all"])
    collector.add([receipt("repeat", [(2, 0), (3, 0)])])
    assert collector.collected == 2
    found = collector.received().sort("row")
    assert found.select("row", "outcome").rows() == [(2, "new"), (3, "repeat")]


def test_what_was_set_aside_and_sent_again_has_its_later_outcome():
    collector = Collector(SUBMISSION, sent((2, 0, ""), (3, 0, ""), (4, 0, ""), (5, 0, "")))
    collector.add([receipt("quarantined", [(2, 0), (3, 0), (4, 0)], "value_missing"), receipt("new", [(5, 0)])])
    assert collector.collected == 4
    collector.add([receipt("quarantined", [(3, 0)], "row_shape"), receipt("superseding", [(2, 0)])])
    collector.add([receipt("repeat", [(2, 0), (5, 0)])])
    assert sorted(collector.received().select("row", "outcome", "reason").rows()) == [
        (2, "superseding", ""),
        (3, "quarantined", "row_shape"),
        (4, "quarantined", "value_missing"),
        (5, "new", ""),
    ]


def test_a_collector_with_nothing_to_wait_for_is_done():
    collector = Collector(SUBMISSION, sent((4, -1, "person_row")))
    collector.add([receipt("new", [(2, 0)])])
    assert (collector.events, collector.collected, collector.received().height) == (0, 0, 0)


def test_a_receipt_of_a_newer_platform_says_to_upgrade():
    collector = Collector(SUBMISSION, sent((2, 0, "")))
    with pytest.raises(InputError, match="schema id 99999 is newer than this adapter; upgrade it"):
        collector.add([b"\0" + (99_999).to_bytes(4, "big") + b"body"])


def test_several_submissions_have_sums():
    one = settle("a-1", 1, sent((2, 0, "")), received((2, 0, "quarantined", "value_missing")))
    two = settle("a-2", 2, sent((2, 0, ""), (3, -1, "person_row")), received((2, 0, "new", "")))
    answer = total([one, two])
    assert [s["submission"] for s in answer["submissions"]] == ["a-1", "a-2"]
    assert answer["rows"] == 3 == sum(answer["outcomes"].values())
    assert answer["reasons"] == {"value_missing": 1, "person_row": 1}
    assert [(r["submission"], r["row"]) for r in answer["rejects"]] == [("a-1", 2), ("a-2", 3)]
