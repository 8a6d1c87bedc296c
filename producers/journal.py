"""What this adapter sent: one entry for each submission, so that an interrupted file goes on where it stopped and
its receipts can be asked for later.

An entry holds positions, row numbers and reasons, never a value of the file, nor its name (a name may be a person's).
What was sent is decided by the topic itself; the journal only says where to look.
"""

import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import polars as pl

from producers.durable import held, write_whole, writing
from schemas.errors import InputError

KEPT_MS = 30 * 86_400_000
"""Receipts are kept for 30 days (`schemas.topics`): an older entry can answer nothing."""

SENT_SCHEMA = pl.Schema({"row": pl.Int32, "part": pl.Int32, "reason": pl.String, "detail": pl.String})
"""One line for each event that was sent (`reason` empty) and for each that was refused at the adapter."""

_READ_BYTES = 1 << 20
_STOPPED = ".stopped"
_WHAT = "the adapter's journal"


@dataclass(frozen=True, slots=True)
class Entry:
    """One submission.

    Attributes:
        key: of the cluster, the department, the mapping, the order and the file's content: the same command again
            has the same key.
        source_version_ms: what `--corrects` or `--as-of` stands for in this submission, None without either.
        event_starts, receipt_starts: ends of the two topics' partitions before anything was sent.
        rows: rows of the file, 0 while it is being sent.
        bad_share_max: share of the rows that may be set aside before the next file is stopped (`breaker`).
        judged: whether its receipts were looked at for that.
        snapshot: of a full list, how it differs from the last one (`snapshot.Counts`).
        file_sha256: of the file's content, so that a redrive knows the file again; empty where there was no file.
    """

    submission: str
    key: str
    department: str
    mapping: str
    started_at_ms: int
    source_version_ms: int | None
    event_starts: dict[int, int]
    receipt_starts: dict[int, int]
    state: Literal["sending", "sent"] = "sending"
    rows: int = 0
    bad_share_max: float = 1.0
    judged: bool = False
    snapshot: dict[str, int] | None = None
    file_sha256: str = ""


def key_of(parts: list[str], file_sha256: str) -> str:
    """A short name for everything that makes two runs the same order."""
    return hashlib.sha256("\x1f".join([*parts, file_sha256]).encode()).hexdigest()[:16]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
    except OSError as error:
        raise InputError(f"reading {path}: {(error.strerror or str(error)).lower()}; check the file's name") from error
    return digest.hexdigest()


