"""Brings a store to the tables and views of this folder, in any number of processes at once.

`NNNN_name.sql` is a migration: applied once, in the order of its number, and never changed afterwards.
`views_N_name.sql` holds no data: applied again whenever it changes.

ClickHouse has neither transactions over statements nor locks, so every statement must be one that may run twice; then
two starts at once, or a start that was broken off, do no harm. `Script.problems` refuses any other.
Non-goal: going back to an older state.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from schemas.errors import ConfigurationError
from stream_processors.clickhouse import ClickHouse

_FOLDER = Path(__file__).parent
_MAY_RUN_TWICE = re.compile(
    r"CREATE TABLE IF NOT EXISTS |CREATE OR REPLACE VIEW |DROP (TABLE|VIEW) IF EXISTS "
    r"|ALTER TABLE \w+ (ADD (COLUMN|INDEX) IF NOT EXISTS|DROP (COLUMN|INDEX) IF EXISTS|MODIFY COLUMN) "
)


@dataclass(frozen=True, slots=True)
class Script:
    """One SQL file of this folder."""

    name: str
    text: str

    @property
    def hash(self) -> str:
        """What tells whether it is still what was applied."""
        return sha256(self.text.encode()).hexdigest()

    @property
    def repeatable(self) -> bool:
        """Whether it is applied again when it changes; a migration is not."""
        return self.name.startswith("views_")

    @property
    def statements(self) -> list[str]:
        """What to run, in order, without remarks."""
        code = "\n".join(line for line in self.text.splitlines() if not line.lstrip().startswith("--"))
        return [statement.strip() for statement in re.split(r";\s*(?:\n|$)", code) if statement.strip()]

    def problems(self) -> list[str]:
        """The statements that may not run twice, by their first words."""
        return [
            f"{self.name}: {' '.join(statement.split()[:4])}"
            for statement in self.statements
            if not _MAY_RUN_TWICE.match(statement)
        ]


def scripts(folder: Path = _FOLDER) -> list[Script]:
    """All files in the order in which they are applied: migrations by number, then views."""
    return [Script(path.stem, path.read_text("utf-8")) for path in sorted(folder.glob("*.sql"))]


def migrate(store: ClickHouse, wanted: list[Script] | None = None) -> list[str]:
    """Apply what the store lacks; returns the names of what was applied.

    Raises ConfigurationError, before anything is applied, where a migration was changed after it was applied here.
    """
    wanted = scripts() if wanted is None else wanted
    if problems := [problem for script in wanted for problem in script.problems()]:
        raise ConfigurationError(f"preparing the store: these statements may not run twice: {'; '.join(problems)}")
    doing = "preparing the store"
    store.create_database()
    store.command(
        "CREATE TABLE IF NOT EXISTS migrations (name String, hash String, applied_at DateTime64(3, 'UTC')) "
        "ENGINE = ReplacingMergeTree(applied_at) ORDER BY name",
        doing=doing,
    )
    applied = {row["name"]: row["hash"] for row in store.rows("SELECT name, hash FROM migrations FINAL", doing=doing)}
    changed = [s.name for s in wanted if not s.repeatable and applied.get(s.name, s.hash) != s.hash]
    if changed:
        raise ConfigurationError(
            f"preparing the store: {', '.join(changed)}.sql was changed after it was applied to this store; "
            "take the change back and write it as a new migration"
        )
    done = []
    for script in wanted:
        if applied.get(script.name) == script.hash:
            continue
        for statement in script.statements:
            store.command(statement, doing=f"{doing} ({script.name}.sql)")
        store.command(
            "INSERT INTO migrations SELECT {name:String}, {hash:String}, now64(3)",
            doing=doing,
            parameters={"name": script.name, "hash": script.hash},
        )
        done.append(script.name)
    return done
