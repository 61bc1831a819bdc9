"""What either learner does in every step."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from supcam.core.types import TrainingError
from supcam.learn.stepping import begin_step, require_finite, shorten_gradient


def test_batch_of_another_step_is_refused() -> None:
    with pytest.raises(TrainingError, match="the batch of step 4 in step 0"):
        begin_step(4, step=0, seed=1)


def test_randomness_of_a_step_follows_from_seed_and_step() -> None:
    def drawn(*, step: int, seed: int) -> torch.Tensor:
        begin_step(step, step=step, seed=seed)
        return torch.rand(4)

    torch.rand(3)
    assert torch.equal(drawn(step=2, seed=3), drawn(step=2, seed=3))
    assert not torch.equal(drawn(step=2, seed=3), drawn(step=2, seed=4))
    assert not torch.equal(drawn(step=2, seed=3), drawn(step=3, seed=3))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_loss_that_is_no_number_is_an_error(value: float) -> None:
    require_finite(torch.tensor(3.0), step=5)
    with pytest.raises(TrainingError, match="in step 5"):
        require_finite(torch.tensor(value), step=5)


@pytest.mark.parametrize(("longest", "after"), [(0.5, 0.5), (20.0, 13.0), (0.0, 13.0)])
def test_gradient_is_shortened_to_the_limit_and_never_stretched(longest: float, after: float) -> None:
    network = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Linear(1, 1, bias=False))
    network[0].weight.grad = torch.tensor([[3.0, 4.0]])
    network[1].weight.grad = torch.tensor([[12.0]])
    assert shorten_gradient(network, longest=longest).item() == pytest.approx(13.0)
    parts = [value.grad for value in network.parameters() if value.grad is not None]
    assert math.sqrt(sum(float((part**2).sum()) for part in parts)) == pytest.approx(after, rel=1e-5)


def test_weights_without_a_gradient_have_no_say() -> None:
    network = nn.Linear(2, 1)
    network.weight.grad = torch.tensor([[3.0, 4.0]])
    assert shorten_gradient(network, longest=1.0).item() == pytest.approx(5.0)
    assert network.bias.grad is None
