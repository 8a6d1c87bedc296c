"""What the supervisor tells about its parts, in one small JSON file that is replaced as a whole at each change."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class PartStatus:
    """One part as the supervisor sees it.

    `state` is waiting (not yet its turn), starting, ready, restarting (ended, will start again), stopped (by request)
    or done (a part that runs once). `identity` is that of `deploy.local.processes.process_identity`.
    `early_ends` counts the ends before the part was ready for the first time.
    """

    name: str
    state: str = "waiting"
    pid: int | None = None
    identity: str | None = None
    ports: list[int] = field(default_factory=list)
    url: str = ""
    log_file: str = ""
    restarts: int = 0
    early_ends: int = 0
    last_exit_code: int | None = None


@dataclass
class StackStatus:
    """The whole stack; `supervisor` is the identity of the process that wrote it."""

    supervisor: str
    home: str
    parts: list[PartStatus] = field(default_factory=list)

    @property
    def identities(self) -> list[str]:
        """Of every process that was alive when this was written, in the order of their start."""
        return [part.identity for part in self.parts if part.identity is not None]

    def write(self, path: Path) -> None:
        """Replace the file, so that a reader sees the old or the new one and never half of it."""
        beside = path.with_name(path.name + ".new")
        beside.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        os.replace(beside, path)


def read_status(path: Path) -> StackStatus | None:
    """What the last supervisor wrote; None where none ever did, or another version did."""
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        parts = [PartStatus(**part) for part in value.pop("parts")]
        return StackStatus(parts=parts, **value)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        return None
