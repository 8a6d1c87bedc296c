"""Webhooks: signed as the specification says, in order, at least once, and no receiver holds up another."""

import asyncio
import base64
import hashlib
import hmac
import logging
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import date

import pytest
from ops_receivers import SECRET, encoded, measure, receiver

from schemas import codec
from schemas.avro import MEASURE
from schemas.errors import ConfigurationError
from stream_processors.ops.ledger import Entry, Ledger
from stream_processors.ops.message import message_id, webhook_body
from stream_processors.ops.sender import Answer, Policy, Sender
from stream_processors.ops.signature import Secret, headers, is_genuine
from stream_processors.ops.subscribers import load_subscribers
from stream_processors.ops.webhook import Webhook

FAST = Policy(first_pause_seconds=0.01, longest_pause_seconds=0.05, give_up_seconds=600.0)
COLUMNS = "id,url,secret_variable,kinds,activities,transitions,since\n"


def entries(reader: str, count: int) -> list[Entry]:
    return [Entry(reader, 0, n, f"case.{n}", b'{"n":%d}' % n) for n in range(count)]


class Sending:
    """Senders to these receivers over one ledger, until everything that a test waits for is there."""

    def __init__(self, ledger: Ledger, policy: Policy = FAST, seconds_max: float = 10.0, clock=time.time) -> None:
        self.ledger, self.policy, self.seconds_max, self.clock = ledger, policy, seconds_max, clock
        self.outcomes: list[tuple[str, str]] = []
        self.senders: dict[str, Sender] = {}

    async def run(self, urls: dict[str, str], done, seconds_max: float = 60.0) -> None:
        async with AsyncExitStack() as stack:
            disk = stack.enter_context(ThreadPoolExecutor(1))
            tasks = []
            for name, url in urls.items():
                hook = await stack.enter_async_context(Webhook(url, [Secret(SECRET)], self.clock, self.seconds_max))
                count = lambda reader, outcome: self.outcomes.append((reader, outcome))  # noqa: E731
                chance = random.Random(1).random
                self.senders[name] = Sender(name, hook, self.ledger, disk, self.policy, self.clock, chance, count)
                tasks.append(asyncio.create_task(self.senders[name].run()))
            deadline = time.monotonic() + seconds_max
            while not done() and time.monotonic() < deadline:
                assert not any(task.done() for task in tasks)
                await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert done()


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path / "ops" / "ledger.sqlite")
    yield made
    made.close()


# -- the signature -----------------------------------------------------------------------------------------------


def test_the_signature_is_that_of_the_specification():
    # The example of the specification's reference libraries.
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}') == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_two_secrets_give_two_signatures_and_either_is_genuine():
    old, new = Secret(SECRET), Secret("whsec_" + base64.b64encode(b"n" * 32).decode())
    found = headers([old, new], "m", 1_000, b"{}")
    assert is_genuine(old, found, b"{}", 1_000) and is_genuine(new, found, b"{}", 1_000)
    assert not is_genuine(new, found, b"{ }", 1_000)
    assert not is_genuine(new, found, b"{}", 1_301)
    assert not is_genuine(new, {}, b"{}", 1_000)


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_!!", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
def test_a_bad_secret_is_named_without_showing_it(text):
    with pytest.raises(ValueError) as error:
        Secret(text)
    assert text == "" or text.removeprefix("whsec_") == "" or text.removeprefix("whsec_") not in str(error.value)


# -- the table of subscribers --------------------------------------------------------------------------------------


def test_subscribers_are_read_and_hear_what_they_want(tmp_path):
    line = "customs,https://customs.example/hook,CUSTOMS_SECRET,restriction,government procurement,entered|ended,"
    (tmp_path / "subscribers.csv").write_text(COLUMNS + line + "2026-04-01\n")
    (customs,) = load_subscribers(tmp_path, {"CUSTOMS_SECRET": SECRET})
    assert customs.wants(measure())
    assert not customs.wants(measure(transition="drafted"))
    assert not customs.wants(measure(kind="incentive"))
    assert not customs.wants(measure(activity="tax"))
    assert not customs.wants(measure(as_of=date(2026, 3, 31)))
    assert SECRET[6:] not in repr(customs)


def test_all_problems_of_the_table_are_told_at_once_and_no_secret(tmp_path):
    rows = (
        "a,http://a.example/,A,restriction,,,2026-04-01\n"
        "b,https://user:word@b.example/,B,penalty,,,soon\n"
        "b,https://b.example/,NONE,,,,2026-04-01\n"
        "C C,https://c.example/,A,,,,2026-04-01\n"
    )
    (tmp_path / "subscribers.csv").write_text(COLUMNS + rows)
    with pytest.raises(ConfigurationError) as error:
        load_subscribers(tmp_path, {"A": SECRET, "B": "whsec_c2hvcnQ="})
    words = str(error.value)
    for piece in ("a: its url must be https", "b: its url must not hold a password", "b: penalty", "b: since", "24 to"):
        assert piece in words
    assert "set NONE" in words and "an id is" in words
    assert "c2hvcnQ" not in words and "word" not in words.replace("password", "")


