"""The networks: a timm backbone with one input channel, and the heads of either step of learning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import timm
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from supcam.core.types import ClusterType, ConfigError
from supcam.learn.config import NetworkConfig, PretrainConfig

_PROBE_PX = 64


class NetworkOutput(NamedTuple):
    """What the network says about each picture: logits, so before softmax and sigmoid.

    ``count_logits[:, k]`` stands for k + 1 chromosomes, the last one for that many or more. ``embedding`` is
    the pooled feature. ``type_map`` is the type's class activation before pooling: its spatial mean plus the
    type head's bias is ``type_logits``.
    """

    type_logits: Float[Tensor, "batch 4"]
    count_logits: Float[Tensor, "batch classes"]
    chromosome_logit: Float[Tensor, "batch 1"]
    embedding: Float[Tensor, "batch dim"]
    type_map: Float[Tensor, "batch 4 map_height map_width"]


class Network(nn.Module):
    """Stain pictures to ``NetworkOutput``; weights drawn from ``seed`` alone.

    Raises ``ConfigError`` for a backbone that timm does not have, that does not take the given channels, or
    that makes no feature map.
    """

    def __init__(self, config: NetworkConfig, *, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.backbone = _backbone(config)
            self.dim = _feature_dim(self.backbone, config=config)
            self.dropout = nn.Dropout(config.drop_rate)
            self.type_head = _head(self.dim, len(ClusterType))
            self.count_head = _head(self.dim, config.max_count)
            self.chromosome_head = _head(self.dim, 1)
        self.to(memory_format=torch.channels_last)

    def forward(self, picture: Float[Tensor, "batch 1 height width"]) -> NetworkOutput:
        """Every output for every picture; pictures are network inputs made by ``core.crop``."""
        features = self.backbone(picture.contiguous(memory_format=torch.channels_last))
        embedding = features.mean(dim=(2, 3))
        kept = self.dropout(embedding)
        return NetworkOutput(
            type_logits=self.type_head(kept),
            count_logits=self.count_head(kept),
            chromosome_logit=self.chromosome_head(kept),
            embedding=embedding,
            type_map=nn.functional.conv2d(features, self.type_head.weight[:, :, None, None]),
        )


class SideBySide(nn.Module):
    """Several backbones that look at the same pictures; their feature maps lie behind each other.

    Linear heads on it are an ensemble: the sum of what each member's part of the heads says.
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(
        self, picture: Float[Tensor, "batch 1 height width"]
    ) -> Float[Tensor, "batch dim map_height map_width"]:
        """The feature maps of all members, the first one's channels first."""
        return torch.cat([member(picture) for member in self.members], dim=1)


class ProjectionHead(nn.Module):
    """Embeddings to points on the unit sphere, float32: linear, batch norm, ReLU, linear, then length 1.

    The head of Chen et al. (2020), used in pre-training and dropped after it. Pooled features of an untrained
    network point nearly the same way. The norm layer takes off what they share: without it, a margin on the
    own key drew all pictures to one point within the first hundred steps.
    """

    def __init__(self, dim: int, *, hidden_dim: int, projection_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dim, hidden_dim, bias=False),
            nn.BatchNorm1d(hidden_dim),
            nn.ReLU(),
            nn.Linear(hidden_dim, projection_dim),
        )

    def forward(self, embedding: Float[Tensor, "batch dim"]) -> Float32[Tensor, "batch projection"]:
        """A unit vector for every embedding."""
        return nn.functional.normalize(self.layers(embedding).float(), dim=1)


class PretrainingNetwork(nn.Module):
    """A backbone, and the head that step 1 looks at it through."""

    def __init__(self, backbone: nn.Module, *, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def embed(self, picture: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch dim"]:
        """The pooled feature of every picture, which is what step 2 reads."""
        features = self.backbone(picture.contiguous(memory_format=torch.channels_last))
        return torch.as_tensor(features.mean(dim=(2, 3)))

    def forward(self, picture: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch classes"]:
        """What the head makes of every picture: a unit vector, or the logits of its type."""
        return torch.as_tensor(self.head(self.embed(picture)))


def pretraining_network(config: NetworkConfig, *, pretrain: PretrainConfig) -> PretrainingNetwork:
    """The backbone that ``Network`` would have, drawn from the same seed, with the head of step 1.

    The head projects; for cross-entropy it names types. Raises ``ConfigError`` as ``Network`` does.
    """
    network = Network(config, seed=pretrain.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(pretrain.seed)
        head = ProjectionHead(
            network.dim, hidden_dim=pretrain.hidden_dim, projection_dim=pretrain.projection_dim
        )
    named = pretrain.method == "cross_entropy"
    return PretrainingNetwork(network.backbone, head=network.type_head if named else head)


def _backbone(config: NetworkConfig) -> nn.Module:
    """The timm model, or several of them side by side."""
    if config.members == 1:
        return _timm_model(config)
    return SideBySide(_timm_model(config) for _ in range(config.members))


def _timm_model(config: NetworkConfig) -> nn.Module:
    """The timm model without its classifier and pooling."""
    widths: dict[str, Any] = {"channels": config.channels} if config.channels else {}
    if config.stem_width is not None:
        widths["stem_width"] = config.stem_width
    try:
        model = timm.create_model(
            config.backbone, pretrained=False, in_chans=1, num_classes=0, global_pool="", **widths
        )
    except (RuntimeError, TypeError) as error:
        raise ConfigError(
            f"backbone {config.backbone!r} with channels {config.channels}: {error}",
            expected="a timm model; channels and stem_width only for its ResNets",
            remedy="correct the [network] table",
        ) from error
    if config.stem_width is not None and not _begins_with(model, channels=2 * config.stem_width):
        raise ConfigError(
            f"stem_width {config.stem_width}, of which {config.backbone!r} takes no notice",
            expected="a ResNet that begins with several layers, such as resnet10t or resnet18d",
            remedy="take another backbone, or stem_width out of the [network] table",
        )
    return model


def _begins_with(model: nn.Module, *, channels: int) -> bool:
    """Whether that is what a timm model says of its first features."""
    said: Any = getattr(model, "feature_info", None)
    return bool(said) and said[0]["num_chs"] == channels


def _feature_dim(backbone: nn.Module, *, config: NetworkConfig) -> int:
    """Channels of the backbone's feature map, found by running it on an empty picture."""
    backbone.eval()
    try:
        with torch.no_grad():
            features = backbone(torch.zeros(1, 1, _PROBE_PX, _PROBE_PX))
    except (AssertionError, AttributeError, RuntimeError) as error:
        raise _no_map(config, found=str(error)) from error
    backbone.train()
    if features.ndim != 4 or features.shape[2] != features.shape[3]:
        raise _no_map(config, found=f"an output of shape {tuple(features.shape)}")
    return int(features.shape[1])


def _no_map(config: NetworkConfig, *, found: str) -> ConfigError:
    return ConfigError(
        f"backbone {config.backbone!r} with channels {config.channels} that makes no feature map ({found})",
        expected="a convolutional timm model that takes pictures of any size; a width for each stage",
        remedy="correct the [network] table",
    )


def _head(dim: int, classes: int) -> nn.Linear:
    """A linear layer that starts near zero, so that the first predictions are even."""
    head = nn.Linear(dim, classes)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.zeros_(head.bias)
    return head
