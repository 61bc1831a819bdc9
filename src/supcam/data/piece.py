"""Regions -> pieces: what composition needs to know of a chromosome (or labelled cluster), and its casts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from supcam.core.config import ForegroundConfig
from supcam.core.crop import RIM_SHARE, resample
from supcam.core.foreground import core_mask, grown, mask_box, solid
from supcam.core.types import ClusterType, Mask, Region, Stain
from supcam.data.banding import spread_outside

Bytes = UInt8[np.ndarray, "height width"]
Matrix = Float64[np.ndarray, "2 3"]
Depth = Float32[np.ndarray, "height width"]
FAR_PX = 99.0
"""Stands for 'far outside' in signed distances."""
_END_SHARE = 0.6
_BEFORE_PX, _AFTER_PX = 1.5, 3.0
"""Room around a cast's own rim of background: for the part of a pixel that it is moved, and for rounding."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A region made ready for composition, at the resolution of its picture.

    ``core`` and ``ends`` are 0 or 255: the body at the core level, and the parts of it that lie within 0.6
    widths of a tip. ``along`` is the distance of each pixel from one tip along the body, in widths.
    ``level`` is the stain of the body, ``axis_rad`` the direction of its long axis,
    ``group`` (source/case/picture) tells whose chromosomes may be put together.
    """

    stain: Stain
    core: Bytes
    ends: Bytes
    along: Stain
    level: float
    width_px: float
    axis_rad: float
    group: str
    type: ClusterType
    n_chromosomes: int

    @cached_property
    def middle_px(self) -> int:
        """Area of the core between its ends, in pixels of the picture."""
        return int(np.count_nonzero((self.core > 127) & (self.ends <= 127)))


@dataclass(frozen=True, eq=False)
class Cast:
    """A piece drawn at a scale and angle; all its arrays have the shape of ``core``, and are drawn when used.

    ``matrix`` leads from the piece's pixels to the cast's.
    """

    piece: Piece
    matrix: Matrix
    core: Mask
    width_px: float

    @cached_property
    def ends(self) -> Mask:
        """The parts of the core that are near a tip."""
        drawn = cv2.warpAffine(self.piece.ends, self.matrix, self.core.shape[::-1], flags=cv2.INTER_NEAREST)
        return np.asarray((drawn > 127) & self.core)

    @cached_property
    def depth(self) -> Depth:
        """The signed distance: positive inside the core (pixels from its edge) and negative outside."""
        return signed_depth(self.core)

    @property
    def along(self) -> Stain:
        """The distance of each pixel from one tip along the body, in widths."""
        return cv2.warpAffine(
            self.piece.along,
            self.matrix,
            self.core.shape[::-1],
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )

    @property
    def stain(self) -> Stain:
        """The piece's stain in this pose, resampled just as every picture is on its way to the network."""
        return resample(self.piece.stain, matrix=self.matrix, size_px=self.core.shape)


@dataclass(frozen=True, slots=True)
class Pose:
    """Scale (pixels of the cast for each of the piece), counter-clockwise angle, mirrored or not."""

    scale: float
    angle_rad: float
    mirrored: bool = False


def prepare(region: Region, *, config: ForegroundConfig) -> Piece | None:
    """``region`` as a piece; None when too little of it reaches the core level to be composed."""
    total = float(region.stain.sum())
    if total <= 0 or region.type is None:
        return None
    level = float(np.einsum("ij,ij->", region.stain, region.stain)) / total
    above = core_mask(region.stain, typical=level, config=config) & grown(region.mask, radius_px=1)
    core = solid(above, radius_px=max(2, round(0.3 * region.width_px)), hole_px=60)
    if core.sum() < 30:
        return None
    box = mask_box(grown(region.mask | core, radius_px=max(2, round(RIM_SHARE * region.width_px))))
    core, stain = core[box.slices], region.stain[box.slices]
    one, other = _from_tips(core)
    reach_px = _END_SHARE * region.width_px
    return Piece(
        stain=np.ascontiguousarray(stain),
        core=_bytes(core),
        ends=_bytes(((one >= 0) & (one <= reach_px)) | ((other >= 0) & (other <= reach_px))),
        along=spread_outside(np.maximum(one, 0) / np.float32(region.width_px), core=core),
        level=level,
        width_px=region.width_px,
        axis_rad=_axis(core),
        group=f"{region.source}/{region.case}/{region.picture}",
        type=region.type,
        n_chromosomes=region.n_chromosomes or 1,
    )


def _bytes(mask: Mask) -> Bytes:
    return mask.astype(np.uint8) * np.uint8(255)


def _axis(core: Mask) -> float:
    rows, columns = np.nonzero(core)
    covariance = np.cov(np.stack([columns, rows]).astype(float)) if len(rows) > 2 else np.eye(2)
    _, vectors = np.linalg.eigh(covariance)
    return float(np.arctan2(-vectors[1, -1], vectors[0, -1]))


