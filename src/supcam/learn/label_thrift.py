"""Fewer labels than there are: so many labelled clusters of each type, drawn by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from supcam.core.types import ClusterType, Region
from supcam.data.harvest import Harvest


def with_few_labels(harvest: Harvest, *, clusters_a_class: int, seed: int) -> Harvest:
    """``harvest`` with at most so many labelled clusters of each type, drawn at random; all else is kept.

    A type that has fewer keeps all it has; clusters of unknown type are no labelled ones. The draw for 1 is
    part of the draw for 3 with the same seed, so that more labels are never other labels.
    """
    unknown = tuple(one for one in harvest.clusters if one.type is None)
    kept = [
        _drawn([one for one in harvest.clusters if one.type is kind], n=clusters_a_class, seed=[seed, kind])
        for kind in ClusterType
    ]
    return replace(harvest, clusters=(*(one for group in kept for one in group), *unknown))


def _drawn(regions: Sequence[Region], *, n: int, seed: Sequence[int]) -> list[Region]:
    order = np.random.default_rng(seed).permutation(len(regions))
    return [regions[place] for place in order[:n]]
