"""The classifier's loss: cross-entropy on type, count and chromosome or not, and what a number implies."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor
from torch.nn import functional

from supcam.core.types import ClusterType
from supcam.learn.batches import UNKNOWN, Batch
from supcam.learn.config import TrainConfig
from supcam.learn.encoder import NetworkOutput

Scalar = Float32[Tensor, ""]


@dataclass(frozen=True, slots=True, eq=False)
class LossTerms:
    """The loss and what it is made of, each a mean over the pictures whose label is known (0 without any).

    ``teacher`` is the distance to a teacher's answers, where there is one.
    """

    total: Scalar
    type: Scalar
    count: Scalar
    weak: Scalar
    chromosome: Scalar
    teacher: Scalar | None = None


def classification_loss(output: NetworkOutput, *, batch: Batch, config: TrainConfig) -> LossTerms:
    """Type's cross-entropy, and count's, ``weak_loss`` and chromosome's, each by its weight, in float32.

    A label of -1 is left out. k chromosomes are count class min(k, classes) - 1.
    """
    classes = output.count_logits.shape[1]
    count = torch.where(batch.counts < 1, UNKNOWN, batch.counts.clamp(max=classes) - 1)
    with torch.autocast(output.type_logits.device.type, enabled=False):
        type_loss = type_cross_entropy(
            output.type_logits, types=batch.types, smoothing=config.label_smoothing
        )
        count_loss = _cross_entropy(output.count_logits, target=count)
        chromosome_loss = functional.binary_cross_entropy_with_logits(
            output.chromosome_logit[:, 0].float(), batch.chromosomes.float()
        )
        total = type_loss + config.count_weight * count_loss + config.chromosome_weight * chromosome_loss
        weak = weak_loss(output.type_logits, types=batch.types, counts=batch.counts)
        if config.weak_weight > 0:
            total = total + config.weak_weight * weak
    return LossTerms(total=total, type=type_loss, count=count_loss, weak=weak, chromosome=chromosome_loss)


def weak_loss(
    type_logits: Float[Tensor, "batch 4"], *, types: Int64[Tensor, " batch"], counts: Int64[Tensor, " batch"]
) -> Scalar:
    """Mean of -log of the probability of all types that the number allows, where the type is unknown.

    One chromosome is an instance; two or more are any of the other three types. In float32; 0 without a
    picture of known number and unknown type.
    """
    weak = (types == UNKNOWN) & (counts >= 1)
    single = torch.arange(len(ClusterType), device=types.device) == ClusterType.INSTANCE
    allowed: Bool[Tensor, "batch 4"] = single == (counts == 1)[:, None]
    log_shares = type_logits.float().log_softmax(dim=1)
    losses = -log_shares.masked_fill(~allowed, -torch.inf).logsumexp(dim=1)
    return losses.where(weak, 0).sum() / weak.sum().clamp(min=1)


def type_cross_entropy(
    logits: Float[Tensor, "batch 4"], *, types: Int64[Tensor, " batch"], smoothing: float = 0.0
) -> Scalar:
    """Mean of the type's cross-entropy over the pictures of known type, 0 without any."""
    return _cross_entropy(logits, target=types, smoothing=smoothing)


def _cross_entropy(
    logits: Float[Tensor, "batch classes"], *, target: Int64[Tensor, " batch"], smoothing: float = 0.0
) -> Scalar:
    """Mean over the known targets, 0 when none is known."""
    total = functional.cross_entropy(
        logits.float(), target, ignore_index=UNKNOWN, label_smoothing=smoothing, reduction="sum"
    )
    return total / (target != UNKNOWN).sum().clamp(min=1)
