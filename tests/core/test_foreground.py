from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.drawn_pieces import bar

from supcam.core.background import remove_background
from supcam.core.components import segmentation_mask
from supcam.core.config import ForegroundConfig
from supcam.core.foreground import (
    chromosome_width,
    core_mask,
    find_foreground,
    solid,
    typical_stain,
)
from supcam.core.types import Clutter, ImageError, Mask, Stain
from supcam.data.slide import ObjectKind
from supcam.data.synthesis import DrawnMetaphase, SynthesisConfig, draw_metaphase

CONFIG = ForegroundConfig()


def disc(radius: float, *, side: int) -> Mask:
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    return np.asarray(rows**2 + columns**2 <= radius**2)


def scene(*stains: tuple[Stain, int, int], side: int = 300) -> Stain:
    """Pictures laid on an empty one, each with its first row and column."""
    whole = np.zeros((side, side), np.float32)
    for stain, top, left in stains:
        height, width = stain.shape
        whole[top : top + height, left : left + width] += stain
    return whole


# Width ----------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(6, 40), st.floats(2.5, 6), st.floats(0, 180))
def test_width_of_a_bar_is_its_width(width: int, ratio: float, angle_deg: float) -> None:
    mask = bar(length=width * ratio, width=width, angle_deg=angle_deg) > 0.5
    assert chromosome_width(mask) == pytest.approx(width, rel=0.06, abs=1.2)


def test_width_of_a_disc_is_its_diameter() -> None:
    assert chromosome_width(disc(15, side=40)) == pytest.approx(30, abs=3)


def test_light_bands_do_not_make_a_body_thinner() -> None:
    mask = bar(length=90, width=14) > 0.5
    middle = mask.shape[0] // 2
    banded = mask.copy()
    for column in range(middle - 36, middle + 40, 18):
        banded[middle - 3 : middle + 3, column : column + 3] = False  # a hole
    assert chromosome_width(banded) == pytest.approx(chromosome_width(mask), abs=1.0)


def test_background_at_the_border_is_no_hole() -> None:
    """A body that touches the border cuts corners off: they stay background, however small."""
    mask = np.eye(30, dtype=np.bool_) | np.eye(30, k=1, dtype=np.bool_)
    np.testing.assert_array_equal(solid(mask, radius_px=0, hole_px=2000), mask)
    ring = np.zeros((30, 30), np.bool_)
    ring[5:25, 5:25] = True
    ring[12:16, 12:16] = False
    assert solid(ring, radius_px=0, hole_px=16)[5:25, 5:25].all()
    np.testing.assert_array_equal(solid(ring, radius_px=0, hole_px=15), ring)


def test_empty_mask_has_no_width() -> None:
    assert chromosome_width(np.zeros((12, 9), np.bool_)) == 0.0


def test_mask_that_fills_its_array_has_the_width_of_the_array() -> None:
    """What lies outside the array is background."""
    assert chromosome_width(np.ones((11, 60), np.bool_)) == pytest.approx(12, abs=1)


# Levels ---------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.floats(0.05, 3), st.integers(8, 20))
def test_typical_stain_is_that_of_the_bodies(level: float, width: int) -> None:
    stain = scene((bar(length=90, width=width) * np.float32(level), 60, 60))
    assert typical_stain(stain) == pytest.approx(level, rel=0.02)


@pytest.mark.parametrize("stain", [np.zeros((40, 50), np.float32), np.full((8, 8), 0.01, np.float32)])
def test_blank_picture_is_refused(stain: Stain) -> None:
    with pytest.raises(ImageError, match="no stained object"):
        typical_stain(stain)
    with pytest.raises(ImageError):
        find_foreground(stain, config=CONFIG)


def test_core_lies_within_the_segmented_foreground() -> None:
    stain = scene((bar(length=80, width=16, angle_deg=30, blur_px=2), 50, 50))
    core, wide = (
        core_mask(stain, typical=1.0, config=CONFIG),
        segmentation_mask(stain, typical=1.0, config=CONFIG),
    )
    assert not (core & ~wide).any()
    assert 0 < core.sum() < wide.sum()


