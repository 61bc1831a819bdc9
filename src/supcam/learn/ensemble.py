"""Several trained networks -> one: an ensemble (the mean of their logits), or the mean of their weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from supcam.core.types import TrainingError
from supcam.learn.checkpoints import (
    FINETUNE,
    FORMAT_VERSION,
    OWN_KEY,
    PARTS,
    STEP,
    LoadedNetwork,
    load_network,
    mean_of,
    write_atomically,
)
from supcam.learn.config import NetworkConfig
from supcam.learn.encoder import Network, SideBySide
from supcam.learn.recipe import Recipe

_HEADS = ("type_head", "count_head", "chromosome_head")


def joined(parts: Sequence[LoadedNetwork]) -> Network:
    """The network whose every logit is the mean of what all ``parts`` say, their members counted alike.

    Its embedding holds those of the parts behind each other. Raises ``TrainingError`` for fewer than two
    parts, and for parts of another kind of network or that see another input than the first.
    """
    _require_alike(parts)
    first = parts[0].recipe.network
    members = [part.recipe.network.members for part in parts]
    network = Network(first.model_copy(update={"members": sum(members)}))
    shares = [n / sum(members) for n in members]
    weights = _backbones(parts) | _heads([part.network for part in parts], shares=shares)
    network.load_state_dict(weights)
    return network.eval().requires_grad_(False)


def write_joined(parts: Sequence[LoadedNetwork], *, path: Path) -> Path:
    """``path``, now a checkpoint of ``joined``: to be exported, or to be trained on.

    Its recipe is that of the first part; the recipes of all of them lie beside it. Raises ``TrainingError``
    as ``joined`` does, and when there is something at ``path``.
    """
    network = joined(parts)
    recipe = parts[0].recipe
    config = recipe.network.model_copy(update={"members": _members(network.backbone)})
    recipe = recipe.model_copy(update={"network": config})
    return _written(network, recipe=recipe, parts=parts, path=path)


def write_mean(checkpoints: Sequence[Path], *, path: Path) -> Path:
    """``path``, now a checkpoint whose weights are the mean of those of ``checkpoints`` (``load_mean``).

    One that is named three times counts three times as much.
    Raises ``TrainingError`` as ``load_mean`` does, and when there is something at ``path``.
    """
    parts = [load_network(checkpoint) for checkpoint in checkpoints]
    mean = mean_of(parts, paths=checkpoints)
    return _written(mean.network, recipe=mean.recipe, parts=parts, path=path)


def _written(network: Network, *, recipe: Recipe, parts: Sequence[LoadedNetwork], path: Path) -> Path:
    """``path``, now a checkpoint of ``network``, which was made of ``parts``."""
    if path.exists():
        raise TrainingError(
            "a file that exists", expected="a new path", remedy="choose another name", where=path
        )
    own = {
        "format_version": FORMAT_VERSION,
        STEP: FINETUNE,
        "recipe": recipe.model_dump(mode="json"),
        "data_hash": " ".join(part.data_hash for part in parts),
        "init_sha256": None,
        PARTS: [_told(part) for part in parts],
    }
    state = {f"average.{name}": value for name, value in network.state_dict().items()}
    step = max(part.step for part in parts)
    write_atomically({OWN_KEY: own, "state_dict": state, "global_step": step}, path=path)
    return path


def _members(backbone: torch.nn.Module) -> int:
    return len(backbone.members) if isinstance(backbone, SideBySide) else 1


def _told(part: LoadedNetwork) -> dict[str, object]:
    recipe: dict[str, object] = part.recipe.model_dump(mode="json", exclude={"crop", "foreground"})
    told: dict[str, object] = {"recipe": recipe, "data_hash": part.data_hash, "steps": part.step}
    return told | ({PARTS: [*part.parts]} if part.parts else {})


def _backbones(parts: Sequence[LoadedNetwork]) -> dict[str, Tensor]:
    """The weights of all members by their names in the joined network."""
    single = [member for part in parts for member in _each(part.network.backbone)]
    return {
        f"backbone.members.{place}.{name}": value
        for place, member in enumerate(single)
        for name, value in member.state_dict().items()
    }


def _each(backbone: torch.nn.Module) -> list[torch.nn.Module]:
    return [*backbone.members] if isinstance(backbone, SideBySide) else [backbone]


def _heads(networks: Sequence[Network], *, shares: Sequence[float]) -> dict[str, Tensor]:
    """Heads that give the weighted sum of the networks' logits."""
    weights: dict[str, Tensor] = {}
    for head in _HEADS:
        layers = [getattr(network, head) for network in networks]
        scaled = [layer.weight * share for layer, share in zip(layers, shares, strict=True)]
        weights[f"{head}.weight"] = torch.cat(scaled, dim=1)
        biases = [layer.bias * share for layer, share in zip(layers, shares, strict=True)]
        weights[f"{head}.bias"] = torch.stack(biases).sum(0)
    return weights


def _require_alike(parts: Sequence[LoadedNetwork]) -> None:
    if len(parts) < 2:
        raise TrainingError(
            f"{len(parts)} network to join", expected="two or more", remedy="name further checkpoints"
        )
    wanted = _kind(parts[0].recipe)
    for place, part in enumerate(parts[1:], start=2):
        if _kind(part.recipe) != wanted:
            raise TrainingError(
                f"network {place}, which differs from the first in [network], [crop] or [foreground]",
                expected="networks of one kind that see the same input",
                remedy="join networks whose recipes differ in nothing but training and data",
            )


def _kind(recipe: Recipe) -> tuple[NetworkConfig, object, object]:
    return recipe.network.model_copy(update={"members": 1}), recipe.crop, recipe.foreground
