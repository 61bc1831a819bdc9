"""The slowly varying background of a whole picture: found in a reduced picture, taken off row by row."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32

from supcam.core.config import ForegroundConfig
from supcam.core.types import Box, Stain

Small = Float32[np.ndarray, "small_height small_width"]
Grid = Float32[np.ndarray, "grid_height grid_width"]

REDUCTION = 8
"""The background is smooth, so that it is looked for in a picture reduced by this factor."""
_BACKGROUND_SHARE = 0.30
"""Quantile of a window that is background: chromosomes cover less than half of a metaphase."""
_WIDER = 4
"""Surroundings are this many times as wide as the window: large nuclei fill a window, but not these."""
_HAZE_SHARE = 0.3
"""The background of a window exceeds that of its surroundings by at most this share of the usual stain: what
is darker is a nucleus, and no haze."""


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """The background of a picture of ``size`` (height, width), one value a square of ``step`` pixels."""

    levels: Small
    size: tuple[int, int]
    step: int = REDUCTION

    def under(self, box: Box) -> Stain:
        """The background within ``box``: the same for a pixel, whichever others come along."""
        rows = np.arange(box.top, box.bottom, dtype=np.float32)
        middle = (rows + np.float32(0.5)) / np.float32(self.step) - np.float32(0.5)
        place = np.clip(middle, 0, len(self.levels) - 1).astype(np.float32)
        first = np.minimum(place.astype(np.int64), max(0, len(self.levels) - 2))
        second = np.minimum(first + 1, len(self.levels) - 1)
        share = (place - first.astype(np.float32))[:, None]
        start = max(0, box.left // self.step - 2)
        near = self.levels[:, start : -(-box.right // self.step) + 2]
        between = near[first] * (1 - share) + near[second] * share
        size = (between.shape[1] * self.step, len(between))
        wide = cv2.resize(between, size, interpolation=cv2.INTER_LINEAR)
        left = box.left - start * self.step
        return np.ascontiguousarray(wide[:, left : left + box.width])


def reduced(stain: Stain, *, step: int = REDUCTION) -> Small:
    """The mean of every square of ``step`` pixels; squares beyond the border repeat its last pixels.

    Rows of a picture can be reduced apart, as long as each part but the last has a multiple of ``step``
    rows.
    """
    height, width = stain.shape
    below, right = -height % step, -width % step
    if below or right:
        stain = cv2.copyMakeBorder(stain, 0, below, 0, right, cv2.BORDER_REPLICATE)
    size = (stain.shape[1] // step, stain.shape[0] // step)
    return np.asarray(cv2.resize(stain, size, interpolation=cv2.INTER_AREA))


def find_background(small: Small, *, size: tuple[int, int], config: ForegroundConfig) -> Background:
    """The background of a picture of ``size`` whose reduced stain is ``small``."""
    side = max(3, config.background_px // REDUCTION)
    near = _window_quantiles(small, side=side)
    slope = _plane(near)
    wide = _window_medians(near - slope, side=_WIDER) + slope
    usual = _usual_stain(small - _enlarged(wide, small.shape))
    level = np.minimum(near, wide + np.float32(_HAZE_SHARE * usual))
    smooth = cv2.blur(cv2.medianBlur(level, 3), (3, 3)) if min(level.shape) >= 3 else level
    return Background(levels=_enlarged(smooth, small.shape), size=size)


def remove_background(stain: Stain, *, config: ForegroundConfig) -> Stain:
    """``stain`` without its slowly varying background, clipped at 0. For whole pictures, not for crops."""
    height, width = stain.shape
    background = find_background(reduced(stain), size=(height, width), config=config)
    under = background.under(Box(0, 0, height, width))
    return np.asarray(np.maximum(stain - under, 0), dtype=np.float32)


def _window_quantiles(picture: Small, *, side: int) -> Grid:
    """The background quantile of windows of twice ``side``, half a ``side`` apart."""
    step = max(1, side // 2)
    rows = range(0, picture.shape[0], step)
    columns = range(0, picture.shape[1], step)
    grid = np.empty((len(rows), len(columns)), np.float32)
    for i, row in enumerate(rows):
        band = picture[max(0, row - side) : row + side]
        for j, column in enumerate(columns):
            window = band[:, max(0, column - side) : column + side].ravel()
            rank = int(_BACKGROUND_SHARE * (window.size - 1))
            grid[i, j] = np.partition(window, rank)[rank]
    return grid


def _window_medians(grid: Grid, *, side: int) -> Grid:
    """The median of the windows of twice ``side`` around every second point, in between interpolated."""
    rows, columns = range(0, grid.shape[0], 2), range(0, grid.shape[1], 2)
    medians = np.array(
        [
            [
                np.median(grid[max(0, r - side) : r + side + 1, max(0, c - side) : c + side + 1])
                for c in columns
            ]
            for r in rows
        ],
        np.float32,
    )
    return _enlarged(medians, grid.shape)


def _plane(grid: Grid) -> Grid:
    """The plane through ``grid`` from which a quarter of its points, the farthest above it, were left out."""
    rows, columns = np.mgrid[: grid.shape[0], : grid.shape[1]]
    terms = np.stack([np.ones(grid.size), rows.ravel(), columns.ravel()], axis=1)
    values = grid.ravel().astype(np.float64)
    used = np.ones(values.size, np.bool_)
    for _ in range(4):
        fit, *_rest = np.linalg.lstsq(terms[used], values[used], rcond=None)
        above = values - terms @ fit
        used = above <= np.quantile(above, 0.75)
    return np.asarray((terms @ fit).reshape(grid.shape), dtype=np.float32)


def _usual_stain(small: Small) -> float:
    """The median of what stands out by Otsu's threshold (Otsu 1979); 0 when nothing does."""
    top = float(small.max(initial=0.0))
    if top <= 0:
        return 0.0
    levels = np.clip(small * (255 / top), 0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    above = levels[levels > threshold]
    return float(np.median(above)) * top / 255 if above.size else 0.0


def _enlarged(grid: Grid, size: tuple[int, int]) -> Small:
    return np.asarray(cv2.resize(grid, (size[1], size[0]), interpolation=cv2.INTER_LINEAR))
