"""What composition is timed against: plain copy-paste, as one writes it with OpenCV or Pillow.

Two or three single chromosomes, each turned by any angle and laid anywhere in the square; the darker stain
stands. Nothing is checked: whether they meet, how, and what type that makes is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from PIL import Image

from supcam.core.crop import Square
from supcam.core.types import Region

Paster = Callable[[np.random.Generator], Square]


def at_network_scale(regions: Sequence[Region], *, width_px: float) -> list[np.ndarray]:
    """Stain of the single chromosomes alone, 0 to 1, at the scale of the network's input."""
    pieces = []
    for region in regions:
        factor = width_px / region.width_px
        alone = np.where(region.mask, region.stain, 0).astype(np.float32)
        pieces.append(cv2.resize(alone / max(float(alone.max()), 1e-6), None, fx=factor, fy=factor))
    return pieces


def opencv_paster(pieces: Sequence[np.ndarray], *, size_px: int) -> Paster:
    """A function that pastes with OpenCV and NumPy."""

    def paste(rng: np.random.Generator) -> Square:
        square = np.zeros((size_px, size_px), np.float32)
        for _ in range(rng.integers(2, 4)):
            piece = pieces[int(rng.integers(len(pieces)))]
            height, width = piece.shape
            side = min(int(np.hypot(height, width)) + 1, size_px)
            turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(0, 360)), 1.0)
            turn[:, 2] += (side / 2 - width / 2, side / 2 - height / 2)
            top, left = rng.integers(0, size_px - side + 1, 2)
            below = square[top : top + side, left : left + side]
            np.maximum(below, cv2.warpAffine(piece, turn, (side, side)), out=below)
        return square

    return paste


def pillow_paster(pieces: Sequence[np.ndarray], *, size_px: int) -> Paster:
    """A function that pastes with Pillow, each piece through its own stain as mask."""
    pictures = [Image.fromarray(np.rint(255 * piece).astype(np.uint8)) for piece in pieces]

    def paste(rng: np.random.Generator) -> Square:
        square = Image.new("L", (size_px, size_px))
        for _ in range(rng.integers(2, 4)):
            picture = pictures[int(rng.integers(len(pictures)))]
            angle = float(rng.uniform(0, 360))
            turned = picture.rotate(angle, resample=Image.Resampling.BILINEAR, expand=True)
            left = int(rng.integers(0, max(1, size_px - turned.width + 1)))
            top = int(rng.integers(0, max(1, size_px - turned.height + 1)))
            square.paste(turned, (left, top), turned)
        return np.asarray(square, np.float32) / 255

    return paste
