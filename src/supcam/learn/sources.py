"""Manifests and roles -> what a run learns from and is watched on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from supcam.core.config import (
    CompositionConfig,
    CropConfig,
    DataConfig,
    SourceConfig,
    ViewConfig,
    parse_config,
)
from supcam.core.crop import Square, network_input
from supcam.core.types import ConfigError, Region
from supcam.data.bending import bent_copies
from supcam.data.composition import Composer
from supcam.data.harvest import EMPTY, Harvest, harvest_crops, harvest_metaphases
from supcam.data.leak import refuse_leaks
from supcam.data.manifest import Manifest, ManifestOptions, read_manifest
from supcam.data.piece import prepare
from supcam.data.split import Cased, Roles, read_roles
from supcam.data.views import draw_view
from supcam.learn.batches import UNKNOWN, Example, TrainingSources
from supcam.learn.recipe import Recipe

Tick = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Stages:
    """The settings of every stage between a manifest and a network input."""

    data: DataConfig
    composition: CompositionConfig
    views: ViewConfig
    recipe: Recipe

    @property
    def crop(self) -> CropConfig:
        """What the network sees."""
        return self.recipe.crop


def read_stages(recipe: Recipe) -> Stages:
    """The recipe's free tables, checked. Raises ``ConfigError``."""
    return Stages(
        data=parse_config(DataConfig, recipe.data, where="[data]"),
        composition=parse_config(CompositionConfig, recipe.composition, where="[composition]"),
        views=parse_config(ViewConfig, recipe.views, where="[views]"),
        recipe=recipe,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Real regions to draw from: by the shares of their sources where some are set, else all alike."""

    groups: tuple[tuple[Region, ...], ...]
    chances: np.ndarray

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
        data = self.stages.data
        pools = (self.singles, self.clusters, self.debris)
        shares = (data.single_share, data.cluster_share, data.debris_share)
        place = rng.random()
        for pool, share in zip(pools, shares, strict=True):
            if pool is None:
                continue
            if place < share:
                return self._real(pool.draw(rng), rng)
            place -= share
        return self._composed(rng)

    def _composed(self, rng: np.random.Generator) -> Example:
        made = self.composer.draw(rng)
        view = draw_view(made.picture, config=self.stages.views, rng=rng)
        return Example(picture=view[None], type=int(made.type), count=made.n_chromosomes)

    def _real(self, region: Region, rng: np.random.Generator) -> Example:
        jitter = 1 + self.stages.composition.scale_jitter * rng.uniform(-1, 1)
        picture = network_input(replace(region, width_px=region.width_px / jitter), config=self.stages.crop)
        return example_of(region, picture=draw_view(picture, config=self.stages.views, rng=rng))


def example_of(region: Region, *, picture: Square) -> Example:
    """``picture`` with what is known of ``region``; debris has neither type nor count."""
    return Example(
        picture=picture[None],
        type=UNKNOWN if region.type is None else int(region.type),
        count=region.n_chromosomes or UNKNOWN,
        is_chromosome=int(region.is_chromosome),
    )


def build_sources(recipe: Recipe, *, folder: Path = Path(), tick: Tick | None = None) -> TrainingSources:
    """The training source and the validation sets of ``recipe``; the roles file is looked for in ``folder``.

    Raises ``ConfigError`` for a part that no case plays, ``ManifestError`` for tables that cannot be used.
    """
    stages = read_stages(recipe)
    manifest = read_sources(stages.data)
    roles = read_roles(folder / stages.data.roles)
    refuse_leaks(manifest, roles=roles)
    train = harvest_parts(manifest, roles=roles, parts=stages.data.train, stages=stages, tick=tick)
    validation = {
        name: _examples(harvest_parts(manifest, roles=roles, parts=parts, stages=stages, tick=tick), stages)
        for name, parts in stages.data.validation.items()
    }
    used = (*stages.data.train, *(part for parts in stages.data.validation.values() for part in parts))
    return TrainingSources(
        train=source_of(train, stages=stages),
        validation=validation,
        data_hash=_data_hash(manifest, roles=roles, parts=used),
    )


def read_sources(config: DataConfig) -> Manifest:
    """All configured sources as one manifest. Raises ``ConfigError`` when the root is not set."""
    root = Path(os.path.expandvars(config.root)).expanduser()
    if "$" in str(root):
        raise ConfigError(
            f"root {config.root!r} that is not set",
            expected="a folder",
            remedy="set the environment variable, or write the folder into [data] root",
        )
    manifest = Manifest()
    for source in config.sources.values():
        manifest += _read_source(source, root=root)
    return manifest


def _read_source(source: SourceConfig, *, root: Path) -> Manifest:
    options = ManifestOptions(
        source=source.source,
        case_rule=source.case_rule or "",
        pictures_folder=None if source.pictures is None else root / source.pictures,
    )
    return read_manifest(root / source.path, layout=source.layout, options=options)


def harvest_parts(
    manifest: Manifest, *, roles: Roles, parts: Sequence[str], stages: Stages, tick: Tick | None = None
) -> Harvest:
    """Everything cut from the pictures whose case plays one of ``parts`` (``source:role``)."""
    recipe = stages.recipe
    harvest = EMPTY
    for part in parts:
        source, _, role = part.partition(":")
        crops = [one for one in manifest.samples if one.box is None and one.source == source]
        pictures = [one for one in manifest.pictures if one.source == source]
        chosen, spreads = roles.pick(crops, roles=[role]), roles.pick(pictures, roles=[role])
        if not chosen and not spreads:
            raise ConfigError(
                f"part {part!r} without a picture",
                expected="source:role",
                remedy="compare with the roles file",
            )
        harvest += harvest_crops(chosen, image=recipe.image, foreground=recipe.foreground, tick=tick)
        harvest += harvest_metaphases(spreads, image=recipe.image, foreground=recipe.foreground, tick=tick)
    return harvest


def source_of(harvest: Harvest, *, stages: Stages) -> MixedSource:
    """A training source from what was harvested. Raises ``CompositionError`` when there is no single."""
    singles = [*harvest.singles, *bent_copies(harvest.singles, config=stages.composition).values()]
    prepared = (prepare(region, config=stages.recipe.foreground) for region in singles)
    pieces = [piece for piece in prepared if piece is not None]
    shares = stages.composition.source_shares
    return MixedSource(
        composer=Composer(pieces, config=stages.composition, crop=stages.crop),
        singles=pool_of(harvest.singles, shares=shares),
        clusters=pool_of([one for one in harvest.clusters if _is_used(one, stages.data)], shares=shares),
        debris=pool_of(harvest.debris, shares=shares),
        stages=stages,
    )


def _is_used(region: Region, data: DataConfig) -> bool:
    return data.counted_clusters if region.type is None else data.typed_clusters


def _examples(harvest: Harvest, stages: Stages) -> tuple[Example, ...]:
    regions: Iterable[Region] = (*harvest.singles, *harvest.clusters)
    return tuple(example_of(region, picture=network_input(region, config=stages.crop)) for region in regions)


def _data_hash(manifest: Manifest, *, roles: Roles, parts: Sequence[str]) -> str:
    """SHA-256 of the pictures that play one of ``parts``, with what is said of them and their roles."""

    def plays(item: Cased) -> bool:
        return f"{item.source}:{roles.role_of(source=item.source, case=item.case)}" in parts

    used = replace(
        manifest,
        samples=tuple(item for item in manifest.samples if plays(item)),
        pictures=tuple(item for item in manifest.pictures if plays(item)),
    )
    cases = sorted({(item.source, item.case) for item in used.items})
    played = [f"{source}:{roles.role_of(source=source, case=case)} {case}" for source, case in cases]
    return hashlib.sha256("\n".join([used.fingerprint, *played]).encode()).hexdigest()
