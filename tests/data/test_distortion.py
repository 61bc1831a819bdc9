"""Distortions: nothing at the first strength, and what each promises beyond it."""

import numpy as np
import pytest

from supcam.data.distortion import DISTORTIONS, Distortion, cropped, noisy, scaled, turned


def _crop() -> np.ndarray:
    grey = np.full((60, 50), 255, np.uint8)
    grey[8:52, 12:40] = 225  # a margin of ground, which is not exactly white
    grey[10:50, 20:30] = 90
    return grey


def _rng() -> np.random.Generator:
    return np.random.default_rng(4)


@pytest.mark.parametrize("each", DISTORTIONS.values(), ids=lambda each: each.name)
def test_the_first_strength_changes_nothing_and_the_others_do(each: Distortion) -> None:
    crop = _crop()
    assert np.array_equal(each.change(crop, each.strengths[0], rng=_rng()), crop)
    for strength in each.strengths[1:]:
        worse = each.change(crop, strength, rng=_rng())
        assert worse.dtype == np.uint8
        assert worse.shape != crop.shape or not np.array_equal(worse, crop)
    assert np.array_equal(crop, _crop())


def test_noise_leaves_what_was_cut_away_white() -> None:
    assert (noisy(_crop(), 40, rng=_rng())[_crop() == 255] == 255).all()


def test_sizes_follow_the_strength() -> None:
    assert scaled(_crop(), 0.5, rng=_rng()).shape == (30, 25)
    stain, after = (255.0 - grey for grey in (_crop(), turned(_crop(), 30, rng=_rng())))
    assert after.sum() == pytest.approx(stain.sum(), rel=0.02)


def test_cropping_takes_its_share_of_the_object() -> None:
    lost = [(cropped(_crop(), 0.5, rng=np.random.default_rng(seed)) < 200).sum() for seed in range(12)]
    assert set(lost) == {200}


def test_an_empty_crop_stays_empty() -> None:
    blank = np.full((9, 9), 255, np.uint8)
    assert np.array_equal(cropped(blank, 0.3, rng=_rng()), blank)
