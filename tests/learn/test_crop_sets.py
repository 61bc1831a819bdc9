"""Tests of ``supcam.learn.crop_sets``."""

from __future__ import annotations

import numpy as np
from tests.harvested import harvest
from tests.tiny_training import Stripes, tiny_recipe

from supcam.learn.crop_sets import drawn_crops, real_crops
from supcam.learn.stages import read_stages


def test_real_crops_are_all_singles_and_clusters_once() -> None:
    made = real_crops(harvest(), stages=read_stages(tiny_recipe()))
    assert made.types.tolist() == [0] * 10 + [1] * 3 + [-1] * 3


def test_drawn_crops_hold_no_debris_and_follow_from_the_seed() -> None:
    made, again = (drawn_crops(Stripes(), n=20, seed=4) for _ in range(2))
    assert len(made) == 20
    assert set(made.types.tolist()) <= {0, 1, 2, 3}
    np.testing.assert_array_equal(made.pictures, again.pictures)
    assert not np.array_equal(made.pictures, drawn_crops(Stripes(), n=20, seed=5).pictures)
