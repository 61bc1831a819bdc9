"""Virtual laboratories: each prepares, stains and photographs its slides in a way of its own.

Laboratory k of a seed is always the same. Its pictures differ as the slides of one laboratory do, by a few
parts in a hundred; laboratories differ by far more. The ranges are our choice, and wider than what the
training cases of Tseng et al. (2023) show: width 14 to 23 pixels, stain of a body 0.13 to 0.37, background
from grey 190 to saturated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from supcam.core.config import ForegroundConfig, StageConfig
from supcam.core.types import Polarity
from supcam.data.camera import Camera
from supcam.data.drawing import Preparation
from supcam.data.ideogram import LEVELS, Level
from supcam.data.typed_sketch import Banding

N_LABORATORIES = 20
"""Laboratories 0 to 19 are those that ``all`` means."""

_STREAM = 20_230
_FLUORESCENCE_EVERY = 5
_SLIDES_VARY = 0.06
_BODY_STAIN = 0.6
"""Typical stain of a chromosome, as a share of that of a dark band."""


def _even(values: tuple[int, int]) -> tuple[int, int]:
    if min(values) < 64 or max(values) > 20_000:
        raise ValueError("expected a height and a width of 64 to 20000 pixels")
    return values


PictureSize = Annotated[tuple[int, int], AfterValidator(_even)]
"""Height and width in pixels."""


class Laboratory(StageConfig):
    """How one laboratory's slides and pictures look; most values vary a little from slide to slide."""

    name: str = Field("own", description="Its number, or a name of one's own; stands in the tables.")
    level: Level = Field(550, description="Bands that its chromosomes resolve: 400, 550 or 850.")
    longest_widths: float = Field(9.0, ge=4, le=20, description="Length of chromosome 1 in widths.")
    width_px: float = Field(17.0, ge=6, le=60, description="Chromosome width.")
    stain_level: float = Field(0.4, gt=0, le=1.5, description="Stain of a dark band.")
    band_contrast: float = Field(0.6, ge=0, le=0.8, description="How much lighter light bands are.")
    chromatid_split: float = Field(0.3, ge=0, le=0.8, description="How clearly two chromatids show.")
    blur_px: float = Field(1.2, ge=0.5, le=4, description="Standard deviation of the microscope's blur.")
    bend_rad: float = Field(1.3, ge=0, le=4, description="Usual turn of a long chromosome from end to end.")
    roughness: float = Field(0.025, ge=0, le=0.1, description="How ragged outlines and bands are.")
    grain: float = Field(0.12, ge=0, le=0.4, description="How uneven the stain is within a band.")
    added_stain: float = Field(0.7, ge=0, le=1, description="Share of the weaker stain added in an overlap.")
    picture_px: PictureSize = Field((1000, 1200), description="Height and width of a picture.")
    camera: Camera = Field(Camera(), description="How its camera turns stain into grey levels.")

    @model_validator(mode="after")
    def _blur_leaves_a_chromosome(self) -> Self:
        if self.blur_px > 0.2 * self.width_px:
            raise ValueError("blur_px must be at most a fifth of width_px")
        return self


@dataclass(frozen=True, slots=True)
class VirtualSlide:
    """One slide of a laboratory: what all chromosomes of one picture share.

    Where touching bodies hang together there must be ``bridge`` times the stain of the contact level: noise,
    sharpening and a background that saturates take off some of it.
    """

    preparation: Preparation
    banding: Banding
    added_stain: float
    bridge: float


def draw_slide(rng: np.random.Generator, *, laboratory: Laboratory) -> VirtualSlide:
    """A slide as ``laboratory`` makes them."""
    width_px = laboratory.width_px * _vary(rng)
    preparation = Preparation(
        width_px=width_px,
        stain_level=laboratory.stain_level * _vary(rng),
        band_contrast=laboratory.band_contrast * _vary(rng),
        chromatid_split=laboratory.chromatid_split * _vary(rng),
        blur_px=laboratory.blur_px * _vary(rng),
        bend_rad=laboratory.bend_rad,
        roughness=laboratory.roughness * _vary(rng),
        grain=laboratory.grain * _vary(rng),
    )
    longest_px = laboratory.longest_widths * width_px * _vary(rng)
    banding = Banding(laboratory.level, longest_px=longest_px, polarity=laboratory.camera.polarity)
    return VirtualSlide(
        preparation,
        banding,
        added_stain=min(1.0, laboratory.added_stain * _vary(rng)),
        bridge=_bridge(laboratory),
    )


