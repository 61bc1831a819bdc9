"""The stages of learning: what they refuse, and what follows from their values."""

from __future__ import annotations

import json
import math

import pytest

from supcam.core.config import parse_config
from supcam.core.types import ConfigError
from supcam.learn.config import ContrastConfig, NetworkConfig, PretrainConfig, ScheduleConfig, TrainConfig


def test_defaults_survive_the_way_through_json() -> None:
    for stage in (NetworkConfig, ContrastConfig, PretrainConfig, TrainConfig):
        written = json.dumps(stage().model_dump(mode="json"))
        assert parse_config(stage, json.loads(written), where="") == stage()


def test_steps_are_whole_batches() -> None:
    recipe = TrainConfig(epochs=3, pictures_per_epoch=100, batch_size=32)
    assert (recipe.steps_per_epoch, recipe.total_steps) == (3, 9)
    with pytest.raises(ConfigError, match="one batch_size"):
        parse_config(TrainConfig, {"pictures_per_epoch": 10, "batch_size": 11}, where="")


def test_both_steps_share_their_schedule() -> None:
    shared = ScheduleConfig.model_fields
    for stage in (PretrainConfig, TrainConfig):
        assert shared.keys() < stage.model_fields.keys()
        assert all(stage.model_fields[name].default == field.default for name, field in shared.items())
        with pytest.raises(ConfigError, match="one batch_size"):
            parse_config(stage, {"pictures_per_epoch": 10, "batch_size": 11}, where="")
    assert PretrainConfig.model_fields.keys() == shared.keys() | ContrastConfig.model_fields.keys()


def test_highest_rate_is_gentler_after_a_start_from_a_checkpoint() -> None:
    plain = ScheduleConfig(learning_rate=0.2, init_rate_share=0.5)
    assert plain.highest_rate == 0.2
    assert plain.model_copy(update={"init_from": "a.ckpt"}).highest_rate == 0.1


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"alpha": 1.2}, "alpha"),
        ({"alpha": "even"}, "alpha"),
        ({"margin_rad": -0.1}, "margin_rad"),
        ({"margin_rad": math.pi / 2 + 1e-6}, "margin_rad"),
        ({"temperature": 0.0}, "temperature"),
        ({"queue_slots": 0}, "queue_slots"),
        ({"momentum": (0.999, 0.99)}, "smaller one first"),
        ({"momentum": (0.99, 1.0)}, "stands still"),
        ({"method": "simclr"}, "method"),
        ({"margin": 0.2}, "margin"),
    ],
)
def test_contrast_out_of_range_is_refused(values: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse_config(ContrastConfig, values, where="")


def test_alpha_is_a_share_or_uniform() -> None:
    assert parse_config(ContrastConfig, {"alpha": 1}, where="").alpha == 1.0
    assert parse_config(ContrastConfig, {"alpha": "uniform"}, where="").alpha == "uniform"


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"devices": 0}, "devices"),
        ({"devices": [0, 0]}, "different numbers"),
        ({"devices": []}, "different numbers"),
        ({"devices": [0, 1], "device": "cpu"}, "different numbers"),
        ({"devices": 3}, "multiple"),
        ({"strategy": "together"}, "strategy"),
    ],
)
def test_devices_that_cannot_share_a_batch_are_refused(values: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse_config(TrainConfig, values, where="")


def test_devices_are_a_number_or_the_numbers_of_gpus() -> None:
    assert [TrainConfig(devices=two).n_processes for two in (2, (0, 3))] == [2, 2]
    assert TrainConfig().n_processes == 1
