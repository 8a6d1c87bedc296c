"""Register's state is what credit.records says: a restart between any two batches changes nothing that follows."""

from hypothesis import given, settings
from hypothesis import strategies as st
from miniature import Miniature
from test_checks_history import events

from schemas.topics import HISTORY, RECORDS


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
