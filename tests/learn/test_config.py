"""The stages of learning: what they refuse, and what follows from their values."""

from __future__ import annotations

import json

import pytest

from supcam.core.config import parse_config
from supcam.core.types import ConfigError
from supcam.learn.config import NetworkConfig, TrainConfig


def test_defaults_survive_the_way_through_json() -> None:
    for stage in (NetworkConfig, TrainConfig):
        written = json.dumps(stage().model_dump(mode="json"))
        assert parse_config(stage, json.loads(written), where="") == stage()


def test_steps_are_whole_batches() -> None:
    recipe = TrainConfig(epochs=3, pictures_per_epoch=100, batch_size=32)
    assert (recipe.steps_per_epoch, recipe.total_steps) == (3, 9)
    with pytest.raises(ConfigError, match="one batch_size"):
        parse_config(TrainConfig, {"pictures_per_epoch": 10, "batch_size": 11}, where="")
