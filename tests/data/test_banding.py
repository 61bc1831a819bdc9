"""Drawn bands: where they lie, how hard they are, and what they leave alone."""

from __future__ import annotations

import numpy as np
import pytest
from tests.drawn_pieces import bar_piece

from supcam.core.config import CompositionConfig
from supcam.data.banding import Bands, BandStyle, draw_bands, draw_style, spread_outside

CONFIG = CompositionConfig()


def test_share_of_samples_gets_drawn_bands() -> None:
    rng = np.random.default_rng(0)
    config = CompositionConfig(band_share=0.3, band_depth=(0.2, 0.6))
    styles = [draw_style(config=config, rng=rng) for _ in range(600)]
    drawn = [style for style in styles if style is not None]
    assert len(drawn) / 600 == pytest.approx(0.3, abs=0.06)
    assert all(0.2 <= style.depth <= 0.6 for style in drawn)
    assert draw_style(config=CompositionConfig(band_share=0.0), rng=rng) is None


@pytest.mark.parametrize("seed", range(5))
def test_bands_take_stain_up_to_their_depth_and_add_none(seed: int) -> None:
    bands = draw_bands(BandStyle(0.7, 1.0), config=CONFIG, rng=np.random.default_rng(seed))
    assert bands.factors.dtype == np.float32
    assert bands.factors.min() >= 0.3 - 1e-6
    assert bands.factors.max() <= 1 + 1e-6
    assert np.ptp(bands.factors) > 0.3


def test_pale_style_has_more_light_than_dark() -> None:
    def mean(paleness: float) -> float:
        rng = np.random.default_rng(1)
        style = BandStyle(0.8, paleness)
        return float(np.mean([draw_bands(style, config=CONFIG, rng=rng).factors for _ in range(40)]))

    assert mean(3.0) < mean(1.0) - 0.05 < mean(0.4) - 0.1


def test_a_band_lies_at_its_place_along_the_body() -> None:
    factors = np.ones(320, np.float32)
    factors[20:40] = 0.25  # from 1 to 2 widths
    along = np.array([[0.0, 0.9, 1.5, 2.2, 99.0]], np.float32)
    painted = Bands(factors).painted(np.full((1, 5), 2.0, np.float32), along=along)
    assert painted.tolist() == [[2.0, 2.0, 0.5, 2.0, 2.0]]


def test_pixels_outside_take_over_the_nearest_value() -> None:
    core = np.zeros((5, 9), np.bool_)
    core[2, 2:7] = True
    along = np.where(core, np.arange(9, dtype=np.float32), np.float32(-1))
    spread = spread_outside(along, core=core)
    assert (spread[core] == along[core]).all()
    assert spread[0, 4] == 4
    assert spread[2, 0] == 2
    assert spread[4, 8] == 6


def test_along_runs_from_tip_to_tip_of_a_piece() -> None:
    piece = bar_piece(length=60, width=12)
    inside = piece.along[piece.core > 127]
    assert inside.min() == pytest.approx(0, abs=0.2)
    assert inside.max() == pytest.approx(60 / piece.width_px, rel=0.12)
