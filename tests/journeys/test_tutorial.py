"""The tutorial is run as it stands: every command of it, and what it shows is what the commands say."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from stacks import PORTS

from deploy.local.processes import free_port_base

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "deploy" / "tutorial.md"
SECONDS_MAX = 360


@dataclass(frozen=True)
class Step:
    """A block of commands, and what the block behind it shows of their output."""

    commands: str
    shown: tuple[str, ...]


def steps() -> list[Step]:
    found: list[Step] = []
    for language, block in re.findall(
        r"^```(sh|text)\n(.*?)^```$", TUTORIAL.read_text("utf-8"), re.MULTILINE | re.DOTALL
    ):
        if language == "sh":
            found.append(Step(block, ()))
        else:
            found[-1] = Step(found[-1].commands, tuple(block.splitlines()))
    return found


def workplace(folder: Path) -> dict[str, str]:
    """A folder that looks like the top folder of a checkout that is set up, and the environment of its user.

    `make` is a script that does what the Makefile's targets do when the set-up is done.
    """
    (folder / "schemas").symlink_to(ROOT / "schemas")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (folder / "bin").mkdir()
    make = folder / "bin" / "make"
    make.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m deploy.local "$1"\n')
    make.chmod(0o755)
    own = {name: value for name, value in os.environ.items() if not name.startswith("XINLIU_")}
    return own | {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "XINLIU_PORT_BASE": str(free_port_base(PORTS)),
        "PYTHONIOENCODING": "utf-8",
    }


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each block printed, all of them run by one shell, one after the other."""
    folder = tmp_path_factory.mktemp("tutorial")
    environment = workplace(folder)
    mark = "@@ the end of a block @@"
    script = "".join(f"{step.commands}\necho '{mark}'\n" for step in steps())
    try:
        done = subprocess.run(
            ["bash"],
            input=script,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    finally:
        subprocess.run([str(folder / "bin" / "make"), "down"], cwd=folder, env=environment, check=False, timeout=60)
    return done.stdout.split(f"{mark}\n")[:-1]


def plain(text: str) -> str:
    """Words only: tables are drawn as wide as the terminal is."""
    return " ".join(re.sub(r"[\u2500-\u257f]", " ", text).split())


def test_the_tutorial_has_commands_and_shows_what_they_say():
    assert len(steps()) >= 8
    assert sum(bool(step.shown) for step in steps()) >= 6


@pytest.mark.timeout(SECONDS_MAX + 120)
def test_every_command_of_the_tutorial_runs_and_says_what_is_shown(outputs):
    assert len(outputs) == len(steps())
    for step, output in zip(steps(), outputs, strict=True):
        assert "Traceback" not in output
        said = plain(output)
        missing = [line for line in step.shown if plain(line) not in said]
        assert not missing, f"after\n{step.commands}\nit is shown, and not said: {missing}\nsaid was\n{output}"
