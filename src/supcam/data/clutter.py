"""What lies between chromosomes: drawn nuclei and debris."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from supcam.core.types import Mask, Stain
from supcam.data.drawing import mottle


@dataclass(frozen=True, slots=True, eq=False)
class DrawnClutter:
    """Something stained that is no chromosome, on an empty canvas that just holds it."""

    stain: Stain
    mask: Mask


def draw_nucleus(rng: np.random.Generator, *, diameter_px: float, stain_level: float) -> DrawnClutter:
    """An interphase nucleus: a large rounded body with mottled chromatin."""
    side = int(np.ceil(1.5 * diameter_px)) + 8
    radius = 0.5 * diameter_px * _outline(rng, unevenness=0.05)
    mask = _filled(radius, side=side, squeeze=float(rng.uniform(0.65, 1)), turn_rad=rng.uniform(0, np.pi))
    coarse, fine = (mottle(rng, shape=(side, side), size_px=size) for size in (0.09 * diameter_px, 2.5))
    texture = np.clip(1 + 0.11 * coarse + 0.07 * fine, 0.4, 1.6)
    body = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.5)
    return DrawnClutter(stain=(np.float32(stain_level) * body * texture).astype(np.float32), mask=mask)


def draw_debris(rng: np.random.Generator, *, size_px: float, stain_level: float) -> DrawnClutter:
    """Dirt: one ragged speck, or a few that hang together."""
    side = int(np.ceil(3.5 * size_px)) + 12
    grains = np.zeros((side, side), np.bool_)
    place = np.zeros(2)
    for _ in range(int(rng.integers(1, 6))):
        radius = max(1.0, size_px * float(rng.uniform(0.14, 0.32)))
        speck = radius * _outline(rng, unevenness=0.35)
        grain = _filled(speck, side=side, squeeze=float(rng.uniform(0.4, 1)), turn_rad=rng.uniform(0, np.pi))
        grains |= np.roll(grain, np.rint(place).astype(int), axis=(0, 1))
        heading = rng.uniform(0, 2 * np.pi)
        place = np.clip(
            place + 0.7 * radius * np.array([np.sin(heading), np.cos(heading)]), -size_px, size_px
        )
    mottled = grains * np.clip(1 + 0.25 * mottle(rng, shape=(side, side), size_px=2.0), 0.3, 1.7)
    stain = cv2.GaussianBlur(mottled.astype(np.float32), (0, 0), 0.9) * np.float32(stain_level)
    return DrawnClutter(stain=stain, mask=grains)


def draw_fibre(
    rng: np.random.Generator, *, length_px: float, width_px: float, stain_level: float
) -> DrawnClutter:
    """A thin dark fibre, bent at random."""
    n_points = 24
    turns = np.cumsum(rng.normal(0, 0.35, n_points)) + rng.uniform(0, 2 * np.pi)
    steps = length_px / n_points * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    line = np.cumsum(steps, axis=0)
    line += 8 + width_px - line.min(axis=0)
    width, height = (np.ceil(line.max(axis=0)) + 8 + width_px).astype(int)
    canvas = np.zeros((int(height), int(width)), np.uint8)
    thickness = max(1, round(width_px))
    cv2.polylines(canvas, [np.rint(line).astype(np.int32)], isClosed=False, color=1, thickness=thickness)
    stain = cv2.GaussianBlur(canvas.astype(np.float32), (0, 0), 0.8) * np.float32(stain_level)
    return DrawnClutter(stain=stain, mask=canvas.astype(np.bool_))


def _outline(rng: np.random.Generator, *, unevenness: float) -> np.ndarray:
    """Radii around a body at equal angles: 1 with a few slow waves."""
    angles = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    waves = [
        rng.normal(0, unevenness / order) * np.cos(order * angles + rng.uniform(0, 2 * np.pi))
        for order in (2, 3, 4)
    ]
    return np.asarray(1 + np.sum(waves, axis=0))


def _filled(radius: np.ndarray, *, side: int, squeeze: float, turn_rad: float) -> Mask:
    angles = np.linspace(0, 2 * np.pi, radius.size, endpoint=False)
    across, down = radius * np.cos(angles), squeeze * radius * np.sin(angles)
    columns = side / 2 + np.cos(turn_rad) * across - np.sin(turn_rad) * down
    rows = side / 2 + np.sin(turn_rad) * across + np.cos(turn_rad) * down
    canvas = np.zeros((side, side), np.uint8)
    cv2.fillPoly(canvas, [np.rint(np.stack([columns, rows], axis=1)).astype(np.int32)], 1)
    return canvas.astype(np.bool_)
