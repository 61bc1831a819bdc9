"""Bodies far thicker than a chromosome: interphase nuclei and blots, cut off from the chromosomes at them."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32

from supcam.core.types import Mask, Stain

_RIM_WIDTHS = 0.35
"""A nucleus is cut off this many chromosome widths outside its round body."""
_REACH_WIDTHS = 1.0
"""What reaches less far out of a nucleus (in chromosome widths) belongs to it."""
_HEAP_WIDTHS = 4.0
"""A heap of chromosomes is at most this many widths thick; larger bodies are nuclei, however they look."""
_HEAP_UNEVENNESS = 0.42
"""Standard deviation of the stain in a heap, as a share of its mean, at the least: bands, crossings and gaps
show. Nuclei are more even. Chosen on the selection role's metaphases."""


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


def is_heap(stain: Stain, *, body: Mask, width_px: float) -> bool:
    """Whether a thick body is a heap of chromosomes rather than a nucleus: of moderate size and uneven.

    A body that the border of its array cuts, which is the picture's, is taken for a nucleus.
    """
    if body[0].any() or body[-1].any() or body[:, 0].any() or body[:, -1].any():
        return False
    thick = cv2.distanceTransform(np.ascontiguousarray(body).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    if 2 * float(thick.max()) > _HEAP_WIDTHS * width_px:
        return False
    values = stain[body]
    return float(values.std()) > _HEAP_UNEVENNESS * float(values.mean())
