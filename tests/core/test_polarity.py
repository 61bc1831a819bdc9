"""Polarity: dark or bright objects, uneven grounds, doubt."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.test_image import as_8_bit, scan

from supcam.core.image import grey_from_array, to_stain
from supcam.core.polarity import find_polarity, polarity_of, read_histogram
from supcam.core.types import ImageError, Polarity


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), background=st.integers(120, 255))
def test_dark_bodies_are_bright_field_and_their_negative_is_fluorescence(seed: int, background: int) -> None:
    picture = as_8_bit(scan(np.random.default_rng(seed), background=background)).astype(np.float32)
    assert find_polarity(picture, white=255.0) == Polarity.BRIGHT_FIELD
    assert find_polarity(255 - picture, white=255.0) == Polarity.FLUORESCENCE


def test_polarity_does_not_depend_on_the_unit(rng: np.random.Generator) -> None:
    picture = scan(rng)
    for array in (as_8_bit(picture), (16 * picture).astype(np.uint16), picture / 255, picture - 300):
        grey = grey_from_array(array)
        assert find_polarity(grey.pixels, white=grey.white) == Polarity.BRIGHT_FIELD


def test_one_small_object_is_enough(rng: np.random.Generator) -> None:
    picture = np.round(rng.normal(225, 2, (400, 400))).astype(np.float32)
    picture[200:206, 100:115] = 120
    assert find_polarity(picture, white=255.0) == Polarity.BRIGHT_FIELD
    assert find_polarity(255 - picture, white=255.0) == Polarity.FLUORESCENCE


def uneven(rng: np.random.Generator) -> np.ndarray:
    """Dark bodies on a ground of 190 that falls to 150 on one side and rises to 230 on the other."""
    across = np.linspace(-1, 1, 400)
    ground = np.broadcast_to(190 + 40 * across**3, (300, 400))
    bodies = np.zeros(ground.shape, np.float32)
    for row in range(30, 280, 40):
        for column in range(30, 380, 60):
            bodies[row : row + 8, column : column + 30] = 0.12
    noise = rng.normal(scale=1.0, size=ground.shape)
    picture: np.ndarray = ground * 10 ** -cv2.GaussianBlur(bodies, (0, 0), 1) + noise
    return as_8_bit(picture).astype(np.float32)


def test_on_an_uneven_ground_surroundings_tell_what_levels_do_not(rng: np.random.Generator) -> None:
    picture = uneven(rng)
    for seen, polarity in ((picture, Polarity.BRIGHT_FIELD), (255 - picture, Polarity.FLUORESCENCE)):
        with pytest.raises(ImageError, match="neither clearly brighter nor clearly darker"):
            polarity_of(read_histogram(seen, white=255.0))
        assert find_polarity(seen, white=255.0) == polarity


def test_as_many_dark_as_bright_bodies_stay_in_doubt(rng: np.random.Generator) -> None:
    picture = np.round(rng.normal(128, 1, (200, 300))).astype(np.float32)
    for column in range(20, 280, 60):
        picture[40:50, column : column + 30] = 28
        picture[140:150, column : column + 30] = 228
    with pytest.raises(ImageError, match="set polarity"):
        find_polarity(picture, white=255.0)


def test_stain_of_an_uneven_ground_is_read(rng: np.random.Generator) -> None:
    stain = to_stain(grey_from_array(uneven(rng)))
    assert float(stain.max()) > 0.1
