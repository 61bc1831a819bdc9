from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.drawn_pieces import bar_piece, bar_region, distances, drawn_pieces, drawn_region

from supcam.core.config import ForegroundConfig
from supcam.core.types import ClusterType
from supcam.data.piece import Pose, cast, geodesic_steps, prepare, recast, signed_depth

LEVELS = ForegroundConfig()
POSES = st.builds(Pose, st.floats(0.3, 1.8), st.floats(0, 2 * np.pi), st.booleans())
PARTS = st.tuples(st.floats(0, 0.99), st.floats(0, 0.99))


def test_piece_of_a_bar_knows_its_body_ends_level_and_axis() -> None:
    piece = bar_piece(length=80, width=16, angle_deg=30)
    core, ends = piece.core > 127, piece.ends > 127
    assert set(np.unique(piece.core)) == set(np.unique(piece.ends)) == {0, 255}
    assert core.sum() == pytest.approx(80 * 16, rel=0.08)
    assert not (ends & ~core).any()
    assert ends.sum() == pytest.approx(2 * 0.6 * 16 * 16, rel=0.4)
    assert piece.level == pytest.approx(1.0, rel=0.03)
    assert abs(np.sin(piece.axis_rad - np.deg2rad(30))) < 0.05, "counter-clockwise, modulo half a turn"
    assert (piece.width_px, piece.n_chromosomes, piece.type) == (16, 1, ClusterType.INSTANCE)
    assert piece.stain.shape == piece.core.shape == piece.ends.shape


def test_ends_of_a_bent_body_lie_at_its_tips_and_not_at_its_bend() -> None:
    """A U: its tips are near each other, its bend is farthest from both."""
    rows, columns = np.mgrid[:100, :100]
    ring = np.abs(np.hypot(rows - 60, columns - 50) - 30) < 6
    horseshoe = (ring & (rows <= 60)) | ((np.abs(np.abs(columns - 50) - 30) < 6) & (rows > 60) & (rows < 85))
    region = bar_region(length=60, width=12)
    bent = replace(region, stain=horseshoe.astype(np.float32), mask=horseshoe)
    piece = prepare(bent, config=LEVELS)
    assert piece is not None
    ends, core = piece.ends > 127, piece.core > 127
    top = np.argwhere(core)[:, 0].min()
    assert not ends[: top + 40].any()
    assert ends[-14:].any()
    left, right = ends[:, : ends.shape[1] // 2].sum(), ends[:, ends.shape[1] // 2 :].sum()
    assert 0.6 < left / right < 1.6


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_geodesic_steps_are_those_of_a_plain_loop(seed: int, height: int, width: int) -> None:
    """Whatever was reached spreads to all eight neighbours in one step and to four in the next."""
    rng = np.random.default_rng(seed)
    core = rng.random((height, width)) < rng.uniform(0.3, 1)
    row, column = (int(rng.integers(height)), int(rng.integers(width)))
    core[row, column] = True
    expected = {(row, column): 0}
    for step in range(1, 4 * (height + width)):
        for y, x in [*expected]:
            near = [(y + a, x + b) for a in (-1, 0, 1) for b in (-1, 0, 1) if step % 2 or not (a and b)]
            inside = [(a, b) for a, b in near if 0 <= a < height and 0 <= b < width and core[a, b]]
            for each in inside:
                expected.setdefault(each, step)
    steps = geodesic_steps(core, (row, column))
    assert {(y, x): steps[y, x] for y, x in np.argwhere(steps >= 0)} == expected


def test_light_bands_belong_to_the_body() -> None:
    region = bar_region(length=80, width=14)
    banded = region.stain.copy()
    middle = banded.shape[1] // 2
    banded[:, middle - 1 : middle + 1] *= 0.1
    piece = prepare(replace(region, stain=banded), config=LEVELS)
    assert piece is not None
    assert (piece.core > 127).sum() == pytest.approx(80 * 14, rel=0.08)


def test_what_cannot_be_composed_is_no_piece() -> None:
    region = bar_region(length=60, width=12)
    assert prepare(replace(region, type=None), config=LEVELS) is None
    assert prepare(replace(region, stain=np.zeros_like(region.stain)), config=LEVELS) is None
    assert prepare(bar_region(length=4, width=3), config=LEVELS) is None


def test_group_names_source_case_and_picture() -> None:
    region = replace(bar_region(length=60, width=12), source="lab", case="7", picture="72")
    piece = prepare(region, config=LEVELS)
    assert piece is not None
    assert piece.group == "lab/7/72"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 30), POSES, PARTS)