def _from_tips(core: Mask) -> tuple[Stain, Stain]:
    """Distance along the body (geodesic, in pixels) from each of the two tips of ``core``; -1 outside."""
    start = geodesic_steps(core, _first_pixel(core))
    one = geodesic_steps(core, _farthest(start))
    return one, geodesic_steps(core, _farthest(one))


def _first_pixel(core: Mask) -> tuple[int, int]:
    row, column = np.argwhere(core)[0]
    return int(row), int(column)


def _farthest(steps: np.ndarray) -> tuple[int, int]:
    row, column = np.unravel_index(int(steps.argmax()), steps.shape)
    return int(row), int(column)


def geodesic_steps(core: Mask, seed: tuple[int, int]) -> Float32[np.ndarray, "height width"]:
    """Geodesic distance in pixels inside ``core`` from ``seed``; -1 where it cannot be reached.

    Grown alternately by a square and a cross, so that a step is about one pixel long in every direction. The
    whole picture is one whole number, a bit a pixel, so that a step takes a few shifts of it. How often each
    pixel was within reach is counted in binary, one such number for every digit.
    """
    height, width = core.shape
    stride = -(-(width + 1) // 8) * 8
    padded = np.zeros((height + 2, stride), np.uint8)
    padded[1:-1, :width] = core
    body = int.from_bytes(np.packbits(padded, bitorder="little").tobytes(), "little")
    reached = 1 << ((seed[0] + 1) * stride + seed[1])
    one_before, two_before, n_steps = 0, 0, 0
    digits: list[int] = []
    while reached != two_before:
        _count_in(digits, reached)
        one_before, two_before = reached, one_before
        column = reached | reached << stride | reached >> stride
        row = column if n_steps % 2 == 0 else reached
        reached = (column | row << 1 | row >> 1) & body
        n_steps += 1
    times = np.zeros(padded.shape, np.int32)
    for place, digit in enumerate(digits):
        bits = np.frombuffer(digit.to_bytes(padded.size // 8, "little"), np.uint8)
        times += np.unpackbits(bits, bitorder="little").reshape(padded.shape).astype(np.int32) << place
    within = times[1:-1, :width]
    return np.where(within > 0, n_steps - within, -1).astype(np.float32)


def _count_in(digits: list[int], bits: int) -> None:
    """Adds 1 to the binary counter of every set bit; ``digits[k]`` holds the k-th digit of all counters."""
    for place, digit in enumerate(digits):
        digits[place], bits = digit ^ bits, digit & bits
        if not bits:
            return
    digits.append(bits)


def cast(piece: Piece, *, pose: Pose, shift: tuple[float, float] = (0.0, 0.0)) -> Cast:
    """``piece`` drawn in ``pose``, moved by ``shift`` (x, y), a part of a pixel."""
    cos = pose.scale * float(np.cos(pose.angle_rad))
    sin = pose.scale * float(np.sin(pose.angle_rad))
    mirror = -1.0 if pose.mirrored else 1.0
    right, down = piece.core.shape[1] - 1, piece.core.shape[0] - 1
    x_low, x_high = _span(cos * mirror * right, sin * down)
    y_low, y_high = _span(-sin * mirror * right, cos * down)
    matrix = np.array(
        [
            [cos * mirror, sin, _BEFORE_PX - x_low + shift[0]],
            [-sin * mirror, cos, _BEFORE_PX - y_low + shift[1]],
        ]
    )
    room = _BEFORE_PX + _AFTER_PX
    size = (math.ceil(y_high - y_low + room), math.ceil(x_high - x_low + room))
    return _drawn(piece, matrix, size, scale=pose.scale)


def _span(one_side: float, other_side: float) -> tuple[float, float]:
    """The lowest and highest coordinate of a rectangle's corners, the first of which is at 0."""
    corners = (0.0, one_side, other_side, one_side + other_side)
    return min(corners), max(corners)


def recast(one: Cast, *, matrix: Matrix, size: tuple[int, int]) -> Cast:
    """The same piece drawn anew from its own pixels through another matrix: nothing is resampled twice."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    return _drawn(one.piece, matrix, size, scale=scale)


def _drawn(piece: Piece, matrix: Matrix, size: tuple[int, int], *, scale: float) -> Cast:
    core = cv2.warpAffine(piece.core, matrix, size[::-1], flags=cv2.INTER_LINEAR) > 127
    return Cast(piece=piece, matrix=matrix, core=core, width_px=piece.width_px * scale)


def signed_depth(core: Mask) -> Depth:
    """Distance to the core's edge in pixels: positive inside (1 in its outermost pixels), else negative."""
    inside = cv2.distanceTransform(core.view(np.uint8), cv2.DIST_L2, 3)
    outside = cv2.distanceTransform((~core).view(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(inside - outside)
