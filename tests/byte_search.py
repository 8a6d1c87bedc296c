"""Looks for many byte strings at once in all that a platform keeps, says and prints.

What is packed is looked through as it lies and unpacked: files of .gz, Parquet tables, Kafka's batches, the columns of
the store. Non-goal: what is encrypted.
"""

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient

from deploy.local.http import http_get
from schemas.hashing import hash_64, hash_128, to_hex
from schemas.settings import Settings
from stream_processors.clickhouse import connect
from stream_processors.kafka import client_config

_HEAD = 8  # bytes of a needle that are looked for first
_TABLE_BITS = 22
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_BLOCK_BYTES = 16 << 20
_INNER_DIGITS = 11  # shorter runs of digits occur by chance inside of longer ones, such as a time in microseconds

Piece = tuple[str, bytes]
"""Where it is, and what stands there."""


def forms_of(number: str, as_sent: str) -> list[bytes]:
    """Every way in which the number, or the disguise in which it was sent, may have been written down; and digests."""
    found = [number.encode(), number.encode("utf-16-le"), number.encode("utf-16-be")]
    for text in (as_sent, json.dumps(as_sent)[1:-1]):
        found += [text.encode(encoding) for encoding in ("utf-8", "utf-16-le", "gb18030")]
    for text in {number, as_sent}:
        digest = hashlib.sha256(text.encode())
        found += [digest.digest(), digest.hexdigest().encode(), hashlib.sha1(text.encode()).hexdigest().encode()]
        found.append(hashlib.md5(text.encode()).hexdigest().encode())
        frame = pl.DataFrame({"text": [text]})
        high, low = hash_128(frame, ["text"])
        short = hash_64(frame, ["text"])
        found += [to_hex(high, low)[0].as_py().encode(), to_hex(short)[0].as_py().encode()]
        found += [high.tobytes() + low.tobytes(), low.tobytes() + high.tobytes(), short.tobytes()]
    return [form for form in found if len(form) >= _HEAD]


