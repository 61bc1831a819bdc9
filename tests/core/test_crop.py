from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.drawn_pieces import bar, bar_region

from supcam.core.config import CropConfig, ForegroundConfig
from supcam.core.crop import (
    cut_region,
    fit_scale,
    network_input,
    normalise,
    placement,
    region_from_crop,
    region_of_object,
    resample,
)
from supcam.core.foreground import chromosome_width, find_foreground, mask_box
from supcam.core.types import Box, ImageError, Region, Stain
from supcam.data.slide import ObjectKind
from supcam.data.synthesis import SynthesisConfig, draw_metaphase

CONFIG = CropConfig()
LEVELS = ForegroundConfig()


# Scale ----------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 40), st.floats(2.5, 7), st.floats(0, 180))
def test_chromosome_of_any_width_comes_out_at_the_common_width(
    width: int, ratio: float, angle_deg: float
) -> None:
    picture = network_input(bar_region(length=width * ratio, width=width, angle_deg=angle_deg), config=CONFIG)
    assert picture.shape == (CONFIG.size_px, CONFIG.size_px)
    assert chromosome_width(picture > 0.5) == pytest.approx(CONFIG.width_px, abs=1.6)


def test_only_what_does_not_fit_is_made_smaller() -> None:
    fitting = bar_region(length=110, width=11)
    too_long = bar_region(length=300, width=11)
    assert placement(fitting, config=CONFIG)[0, 0] == pytest.approx(1.0)
    long_side = CONFIG.size_px - 2 * CONFIG.margin_px
    assert placement(too_long, config=CONFIG)[0, 0] == pytest.approx(long_side / 301, rel=0.01)
    columns = np.flatnonzero((network_input(too_long, config=CONFIG) > 0.5).any(axis=0))
    assert columns[0] >= CONFIG.margin_px - 1
    assert columns[-1] <= CONFIG.size_px - CONFIG.margin_px


def test_nothing_is_enlarged_more_than_allowed() -> None:
    assert fit_scale(10, width_px=2, config=CONFIG) == CONFIG.max_enlargement
    tiny = bar_region(length=12, width=3)
    assert placement(tiny, config=CONFIG)[0, 0] == CONFIG.max_enlargement


@pytest.mark.parametrize("length", [20, 60, 300])
def test_square_fit_brings_every_long_side_to_the_square(length: int) -> None:
    config = CropConfig(scale_rule="square_fit", max_enlargement=1)
    picture = network_input(bar_region(length=length, width=12), config=config)
    columns = np.flatnonzero((picture > 0.5).any(axis=0))
    assert columns[-1] - columns[0] + 1 == pytest.approx(config.size_px - 2 * config.margin_px, abs=4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_place_in_the_crop_does_not_matter(top: int, left: int) -> None:
    region = bar_region(length=60, width=15, angle_deg=25)
    pad = ((top, 60 - top), (left, 60 - left))
    mask = np.pad(region.mask, pad)
    moved = Region(
        stain=np.pad(region.stain, pad), mask=mask, box=Box(0, 0, *mask.shape), width_px=region.width_px
    )
    np.testing.assert_allclose(
        network_input(moved, config=CONFIG), network_input(region, config=CONFIG), atol=0.02
    )


def test_object_is_centred() -> None:
    picture = network_input(bar_region(length=70, width=14, angle_deg=60), config=CONFIG)
    rows, columns = np.nonzero(picture > 0.3)
    middle = (CONFIG.size_px - 1) / 2
    assert (rows.min() + rows.max()) / 2 == pytest.approx(middle, abs=1)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(middle, abs=1)


# Resampling and level -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.3, 0.5, 0.9, 1.0, 1.8])
def test_resampling_keeps_stain_and_place(scale: float) -> None:
    stain = bar(length=60, width=16, angle_deg=35, blur_px=1.5)
    matrix = np.array([[scale, 0.0, 3.25], [0.0, scale, 5.5]])
    drawn = resample(stain, matrix=matrix, size_px=(140, 150))
    assert drawn.shape == (140, 150)
    assert drawn.sum() == pytest.approx(scale**2 * stain.sum(), rel=0.02)
    for axis, shift in ((0, 5.5), (1, 3.25)):
        before, after = (np.average(np.indices(one.shape)[axis], weights=one) for one in (stain, drawn))
        assert after == pytest.approx(scale * before + shift, abs=0.15)


def test_fine_stripes_become_even_grey_and_not_coarse_stripes() -> None:
    stripes = np.tile(np.array([0, 1], np.float32), (60, 30))
    matrix = np.array([[0.35, 0.0, 0.0], [0.0, 0.35, 0.0]])
    drawn = resample(stripes, matrix=matrix, size_px=21)[4:-4, 4:-4]
    assert drawn.std() < 0.06
    assert drawn.mean() == pytest.approx(0.5, abs=0.03)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 50), st.integers(0, 40))
def test_level_of_an_even_body_becomes_one_whatever_its_size_and_stain(level: float, pad: int) -> None:
    stain = np.pad(np.full((20, 30), level, np.float32), pad)
    picture = normalise(stain)
    np.testing.assert_allclose(picture[stain > 0], 1.0, rtol=1e-4)
    assert not picture[stain == 0].any()


