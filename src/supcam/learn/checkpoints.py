"""Checkpoints that are whole or not there, and that hold tensors and plain values only."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from lightning.fabric.plugins import CheckpointIO
from torch import Tensor, nn
from typing_extensions import override

from supcam.core.config import parse_config
from supcam.core.disk import sync_folder
from supcam.core.types import TrainingError
from supcam.learn.encoder import Network, PretrainingNetwork
from supcam.learn.recipe import Recipe

OWN_KEY = "supcam"
"""Where a checkpoint keeps its recipe, its data hash and its format version."""
FORMAT_VERSION = 1
STEP = "step"
"""Under our own key: which step of learning a checkpoint is of. Where it is missing, of the classifier's."""
PARTS = "parts"
"""Under our own key: the recipes of the networks that a joined one is made of."""
PRETRAIN = "pretrain"
FINETUNE = "finetune"
_AVERAGE = "average."
_BACKBONE = "backbone."

State = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class LoadedNetwork:
    """A trained network in eval mode with its averaged weights, and how it came about.

    ``parts`` tells of the networks that a joined one is made of (``learn/ensemble.py``).
    """

    network: Network
    recipe: Recipe
    data_hash: str
    step: int
    averaged_with: tuple[Recipe, ...] = ()
    parts: tuple[Any, ...] = ()


class AtomicCheckpointIO(CheckpointIO):
    """Writes beside the target, syncs, renames: killed at any moment, there is the old file or the new."""

    @override
    def save_checkpoint(
        self,
        checkpoint: State,
        path: str | os.PathLike[str],
        storage_options: Any = None,
    ) -> None:
        """The file at ``path``, replaced. Raises ``TrainingError`` unless all is tensors and JSON-able."""
        require_plain(checkpoint)
        write_atomically(checkpoint, path=Path(path))

    @override
    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Any = "cpu",
        weights_only: bool | None = True,
    ) -> State:
        """What the file holds; never runs code from it."""
        return cast(State, torch.load(path, map_location=map_location, weights_only=True))

    @override
    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Nothing is left at ``path``."""
        Path(path).unlink(missing_ok=True)


def write_atomically(checkpoint: State, *, path: Path) -> None:
    """``checkpoint`` at ``path``, on the disk before the old file goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    with unfinished.open("wb") as stream:
        torch.save(checkpoint, stream)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(path)
    sync_folder(path.parent)


def require_plain(value: object, *, where: str = "checkpoint") -> None:
    """Nothing, when ``value`` is made of tensors and JSON-able values. Else raises ``TrainingError``."""
    if value is None or type(value) in (bool, int, float, str) or isinstance(value, Tensor):
        return
    if isinstance(value, dict):
        for key, item in value.items():
            require_plain(key, where=f"{where} key")
            require_plain(item, where=f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            require_plain(item, where=f"{where}[{index}]")
    else:
        raise TrainingError(
            f"a {type(value).__name__}",
            expected="tensors and JSON-able values only",
            remedy="keep it out of the checkpoint",
            where=where,
        )


def read_checkpoint(path: Path) -> State:
    """The checkpoint of a run. Raises ``TrainingError`` when it is missing, damaged or not one of ours."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises nearly anything for a damaged file
        raise _unusable(path, found=f"{type(error).__name__}: {error}") from error
    own = checkpoint.get(OWN_KEY) if isinstance(checkpoint, dict) else None
    if not isinstance(own, dict) or own.get("format_version") != FORMAT_VERSION:
        raise _unusable(path, found="a file without our recipe of a known version")
    return cast(State, checkpoint)


def _unusable(path: Path, *, found: str) -> TrainingError:
    return TrainingError(
        found, expected="a checkpoint written by supcam train", remedy="check the path", where=path
    )


def averaged_weights(checkpoint: State) -> dict[str, Tensor]:
    """The averaged weights and buffers of a checkpoint, named as in ``Network``."""
    state: dict[str, Tensor] = checkpoint["state_dict"]
    return {name.removeprefix(_AVERAGE): value for name, value in state.items() if name.startswith(_AVERAGE)}


def is_pretrained(checkpoint: State) -> bool:
    """Whether a checkpoint is of step 1: a backbone, and no classifier yet."""
    return bool(checkpoint[OWN_KEY].get(STEP) == PRETRAIN)


def load_averaged(network: nn.Module, *, path: Path) -> None:
    """``network`` with the averaged weights of a checkpoint, or from one step to the other with its backbone.

    Heads that belong to the other step are dropped, and those of ``network`` stay as they are. Raises
    ``TrainingError`` when the weights do not fit.
    """
    checkpoint = read_checkpoint(path)
    weights, own = averaged_weights(checkpoint), network.state_dict()
    if is_pretrained(checkpoint) != isinstance(network, PretrainingNetwork):
        taken = {name: value for name, value in weights.items() if name.startswith(_BACKBONE)}
        weights = taken | {name: value for name, value in own.items() if not name.startswith(_BACKBONE)}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise TrainingError(
            str(error),
            expected="weights of the same network",
            remedy="compare the [network] tables",
            where=path,
        ) from error


def load_network(path: Path) -> LoadedNetwork:
    """The network of a checkpoint, ready to use.

    Raises ``TrainingError``, also for a checkpoint of step 1, which has no classifier, or ``ConfigError``.
    """
    checkpoint = read_checkpoint(path)
    if is_pretrained(checkpoint):
        raise TrainingError(
            "a pre-trained backbone without a classifier",
            expected="a checkpoint of supcam train or supcam finetune",
            remedy="make one of it: supcam finetune RECIPE --from this checkpoint",
            where=path,
        )
    own = checkpoint[OWN_KEY]
    recipe = parse_config(Recipe, own["recipe"], where=path)
    network = Network(recipe.network, seed=recipe.train.seed)
    network.load_state_dict(averaged_weights(checkpoint))
    network.eval().requires_grad_(False)
    return LoadedNetwork(
        network=network,
        recipe=recipe,
        data_hash=own["data_hash"],
        step=checkpoint["global_step"],
        parts=tuple(own.get(PARTS, ())),
    )


def load_mean(paths: Sequence[Path]) -> LoadedNetwork:
    """The network whose weights are the mean over several checkpoints, ready to use.

    Runs that began with the same weights may be averaged (Wortsman et al., 2022, "model soups"): the mean is
    one network, as fast as any of them. Recipe and hash are those of the first; ``averaged_with`` holds the
    recipes of the others. Raises ``TrainingError`` when the networks or their inputs differ.
    """
    return mean_of([load_network(path) for path in paths], paths=paths)


def mean_of(networks: Sequence[LoadedNetwork], *, paths: Sequence[Path]) -> LoadedNetwork:
    """The same of networks that were loaded from ``paths``; the first one holds the mean now."""
    first, *others = networks
    for path, other in zip(paths[1:], others, strict=True):
        _require_same_input(first.recipe, other.recipe, where=path)
    states = [one.network.state_dict() for one in (first, *others)]
    mean = {
        name: torch.stack([state[name] for state in states]).mean(dim=0)
        if value.is_floating_point()
        else value
        for name, value in states[0].items()
    }
    first.network.load_state_dict(mean)
    return replace(first, averaged_with=tuple(other.recipe for other in others))


def _require_same_input(one: Recipe, other: Recipe, *, where: Path) -> None:
    for name in ("network", "crop", "foreground"):
        if getattr(one, name) != getattr(other, name):
            raise TrainingError(
                f"another [{name}] than in the first checkpoint",
                expected="networks of one kind that see the same input",
                remedy="average runs of recipes that differ in nothing but training and data",
                where=where,
            )
