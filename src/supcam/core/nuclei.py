"""Bodies far thicker than a chromosome: interphase nuclei and blots, cut off from the chromosomes at them."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32

from supcam.core.types import Mask

_RIM_WIDTHS = 0.35
"""A nucleus is cut off this many chromosome widths outside its round body."""
_REACH_WIDTHS = 1.0
"""What reaches less far out of a nucleus (in chromosome widths) belongs to it."""


def nucleus_in(mask: Mask, *, width_px: float, widths: float) -> Mask | None:
    """The thick bodies of one object, ``widths`` chromosome widths across and more; ``None`` without any.

    ``mask`` has its small holes filled. Its array ends at the picture's border only where the object does:
    there a body is taken to go on.
    """
    radius = 0.5 * widths * width_px
    if min(mask.shape) < radius or np.count_nonzero(mask) < 2 * radius * radius:
        return None
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    middle = inside >= radius
    if not middle.any():
        return None
    away = cv2.distanceTransform((~middle).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    body = mask & (away <= radius + _RIM_WIDTHS * width_px)
    return np.asarray(body | _stubs(mask & ~body, away=away - radius, width_px=width_px))


def _stubs(rest: Mask, *, away: Float32[np.ndarray, "height width"], width_px: float) -> Mask:
    """The pieces of ``rest`` that do not reach far from the body."""
    count, labels = cv2.connectedComponents(rest.astype(np.uint8), connectivity=8)
    reach = np.zeros(count, np.float32)
    np.maximum.at(reach, labels.ravel().astype(np.int64), away.ravel())
    short = reach < (_REACH_WIDTHS + _RIM_WIDTHS) * width_px
    short[0] = False
    return np.asarray(short[labels])
