"""Crops drawn with a few ellipses: enough to have an object in the middle."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

GreyPicture = UInt8[np.ndarray, "height width"]


def draw_crop(*, seed: int = 0, side_px: int = 90, ground: int = 225) -> GreyPicture:
    """A dark bent body on bright ground with a little noise; every seed another one."""
    rng = np.random.default_rng(seed)
    picture = np.full((side_px, side_px), ground, np.float32)
    centre = (side_px // 2, side_px // 2)
    for angle in rng.uniform(0, 180, 1 + seed % 3):
        axes = (int(side_px * rng.uniform(0.25, 0.38)), 6)
        cv2.ellipse(picture, centre, axes, float(angle), 0, 360, float(rng.uniform(60, 110)), -1)
    noisy = cv2.GaussianBlur(picture, (0, 0), 1.2) + rng.normal(0, 1.5, picture.shape)
    return np.clip(np.rint(noisy), 0, 254).astype(np.uint8)


def write_crop(path: Path, *, seed: int = 0) -> Path:
    """``path``, where a drawn crop lies now; a PNG where the ending names no other format."""
    done, content = cv2.imencode(
        path.suffix if path.suffix in {".png", ".tif", ".bmp", ".jpg"} else ".png", draw_crop(seed=seed)
    )
    assert done
    path.write_bytes(content.tobytes())
    return path
