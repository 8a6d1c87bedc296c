"""From reported by an adapter to readable in `credit.records`, at a steady rate, as the store's own metric says."""

import re

import pytest
from stacks import Stack, stack_in, wait_for

from deploy.local.http import http_get

DEPARTMENT = "market"  # one, since a second sender would take a third of a core from those that are measured
EVENTS_PER_SECOND = 2_000
SECONDS = 60
SECONDS_MAX = 1.0  # what is promised on two cores
WARM_UP_EVENTS = 4_000


def buckets(stack: Stack) -> dict[float, float]:
    """Cumulative counts of the metric by upper bound in seconds."""
    page = (http_get(stack.settings.store_port, "/metrics") or b"").decode()
    lines = re.findall(r'^xinliu_end_to_end_seconds_bucket\{le="([^"]+)",stage="readable"\} (\S+)$', page, re.M)
    return {float(bound): float(count) for bound, count in lines}


def percentile(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """Where this share of the new observations is reached, evenly in a bucket, as Prometheus says it as well."""
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in sorted(after)}
    wanted, low, below = share * max(counts.values()), 0.0, 0.0
    for bound, count in counts.items():
        if count >= wanted:
            return low + (bound - low) * (wanted - below) / (count - below)
        low, below = bound, count
    raise AssertionError("there is no such share")


def send(stack: Stack, seed: int, count: int) -> None:
    with stack.simulating(DEPARTMENT, seed, count, EVENTS_PER_SECOND):
        pass


def test_the_percentile_lies_where_the_share_is_reached():
    before = {0.1: 5.0, 0.5: 5.0, 1.0: 5.0}
    after = {0.1: 95.0, 0.5: 103.0, 1.0: 105.0}
    assert percentile(before, after, 0.45) == pytest.approx(0.05)
    assert percentile(before, after, 0.98) == pytest.approx(0.5)
    assert percentile(before, after, 0.99) == pytest.approx(0.75)


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_two_thousand_events_a_second_are_readable_within_a_second(tmp_path):
    with stack_in(tmp_path) as stack:
        send(stack, 31, WARM_UP_EVENTS)
        wait_for(lambda: max(buckets(stack).values(), default=0) > 0.8 * WARM_UP_EVENTS, "the first events are through")
        stack.verify()
        before = buckets(stack)
        send(stack, 32, EVENTS_PER_SECOND * SECONDS)
        stack.verify()
        after = buckets(stack)
    seen = {share: percentile(before, after, share) for share in (0.5, 0.9, 0.99, 0.999)}
    count = max(after.values()) - max(before.values())
    shown = {share: round(seconds, 3) for share, seconds in seen.items()}
    print(
        f"\n{count:,.0f} records at {EVENTS_PER_SECOND} events/s for {SECONDS} s, readable within, in seconds: {shown}"
    )
    assert count > 0.8 * EVENTS_PER_SECOND * SECONDS
    assert seen[0.99] < SECONDS_MAX
