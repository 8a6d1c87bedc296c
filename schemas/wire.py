"""Confluent framing: a zero byte, the schema's id in four bytes, the Avro body. Ids come from `lock.json`.

The lock file holds every version of every message that was ever written, so that a newer reader can still decode
what an older writer left on a topic. A version is never changed; a change of `schemas.avro` adds one
(`python -m schemas write`), and `problems()` refuses one that its neighbours can not read.
"""

import io
import json
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import fastavro

from schemas.avro import FRAME_BYTES, MESSAGES, Message

_HERE = Path(__file__).parent
LOCK_FILE = _HERE / "lock.json"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one message: its id on the wire and its schema."""

    message: str
    version: int
    id: int
    schema: dict[str, Any]


@cache
def lock() -> dict[int, Version]:
    """Every version ever written, by its id."""
    entries = json.loads(LOCK_FILE.read_text("utf-8"))
    return {entry["id"]: Version(**entry) for entry in entries}


def newest(message: str) -> Version:
    """The version that writers use now."""
    return max((v for v in lock().values() if v.message == message), key=lambda v: v.version)


@cache
def frame(message: str) -> bytes:
    """The five bytes that lead a message of the newest version."""
    return b"\0" + newest(message).id.to_bytes(4, "big")


def schema_id(value: bytes) -> int | None:
    """The id in the framing, or None where there is no framing."""
    if len(value) < FRAME_BYTES or value[0] != 0:
        return None
    return int.from_bytes(value[1:FRAME_BYTES], "big")


def bare(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without its documentation, which may change freely."""
    stripped = {k: v for k, v in schema.items() if k != "doc"}
    stripped["fields"] = [{k: v for k, v in field.items() if k != "doc"} for field in schema["fields"]]
    return stripped


def write() -> list[str]:
    """Write the `.avsc` files and add a lock entry for each message that changed; returns what was written."""
    entries = json.loads(LOCK_FILE.read_text("utf-8")) if LOCK_FILE.exists() else []
    written: list[str] = []
    for message in MESSAGES:
        path = _HERE / avsc_name(message)
        text = json.dumps(message.avro, ensure_ascii=False, indent=1) + "\n"
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            written.append(path.name)
        versions = [e for e in entries if e["message"] == message.name]
        if not versions or versions[-1]["schema"] != bare(message.avro):
            entries.append(
                {
                    "message": message.name,
                    "version": len(versions) + 1,
                    "id": max((e["id"] for e in entries), default=0) + 1,
                    "schema": bare(message.avro),
                }
            )
            written.append(f"{message.name} version {len(versions) + 1}")
    LOCK_FILE.write_text(json.dumps(entries, ensure_ascii=False, indent=1) + "\n", "utf-8")
    lock.cache_clear()
    frame.cache_clear()
    return written


def avsc_name(message: Message) -> str:
    """File name of a message's published schema."""
    return {
        "CreditEvent": "event.avsc",
        "IdentifiedEvent": "identified.avsc",
        "CreditRecord": "record.avsc",
    }.get(message.name, message.name.lower() + ".avsc")


def problems() -> list[str]:
    """Why the contract on disk is not the one in `schemas.avro`, or why two neighbours can not read each other."""
    found: list[str] = []
    for message in MESSAGES:
        path = _HERE / avsc_name(message)
        if not path.exists() or json.loads(path.read_text("utf-8")) != message.avro:
            found.append(f"{path.name} is stale: run python -m schemas write")
        versions = sorted((v for v in lock().values() if v.message == message.name), key=lambda v: v.version)
        if not versions or versions[-1].schema != bare(message.avro):
            found.append(f"lock.json lacks the newest {message.name}: run python -m schemas write")
        for older, newer in pairwise(versions):
            for writer, reader in ((older, newer), (newer, older)):
                if reason := unreadable(writer.schema, reader.schema):
                    found.append(
                        f"{message.name} version {reader.version} can not read version {writer.version}: {reason}"
                    )
    return found


def unreadable(writer: dict[str, Any], reader: dict[str, Any]) -> str | None:
    """Why a reader with one schema can not read what a writer with the other wrote; None when it can.

    Writes one record of the smallest values and reads it back, which exercises Avro's own resolution rules.
    """
    example = {field["name"]: _smallest(field["type"]) for field in writer["fields"]}
    buffer = io.BytesIO()
    parsed = fastavro.parse_schema(writer)
    fastavro.schemaless_writer(buffer, parsed, example)
    buffer.seek(0)
    try:
        fastavro.schemaless_reader(buffer, parsed, fastavro.parse_schema(reader))
    except Exception as error:
        return str(error)
    return None


def _smallest(avro_type: Any) -> Any:
    if isinstance(avro_type, list):
        return _smallest(avro_type[-1])
    if isinstance(avro_type, dict):
        return [_smallest(avro_type["items"])] if avro_type["type"] == "array" else 0
    return {"string": "", "int": 0, "long": 0, "boolean": False}[avro_type]
