"""Background, stain thresholds, components: the only place that defines foreground and contact."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Int32, UInt8

from supcam.core.config import ForegroundConfig
from supcam.core.types import Box, ImageError, Mask, Stain

Labels = Int32[np.ndarray, "height width"]

_BACKGROUND_SHARE = 0.30
"""Quantile of a window that is background: chromosomes cover less than half of a metaphase."""
_NOTCH_PX = 4
_BAND_HOLE_PX = 150
"""Notches and holes of one object up to these sizes are light bands, where its width is measured."""
_HOLE_PX = 60
"""Holes up to this size are light bands; larger ones lie between bodies."""
_REDUCTION = 8
"""The background is smooth, so that it is looked for in a picture reduced by this factor."""


@dataclass(frozen=True, slots=True, eq=False)
class Foreground:
    """The objects of one picture: ``labels`` is 0 for background and k + 1 in ``boxes[k]``.

    ``stain`` has the local background taken off; ``typical_stain`` is the stain of a chromosome in this
    picture, the unit of every level in ``ForegroundConfig``; ``width_px`` is the median chromosome width.
    """

    stain: Stain
    labels: Labels
    boxes: tuple[Box, ...]
    areas_px: tuple[int, ...]
    typical_stain: float
    width_px: float


def remove_background(stain: Stain, *, config: ForegroundConfig) -> Stain:
    """``stain`` without its slowly varying background, clipped at 0. For whole pictures, not for crops."""
    height, width = stain.shape
    size = (max(1, width // _REDUCTION), max(1, height // _REDUCTION))
    small = cv2.resize(stain, size, interpolation=cv2.INTER_AREA)
    level = _window_quantile(small, side=max(3, config.background_px // _REDUCTION))
    background = cv2.resize(level, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.maximum(stain - background, 0, dtype=np.float32)


def _window_quantile(picture: Stain, *, side: int) -> Stain:
    """The background quantile of every ``side`` x ``side`` window, smoothed."""
    top = float(picture.max()) or 1.0
    step = max(1, side // 2)
    rows = np.arange(0, picture.shape[0], step)
    columns = np.arange(0, picture.shape[1], step)
    grid = np.empty((len(rows), len(columns)), np.float32)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            window = picture[max(0, row - side) : row + side, max(0, column - side) : column + side]
            grid[i, j] = np.quantile(window, _BACKGROUND_SHARE)
    smooth = cv2.blur(cv2.medianBlur(grid, 3), (3, 3)) if min(grid.shape) >= 3 else grid
    wide = cv2.resize(smooth, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.minimum(wide, top)


def typical_stain(stain: Stain) -> float:
    """The stain of a chromosome in this picture: the median above Otsu's threshold (Otsu 1979).

    Stain far above it (nuclei, dirt) is first cut, so that it does not set the scale.
    Raises ``ImageError`` when the picture shows no stain at all.
    """
    top = float(stain.max()) if stain.size else 0.0
    if top < 0.02:
        raise ImageError(
            "no stained object", expected="at least one chromosome", remedy="leave out blank pictures"
        )
    step = top / 255
    levels = np.minimum(stain / step, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    above = levels[levels > threshold]
    return float(np.median(above) * step) if above.size else top


def core_mask(stain: Stain, *, typical: float, config: ForegroundConfig) -> Mask:
    """The body of the chromosomes: stain above the core level. Contact is read here, on ``solid`` bodies."""
    return np.asarray(stain > config.core_level * typical, dtype=np.bool_)


def segmentation_mask(stain: Stain, *, typical: float, config: ForegroundConfig) -> Mask:
    """Foreground: stain above the segmentation level. Its connected components are the objects."""
    return np.asarray(stain > config.segmentation_level * typical, dtype=np.bool_)


def solid(mask: Mask, *, radius_px: int, hole_px: int) -> Mask:
    """``mask`` with its light bands closed: notches by ``radius_px``, holes up to an area of ``hole_px``.

    For the mask of one object: neighbours would be closed into each other.
    """
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), *(radius_px,) * 4, cv2.BORDER_CONSTANT, value=0)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc(radius_px))
    body = closed[radius_px : radius_px + mask.shape[0], radius_px : radius_px + mask.shape[1]].astype(bool)
    return _without_holes(body, hole_px=hole_px)


def _without_holes(mask: Mask, *, hole_px: int) -> Mask:
    """``mask`` with its holes up to an area of ``hole_px`` filled; what reaches the border is no hole."""
    around = cv2.copyMakeBorder((~mask).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(around, connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] <= hole_px
    small[labels[0, 0]] = False
    return np.asarray(mask | small[labels[1:-1, 1:-1]])


def grown(mask: Mask, *, radius_px: int) -> Mask:
    """``mask`` with everything within ``radius_px`` of it."""
    return cv2.dilate(mask.astype(np.uint8), disc(radius_px)).astype(bool)


def disc(radius_px: int) -> UInt8[np.ndarray, "side side"]:
    """The kernel that reaches ``radius_px`` in every direction, for OpenCV's morphology."""
    side = 2 * radius_px + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def chromosome_width(mask: Mask) -> float:
    """Twice the median of the distance transform along its ridge, in pixels; 0 for an empty mask.

    ``mask`` is one object; light bands and the gap between chromatids are closed first.
    """
    return _width_along_ridge(solid(mask, radius_px=_NOTCH_PX, hole_px=_BAND_HOLE_PX))


