"""What a batch of work tells the metrics: amounts to add to counters, and many observations of a histogram at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Observations that were counted into a histogram's buckets already.

    Attributes:
        counts: how many observations fell into each bucket, not cumulative; one more than there are upper bounds.
        total: sum of the observed values.
    """

    counts: np.ndarray[Any, np.dtype[np.int64]]
    total: float


Count: TypeAlias = tuple[str, tuple[str, ...], "float | Cells"]
"""(metric name, label values, amount)."""
