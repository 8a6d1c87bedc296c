"""Every command that the README shows is there, and is run by the tutorial, the demo or a test of the stack."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOWN = re.findall(
    r"^(?:\.venv/bin/)?((?:xinliu-adapter|xinliu|make) .*?)(?:\s+#.*)?$", (ROOT / "README.md").read_text("utf-8"), re.M
)
RUN_BY = [
    ROOT / "deploy" / "tutorial.md",
    ROOT / "deploy" / "demo.py",
    *(ROOT / "tests").rglob("test_*.py"),
    ROOT / "tests" / "stacks.py",
    ROOT / ".ci" / "run",
]
_NAMES = {"xinliu-adapter": "producers", "xinliu": "stream_processors"}


def test_the_readme_shows_commands():
    assert len(SHOWN) >= 12


@pytest.mark.parametrize("shown", SHOWN)
def test_each_command_of_the_readme_is_run_somewhere(shown: str):
    program, command, *more = shown.split()
    words = [command, *([more[0]] if more and re.fullmatch("[a-z]+", more[0]) else [])]
    as_text = re.compile(r"\b" + r"\s+".join(map(re.escape, (program, *words))) + r"\b")
    as_arguments = re.compile(r",\s*".join(f'"{re.escape(word)}"' for word in words))
    texts = [path.read_text("utf-8") for path in RUN_BY if path.name != Path(__file__).name]
    assert any(as_text.search(text) or (program != "make" and as_arguments.search(text)) for text in texts), shown
