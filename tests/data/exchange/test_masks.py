"""Masks of other programs: round trips, oracles, and what lies or is made to harm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco
from tests.drawn_marks import blob

from supcam.core.rle import encode_rle, runs_of
from supcam.core.types import Box, Mask
from supcam.data.exchange.marked import MarkError
from supcam.data.exchange.masks import (
    Outlined,
    cropped,
    ellipse,
    from_brush,
    from_columns,
    from_polygons,
    from_runs,
    to_brush,
    to_runs,
)

ANY_MASK = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)).filter(np.any)

LABEL_STUDIO_BRUSH = [0, 0, 0, 48, 57, 27, 254, 19, 0, 159, 255, 9, 128, 0]


def on_picture(outlined: Outlined, *, size: tuple[int, int]) -> Mask:
    whole = np.zeros(size, np.bool_)
    whole[outlined.box.slices] = outlined.mask
    return whole


@given(mask=ANY_MASK)
def test_runs_along_rows_and_down_columns_come_back(mask: Mask) -> None:
    height, width = mask.shape
    rows = from_runs(to_runs(mask), height=height, width=width)
    columns = from_columns([*runs_of(encode_rle(mask)["counts"])], height=height, width=width)
    for found in (rows, columns):
        np.testing.assert_array_equal(on_picture(found, size=mask.shape), mask)
        for rim in (found.mask[0], found.mask[-1], found.mask[:, 0], found.mask[:, -1]):
            assert rim.any()


@given(mask=ANY_MASK, top=st.integers(0, 3), left=st.integers(0, 3), below=st.integers(0, 3))
def test_the_brush_of_label_studio_comes_back(mask: Mask, top: int, left: int, below: int) -> None:
    size = (top + mask.shape[0] + below, left + mask.shape[1] + 2)
    box = Box(top, left=left, bottom=top + mask.shape[0], right=left + mask.shape[1])
    brush = to_brush(mask, box=box, size=size)
    found = from_brush(brush, height=size[0], width=size[1])
    whole = np.zeros(size, np.bool_)
    whole[box.slices] = mask
    np.testing.assert_array_equal(on_picture(found, size=size), whole)


def test_the_brush_is_read_as_label_studio_writes_it() -> None:
    """Bytes made by Label Studio's own converter (encode_rle of its brush) for 3 x 4 pixels, two painted."""
    written = LABEL_STUDIO_BRUSH
    found = from_brush(written, height=3, width=4)
    assert found.box == Box(1, left=1, bottom=2, right=3)
    assert found.mask.all()


def test_a_brush_with_values_one_by_one_is_read() -> None:
    opacity = [0, 0, 0, 255, 0, 9]
    values = [value for pixel in opacity for value in (7, 7, 7, pixel)]
    bits = f"{len(values):032b}" + f"{7:05b}" + "".join(f"{n - 1:04b}" for n in (3, 4, 8, 16))
    bits += "0" + "10" + f"{len(values) - 1:08b}" + "".join(f"{value:08b}" for value in values)
    packed = [int(bits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(bits), 8)]
    found = from_brush(packed, height=2, width=3)
    np.testing.assert_array_equal(found.mask, [[True, False, True]])
    assert found.box == Box(1, left=0, bottom=2, right=3)


@pytest.mark.parametrize(
    "brush",
    [
        [],
        [0, 0, 0],
        [256],
        [-1],
        ["1"],
        [255] * 40,
        to_brush(blob(0), box=Box(0, 0, 9, 12), size=(9, 12))[:-3],
        to_brush(blob(0), box=Box(0, 0, 9, 12), size=(10, 12)),
        to_brush(np.zeros((9, 12), np.bool_), box=Box(0, 0, 9, 12), size=(9, 12)),
    ],
)
def test_brushes_that_are_none(brush: list[int]) -> None:
    with pytest.raises(MarkError):
        from_brush(brush, height=9, width=12)


