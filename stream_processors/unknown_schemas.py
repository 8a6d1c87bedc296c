"""Which part of a batch may be worked on when some of its schema ids are unknown to this process.

An unknown id is not a bad event but a newer one: its partition waits there, in order, for a newer reader.
"""

from __future__ import annotations

import numpy as np

from schemas import codec
from schemas.avro import Message
from schemas.codec import Decoded
from schemas.errors import Stop
from stream_processors.kafka import Batch


def decode_heads(message: Message, batch: Batch, what: str, writer: str) -> tuple[Batch, Decoded]:
    """What another lane wrote, as far as it can be worked on: that part of the batch, and its leading fields.

    Args:
        what: each message should be, with its article. writer: the lane that alone may write there.

    Raises:
        Stop: a message is none of them, so somebody else wrote it.
    """
    decoded = codec.decode(message, batch.values, head=True)
    if decoded.faults:
        index = decoded.faults[0][0]
        raise Stop(
            f"decoding {batch.topics[index]}[{batch.partitions[index]}]@{batch.offsets[index]}: not {what}, and only "
            f"{writer} may write there; restore the topic's access rights and skip this offset"
        )
    return before_unknown(batch, decoded) if decoded.unknown else (batch, decoded)


def before_unknown(batch: Batch, decoded: Decoded) -> tuple[Batch, Decoded]:
    """Only what lies before the first unknown schema id of its partition; rows and faults point into that batch.

    `unknown` stays as it was: it points into the batch that was given.
    """
    limits: dict[tuple[str, int], int] = {}
    for index, _ in decoded.unknown:
        limits.setdefault((batch.topics[index], int(batch.partitions[index])), int(batch.offsets[index]))

    def passes(index: int) -> bool:
        limit = limits.get((batch.topics[index], int(batch.partitions[index])))
        return limit is None or int(batch.offsets[index]) < limit

    at = np.array([place for place, index in enumerate(decoded.rows.tolist()) if passes(index)], np.int64)
    faults = [(index, reason) for index, reason in decoded.faults if passes(index)]
    rows = decoded.rows[at]
    kept = np.union1d(rows, np.array([index for index, _ in faults], np.int64))
    place_of = {index: place for place, index in enumerate(kept.tolist())}
    narrowed = Decoded(
        decoded.batch.take(at),
        np.searchsorted(kept, rows),
        [(place_of[index], reason) for index, reason in faults],
        decoded.unknown,
    )
    return batch.select(kept), narrowed
