"""Averages of a network over its training: what validation reads, what is kept, and the key encoder."""

from __future__ import annotations

import torch
from torch import nn


def blend_into(average: nn.Module, *, network: nn.Module, keep: float) -> None:
    """Moves ``average`` towards ``network``: average = keep x average + (1 - keep) x network.

    Running statistics of norm layers are averaged like weights, so that they belong to the averaged weights;
    integer buffers (a norm layer's count of batches) are copied.
    """
    theirs = dict(network.state_dict())
    ours = average.state_dict()
    floats = [name for name, value in ours.items() if value.is_floating_point()]
    torch._foreach_lerp_([ours[name] for name in floats], [theirs[name] for name in floats], 1 - keep)
    for name in ours.keys() - set(floats):
        ours[name].copy_(theirs[name])


def young_share(step: int) -> float:
    """The most that an average may keep at ``step``, so that a young one forgets what it started from."""
    return (1 + step) / (10 + step)
