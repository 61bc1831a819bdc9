"""Bent copies of single chromosomes: what a network must not take for two that meet end to end.

The body is stretched (preparations differ in how condensed chromosomes are) and bent in its plane around one
place, by an arc with straight legs. All of it is our choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float32

from supcam.core.config import CompositionConfig
from supcam.core.foreground import grown, mask_box
from supcam.core.types import Box, Mask, Region

_LEAST_LENGTH = 2.5
"""Bodies shorter than this, in widths, are not bent."""
_RADIUS = (0.35, 2.5)
"""Radius of the arc along the middle line, in widths: from a kink to a wide bow."""
_TWICE = 0.35
"""Share of the copies that are bent in two places."""
_SEED = 0x62656E74
_FAR_PX = np.float32(1e5)
"""Far outside every picture."""

Grid = Float32[np.ndarray, "rows columns"]


@dataclass(frozen=True, slots=True)
class Bend:
    """An arc of ``angle_rad`` and ``radius_px``; its middle is ``place_px`` along the body from the centre.

    ``stretch`` is the length of the body over what it was.
    """

    angle_rad: float
    radius_px: float
    place_px: float
    stretch: float

    @property
    def start_px(self) -> float:
        """Where the arc begins along the body."""
        return self.place_px - self.radius_px * self.angle_rad / 2


def bent_copies(regions: Sequence[Region], *, config: CompositionConfig) -> dict[int, Region]:
    """Bent copies of a share of ``regions``, by the index of what was bent; the same ones every time."""
    copies = {}
    for index, region in enumerate(regions):
        rng = np.random.default_rng([_SEED, index])
        copy = bent(region, config=config, rng=rng) if rng.random() < config.bent_share else None
        if copy is not None:
            copies[index] = copy
    return copies


def bent(region: Region, *, config: CompositionConfig, rng: np.random.Generator) -> Region | None:
    """``region`` bent at one random place or two; None when it is too short."""
    copy = _bent_once(region, stretch=float(rng.uniform(*config.stretch)), config=config, rng=rng)
    if copy is None or rng.random() >= _TWICE:
        return copy
    return _bent_once(copy, stretch=1.0, config=config, rng=rng) or copy


def _bent_once(
    region: Region, *, stretch: float, config: CompositionConfig, rng: np.random.Generator
) -> Region | None:
    axis_rad, length_px = _axis(region.mask)
    if length_px < _LEAST_LENGTH * region.width_px:
        return None
    low, high = np.log(_RADIUS)
    bend = Bend(
        angle_rad=float(np.deg2rad(rng.uniform(*config.bend_deg))),
        radius_px=float(np.exp(rng.uniform(low, high))) * region.width_px,
        place_px=float(rng.uniform(-0.3, 0.3)) * length_px * stretch,
        stretch=stretch,
    )
    turned = axis_rad + float(rng.integers(2)) * np.pi
    return _drawn(region, bend=bend, axis_rad=turned, reach_px=length_px * stretch)


def _axis(mask: Mask) -> tuple[float, float]:
    """Direction of the long axis (radians, y downwards) and the length of the mask along it."""
    rows, columns = np.nonzero(mask)
    points = np.stack([columns, rows]).astype(float)
    points -= points.mean(axis=1, keepdims=True)
    _, vectors = np.linalg.eigh(points @ points.T)
    along = vectors[:, -1] @ points
    return float(np.arctan2(vectors[1, -1], vectors[0, -1])), float(np.ptp(along) + 1)


def _drawn(region: Region, *, bend: Bend, axis_rad: float, reach_px: float) -> Region:
    """The bent body on a canvas that holds it, cut to its rim."""
    side = int(np.ceil(2 * reach_px))
    x, y = np.meshgrid(*[np.arange(side, dtype=np.float32) - np.float32(side / 2)] * 2)
    along, across = _straightened(x, y, bend=bend)
    along /= np.float32(bend.stretch)
    box = mask_box(region.mask)
    centre = (np.array([box.left + box.right, box.top + box.bottom]) - 1) / 2
    cos, sin = np.float32(np.cos(axis_rad)), np.float32(np.sin(axis_rad))
    columns = np.float32(centre[0]) + cos * along - sin * across
    rows = np.float32(centre[1]) + sin * along + cos * across
    stain = np.maximum(cv2.remap(region.stain, columns, rows, cv2.INTER_CUBIC), 0)
    mask = cv2.remap(region.mask.astype(np.float32), columns, rows, cv2.INTER_LINEAR) > 0.5
    kept = mask_box(grown(mask | (stain > 0), radius_px=1))
    return replace(
        region,
        stain=np.ascontiguousarray(stain[kept.slices]),
        mask=np.ascontiguousarray(mask[kept.slices]),
        box=Box(0, 0, kept.height, kept.width),
    )


def _straightened(x: Grid, y: Grid, *, bend: Bend) -> tuple[Grid, Grid]:
    """Where each point of the bent picture lay before bending: along and across the body, from its centre.

    A point that could belong to two parts (between the legs of a sharp bend) belongs to the nearer one.
    """
    start, radius, turn = np.float32(bend.start_px), np.float32(bend.radius_px), np.float32(bend.angle_rad)
    cos, sin = np.cos(turn), np.sin(turn)
    right, below = x - start, y - radius
    turned = cos * right + sin * below
    angle = np.arctan2(right, -below)
    parts = (
        (right <= 0, x, y),
        ((angle >= 0) & (angle <= turn), start + radius * angle, radius - np.hypot(right, below)),
        (turned >= 0, start + turned + radius * turn, radius - sin * right + cos * below),
    )
    along, across = np.full_like(x, _FAR_PX), np.full_like(y, _FAR_PX)
    for belongs, part_along, part_across in parts:
        nearer = belongs & (np.abs(part_across) < np.abs(across))
        along, across = np.where(nearer, part_along, along), np.where(nearer, part_across, across)
    return along.astype(np.float32), across.astype(np.float32)
