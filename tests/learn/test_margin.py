"""cos(theta + m): known angles, order, slope, and other people's code."""

from __future__ import annotations

import math

import pytest
import torch

from supcam.learn.margin import ROUNDING_RAD, cosine_with_margin


@pytest.mark.parametrize(
    ("theta_deg", "expected"),
    [
        (0, 0.866025),
        (30, 0.5),
        (60, 0.0),
        (90, -0.5),
        (120, -0.866025),
        (149.99, -1.0),
        (165, -0.965926 - 0.261799),  # the far branch, a step down: cos(theta) - m sin(m)
        (180, -1 - 0.261799),
    ],
)
def test_margin_of_thirty_degrees_at_known_angles(theta_deg: float, expected: float) -> None:
    cosine = torch.tensor(math.cos(math.radians(theta_deg)), dtype=torch.float64)
    found = cosine_with_margin(cosine, margin_rad=math.radians(30)).item()
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("margin", [1e-4, ROUNDING_RAD / 2, 0.2, 1.0, math.pi / 2])
def test_margin_makes_the_cosine_smaller_and_keeps_its_order(margin: float) -> None:
    angles = torch.linspace(0, math.pi, 200_001, dtype=torch.float64)
    shifted = cosine_with_margin(angles.cos(), margin_rad=margin)
    assert (shifted.diff() < 0).all()
    assert (shifted < angles.cos()).all()


@pytest.mark.parametrize("margin", [0.05, 0.5, 1.5])
def test_margin_agrees_with_arcface_of_pytorch_metric_learning(margin: float) -> None:
    from pytorch_metric_learning.losses import ArcFaceLoss

    arcface = ArcFaceLoss(num_classes=2, embedding_size=2, margin=math.degrees(margin))
    cosine = torch.linspace(math.cos(ROUNDING_RAD), -1, 1000, dtype=torch.float64)
    theirs = arcface.modify_cosine_of_target_classes(cosine)
    torch.testing.assert_close(cosine_with_margin(cosine, margin_rad=margin), theirs, rtol=0, atol=1e-6)


def test_no_margin_leaves_the_cosine_as_it_is() -> None:
    cosine = torch.tensor([-1.0, -0.3, 1.0])
    assert torch.equal(cosine_with_margin(cosine, margin_rad=0.0), cosine)


@pytest.mark.parametrize("margin", [1e-6, 1e-3, ROUNDING_RAD, 0.2, math.pi / 2])
def test_slope_of_the_margin_is_bounded_everywhere(margin: float) -> None:
    beyond = torch.tensor([-1 - 2e-7, -1, 0, 1, 1 + 2e-7])  # rounding leaves the unit sphere a little
    near = 1 - torch.logspace(-8, 0, 10_000)
    cosine = torch.cat([beyond, near, -near]).requires_grad_()
    [slope] = torch.autograd.grad(cosine_with_margin(cosine, margin_rad=margin).sum(), cosine)
    assert slope.isfinite().all()
    assert (slope > 0).all()
    assert slope.max() <= 1.2 + 2 * math.sin(margin) / math.sin(ROUNDING_RAD)
