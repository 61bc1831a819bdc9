"""Grad-CAM of a checkpoint, by captum: what the torch-free explanation is compared with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from captum.attr import LayerAttribution, LayerGradCam
from jaxtyping import Float32
from torch import Tensor, nn

from supcam.core.types import ClusterType, TrainingError
from supcam.learn.checkpoints import load_network
from supcam.learn.encoder import Network, SideBySide

Pictures = Float32[np.ndarray, "batch 1 size size"]
Heats = Float32[np.ndarray, "batch size size"]


class _Margin(nn.Module):
    """The logit of each type over that of a single chromosome; a single one's over the best other."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Float32[Tensor, "batch 1 size size"]) -> Float32[Tensor, "batch 4"]:
        logits = self.network(pictures).type_logits
        single, clusters = logits[:, :1], logits[:, 1:]
        return torch.cat([single - clusters.amax(1, keepdim=True), clusters - single], 1)


def grad_cam(
    checkpoint: Path, *, pictures: Pictures, types: list[ClusterType], layer: str = "layer3"
) -> Heats:
    """What spoke for each picture's type, by Grad-CAM (Selvaraju et al., 2017), above 0 where it did.

    ``layer`` names a stage of the backbone. Raises ``TrainingError`` for a stage that it does not have, or a
    checkpoint without a classifier.
    """
    network = load_network(checkpoint).network.requires_grad_(True)
    if isinstance(network.backbone, SideBySide):
        raise TrainingError(
            f"{len(network.backbone.members)} backbones side by side",
            expected="one backbone, whose stages have names",
            remedy="look through each of the checkpoints that were joined",
            where=checkpoint,
        )
    stages = dict(network.backbone.named_children())
    if layer not in stages:
        raise TrainingError(
            f"no stage {layer!r}",
            expected=f"one of {', '.join(stages)}",
            remedy="name a stage of the backbone",
            where=checkpoint,
        )
    method = LayerGradCam(_Margin(network), stages[layer])
    heat = method.attribute(torch.from_numpy(pictures), target=torch.tensor([int(kind) for kind in types]))
    size = (pictures.shape[2], pictures.shape[3])
    return np.asarray(LayerAttribution.interpolate(heat, size, "bilinear")[:, 0].detach().numpy())
