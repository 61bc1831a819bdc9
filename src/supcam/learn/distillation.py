"""A trained network's answers, learnt beside the labels: distillation (Hinton et al., 2015)."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import functional

from supcam.core.types import TrainingError
from supcam.learn.batches import Batch
from supcam.learn.checkpoints import load_network
from supcam.learn.config import TrainConfig
from supcam.learn.encoder import NetworkOutput

Scalar = Float32[Tensor, ""]


class Teacher:
    """A trained network that answers and never learns; no part of the run's checkpoints.

    Raises ``TrainingError`` for a checkpoint that cannot be used, or that counts further than ``max_count``.
    """

    def __init__(self, checkpoint: Path, *, max_count: int) -> None:
        loaded = load_network(checkpoint)
        if loaded.recipe.network.max_count != max_count:
            raise TrainingError(
                f"a teacher that counts to {loaded.recipe.network.max_count}",
                expected=f"one that counts to {max_count}, as its pupil does",
                remedy="take another teacher, or its max_count in [network]",
                where=checkpoint,
            )
        self._network = loaded.network

    def __call__(self, pictures: Float32[Tensor, "batch 1 height width"]) -> NetworkOutput:
        """What it says about the pictures that its pupil sees, in the pupil's precision."""
        self._network.to(pictures.device)
        with torch.no_grad():
            output: NetworkOutput = self._network(pictures)
        return output


def distillation_loss(
    output: NetworkOutput, *, taught: NetworkOutput, batch: Batch, config: TrainConfig
) -> Scalar:
    """How far the pupil's answers are from the teacher's, over all heads by the labels' own weights.

    For type and count the divergence of the softened answers (logits over ``teacher_temperature``, T) times T
    squared, a mean over chromosomes; for chromosome or not the cross-entropy, a mean over all. In float32.
    """
    softness, are_chromosomes = config.teacher_temperature, batch.chromosomes == 1
    with torch.autocast(output.type_logits.device.type, enabled=False):
        type_loss, count_loss = (
            _divergence(pupil[are_chromosomes], teacher=teacher[are_chromosomes], softness=softness)
            for pupil, teacher in (
                (output.type_logits, taught.type_logits),
                (output.count_logits, taught.count_logits),
            )
        )
        chromosome_loss = functional.binary_cross_entropy_with_logits(
            output.chromosome_logit.float(), taught.chromosome_logit.float().sigmoid()
        )
    return type_loss + config.count_weight * count_loss + config.chromosome_weight * chromosome_loss


def _divergence(
    pupil: Float[Tensor, "batch classes"], *, teacher: Float[Tensor, "batch classes"], softness: float
) -> Scalar:
    """The mean Kullback-Leibler divergence of the softened answers times softness squared, 0 without any."""
    logs = (pupil.float() / softness).log_softmax(dim=1)
    meant = (teacher.float() / softness).log_softmax(dim=1)
    total = functional.kl_div(logs, meant, reduction="sum", log_target=True)
    return softness**2 * total / max(1, len(pupil))
