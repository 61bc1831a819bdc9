"""Bent copies: as long as they should be, in one piece, bent by what was asked, the same ones every time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from tests.drawn_pieces import bar

from supcam.core.config import CompositionConfig
from supcam.core.types import Box, ClusterType, Region
from supcam.data.bending import bent, bent_copies

STRAIGHT = CompositionConfig(bent_share=1.0, stretch=(1.0, 1.0))


def bar_region(*, length: float = 90, width: float = 12, angle_deg: float = 20.0) -> Region:
    stain = bar(length=length, width=width, angle_deg=angle_deg, blur_px=1.0)
    height, width_ = stain.shape
    return Region(
        stain=stain,
        mask=stain > 0.3,
        box=Box(0, 0, height, width_),
        width_px=width,
        case="7",
        source="drawn",
        type=ClusterType.INSTANCE,
        n_chromosomes=1,
    )


@pytest.mark.parametrize("seed", range(8))
def test_a_bent_body_keeps_its_area_and_hangs_together(seed: int) -> None:
    region = bar_region()
    copy = bent(region, config=STRAIGHT, rng=np.random.default_rng(seed))
    assert copy is not None
    assert copy.mask.shape == copy.stain.shape
    assert copy.mask.sum() == pytest.approx(region.mask.sum(), rel=0.12)
    assert copy.stain.sum() == pytest.approx(region.stain.sum(), rel=0.12)
    assert cv2.connectedComponents(copy.mask.astype(np.uint8))[0] == 2
    assert copy.stain.min() >= 0
    assert (copy.case, copy.source, copy.type, copy.n_chromosomes) == ("7", "drawn", ClusterType.INSTANCE, 1)


def test_the_angle_between_the_legs_is_the_one_asked_for() -> None:
    """The straight distance of the tips of a sharply bent bar, by the law of cosines."""
    config = STRAIGHT.model_copy(update={"bend_deg": (90.0, 90.0)})
    spans = []
    for seed in range(12):
        copy = bent(bar_region(length=120, width=10), config=config, rng=np.random.default_rng(seed))
        assert copy is not None
        points = np.argwhere(copy.mask)
        spans.append(np.hypot(*np.ptp(points, axis=0)))
    assert 75 < np.median(spans) < 112  # legs of 60 at right angles: 85, less by the round corner


def test_stretched_copies_are_longer_by_the_factor() -> None:
    config = STRAIGHT.model_copy(update={"stretch": (1.4, 1.4)})
    region = bar_region()
    copy = bent(region, config=config, rng=np.random.default_rng(3))
    assert copy is not None
    assert copy.mask.sum() == pytest.approx(1.4 * region.mask.sum(), rel=0.12)


def test_short_bodies_are_left_as_they_are() -> None:
    assert bent(bar_region(length=24, width=12), config=STRAIGHT, rng=np.random.default_rng(0)) is None


def test_share_of_copies_is_the_configured_one_and_always_the_same() -> None:
    regions = [bar_region(length=60 + i % 7) for i in range(60)]
    half = CompositionConfig(bent_share=0.5)
    first, second = (bent_copies(regions, config=half) for _ in range(2))
    assert 18 <= len(first) <= 42
    assert first.keys() == second.keys()
    assert all(np.array_equal(copy.stain, second[index].stain) for index, copy in first.items())
    assert bent_copies(regions, config=CompositionConfig(bent_share=0.0)) == {}