def test_cast_holds_the_whole_piece_in_its_pose(index: int, pose: Pose, shift: tuple[float, float]) -> None:
    piece = drawn_pieces()[index]
    drawn = cast(piece, pose=pose, shift=shift)
    assert drawn.core.shape == drawn.ends.shape == drawn.depth.shape == drawn.stain.shape
    assert drawn.core.sum() == pytest.approx(pose.scale**2 * (piece.core > 127).sum(), rel=0.12, abs=6)
    assert drawn.stain.sum() == pytest.approx(pose.scale**2 * piece.stain.sum(), rel=0.03)
    assert not drawn.core[[0, -1]].any()
    assert not drawn.core[:, [0, -1]].any()
    assert not (drawn.ends & ~drawn.core).any()
    assert drawn.width_px == pytest.approx(pose.scale * piece.width_px)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 2 * np.pi), st.floats(-0.9, 0.9), st.booleans())
def test_cast_turns_counter_clockwise(angle_rad: float, first_rad: float, mirrored: bool) -> None:
    """Measured by the second moments of the mask; a mirror image is turned after it is mirrored."""
    piece = bar_piece(length=70, width=12, angle_deg=float(np.rad2deg(first_rad)))
    drawn = cast(piece, pose=Pose(1.0, angle_rad, mirrored))
    rows, columns = np.nonzero(drawn.core)
    spread = np.cov(np.stack([columns, -rows]).astype(float))
    axis = 0.5 * np.arctan2(2 * spread[0, 1], spread[0, 0] - spread[1, 1])
    expected = (np.pi - first_rad if mirrored else first_rad) + angle_rad
    assert abs(np.sin(axis - expected)) < 0.06


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 30), POSES, PARTS)
def test_matrix_leads_from_the_piece_to_the_cast(index: int, pose: Pose, shift: tuple[float, float]) -> None:
    piece = drawn_pieces()[index]
    drawn = cast(piece, pose=pose, shift=shift)
    rows, columns = np.nonzero(piece.core)
    x, y = drawn.matrix @ np.stack([columns, rows, np.ones_like(rows)]).astype(float)
    inside = drawn.core[np.rint(y).astype(int), np.rint(x).astype(int)]
    assert inside.mean() > 0.88


def test_recast_draws_from_the_first_pixels_and_not_from_the_cast() -> None:
    piece = drawn_pieces()[4]
    small = cast(piece, pose=Pose(0.3, 0.7))
    large = recast(small, matrix=cast(piece, pose=Pose(1.0, 0.7)).matrix, size=(160, 160))
    straight = cast(piece, pose=Pose(1.0, 0.7))
    rows, columns = (min(a, b) for a, b in zip(large.core.shape, straight.core.shape, strict=True))
    np.testing.assert_array_equal(large.core[:rows, :columns], straight.core[:rows, :columns])
    np.testing.assert_allclose(large.stain[:rows, :columns], straight.stain[:rows, :columns], atol=1e-6)
    assert large.width_px == pytest.approx(piece.width_px)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_signed_depth_is_the_distance_to_the_edge(seed: int) -> None:
    """To within five per cent of a search over all pixels."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((24, 30), np.bool_)
    for _ in range(3):
        top, left = rng.integers(2, 14), rng.integers(2, 18)
        mask[top : top + rng.integers(2, 9), left : left + rng.integers(2, 11)] = True
    depth = signed_depth(mask)
    inside, outside = np.argwhere(mask), np.argwhere(~mask)
    np.testing.assert_allclose(depth[mask], distances(inside, outside), rtol=0.06)
    np.testing.assert_allclose(depth[~mask], -distances(outside, inside), rtol=0.06)


def test_preparing_writes_nothing_into_the_region() -> None:
    region = drawn_region(1)
    before = region.stain.copy(), region.mask.copy()
    prepare(region, config=LEVELS)
    np.testing.assert_array_equal(region.stain, before[0])
    np.testing.assert_array_equal(region.mask, before[1])
