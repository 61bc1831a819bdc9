"""Typed chromosomes: what is drawn is what the ideogram says, in length, waist and bands."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from supcam.core.types import Polarity
from supcam.data.drawing import STEP_PX, Preparation, Sketch
from supcam.data.ideogram import CHROMOSOMES, LEVELS, BandStain, Level, read_ideogram
from supcam.data.typed_sketch import Banding, sketch_type

PREPARATION = Preparation(
    width_px=16.0,
    stain_level=0.5,
    band_contrast=0.6,
    chromatid_split=0.2,
    blur_px=1.1,
    bend_rad=1.3,
    roughness=0.02,
)
DARK, LIGHT = {BandStain.POSITIVE, BandStain.THREE_QUARTERS}, {BandStain.NEGATIVE, BandStain.STALK}


def sketched(
    chromosome: str, *, seed: int = 0, level: Level = 550, polarity: Polarity = Polarity.BRIGHT_FIELD
) -> Sketch:
    banding = Banding(level, longest_px=150.0, polarity=polarity)
    rng = np.random.default_rng(seed)
    return sketch_type(rng, chromosome=chromosome, preparation=PREPARATION, banding=banding)


def middle_of(name: str, band: str, *, level: Level = 550) -> float:
    """Where a band's middle lies, as a share of the chromosome's length."""
    ideogram = read_ideogram(name, level=level)
    found = next(one for one in ideogram.bands if one.name == band)
    return (found.start + found.end) / 2 / ideogram.length


def shade_at(sketch: Sketch, share: float) -> float:
    """How dark both chromatids are there."""
    return float(sketch.bands[:, round(share * (sketch.bands.shape[1] - 1))].mean())


@pytest.mark.parametrize("level", LEVELS)
def test_all_types_can_be_drawn_and_long_ones_are_long(level: Level) -> None:
    lengths = {
        name: np.mean([sketched(name, seed=seed, level=level).length_px for seed in range(4)])
        for name in CHROMOSOMES
    }
    assert lengths["1"] == pytest.approx(150, rel=0.08)
    assert lengths["1"] > lengths["3"] > lengths["6"] > lengths["13"] > lengths["18"] > lengths["21"]
    assert all(lengths[one] > 0.85 * lengths[other] for one, other in pairwise(CHROMOSOMES[:22]))


def test_short_chromosomes_contract_less_than_long_ones() -> None:
    short, long = read_ideogram("20", level=550), read_ideogram("1", level=550)
    drawn = [np.mean([sketched(name, seed=seed).length_px for seed in range(12)]) for name in ("20", "1")]
    assert 1.08 * short.length / long.length < drawn[0] / drawn[1] < 1.3 * short.length / long.length


@pytest.mark.parametrize("name", ["1", "4", "9", "11", "16", "18", "X"])
def test_dark_bands_are_drawn_dark_and_light_bands_light(name: str) -> None:
    """At the middle of the broader bands; arms differ a little in length from one drawing to the next."""
    ideogram = read_ideogram(name, level=400)
    broad = [band for band in ideogram.bands if band.end - band.start > 350]
    shades: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(6):
        sketch = sketched(name, seed=seed, level=400)
        for band in broad:
            if band.stain in DARK | LIGHT:
                place = middle_of(name, band.name, level=400)
                shades[band.stain in DARK].append(shade_at(sketch, place))
    assert len(shades[True]) >= 6
    assert np.mean(shades[True]) > np.mean(shades[False]) + 0.4


@pytest.mark.parametrize("name", ["1", "2", "8", "17", "X"])
def test_waist_is_at_the_centromere(name: str) -> None:
    places = []
    for seed in range(8):
        width = sketched(name, seed=seed).half_width_px
        inner = slice(round(10 / STEP_PX), -round(10 / STEP_PX))
        places.append((np.argmin(width[inner]) + inner.start) / width.size)
    assert np.median(places) == pytest.approx(read_ideogram(name, level=550).centromere_index, abs=0.06)


@pytest.mark.parametrize("name", ["13", "14", "15", "21", "22"])
def test_acrocentric_chromosomes_begin_with_a_satellite_on_a_thin_stalk(name: str) -> None:
    for seed in range(4):
        width = sketched(name, seed=seed).half_width_px
        assert width[: width.size // 3].mean() < 0.9 * width[width.size // 3 : -round(8 / STEP_PX)].mean()


def test_heterochromatin_of_9_is_pale_in_giemsa_and_bright_in_dapi() -> None:
    place = middle_of("9", "q12")
    giemsa, dapi = (
        np.mean([shade_at(sketched("9", seed=seed, polarity=polarity), place) for seed in range(8)])
        for polarity in (Polarity.BRIGHT_FIELD, Polarity.FLUORESCENCE)
    )
    assert giemsa < 0.5
    assert dapi > 0.75


def test_two_of_a_type_are_alike_but_not_the_same() -> None:
    one, other = sketched("5", seed=1), sketched("5", seed=2)
    assert one.length_px != other.length_px
    assert one.length_px == pytest.approx(other.length_px, rel=0.3)
    shares = np.linspace(0.1, 0.9, 60)
    profiles = [[shade_at(sketch, share) for share in shares] for sketch in (one, other, sketched("13"))]
    alike, unlike = np.asarray(np.corrcoef(profiles))[0, 1:]
    assert alike > 0.7 > unlike


def test_same_seed_sketches_the_same_chromosome() -> None:
    one, again = sketched("7", seed=3), sketched("7", seed=3)
    assert np.array_equal(one.line, again.line)
    assert np.array_equal(one.bands, again.bands)
