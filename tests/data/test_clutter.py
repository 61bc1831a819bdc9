from __future__ import annotations

import cv2
import numpy as np
import pytest

from supcam.data.clutter import draw_debris, draw_fibre, draw_nucleus


@pytest.mark.parametrize("seed", range(5))
def test_nucleus_is_one_round_body_of_the_size_asked_for(seed: int) -> None:
    nucleus = draw_nucleus(np.random.default_rng(seed), diameter_px=120, stain_level=0.5)
    contours, _ = cv2.findContours(nucleus.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    assert len(contours) == 1
    assert nucleus.mask.sum() / cv2.contourArea(cv2.convexHull(contours[0])) > 0.9
    assert 0.45 < nucleus.mask.sum() / (np.pi * 60**2) < 1.2
    assert nucleus.stain[nucleus.mask].mean() == pytest.approx(0.5, rel=0.1)
    assert nucleus.stain[nucleus.mask].std() > 0.02
    assert nucleus.stain[0].max() == 0


@pytest.mark.parametrize("seed", range(5))
def test_debris_is_small_and_stays_on_its_canvas(seed: int) -> None:
    debris = draw_debris(np.random.default_rng(seed), size_px=12, stain_level=0.7)
    n_labels, _ = cv2.connectedComponents(debris.mask.astype(np.uint8), connectivity=8)
    assert n_labels == 2
    assert 4 <= debris.mask.sum() < 500
    assert not debris.mask[[0, -1]].any()
    assert not debris.mask[:, [0, -1]].any()


@pytest.mark.parametrize("seed", range(5))
def test_fibre_is_thin_long_and_in_one_piece(seed: int) -> None:
    fibre = draw_fibre(np.random.default_rng(seed), length_px=60, width_px=2, stain_level=0.7)
    n_labels, _ = cv2.connectedComponents(fibre.mask.astype(np.uint8), connectivity=8)
    assert n_labels == 2
    assert 60 <= fibre.mask.sum() <= 4 * 60
    assert cv2.distanceTransform(fibre.mask.astype(np.uint8), cv2.DIST_L2, 3).max() <= 2.5
    assert not fibre.mask[[0, -1]].any()
    assert not fibre.mask[:, [0, -1]].any()
    assert 0.2 < fibre.stain.max() <= 0.71


def test_same_seed_draws_the_same() -> None:
    one, other = (draw_debris(np.random.default_rng(8), size_px=10, stain_level=1) for _ in range(2))
    assert np.array_equal(one.stain, other.stain)
