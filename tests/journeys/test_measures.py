"""An authority without an adapter takes a listed company through a measure by commands, and a service that enforces it
hears of every step that matters: in force, annulled by the court, ended, acknowledged."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import companies
import pytest
from stacks import Stack, wait_for

from stream_processors.__main__ import answer
from stream_processors.enforcement import LAW_TIME, Ended, Enforcement

Xinliu = Callable[..., tuple[int, str, str]]
TODAY = datetime.now(LAW_TIME).date()
RULE = "CN-36/M02"
ACTIVITY = "government procurement"
AUTHORITY = "济南市市场监督管理局（演示）"


@pytest.fixture
def xinliu(
    running_stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command as `xinliu` does, in this process; returns its exit code and what it printed."""
    for name, value in running_stack.environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = answer(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def company_code(number: int) -> str:
    return companies.company_code(number, "YY")


def a_day(days_ago: int) -> str:
    return (TODAY - timedelta(days=days_ago)).isoformat()


def listed(stack: Stack, folder: Path, number: int, *, removed: str = "") -> str:
    """Put a company on the list of serious breaches; returns its code."""
    code = company_code(number)
    row = f"演示企业{number}有限公司,{code},{a_day(60)},{AUTHORITY},{removed}\n"
    file = folder / f"list-{number}-{bool(removed)}.csv"
    file.write_text("企业名称,统一社会信用代码,列入日期,作出决定机关(列入),移出日期\n" + row, "utf-8")
    answer = stack.publish(file, department="market", mapping="market-serious-list")
    assert not answer["outcomes"].get("quarantined"), answer
    return code


def case_of(xinliu: Xinliu, code: str) -> str:
    found: list[dict[str, Any]] = []

    def drafted() -> bool:
        exit_code, out, err = xinliu("cases", "list", "--rule", RULE, "--limit", "1000", "--json")
        assert exit_code == 0, err
        found[:] = [row for row in json.loads(out)["cases"] if row["subject_id"].endswith(code)]
        return bool(found)

    wait_for(drafted, "a case is drafted for the entry")
    return found[0]["case_id"]


def act(xinliu: Xinliu, command: str, case: str, *options: str, code: int = 0) -> dict[str, Any]:
    exit_code, out, err = xinliu(command, case, "--department", "procurement", *options, "--json")
    assert exit_code == code, (out, err)
    return json.loads(out)


def decision(ends: str = a_day(-300)) -> tuple[str, ...]:
    return ("--document", "演采决〔2026〕7号", "--basis", "《政府采购法》第77条", "--ends", ends)


def test_notice_window_decision_in_force_annulment_end(running_stack: Stack, xinliu: Xinliu, tmp_path: Path):
    code = listed(running_stack, tmp_path, 7001)
    case = case_of(xinliu, code)
    refused = act(xinliu, "decide", case[:12], *decision(), code=1)
    assert refused["fate"] == {"outcome": "waiting", "reason": "not_noticed"}
    noticed = act(xinliu, "notice", case, "--document", "演采告〔2026〕7号", "--channel", "挂号信", "--on", a_day(30))
    assert noticed["words"] == "accepted"
    shown = json.loads(xinliu("cases", "show", case, "--json")[1])
    assert shown["state"] == "in_force", shown  # the decision had waited for its notice
    assert {a["kind"]: a["outcome"] for a in shown["acts"]} == {"notice": "accepted", "decision": "accepted"}
    ended: list[Ended] = []
    with Enforcement(running_stack.settings, "portal-of-the-journey", on_end=ended.append) as service:
        wait_for(lambda: bool(service.in_force(code, activity=ACTIVITY)), "the service knows the measure")
        (binding,) = service.in_force(code, activity=ACTIVITY)
        assert binding.decision == "演采决〔2026〕7号"
        assert binding.authority_name == "演示省政府采购监督管理办公室"
        asked = json.loads(xinliu("in-force", code, "--json")[1])
        assert [b["case_id"] for b in asked["in_force"]] == [case]
        gone = ("--document", "演采决〔2026〕7号", "--annulled-by", "（2026）鲁行终7号", "--on", TODAY.isoformat())
        annulled = act(xinliu, "decide", case, *gone)
        assert annulled["annulled"]
        assert annulled["case"]["state"] == "ended"
        assert annulled["case"]["reason"] == "annulled"
        wait_for(lambda: bool(ended), "the service is told")
        assert not service.in_force(code)
    assert xinliu("in-force", code)[0] == 1
    told = json.loads(xinliu("lifted", case, "--json")[1])
    mine = [each for each in told["services"] if each["service"] == "portal-of-the-journey"]
    assert [each["case_id"] for each in mine] == [case]
    assert mine[0]["after_seconds"] is not None


def test_an_objection_holds_the_decision_up_until_it_is_answered(running_stack: Stack, xinliu: Xinliu, tmp_path: Path):
    case = case_of(xinliu, listed(running_stack, tmp_path, 7002))
    act(xinliu, "notice", case, "--document", "演采告〔2026〕8号", "--channel", "挂号信", "--on", a_day(30))
    act(xinliu, "object", case, "--document", "异〔2026〕8号", "--on", a_day(29))
    held = act(xinliu, "decide", case, *decision(), code=1)
    assert held["fate"]["reason"] == "objection_unanswered"
    answered = act(xinliu, "review", case, "--document", "复〔2026〕8号", "--accepted", "--on", a_day(20))
    assert (answered["case"]["state"], answered["case"]["reason"]) == ("ended", "objection_accepted")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--document", "决〔2026〕9号", "--basis", "x", "--ends", "soon"), "write a day as 2026-05-01"),
        (("--document", "决〔2026〕9号", "--basis", "x"), "nothing binds without them"),
        (
            ("--document", "11010519491231002X", "--basis", "x", "--ends", "2027-01-01"),
            "nothing is known of the subject",
        ),
    ],
)
def test_what_can_not_be_sent_is_said_in_one_sentence(xinliu: Xinliu, options: tuple[str, ...], sentence: str):
    line = ("decide", "RULE@1", "--subject", company_code(7003), "--department", "procurement", *options)
    exit_code, _, err = xinliu(*line)
    assert exit_code == 2
    assert err.count("\n") == 1
    assert "11010519491231002X" not in err
    assert sentence in err
