"""A training small enough for every test: striped pictures, a network of a few thousand weights, seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from pydantic import JsonValue

from supcam.core.types import ClusterType
from supcam.learn.batches import Example, ExamplePair, TrainingSources
from supcam.learn.recipe import Recipe

SIZE_PX = 32
TABLES: dict[str, JsonValue] = {
    "network": {"backbone": "resnet10t", "channels": [8, 8, 8, 8], "max_count": 5, "drop_rate": 0.1},
    "train": {
        "seed": 3,
        "epochs": 3,
        "pictures_per_epoch": 80,
        "batch_size": 8,
        "learning_rate": 1e-2,
        "precision": "float32",
        "device": "cpu",
        "threads": 1,
        "workers": 0,
        "checkpoint_every_steps": 4,
        "log_every_steps": 3,
    },
}


@dataclass(frozen=True)
class Stripes:
    """Pictures whose number of bright stripes is the type; one in four is debris: noise without stripes."""

    def draw(self, rng: np.random.Generator) -> Example:
        """A striped picture, or debris."""
        picture = rng.normal(0.0, 0.2, size=(1, SIZE_PX, SIZE_PX)).astype(np.float32)
        kind = int(rng.integers(0, 8)) % 4
        if rng.random() < 0.25:
            return Example(picture=picture, is_chromosome=0)
        for stripe in range(kind + 1):
            picture[0, 8 * stripe : 8 * stripe + 3] += 1.0
        return Example(picture=picture, type=kind, count=1 if kind == ClusterType.INSTANCE else kind + 1)

    def draw_pair(self, rng: np.random.Generator) -> ExamplePair:
        """The same stripes twice, each time in noise of its own, and mirrored or not."""
        drawn = self.draw(rng)

        def view() -> Example:
            noise = rng.normal(0.0, 0.2, size=drawn.picture.shape).astype(np.float32)
            seen = drawn.picture[:, :, ::-1] if rng.integers(2) else drawn.picture
            return replace(drawn, picture=seen + noise)

        return ExamplePair(query=view(), key=view())


def tiny_recipe(**train: object) -> Recipe:
    """The tiny recipe with other values in its table ``train``."""
    table = TABLES["train"]
    assert isinstance(table, dict)
    return Recipe.model_validate({**TABLES, "train": {**table, **train}})


def two_steps(*, train: dict[str, object] | None = None, **pretrain: object) -> Recipe:
    """The tiny recipe with a step 1 before it, and other values in either table."""
    table = TABLES["train"]
    assert isinstance(table, dict)
    first = {**table, "queue_slots": 64, "hidden_dim": 16, "projection_dim": 8, **pretrain}
    return Recipe.model_validate({**TABLES, "pretrain": first, "train": {**table, **(train or {})}})


def tiny_sources(*, data_hash: str = "stripes", validated: int = 24) -> TrainingSources:
    """Stripes to learn from, and two fixed sets of them to be watched on."""
    source = Stripes()
    sets = {
        name: [source.draw(np.random.default_rng([seed, i])) for i in range(validated)]
        for name, seed in (("near", 91), ("far", 92))
    }
    return TrainingSources(train=source, validation=sets, data_hash=data_hash, pretrain=source)


def same(ours: Any, theirs: Any) -> bool:  # noqa: ANN401
    """Whether two nested states hold the same bits."""
    if isinstance(ours, torch.Tensor):
        return torch.equal(ours, theirs) and ours.dtype == theirs.dtype
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return bool(ours == theirs)
