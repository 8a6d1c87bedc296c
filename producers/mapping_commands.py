"""The commands about mappings: propose one, run its cases, show its page. `mappings` alone lists them."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown

from producers import show
from producers.check import Checked, check
from producers.mapping import Mapping, load, load_file, path_of
from producers.mapping import mappings as all_mappings
from producers.mapping_cases import Tried, cases_path, read_cases, try_cases
from producers.mapping_page import page
from producers.publisher import require_department
from producers.suggest import Draft, draft, known_headers, looks_of
from producers.suggest_toml import cases_text, heading, mapping_text
from schemas import reference
from schemas.catalogue import catalogue
from schemas.errors import EXIT_SOME_NOT_GOOD, InputError
from schemas.reasons import OUTCOME_SENTENCES
from schemas.settings import Settings

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The command line of `mappings new`; what is empty is found or left open."""

    file: Path
    name: str
    category: str
    department: str
    out: Path | None
    rows: str
    as_json: bool


def find(name: str, settings: Settings) -> Mapping:
    """A mapping by its name, or by the path of its file."""
    if not name.endswith(".toml"):
        return load(name, settings)
    path = Path(name)
    if not path.is_file():
        raise InputError(f"reading mapping {name}: there is no such file; check the path")
    return load_file(path, settings)


def new(settings: Settings, wanted: Wanted) -> int:
    """Write a proposed mapping and its first case; say what became of each column, and what `check` says of the file.

    Exit code 0: it loads as it is; 1: a question must be answered first.
    """
    if wanted.category and wanted.category not in catalogue():
        raise InputError(
            f"proposing a mapping: {wanted.category} is no category of the catalogue; it has {', '.join(catalogue())}"
        )
    if wanted.department:
        require_department(settings, wanted.department)
    tables = reference.load(settings.reference_dir)
    looks, titles = looks_of(wanted.file, tables, wanted.rows)
    made = draft(looks, tables, titles, wanted.category, wanted.department)
    path = _path(settings, wanted, made)
    department = tables.departments.get(wanted.department)
    text = mapping_text(made, heading(made, department, looks[0].rows, wanted.rows))
    _write_new(path, text)
    _write_new(cases_path(path), cases_text(made, path.stem))
    others = known_headers({one.name: one.layout for one in all_mappings(settings) if one.name != path.stem}, looks)
    checked = check(wanted.file, load_file(path, settings), wanted.department, tables) if made.ids else None
    if wanted.as_json:
        print(json.dumps(_new_as_json(path, made, others, checked), ensure_ascii=False, indent=1))
    else:
        _say_new(path, made, others, checked)
    return EXIT_SOME_NOT_GOOD if checked is None else 0


def _path(settings: Settings, wanted: Wanted, made: Draft) -> Path:
    if wanted.out is not None and wanted.name and wanted.out.stem != wanted.name:
        raise InputError("proposing a mapping: --name and --out say different names; a mapping is called like its file")
    name = wanted.out.stem if wanted.out is not None else wanted.name or _name(wanted.department, made)
    if not _NAME.fullmatch(name) or (wanted.out is not None and wanted.out.suffix != ".toml"):
        raise InputError(
            "proposing a mapping: it needs a name of lower-case letters, digits and hyphens, and a file NAME.toml; "
            "say it with --name or --out"
        )
    return wanted.out if wanted.out is not None else (settings.mappings_dir or Path()) / f"{name}.toml"


def _name(department: str, made: Draft) -> str:
    return f"{department or 'new'}-{made.category.name.replace('_', '-')}"[:40]


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise InputError(f"writing {path}: it is there already; remove it, or choose another --out") from error
    except OSError as error:
        raise InputError(f"writing {path}: {error.strerror}; choose another folder with --out") from error


def _new_as_json(path: Path, made: Draft, others: list[tuple[str, int]], checked: Checked | None) -> dict[str, Any]:
    return {
        "mapping": str(path),
        "cases": str(cases_path(path)),
        "category": made.category.name,
        "columns": {
            use.look.header: {"becomes": meaning, "why": use.why} for meaning, uses in made.uses.items() for use in uses
        },
        "dropped": dict(made.dropped),
        "questions": [question.text for question in made.questions],
        "known_already": [name for name, _ in others],
        "loads": checked is not None,
        "outcomes": {} if checked is None else {name: count for name, count in checked.outcomes.items() if count},
        "reasons": {} if checked is None else checked.reasons,
    }


def _say_new(path: Path, made: Draft, others: list[tuple[str, int]], checked: Checked | None) -> None:
    rows = [
        [use.look.header, meaning.removesuffix("_fen"), use.why] for meaning, uses in made.uses.items() for use in uses
    ]
    rows += [[header, "never read", why] for header, why in made.dropped]
    print(f"{path}: a proposed mapping, category {made.category.name} {made.category.zh}")
    show.rows_table(("header", "becomes", "why"), rows)
    for number, question in enumerate(made.questions, start=1):
        print(f"question {number}: {question.text}")
    for name, score in others[:1]:
        print(f"the mapping {name} knows {score} of the headers already: perhaps no new one is needed")
    if checked is None:
        print("it does not load yet: answer the questions in it first")
        return
    sentences = {**OUTCOME_SENTENCES, "good": "would be recorded"}
    show.outcomes_table("what would become of the file with it", checked.outcomes, sentences)
    show.rejects_table(checked.rejects)
    print(f"Next: read and edit {path}, then xinliu-adapter mappings test {path}")


def test(settings: Settings, name: str, cases: Path | None, as_json: bool) -> int:
    """Run the cases of a mapping; exit code 0: all pass, 1: some do not."""
    mapping = find(name, settings)
    path = cases or cases_path(path_of(name, settings))
    tried = try_cases(mapping, read_cases(path), reference.load(settings.reference_dir))
    failed = sum(not one.passed for one in tried)
    if as_json:
        print(json.dumps(_tried_as_json(mapping, path, tried), ensure_ascii=False, indent=1))
    else:
        show.rows_table(("case", "", "what", "expected", "got"), [row for one in tried for row in _tried_rows(one)])
        print(f"{mapping.name}: {len(tried) - failed} of {len(tried)} cases pass")
    return EXIT_SOME_NOT_GOOD if failed else 0


def _tried_rows(one: Tried) -> list[list[str]]:
    if one.passed:
        return [[one.case.why, "pass", "", "", ""]]
    return [
        [one.case.why if number == 0 else "", "FAIL" if number == 0 else "", *difference]
        for number, difference in enumerate(one.differences)
    ]


def _tried_as_json(mapping: Mapping, path: Path, tried: list[Tried]) -> dict[str, Any]:
    return {
        "mapping": mapping.name,
        "version": mapping.version,
        "cases_file": str(path),
        "passed": sum(one.passed for one in tried),
        "failed": sum(not one.passed for one in tried),
        "cases": [
            {
                "why": one.case.why,
                "passed": one.passed,
                "differences": [
                    {"what": what, "expected": expected, "got": got} for what, expected, got in one.differences
                ],
            }
            for one in tried
        ],
    }


def show_page(settings: Settings, name: str, as_json: bool) -> int:
    """Print the page of a mapping: laid out on a terminal, as Markdown into a pipe."""
    mapping = find(name, settings)
    text = page(mapping)
    console = Console()
    if as_json:
        print(json.dumps({"mapping": mapping.name, "version": mapping.version, "page": text}, ensure_ascii=False))
    elif console.is_terminal:
        console.print(Markdown(text))
    else:
        print(text, end="")
    return 0
