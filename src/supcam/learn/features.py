"""Pictures -> the features that a backbone makes of them: before training, or after either step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from supcam.core.config import parse_config
from supcam.learn.batches import Example, validation_loader
from supcam.learn.checkpoints import OWN_KEY, load_averaged, read_checkpoint
from supcam.learn.encoder import Network
from supcam.learn.recipe import Recipe
from supcam.learn.surroundings import threads_of

_BATCH = 64

Features = Float32[np.ndarray, "batch dim"]


@dataclass(frozen=True, slots=True, eq=False)
class Backbone:
    """A network in eval mode whose features are asked for, what it sees, and the parts that it learnt from.

    ``recipe`` says how pictures become its inputs. ``learnt_from`` (source:role) are the parts of its last
    step alone: what an earlier step learnt from stands in that step's own recipe.
    """

    network: Network
    recipe: Recipe
    learnt_from: tuple[str, ...] = ()


def backbone_by_chance(recipe: Recipe) -> Backbone:
    """The network that a run by ``recipe`` would begin with, had it no start: weights drawn from its seed."""
    network = Network(recipe.network, seed=recipe.train.seed)
    network.eval().requires_grad_(False)
    return Backbone(network, recipe)


def backbone_of(checkpoint: Path) -> Backbone:
    """The averaged backbone of a checkpoint of either step.

    Raises ``TrainingError`` for a file that is no checkpoint, ``ConfigError`` for an unknown recipe.
    """
    recipe = parse_config(Recipe, read_checkpoint(checkpoint)[OWN_KEY]["recipe"], where=checkpoint)
    drawn = backbone_by_chance(recipe)
    load_averaged(drawn.network, path=checkpoint)
    return Backbone(drawn.network, recipe, learnt_from=_parts(recipe))


@torch.inference_mode()
def features_of(backbone: Backbone, *, examples: Sequence[Example], threads: int = 1) -> Features:
    """The pooled feature of each of ``examples`` (at least one), in order."""
    with threads_of(threads):
        return np.concatenate(
            [
                backbone.network(batch.pictures).embedding.float().numpy()
                for batch in validation_loader(examples, batch_size=_BATCH)
            ]
        )


def _parts(recipe: Recipe) -> tuple[str, ...]:
    """What the recipe learns from; nothing where its pictures have no roles, as drawn ones."""
    named = recipe.data.get("train")
    return tuple(str(part) for part in named) if isinstance(named, list) else ()
