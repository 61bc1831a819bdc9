"""Placed bodies -> one stain picture: banded where asked, laid on each other, checked to hang together."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from supcam.core.crop import Square, mask_box
from supcam.data.banding import Bands
from supcam.data.placement import Placed

_SPECK_PX = 12


def superposed(placed: Sequence[Placed], *, share: float, bands: Sequence[Bands] | None, size: int) -> Square:
    """The bodies on the square, with ``bands`` where some are given."""
    stains = [one.cast.stain for one in placed]
    if bands:
        triples = zip(stains, bands, placed, strict=True)
        stains = [own.painted(stain, along=one.cast.along) for stain, own, one in triples]
    pairs = zip(placed, stains, strict=True)
    return _added([on_square(one, stain, size=size) for one, stain in pairs], share=share)


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
