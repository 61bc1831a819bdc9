"""Glow in fluorescence: light from out of focus that lies around bright bodies, found and taken off.

Bodies shine above and below the plane of focus as well, and the lens spreads that light around them: between
chromosomes that lie near each other, nothing is dark. What a disc wider than any chromosome can rest on is
such light (a grey opening, Sternberg 1983, with the picture's own chromosome width as its measure). In bright
field there is none: absorbed light casts no glow. All of it is our choice; the numbers were chosen on the
selection role of ``adir``.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from supcam.core.background import Background, Small
from supcam.core.config import ForegroundConfig
from supcam.core.types import Polarity

ROUGH_LEVEL = 0.5
"""Before the glow is known, chromosomes are what is above this share of their stain: glow seldom is."""
_BRIGHT_LEVEL = 0.35
"""Without glow, outlines of bright objects reach down to this share of their stain, not to the lower one of
bright field: what lies below is blur."""
_DISC_WIDTHS = 2.5
"""Diameter of the disc in chromosome widths: a pair side by side is narrower, a nucleus is wider."""
_MOST_SHARE = 0.5
"""Glow is at most this share of a chromosome's stain, so that nuclei and heaps stay in the picture."""
_RISE = 0.1
"""Glow grows by at most this share of a chromosome's stain over one width. Nuclei have steeper edges: of one
as faint as a chromosome, enough stays to be told for what it is."""
_CELLS_A_WIDTH = 8
_MOST_CELLS = 4_000_000


def outlined(config: ForegroundConfig, *, polarity: Polarity) -> ForegroundConfig:
    """``config`` with the level to which outlines reach in pictures of that polarity."""
    if polarity is not Polarity.FLUORESCENCE or config.segmentation_level >= _BRIGHT_LEVEL:
        return config
    level = min(_BRIGHT_LEVEL, config.contact_level)
    return config.model_copy(update={"segmentation_level": level})


def rough(config: ForegroundConfig) -> ForegroundConfig:
    """``config`` for the stain and the width of chromosomes with their glow still around them."""
    return config.model_copy(update={"segmentation_level": ROUGH_LEVEL})


def cell_px(width_px: float, *, size: tuple[int, int]) -> int:
    """Side of the squares whose means show the glow of a picture of ``size``; larger in large pictures."""
    finest = math.ceil(math.sqrt(size[0] * size[1] / _MOST_CELLS))
    return max(1, round(width_px / _CELLS_A_WIDTH), finest)


def find_glow(
    cells: Small, *, cell_px: int, size: tuple[int, int], typical: float, width_px: float
) -> Background:
    """The glow of a picture of ``size`` whose stain without background has the means ``cells``.

    ``typical`` and ``width_px`` are a chromosome's stain and width.
    """
    radius = max(1, round(0.5 * _DISC_WIDTHS * width_px / cell_px))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    rest = np.minimum(cv2.morphologyEx(cells, cv2.MORPH_OPEN, kernel), np.float32(_MOST_SHARE * typical))
    rest = _slow(rest, rise=_RISE * typical * cell_px / width_px)
    return Background(levels=np.asarray(cv2.blur(rest, (3, 3))), size=size, step=cell_px)


def _slow(levels: Small, *, rise: float) -> Small:
    """The largest field below ``levels`` that rises by at most ``rise`` from a cell to its neighbours."""
    kernels = [cv2.getStructuringElement(shape, (3, 3)) for shape in (cv2.MORPH_RECT, cv2.MORPH_CROSS)]
    steps = math.ceil(float(np.ptp(levels)) / rise)
    for number in range(steps):
        levels = np.minimum(levels, cv2.erode(levels, kernels[number % 2]) + np.float32(rise))
    return levels
