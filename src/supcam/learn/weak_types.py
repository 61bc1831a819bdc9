"""Types for clusters of known number: what a trained network reads in them, where it is sure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from supcam.core.crop import network_input
from supcam.core.reading import LEAST_COUNTS, N_TYPES
from supcam.core.types import ClusterType, Region
from supcam.data.harvest import Harvest
from supcam.learn.checkpoints import load_network
from supcam.learn.encoder import Network

_BATCH = 64
_SYMMETRIES = tuple((turns, mirrored) for turns in range(4) for mirrored in (False, True))


def with_weak_types(harvest: Harvest, *, checkpoint: Path, least: float) -> Harvest:
    """``harvest`` with a type for each cluster of known number of which the network is ``least`` sure.

    The network of ``checkpoint`` sees every cluster turned and mirrored in all eight ways; the mean of its
    answers, restricted to the types that the known number allows, is its certainty, 0..1. Clusters that it is
    less sure of, and whatever had a type, stay as they are. Lee, 2013 ("pseudo-label"), with the number as a
    fact. Raises ``TrainingError`` for a checkpoint that is none of a classifier.
    """
    asked = [place for place, region in enumerate(harvest.clusters) if _is_asked(region)]
    clusters = list(harvest.clusters)
    loaded = load_network(checkpoint)
    for first in range(0, len(asked), _BATCH):
        places = asked[first : first + _BATCH]
        regions = [clusters[place] for place in places]
        pictures = np.stack([network_input(region, config=loaded.recipe.crop) for region in regions])
        chances = _restricted(_chances(loaded.network, pictures=torch.from_numpy(pictures[:, None])), regions)
        for place, chance in zip(places, chances, strict=True):
            if chance.max() >= least:
                clusters[place] = replace(clusters[place], type=ClusterType(int(chance.argmax())))
    return replace(harvest, clusters=tuple(clusters))


def _is_asked(region: Region) -> bool:
    return region.type is None and (region.n_chromosomes or 0) > 1


@torch.inference_mode()
def _chances(
    network: Network, *, pictures: Float[Tensor, "batch 1 height width"]
) -> Float64[np.ndarray, "batch 4"]:
    """Mean type probabilities over the eight symmetries of a square."""
    answers = [network(seen).type_logits.double().softmax(1) for seen in _turned(pictures)]
    return np.asarray(torch.stack(answers).mean(0).numpy())


def _turned(pictures: Tensor) -> Iterator[Tensor]:
    for turns, mirrored in _SYMMETRIES:
        yield torch.rot90(pictures.flip(3) if mirrored else pictures, turns, (2, 3))


def _restricted(
    chances: Float64[np.ndarray, "batch 4"], regions: Sequence[Region]
) -> Float64[np.ndarray, "batch 4"]:
    """The chances of the types that each region's number allows, adding up to 1 again."""
    counts = np.array([region.n_chromosomes or 0 for region in regions])
    allowed: Bool[np.ndarray, "batch 4"] = np.zeros((len(regions), N_TYPES), bool)
    for kind, least in LEAST_COUNTS.items():
        allowed[:, kind] = counts >= least
    kept = np.where(allowed, chances, 0.0)
    return np.asarray(kept / np.maximum(kept.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny))
