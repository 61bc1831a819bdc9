from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from supcam.core.config import ForegroundConfig
from supcam.core.foreground import Foreground, find_foreground
from supcam.core.glow import _slow, cell_px, find_glow, outlined
from supcam.core.types import Clutter, Mask, Polarity, Stain

CONFIG = ForegroundConfig()
WIDTH = 14


def bars(*, rows: int = 3, columns: int = 4) -> Mask:
    """Straight bodies one width wide and five long, two widths apart."""
    mask = np.zeros((rows * 42 + 120, columns * 84 + 120), np.bool_)
    for row, column in itertools.product(range(rows), range(columns)):
        top, left = 60 + 42 * row, 60 + 84 * column
        mask[top : top + WIDTH, left : left + 5 * WIDTH] = True
    return mask


def shining(mask: Mask, *, glow: float, around_px: float = 40.0) -> Stain:
    """Bodies of stain 0.5 behind a lens, and ``glow`` times their light spread around them."""
    sharp = cv2.GaussianBlur(np.float32(0.5) * mask.astype(np.float32), (0, 0), 1.5)
    wide = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), around_px)
    return np.asarray(sharp + np.float32(0.5 * glow / wide.max()) * wide, np.float32)


def found(stain: Stain, polarity: Polarity = Polarity.FLUORESCENCE) -> Foreground:
    return find_foreground(stain, config=CONFIG, polarity=polarity)


def test_bodies_in_each_others_glow_are_told_apart() -> None:
    mask = bars()
    stain = shining(mask, glow=0.6, around_px=16)
    assert len(found(stain, Polarity.BRIGHT_FIELD).boxes) < 12, (
        "this glow does no harm: the test shows nothing"
    )
    assert len(found(stain).boxes) == 12


@pytest.mark.parametrize("glow", [0.0, 0.3, 0.6])
def test_outlines_do_not_hang_on_the_glow(glow: float) -> None:
    mask = bars()
    foreground = found(shining(mask, glow=glow, around_px=16)).labels > 0
    assert np.count_nonzero(foreground & mask) > 0.97 * np.count_nonzero(mask)
    assert np.count_nonzero(foreground & mask) > 0.80 * np.count_nonzero(foreground)


def test_a_nucleus_no_brighter_than_chromosomes_stays_and_is_known() -> None:
    mask = bars()
    wide = np.concatenate([mask, np.zeros((170, mask.shape[1]), np.bool_)])
    disc = np.zeros(wide.shape, np.uint8)
    cv2.circle(disc, (wide.shape[1] // 2, wide.shape[0] - 95), 60, 1, -1)
    objects = found(shining(wide | (disc > 0), glow=0.1))
    nuclei = [k for k, kind in enumerate(objects.clutter, start=1) if kind is Clutter.NUCLEUS]
    assert len(nuclei) == 1
    assert np.count_nonzero((objects.labels == nuclei[0]) & (disc > 0)) > 0.6 * np.count_nonzero(disc)


def test_without_glow_hardly_anything_is_taken_off() -> None:
    cells = np.asarray(cv2.resize(shining(bars(), glow=0.0), None, fx=0.5, fy=0.5), np.float32)
    levels = find_glow(cells, cell_px=2, size=(246, 456), typical=0.5, width_px=WIDTH).levels
    assert float(levels.max()) < 0.02 * 0.5


def test_glow_is_what_lies_between_the_bodies() -> None:
    cells = np.asarray(cv2.resize(shining(bars(), glow=0.0), None, fx=0.5, fy=0.5) + 0.1, np.float32)
    levels = find_glow(cells, cell_px=2, size=(246, 456), typical=0.5, width_px=WIDTH).levels
    np.testing.assert_allclose(levels, 0.1, atol=0.01)


def test_a_slow_field_is_the_largest_below_that_rises_slowly(rng: np.random.Generator) -> None:
    levels = np.asarray(rng.random((9, 11)), np.float32)
    slow = _slow(levels, rise=0.1)
    assert (slow <= levels).all()
    for row, column in itertools.product(range(9), range(11)):
        around = slow[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        cross = [slow[r, column] for r in (row - 1, row + 1) if 0 <= r < 9]
        cross += [slow[row, c] for c in (column - 1, column + 1) if 0 <= c < 11]
        assert slow[row, column] <= min(cross) + 0.1 + 1e-6
        assert slow[row, column] >= min(levels[row, column], around.min())
    np.testing.assert_array_equal(_slow(slow, rise=0.1), slow)


def test_bright_field_keeps_its_outlines_and_fluorescence_has_higher_ones() -> None:
    assert outlined(CONFIG, polarity=Polarity.BRIGHT_FIELD) is CONFIG
    higher = outlined(CONFIG, polarity=Polarity.FLUORESCENCE)
    assert CONFIG.segmentation_level < higher.segmentation_level <= CONFIG.contact_level
    strict = ForegroundConfig(segmentation_level=0.5, contact_level=0.6, core_level=0.5)
    assert outlined(strict, polarity=Polarity.FLUORESCENCE) is strict


def test_cells_are_finer_than_a_width_and_few_in_large_pictures() -> None:
    assert cell_px(16, size=(500, 600)) == 2
    assert cell_px(3, size=(500, 600)) == 1
    assert cell_px(16, size=(20_000, 20_000)) == 10