def test_solid_closes_small_holes_and_notches_and_leaves_large_ones() -> None:
    mask = np.zeros((60, 90), np.bool_)
    mask[20:40, 10:80] = True
    mask[28:32, 20:26] = False  # a band: 24 pixels
    mask[24:36, 45:60] = False  # between bodies: 180 pixels
    mask[20:30, 70:72] = False  # a notch
    closed = solid(mask, radius_px=2, hole_px=60)
    assert closed[28:32, 20:26].all()
    assert not closed[27:33, 49:56].any()
    assert closed[23:30, 70:72].all()
    assert not (mask & ~closed).any()
    assert not closed[:18].any()


# Background -----------------------------------------------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_uneven_background_is_taken_off(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bodies = scene(
        (bar(length=90, width=14, angle_deg=40, blur_px=1), 60, 60),
        (bar(length=60, width=14, blur_px=1), 170, 150),
    )
    rows, columns = np.mgrid[:300, :300] / 300.0
    ramp = 0.5 * (rng.random() * rows + rng.random() * columns + 0.4 * np.sin(3 * rows + 2 * columns) + 0.5)
    flat = remove_background((bodies + ramp).astype(np.float32), config=CONFIG)
    assert flat.min() >= 0
    empty = bodies < 0.001
    assert flat[empty].mean() < 0.08
    assert flat[bodies > 0.9].mean() == pytest.approx(1.0, abs=0.12)
    found = find_foreground((bodies + ramp).astype(np.float32), config=CONFIG)
    assert len(found.boxes) == 2
    assert found.width_px == pytest.approx(14, abs=2.5)


def test_input_is_left_as_it_was() -> None:
    stain = scene((bar(length=90, width=14), 60, 60))
    before = stain.copy()
    find_foreground(stain, config=CONFIG)
    np.testing.assert_array_equal(stain, before)


# Objects --------------------------------------------------------------------------------------------------


def test_objects_are_numbered_by_box_and_dust_is_left_out() -> None:
    dust = np.ones((5, 5), np.float32)
    stain = scene(
        (bar(length=60, width=12), 20, 20),
        (bar(length=60, width=12), 150, 120),
        (dust, 250, 40),
        (dust, 10, 280),
    )
    found = find_foreground(stain, config=CONFIG)
    assert len(found.boxes) == len(found.areas_px) == int(found.labels.max()) == 2
    for number, (box, area) in enumerate(zip(found.boxes, found.areas_px, strict=True), 1):
        rows, columns = np.nonzero(found.labels == number)
        assert (rows.min(), rows.max() + 1) == (box.top, box.bottom)
        assert (columns.min(), columns.max() + 1) == (box.left, box.right)
        assert len(rows) == area >= CONFIG.min_area_px
    assert found.boxes[0].top < found.boxes[1].top


def test_picture_of_dust_alone_is_refused() -> None:
    with pytest.raises(ImageError, match="no object above the threshold"):
        find_foreground(scene((np.ones((5, 5), np.float32), 20, 20)), config=CONFIG)


def metaphase(**settings: object) -> DrawnMetaphase:
    config = SynthesisConfig.model_validate({"n_chromosomes": 24, **settings})
    return draw_metaphase(np.random.default_rng(8), config=config)


def test_width_is_that_of_the_chromosomes() -> None:
    drawn = metaphase(n_nuclei=(0, 0), n_debris=(0, 0))
    assert find_foreground(drawn.stain, config=CONFIG).width_px == pytest.approx(drawn.width_px, rel=0.2)


def test_nuclei_and_dust_do_not_set_the_width() -> None:
    clean, dirty = metaphase(n_nuclei=(0, 0), n_debris=(0, 0)), metaphase(n_nuclei=(4, 4), n_debris=(60, 60))
    widths = [find_foreground(one.stain, config=CONFIG).width_px / one.width_px for one in (clean, dirty)]
    assert widths[1] == pytest.approx(widths[0], rel=0.1)


