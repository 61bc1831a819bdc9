"""Drawn single chromosomes, photographed and read like crops from disk: something to compose from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from supcam.core.config import ForegroundConfig, ImageConfig
from supcam.core.crop import region_from_crop
from supcam.core.image import grey_from_array, to_stain
from supcam.core.types import ClusterType, Region, Stain
from supcam.data.drawing import Preparation
from supcam.data.synthesis import SynthesisConfig, draw_chromosome, draw_preparation, to_grey

SOURCE = "drawn"
_RIM_PX = 14


@dataclass(frozen=True, slots=True)
class DrawnSingles:
    """How many are drawn, how they look, and how they are read. A slide is a case."""

    slides: int = 8
    each: int = 16
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    image: ImageConfig = field(default_factory=ImageConfig)
    foreground: ForegroundConfig = field(default_factory=ForegroundConfig)


def draw_singles(plan: DrawnSingles, *, seed: int) -> tuple[Region, ...]:
    """``plan.slides`` times ``plan.each`` single chromosomes; a slide shares width, stain and blur."""
    regions: list[Region] = []
    for case in range(plan.slides):
        rng = np.random.default_rng([seed, case])
        slide = draw_preparation(rng, config=plan.synthesis)
        regions += [
            replace(_draw_single(plan, slide=slide, rng=rng), case=str(case)) for _ in range(plan.each)
        ]
    return tuple(regions)


def _draw_single(plan: DrawnSingles, *, slide: Preparation, rng: np.random.Generator) -> Region:
    drawn = draw_chromosome(rng, config=plan.synthesis, preparation=slide)
    region = photograph(drawn.stain, plan=plan, rng=rng)
    return replace(region, width_px=slide.width_px, source=SOURCE, type=ClusterType.INSTANCE, n_chromosomes=1)


def photograph(stain: Stain, *, plan: DrawnSingles, rng: np.random.Generator) -> Region:
    """The object that is found in an 8-bit picture of a drawing (illumination, noise), read like a crop."""
    picture = to_grey(np.pad(stain, _RIM_PX), rng=rng, config=plan.synthesis)
    grey = grey_from_array(picture, config=plan.image)
    return region_from_crop(to_stain(grey, config=plan.image), outside=None, config=plan.foreground)
