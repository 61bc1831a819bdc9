"""Drawn chromosomes laid against or across each other: one join at a time, and what the masks say of it.

The relations are those of ``docs/method.md``: a touch reaches in by a small share of a width, an overlap by
half a width and more; what lies between is not drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64

from supcam.core.types import ClusterType, Stain
from supcam.data.drawing import DrawnChromosome, Line, Sketch, ink, tangents_of, turned
from supcam.data.piece import FAR_PX, signed_depth

Direction = Float64[np.ndarray, "2"]
"""(down, right) in pixels."""

_CLEAR_PX = 4.0
_SLIDE_PX = 80


@dataclass(frozen=True, slots=True)
class Closeness:
    """What touching and overlapping mean: widest gap in pixels, depths as shares of the narrower width."""

    max_gap_px: float
    touch_depth: float
    overlap_depth: float


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """A drawn chromosome with the place of its first pixel on a common canvas without edges.

    ``depth`` is the signed distance to the edge of its mask: pixels inside positive, outside negative.
    """

    drawn: DrawnChromosome
    depth: Float32[np.ndarray, "height width"]
    top: int
    left: int

    @property
    def line(self) -> Line:
        """Its centre line on the canvas."""
        return np.asarray(self.drawn.line + np.array([self.top, self.left]))


def lay(drawn: DrawnChromosome, *, top: int = 0, left: int = 0) -> Laid:
    """``drawn`` with its first pixel at (``top``, ``left``)."""
    return Laid(drawn=drawn, depth=signed_depth(drawn.mask), top=top, left=left)


def moved(one: Laid, *, down: int, right: int) -> Laid:
    """``one`` laid elsewhere."""
    return Laid(drawn=one.drawn, depth=one.depth, top=one.top + down, left=one.left + right)


def relation_of(one: Laid, other: Laid, *, closeness: Closeness) -> ClusterType | None:
    """How ``other`` lies to ``one``: the bits of all their contacts; None when a contact is neither.

    INSTANCE means that they keep clear of each other, by 4 pixels and the widest gap. A gap wider than that
    of a touch, yet narrower than this, is neither.
    """
    depth = _depth_at(one, other)
    zone = other.drawn.mask & (depth > -closeness.max_gap_px - _CLEAR_PX)
    n_labels, labels = cv2.connectedComponents(zone.astype(np.uint8), connectivity=8)
    width = min(one.drawn.width_px, other.drawn.width_px)
    bits = ClusterType.INSTANCE
    for label in range(1, n_labels):
        bit = _bit(float(depth[labels == label].max()), width_px=width, closeness=closeness)
        if bit is None:
            return None
        bits = bits | bit
    return bits


def join(
    laid: Sequence[Laid],
    sketch: Sketch,
    *,
    relation: ClusterType | None,
    closeness: Closeness,
    rng: np.random.Generator,
) -> Laid | None:
    """``sketch`` drawn in ``relation`` to one of ``laid``, in no other to any; None when it failed.

    With no ``relation`` it may touch and overlap as many of ``laid`` as it happens to, but one at least.
    """
    partner = laid[int(rng.integers(len(laid)))]
    lies_across = rng.random() < 0.5 if relation is None else relation is ClusterType.OVERLAPPING
    if lies_across:
        candidate = _laid_across(partner, sketch, rng=rng)
    else:
        candidate = _slid_against(partner, sketch, closeness=closeness, rng=rng)
    bits = ClusterType.INSTANCE
    for one in laid:
        found = relation_of(one, candidate, closeness=closeness)
        if found is None:
            return None
        bits = bits | found
    fits = bits is relation if relation is not None else bits is not ClusterType.INSTANCE
    return candidate if fits else None


def added_stains(laid: Sequence[Laid], *, share: float) -> Stain:
    """The canvas that just holds ``laid``: the strongest stain, and ``share`` of what others add."""
    stains = _stacked([one.drawn.stain for one in laid], laid)
    strongest = stains.max(axis=0)
    return np.asarray(strongest + np.float32(share) * (stains.sum(axis=0) - strongest))


def stacked_masks(laid: Sequence[Laid]) -> Bool[np.ndarray, "bodies height width"]:
    """The masks on the canvas of ``added_stains``."""
    return _stacked([one.drawn.mask for one in laid], laid)


def _stacked(arrays: Sequence[np.ndarray], laid: Sequence[Laid]) -> np.ndarray:
    """One layer a body, each array where its body lies."""
    top, left = min(one.top for one in laid), min(one.left for one in laid)
    height = max(one.top + one.depth.shape[0] for one in laid) - top
    width = max(one.left + one.depth.shape[1] for one in laid) - left
    layers = np.zeros((len(laid), height, width), arrays[0].dtype)
    for layer, array, one in zip(layers, arrays, laid, strict=True):
        rows, columns = array.shape
        layer[one.top - top : one.top - top + rows, one.left - left : one.left - left + columns] = array
    return layers


def _bit(depth_px: float, *, width_px: float, closeness: Closeness) -> ClusterType | None:
    if depth_px >= closeness.overlap_depth * width_px:
        return ClusterType.OVERLAPPING
    near = -closeness.max_gap_px - 1 <= depth_px <= closeness.touch_depth * width_px
    return ClusterType.TOUCHING if near else None


def _depth_at(one: Laid, other: Laid) -> Float32[np.ndarray, "height width"]:
    """The depth in ``one`` at each pixel of ``other``'s array."""
    depth = np.full(other.depth.shape, -FAR_PX, np.float32)
    top, left = max(one.top, other.top), max(one.left, other.left)
    bottom = min(one.top + one.depth.shape[0], other.top + other.depth.shape[0])
    right = min(one.left + one.depth.shape[1], other.left + other.depth.shape[1])
    if bottom > top and right > left:
        depth[top - other.top : bottom - other.top, left - other.left : right - other.left] = one.depth[
            top - one.top : bottom - one.top, left - one.left : right - one.left
        ]
    return depth


