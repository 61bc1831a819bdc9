from __future__ import annotations

import numpy as np

from supcam.core.components import find_components, segmentation_mask
from supcam.core.config import ForegroundConfig
from supcam.core.types import Box

CONFIG = ForegroundConfig(min_area_px=40)


def picture() -> np.ndarray:
    stain = np.zeros((60, 80), np.float32)
    stain[5:15, 5:25] = 0.5
    stain[30:36, 40:46] = 0.5  # 36 pixels: dust
    stain[50:60, 70:80] = 0.12
    return stain


def test_dust_is_told_from_objects() -> None:
    found = find_components(picture(), typical=0.5, config=CONFIG)
    assert [box for _, box in found.boxes()] == [Box(5, 5, 15, 25), Box(50, 70, 60, 80)]
    assert found.large.sum() == 300
    assert (found.labels > 0).sum() == 336


def test_the_segmentation_level_is_a_share_of_the_typical_stain() -> None:
    assert segmentation_mask(picture(), typical=0.5, config=CONFIG).sum() == 336
    assert segmentation_mask(picture(), typical=0.6, config=CONFIG).sum() == 236
