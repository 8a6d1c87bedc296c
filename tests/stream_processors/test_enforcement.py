"""The client of enforcement services, with messages made by hand on a real broker."""

import time
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

import pytest
from measure_builders import PROCUREMENT, Said, heartbeat, measure

from deploy.local.processes import wait_until
from schemas.errors import InputError, Retryable
from schemas.topics import ACKS
from stream_processors import topics
from stream_processors.enforcement import LAW_TIME, Ended, Enforcement, read_acknowledgements
from stream_processors.in_force import Book, Heartbeat
from stream_processors.kafka import end_offsets

TODAY = datetime.now(LAW_TIME).date()
KEY = "org:MA3C00003"
SUBJECT = "CN-ORG:MA3C00003"
_WAIT = 20.0


# -- what binds, by dates; no broker ------------------------------------------------------------------------------


def book_of(*rows: dict, heard: float = 0.0) -> Book:
    book = Book()
    for row in rows:
        book.take(row, 0)
    book.hear(0, Heartbeat(heard, 0.0, 60), TODAY)
    return book


def days(**spans: int) -> dict[str, date]:
    return {name: TODAY + timedelta(days=shift) for name, shift in spans.items()}


@pytest.mark.parametrize(
    ("different", "binds"),
    [
        ({}, True),
        (days(in_force_from=0, ends_on=0), True),
        (days(in_force_from=1, ends_on=9), False),
        (days(in_force_from=-9, ends_on=-1), False),  # nobody has said that it ended, and it has
        ({"ends_on": None}, False),
        ({"state": "suspended"}, False),
        ({"state": "noticed"}, False),
        ({"state": "ended", "reason": "annulled"}, False),
        ({"state": "ended", "reason": "annulled", **days(ended_on=5)}, False),  # a date that lies ahead keeps nothing
    ],
)
def test_only_its_dates_say_whether_a_measure_binds(different: dict, binds: bool):
    answer = book_of(measure("c1", KEY, TODAY, **different)).answer(KEY, 0, TODAY, None, 1.0)
    assert bool(answer) is binds
    assert not answer.stale


def test_a_past_day_is_answered_by_what_is_known_today():
    ended = measure("c1", KEY, TODAY, state="ended", reason="annulled", **days(ended_on=-3))
    book = book_of(ended)
    asked = {shift: len(book.answer(KEY, 0, TODAY + timedelta(days=shift), None, 1.0)) for shift in (-31, -30, -4, -3)}
    assert asked == {-31: 0, -30: 1, -4: 1, -3: 0}


def test_an_activity_is_bound_by_its_own_measures_only():
    book = book_of(measure("c1", KEY, TODAY), measure("c2", KEY, TODAY, activity="tendering", measure="M03"))
    assert [b.case_id for b in book.answer(KEY, 0, TODAY, "tendering", 1.0)] == ["c2"]
    assert len(book.answer(KEY, 0, TODAY, None, 1.0)) == 2


def test_an_answer_says_who_decided_what_on_which_ground_until_when_by_which_evidence():
    (binding,) = book_of(measure("c1", KEY, TODAY)).answer(KEY, 0, TODAY, PROCUREMENT, 1.0)
    assert binding.authority_name == "演示省政府采购监督管理办公室"
    assert binding.decision == "决〔2026〕1号"
    assert binding.legal_bases == ("《政府采购法》第77条",)
    assert binding.ends_on == TODAY + timedelta(days=335)
    assert binding.evidence_ids == ("e" * 32,)


def test_whoever_hears_nothing_for_longer_than_an_entry_allows_enforces_nothing_and_says_why():
    book = book_of(measure("c1", KEY, TODAY, recheck_seconds=30), heard=100.0)
    assert len(book.answer(KEY, 0, TODAY, None, 130.0)) == 1
    late = book.answer(KEY, 0, TODAY, None, 131.0)
    assert (len(late), late.stale) == (0, True)
    assert "31 s old" in late.why
    assert not book.answer("org:OTHER", 0, TODAY, None, 131.0).stale  # of whom nothing is known 60 s are allowed
    assert book.answer("org:OTHER", 1, TODAY, None, 131.0).stale  # nothing was ever heard of that partition


def test_a_day_that_was_seen_is_not_taken_back():
    book = book_of(measure("c1", KEY, TODAY))
    assert book.today(TODAY - timedelta(days=400)) == TODAY
    assert book.today(TODAY + timedelta(days=1)) == TODAY + timedelta(days=1)


# -- on a broker --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def platform(broker, settings_for, tmp_path_factory):
    settings = settings_for(tmp_path_factory.mktemp("enforcement"), broker=broker)
    topics.apply(settings)
    return settings


@pytest.fixture
def said(platform) -> Said:
    return Said(platform)


def acknowledged(settings, service: str) -> dict[str, int]:
    ends = end_offsets(settings, ACKS)
    rows = [row for _, row in read_acknowledgements(settings.kafka, ends) if row["service"] == service]
    return {row["case_id"]: row["revision"] for row in rows if row["case_id"]}


@pytest.fixture
def following(platform) -> Iterator[Callable[..., Enforcement]]:
    started: list[Enforcement] = []

    def start(service: str = "", **more) -> Enforcement:
        started.append(Enforcement(platform, service, **more).start())
        return started[-1]

    yield start
    for client in started:
        client.close()


