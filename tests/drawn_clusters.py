"""Network inputs drawn with bars: straight ones, touching ones, crosses."""

from __future__ import annotations

import cv2
import numpy as np

from supcam.core.crop import Square
from supcam.core.types import ClusterType
from supcam.data.crop_set import CropSet

SIZE_PX, WIDTH_PX = 112, 10
_KINDS = (
    (ClusterType.INSTANCE, 1),
    (ClusterType.TOUCHING, 2),
    (ClusterType.OVERLAPPING, 2),
    (ClusterType.TOUCHING_OVERLAPPING, 3),
)


def draw_square(kind: ClusterType, *, turn_deg: float = 0.0, length_px: float = 60.0) -> Square:
    """A body, a T of two, a cross of two, or a cross with a third body across the end of an arm; turned."""
    bars = [((0.0, 0.0), 0.0, length_px)]
    if kind & ClusterType.OVERLAPPING:
        bars.append(((0.0, 0.0), 90.0, length_px))
    if kind is ClusterType.TOUCHING:
        bars.append(((0.0, 0.5 * WIDTH_PX + 0.25 * length_px), 90.0, 0.5 * length_px))
    if kind is ClusterType.TOUCHING_OVERLAPPING:
        bars.append(((0.0, 0.5 * WIDTH_PX + 0.5 * length_px), 0.0, 0.8 * length_px))
    picture = np.zeros((SIZE_PX, SIZE_PX), np.float32)
    for centre, angle, length in bars:
        _draw_bar(picture, centre=centre, angle_deg=angle, length_px=length, turn_deg=turn_deg)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.0))


def _draw_bar(
    picture: Square, *, centre: tuple[float, float], angle_deg: float, length_px: float, turn_deg: float
) -> None:
    turn = np.deg2rad(turn_deg)
    cos, sin = float(np.cos(turn)), float(np.sin(turn))
    middle = SIZE_PX / 2 + cos * centre[0] - sin * centre[1], SIZE_PX / 2 + sin * centre[0] + cos * centre[1]
    box = cv2.boxPoints((middle, (length_px, float(WIDTH_PX)), angle_deg + turn_deg))
    cv2.fillPoly(picture, [np.rint(box * 16).astype(np.int32)], 1.0, lineType=cv2.LINE_AA, shift=4)


def drawn_set(*, each: int = 12, seed: int = 0) -> CropSet:
    """``each`` crops of every type, turned by any angle, of many lengths."""
    rng = np.random.default_rng(seed)
    rows = [(kind, count) for kind, count in _KINDS for _ in range(each)]
    pictures = [
        draw_square(kind, turn_deg=rng.uniform(0, 180), length_px=rng.uniform(45, 70)) for kind, _ in rows
    ]
    return CropSet(
        pictures=np.stack(pictures),
        types=np.array([int(kind) for kind, _ in rows], np.int64),
        counts=np.array([count for _, count in rows], np.int64),
    )
