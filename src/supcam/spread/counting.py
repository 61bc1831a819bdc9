"""The number of chromosomes of a whole picture, with its uncertainty, from those of its objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

Chances = Float64[np.ndarray, " _"]

INTERVAL_SHARE = 0.90
"""The nominal coverage: the interval of a count holds the true number in this share of pictures."""
_SLIP = 0.14
"""With this probability an object stands for one chromosome more or fewer than its chances say, both as
likely. It counts what chances of objects read alone know nothing of: objects kept or rejected wrongly, doubt
that is too small. Fitted on the training role, so that the interval holds the number of boxes in nine of ten
metaphases. Chances of objects read in context know of both, and hold it in nine of ten without."""


@dataclass(frozen=True, slots=True)
class Count:
    """A number of chromosomes with an interval: ``low <= n <= high``, both included."""

    n: int
    low: int
    high: int


def total_count(numbers: Sequence[int], *, chances: Sequence[Chances], in_context: bool = False) -> Count:
    """The sum of ``numbers``, one a kept object, with the interval of the sum of independent draws.

    Objects that were not read in context may slip besides.

    ``chances[k][n]`` is the probability that object k holds n chromosomes, n from 0. The interval is central:
    at most 5 % lie on either side; it is widened to hold the sum itself, and cut at 0.
    """
    n_slips = 0 if in_context else len(chances)
    sums = with_slips(sum_distribution(chances), n_objects=n_slips)
    tail = (1 - INTERVAL_SHARE) / 2
    below = np.cumsum(sums)
    low = int(np.searchsorted(below, tail, side="right")) - n_slips
    high = int(np.searchsorted(below, 1 - tail - 1e-12, side="left")) - n_slips
    n = int(sum(numbers))
    return Count(n=n, low=max(0, min(low, n)), high=max(high, n))


def with_slips(sums: Chances, *, n_objects: int) -> Chances:
    """The probability of each sum from ``-n_objects`` on, each object having slipped by one or not."""
    for _ in range(n_objects):
        sums = np.convolve(sums, [_SLIP / 2, 1 - _SLIP, _SLIP / 2])
    return sums


def sum_distribution(chances: Sequence[Chances]) -> Chances:
    """The probability of each sum of independent numbers, from 0 on."""
    sums = np.ones(1)
    for each in chances:
        sums = np.convolve(sums, each)
    return np.asarray(sums / sums.sum(), dtype=np.float64)
