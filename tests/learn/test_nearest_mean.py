"""Types read by the nearest mean, on embeddings of which the answer is plain."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from supcam.learn.nearest_mean import TypeMeans

FAR = 100.0


def clouds(types: list[int], *, seed: int = 0, spread: float = 0.1) -> Tensor:
    """A point for each type given, near the corner of that type, all of them far from the origin."""
    corners = FAR + 3 * torch.eye(4)
    noise = torch.randn(len(types), 4, generator=torch.Generator().manual_seed(seed))
    return torch.stack([corners[kind] for kind in types]) + spread * noise


def test_type_of_the_nearest_mean_is_read_however_far_all_of_them_are_from_the_origin() -> None:
    means = TypeMeans.of(clouds([0, 1, 2, 3] * 5), types=torch.tensor([0, 1, 2, 3] * 5))
    asked = [3, 2, 1, 0, 0, 2]
    logits = means.logits(clouds(asked, seed=9), temperature=0.1)
    assert logits.argmax(dim=1).tolist() == asked


def test_logits_are_cosines_over_temperature() -> None:
    embeddings = clouds([0, 1, 2, 3, 3])
    means = TypeMeans.of(embeddings, types=torch.tensor([0, 1, 2, 3, 3]))
    centre = embeddings.mean(dim=0)
    unit = torch.nn.functional.normalize(embeddings - centre, dim=1)
    third = unit[3] + unit[4]
    expected = float(unit[0] @ third / third.norm())
    assert means.logits(embeddings, temperature=0.5)[0, 3].item() == pytest.approx(expected / 0.5, rel=1e-4)
    colder = means.logits(embeddings, temperature=0.05)
    torch.testing.assert_close(colder, 10 * means.logits(embeddings, temperature=0.5))


def test_unknown_types_are_left_out_and_missing_types_are_never_read() -> None:
    embeddings = clouds([0, 1, 3, 3])
    means = TypeMeans.of(embeddings, types=torch.tensor([0, 1, -1, -1]))
    assert means.known.tolist() == [True, True, False, False]
    shares = means.logits(clouds([3, 0], seed=4), temperature=0.1).softmax(dim=1)
    assert torch.isfinite(shares).all()
    assert not shares[:, 2:].any()
    torch.testing.assert_close(means.directions[0], -means.directions[1], atol=1e-3, rtol=0.0)
