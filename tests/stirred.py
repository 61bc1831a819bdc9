"""Networks whose norm layers are not at rest, as after training."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

_MOVED = ("running_mean", "bn1.bias", "bn2.bias")


def stirred(network: nn.Module, *, seed: int = 0) -> nn.Module:
    """``network``, its norm layers' means and shifts moved a little."""
    rng = np.random.default_rng(seed)
    for name, value in network.state_dict().items():
        if name.endswith(_MOVED):
            value.add_(torch.from_numpy(0.1 * rng.standard_normal(value.shape).astype(np.float32)))
    return network
