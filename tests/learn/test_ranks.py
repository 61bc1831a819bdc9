"""Two processes that share every batch learn what one process learns from all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.tiny_training import same
from tests.two_learners import learn, learn_together

from supcam.learn.ranks import of_all_ranks

TOLERANCE = 2e-5
"""On weights after five steps at a rate of 0.01: sums of floats in another order, through AdamW."""


def test_process_that_learns_alone_keeps_its_rows() -> None:
    rows = torch.randn(3, 2)
    assert of_all_ranks(rows) is rows


@pytest.mark.slow
def test_two_processes_end_like_one(tmp_path: Path) -> None:
    """The ranks' shares differ in how many types are unknown, so that a mean of means would not do."""
    methods = ("queue", "in_batch", "cross_entropy")
    first, second = learn_together(methods, folder=tmp_path)
    assert same(first, second), "the same weights, averages and queue on both, bit for bit"
    for method in methods:
        alone = learn(method)
        assert first[method].keys() == alone.keys()
        for name, value in alone.items():
            torch.testing.assert_close(first[method][name], value, atol=TOLERANCE, rtol=0.0)
    types = first["queue"]["queue.types"]
    assert (types >= 0).all(), "full"
    assert len(types.unique()) == 4
