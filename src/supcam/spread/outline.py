"""What an object's outline tells: threads, rags of dirt, and nuclei of which the picture shows a slice."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from supcam.core.types import Box, Mask

_RIM_PX = 1


@dataclass(frozen=True, slots=True)
class Outline:
    """The shape of one object, in chromosome widths where it is a length.

    ``thickness`` is that of its thickest place. ``raggedness`` is the length of its outline as a multiple of
    that of a straight ribbon, one width wide, of the same area: about 1 for a chromosome, less for a heap.
    ``solidity`` is its area as a share of its convex hull, ``fill`` that of its box: two thirds for a segment
    of a circle. ``chord`` is the longest stretch along which the border of the picture cuts it.
    """

    thickness: float
    raggedness: float
    solidity: float
    fill: float
    chord: float


def read_outline(mask: Mask, *, box: Box, size: tuple[int, int], width_px: float) -> Outline:
    """The outline of ``mask``, which fills ``box`` in a picture of ``size`` (height, width)."""
    framed = np.pad(mask.astype(np.uint8), _RIM_PX)
    inside = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_5)
    lines, _ = cv2.findContours(framed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    longest = max(lines, key=len)
    area = float(np.count_nonzero(mask))
    ribbon = 2 * (area / width_px + width_px)
    return Outline(
        thickness=2 * float(inside.max()) / width_px,
        raggedness=cv2.arcLength(longest, closed=True) / ribbon,
        solidity=area / max(1.0, cv2.contourArea(cv2.convexHull(longest))),
        fill=area / mask.size,
        chord=_chord_px(mask, box=box, size=size) / width_px,
    )


def _chord_px(mask: Mask, *, box: Box, size: tuple[int, int]) -> int:
    """Pixels on that side of the picture that has most of them."""
    sides = (
        (box.top == 0, mask[0]),
        (box.left == 0, mask[:, 0]),
        (box.bottom == size[0], mask[-1]),
        (box.right == size[1], mask[:, -1]),
    )
    return max((int(np.count_nonzero(side)) for is_cut, side in sides if is_cut), default=0)
