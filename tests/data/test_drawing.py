from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supcam.core.config import ForegroundConfig
from supcam.core.foreground import chromosome_width, core_mask, solid, typical_stain
from supcam.data.drawing import DrawnChromosome, Preparation, ink, sketch_chromosome, tangents_of, turned

PREPARATION = Preparation(
    width_px=16.0,
    stain_level=0.65,
    band_contrast=0.6,
    chromatid_split=0.4,
    blur_px=1.1,
    bend_rad=1.3,
    roughness=0.02,
)


def drawn(seed: int, *, length_px: float = 90.0, preparation: Preparation = PREPARATION) -> DrawnChromosome:
    rng = np.random.default_rng(seed)
    return ink(sketch_chromosome(rng, preparation=preparation, length_px=length_px), rng=rng)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.floats(18, 200), st.floats(8, 30), st.floats(0, 4))
def test_body_is_one_piece_of_about_length_times_width(
    seed: int, length: float, width: float, bend: float
) -> None:
    length = max(length, 1.2 * width)
    look = Preparation(
        width_px=width,
        stain_level=0.6,
        band_contrast=0.6,
        chromatid_split=0.4,
        blur_px=1.0,
        bend_rad=bend,
        roughness=0.02,
    )
    chromosome = drawn(seed, length_px=length, preparation=look)
    n_labels, labels = cv2.connectedComponents(chromosome.mask.astype(np.uint8), connectivity=8)
    assert (labels == 1).sum() > 0.99 * chromosome.mask.sum()
    assert n_labels <= 3
    assert chromosome.length_px == pytest.approx(length, abs=0.5)
    steps = np.diff(chromosome.line, axis=0)
    assert np.hypot(*steps.T).sum() == pytest.approx(chromosome.length_px, rel=1e-6)
    assert 0.6 < chromosome.mask.sum() / (length * width) < 1.05
    assert not chromosome.mask[[0, -1]].any()
    assert not chromosome.mask[:, [0, -1]].any()


def test_background_is_bare_and_nothing_is_cut_by_the_canvas() -> None:
    chromosome = drawn(4)
    border = np.concatenate([chromosome.stain[[0, -1]].ravel(), chromosome.stain[:, [0, -1]].ravel()])
    assert border.max() < 0.02 * PREPARATION.stain_level
    assert chromosome.stain.min() >= 0


@pytest.mark.parametrize("seed", range(6))
def test_mask_is_what_the_foreground_finds_as_the_body(seed: int) -> None:
    chromosome = drawn(seed)
    typical = typical_stain(chromosome.stain)
    body = solid(
        core_mask(chromosome.stain, typical=typical, config=ForegroundConfig()), radius_px=3, hole_px=60
    )
    shared = (body & chromosome.mask).sum() / (body | chromosome.mask).sum()
    assert shared > 0.85
    assert chromosome_width(chromosome.mask) == pytest.approx(PREPARATION.width_px, abs=2.5)


def test_bands_lie_across_the_body() -> None:
    """Stain varies along the centre line far more than beside it at the same height."""
    straight = Preparation(
        width_px=16.0,
        stain_level=0.65,
        band_contrast=0.7,
        chromatid_split=0.0,
        blur_px=1.0,
        bend_rad=0.0,
        roughness=0.02,
    )
    chromosome = drawn(1, length_px=120, preparation=straight)
    across = np.stack([tangents_of(chromosome.line)[:, 1], -tangents_of(chromosome.line)[:, 0]], axis=1)

    def stain_beside(px: float) -> np.ndarray:
        at = np.rint(chromosome.line + px * across)[6:-6].astype(int)
        return np.asarray(chromosome.stain[at[:, 0], at[:, 1]])

    middle, left, right = stain_beside(0), stain_beside(-3.5), stain_beside(3.5)
    assert middle.std() > 0.15 * middle.mean()
    assert np.corrcoef(left, right)[0, 1] > 0.7


def test_split_shows_the_chromatids_as_a_light_middle_line() -> None:
    looks = [
        Preparation(
            width_px=18.0,
            stain_level=0.6,
            band_contrast=0.5,
            chromatid_split=split,
            blur_px=0.9,
            bend_rad=0.0,
            roughness=0.02,
        )
        for split in (0.0, 0.8)
    ]
    middle = []
    for look in looks:
        chromosome = drawn(2, length_px=120, preparation=look)
        at = np.rint(chromosome.line[6:-6]).astype(int)
        middle.append(chromosome.stain[at[:, 0], at[:, 1]].mean() / chromosome.stain[chromosome.mask].mean())
    assert middle[1] < 0.85 * middle[0]


@given(st.floats(-7, 7))
@settings(max_examples=20, deadline=None)
def test_turning_keeps_lengths_and_turns_every_tangent(angle: float) -> None:
    sketch = sketch_chromosome(np.random.default_rng(3), preparation=PREPARATION, length_px=80)
    after = turned(sketch, angle_rad=angle)
    assert np.allclose(after.line[0], sketch.line[0])
    before, now = tangents_of(sketch.line), tangents_of(after.line)
    cosine = (before * now).sum(axis=1)
    assert np.allclose(cosine, np.cos(angle), atol=1e-9)


def test_same_seed_draws_the_same_and_another_seed_does_not() -> None:
    assert np.array_equal(drawn(5).stain, drawn(5).stain)
    assert not np.array_equal(drawn(5).mask, drawn(6).mask)