def _width_along_ridge(body: Mask) -> float:
    padded = cv2.copyMakeBorder(body.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distance = np.sqrt(np.rint(distance * distance))  # squares are whole: no tie hangs on a last bit
    ridge = (distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8))) & (distance >= 1.5)
    values = distance[ridge]
    if not values.size:
        return 2.0 * float(distance.max())
    return 2.0 * float(np.median(values[values >= 0.5 * np.median(values)]))


def find_foreground(stain: Stain, *, config: ForegroundConfig) -> Foreground:
    """The objects of a whole picture. Raises ``ImageError`` when there is none.

    ``stain`` comes straight from the reader; the local background is taken off here.
    """
    flat = remove_background(stain, config=config)
    typical = _metaphase_stain(flat)
    mask = segmentation_mask(flat, typical=typical, config=config)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return _without_dust(flat, labels, stats, typical=typical, config=config)


def _metaphase_stain(stain: Stain) -> float:
    """``typical_stain`` of the objects that are about as large as chromosomes; of all when there is none."""
    first = typical_stain(stain)
    mask = (stain > 0.4 * first).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    area = stats[:, cv2.CC_STAT_AREA]
    usual = (area >= 60) & (area <= 6000)
    usual[0] = False
    values = stain[usual[labels] & (stain > 0.4 * first)]
    return float(np.median(values)) if values.size >= 200 else first


def _without_dust(
    stain: Stain, labels: Labels, stats: np.ndarray, *, typical: float, config: ForegroundConfig
) -> Foreground:
    """The components that are large enough, numbered from 1 in reading order of their first pixel."""
    kept = np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= config.min_area_px) + 1
    if not kept.size:
        raise ImageError("no object above the threshold", expected="chromosomes", remedy="check the polarity")
    renumber = np.zeros(len(stats), np.int32)
    renumber[kept] = np.arange(1, len(kept) + 1)
    boxes = tuple(
        Box(top=int(y), left=int(x), bottom=int(y + h), right=int(x + w)) for x, y, w, h, _ in stats[kept]
    )
    numbered = renumber[labels]
    return Foreground(
        stain=stain,
        labels=numbered,
        boxes=boxes,
        areas_px=tuple(int(area) for area in stats[kept, cv2.CC_STAT_AREA]),
        typical_stain=typical,
        width_px=_common_width(numbered > 0),
    )


def _common_width(mask: Mask) -> float:
    """The chromosome width of a whole picture: each object counts by the length of its ridge.

    Chromosomes are long, so that neither dust nor round nuclei set the scale.
    """
    return max(1.0, _width_along_ridge(_without_holes(mask, hole_px=_HOLE_PX)))
