"""Harvested regions -> samples to learn from: composed and real ones mixed, or real ones alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from supcam.core.config import ViewConfig
from supcam.core.crop import Square, network_input
from supcam.core.types import ClusterType, ConfigError, Region
from supcam.data.composition import Composer
from supcam.data.copy_paste import pasted
from supcam.data.views import draw_view, two_views
from supcam.learn.batches import UNKNOWN, Example, ExamplePair
from supcam.learn.stages import Stages


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Real regions to draw from: by the shares of their sources where some are set, else all alike."""

    groups: tuple[tuple[Region, ...], ...]
    chances: np.ndarray

    @property
    def members(self) -> tuple[Region, ...]:
        """All regions that can be drawn."""
        return tuple(
            one for group, chance in zip(self.groups, self.chances, strict=True) if chance for one in group
        )

    def draw(self, rng: np.random.Generator) -> Region:
        """One region; its group first."""
        group = self.groups[int(rng.choice(len(self.groups), p=self.chances)) if len(self.groups) > 1 else 0]
        return group[int(rng.integers(len(group)))]


def pool_of(regions: Sequence[Region], *, shares: Mapping[str, float]) -> Pool | None:
    """``regions`` as a pool; a source without a share has share 1. None when there is nothing to draw."""
    if not regions:
        return None
    by_source: dict[str, list[Region]] = {}
    for region in regions:
        by_source.setdefault(region.source if shares else "", []).append(region)
    weights = np.array([shares.get(source, 1.0) for source in by_source])
    if not weights.any():
        return None
    return Pool(tuple(tuple(group) for group in by_source.values()), weights / weights.sum())


@dataclass(frozen=True, slots=True, eq=False)
class MixedSource:
    """Composed samples, real single chromosomes, real clusters and debris, by the configured shares.

    Every picture passes through the same preprocessing and the same kind of view, composed or not.
    """

    composer: Composer
    singles: Pool | None
    clusters: Pool | None
    debris: Pool | None
    stages: Stages

    def draw(self, rng: np.random.Generator) -> Example:
        """A sample that depends on ``rng`` alone."""
        return _seen(self._shown(rng), config=self.stages.views, rng=rng)

    def draw_pair(self, rng: np.random.Generator) -> ExamplePair:
        """Two views of a sample, which depend on ``rng`` alone; composed once, seen twice."""
        return _seen_twice(self._shown(rng), config=self.stages.views, rng=rng)

    def _shown(self, rng: np.random.Generator) -> Example:
        """A sample before any view is taken of it."""
        data = self.stages.data
        pools = (self.singles, self.clusters, self.debris)
        shares = (data.single_share, data.cluster_share, data.debris_share)
        place = rng.random()
        for pool, share in zip(pools, shares, strict=True):
            if pool is None:
                continue
            if place < share:
                return _jittered(pool.draw(rng), stages=self.stages, rng=rng)
            place -= share
        made = self.composer.draw(rng)
        return Example(picture=made.picture[None], type=int(made.type), count=made.n_chromosomes)


@dataclass(frozen=True, slots=True, eq=False)
class RealSource:
    """Real pictures alone, nothing composed: each pool with its chance.

    ``donors`` are the single chromosomes that ``pasted_share`` of the pictures get laid over them.
    """

    pools: tuple[Pool, ...]
    chances: np.ndarray
    stages: Stages
    donors: Pool | None = None

    @property
    def kinds(self) -> frozenset[ClusterType | None]:
        """The types that can come, with None for clusters of unknown type."""
        regions = (region for pool in self.pools for region in pool.members)
        return frozenset(region.type for region in regions if region.is_chromosome)

    def draw(self, rng: np.random.Generator) -> Example:
        """A sample that depends on ``rng`` alone."""
        return _seen(self._shown(rng), config=self.stages.views, rng=rng)

    def draw_pair(self, rng: np.random.Generator) -> ExamplePair:
        """Two views of a sample, which depend on ``rng`` alone; one picture, seen twice."""
        return _seen_twice(self._shown(rng), config=self.stages.views, rng=rng)

    def _shown(self, rng: np.random.Generator) -> Example:
        pool = self.pools[int(rng.choice(len(self.pools), p=self.chances))]
        shown = _jittered(pool.draw(rng), stages=self.stages, rng=rng)
        share = self.stages.data.pasted_share
        if self.donors is None or not share or rng.random() >= share:
            return shown
        other = _jittered(self.donors.draw(rng), stages=self.stages, rng=rng)
        return replace(shown, picture=pasted(shown.picture[0], other=other.picture[0], rng=rng)[None])


