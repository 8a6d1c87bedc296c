"""What a department's file left in quarantine is repaired three ways on a whole stack, and the proof still holds.

A clerk accepts a proposal, the department mends its mapping, an operator mends a reference table.
"""

import json
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from companies import company_code, write_companies_mapping
from stacks import Stack, wait_for


def with_wrong_check(right: str) -> str:
    """The same with the check digit that comes after it in no misreading."""
    return right[:-1] + ("3" if right[-1] != "3" else "4")


@pytest.fixture(scope="module")
def stack(running_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The stack, with a folder of mappings of one's own."""
    folder = tmp_path_factory.mktemp("mappings")
    return replace(running_stack, settings=replace(running_stack.settings, mappings_dir=folder))


def write_mapping(stack: Stack, version: int, *kinds: str) -> None:
    assert stack.settings.mappings_dir is not None
    write_companies_mapping(stack.settings.mappings_dir / "repairable.toml", version, *kinds)


def told(done: CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


def group_of(stack: Stack, submission: str) -> dict[str, tuple[int, int]]:
    """Open and repaired items of the submission by reason."""
    listed = told(stack.xinliu("quarantine", "list", "--submission", submission, "--json"))["groups"]
    return {group["reason"]: (group["open"], group["repaired"]) for group in listed}


@pytest.mark.nightly
def test_what_was_set_aside_is_repaired_and_nothing_is_lost_or_doubled(stack: Stack, tmp_path: Path):
    good, kind, typed, wrong = (company_code(704_000 + number) for number in range(4))
    misread = typed.replace("0", "O", 1) if "0" in typed[:2] else typed[:10] + typed[10:].replace("0", "O", 1)
    file = tmp_path / "companies.csv"
    rows = [
        ("演示商贸公司", good, "有限责任公司", "2001-02-03"),
        ("演示商贸公司", kind, "股份有限公司", "2001-02-03"),
        ("演示商贸公司", misread, "有限责任公司", "2001-02-03"),
        ("演示商贸公司", with_wrong_check(wrong), "有限责任公司", "2001-02-03"),
    ]
    file.write_text("\n".join(["名称,代码,类型,日期", *map(",".join, rows)]) + "\n", "utf-8")
    write_mapping(stack, 1, "有限责任公司")
    send = ("publish", str(file), "--department", "reform", "--mapping", "repairable", "--wait", "--json")
    published = told(stack.adapter(*send))
    submission = published["submission"]
    assert published["outcomes"] == {"new": 1, "quarantined": 3}
    wait_for(lambda: group_of(stack, submission).keys() == {"code_unknown", "subject_code_invalid"}, "they are listed")
    assert group_of(stack, submission) == {"code_unknown": (1, 0), "subject_code_invalid": (2, 0)}

    # A clerk accepts what two check digits confirm.
    group = "reform/subject_code_invalid/repairable@1"
    offers = told(stack.xinliu("quarantine", "propose", group, "--json"))["proposals"]
    assert [offer["proposed"] for offer in offers] == [f"CN-USCC:{typed}"]
    taken = stack.xinliu("quarantine", "propose", "--accept", offers[0]["id"], "--by", "clerk", "--json")
    assert (taken.returncode, told(taken)["outcome"]) == (0, "new")

    # The department mends its mapping.
    write_mapping(stack, 2, "有限责任公司", "股份有限公司")
    again = ("redrive", str(file), "--mapping", "repairable", "--json")
    assert told(stack.adapter(*again))["would_be"] == {"good": 1, "quarantined": 1, "refused": 0}
    assert told(stack.adapter(*again, "--apply"))["outcomes"] == {"new": 1}

    # What no rule lets through stays where it is; the rest is repaired.
    wait_for(lambda: group_of(stack, submission).get("code_unknown") == (0, 1), "the mapping's row is repaired")
    assert group_of(stack, submission) == {"code_unknown": (0, 1), "subject_code_invalid": (1, 1)}
    applied = told(stack.xinliu("quarantine", "redrive", "--submission", submission, "--apply", "--json"))
    assert (applied["sent"], applied["still_bad"]) == (0, {"subject_code_invalid": 1})
    assert told(stack.adapter("receipts", submission, "--json"))["outcomes"] == {"new": 3, "quarantined": 1}

    steps = told(stack.xinliu("explain", f"{submission}:3", "--json"))["explanations"][0]
    assert (steps["outcome"], [one["outcome"] for one in steps["sent_before"]]) == ("new", ["quarantined"])
    assert "repairable@2" in json.dumps(steps)
    assert told(stack.xinliu("explain", steps["record_id"], "--json"))["explanations"][0]["row"] == 3
    stack.verify()
