"""What a lane's page tells of its surroundings, looked at for each page: its disk, and the last verification."""

from __future__ import annotations

import shutil
from pathlib import Path

from stream_processors.metrics import Registry
from stream_processors.verified import recall


def tell_disk(registry: Registry, lane: str, folder: Path) -> None:
    """How much room there is where the lane keeps its data."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:  # a folder that is gone is told by the lane itself, which can not write any more
        return
    registry.set("xinliu_disk_free_bytes", (lane,), usage.free)
    registry.set("xinliu_disk_size_bytes", (lane,), usage.total)


def tell_verified(registry: Registry, home: Path) -> None:
    """When the platform was last verified from this machine, and whether that was well."""
    verified = recall(home)
    registry.set("xinliu_verify_timestamp_seconds", ("store",), verified.at_seconds if verified else 0)
    if verified:
        registry.set("xinliu_verify_ok", ("store",), int(verified.ok))
