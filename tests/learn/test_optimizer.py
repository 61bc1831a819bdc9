"""The schedule, the optimizer's groups, and rates by layer."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from tests.tiny_training import tiny_recipe
from torch import nn

from supcam.core.types import ConfigError
from supcam.learn.config import NetworkConfig
from supcam.learn.encoder import Network
from supcam.learn.finetune import Finetuning
from supcam.learn.optimizer import layer_factors, parameter_groups, rate_share


def rates(module: Finetuning) -> dict[str, float]:
    """The rate of every parameter that the optimizer holds, by name, before the first step."""
    optimizer: torch.optim.Optimizer = module.configure_optimizers()["optimizer"]
    of: dict[int, Any] = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    held = module.network.named_parameters()
    return {name: float(of[id(value)]) for name, value in held if id(value) in of}


def learner(**train: object) -> Finetuning:
    recipe = tiny_recipe(warmup_share=0.0, learning_rate=0.01, **train)
    return Finetuning(Network(recipe.network, seed=1), config=recipe.train)


def test_rate_rises_in_a_line_then_falls_in_a_cosine() -> None:
    config = tiny_recipe(
        epochs=10, pictures_per_epoch=80, batch_size=8, warmup_share=0.1, final_rate_share=0.2
    ).train
    shares = [rate_share(step, config=config) for step in range(config.total_steps + 1)]
    assert shares[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert shares[10] == 1.0
    assert shares[55] == pytest.approx(0.6)
    assert shares[100] == pytest.approx(0.2)
    assert all(later < earlier for earlier, later in itertools.pairwise(shares[10:]))


def test_rate_without_warm_up_starts_full() -> None:
    assert rate_share(0, config=tiny_recipe(warmup_share=0.0).train) == 1.0


def test_weights_decay_and_biases_and_norms_do_not() -> None:
    network = Network(tiny_recipe().network)
    decaying, free = parameter_groups(network, weight_decay=0.05)
    assert (decaying["weight_decay"], free["weight_decay"]) == (0.05, 0.0)
    groups = [*decaying["params"], *free["params"]]
    assert sorted(map(id, groups)) == sorted(map(id, network.parameters()))
    held_back = {id(parameter) for parameter in free["params"]}
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert all(id(value) in held_back for norm in norms for value in norm.parameters())
    assert id(network.type_head.bias) in held_back
    assert id(network.type_head.weight) not in held_back


# ---- rates by layer


def test_rate_falls_from_the_heads_to_the_stem_by_one_factor_a_stage() -> None:
    found = rates(learner(layer_decay=0.5))
    expected = {
        "type_head.weight": 1.0,
        "count_head.bias": 1.0,
        "backbone.layer4.0.conv1.weight": 0.5,
        "backbone.layer3.0.bn1.weight": 0.25,
        "backbone.layer2.0.conv2.weight": 0.125,
        "backbone.layer1.0.conv1.weight": 0.0625,
        "backbone.conv1.0.weight": 0.03125,
        "backbone.bn1.weight": 0.03125,
    }
    assert {name: found[name] / 0.01 for name in expected} == pytest.approx(expected)
    assert found.keys() == dict(learner().network.named_parameters()).keys(), "every weight has its rate"


def test_schedule_keeps_the_proportions_of_the_rates() -> None:
    optimizers = learner(layer_decay=0.5).configure_optimizers()
    optimizer, schedule = optimizers["optimizer"], optimizers["lr_scheduler"]["scheduler"]
    first = [group["lr"] for group in optimizer.param_groups]
    for _ in range(15):
        optimizer.step()
        schedule.step()
    later = [group["lr"] for group in optimizer.param_groups]
    shares = [new / old for new, old in zip(later, first, strict=True)]
    assert shares == pytest.approx([rate_share(15, config=tiny_recipe(warmup_share=0.0).train)] * len(shares))
    assert 0 < shares[0] < 1


def test_biases_and_norms_do_not_decay_at_any_depth() -> None:
    groups = learner(layer_decay=0.7).configure_optimizers()["optimizer"].param_groups
    assert len(groups) == 2 * 6
    for group in groups:
        assert all((value.ndim > 1) == (group["weight_decay"] > 0) for value in group["params"])


def test_factor_of_one_is_one_rate_in_the_two_groups_of_old() -> None:
    groups = learner(layer_decay=1.0).configure_optimizers()["optimizer"].param_groups
    assert [group["lr"] for group in groups] == [0.01, 0.01]


@pytest.mark.parametrize(
    "backbone", ["test_resnet", "test_efficientnet", "test_convnext", "mobilenetv4_conv_small_035"]
)
def test_stages_of_other_backbones_are_known(backbone: str) -> None:
    network = Network(NetworkConfig(backbone=backbone))
    factors = layer_factors(network, decay=0.5)
    assert factors.keys() == dict(network.named_parameters()).keys()
    below = [factor for name, factor in factors.items() if name.startswith("backbone.")]
    assert max(below) == 0.5
    assert len(set(below)) >= 4
    assert min(below) == next(iter(factors.values())), "the first weights are the slowest"


def test_backbone_without_stages_is_refused() -> None:
    network = Network(tiny_recipe().network)
    network.backbone = nn.Conv2d(1, 8, 3)
    with pytest.raises(ConfigError, match="does not tell its stages"):
        layer_factors(network, decay=0.5)
