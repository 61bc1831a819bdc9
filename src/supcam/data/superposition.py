"""Placed bodies -> one stain picture: banded where asked, laid on each other, checked to hang together."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from supcam.core.crop import Square
from supcam.core.foreground import mask_box
from supcam.data.banding import Bands
from supcam.data.placement import Placed

_SPECK_PX = 12


def superposed(placed: Sequence[Placed], *, stains: Sequence[np.ndarray], share: float, size: int) -> Square:
    """The bodies on the square, each with its stain of ``stains``, which has the shape of its cast."""
    pairs = zip(placed, stains, strict=True)
    return _added([on_square(one, stain, size=size) for one, stain in pairs], share=share)


def banded(
    placed: Sequence[Placed], *, stains: Sequence[np.ndarray], bands: Sequence[Bands]
) -> list[np.ndarray]:
    """The stain of each body with its bands."""
    triples = zip(placed, stains, bands, strict=True)
    return [own.painted(stain, along=one.cast.along) for one, stain, own in triples]


def on_square(one: Placed, array: np.ndarray, *, size: int) -> np.ndarray:
    """``array`` of a placed body on the empty square; what lies outside is cut."""
    square = np.zeros((size, size), array.dtype)
    top, left = max(0, one.top), max(0, one.left)
    bottom, right = min(size, one.top + array.shape[0]), min(size, one.left + array.shape[1])
    if bottom > top and right > left:
        square[top:bottom, left:right] = array[
            top - one.top : bottom - one.top, left - one.left : right - one.left
        ]
    return square


def _added(stains: Sequence[Square], *, share: float) -> Square:
    """Stains laid on each other: the strongest, and ``share`` of what the others add (1: all of it)."""
    if len(stains) == 1:
        return stains[0]
    strongest, total = stains[0], stains[0]
    for stain in stains[1:]:
        strongest, total = np.maximum(strongest, stain), total + stain
    return np.asarray(strongest + np.float32(share) * (total - strongest))


def is_one_piece(stain: Square, *, threshold: float) -> bool:
    """Whether all that is above ``threshold``, specks aside, hangs together."""
    above = np.asarray(stain > threshold)
    part = above[mask_box(above).slices].view(np.uint8)
    if not part.size:
        return False
    _, _, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
    return int((stats[1:, cv2.CC_STAT_AREA] >= _SPECK_PX).sum()) == 1
