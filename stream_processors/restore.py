"""The way back: what `credit.records` says of a partition becomes the state again.

Non-goal: where reading starts and ends; the register lane and its checkpoints say that.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from schemas import codec
from schemas.avro import CREDIT_RECORD
from schemas.errors import Stop
from schemas.hashing import U64, from_hex
from stream_processors.fold import STATUS_NAMES, VALID
from stream_processors.index import NEVER, Array, Index
from stream_processors.kafka import Batch
from stream_processors.reports import category_codes, department_codes, expiry_days, fixed_keys

_STATUS_CODES = {name: code for code, name in enumerate(STATUS_NAMES)}
_CONTENT_DIGITS = 16


def replay(index: Index, batch: Batch) -> None:
    """Take messages of `credit.records` of one partition into the index; the last one of an id stands."""
    decoded = codec.decode(CREDIT_RECORD, batch.values, head=True)
    if decoded.faults or decoded.unknown:
        raise Stop(
            "restoring from credit.records: a message is not a record of a known version; deploy a newer version"
        )
    head = decoded.batch
    high, low = from_hex(head["record_id"], 2)
    newest = _last_of_each(high, low)
    head, high, low = head.take(newest), high[newest], low[newest]
    frame = pl.DataFrame(pl.from_arrow(head))
    places = _places_of(index, high, low)
    _write_slots(index, places, head, frame)
    _replay_confirmations(index, frame, places)
    index.forget()


def _places_of(index: Index, high: U64, low: U64) -> Array:
    """Where these ids lie; those that are not there yet get a slot."""
    index.reserve(len(high))
    places = index.find(high, low)
    unknown = np.flatnonzero(places < 0)
    places[unknown] = index.insert(high[unknown], low[unknown])
    return places


def _write_slots(index: Index, places: Array, head: pa.RecordBatch, frame: pl.DataFrame) -> None:
    codes = frame.select(
        status=pl.col("status").replace_strict(_STATUS_CODES, return_dtype=pl.UInt8),
        category=category_codes(),
        department=department_codes(),
        expires_on=expiry_days(),
    )
    status = codes["status"].to_numpy()
    slots = index.slots
    slots["content"][places] = _contents(head, frame)
    slots["content_order"][places] = frame["content_order"].to_numpy()
    slots["status_order"][places] = frame["status_order"].to_numpy()
    slots["revision"][places] = frame["revision"].to_numpy().astype(np.uint32)
    slots["status"][places] = status
    slots["rank"][places] = frame["rank"].to_numpy().astype(np.uint8)
    slots["category"][places] = codes["category"].to_numpy()
    slots["department"][places] = codes["department"].to_numpy()
    slots["expires_on"][places] = np.where(status == VALID, codes["expires_on"].to_numpy(), NEVER)
    index.keys[places] = fixed_keys(frame["subject_key"])


def _contents(head: pa.RecordBatch, frame: pl.DataFrame) -> U64:
    """Content hashes; 0 for markers, and for records that were closed before anything was reported of them."""
    widths = np.array([len(text) for text in frame["content"].to_list()], np.int64)
    said = (widths == _CONTENT_DIGITS) & (frame["content_order"].to_numpy() >= 0)
    contents = np.zeros(frame.height, np.uint64)
    if said.any():
        (contents[said],) = from_hex(head["content"].filter(said), 1)
    return contents


def _replay_confirmations(index: Index, frame: pl.DataFrame, places: Array) -> None:
    """A confirmed content stands at its later position, unless the record was written again after that.

    Args:
        frame: messages in the order of the log, each id once. places: where they lie.
    """
    confirmations = np.flatnonzero((frame["status"] == "confirmed").to_numpy())
    if len(confirmations) == 0:
        return
    markers = frame[confirmations]
    records = markers["variant_of"].to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string())
    confirmed = index.find(*from_hex(records, 2))
    # A record that is not there yet comes later in the log, and then it stands as it is written there.
    by_place = np.argsort(places)
    nearest = by_place[np.minimum(np.searchsorted(places[by_place], confirmed), len(places) - 1)]
    written_after = (places[nearest] == confirmed) & (nearest > confirmations)
    stands = (confirmed >= 0) & ~written_after
    index.slots["content_order"][confirmed[stands]] = markers["content_order"].to_numpy()[stands]


def _last_of_each(high: U64, low: U64) -> Array:
    """Row of the last occurrence of each id."""
    by_id = np.lexsort((high, low))
    ends = np.ones(len(by_id), bool)
    ends[:-1] = (low[by_id][1:] != low[by_id][:-1]) | (high[by_id][1:] != high[by_id][:-1])
    return np.sort(by_id[ends])
