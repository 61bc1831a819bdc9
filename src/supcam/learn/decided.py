"""Decided objects -> what a network goes on learning from: real ones, and compositions of sure singles."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from supcam.core.config import parse_config
from supcam.core.types import ImageError, Region
from supcam.data.bending import bent_copies
from supcam.data.composition import Composer
from supcam.data.decided import DecidedSet
from supcam.data.harvest import EMPTY, Harvest, LeftOut, harvest_crops, read_crop
from supcam.data.piece import prepare
from supcam.learn.batches import ExampleSource, TrainingSources
from supcam.learn.mixing import MixedSource, pool_of, real_source
from supcam.learn.recipe import Recipe
from supcam.learn.stages import Stages, read_stages

LEAST_SINGLES = 24
"""Fewer single chromosomes of which people and model are sure are too few to compose from."""
_TRAIN: dict[str, object] = {
    "epochs": 3,
    "pictures_per_epoch": 1920,
    "batch_size": 32,
    "learning_rate": 3e-4,
    "layer_decay": 0.7,
    "warmup_share": 0.1,
    "average_decay": 0.98,
    "precision": "float32",
    "workers": 0,
    "checkpoint_every_steps": 30,
    "log_every_steps": 10,
}
_SHARES: dict[str, object] = {
    "typed_clusters": True,
    "single_share": 0.2,
    "cluster_share": 0.4,
    "debris_share": 0.06,
    "balanced_types": True,
}


@dataclass(frozen=True, slots=True, eq=False)
class DecidedHarvest:
    """What was cut from decided crops; ``sure`` are the singles to compose from, of ``harvest.singles``."""

    harvest: Harvest
    sure: tuple[Region, ...]

    @property
    def is_composable(self) -> bool:
        """Whether there are singles enough to compose from."""
        return len(self.sure) >= LEAST_SINGLES


def decided_recipe(network: Recipe, *, trained: Mapping[str, object], own: Recipe | None = None) -> Recipe:
    """The recipe by which a network learns from decisions.

    ``network`` says what it is and sees; ``trained`` is what a card says of its training, from which
    compositions and views are taken over. ``own`` says all but the network in place of our choice: a short
    and gentle step 2.
    """
    kept = {"network": network.network, "crop": network.crop, "foreground": network.foreground}
    if own is not None:
        return own.model_copy(update=kept)
    tables = {
        "train": _TRAIN,
        "data": _SHARES,
        "composition": _table(trained, name="composition", but="source_shares"),
        "views": _table(trained, name="views"),
    }
    return parse_config(Recipe, tables, where="the card's training").model_copy(update=kept)


def _table(trained: Mapping[str, object], *, name: str, but: str = "") -> dict[str, object]:
    table = trained.get(name)
    return {key: value for key, value in table.items() if key != but} if isinstance(table, dict) else {}


def harvest_decided(decided: DecidedSet, *, sure: Collection[Path], recipe: Recipe) -> DecidedHarvest:
    """The regions of decided crops; ``sure`` are files of singles of which the model was sure, too."""
    chosen = [sample for sample in decided.typed if sample.path in sure]
    others = [sample for sample in decided.typed if sample.path not in sure]
    first = harvest_crops(chosen, image=recipe.image, foreground=recipe.foreground)
    second = harvest_crops(others, image=recipe.image, foreground=recipe.foreground)
    return DecidedHarvest(first + second + _debris(decided, recipe=recipe), sure=first.singles)


def _debris(decided: DecidedSet, *, recipe: Recipe) -> Harvest:
    harvest = EMPTY
    for sample in decided.rejected:
        try:
            region = read_crop(sample.path, image=recipe.image, foreground=recipe.foreground)
        except ImageError as error:
            harvest += replace(EMPTY, left_out=(LeftOut(sample.path, str(error)),))
            continue
        known = replace(region, case=sample.case, source=sample.source, is_chromosome=False)
        harvest += replace(EMPTY, debris=(known,))
    return harvest


def fitted(recipe: Recipe, *, found: DecidedHarvest) -> Recipe:
    """``recipe`` without what there is nothing for: compositions, or the head that tells chromosomes.

    Without a rejected object that head would only learn to say yes.
    """
    step: dict[str, object] = {"compose": recipe.train.compose and found.is_composable}
    if not found.harvest.debris:
        step["chromosome_weight"] = 0.0
    return recipe.model_copy(update={"train": recipe.train.model_copy(update=step)})


def decided_sources(found: DecidedHarvest, *, recipe: Recipe, data_hash: str) -> TrainingSources:
    """What a run by ``recipe`` learns from; it is watched on nothing, so that nothing is chosen by it.

    Raises ``ConfigError`` when there is nothing to tell apart.
    """
    stages = read_stages(recipe)
    harvest = found.harvest
    regions = [*harvest.singles, *harvest.clusters, *harvest.debris]
    train: ExampleSource = (
        _mixed(found, stages=stages) if recipe.train.compose else real_source(regions, stages=stages)
    )
    return TrainingSources(train, validation={}, data_hash=data_hash)


def _mixed(found: DecidedHarvest, *, stages: Stages) -> MixedSource:
    copies = [*found.sure, *bent_copies(found.sure, config=stages.composition).values()]
    prepared = (prepare(region, config=stages.recipe.foreground) for region in copies)
    pieces = [piece for piece in prepared if piece is not None]
    shares = stages.composition.source_shares
    harvest = found.harvest
    return MixedSource(
        composer=Composer(pieces, config=stages.composition, crop=stages.crop),
        singles=pool_of(harvest.singles, shares=shares),
        clusters=pool_of(harvest.clusters, shares=shares),
        debris=pool_of(harvest.debris, shares=shares),
        stages=stages,
    )


def shown(sources: TrainingSources, *, n: int, seed: int) -> Float32[np.ndarray, "batch 1 size size"]:
    """``n`` network inputs as the run will see them."""
    return np.stack([sources.train.draw(np.random.default_rng([seed, index])).picture for index in range(n)])
