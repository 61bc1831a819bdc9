"""Crops -> masks, and what lies in the middle of a mask."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32

from supcam.core.config import ForegroundConfig
from supcam.core.crop import Square
from supcam.core.types import Mask, MissingExtraError

try:
    from skimage.morphology import h_maxima, skeletonize
except ImportError as error:
    raise MissingExtraError("scikit-image", extra="rivals", error=error) from error


def object_mask(picture: Square) -> Mask:
    """The object of a network input: what is above the segmentation level, in as many pieces as that is.

    A body's stain is about 1 there, so that the level is the one that outlines objects everywhere.
    """
    return np.asarray(picture > ForegroundConfig().segmentation_level, dtype=np.bool_)


def distance_inside(mask: Mask) -> Float32[np.ndarray, "height width"]:
    """How far each pixel of ``mask`` is from the background, 0 outside; beyond the picture is background."""
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance[1:-1, 1:-1], np.float32)


def skeleton(mask: Mask) -> Mask:
    """The lines in the middle of ``mask``, one pixel wide (Zhang and Suen, 1984)."""
    return np.asarray(skeletonize(mask), dtype=np.bool_)


def count_summits(distance: Float32[np.ndarray, "height width"], *, height: float) -> int:
    """Maxima that stand out by ``height`` from the pass to a higher one: the basins of a watershed."""
    summits = h_maxima(distance, height)
    number, _ = cv2.connectedComponents(summits.astype(np.uint8), connectivity=8)
    return int(number) - 1
