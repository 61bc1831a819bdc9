"""Tests of ``supcam.data.crop_set``."""

from __future__ import annotations

import numpy as np
import pytest
from tests.harvested import harvest

from supcam.core.config import CropConfig
from supcam.core.crop import network_input
from supcam.core.types import ManifestError
from supcam.data.crop_set import crop_set

CROP = CropConfig(size_px=64)


def test_holds_each_chromosome_as_the_network_sees_it() -> None:
    one = harvest()
    made = crop_set([*one.singles, *one.clusters, *one.debris], crop=CROP)
    assert len(made) == len(one.singles) + len(one.clusters)
    np.testing.assert_array_equal(made.pictures[0], network_input(one.singles[0], config=CROP))
    assert made.types.tolist() == [0] * 10 + [1] * 3 + [-1] * 3
    assert made.counts.tolist() == [1] * 10 + [2] * 3 + [5] * 3


def test_takes_rows() -> None:
    made = crop_set(harvest().singles, crop=CROP).take(np.array([3, 3]))
    assert len(made) == 2
    np.testing.assert_array_equal(made.pictures[0], made.pictures[1])


def test_nothing_but_debris_is_refused() -> None:
    with pytest.raises(ManifestError, match="no chromosome among 2 objects"):
        crop_set(harvest().debris, crop=CROP)