def test_a_service_hears_of_an_end_at_once_stops_and_acknowledges_once(platform, said, following):
    key = "org:MA3C00003"
    said.say(measure("a1", key, TODAY), heartbeat(TODAY))
    ended: list[Ended] = []
    client = following("portal-a", on_end=ended.append)
    assert [b.case_id for b in client.in_force(SUBJECT)] == ["a1"]
    end = measure("a1", key, TODAY, revision=6, state="ended", transition="ended", reason="annulled", ended_on=TODAY)
    said.say(end)
    assert wait_until(lambda: bool(ended), _WAIT)
    assert (ended[0].reason, ended[0].binding.case_id) == ("annulled", "a1")
    assert not client.in_force(SUBJECT)
    said.say(end)  # the lane says it once more
    said.say(end | {"revision": 7, "transition": "refused"})
    assert wait_until(lambda: acknowledged(platform, "portal-a").get("a1") == 7, _WAIT)
    client.close()
    again = following("portal-a", on_end=ended.append)
    assert not again.in_force(SUBJECT)
    again.close()
    assert len(ended) == 1


def test_an_end_while_the_service_was_down_is_told_when_it_is_back(platform, said, following):
    said.say(measure("b1", KEY, TODAY), heartbeat(TODAY))
    following("portal-b").close()
    said.say(measure("b1", KEY, TODAY, revision=6, state="ended", reason="repaired", ended_on=TODAY))
    ended: list[Ended] = []
    following("portal-b", on_end=ended.append)
    assert wait_until(lambda: "b1" in [e.binding.case_id for e in ended], _WAIT)
    assert wait_until(lambda: acknowledged(platform, "portal-b").get("b1") == 6, _WAIT)


def test_a_service_that_fails_to_stop_is_told_again_and_acknowledges_only_then(platform, said, following):
    said.say(measure("c1", KEY, TODAY), heartbeat(TODAY))
    calls: list[Ended] = []

    def stop_enforcing(ended: Ended) -> None:
        calls.append(ended)
        if len(calls) < 3:
            assert "c1" not in acknowledged(platform, "portal-c")
            raise RuntimeError("our own database is away")

    following("portal-c", on_end=stop_enforcing)
    said.say(measure("c1", KEY, TODAY, revision=6, state="ended", reason="withdrawn", ended_on=TODAY))
    assert wait_until(lambda: acknowledged(platform, "portal-c").get("c1") == 6, _WAIT)
    assert len(calls) == 3


def test_a_measure_whose_last_day_has_passed_ends_though_nobody_says_so(said, following):
    now = [time.time()]
    said.say(measure("d1", KEY, TODAY, ends_on=TODAY), heartbeat(TODAY))
    ended: list[Ended] = []
    client = following(on_end=ended.append, clock=lambda: now[0])
    assert "d1" in [b.case_id for b in client.in_force(SUBJECT)]
    now[0] += 24 * 3600
    assert wait_until(lambda: "d1" in [e.binding.case_id for e in ended], _WAIT)
    assert "d1" not in [b.case_id for b in client.in_force(SUBJECT)]
    now[0] -= 48 * 3600  # the clock steps back: nothing comes to life
    assert "d1" not in [b.case_id for b in client.in_force(SUBJECT)]


def test_steps_of_the_clock_do_not_make_data_fresh_and_silence_makes_them_stale(said, following):
    now, steady = [time.time()], [0.0]
    said.say(measure("e1", KEY, TODAY), heartbeat(TODAY))
    client = following(clock=lambda: now[0], steady=lambda: steady[0])
    assert "e1" in [b.case_id for b in client.in_force(SUBJECT)]
    now[0] -= 3600
    steady[0] += 61
    answer = client.in_force(SUBJECT)
    assert (len(answer), answer.stale) == (0, True)
    said.say(heartbeat(TODAY))
    assert wait_until(lambda: "e1" in [b.case_id for b in client.in_force(SUBJECT)], _WAIT)


def test_a_heartbeat_that_lay_there_for_long_is_no_sign_of_life(said, following):
    client = following(clock=lambda: time.time() + 120)
    said.say(heartbeat(TODAY))
    assert client.in_force(SUBJECT).stale
    behind = following(clock=lambda: time.time() - 3600)  # such a clock can not tell how old the snapshot is
    assert behind.in_force(SUBJECT).stale
    said.say(heartbeat(TODAY))
    assert wait_until(lambda: not behind.in_force(SUBJECT).stale, _WAIT)


def test_a_restart_of_the_broker_is_survived(broker, said, following):
    said.say(measure("f1", KEY, TODAY), heartbeat(TODAY))
    ended: list[Ended] = []
    client = following("portal-f", on_end=ended.append)
    broker.kill9()
    assert "f1" in [b.case_id for b in client.in_force(SUBJECT)]
    broker.start()
    said.say(measure("f1", KEY, TODAY, revision=6, state="ended", reason="expired"), heartbeat(TODAY))
    assert wait_until(lambda: "f1" in [e.binding.case_id for e in ended], 60)


def test_a_broker_that_is_not_there_is_said_in_one_sentence():
    with pytest.raises(Retryable, match="is the platform up"):
        Enforcement("127.0.0.1:1").start(0.5)


def test_a_person_is_never_asked_about():
    with pytest.raises(InputError) as caught:
        Enforcement("127.0.0.1:1").in_force("11010519491231002X")
    assert "11010519491231002X" not in str(caught.value)