class Journal:
    """The folder `adapter` under the home of this installation."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "adapter"
        with writing(self._folder, _WHAT):
            self._folder.mkdir(parents=True, exist_ok=True)

    def begin(self, entry: Entry) -> None:
        """Write the entry down before the first message goes out."""
        self._write(entry)

    def finish(self, entry: Entry, rows: int, sent: pl.DataFrame) -> Entry:
        """Every message is acknowledged: note the rows and what was sent (`SENT_SCHEMA`)."""
        done = replace(entry, state="sent", rows=rows)
        table = io.BytesIO()
        sent.write_parquet(table)
        write_whole(self._sent_file(entry.submission), table.getvalue(), _WHAT)
        self._write(done)
        return done

    def unfinished(self, key: str) -> Entry | None:
        """The newest submission of this order that was begun and not finished."""
        entries = [self._read(path) for path in self._folder.glob(f"*.{key}.json")]
        begun = [entry for entry in entries if entry.state == "sending"]
        return max(begun, key=lambda entry: entry.started_at_ms, default=None)

    def abandon(self, entry: Entry) -> None:
        """Forget an entry whose positions mean nothing any more."""
        self._path(entry).unlink(missing_ok=True)

    def load(self, submission: str) -> tuple[Entry, pl.DataFrame]:
        """A finished submission and what was sent; raises InputError where it is unknown here or not finished."""
        entries = [self._read(path) for path in self._folder.glob("*.json") if path.name.startswith(f"{submission}.")]
        if not entries:
            raise InputError(
                f"looking for submission {submission}: it was not published from {self._folder.parent}; "
                "set XINLIU_HOME to the folder that it was published from"
            )
        if entries[0].state == "sending":
            raise InputError(
                f"looking for submission {submission}: it was interrupted; run its publish command again, "
                "which sends what is missing"
            )
        return entries[0], pl.read_parquet(self._sent_file(submission))

    def last_sent(self, department: str) -> Entry | None:
        """The department's newest submission that was sent to its end."""
        entries = [self._read(path) for path in self._folder.glob(f"{department}-*.json")]
        sent = [entry for entry in entries if entry.department == department and entry.state == "sent"]
        return max(sent, key=lambda entry: entry.started_at_ms, default=None)

    def note_judged(self, entry: Entry) -> None:
        """The entry's receipts were looked at, all of them."""
        self._write(replace(entry, judged=True))

    def stop(self, department: str, why: str) -> None:
        """Send no more of the department until somebody has looked into it; `why` is shown to whoever tries."""
        write_whole(self._stop_file(department), why.encode(), _WHAT)

    def stopped(self, department: str) -> str | None:
        """Why nothing more of the department is sent, None while it may send."""
        path = self._stop_file(department)
        return path.read_text("utf-8") if path.exists() else None

    def resume(self, department: str) -> None:
        """Somebody has looked into it: the department may send again, whatever became of its last file."""
        last = self.last_sent(department)
        if last is not None and not last.judged:
            self.note_judged(last)
        self._stop_file(department).unlink(missing_ok=True)

    def of_content(self, file_sha256: str) -> list[Entry]:
        """Finished submissions of a file with this content, the oldest first."""
        entries = [self._read(path) for path in self._folder.glob("*.json")]
        mine = [entry for entry in entries if entry.file_sha256 == file_sha256 and entry.state == "sent"]
        return sorted(mine, key=lambda entry: entry.started_at_ms)

    def step(self, name: str) -> str | None:
        """The submission that this step of an unfinished command of several files has sent, if it has."""
        path = self._step_file(name)
        return path.read_text("utf-8") if path.exists() else None

    def note_step(self, name: str, submission: str) -> None:
        """Remember that a step is done while the others of its command are not."""
        write_whole(self._step_file(name), submission.encode(), _WHAT)

    def end_steps(self, command: str) -> None:
        """Every step of the command is done: the same command is a new one from now on."""
        for path in self._folder.glob(f"{command}.*.step"):
            path.unlink(missing_ok=True)

    def prune(self, now_ms: int) -> None:
        """Remove what is older than any receipt."""
        for path in self._folder.iterdir():
            if (
                path.is_file() and path.suffix != _STOPPED and path.stat().st_mtime * 1000 < now_ms - KEPT_MS
            ):  # folders are of pulls
                path.unlink(missing_ok=True)

    @contextmanager
    def lock(self, key: str, what: str = "this very file") -> Iterator[None]:
        """Hold an order for oneself; the system lets go of it when the process ends, however it ends."""
        busy = f"publishing: another process is publishing {what} now; wait until it has ended"
        with held(self._folder / f"{key}.lock", _WHAT, busy):
            yield

    def _path(self, entry: Entry) -> Path:
        return self._folder / f"{entry.submission}.{entry.key}.json"

    def _sent_file(self, submission: str) -> Path:
        return self._folder / f"{submission}.parquet"

    def _stop_file(self, department: str) -> Path:
        return self._folder / f"{department}{_STOPPED}"

    def _step_file(self, name: str) -> Path:
        return self._folder / f"{name}.step"

    def _write(self, entry: Entry) -> None:
        write_whole(self._path(entry), json.dumps(asdict(entry), indent=1).encode(), _WHAT)

    @staticmethod
    def _read(path: Path) -> Entry:
        fields = json.loads(path.read_text("utf-8"))
        for name in ("event_starts", "receipt_starts"):  # JSON has text keys only
            fields[name] = {int(number): offset for number, offset in fields[name].items()}
        return Entry(**fields)
