"""Writes what follows from declarations, the pages of reference, alerts and dashboard, and finds out what is stale."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from deploy import alerts, dashboard
from producers import mapping
from producers.mapping_page import page as mapping_page
from schemas import reference
from schemas.avro import MESSAGES
from schemas.catalogue import catalogue
from schemas.metrics import METRICS
from schemas.reasons import OUTCOME_SENTENCES, REASONS
from schemas.settings import Settings
from schemas.topics import topics
from schemas.windows_packs import load_windows
from stream_processors.cases.judge import ACTS, ENDS, REFUSALS, STATES
from stream_processors.rules.laws import all_packs
from stream_processors.rules.packs import load_packs
from stream_processors.rules.page import page as packs_page

PAGE = Path(__file__).parent / "reference.md"


MAPPINGS = Path(__file__).parent / "mappings"
PACKS = Path(__file__).parent / "packs.md"


def page() -> str:
    """The whole page; the same for the same code."""
    settings = Settings()
    departments = reference.load(None).departments
    sections = [
        "# Reference\n\nWritten by `make docs` from the declarations in code; do not edit.\n",
        _table("Settings", ("variable", "default", "meaning"), settings.describe()),
        _table(
            "Topics",
            ("topic", "message", "partitions", "cleanup", "retention", "purpose"),
            (
                (
                    topic.name,
                    topic.message,
                    "P" if topic.by_subject else "1",
                    topic.config()["cleanup.policy"],
                    "for ever" if topic.retention is None else f"{topic.retention.days} days",
                    topic.purpose,
                )
                for topic in topics(["<department>"])
            ),
        ),
        _table("Outcomes", ("outcome", "the event …"), OUTCOME_SENTENCES.items()),
        _table(
            "Reject reasons",
            ("reason", "outcome", "what a clerk is told", "what to do"),
            ((r.name, r.outcome, r.sentence, r.remedy) for r in REASONS.values()),
        ),
        _table("States of a case", ("state", "the case …"), STATES.items()),
        _table("Ends of a case", ("reason", "it ended because …"), ENDS.items()),
        _table("Acts", ("act", "category", "what it does to a case"), ACTS),
        _table("Refusals of acts", ("reason", "why the act does nothing, or nothing yet"), REFUSALS.items()),
        _table(
            "Catalogue",
            ("category", "目录", "meaning", "sign", "identity"),
            (
                (c.name, c.zh, c.en, c.sign, ", ".join(p.name + ("?" if p.optional else "") for p in c.identity))
                for c in catalogue().values()
            ),
        ),
        _table(
            "Departments",
            ("department", "名称", "name"),
            ((d.id, d.name_zh, d.name_en) for d in departments.values()),
        ),
        _table(
            "Mappings",
            ("mapping", "version", "title"),
            (
                (f"[{m.name}](mappings/{m.name}.md)", str(m.version), f"{m.title_zh} {m.title_en}")
                for m in mapping.mappings(settings)
            ),
        ),
        _table(
            "Metrics",
            ("metric", "kind", "labels", "meaning"),
            ((m.name, m.kind, ", ".join(m.labels), m.help) for m in METRICS),
        ),
        *(
            _table(
                f"Message {m.name}", ("field", "type", "meaning"), ((f.name, _type(f.type), f.doc) for f in m.fields)
            )
            for m in MESSAGES
        ),
    ]
    return "\n".join(sections)


def _type(avro_type: object) -> str:
    if isinstance(avro_type, list):
        return _type(avro_type[1]) + ", may be null"
    if isinstance(avro_type, dict):
        return f"array of {avro_type['items']}" if avro_type["type"] == "array" else str(avro_type["logicalType"])
    return str(avro_type)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"## {title}\n", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def written() -> dict[Path, str]:
    """Every file that is written of declarations, and what should stand in it."""
    return {
        PAGE: page(),
        PACKS: _packs_page(),
        alerts.FILE: alerts.page(),
        dashboard.FILE: dashboard.page(),
        **{MAPPINGS / f"{m.name}.md": mapping_page(m) for m in mapping.mappings(Settings())},
    }


def _packs_page() -> str:
    rules = load_packs()
    return packs_page(all_packs(rules, load_windows()), rules)


def stale() -> list[Path]:
    """Files that are missing or say something else, and pages of mappings that are gone."""
    wanted = written()
    differing = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    return differing + [path for path in sorted(MAPPINGS.glob("*.md")) if path not in wanted]


def write() -> None:
    """Renew every file, and remove the pages of mappings that are gone."""
    wanted = written()
    for path in MAPPINGS.glob("*.md"):
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")


def main(arguments: list[str]) -> int:
    """`write` renews the files, `check` exits 1 when one is stale."""
    if arguments == ["write"]:
        write()
        return 0
    if arguments == ["check"]:
        found = [f"{path.parent.name}/{path.name}" for path in stale()]
        print(
            f"stale: {', '.join(found)}; run make docs" if found else "deploy: what is written of declarations is fresh"
        )
        return 1 if found else 0
    print("usage: python -m deploy.reference write | check", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