def test_every_drawn_chromosome_is_in_an_object() -> None:
    drawn = metaphase()
    found = find_foreground(drawn.stain, config=CONFIG)
    for one in drawn.objects:
        if one.kind is not ObjectKind.CHROMOSOMES:
            continue
        labels = found.labels[one.box.slices][one.masks.any(axis=0)]
        values, counts = np.unique(labels[labels > 0], return_counts=True)
        assert counts.max() > 0.6 * labels.size
        assert counts.max() > 0.9 * counts.sum()
        assert values[counts.argmax()] > 0


# Contact ---------------------------------------------------------------------------------------------------


def side_by_side(*, bridge: float) -> Stain:
    """Two bars ten pixels apart, with as much stain between them over half of their length."""
    body = bar(length=90, width=14, blur_px=1)
    middle = body.shape[0] // 2
    stain = scene((body, 60, 60), (body, 84, 60))
    stain[60 + middle : 84 + middle, 80:130] = np.maximum(
        stain[60 + middle : 84 + middle, 80:130], np.float32(bridge)
    )
    return stain


@pytest.mark.parametrize(("bridge", "n_objects"), [(0.0, 2), (0.15, 2), (0.33, 2), (0.43, 1), (0.9, 1)])
def test_one_level_decides_what_contact_is(bridge: float, n_objects: int) -> None:
    stain = side_by_side(bridge=bridge)
    found = find_foreground(stain, config=CONFIG)
    assert len(found.boxes) == n_objects
    assert not found.labels[stain <= 0.17].any()
    assert (found.labels[stain > 0.5] > 0).all()


def test_bodies_apart_share_the_stain_between_them() -> None:
    """What lies between the contact level and the outline belongs to the nearer body, and to one alone."""
    found = find_foreground(side_by_side(bridge=0.33), config=CONFIG)
    assert abs(found.areas_px[0] - found.areas_px[1]) < 60
    assert sum(found.areas_px) == int((found.labels > 0).sum())
    assert min(found.areas_px) > 14 * 90 + 4 * 50


# Clutter ---------------------------------------------------------------------------------------------------


def test_a_nucleus_lets_go_of_the_chromosome_at_it() -> None:
    nucleus = cv2.GaussianBlur(disc(45, side=100).astype(np.float32), (0, 0), 1)
    standing = bar(length=80, width=14, angle_deg=90, blur_px=1)
    free = bar(length=80, width=14, blur_px=1)
    stain = np.minimum(
        scene((nucleus * np.float32(0.9), 30, 30), (standing, 110, 30), (free, 20, 180), (free, 180, 150)), 1
    )
    found = find_foreground(stain, config=CONFIG)
    assert sorted(found.clutter, key=str) == [None, None, None, Clutter.NUCLEUS]
    areas = dict(zip(found.clutter, found.areas_px, strict=True))
    assert areas[Clutter.NUCLEUS] == pytest.approx(np.pi * 45**2, rel=0.12)


def test_letters_are_named_and_do_not_set_the_stain() -> None:
    bodies = [(bar(length=80, width=14, blur_px=1) * np.float32(0.3), at, 40) for at in (20, 80, 140)]
    bars = np.zeros((8, 60), np.float32) + np.float32(2.4)
    found = find_foreground(scene(*bodies, (bars, 270, 220), (bars.T, 200, 280)), config=CONFIG)
    assert found.typical_stain == pytest.approx(0.3, rel=0.1)
    assert found.width_px == pytest.approx(14, abs=2)
    assert sorted(found.clutter, key=str) == [None, None, None, Clutter.MARK, Clutter.MARK]


def test_a_picture_of_letters_alone_is_marks() -> None:
    bars = np.zeros((8, 60), np.float32) + np.float32(2.4)
    found = find_foreground(scene((bars, 70, 20), (bars, 200, 120)), config=CONFIG)
    assert found.clutter == (Clutter.MARK, Clutter.MARK)
