"""Bundle -> trainable network: the way back from what was shipped, proven on the bundle's own probe.

The exporter folds every norm layer into the convolution before it: what the bundle holds is a kernel and a
bias. For use that is the same network; for learning it is not, because a norm layer in training mode divides
by the deviation of its batch. So the norm layers are put back with the means and variances that their inputs
have on reference pictures, and with the scale and shift that undo them: the network says what the bundle
says, and goes on learning as if it had never been folded. The choice of pictures changes no output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from jaxtyping import Float
from onnx import numpy_helper
from torch import Tensor, nn

from supcam.core.config import parse_config
from supcam.core.types import BundleError
from supcam.learn.checkpoints import FINETUNE, FORMAT_VERSION, OWN_KEY, STEP, write_atomically
from supcam.learn.config import NetworkConfig
from supcam.learn.encoder import Network
from supcam.learn.recipe import Recipe
from supcam.pack.card import Card
from supcam.pack.comparison import EXACT, TOLERANCES
from supcam.pack.export import run_torch
from supcam.pack.folder import OUTPUT_NAMES, BundleFiles, read_folder
from supcam.pack.quantize import dequantized
from supcam.pack.session import Pictures, relative_difference

_HALF = ".half"
_FOLDED = ".weight_bias"
_LEAST_VARIANCE = 1e-6
_BATCH = 64
_NORMS = (nn.BatchNorm2d,)
_Weights = dict[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Restored:
    """A network that says what its bundle says, what it was made with, and how far it is from the bundle.

    ``recipe`` holds network, crop and foreground, and nothing of the training. ``difference`` is the largest
    one of any output on the probe, as a share of 1 + the output's largest value.
    """

    network: Network
    recipe: Recipe
    files: BundleFiles
    difference: float


def restore(bundle: Path, *, pictures: Pictures | None = None) -> Restored:
    """The network of the bundle in the folder ``bundle``, ready to learn.

    ``pictures`` are network inputs to take the norm layers' statistics from; the probe's, by default, are
    few: give what the network is going to learn from. Raises ``BundleError`` for a bundle that cannot be
    used, whose card does not say what network it is, or whose weights do not make that network.
    """
    files = read_folder(bundle)
    recipe = recipe_of(files.card, where=bundle)
    network = Network(recipe.network).eval().requires_grad_(False)
    before = _norms_by_convolution(network, size_px=recipe.crop.size_px)
    folded = _load(network, stored=_stored(files), before=before, where=bundle)
    shown = files.probe.picture if pictures is None else pictures
    _unfold(network, before=before, folded=folded, pictures=shown)
    difference = _require_same(network, files=files)
    return Restored(network, recipe=recipe, files=files, difference=difference)


def write_checkpoint(restored: Restored, *, path: Path) -> Path:
    """``path``, now a checkpoint that a run of step 2 can start from; one that is there is left as it is.

    The same bundle and pictures make the same one, so that an interrupted run finds the start that it had.
    """
    if path.exists():
        return path
    own = {
        "format_version": FORMAT_VERSION,
        STEP: FINETUNE,
        "recipe": restored.recipe.model_dump(mode="json"),
        "data_hash": f"bundle {restored.files.card.seal}",
        "init_sha256": None,
    }
    state = {f"average.{name}": value for name, value in restored.network.state_dict().items()}
    write_atomically({OWN_KEY: own, "state_dict": state, "global_step": 0}, path=path)
    return path


def recipe_of(card: Card, *, where: Path) -> Recipe:
    """A recipe with the network of ``card`` and what it sees. Raises ``BundleError`` when it does not say."""
    if not card.network:
        raise _not_restorable("a card that does not say what network it is", where=where)
    network = parse_config(NetworkConfig, card.network, where=where)
    return Recipe(network=network, crop=card.crop, foreground=card.foreground)


def _stored(files: BundleFiles) -> _Weights:
    """All weights in the ONNX file by their names in ``Network``, in float32."""
    model = onnx.load_from_string(files.model)
    arrays = {item.name.removesuffix(_HALF): numpy_helper.to_array(item) for item in model.graph.initializer}
    arrays |= dequantized(model)
    return {
        name: torch.from_numpy(array.astype(np.float32))
        for name, array in arrays.items()
        if array.dtype in (np.float16, np.float32)
    }


def _norms_by_convolution(network: Network, *, size_px: int) -> dict[str, str]:
    """The name of the norm layer that follows each convolution, found by running an empty picture."""
    made_by: dict[int, str] = {}
    followed: dict[str, str] = {}
    kept: list[Tensor] = []  # a tensor that is kept is the only one at its place

    def note(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _given: tuple[Tensor, ...], made: Tensor) -> None:
            kept.append(made)
            made_by[id(made)] = name

        return hook

    def follow(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
            if id(given[0]) in made_by:
                followed[made_by[id(given[0])]] = name

        return hook

    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(note(name)))
        elif isinstance(module, _NORMS):
            hooks.append(module.register_forward_pre_hook(follow(name)))
    with torch.no_grad():
        network(torch.zeros(1, 1, size_px, size_px))
    for each in hooks:
        each.remove()
    return followed


def _load(network: Network, *, stored: _Weights, before: Mapping[str, str], where: Path) -> dict[str, Tensor]:
    """The biases of folded norm layers by convolution; all else is in ``network`` now."""
    own = network.state_dict()
    folded = {conv: stored[f"{conv}{_FOLDED}"] for conv in before if f"{conv}{_FOLDED}" in stored}
    gone = {f"{before[conv]}." for conv in folded}
    wanted = [
        name for name in own if not name.endswith("num_batches_tracked") and not name.startswith(tuple(gone))
    ]
    zeros = {name: torch.zeros_like(own[name]) for name in wanted if name.endswith(".bias")}
    stored = zeros | stored  # the exporter leaves a bias of zeros away; the probe tells if it was none
    missing = [name for name in wanted if name not in stored or stored[name].shape != own[name].shape]
    if missing:
        raise _not_restorable(f"no fitting weights for {', '.join(missing[:3])}", where=where)
    network.load_state_dict({name: stored[name] for name in wanted}, strict=False)
    return folded


def _unfold(
    network: Network,
    *,
    before: Mapping[str, str],
    folded: Mapping[str, Tensor],
    pictures: Float[np.ndarray, "batch 1 size size"],
) -> None:
    """Norm layers with the statistics of their inputs on ``pictures``, and what undoes them."""
    modules = dict(network.named_modules())
    norms = {before[conv]: bias for conv, bias in folded.items()}
    for name, bias in norms.items():  # the identity, plus the folded bias
        _set(modules[name], mean=torch.zeros_like(bias), variance=torch.ones_like(bias), bias=bias)
    moments = _moments(network, names=[*norms], pictures=pictures)
    for name, bias in norms.items():
        mean, variance = moments[name]
        _set(modules[name], mean=mean, variance=variance.clamp(min=_LEAST_VARIANCE), bias=bias)


def _set(norm: nn.Module, *, mean: Tensor, variance: Tensor, bias: Tensor) -> None:
    assert isinstance(norm, _NORMS)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(bias + mean)


def _moments(
    network: Network, *, names: list[str], pictures: Float[np.ndarray, "batch 1 size size"]
) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and variance of each channel that goes into the norm layers ``names``, over all pictures."""
    sums: dict[str, list[Tensor]] = {name: [] for name in names}

    def add(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
            seen = given[0].double()
            n = torch.full_like(seen[0, :, 0, 0], seen[:, 0].numel())
            sums[name].append(torch.stack([n, seen.sum((0, 2, 3)), seen.square().sum((0, 2, 3))]))

        return hook

    modules = dict(network.named_modules())
    hooks = [modules[name].register_forward_pre_hook(add(name)) for name in names]
    with torch.no_grad():
        for at in range(0, len(pictures), _BATCH):
            network(torch.from_numpy(pictures[at : at + _BATCH]))
    for each in hooks:
        each.remove()
    totals = {name: torch.stack(parts).sum(0) for name, parts in sums.items()}
    return {
        name: ((s / n).float(), (squares / n - (s / n).square()).float())
        for name, (n, s, squares) in totals.items()
    }


def _require_same(network: Network, *, files: BundleFiles) -> float:
    """The largest difference on the probe. Raises ``BundleError`` when it is not the bundle's network.

    A bundle that computes in integers rounds on the way; its weights are exact.
    """
    most = TOLERANCES["int8"].output if files.card.weights == "int8" else EXACT.output
    said = run_torch(network, pictures=files.probe.picture)
    expected = files.probe.expected
    largest = max(
        relative_difference(getattr(said, name), expected=getattr(expected, name)) for name in OUTPUT_NAMES
    )
    if not largest <= most:
        raise _not_restorable(f"outputs {largest:.2g} away from the bundle's own", where=files.folder)
    return largest


def _not_restorable(found: str, *, where: Path) -> BundleError:
    return BundleError(
        found,
        expected="a bundle that supcam export made of a convolutional network",
        remedy="start from the checkpoint that it was exported from",
        where=where,
    )