@dataclass
class Needles:
    """Byte strings of at least eight bytes each."""

    forms: set[bytes]
    _by_head: dict[int, list[bytes]] = field(init=False, default_factory=dict)
    _table: npt.NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self._table = np.zeros(1 << _TABLE_BITS, np.bool_)
        for form in self.forms:
            self._by_head.setdefault(int.from_bytes(form[:_HEAD], "little"), []).append(form)
        heads = np.fromiter(self._by_head, np.uint64, len(self._by_head))
        self._table[_places(heads)] = True

    @property
    def longest(self) -> int:
        return max(map(len, self.forms))

    def found_in(self, data: bytes) -> set[bytes]:
        """Those that stand in these bytes."""
        found: set[bytes] = set()
        for phase in range(min(_HEAD, max(0, len(data) - _HEAD + 1))):
            words = np.frombuffer(data, np.dtype("<u8"), (len(data) - phase) // _HEAD, phase)
            for index in np.flatnonzero(self._table[_places(words)]).tolist():
                at = phase + _HEAD * index
                for form in self._by_head.get(int(words[index]), ()):
                    if data.startswith(form, at) and not _by_chance(form, data, at):
                        found.add(form)
        return found


def _places(heads: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        return (heads * _SPREAD) >> np.uint64(64 - _TABLE_BITS)


def _by_chance(form: bytes, data: bytes, at: int) -> bool:
    """Whether a short run of digits is a piece of a longer one."""
    if len(form) > _INNER_DIGITS or not form.isdigit():
        return False
    return data[max(at - 1, 0) : at].isdigit() or data[at + len(form) : at + len(form) + 1].isdigit()


def leaks(needles: Needles, pieces: Iterable[Piece]) -> dict[str, set[bytes]]:
    """Where something was found, and what."""
    found: dict[str, set[bytes]] = {}
    before: Piece = ("", b"")
    for place, data in pieces:
        # What lies across the border of two blocks of one place is found as well.
        tail = before[1][-needles.longest :] if before[0] == place else b""
        hits = needles.found_in(tail + data)
        if hits:
            found.setdefault(place, set()).update(hits)
        before = (place, data)
    return found


def files(folder: Path, without_topics: frozenset[str] = frozenset()) -> Iterator[Piece]:
    """Every file below the folder, its name too; the broker's files of some topics may be left out."""
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        yield f"name of {name}", name.encode()
        parts = {part.rpartition("-")[0] for part in path.relative_to(folder).parts}
        if path.is_file() and not parts & without_topics:
            yield from _file(path, name)


def _file(path: Path, name: str) -> Iterator[Piece]:
    try:
        with path.open("rb") as file:
            head = b""
            while block := file.read(_BLOCK_BYTES):
                head = head or block[:4]
                yield name, block
        if head[:2] == b"\x1f\x8b":
            yield f"{name}, unpacked", gzip.decompress(path.read_bytes())
        elif head == b"PAR1":
            yield f"{name}, unpacked", pl.read_parquet(path).write_ndjson().encode()
    except (FileNotFoundError, EOFError, zlib.error, pl.exceptions.ComputeError):
        return  # merged away, or being written


def topics(settings: Settings, only: frozenset[str] = frozenset()) -> Iterator[Piece]:
    """Keys, values and headers of every message of every topic, Kafka's own and open transactions included."""
    known = AdminClient(client_config(settings)).list_topics(timeout=30).topics
    places = [(topic, number) for topic in known if not only or topic in only for number in known[topic].partitions]
    consumer = Consumer(
        client_config(settings)
        | {
            "group.id": "search",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_uncommitted",
        }
    )
    try:
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for topic, number in places])
        left = set(places)
        while left:
            blocks: dict[str, io.BytesIO] = {}
            for message in consumer.consume(20_000, 0.2):
                topic, error = message.topic() or "", message.error()
                if error is not None:
                    assert error.code() == KafkaError._PARTITION_EOF, error
                    left.discard((topic, message.partition() or 0))
                    continue
                block = blocks.setdefault(topic, io.BytesIO())
                block.write((message.key() or b"") + b"\n" + (message.value() or b"") + b"\n")
                for name, value in message.headers() or ():
                    block.write(name.encode() + b"\n" + (value or b"") + b"\n")
            for topic, block in blocks.items():
                yield f"topic {topic}", block.getvalue()
    finally:
        consumer.close()


def tables(settings: Settings) -> Iterator[Piece]:
    """Every row of every table of the store, and of the engine's own logs of queries."""
    store = connect(settings)
    try:
        rows = store.rows(
            "SELECT database, name FROM system.tables WHERE NOT is_temporary AND engine NOT LIKE '%View' AND "
            "(database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema') OR name LIKE '%_log')",
            doing="listing the tables",
        )
        for row in rows:
            name = f"{row['database']}.{row['name']}"
            query = f"SELECT * FROM `{row['database']}`.`{row['name']}` FORMAT TSVRaw"
            yield f"table {name}", bytes(store.client.raw_query(query))
    finally:
        store.close()


def pages(settings: Settings) -> Iterator[Piece]:
    """What the lanes say over HTTP."""
    lanes = (settings.intake_port, settings.register_port, settings.store_port, settings.cases_port)
    for port in lanes:
        for path in ("/metrics", "/healthz"):
            yield f"port {port - settings.port_base}{path}", http_get(port, path) or b""


def everything(settings: Settings, without_topics: frozenset[str] = frozenset()) -> Iterator[Piece]:
    """All of a running stack: files of its home (logs, journal, spool, snapshots, checkpoints, broker, store) but the
    broker's of some topics, every topic, every table, every page."""
    yield from topics(settings)
    yield from tables(settings)
    yield from pages(settings)
    yield from files(settings.home, without_topics)
