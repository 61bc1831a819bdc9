"""What either learner does in every step: randomness of its own, a finite loss, a short gradient."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from supcam.core.types import TrainingError

Scalar = Float32[Tensor, ""]


def begin_step(drawn_for: int, *, step: int, seed: int) -> None:
    """The step's own randomness, so that a resumed run draws it again.

    Raises ``TrainingError`` when the batch was drawn for another step.
    """
    if drawn_for != step:
        raise TrainingError(
            f"the batch of step {drawn_for} in step {step}",
            expected="every batch in its own step",
            remedy="report this: the resumed run would not be the uninterrupted one",
        )
    words = np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)
    torch.manual_seed(int(words[0] >> np.uint64(1)))


def require_finite(loss: Scalar, *, step: int) -> None:
    """Nothing, when the loss is a number. Raises ``TrainingError``."""
    if not torch.isfinite(loss):
        raise TrainingError(
            f"a loss of {loss.item()} in step {step}",
            expected="a finite loss",
            remedy="lower learning_rate, or look for pictures that are not finite",
        )


def shorten_gradient(network: nn.Module, *, longest: float) -> Scalar:
    """The length that the gradient over all weights had; now it is ``longest`` at most (0: no limit)."""
    parameters = [one for one in network.parameters() if one.grad is not None]
    length = nn.utils.get_total_norm([one.grad for one in parameters if one.grad is not None])
    if longest > 0:
        nn.utils.clip_grads_with_norm_(parameters, longest, length)
    return length
