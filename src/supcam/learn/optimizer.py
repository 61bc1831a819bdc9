"""How fast the weights move: the schedule over a run, the optimizer's groups, rates by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from timm.models import group_parameters
from torch import nn

from supcam.core.types import ConfigError
from supcam.learn.config import ScheduleConfig
from supcam.learn.encoder import Network, SideBySide

Groups = list[dict[str, Any]]


def rate_share(step: int, *, config: ScheduleConfig) -> float:
    """Share of the learning rate at ``step``: a linear rise, then a cosine down to ``final_rate_share``."""
    warmup = round(config.warmup_share * config.total_steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, config.total_steps - warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return config.final_rate_share + (1 - config.final_rate_share) * cosine


def adamw(groups: Groups, *, config: ScheduleConfig) -> Any:  # noqa: ANN401 (as Lightning wants it)
    """AdamW on ``groups`` with the rate of ``rate_share``, set anew before every step.

    A group's ``lr``, where it has one, takes the place of the configured rate.
    """
    optimizer = torch.optim.AdamW(groups, lr=config.highest_rate, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_share(step, config=config))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def parameter_groups(network: nn.Module, *, weight_decay: float) -> Groups:
    """The optimizer's groups: matrices and kernels decay; biases and the scales of norm layers do not."""
    return _decaying_and_free([*network.parameters()], weight_decay=weight_decay)


def groups_by_layer(
    network: nn.Module, *, factors: Mapping[str, float], rate: float, weight_decay: float
) -> Groups:
    """The same two groups for every factor on the rate, from the slowest weights to the fastest.

    ``factors`` names every parameter, as ``layer_factors`` does.
    """
    groups = []
    for factor in sorted(set(factors.values())):
        chosen = [value for name, value in network.named_parameters() if factors[name] == factor]
        pair = _decaying_and_free(chosen, weight_decay=weight_decay)
        groups += [{**group, "lr": rate * factor} for group in pair if group["params"]]
    return groups


def _decaying_and_free(parameters: list[nn.Parameter], *, weight_decay: float) -> Groups:
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def layer_factors(network: Network, *, decay: float) -> dict[str, float]:
    """The factor on the learning rate for each parameter: 1 for the heads, less the further below them.

    The backbone's last stage gets ``decay``, the one before it ``decay`` squared, down to the stem. Stages
    are timm's coarse groups of layers. Raises ``ConfigError`` for a model that has none.
    """
    depths = _stage_depths(network.backbone)
    above = max(depths.values()) + 1
    factors = {name: 1.0 for name, _ in network.named_parameters()}
    return factors | {f"backbone.{name}": decay ** (above - depth) for name, depth in depths.items()}


def _stage_depths(backbone: nn.Module) -> dict[str, int]:
    """The number of the stage that each parameter of the backbone is in, counted from the stem."""
    if isinstance(backbone, SideBySide):
        return {
            f"members.{place}.{name}": depth
            for place, member in enumerate(backbone.members)
            for name, depth in _stage_depths(member).items()
        }
    matcher = getattr(backbone, "group_matcher", None)
    if matcher is None:
        raise ConfigError(
            "a backbone that does not tell its stages",
            expected="a timm model with groups of layers",
            remedy="set layer_decay to 1, or take another backbone",
        )
    return dict(group_parameters(backbone, matcher(coarse=True), reverse=True))
