"""The number of chromosomes of a cluster, read from its area too: the network sees no other object beside it.

A large cluster is made small to fit the network's input, and beyond some number the network only says "many".
Against the single chromosomes of the same picture its area tells more. Both are taken together as independent
evidence (Bayes); the spread of areas was measured on the training and selection roles. All of it is our
choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from supcam.core.reading import LEAST_COUNTS
from supcam.core.types import ClusterType, Prediction
from supcam.spread.counting import Chances
from supcam.spread.objects import Reason, SpreadObject

MOST = 60
"""Numbers beyond this are not weighed."""
_AREA_EACH, _AREA_FIRST = 1.15, 0.1
"""A cluster of n has about ``_AREA_EACH`` n + ``_AREA_FIRST`` times the mean area of single chromosomes:
long ones lie in clusters more often. The mean says more of the clusters of a picture than the median does: it
knows how many long ones lie alone."""
_AREA_SPREAD = 0.75
"""Standard deviation of that, for one chromosome; it grows with the root of their number."""
_TAIL = 0.8
"""The network's last number stands for more as well: each further one is less likely by this factor."""
_FLOOR = 1e-4
LEAST_SINGLES = 5
USUAL_AREA = 5.0
"""Area of a single chromosome in squared widths, where a picture shows too few of them."""
_SURE = 0.5


def single_area(objects: Sequence[SpreadObject], *, width_px: float) -> float:
    """The mean area, in pixels, of the objects read as single chromosomes; the usual one without enough."""
    areas = [item.area_px for item in objects if item.type == ClusterType.INSTANCE.label]
    return float(np.mean(areas)) if len(areas) >= LEAST_SINGLES else USUAL_AREA * width_px**2


def with_area(item: SpreadObject, *, single_px: float, most_chromosomes: int) -> SpreadObject:
    """A kept object with its number read again, its area being that of so many single chromosomes.

    Type and probabilities stay: an instance is one chromosome, a cluster has at least as many as its type
    asks for. The number is the mean of what is likely, rounded. ``most_chromosomes`` is the network's last
    number.
    """
    read = item.prediction
    if read is None or read.label is None or not item.is_kept:
        return item
    single = read.probabilities[ClusterType.INSTANCE]
    cluster = cluster_chances(item.number_chances[1:], area=item.area_px / single_px)
    chances = np.concatenate([[0.0, single], (1 - single) * cluster[1:]])
    number = 1
    if read.label is not ClusterType.INSTANCE:
        mean = float(np.arange(1, MOST + 1) @ cluster)
        number = max(LEAST_COUNTS[read.label], round(mean))
    doubts = [
        *item.doubts,
        *number_doubts(
            replace(read, n_chromosomes=number), chance=float(chances[number]), most=most_chromosomes
        ),
    ]
    return replace(
        item,
        prediction=replace(read, n_chromosomes=number),
        number_chances=chances,
        doubts=tuple(doubts),
    )


def cluster_chances(chances: Chances, *, area: float) -> Chances:
    """The probabilities of 1, 2 ... ``MOST`` chromosomes of a cluster (of 1 it is 0).

    ``chances`` are the network's, its last number standing for more as well; ``area`` is the cluster's as a
    multiple of a single chromosome's.
    """
    known = len(chances)
    prior = np.full(MOST, 0.0)
    prior[: known - 1] = chances[:-1]
    tail = _TAIL ** np.arange(MOST - known + 1)
    prior[known - 1 :] = chances[-1] * tail / tail.sum()
    numbers = np.arange(1, MOST + 1)
    spread = _AREA_SPREAD * np.sqrt(numbers)
    off = (area - _AREA_EACH * numbers - _AREA_FIRST) / spread
    log = np.log(prior + _FLOOR) - 0.5 * off**2 - np.log(spread)
    log[0] = -np.inf
    likely = np.exp(log - log[1:].max())
    return np.asarray(likely / likely.sum(), dtype=np.float64)


def number_doubts(read: Prediction, *, chance: float, most: int) -> list[Reason]:
    """Why a person must look at the number that was read, whose chance is ``chance``.

    ``most`` is the network's last number, which stands for more as well.
    """
    if read.label is ClusterType.INSTANCE:
        return []
    if read.n_chromosomes >= most:
        return [Reason.MOST]
    return [Reason.UNSURE_NUMBER] if chance < _SURE else []
