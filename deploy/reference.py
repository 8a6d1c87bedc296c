"""Writes `deploy/reference.md` from what is declared once in code and data; `check` says whether it is stale."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from producers import mapping
from schemas import reference
from schemas.avro import MESSAGES
from schemas.catalogue import catalogue
from schemas.metrics import METRICS
from schemas.reasons import OUTCOME_SENTENCES, REASONS
from schemas.settings import Settings
from schemas.topics import topics

PAGE = Path(__file__).parent / "reference.md"


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
            ((m.name, str(m.version), f"{m.title_zh} {m.title_en}") for m in mapping.mappings(settings)),
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


def main(arguments: list[str]) -> int:
    """`write` renews the page, `check` exits 1 when it is stale."""
    if arguments == ["write"]:
        PAGE.write_text(page(), "utf-8")
        return 0
    if arguments == ["check"]:
        fresh = PAGE.exists() and PAGE.read_text("utf-8") == page()
        print("deploy/reference.md is fresh" if fresh else "deploy/reference.md is stale: run make docs")
        return 0 if fresh else 1
    print("usage: python -m deploy.reference write | check", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
