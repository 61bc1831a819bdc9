"""The number of chromosomes of a whole picture, with its uncertainty, from those of its objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

Chances = Float64[np.ndarray, " _"]

INTERVAL_SHARE = 0.90
"""The interval of a count holds the true number with this probability, if the model's doubt is right."""


@dataclass(frozen=True, slots=True)
class Count:
    """A number of chromosomes with an interval: ``low <= n <= high``, both included."""

    n: int
    low: int
    high: int


def total_count(numbers: Sequence[int], *, chances: Sequence[Chances]) -> Count:
    """The sum of ``numbers``, one an object, with the interval of the sum of independent draws.

    ``chances[k][n]`` is the probability that object k holds n chromosomes, n from 0. The interval is central:
    at most 5 % lie on either side; it is widened to hold the sum itself.
    """
    sums = sum_distribution(chances)
    tail = (1 - INTERVAL_SHARE) / 2
    below = np.cumsum(sums)
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1 - tail - 1e-12, side="left"))
    n = int(sum(numbers))
    return Count(n=n, low=min(low, n), high=max(min(high, len(sums) - 1), n))


def sum_distribution(chances: Sequence[Chances]) -> Chances:
    """The probability of each sum of independent numbers, from 0 on."""
    sums = np.ones(1)
    for each in chances:
        sums = np.convolve(sums, each)
    return np.asarray(sums / sums.sum(), dtype=np.float64)