def _laid_across(partner: Laid, sketch: Sketch, *, rng: np.random.Generator) -> Laid:
    """``sketch`` across ``partner``: most often crossing it, sometimes with one end just past its middle."""
    site = _inner_point(len(partner.line), rng=rng)
    own = _inner_point(len(sketch.line), rng=rng)
    if rng.random() < 0.25:
        own = _point_at(sketch, along_px=0.6 * sketch.preparation.width_px)
    angle = _heading(tangents_of(partner.line)[site]) + rng.choice([-1, 1]) * rng.uniform(0.7, 0.5 * np.pi)
    drawn = ink(turned(sketch, angle_rad=angle - _heading(tangents_of(sketch.line)[own])), rng=rng)
    return _put(drawn, own=own, at=partner.line[site])


def _slid_against(partner: Laid, sketch: Sketch, *, closeness: Closeness, rng: np.random.Generator) -> Laid:
    """``sketch`` pushed towards ``partner`` until they meet: end or side of each."""
    site, outward = _contact_site(partner.line, rng=rng)
    own, facing = _contact_site(sketch.line, rng=rng)
    angle = _heading(-outward) - _heading(facing) + rng.normal(0, 0.25)
    drawn = ink(turned(sketch, angle_rad=angle), rng=rng)
    start = _put(drawn, own=own, at=partner.line[site])
    width = min(partner.drawn.width_px, drawn.width_px)
    goal = rng.uniform(-closeness.max_gap_px - 1, closeness.touch_depth * width)
    for step in range(_SLIDE_PX):
        down, right = np.rint(step * outward).astype(int)
        candidate = moved(start, down=int(down), right=int(right))
        if float(_depth_at(partner, candidate)[drawn.mask].max()) <= goal:
            return candidate
    return start


def _contact_site(line: Line, *, rng: np.random.Generator) -> tuple[int, Direction]:
    """A point of the line and the unit vector that leads out of the body there: through an end or a side."""
    tangents = tangents_of(line)
    if rng.random() < 0.4:
        return (0, -tangents[0]) if rng.random() < 0.5 else (len(line) - 1, tangents[-1])
    site = _inner_point(len(line), rng=rng)
    down, right = tangents[site]
    return site, float(rng.choice([-1, 1])) * np.array([right, -down])


def _point_at(sketch: Sketch, *, along_px: float) -> int:
    """The point of the line at about ``along_px`` from its start."""
    return round(along_px / sketch.length_px * (len(sketch.line) - 1))


def _inner_point(n_points: int, *, rng: np.random.Generator) -> int:
    return int(rng.integers(round(0.2 * n_points), max(round(0.8 * n_points), 1 + round(0.2 * n_points))))


def _heading(direction: Direction) -> float:
    """The angle of a (down, right) direction, as ``turned`` counts it."""
    down, right = direction
    return float(np.arctan2(right, down))


def _put(drawn: DrawnChromosome, *, own: int, at: Direction) -> Laid:
    """``drawn`` with point ``own`` of its line nearest to the point ``at`` of the canvas."""
    top, left = np.rint(at - drawn.line[own]).astype(int)
    return lay(drawn, top=int(top), left=int(left))
