"""Averages of a network over its training."""

from __future__ import annotations

import pytest
import torch
from tests.tiny_training import tiny_recipe
from torch import nn

from supcam.learn.averaging import blend_into, young_share
from supcam.learn.encoder import Network


def test_average_moves_by_its_share_and_running_statistics_with_it() -> None:
    ours, theirs = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    with torch.no_grad():
        ours.weight.fill_(1.0)
        theirs.weight.fill_(3.0)
    assert ours.running_mean is not None
    assert theirs.running_mean is not None
    ours.running_mean.fill_(0.0)
    theirs.running_mean.fill_(10.0)
    ours.num_batches_tracked.fill_(5)  # type: ignore[union-attr]
    theirs.num_batches_tracked.fill_(9)  # type: ignore[union-attr]
    before = {name: value.clone() for name, value in theirs.state_dict().items()}
    blend_into(ours, network=theirs, keep=0.75)
    assert ours.weight.tolist() == [1.5, 1.5]
    assert ours.running_mean.tolist() == [2.5, 2.5]
    assert int(ours.num_batches_tracked) == 9  # type: ignore[arg-type]
    assert all(torch.equal(before[name], value) for name, value in theirs.state_dict().items())


def test_average_that_keeps_nothing_is_the_network() -> None:
    recipe = tiny_recipe()
    average, network = Network(recipe.network, seed=1), Network(recipe.network, seed=2)
    blend_into(average, network=network, keep=0.0)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(average.state_dict()[name], value)


def test_average_of_what_does_not_move_does_not_move() -> None:
    """To the last bit: a frozen backbone is averaged, too."""
    network, average = Network(tiny_recipe().network, seed=1), Network(tiny_recipe().network, seed=1)
    for keep in (0.1, 0.5, 0.937, 0.999):
        blend_into(average, network=network, keep=keep)
    assert all(torch.equal(average.state_dict()[name], value) for name, value in network.state_dict().items())


def test_young_average_keeps_little_and_an_old_one_nearly_all() -> None:
    assert [young_share(step) for step in (0, 1, 8)] == pytest.approx([1 / 10, 2 / 11, 0.5])
    assert young_share(890) == pytest.approx(0.99, abs=1e-4)
    assert young_share(10**6) < 1
