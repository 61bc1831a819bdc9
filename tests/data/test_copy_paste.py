from __future__ import annotations

import numpy as np
from tests.drawn_pieces import bar_region

from supcam.core.config import CropConfig
from supcam.core.crop import Square, network_input
from supcam.data.copy_paste import pasted


def bar(*, angle_deg: float) -> Square:
    region = bar_region(length=60, width=11, angle_deg=angle_deg)
    return network_input(region, config=CropConfig(size_px=96, width_px=9.0))


def test_what_was_there_is_kept_where_nothing_is_laid_over_it() -> None:
    picture, other = bar(angle_deg=0), bar(angle_deg=90)
    grown = 0
    for seed in range(20):
        made = pasted(picture, other=other, rng=np.random.default_rng(seed))
        assert made.shape == picture.shape
        assert made.dtype == np.float32
        changed = np.abs(made - picture) > 0.25
        assert changed.sum() <= 1.2 * (other > 0.1).sum()
        grown += int((made > 0.5).sum() > 1.3 * (picture > 0.5).sum())
    assert grown >= 10, "a second body can be seen in most"


def test_pasted_picture_depends_on_its_generator_alone_and_writes_into_nothing() -> None:
    picture, other = bar(angle_deg=0), bar(angle_deg=30)
    before = picture.copy(), other.copy()
    first, again = (pasted(picture, other=other, rng=np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(picture, before[0])
    np.testing.assert_array_equal(other, before[1])
