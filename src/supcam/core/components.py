"""The connected pieces of foreground of a whole picture, dust told apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Int32

from supcam.core.config import ForegroundConfig
from supcam.core.types import Box, Mask, Stain

Labels = Int32[np.ndarray, "height width"]


def segmentation_mask(stain: Stain, *, typical: float, config: ForegroundConfig) -> Mask:
    """Foreground: stain above the segmentation level, to which the outlines of objects reach."""
    return np.asarray(stain > config.segmentation_level * typical, dtype=np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """The connected pieces of foreground. ``is_kept`` tells of each number whether it is no dust."""

    labels: Labels
    stats: np.ndarray
    is_kept: Bool[np.ndarray, " numbers"]

    @property
    def large(self) -> Mask:
        """All that is no dust."""
        return np.asarray(self.is_kept[self.labels])

    def boxes(self) -> Iterator[tuple[int, Box]]:
        """Each number that is no dust, with its box."""
        return ((int(number), self.box_of(int(number))) for number in np.flatnonzero(self.is_kept))

    def box_of(self, number: int) -> Box:
        """The box around a component."""
        return box_of(self.stats[number])


def find_components(flat: Stain, *, typical: float, config: ForegroundConfig) -> Components:
    """The connected pieces of foreground of a picture without its background."""
    mask = segmentation_mask(flat, typical=typical, config=config)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    is_kept = stats[:, cv2.CC_STAT_AREA] >= config.min_area_px
    is_kept[0] = False
    return Components(labels=labels, stats=stats, is_kept=is_kept)


def box_of(stats: np.ndarray) -> Box:
    """The box in one row of OpenCV's statistics of components."""
    left, top, width, height, _ = (int(value) for value in stats)
    return Box(top=top, left=left, bottom=top + height, right=left + width)
