"""Network inputs side by side with what is known of them, for learners that take arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int, Int64

from supcam.core.config import CropConfig
from supcam.core.crop import network_input
from supcam.core.types import ManifestError, Region

UNKNOWN = -1
"""Written where a type or a number is not known."""

Pictures = Float32[np.ndarray, "batch size size"]
Labels = Int64[np.ndarray, " batch"]


@dataclass(frozen=True, slots=True, eq=False)
class CropSet:
    """Chromosomes and clusters as the network sees them, each with its type (0..3) and number; -1 = unknown.

    ``pictures`` are network inputs made by ``core.crop``: stain, 0 = background, all at one scale.
    """

    pictures: Pictures
    types: Labels
    counts: Labels

    def __len__(self) -> int:
        return len(self.pictures)

    def take(self, rows: Int[np.ndarray, " some"] | Bool[np.ndarray, " batch"]) -> CropSet:
        """The chosen rows (indices, which may repeat, or a mask)."""
        return CropSet(self.pictures[rows], self.types[rows], self.counts[rows])


def crop_set(regions: Sequence[Region], *, crop: CropConfig) -> CropSet:
    """The regions that hold a chromosome, in their order; debris is left out.

    Raises ``ManifestError`` when none does.
    """
    kept = [region for region in regions if region.is_chromosome]
    if not kept:
        raise ManifestError(
            f"no chromosome among {len(regions)} objects",
            expected="single chromosomes or clusters",
            remedy="check the parts that are read",
        )
    return CropSet(
        pictures=np.stack([network_input(region, config=crop) for region in kept]),
        types=np.array([UNKNOWN if region.type is None else int(region.type) for region in kept], np.int64),
        counts=np.array([region.n_chromosomes or UNKNOWN for region in kept], np.int64),
    )