def real_source(regions: Sequence[Region], *, stages: Stages) -> RealSource:
    """``regions`` as they are, by their shares, which are in proportion to each other here.

    With ``balanced_types`` every type, and clusters of unknown type as one more, has the same chance within
    the share of singles and clusters. Raises ``ConfigError`` when there are fewer than two of those.
    """
    groups = _balanced(regions, stages=stages) if stages.data.balanced_types else _by_share(regions, stages)
    drawn = [(pool, share) for pool, share in groups if pool is not None and share > 0]
    weights = np.array([share for _, share in drawn])
    singles = [one for one in regions if one.type is ClusterType.INSTANCE]
    donors = pool_of(singles, shares=stages.composition.source_shares)
    source = RealSource(tuple(pool for pool, _ in drawn), weights / weights.sum(), stages, donors)
    require_several(source.kinds)
    return source


def require_several(kinds: Collection[ClusterType | None]) -> None:
    """Nothing, when there is something to tell apart. Else raises ``ConfigError``."""
    if len(kinds) < 2:
        names = sorted("clusters of unknown type" if kind is None else kind.label for kind in kinds)
        raise ConfigError(
            f"{f'only {names[0]}' if names else 'nothing'} to learn from without composition",
            expected="single chromosomes and clusters, or clusters of several types",
            remedy="set compose, or typed_clusters or counted_clusters with a cluster_share, or other parts",
        )


def _by_share(regions: Sequence[Region], stages: Stages) -> list[tuple[Pool | None, float]]:
    data, shares = stages.data, stages.composition.source_shares
    singles = [one for one in regions if one.type is ClusterType.INSTANCE]
    debris = [one for one in regions if not one.is_chromosome]
    clusters = [one for one in regions if one.is_chromosome and one.type is not ClusterType.INSTANCE]
    groups = ((singles, data.single_share), (clusters, data.cluster_share), (debris, data.debris_share))
    return [(pool_of(group, shares=shares), share) for group, share in groups]


def _balanced(regions: Sequence[Region], *, stages: Stages) -> list[tuple[Pool | None, float]]:
    data, shares = stages.data, stages.composition.source_shares
    debris = pool_of([one for one in regions if not one.is_chromosome], shares=shares)
    kinds = [
        pool_of([one for one in regions if one.is_chromosome and one.type is kind], shares=shares)
        for kind in (*ClusterType, None)
    ]
    pools = [pool for pool in kinds if pool is not None]
    share = (data.single_share + data.cluster_share) / max(1, len(pools))
    return [*((pool, share) for pool in pools), (debris, data.debris_share)]


def _jittered(region: Region, *, stages: Stages, rng: np.random.Generator) -> Example:
    """A real region at a scale that varies a little, before any view is taken of it."""
    jitter = 1 + stages.composition.scale_jitter * rng.uniform(-1, 1)
    picture = network_input(replace(region, width_px=region.width_px / jitter), config=stages.crop)
    return example_of(region, picture=picture)


def _seen(shown: Example, *, config: ViewConfig, rng: np.random.Generator) -> Example:
    return replace(shown, picture=draw_view(shown.picture[0], config=config, rng=rng)[None])


def _seen_twice(shown: Example, *, config: ViewConfig, rng: np.random.Generator) -> ExamplePair:
    views = two_views(shown.picture[0], config=config, rng=rng)
    query, key = (replace(shown, picture=view[None]) for view in (views.query, views.key))
    return ExamplePair(query=query, key=key)


def example_of(region: Region, *, picture: Square) -> Example:
    """``picture`` with what is known of ``region``; debris has neither type nor count."""
    return Example(
        picture=picture[None],
        type=UNKNOWN if region.type is None else int(region.type),
        count=region.n_chromosomes or UNKNOWN,
        is_chromosome=int(region.is_chromosome),
    )