@pytest.mark.parametrize("runs", [[], [108], [50, 59], [50, -1, 59], [50, 58.0], [2**70, 1], [108, 0]])
def test_run_lengths_that_are_none(runs: list[int]) -> None:
    with pytest.raises(MarkError):
        from_runs(runs, height=9, width=12)
    with pytest.raises(MarkError):
        from_columns(runs, height=9, width=12)


@pytest.mark.parametrize("text", ["\x00", "é", "o" * 30])
def test_text_of_run_lengths_is_not_trusted(text: str) -> None:
    with pytest.raises(ValueError, match="run lengths"):
        [*runs_of(text)]


def test_an_object_costs_its_box_and_not_its_picture() -> None:
    side = 60_000
    start = 30_000 * side + 100
    runs = [start, 5, side * side - start - 5]
    found = from_runs(runs, height=side, width=side)
    assert found.box == Box(30_000, left=100, bottom=30_001, right=105)


# ---- polygons


@given(
    corners=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=3, max_size=7, unique=True)
)
def test_polygons_hold_the_pixels_whose_centres_lie_within(corners: list[tuple[int, int]]) -> None:
    ring = [float(side) for corner in corners for side in corner]
    expected = np.array([[_is_within(x + 0.5, y + 0.5, corners) for x in range(20)] for y in range(20)])
    if not expected.any():
        with pytest.raises(MarkError):
            from_polygons([ring], height=20, width=20)
        return
    found = from_polygons([ring], height=20, width=20)
    np.testing.assert_array_equal(on_picture(found, size=(20, 20)), expected)


def _is_within(x: float, y: float, corners: list[tuple[int, int]]) -> bool:
    """By the number of edges that a ray to the right crosses; a left edge belongs to it, a right one not."""
    within = False
    for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            within = not within
    return within


def test_polygons_are_nearly_what_pycocotools_makes_of_them() -> None:
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    ring = np.stack([30 + 20 * np.cos(angles), 25 + 15 * np.sin(angles)], axis=1).ravel().tolist()
    theirs = coco.decode(coco.frPyObjects([ring], 60, 70))[..., 0].astype(bool)
    ours = on_picture(from_polygons([ring], height=60, width=70), size=(60, 70))
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.95


def test_rectangles_are_exact_and_rings_are_joined() -> None:
    square, far = [2.0, 3.0, 5.0, 3.0, 5.0, 6.0, 2.0, 6.0], [8.0, 8.0, 9.0, 8.0, 9.0, 9.0, 8.0, 9.0]
    found = from_polygons([square, far], height=10, width=10)
    assert found.box == Box(3, left=2, bottom=9, right=9)
    assert found.mask.sum() == 10
    outside = from_polygons([[-5.0, -5.0, 3.0, -5.0, 3.0, 4.0, -5.0, 4.0]], height=10, width=10)
    assert outside.box == Box(0, left=0, bottom=4, right=3)


@pytest.mark.parametrize(
    "rings",
    [
        [],
        [[1.0, 1.0, 2.0, 2.0]],
        [[1.0, 1.0, 2.0, 2.0, 3.0]],
        [[float("nan")] * 6],
        [[1.0, 1.0, 1.1, 1.0, 1.1, 1.1]],
        [[50.0, 50.0, 60.0, 50.0, 60.0, 60.0]],
        [[0.0, 1.0] * 200_001],
    ],
)
def test_polygons_that_hold_nothing(rings: list[list[float]]) -> None:
    with pytest.raises(MarkError):
        from_polygons(rings, height=20, width=20)


def test_ellipses_have_their_area() -> None:
    found = ellipse((30.0, 20.0), radii=(15.0, 10.0), size=(40, 60))
    assert found.mask.sum() == pytest.approx(np.pi * 150, rel=0.02)
    with pytest.raises(MarkError, match="extent"):
        ellipse((30.0, 20.0), radii=(0.0, 10.0), size=(40, 60))


def test_an_empty_mask_is_no_object() -> None:
    with pytest.raises(MarkError, match="single pixel"):
        cropped(np.zeros((3, 4), np.bool_), top=0, left=0)
