"""The demo's story of measures: from a record to a restriction, and to its end; each step one line with its ids.

Four fictional bodies. One is barred from government procurement, objects, is barred all the same, and is freed by a
court; one repairs; one waits until its time is over, which the cases lane's clock is put forward for; one is honoured.
All acts are dated in the past, so that the window for objections elapses between them as it would in life.
"""

from __future__ import annotations

import csv
import json
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from schemas.settings import Settings
from schemas.uscc import org_code_check, uscc_check_digit
from stream_processors.enforcement import Ended, Enforcement
from stream_processors.rules.packs import load_packs

AUTHORITY = ("演示省政府采购监督管理办公室", "11370000XXXX11295K")
MEASURE = "M02"
LISTED_DAYS_AGO = 100
SERVICE = "procurement-portal-demo"
DAYS_AHEAD = 60
_SECONDS_MAX = 60.0


class Command(Protocol):
    """Runs one command of the product and gives what it printed."""

    def __call__(self, module: str, *arguments: str, may_fail: bool = False) -> str: ...


class StoryFailed(Exception):
    """A step did not end as the story says."""


@dataclass(frozen=True, slots=True)
class Body:
    """A fictional body and the document that its case rests on."""

    name: str
    code: str
    document: str


class Story:
    """The steps in their order.

    Args:
        restart: brings the stack down and up again with the cases lane's clock so many days ahead.
    """

    def __init__(
        self,
        console: Console,
        home: Path,
        settings: Settings,
        command: Command,
        restart: Callable[[int], None],
        today: date,
    ) -> None:
        self._console = console
        self._files = home / "story"
        self._settings = settings
        self._command = command
        self._restart = restart
        self._today = today
        self._rule = rule_of(today - timedelta(days=LISTED_DAYS_AGO))
        self._ends: queue.Queue[Ended] = queue.Queue()
        self._court, self._repairs, self._expires, self._honoured = (
            Body(f"演示{word}有限公司", _code(number), f"演采罚〔{today.year}〕{number}号")
            for number, word in enumerate(("甲器材", "乙工程", "丙物业", "丁软件"), start=9001)
        )

    def run(self) -> None:
        self._files.mkdir(parents=True, exist_ok=True)
        self._list("listed.csv", [(body, "有效", "", None) for body in (self._court, self._repairs, self._expires)])
        self._honour()
        with Enforcement(self._settings, SERVICE, on_end=self._ends.put) as service:
            cases = [case := self._drafted(self._court)]
            self._act(case, "notice", "告1号", 90, "--channel", "registered mail")
            self._act(
                case, "decide", "决0号", 89, "--basis", "《政府采购法》第77条", "--ends", self._day(-300), refused=True
            )
            self._act(case, "object", "异1号", 88)
            self._act(case, "review", "复1号", 80, "--rejected")
            self._decide(case, "决1号", -300)
            self._binds(service, self._court)
            self._list("annulled.csv", [(self._court, "撤销", "(2026)演01行终1号", 1)])
            self._ended(self._court, case, "annulled")

            cases.append(case := self._drafted(self._repairs))
            self._act(case, "notice", "告2号", 90, "--channel", "registered mail")
            self._decide(case, "决2号", -300)
            self._binds(service, self._repairs)
            self._list("repaired.csv", [(self._repairs, "已修复", "演信修〔2026〕2号", 1)])
            self._ended(self._repairs, case, "repaired")

            cases.append(last := self._drafted(self._expires))
            self._act(last, "notice", "告3号", 90, "--channel", "registered mail")
            self._decide(last, "决3号", -30)
            self._binds(service, self._expires)
            self._binds(service, self._honoured)
        self._say("clock", "", f"the clock of the cases lane goes {DAYS_AHEAD} days forward (a demonstration)")
        self._restart(DAYS_AHEAD)
        with Enforcement(self._settings, SERVICE, on_end=self._ends.put):
            self._ended(self._expires, last, "expired")
        self._acknowledged(cases)

    # -- the steps ------------------------------------------------------------------------------------------------

    def _list(self, name: str, entries: list[tuple[Body, str, str, int | None]]) -> None:
        """Publish entries of the procurement list, as its department would, and say each."""
        path = self._files / name
        with path.open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(
                ["供应商名称", "统一社会信用代码", "处罚决定书文号", "执法单位", "执法单位统一社会信用代码", "处罚日期"]
                + ["处罚截止日期", "状态", "撤销文号", "撤销日期"]
            )
            for body, state, document, ago in entries:
                ended = "" if ago is None else self._day(ago)
                out.writerow(
                    [
                        body.name,
                        body.code,
                        body.document,
                        *AUTHORITY,
                        self._day(LISTED_DAYS_AGO),
                        self._day(-900),
                        state,
                    ]
                    + [document, ended]
                )
        self._publish(path, "procurement", "procurement-ban")
        for body, state, document, _ in entries:
            self._say(state, body.code, f"{body.document}{' by ' + document if document else ''}")

    def _honour(self) -> None:
        path = self._files / "honours.csv"
        rows = [
            [
                "单位名称",
                "统一社会信用代码",
                "荣誉名称",
                "授予单位",
                "授予单位统一社会信用代码",
                "文号",
                "授予日期",
                "有效期至",
            ],
            [self._honoured.name, self._honoured.code, "诚信示范企业", *AUTHORITY, self._honoured.document]
            + [self._day(50), self._day(-600)],
        ]
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        self._publish(path, "procurement", "honour")
        self._say("honour", self._honoured.code, f"{self._honoured.document}: an incentive starts by itself")

    def _publish(self, path: Path, department: str, mapping: str) -> None:
        line = (
            "publish",
            str(path),
            "--department",
            department,
            "--mapping",
            mapping,
            "--wait",
            "--corrects",
            "--json",
        )
        answer = json.loads(self._command("producers", *line))
        good = sum(answer["outcomes"].get(name, 0) for name in ("new", "superseding"))
        if good != answer["rows"]:
            raise StoryFailed(f"publishing {path.name}: {answer['outcomes']}")

    def _drafted(self, body: Body) -> str:
        """The case that the record brought: a draft, which binds nobody."""

        def found() -> str | None:
            listed = json.loads(self._command("stream_processors", "cases", "list", "--rule", self._rule, "--json"))[
                "cases"
            ]
            mine = [row for row in listed if row["subject_id"] == f"CN-USCC:{body.code}"]
            return mine[0]["case_id"] if mine else None

        case = _awaited(found, f"no case of {body.document}")
        self._say("drafted", case, f"{self._rule} on {body.document}; a draft binds nobody")
        return case

    def _act(self, case: str, act: str, number: str, ago: int, *more: str, refused: bool = False) -> None:
        line = (act, case, "--department", "procurement", "--document", f"演采{number}", "--on", self._day(ago), *more)
        answer = json.loads(self._command("stream_processors", *line, "--json", may_fail=refused) or "{}")
        fate = answer.get("fate") or {}
        if fate.get("outcome") != ("refused" if refused else "accepted"):
            raise StoryFailed(f"{act} 演采{number}: {answer.get('words') or answer}")
        self._say(act, case, f"演采{number} of {self._day(ago)}: {answer['words']}; explain {answer['record_id'][:12]}")

    def _decide(self, case: str, number: str, ends: int) -> None:
        self._act(case, "decide", number, 60, "--basis", "《政府采购法》第77条", "--ends", self._day(ends))

    def _binds(self, service: Enforcement, body: Body) -> None:
        """The service knows it, with everything that it must be able to show."""
        answer = _awaited(lambda: service.in_force(body.code) or None, f"nothing binds {body.code} at the service")
        for binding in answer:
            self._say(
                "in force",
                binding.case_id,
                f"{SERVICE}: {binding.rule} until {binding.ends_on}, {binding.authority_name}, "
                + "; ".join(binding.legal_bases),
            )

    def _ended(self, body: Body, case: str, reason: str) -> None:
        """Wait until the service hears of this end; others end meanwhile, of the departments' own records."""
        ended = None
        while ended is None or ended.binding.case_id != case:
            try:
                ended = self._ends.get(timeout=_SECONDS_MAX)
            except queue.Empty:
                raise StoryFailed(f"the end of {case} did not reach the service") from None
        if ended.reason != reason:
            raise StoryFailed(f"{case} should have ended as {reason}, but it ended as {ended.reason}")
        self._say("ended", case, f"{reason}; {SERVICE} stopped enforcing against {body.code}")

    def _acknowledged(self, cases: list[str]) -> None:
        """Wait until the service's word about each of these ends is there; others of the rule may end meanwhile."""

        def all_are() -> bool | None:
            listed = json.loads(
                self._command("stream_processors", "lifted", self._rule, "--json", may_fail=True) or "{}"
            )
            stopped = {row["case_id"] for row in listed.get("services", ()) if row["after_seconds"] is not None}
            return stopped.issuperset(cases) or None

        _awaited(all_are, f"{SERVICE} has not acknowledged every end")
        self._console.out(
            self._command("stream_processors", "lifted", self._rule, may_fail=True), end="", highlight=False
        )
        self._console.out(
            self._command("stream_processors", "cases", "list", "--rule", self._rule), end="", highlight=False
        )
        self._say("ids", "", f"xinliu cases show CASE and xinliu explain ID tell every step of {len(cases)} cases")

    def _say(self, what: str, subject: str, words: str) -> None:
        wide = sum(character > "\u2e7f" for character in what)  # these take two columns of the terminal
        self._console.print(
            f"  {what:<{9 - wide}} {subject:<32}  {words}", highlight=False, markup=False, soft_wrap=True
        )

    def _day(self, ago: int) -> str:
        return (self._today - timedelta(days=ago)).isoformat()


def rule_of(listed_on: date) -> str:
    """The rule on exclusion from procurement whose pack speaks of an entry of that day, whenever the demo runs."""
    return next(
        rule.name
        for rule in load_packs().rules.values()
        if (rule.measure, rule.jurisdiction) == (MEASURE, "CN")
        and rule.from_day <= listed_on <= (rule.to_day or date.max)
    )


def _awaited(ask: Callable[[], Any], otherwise: str) -> Any:
    deadline = time.monotonic() + _SECONDS_MAX
    while (answer := ask()) is None:
        if time.monotonic() > deadline:
            raise StoryFailed(f"{otherwise} after {_SECONDS_MAX:.0f} s")
        time.sleep(0.1)
    return answer


def _code(number: int) -> str:
    """A unified social credit code that belongs to nobody."""
    body = f"XXXX{number}"
    code = f"91370100{body}{org_code_check(body)}"
    return code + uscc_check_digit(code)