def test_glare_is_clipped_and_blank_stays_blank() -> None:
    stain = np.zeros((40, 40), np.float32)
    assert not normalise(stain).any()
    stain[5:35, 5:35] = 0.1
    stain[0, 0] = 0.5
    assert normalise(stain).max() == 2.5


# Regions --------------------------------------------------------------------------------------------------


def two_bars() -> Stain:
    """Their middles in rows 62 and 112 of 190, the second one nearer the centre."""
    stain = np.zeros((190, 190), np.float32)
    for place in (10, 60):
        body = bar(length=80, width=14, angle_deg=0, blur_px=1)
        height, width = body.shape
        stain[place : place + height, 40 : 40 + width] += body
    return stain


def test_central_object_counts_and_its_neighbour_is_taken_away() -> None:
    stain = two_bars()
    region = region_from_crop(stain, outside=None, config=LEVELS)
    assert region.mask[100:].any()
    assert not region.mask[:75].any()
    assert region.stain.shape == stain.shape
    kept = region.stain > 0
    assert (region.mask & ~kept).sum() == 0
    rows = np.flatnonzero(kept.any(axis=1))
    assert rows[-1] - rows[0] < 14 + 2 * 8
    assert 13 < region.width_px < 19, "light bands and blurred edge included"


def test_everything_inside_a_whitened_crop_is_one_object() -> None:
    stain = two_bars()
    outside = np.zeros(stain.shape, np.bool_)
    outside[:, 150:] = True
    stain[:, 160:] = 1.0  # whatever lies outside does not count
    region = region_from_crop(stain, outside=outside, config=LEVELS)
    assert region.mask[100:].any()
    assert region.mask[:70].any()
    assert not region.mask[:, 150:].any()


def test_crop_without_an_object_is_refused() -> None:
    with pytest.raises(ImageError, match="no stained object"):
        region_from_crop(np.zeros((30, 30), np.float32), outside=None, config=LEVELS)
    stain = np.zeros((30, 30), np.float32)
    stain[:, 20:] = 1
    with pytest.raises(ImageError, match="no object"):
        region_from_crop(stain, outside=stain > 0, config=LEVELS)


def test_neighbours_end_where_they_begin() -> None:
    """Stain of the neighbour, and of the rim it begins in, is 0; the object and its own rim are kept."""
    stain = np.ones((40, 60), np.float32)
    mask, others = np.zeros_like(stain, np.bool_), np.zeros_like(stain, np.bool_)
    mask[10:20, 10:50], others[22:32, 10:50] = True, True
    region = cut_region(stain, mask=mask, others=others, width_px=10)
    assert (region.stain[mask] == 1).all()
    assert not region.stain[others].any()
    assert not region.stain[21, 12:48].any()
    assert region.stain[8, 30] == 1
    assert not region.stain[3].any()


def test_box_of_a_mask_just_holds_it() -> None:
    mask = np.zeros((20, 30), np.bool_)
    mask[3, 7] = mask[11, 20] = True
    assert mask_box(mask) == Box(top=3, left=7, bottom=12, right=21)


# The same object by two ways ------------------------------------------------------------------------------


def test_object_found_in_a_metaphase_equals_its_crop() -> None:
    """Cut by the whole picture's threshold or by the crop's own: the same network input."""
    config = SynthesisConfig(
        n_chromosomes=16, picture_px=(420, 420), type_shares=(1, 0, 0, 0), n_nuclei=(0, 0), clearance_px=22
    )
    drawn = draw_metaphase(np.random.default_rng(5), config=config)
    found = find_foreground(drawn.stain, config=LEVELS)
    compared = 0
    for one in drawn.objects:
        middle = found.labels[one.box.slices][one.masks[0]]
        index = (
            int(np.bincount(middle[middle > 0]).argmax()) - 1 if one.kind is ObjectKind.CHROMOSOMES else -1
        )
        pad = 10
        box = Box(one.box.top - pad, one.box.left - pad, one.box.bottom + pad, one.box.right + pad)
        if index < 0 or min(box.top, box.left) < 0 or max(box.bottom, box.right) > 420:
            continue
        region = region_of_object(found, index)
        crop = region_from_crop(drawn.stain[box.slices], outside=None, config=LEVELS)
        assert crop.width_px == pytest.approx(region.width_px, rel=0.35)
        ours = network_input(region, config=CONFIG)
        theirs = network_input(replace(crop, width_px=region.width_px), config=CONFIG)
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.98
        compared += 1
    assert compared >= 8


def test_region_of_an_object_says_where_it_was() -> None:
    stain = two_bars()
    found = find_foreground(np.pad(stain, 40), config=LEVELS)
    assert len(found.boxes) == 2
    for index, box in enumerate(found.boxes):
        region = region_of_object(found, index)
        assert region.stain.shape == region.mask.shape == (region.box.height, region.box.width)
        inner = mask_box(region.mask)
        assert (inner.top + region.box.top, inner.left + region.box.left) == (box.top, box.left)
        assert region.mask.sum() == found.areas_px[index]
        assert region.width_px == found.width_px
        assert not (region.mask & (found.labels[region.box.slices] != index + 1)).any()
