"""Mixup and CutMix: pictures of a batch mixed in pairs, as rivals of composition; torchvision mixes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torchvision.transforms import v2

from supcam.learn.batches import Batch
from supcam.learn.classification import LossTerms
from supcam.learn.config import TrainConfig

_MIXERS = {"mixup": v2.MixUp, "cutmix": v2.CutMix}


class Mixed(NamedTuple):
    """Mixed pictures: picture i is ``share`` of its own and for the rest of picture ``partners[i]``."""

    pictures: Float32[Tensor, "batch 1 height width"]
    partners: Int64[Tensor, " batch"]
    share: Float32[Tensor, ""]


def mixed(batch: Batch, *, config: TrainConfig) -> Mixed | None:
    """The batch's pictures mixed as ``picture_mixing`` says, by torch's own generator; None for ``none``.

    Mixup (Zhang et al., 2018) takes weighted means of two pictures, CutMix (Yun et al., 2019) pastes a
    rectangle of one into the other; the share is drawn once for the batch from Beta(alpha, alpha). Who was
    mixed with whom is read from the mixed labels, each picture having its own place for a label.
    """
    n = len(batch.types)
    if config.picture_mixing == "none" or n < 2:
        return None
    mix = _MIXERS[config.picture_mixing](alpha=config.mixing_alpha, num_classes=n)
    pictures, shares = mix(batch.pictures, torch.arange(n, device=batch.pictures.device))
    own = shares.diagonal().mean()
    partners = shares.masked_fill(torch.eye(n, dtype=torch.bool, device=shares.device), -1.0).argmax(dim=1)
    return Mixed(pictures=pictures, partners=partners, share=own.float())


def partners_of(batch: Batch, *, partners: Int64[Tensor, " batch"]) -> Batch:
    """The batch in the order of ``partners``."""
    return batch._replace(
        pictures=batch.pictures[partners],
        types=batch.types[partners],
        counts=batch.counts[partners],
        chromosomes=batch.chromosomes[partners],
    )


def weighed(own: LossTerms, *, partners: LossTerms, share: Float32[Tensor, ""]) -> LossTerms:
    """The loss of mixed pictures: ``share`` of that by their own labels, the rest by their partners'."""
    return LossTerms(
        **{
            name: share * getattr(own, name) + (1 - share) * getattr(partners, name)
            for name in ("total", "type", "count", "weak", "chromosome")
        }
    )