def _bridge(laboratory: Laboratory) -> float:
    """1.15 for a plain camera; what sharpening and a saturated background take away comes on top."""
    camera = laboratory.camera
    swallowed = max(0.0, float(np.log10(camera.background)))
    contact = ForegroundConfig().contact_level * _BODY_STAIN * laboratory.stain_level
    return 1.15 + 0.3 * camera.sharpening + swallowed / contact


def virtual_laboratory(number: int, *, seed: int = 0) -> Laboratory:
    """Laboratory ``number`` (from 0) of those that follow from ``seed``.

    Every fifth shows DAPI-like fluorescence; band levels take turns.
    """
    rng = np.random.default_rng([seed, number, _STREAM])
    level = LEVELS[number % len(LEVELS)]
    width_px = float(np.exp(rng.uniform(np.log(10.5), np.log(23))))
    longest_widths = {400: 7.0, 550: 9.0, 850: 11.5}[level] * rng.uniform(0.88, 1.12)
    height_px = width_px * longest_widths**0.5 * rng.uniform(15.5, 19.5)
    is_dapi = number % _FLUORESCENCE_EVERY == _FLUORESCENCE_EVERY - 1
    return Laboratory(
        name=str(number),
        level=level,
        longest_widths=longest_widths,
        width_px=width_px,
        stain_level=rng.uniform(0.7, 1.0) if is_dapi else rng.uniform(0.22, 0.7),
        band_contrast=rng.uniform(0.2, 0.45) if is_dapi else rng.uniform(0.45, 0.75),
        chromatid_split=rng.uniform(0.0, 0.35) if is_dapi else rng.uniform(0.05, 0.65),
        blur_px=max(0.7, width_px * rng.uniform(0.045, 0.085)),
        bend_rad=rng.uniform(0.7, 2.0),
        roughness=rng.uniform(0.012, 0.04),
        grain=rng.uniform(0.08, 0.22),
        added_stain=rng.uniform(0.5, 0.95),
        picture_px=(round(height_px), round(height_px * rng.uniform(1.1, 1.4))),
        camera=_dapi_camera(rng) if is_dapi else _giemsa_camera(rng, number=number),
    )


def _giemsa_camera(rng: np.random.Generator, *, number: int) -> Camera:
    """Grounds take turns: saturated white, an even grey, uneven and blotched; every third file is a JPEG."""
    ground = number % 4
    is_white, is_uneven = ground in (0, 3), ground == 2
    brightest = 0.87 if is_uneven else 0.96
    return Camera(
        background=rng.uniform(1.0, 1.08) if is_white else rng.uniform(0.76, brightest),
        unevenness=rng.uniform(0.06, 0.12) if is_uneven else rng.uniform(0.0, 0.04),
        ground=rng.uniform(0.02, 0.05) if is_uneven else rng.uniform(0.0, 0.025),
        specks=int(rng.integers(0, 500)),
        sharpening=max(0.0, rng.uniform(-0.6, 0.9)),
        noise=rng.uniform(0.002, 0.010),
        jpeg_quality=int(rng.integers(75, 95)) if number % 3 == 1 else 0,
    )


def _dapi_camera(rng: np.random.Generator) -> Camera:
    return Camera(
        polarity=Polarity.FLUORESCENCE,
        background=rng.uniform(0.02, 0.12),
        gain=rng.uniform(0.6, 0.95),
        unevenness=rng.uniform(0.0, 0.12),
        ground=rng.uniform(0.0, 0.04),
        specks=int(rng.integers(0, 100)),
        glow=rng.uniform(0.02, 0.15),
        sharpening=max(0.0, rng.uniform(-0.8, 0.5)),
        noise=rng.uniform(0.003, 0.014),
    )


def _vary(rng: np.random.Generator) -> float:
    return rng.uniform(1 - _SLIDES_VARY, 1 + _SLIDES_VARY)
