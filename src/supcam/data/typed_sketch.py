"""The 24 human types as sketches: how long, where the waist is, and which bands lie along the line.

Lengths and bands are those of the ideogram; how dark a band is drawn, how much single chromosomes vary and
how a metaphase contracts are our choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float64

from supcam.core.types import Polarity
from supcam.data.drawing import STEP_PX, Preparation, Profile, Sketch, bent_line, half_width
from supcam.data.ideogram import LONGEST, Band, BandStain, Ideogram, Level, read_ideogram

_CONTRACTION = 0.9
"""Long chromosomes contract more: a length is its share of chromosome 1 to this power. After the boxes of the
training cases of Tseng et al. (2023), where short ones are some tenth longer than the ideogram says."""
_GIEMSA = {
    BandStain.NEGATIVE: 0.06,
    BandStain.QUARTER: 0.35,
    BandStain.HALF: 0.60,
    BandStain.THREE_QUARTERS: 0.80,
    BandStain.POSITIVE: 1.0,
    BandStain.CENTROMERE: 0.55,
    BandStain.VARIABLE: 0.75,
    BandStain.STALK: 0.0,
}
_DAPI = _GIEMSA | {BandStain.CENTROMERE: 0.7, BandStain.VARIABLE: 0.95}
"""DAPI shows the bands of G-banding, and the heterochromatin of 1, 9, 16 and Y brightest of all."""
_PALE_IN_GIEMSA = {("9", "q12")}
_STALK_WIDTH = 0.5
_WAIST = 0.75
_SATELLITE_WIDTH = 0.85


@dataclass(frozen=True, slots=True)
class Banding:
    """What all typed chromosomes of one picture share besides their preparation.

    ``level`` is the number of bands that the ideogram resolves; ``longest_px`` the length of chromosome 1.
    """

    level: Level
    longest_px: float
    polarity: Polarity


@dataclass(frozen=True, slots=True, eq=False)
class _Course:
    """The bands of one chromosome, in pixels along it: their ends, shades and shares of the width."""

    ends_px: Profile
    shades: Profile
    widths: Profile
    centromere_px: float


def sketch_type(
    rng: np.random.Generator, *, chromosome: str, preparation: Preparation, banding: Banding
) -> Sketch:
    """A chromosome of the type ``chromosome`` (1 ... 22, X, Y), bent at random, with the bands of its type.

    Two of a type differ a little in length and stain, and clearly in their variable regions.
    """
    course = _course(rng, ideogram=read_ideogram(chromosome, level=banding.level), banding=banding)
    steps = max(8, round(course.ends_px[-1] / STEP_PX)) + 1
    along = np.arange(steps) * STEP_PX
    centromere_px = course.centromere_px
    half_width_px = half_width(
        along, centromere_px=centromere_px, preparation=preparation, waist=_WAIST, rng=rng
    )
    return Sketch(
        line=bent_line(along, centromere_px=centromere_px, preparation=preparation, rng=rng),
        half_width_px=half_width_px * _widths(along, course=course, width_px=preparation.width_px),
        bands=_bands(along, course=course, width_px=preparation.width_px, rng=rng),
        preparation=preparation,
        bow=rng.normal(0, 0.06),
    )


def _course(rng: np.random.Generator, *, ideogram: Ideogram, banding: Banding) -> _Course:
    """Where the bands of one single chromosome lie; no two of a type are alike."""
    share = ideogram.length / LONGEST
    length_px = banding.longest_px * share**_CONTRACTION * rng.normal(1, 0.04)
    factors = [_length_factor(band, ideogram=ideogram, rng=rng) for band in ideogram.bands]
    lengths = np.array([band.end - band.start for band in ideogram.bands]) * factors
    ends_px = np.cumsum(lengths) * length_px / ideogram.length
    shades = _GIEMSA if banding.polarity is Polarity.BRIGHT_FIELD else _DAPI
    return _Course(
        ends_px=ends_px,
        shades=np.array([_shade(band, ideogram=ideogram, shades=shades, rng=rng) for band in ideogram.bands]),
        widths=np.array([_width_share(band, ideogram=ideogram) for band in ideogram.bands]),
        centromere_px=float(ends_px[sum(band.arm == "p" for band in ideogram.bands) - 1]),
    )


def _length_factor(band: Band, *, ideogram: Ideogram, rng: np.random.Generator) -> float:
    """How much longer a band is than drawn in the ideogram, which shows large satellites on long stalks."""
    if ideogram.is_acrocentric and band.arm == "p" and band.stain is not BandStain.CENTROMERE:
        return rng.uniform(0.4, 1.0)
    if band.stain is BandStain.VARIABLE:
        return float(np.clip(rng.lognormal(0, 0.25), 0.5, 1.7))
    return rng.normal(1, 0.03)


def _shade(
    band: Band, *, ideogram: Ideogram, shades: dict[BandStain, float], rng: np.random.Generator
) -> float:
    """0 light .. 1 dark."""
    pale = shades is _GIEMSA and (ideogram.chromosome, band.name) in _PALE_IN_GIEMSA
    usual = 0.25 if pale else shades[band.stain]
    spread = 0.15 if band.stain is BandStain.VARIABLE else 0.06
    return float(np.clip(rng.normal(usual, spread), 0, 1.1))


def _width_share(band: Band, *, ideogram: Ideogram) -> float:
    if band.stain is BandStain.STALK:
        return _STALK_WIDTH
    is_satellite = ideogram.is_acrocentric and band.arm == "p" and band.stain is BandStain.VARIABLE
    return _SATELLITE_WIDTH if is_satellite else 1.0


def _widths(along: Profile, *, course: _Course, width_px: float) -> Profile:
    """Share of the full width at each step; stalks are thin, without steps in the outline."""
    widths = course.widths[_band_at(along, course=course)]
    reach = 0.12 * width_px / STEP_PX
    return np.asarray(cv2.GaussianBlur(widths[None], (0, 0), reach, borderType=cv2.BORDER_REPLICATE)[0])


def _bands(
    along: Profile, *, course: _Course, width_px: float, rng: np.random.Generator
) -> Float64[np.ndarray, "2 steps"]:
    """The shades along each chromatid; the two are a little out of step."""
    rows = []
    for _ in range(2):
        wave = 0.05 * width_px * np.sin(along / (1.5 * width_px) + rng.uniform(0, 2 * np.pi))
        own = along + wave + 0.04 * width_px * rng.standard_normal()
        shades = course.shades + 0.08 * rng.standard_normal(course.shades.size)
        rows.append(shades[_band_at(own, course=course)])
    soft = 0.09 * width_px / STEP_PX
    return np.clip(cv2.GaussianBlur(np.stack(rows), (0, 0), sigmaX=soft, sigmaY=1e-6), 0, 1.1)


def _band_at(along: Profile, *, course: _Course) -> np.ndarray:
    """The number of the band at each place along the line."""
    return np.minimum(np.searchsorted(course.ends_px, along), course.ends_px.size - 1)
