"""Letters, scale bars and arrows burnt into a picture: even right up to the edge, as no lens shows it."""

from __future__ import annotations

import cv2
import numpy as np

from supcam.core.types import Mask, Stain

_SHARP_SHARE = 0.85
"""Along a mark's edge the stain jumps by this share of its level within two pixels; a lens blurs more."""
_EVEN_SHARE = 0.45
"""This share of a mark's pixels is about as dark as the darkest of it; thin letters have soft edges too."""
_NEARLY = 0.85
_LEAST_PX = 12
_WHOLE = np.ones((3, 3), np.uint8)


def is_mark(stain: Stain, *, mask: Mask) -> bool:
    """Whether the object ``mask`` of a stain picture was burnt in: nearly one level, with a sharp edge.

    The crop should show some background around the object.
    """
    values = stain[mask]
    if values.size < _LEAST_PX:
        return False
    rank = int(0.9 * (values.size - 1))
    level = float(np.partition(values, rank)[rank])
    if np.count_nonzero(values > _NEARLY * level) < _EVEN_SHARE * values.size:
        return False
    jump = cv2.dilate(stain, _WHOLE) - cv2.erode(stain, _WHOLE)
    inside = cv2.erode(mask.astype(np.uint8), _WHOLE, iterations=2, borderType=cv2.BORDER_REPLICATE)
    edge = mask & (inside == 0)
    return bool(np.quantile(jump[edge], 0.75) >= _SHARP_SHARE * level)