def test_the_shipped_table_is_read():
    assert load_subscribers(None, {}) == ()


# -- the message -----------------------------------------------------------------------------------------------


def test_a_message_says_what_the_transition_says_and_its_id_is_of_the_transition():
    row = codec.decode(MEASURE, encoded(measure(ends_on=date(2027, 5, 1)))).batch.to_pylist()[0]
    assert message_id(row) == "c1.1"
    assert webhook_body(row).decode().startswith('{"type":"measure.entered","timestamp":"2026-05-01T04:00:00.000Z"')
    assert b'"ends_on":"2027-05-01"' in webhook_body(row) and b"noticed_on" not in webhook_body(row)


# -- delivery --------------------------------------------------------------------------------------------------


def test_messages_arrive_signed_and_in_order(ledger):
    ledger.advance({("a", 0): 5}, entries("a", 5), 0.0)
    with receiver() as found:
        asyncio.run(Sending(ledger).run({"a": found.url}, lambda: len(found.requests) == 5))
    assert found.ids == [f"case.{n}" for n in range(5)]
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    for got, body in found.requests:
        signed = f"{got['webhook-id']}.{got['webhook-timestamp']}.".encode() + body
        wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert got["webhook-signature"] == f"v1,{wanted}"
    assert ledger.first("a") is None


def test_a_failure_is_tried_again_before_the_next_has_its_turn(ledger):
    ledger.advance({("a", 0): 2}, entries("a", 2), 0.0)
    with receiver(lambda number: 503 if number < 3 else 200) as found:
        asyncio.run(Sending(ledger, FAST, clock=lambda: 1.0).run({"a": found.url}, lambda: len(found.requests) == 5))
    assert found.ids == ["case.0"] * 4 + ["case.1"]


def test_receivers_that_hang_answer_500_or_redirect_hold_up_nobody(ledger):
    """An hour of it, in the time of the retries: the clock that decides is handed in."""
    for name in ("hangs", "fails", "redirects", "well"):
        ledger.advance({(name, 0): 30}, entries(name, 30), 0.0)
    now = [0.0]

    def clock() -> float:
        now[0] += 10.0
        return min(now[0], 3_600.0)

    policy = Policy(first_pause_seconds=0.01, longest_pause_seconds=0.03)
    with (
        receiver(lambda n: None) as hangs,
        receiver(lambda n: 500) as fails,
        receiver() as other,
        receiver() as well,
        receiver(lambda n: (307, f"http://127.0.0.1:{other.port}/stolen")) as redirects,
    ):
        urls = {"hangs": hangs.url, "fails": fails.url, "redirects": redirects.url, "well": well.url}
        sending = Sending(ledger, policy, 1.0, clock)
        enough = lambda: (  # noqa: E731
            len(set(well.ids)) == 30
            and min(len(hangs.requests), len(fails.requests), len(redirects.requests)) > 3
            and now[0] > 3_600.0
        )
        asyncio.run(sending.run(urls, enough))
    assert list(dict.fromkeys(well.ids)) == [f"case.{n}" for n in range(30)]
    assert other.requests == [], "nothing is sent to another host"
    for name, why in (("hangs", "timeout"), ("fails", "status_500"), ("redirects", "redirect_to_another_host")):
        waiting = ledger.first(name)
        assert waiting is not None and (waiting.id, waiting.why) == ("case.0", why)
        assert ledger.counts()[name] == (30, 0), "an hour is no reason to give up"


def test_what_fails_for_days_becomes_a_dead_letter_and_is_sent_again_on_demand(ledger):
    ledger.advance({("a", 0): 2}, entries("a", 2), 0.0)
    policy = Policy(first_pause_seconds=0.01, longest_pause_seconds=0.01)
    with receiver(lambda n: 500) as found:
        days = Sending(ledger, policy, clock=lambda: 3 * 86_400.0)
        asyncio.run(days.run({"a": found.url}, lambda: ledger.counts()["a"] == (0, 2)))
    assert [(letter.id, letter.why) for letter in ledger.dead("a")] == [
        ("case.0", "status_500"),
        ("case.1", "status_500"),
    ]
    assert ledger.redrive("a", 3 * 86_400.0) == 2
    with receiver() as found:
        asyncio.run(Sending(ledger).run({"a": found.url}, lambda: len(found.requests) == 2))
    assert found.ids == ["case.0", "case.1"]


def test_a_message_that_the_receiver_does_not_take_lets_the_next_one_through(ledger):
    ledger.advance({("a", 0): 2}, entries("a", 2), 0.0)
    with receiver() as found:
        found.answer = lambda number: 422 if found.ids[-1] == "case.0" else 200
        asyncio.run(Sending(ledger, clock=lambda: 0.0).run({"a": found.url}, lambda: "case.1" in found.ids))
    assert found.ids == ["case.0"] * FAST.attempts_of_hopeless + ["case.1"]
    assert [letter.why for letter in ledger.dead("a")] == ["status_422"]


