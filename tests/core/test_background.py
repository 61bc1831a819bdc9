from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supcam.core.background import REDUCTION, Background, find_background, reduced, remove_background
from supcam.core.config import ForegroundConfig
from supcam.core.types import Box, Stain

CONFIG = ForegroundConfig()


def slope(*, height: int, width: int, rise: float) -> Stain:
    rows, columns = np.mgrid[:height, :width]
    return np.asarray(rise * (rows / height + columns / width) / 2, dtype=np.float32)


def with_disc(picture: Stain, *, radius: float, middle: tuple[int, int]) -> Stain:
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    inside = (rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 <= radius**2
    return np.where(inside, picture + np.float32(0.5), picture)


@settings(max_examples=15)
@given(st.integers(40, 300), st.integers(40, 300), st.integers(0, 2**32))
def test_rows_can_be_reduced_apart(height: int, width: int, seed: int) -> None:
    stain = np.random.default_rng(seed).random((height, width), dtype=np.float32)
    cut = REDUCTION * (height // (2 * REDUCTION))
    parts = np.concatenate([reduced(stain[:cut]), reduced(stain[cut:])])
    np.testing.assert_array_equal(reduced(stain), parts)
    np.testing.assert_allclose(reduced(stain)[0, 0], stain[:REDUCTION, :REDUCTION].mean(), rtol=1e-5)


@pytest.mark.parametrize("step", [1, 3, 10])
def test_a_background_may_have_other_squares(step: int) -> None:
    ramp = slope(height=90, width=130, rise=1.0)
    whole = Background(levels=reduced(ramp, step=step), size=(90, 130), step=step).under(Box(0, 0, 90, 130))
    inner = (slice(step, -2 * step), slice(step, -2 * step))
    np.testing.assert_allclose(whole[inner], ramp[inner], atol=1e-5)


@settings(max_examples=15)
@given(st.integers(40, 300), st.integers(40, 300), st.integers(0, 2**32))
def test_background_of_a_part_is_that_of_the_whole(height: int, width: int, seed: int) -> None:
    stain = np.random.default_rng(seed).random((height, width), dtype=np.float32)
    background = find_background(reduced(stain), size=(height, width), config=CONFIG)
    whole = background.under(Box(0, 0, height, width))
    assert whole.shape == (height, width)
    part = Box(height // 3, width // 3, height - 5, width // 3 + 21)
    clipped = Box(part.top, part.left, part.bottom, min(part.right, width))
    np.testing.assert_array_equal(background.under(clipped), whole[clipped.slices])


@pytest.mark.parametrize("middle", [(250, 260), (20, 300), (480, 480)])
def test_a_nucleus_wider_than_the_window_stays(middle: tuple[int, int]) -> None:
    """In the middle, and cut by the border: its inside is not taken for background."""
    picture = with_disc(slope(height=500, width=520, rise=0.1), radius=150, middle=middle)
    flat = remove_background(picture, config=CONFIG)
    inside = with_disc(np.zeros_like(picture), radius=100, middle=middle) > 0
    outside = with_disc(np.zeros_like(picture), radius=210, middle=middle) == 0
    assert flat[inside].min() > 0.25
    assert flat[outside].mean() < 0.03


def test_even_pictures_have_no_background_left() -> None:
    assert not remove_background(np.full((60, 90), 0.3, np.float32), config=CONFIG).any()
