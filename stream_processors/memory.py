"""Lets a lane keep the memory of one batch for the next, instead of giving it back to the system and clearing it anew.

Measured on 2026-11-24 in pairs, 500,000 events in batches of 50,000: intake takes 7 to 9 % less processor time,
register 6 to 10 %. The price is that a lane stays as large as its largest batch made it.
"""

import ctypes
import os
from contextlib import suppress

# The C library's, for numpy, Python and Kafka's client; the numbers are those of its malloc.h.
_TRIM_THRESHOLD, _TOP_PAD = -1, -2
_MIB = 1 << 20
# Polars brings an allocator of its own, which reads this when it is loaded.
_OF_POLARS = "_RJEM_MALLOC_CONF"
_NEVER_GIVE_BACK = "dirty_decay_ms:-1,muzzy_decay_ms:-1"


def keep() -> None:
    """Call it before polars is imported. Where the C library is another one, nothing changes."""
    os.environ.setdefault(_OF_POLARS, _NEVER_GIVE_BACK)
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, 1024 * _MIB)
        mallopt(_TOP_PAD, 64 * _MIB)
