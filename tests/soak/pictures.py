"""Crops for long runs: as many as are wanted, each of another content, and each always the same."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from tests.drawn_crops import GreyPicture

from supcam.core.types import ClusterType
from supcam.data.synthesis import draw_cluster, to_grey

N_DRAWN = 48
_MARGIN_PX = 12
_KINDS = (
    (ClusterType.INSTANCE, 1),
    (ClusterType.TOUCHING, 2),
    (ClusterType.OVERLAPPING, 2),
    (ClusterType.TOUCHING_OVERLAPPING, 3),
)


@cache
def _drawn(number: int) -> GreyPicture:
    rng = np.random.default_rng([number, 6])
    kind, n_chromosomes = _KINDS[number % len(_KINDS)]
    stain = draw_cluster(rng, type=kind, n_chromosomes=n_chromosomes).stain
    return to_grey(np.pad(stain, _MARGIN_PX), rng=rng)


def crop_bytes(number: int) -> bytes:
    """Crop ``number`` as a PNG file: one of a few drawn clusters with noise of its own."""
    grey = _drawn(number % N_DRAWN)
    noise = np.random.default_rng(number).integers(-2, 3, grey.shape)
    picture = np.clip(grey.astype(np.int16) + noise, 0, 255).astype(np.uint8)
    done, content = cv2.imencode(".png", picture)
    assert done
    return content.tobytes()
