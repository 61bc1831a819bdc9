"""Drawn bands: light and dark stretches along a body, as harder banding of the same chromosome would show.

Laboratories differ in how hard they band more than in anything else, and a network that has only seen weak
bands takes a hard light band for a gap between two chromosomes. Bands say nothing about the type: every
body of a sample gets its own, at one strength for all. All of it is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32

from supcam.core.config import CompositionConfig
from supcam.core.types import Mask, Stain

_STEPS = 20
"""Entries of a profile for each chromosome width."""
_LONGEST = 16
"""Widths that a profile covers; longer bodies end in its last band."""
_EDGE = (0.06, 0.16)
"""Softness of a band's edges (Gaussian), in widths."""

Profile = Float32[np.ndarray, " steps"]


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """Factors on the stain along a body: entry i stands for i / 20 widths from one of its tips."""

    factors: Profile

    def painted(self, stain: Stain, *, along: Stain) -> Stain:
        """``stain`` with these bands; ``along`` is each pixel's distance from the tip, in widths."""
        steps = np.minimum((along * np.float32(_STEPS)).astype(np.int32), len(self.factors) - 1)
        return np.asarray(stain * self.factors[steps], np.float32)


@dataclass(frozen=True, slots=True)
class BandStyle:
    """How a preparation is banded: stain that the lightest bands lose (0..1), and light over dark length."""

    depth: float
    paleness: float


def draw_style(*, config: CompositionConfig, rng: np.random.Generator) -> BandStyle | None:
    """How one sample is banded beyond its own bands; None for those that keep to their own."""
    if rng.random() >= config.band_share:
        return None
    return BandStyle(float(rng.uniform(*config.band_depth)), float(np.exp(rng.uniform(-0.5, 1.0))))


def draw_bands(style: BandStyle, *, config: CompositionConfig, rng: np.random.Generator) -> Bands:
    """Bands of random lengths and lightness, light and dark in turn."""
    shortest, longest = np.log(config.band_length)
    n = 1 + int(2 * _LONGEST / config.band_length[0])
    is_light = (np.arange(n) + int(rng.integers(2))) % 2 == 0
    lightness = np.where(is_light, rng.beta(2.0, 1.0, size=n), rng.beta(1.0, 4.0, size=n))
    lengths = np.exp(rng.uniform(shortest, longest, size=n))
    ends = np.cumsum(np.where(is_light, lengths * style.paleness, lengths))
    places = (np.arange(_LONGEST * _STEPS) + 0.5) / _STEPS
    steps = lightness[np.minimum(np.searchsorted(ends, places), n - 1)].astype(np.float32)
    sigma = _STEPS * float(rng.uniform(*_EDGE))
    soft = cv2.GaussianBlur(steps[None], (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)[0]
    return Bands(np.asarray(1 - np.float32(style.depth) * soft, np.float32))


def spread_outside(along: Stain, *, core: Mask) -> Stain:
    """``along`` with every pixel outside ``core`` taking over the value of the nearest one inside."""
    _, labels = cv2.distanceTransformWithLabels(
        (~core).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = np.zeros(int(labels.max()) + 1, np.float32)
    values[labels[core]] = along[core]
    return np.asarray(values[labels])
