"""What a check found: how much was compared, and each difference as one sentence. Never a value of the data."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

EXAMPLES_MAX = 20

Ints = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold.

    Attributes:
        name: the sentence that must be true.
        compared: how many things were looked at.
        differences: for how many of them it is not true.
        examples: the first of these, one sentence each.
    """

    name: str
    compared: int
    differences: int = 0
    examples: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.differences == 0


def check(name: str, compared: int, *found: "Found") -> Check:
    """A check from its findings, their first examples in turn."""
    return Check(
        name,
        compared,
        sum(f.count for f in found),
        tuple(islice((sentence for f in found for sentence in f.examples), EXAMPLES_MAX)),
    )


@dataclass(frozen=True, slots=True)
class Found:
    """Differences of one kind."""

    count: int
    examples: tuple[str, ...]


def found(things: Ints, sentence: Callable[[Any], str]) -> Found:
    """One difference for each of the things; only the first few are put into words."""
    return Found(len(things), tuple(sentence(thing) for thing in things[:EXAMPLES_MAX]))


def found_sentences(count: int, sentences: Iterable[str]) -> Found:
    """Differences that are in words already."""
    return Found(count, tuple(islice(sentences, EXAMPLES_MAX)))