def test_a_sender_that_gave_one_up_is_still_woken(ledger):
    ledger.advance({("a", 0): 1}, entries("a", 1), 0.0)
    with receiver(lambda number: 410 if number == 0 else 200) as found:
        sending = Sending(ledger)

        def done() -> bool:
            if ledger.counts().get("a") == (0, 1) and len(found.requests) == 1:
                ledger.advance({("a", 0): 2}, entries("a", 2)[1:], 0.0)
                sending.senders["a"].wake()
            return len(found.requests) == 2

        asyncio.run(sending.run({"a": found.url}, done))
    assert found.ids == ["case.0", "case.1"]


def test_a_redirect_on_the_same_host_is_followed(ledger):
    ledger.advance({("a", 0): 1}, entries("a", 1), 0.0)
    with receiver(lambda number: (308, "/moved") if number == 0 else 204) as found:
        asyncio.run(Sending(ledger).run({"a": found.url}, lambda: ledger.counts() == {}))
    assert found.ids == ["case.0", "case.0"]


def test_redirects_without_end_and_receivers_that_are_not_there_are_failures(ledger):
    for name in ("circles", "absent"):
        ledger.advance({(name, 0): 1}, entries(name, 1), 0.0)
    with receiver(lambda number: (307, "/hook")) as found:
        urls = {"circles": found.url, "absent": "http://127.0.0.1:9/"}
        whys = lambda: {name: item.why for name in urls if (item := ledger.first(name))}  # noqa: E731
        wanted = {"circles": "too_many_redirects", "absent": "no_connection"}
        asyncio.run(Sending(ledger, clock=lambda: 0.0).run(urls, lambda: whys() == wanted))


def test_a_kill_between_delivery_and_the_ledger_sends_again_under_the_same_id(ledger, tmp_path):
    ledger.advance({("a", 0): 1}, entries("a", 1), 0.0)
    with receiver() as found:

        async def deliver_and_die() -> None:
            async with Webhook(found.url, [Secret(SECRET)], time.time) as hook:
                item = ledger.first("a")
                assert item is not None and (await hook.deliver(item.id, item.body)).ok

        asyncio.run(deliver_and_die())
        again = Ledger(tmp_path / "ops" / "ledger.sqlite")
        asyncio.run(Sending(again).run({"a": found.url}, lambda: again.counts() == {}))
        again.close()
    assert found.ids == ["case.0", "case.0"]


def test_a_secret_is_in_no_log_line(ledger, capsys, caplog):
    ledger.advance({("a", 0): 1}, entries("a", 1), 0.0)
    caplog.set_level(logging.DEBUG)
    with receiver(lambda number: 500 if number < 2 else 200) as found:
        asyncio.run(Sending(ledger, clock=lambda: 0.0).run({"a": found.url}, lambda: ledger.counts() == {}))
    said = caplog.text + "".join(capsys.readouterr())
    assert "status_500" in said and SECRET[6:] not in said and "v1," not in said


def test_pauses_double_up_to_the_longest_with_chance_in_them():
    policy = Policy()
    assert [policy.pause_seconds(n, 1.0) for n in (1, 2, 3)] == [5.0, 10.0, 20.0]
    assert policy.pause_seconds(1, 0.0) == 2.5
    assert policy.pause_seconds(10_000, 1.0) == 3_600.0


def test_an_answer_of_the_moment_is_not_held_against_the_message():
    from stream_processors.ops.webhook import _answer

    assert _answer(204) == Answer(True)
    assert not _answer(401).hopeless and not _answer(429).hopeless and not _answer(302).hopeless
    assert _answer(400).hopeless and _answer(410).gone


# -- the ledger ------------------------------------------------------------------------------------------------


def test_the_ledger_takes_a_message_once_however_often_it_is_read(ledger):
    assert ledger.advance({("a", 0): 3}, entries("a", 3), 0.0) == 3
    assert ledger.advance({("a", 0): 3}, entries("a", 3), 0.0) == 0
    assert ledger.positions("a") == {0: 3}
    ledger.advance({("a", 0): 1}, [], 0.0)
    assert ledger.positions("a") == {0: 3}, "a position never goes back"


def test_another_incarnation_of_the_topic_is_read_from_its_beginning(ledger):
    ledger.belongs_to("t", "one", ("a",))
    ledger.advance({("a", 0): 3}, entries("a", 3), 0.0)
    ledger.belongs_to("t", "one", ("a",))
    assert ledger.positions("a") == {0: 3}
    ledger.belongs_to("t", "two", ("a",))
    assert ledger.positions("a") == {}
    assert ledger.advance({("a", 0): 1}, entries("a", 1), 0.0) == 1
    assert ledger.counts() == {"a": (4, 0)}
