"""Drawn chromosomes -> what a run learns from and is watched on: the whole road, no pictures needed."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from pydantic import Field

from supcam.core.config import StageConfig, parse_config
from supcam.core.crop import network_input
from supcam.core.types import ClusterType, Region, Stain
from supcam.data.clutter import draw_debris
from supcam.data.drawing import Preparation
from supcam.data.drawn_singles import DrawnSingles, photograph
from supcam.data.harvest import EMPTY, Harvest
from supcam.data.synthesis import SynthesisConfig, draw_chromosome, draw_cluster, draw_preparation
from supcam.learn.batches import Example, TrainingSources
from supcam.learn.mixing import example_of
from supcam.learn.recipe import Recipe
from supcam.learn.sources import sources_of
from supcam.learn.stages import read_stages

TABLE = "drawn"
"""The part of a recipe's table ``data`` that asks for drawn pictures."""
_COUNTS = {
    ClusterType.INSTANCE: (1,),
    ClusterType.TOUCHING: (2, 3),
    ClusterType.OVERLAPPING: (2, 3),
    ClusterType.TOUCHING_OVERLAPPING: (3, 4),
}


class DrawnConfig(StageConfig):
    """How much is drawn. A drawn case is a slide of its own: width, stain, bands and blur."""

    seed: int = Field(0, ge=0, description="All drawn pictures follow from it.")
    cases: int = Field(12, ge=1, le=10_000, description="Slides to learn from.")
    singles_per_case: int = Field(12, ge=1, le=1000, description="Single chromosomes on each of them.")
    debris_per_case: int = Field(2, ge=0, le=1000, description="Flecks of dirt on each of them.")
    clusters_per_case: int = Field(
        0,
        ge=0,
        le=100,
        description="Clusters of each type on each of them, drawn as such; data.typed_clusters uses them.",
    )
    validation_cases: int = Field(
        15, ge=1, le=10_000, description="Other slides, with a cluster of each type."
    )
    synthesis: SynthesisConfig = Field(SynthesisConfig(), description="How drawn chromosomes look.")


def drawn_sources(recipe: Recipe) -> TrainingSources:
    """Compositions of drawn single chromosomes to learn from; clusters drawn as such to be watched on.

    Every drawing is photographed (8-bit, illumination, noise) and read like a crop from disk. Raises
    ``ConfigError``.
    """
    config = parse_config(DrawnConfig, recipe.data[TABLE], where=f"[data.{TABLE}]")
    others = {name: value for name, value in recipe.data.items() if name != TABLE}
    stages = read_stages(recipe.model_copy(update={"data": others}))
    harvest = drawn_harvest(config, recipe=recipe)
    regions = _clusters(config, recipe=recipe)
    watched = [example_of(region, picture=network_input(region, config=recipe.crop)) for region in regions]
    data_hash = _hash((*harvest.singles, *harvest.debris, *harvest.clusters), examples=watched)
    return sources_of(harvest, validation={TABLE: watched}, data_hash=data_hash, stages=stages)


def drawn_harvest(config: DrawnConfig, *, recipe: Recipe) -> Harvest:
    """What is on the slides to learn from; a slide is a case."""
    harvest = EMPTY
    for case in range(config.cases):
        harvest += _case(
            np.random.default_rng([config.seed, 0, case]), name=str(case), recipe=recipe, config=config
        )
    return harvest


def _case(rng: np.random.Generator, *, name: str, recipe: Recipe, config: DrawnConfig) -> Harvest:
    """What is on one slide."""
    slide = draw_preparation(rng, config=config.synthesis)
    singles = [
        _draw_single(rng, slide=slide, recipe=recipe, config=config) for _ in range(config.singles_per_case)
    ]
    debris = [
        _draw_dirt(rng, slide=slide, recipe=recipe, config=config) for _ in range(config.debris_per_case)
    ]
    clusters = [
        _draw_cluster(kind, rng=rng, slide=slide, recipe=recipe, config=config)
        for _ in range(config.clusters_per_case)
        for kind in _COUNTS
        if kind is not ClusterType.INSTANCE
    ]
    return replace(
        EMPTY,
        singles=tuple(replace(region, case=name) for region in singles),
        clusters=tuple(replace(region, case=name) for region in clusters),
        debris=tuple(replace(region, case=name) for region in debris),
    )


def _draw_single(
    rng: np.random.Generator, *, slide: Preparation, recipe: Recipe, config: DrawnConfig
) -> Region:
    drawn = draw_chromosome(rng, config=config.synthesis, preparation=slide)
    region = _photographed(drawn.stain, rng=rng, recipe=recipe, config=config)
    return replace(region, type=ClusterType.INSTANCE, n_chromosomes=1)


def _draw_dirt(
    rng: np.random.Generator, *, slide: Preparation, recipe: Recipe, config: DrawnConfig
) -> Region:
    drawn = draw_debris(rng, size_px=rng.uniform(1.0, 2.0) * slide.width_px, stain_level=slide.stain_level)
    region = _photographed(drawn.stain, rng=rng, recipe=recipe, config=config)
    return replace(region, width_px=slide.width_px, is_chromosome=False)


def _clusters(config: DrawnConfig, *, recipe: Recipe) -> list[Region]:
    """A cluster of each type from every validation slide."""
    regions = []
    for case in range(config.validation_cases):
        rng = np.random.default_rng([config.seed, 1, case])
        slide = draw_preparation(rng, config=config.synthesis)
        for kind in _COUNTS:
            region = _draw_cluster(kind, rng=rng, slide=slide, recipe=recipe, config=config)
            regions.append(replace(region, case=f"validation {case}"))
    return regions


def _draw_cluster(
    kind: ClusterType, *, rng: np.random.Generator, slide: Preparation, recipe: Recipe, config: DrawnConfig
) -> Region:
    n = int(rng.choice(_COUNTS[kind]))
    drawn = draw_cluster(rng, type=kind, n_chromosomes=n, config=config.synthesis, preparation=slide)
    region = _photographed(drawn.stain, rng=rng, recipe=recipe, config=config)
    return replace(region, type=kind, n_chromosomes=n)


def _photographed(stain: Stain, *, rng: np.random.Generator, recipe: Recipe, config: DrawnConfig) -> Region:
    """The object in a picture of the drawing, read as the recipe reads."""
    plan = DrawnSingles(synthesis=config.synthesis, image=recipe.image, foreground=recipe.foreground)
    return photograph(stain, plan=plan, rng=rng)


def _hash(regions: Iterable[Region], *, examples: Iterable[Example]) -> str:
    """SHA-256 of everything that was drawn, with its labels."""
    digest = hashlib.sha256()
    for region in regions:
        digest.update(
            region.stain.tobytes() + repr((region.case, region.type, region.n_chromosomes)).encode()
        )
    for example in examples:
        digest.update(example.picture.tobytes() + repr((example.type, example.count)).encode())
    return digest.hexdigest()
