"""Register's state is what credit.records says: a restart between any two batches changes nothing that follows."""

from hypothesis import given, settings
from hypothesis import strategies as st
from miniature import Miniature, identified
from test_checks_history import events

from schemas.topics import HISTORY, RECORDS

LATER = 1_700_000_000_000


def test_a_confirmation_of_a_content_that_was_replaced_since_does_not_come_back():
    # The aggregator's content is confirmed at a late position; the authority's word replaces it at an earlier one.
    through, restarted = Miniature(), Miniature()
    for platform in (through, restarted):
        platform.report(identified(department="reform", content="b" * 16))
        platform.report(
            identified(department="reform", content="b" * 16, source_version=LATER),
            identified(content="a" * 16),
        )
    restarted.restart()
    for platform in (through, restarted):
        platform.report(identified(content="c" * 16, source_version=LATER - 1000))
    assert told(restarted, HISTORY) == told(through, HISTORY)
    assert told(restarted, RECORDS) == told(through, RECORDS)


def told(platform: Miniature, topic: str) -> list[tuple[object, object]]:
    return [(key, value) for _, key, value, _ in platform.topics.get(topic, [])]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.lists(events, min_size=1, max_size=6), st.integers(1, 4)), min_size=2, max_size=6))
def test_a_restart_between_batches_changes_nothing_that_follows(steps):
    through, restarted = Miniature(), Miniature()
    for step in steps:
        for platform in (through, restarted):
            if isinstance(step, int):
                platform.pass_time(step)
            else:
                platform.report(*step)
        restarted.restart()
    for topic in (HISTORY, RECORDS):
        assert told(restarted, topic) == told(through, topic)
