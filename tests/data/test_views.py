from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.drawn_pieces import bar_region, drawn_region

from supcam.core.config import CropConfig, ViewConfig
from supcam.core.crop import Square, network_input
from supcam.data.views import draw_view, two_views

STILL: dict[str, object] = {
    "blur_px": (0, 0), "sharpen": 0, "noise": 0, "gamma": (1, 1), "banding": (1, 1), "pedestal": 0,
    "shift_px": 0, "speck_share": 0,
}  # fmt: skip
"""No change at all but turns and mirror images."""
CONFIG = ViewConfig()
SEEDS = st.integers(0, 2**32)


def picture(seed: int = 3) -> Square:
    return network_input(drawn_region(seed), config=CropConfig())


def still(**change: object) -> ViewConfig:
    return ViewConfig.model_validate(STILL | change)


def eight_turns(square: Square) -> list[Square]:
    return [np.rot90(one, k) for one in (square, square[:, ::-1]) for k in range(4)]


def test_turns_are_exact_and_all_eight_come() -> None:
    original = picture()
    seen = set()
    for seed in range(60):
        view = draw_view(original, config=still(), rng=np.random.default_rng(seed))
        matches = [k for k, turn in enumerate(eight_turns(original)) if np.allclose(view, turn, rtol=1e-5)]
        assert len(matches) == 1
        seen.add(matches[0])
    assert seen == set(range(8))


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(1, 32), st.sampled_from([20, 60, 105, 120]))
def test_shift_never_cuts_anything_off(seed: int, shift_px: int, length: int) -> None:
    config = CropConfig(margin_px=0)
    original = network_input(bar_region(length=length, width=11), config=config)
    view = draw_view(original, config=still(shift_px=shift_px), rng=np.random.default_rng(seed))
    np.testing.assert_allclose(np.sort(view.ravel()), np.sort(original.ravel()), rtol=1e-5)
    boxes = [(np.ptp(np.nonzero(one)[0]), np.ptp(np.nonzero(one)[1])) for one in (original, view)]
    assert sorted(boxes[0]) == sorted(boxes[1]), "rolled over the border"


def test_shifts_reach_the_limit_in_every_direction_and_no_farther() -> None:
    """A disc, so that turns do not move its middle."""
    square = np.zeros((128, 128), np.float32)
    rows, columns = np.mgrid[:128, :128] - 63.5
    square[rows**2 + columns**2 < 300] = 1
    middles = []
    for seed in range(200):
        view = draw_view(square, config=still(shift_px=4), rng=np.random.default_rng(seed))
        middles.append(np.argwhere(view).mean(axis=0) - 63.5)
    moved = np.rint(np.array(middles)).astype(int)
    assert moved.min(axis=0).tolist() == [-4, -4]
    assert moved.max(axis=0).tolist() == [4, 4]


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(0, 9))
def test_view_is_a_network_input_like_any_other(seed: int, body: int) -> None:
    original = picture(body)
    before = original.copy()
    view = draw_view(original, config=CONFIG, rng=np.random.default_rng(seed))
    assert view.shape == original.shape
    assert view.dtype == np.float32
    assert view.flags["C_CONTIGUOUS"]
    assert np.isfinite(view).all()
    assert view.min() >= 0
    assert view.max() <= 2.5
    level = float((view**2).sum() / view.sum())
    assert level == pytest.approx(1.0, abs=0.12), "normalised anew, but for what is clipped"
    np.testing.assert_array_equal(original, before)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_cut_out_background_stays_zero(seed: int) -> None:
    """Noise, pedestal and contrast change stain and rim only."""
    config = still(noise=0.3, gamma=(0.5, 2), pedestal=0.3, sharpen=0.8, banding=(0.4, 2))
    original = picture()
    view = draw_view(original, config=config, rng=np.random.default_rng(seed))
    assert any(not view[turn == 0].any() for turn in eight_turns(original))


def test_blank_picture_stays_blank() -> None:
    blank = np.zeros((64, 64), np.float32)
    for seed in range(20):
        assert not draw_view(blank, config=CONFIG, rng=np.random.default_rng(seed)).any()


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_same_seed_gives_the_same_view(seed: int) -> None:
    first, again = (draw_view(picture(), config=CONFIG, rng=np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    "change",
    [
        {"blur_px": (0.8, 0.9)},
        {"sharpen": 2},
        {"noise": 0.3},
        {"gamma": (1.4, 1.5)},
        {"pedestal": 0.3},
        {"banding": (1.8, 2)},
    ],
)
def test_every_setting_changes_the_picture(change: dict[str, object]) -> None:
    """In some views: blur and sharpening take turns, the others are drawn between nothing and all."""
    original = picture()
    differences = []
    for seed in range(12):
        view = draw_view(original, config=still(**change), rng=np.random.default_rng(seed))
        differences.append(min(float(np.abs(view - turn).max()) for turn in eight_turns(original)))
    assert max(differences) > 0.05


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.sampled_from([0.4, 2.0]))
def test_bands_get_paler_or_harder_inside_the_body_only(seed: int, factor: float) -> None:
    original = picture(seed % 10)
    view = draw_view(original, config=still(banding=(factor, factor)), rng=np.random.default_rng(seed))
    turn = max(eight_turns(original), key=lambda one: float((one * view).sum()))
    edge = (turn > 0) & (turn < 0.28)
    ratio = view[edge] / turn[edge]
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-3)  # but for the common level
    body = turn > 0.6
    change = view[body].std() / view[body].mean() / (turn[body].std() / turn[body].mean())
    assert (change < 0.95) if factor < 1 else (change > 1.1)


def test_two_views_are_independent_and_follow_from_the_seed() -> None:
    original = picture()
    views = two_views(original, config=CONFIG, rng=np.random.default_rng(4))
    again = two_views(original, config=CONFIG, rng=np.random.default_rng(4))
    assert not np.array_equal(views.query, views.key)
    np.testing.assert_array_equal(views.query, again.query)
    np.testing.assert_array_equal(views.key, again.key)
    np.testing.assert_array_equal(
        views.query, draw_view(original, config=CONFIG, rng=np.random.default_rng(4))
    )


def test_specks_come_in_their_share_and_add_stain_on_the_rim_alone() -> None:
    original = picture()
    config = still(speck_share=0.3)
    soiled = 0
    for seed in range(200):
        view = draw_view(original, config=config, rng=np.random.default_rng(seed))
        closest = min(float(np.abs(view - turn).max()) for turn in eight_turns(original))
        soiled += closest > 0.02
    assert soiled / 200 == pytest.approx(0.3, abs=0.1)


def test_specks_are_smaller_than_a_chromosome() -> None:
    original = picture()
    grown = []
    for seed in range(40):
        view = draw_view(original, config=still(speck_share=1), rng=np.random.default_rng(seed))
        grown.append(int((view > 0.3).sum()) - int((original > 0.3).sum()))
    assert 3 < np.mean(grown) < 150
