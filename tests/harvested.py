"""A harvest of drawn regions: single chromosomes, clusters of known type or number, dirt."""

from __future__ import annotations

from dataclasses import replace

from tests.drawn_pieces import drawn_region

from supcam.core.types import ClusterType
from supcam.data.harvest import EMPTY, Harvest


def harvest(*, n_clusters: int = 3) -> Harvest:
    """Ten single chromosomes, as many touching clusters and clusters of five as asked for, two flecks."""
    singles = tuple(drawn_region(seed, case=0) for seed in range(10))
    typed = tuple(
        replace(region, type=ClusterType.TOUCHING, n_chromosomes=2) for region in singles[:n_clusters]
    )
    counted = tuple(replace(region, type=None, n_chromosomes=5) for region in singles[:n_clusters])
    dirt = tuple(
        replace(region, type=None, n_chromosomes=None, is_chromosome=False) for region in singles[:2]
    )
    return replace(EMPTY, singles=singles, clusters=typed + counted, debris=dirt)
