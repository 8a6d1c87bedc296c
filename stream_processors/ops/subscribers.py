"""Who is told by webhook: the reference table `subscribers`, checked; secrets come from the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from schemas.errors import ConfigurationError
from schemas.reference.tables import entries, read_table
from stream_processors.ops.signature import Secret

_COLUMNS = ("id", "url", "secret_variable", "kinds", "activities", "transitions", "since")
_KINDS = ("restriction", "incentive")
_OF_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One receiver.

    Attributes:
        kinds, activities, transitions: what it wants to hear of; empty = all.
        since: the first day of which it is told. A fixed day, so that a lost ledger means telling again, never a gap.
    """

    id: str
    url: str
    secrets: tuple[Secret, ...] = field(repr=False)
    kinds: tuple[str, ...] = ()
    activities: tuple[str, ...] = ()
    transitions: tuple[str, ...] = ()
    since: date = date.min

    def wants(self, measure: Mapping[str, object]) -> bool:
        """Whether it is told of this transition."""
        on = measure["as_of"]
        return (
            (not self.kinds or measure["kind"] in self.kinds)
            and (not self.activities or measure["activity"] in self.activities)
            and (not self.transitions or measure["transition"] in self.transitions)
            and (not isinstance(on, date) or on >= self.since)
        )


def load_subscribers(directory: Path | None, environ: Mapping[str, str]) -> tuple[Subscriber, ...]:
    """All of them; ConfigurationError lists every problem of the table in one go, and never shows a secret."""
    found: list[Subscriber] = []
    problems: list[str] = []
    for row in read_table("subscribers", _COLUMNS, directory):
        faults = _faults(row, environ, {subscriber.id for subscriber in found})
        problems += faults
        if not faults:
            secrets = tuple(Secret(text) for text in environ[row["secret_variable"]].split())
            lists = (entries(row["kinds"]), entries(row["activities"]), entries(row["transitions"]))
            found.append(Subscriber(row["id"], row["url"], secrets, *lists, date.fromisoformat(row["since"])))
    if problems:
        raise ConfigurationError("reading the reference table subscribers.csv: " + "; ".join(problems))
    return tuple(found)


def reader_of(subscriber_id: str) -> str:
    """Its name in the ledger, in commands and in metrics."""
    return f"webhook-{subscriber_id}"


def reader_names(directory: Path | None) -> tuple[str, ...]:
    """The same of all, without their secrets."""
    return tuple(reader_of(row["id"]) for row in read_table("subscribers", _COLUMNS, directory))


def _faults(row: Mapping[str, str], environ: Mapping[str, str], taken: set[str]) -> list[str]:
    name = row["id"]
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", name):
        return ["an id is 1 to 40 small letters, digits and hyphens"]
    faults = [f"{name} stands there twice"] if name in taken else []
    faults += [f"{name}: {fault}" for fault in _url_faults(row["url"])]
    if odd := [kind for kind in entries(row["kinds"]) if kind not in _KINDS]:
        faults.append(f"{name}: {odd[0]} is neither restriction nor incentive")
    try:
        date.fromisoformat(row["since"])
    except ValueError:
        faults.append(f"{name}: since must be a day, 2026-04-01")
    texts = environ.get(row["secret_variable"], "").split()
    if not texts:
        faults.append(f"{name}: set {row['secret_variable'] or 'secret_variable'} to its secret")
    for text in texts:
        try:
            Secret(text)
        except ValueError as error:
            faults.append(f"{name}: {error}")
    return faults


def _url_faults(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return ["its url can not be read"]
    if parts.username or parts.password:
        return ["its url must not hold a password"]
    if host and (parts.scheme == "https" or (parts.scheme == "http" and host in _OF_THIS_MACHINE)):
        return []
    return ["its url must be https"]
