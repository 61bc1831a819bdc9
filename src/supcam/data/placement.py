"""Where one body may lie against others: every shift at once, by FFT correlations of their masks.

All of it is our choice, see ``docs/method.md``: the relation of two bodies is read from how deep one reaches
into the other, in widths of the narrower one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from supcam.core.types import Box, ClusterType
from supcam.data.piece import FAR_PX, Cast

Shifts = Bool[np.ndarray, "rows columns"]
_STRIDE = 2
_SOME = 0.5 * _STRIDE**2


class Contact(StrEnum):
    """How two bodies meet."""

    END_TO_END = "end_to_end"
    T_JUNCTION = "t_junction"
    SIDE_BY_SIDE = "side_by_side"
    GLANCING = "glancing"
    CROSSING = "crossing"


@dataclass(frozen=True, slots=True)
class Limits:
    """What separates touching from overlapping, and what is near enough to count as a contact."""

    touch_depth: float
    overlap_depth: float
    reach_px: float


@dataclass(frozen=True, slots=True)
class Wish:
    """A wanted relation (one bit), the kind of contact, and for a touch its depth in pixels (a gap: < 0)."""

    relation: ClusterType
    contact: Contact
    depth_px: float


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A cast with the place of its first pixel on the common canvas (which has no edges)."""

    cast: Cast
    top: int
    left: int


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """The bodies placed so far as one picture: largest depth, union of the ends; its origin on the canvas."""

    depth: Float32[np.ndarray, "height width"]
    ends: Bool[np.ndarray, "height width"]
    top: int
    left: int
    width_px: float


def scene_of(placed: Sequence[Placed], *, pad: int) -> Scene:
    """The scene of one body or more, with ``pad`` pixels around it."""
    top = min(one.top for one in placed) - pad
    left = min(one.left for one in placed) - pad
    bottom = max(one.top + one.cast.core.shape[0] for one in placed) + pad
    right = max(one.left + one.cast.core.shape[1] for one in placed) + pad
    depth = np.full((bottom - top, right - left), -FAR_PX, np.float32)
    ends = np.zeros(depth.shape, np.bool_)
    for one in placed:
        rows = slice(one.top - top, one.top - top + one.cast.core.shape[0])
        columns = slice(one.left - left, one.left - left + one.cast.core.shape[1])
        np.maximum(depth[rows, columns], one.cast.depth, out=depth[rows, columns])
        ends[rows, columns] |= one.cast.ends
    return Scene(
        depth=depth, ends=ends, top=top, left=left, width_px=min(one.cast.width_px for one in placed)
    )


def admissible(scene: Scene, body: Cast, *, wish: Wish, limits: Limits) -> Shifts:
    """For every second shift of ``body`` whether it fulfils ``wish``, as far as areas can tell.

    Entry [y, x] puts the body's first pixel at scene pixel (2 y - rows + 1, 2 x - columns + 1), for a body of
    ``rows`` and ``columns``. Areas are counted on every second pixel, to within a pixel; what is picked here
    is decided by ``relation_at``, which is exact.
    """
    coarse = _Coarse(
        depth=np.ascontiguousarray(scene.depth[::_STRIDE, ::_STRIDE]),
        ends=np.ascontiguousarray(scene.ends[::_STRIDE, ::_STRIDE]),
        width_px=min(scene.width_px, body.width_px),
    )
    correlate = _Correlator(coarse.depth.shape, body)
    if wish.relation is ClusterType.OVERLAPPING:
        return _overlaps(coarse, correlate, contact=wish.contact, limits=limits)
    return _touches(coarse, correlate, wish=wish)


@dataclass(frozen=True, slots=True, eq=False)
class _Coarse:
    """The scene on every second pixel; ``width_px`` is that of the narrower body, at full resolution."""

    depth: Float32[np.ndarray, "height width"]
    ends: Bool[np.ndarray, "height width"]
    width_px: float


class _Correlator:
    """Correlations of coarse scene masks with the masks of one body, by FFT; transforms are kept."""

    def __init__(self, shape: tuple[int, int], body: Cast) -> None:
        core, ends = (mask[::-1, ::-1][::_STRIDE, ::_STRIDE] for mask in (body.core, body.ends))
        self.full = (shape[0] + core.shape[0] - 1, shape[1] + core.shape[1] - 1)
        self.size = (cv2.getOptimalDFTSize(self.full[0]), cv2.getOptimalDFTSize(self.full[1]))
        self.core = self._transform(core)
        self.ends = self._transform(ends)

    def _transform(self, mask: np.ndarray) -> np.ndarray:
        padded = np.zeros(self.size, np.float32)
        padded[: mask.shape[0], : mask.shape[1]] = mask
        return cv2.dft(padded, nonzeroRows=mask.shape[0])

    def __call__(self, mask: np.ndarray, *partners: np.ndarray) -> list[np.ndarray]:
        """Shared areas in pixels at every shift, one array for each partner (``core`` or ``ends``)."""
        known = self._transform(mask)
        return [self._area(known, partner) for partner in partners]

    def _area(self, mask: np.ndarray, partner: np.ndarray) -> np.ndarray:
        spectrum = cv2.mulSpectrums(mask, partner, 0)
        area = cv2.dft(spectrum, flags=cv2.DFT_INVERSE | cv2.DFT_SCALE, nonzeroRows=self.full[0])
        return area[: self.full[0], : self.full[1]] * np.float32(_STRIDE**2)


def _touches(scene: _Coarse, correlate: _Correlator, *, wish: Wish) -> Shifts:
    near = scene.depth > wish.depth_px - 1.5
    (deeper,) = correlate(scene.depth > wish.depth_px + 0.5, correlate.core)
    contact, by_end = correlate(near, correlate.core, correlate.ends)
    touch = (deeper < _SOME) & (contact > _SOME)
    if wish.contact is Contact.SIDE_BY_SIDE:
        return _longest(touch, contact, least=1.5 * scene.width_px)
    (on_end,) = correlate(near & _near_ends(scene), correlate.core)
    body_end, scene_end = by_end > _SOME, on_end > _SOME
    if wish.contact is Contact.END_TO_END:
        return touch & body_end & scene_end
    if wish.contact is Contact.T_JUNCTION:
        return touch & (body_end ^ scene_end)
    return touch & ~body_end & ~scene_end


def _near_ends(scene: _Coarse) -> np.ndarray:
    """The ends of the scene's bodies, grown so that what lies just outside them counts as well."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    return cv2.dilate(scene.ends.astype(np.uint8), kernel).astype(bool)


def _longest(touch: Shifts, contact: np.ndarray, *, least: float) -> Shifts:
    """The touches over at least ``least`` pixels; of them those in the upper half of the range."""
    length = np.where(touch, contact, 0)
    return touch & (length >= max(least, 0.5 * float(length.max())))


def _overlaps(scene: _Coarse, correlate: _Correlator, *, contact: Contact, limits: Limits) -> Shifts:
    square = scene.width_px**2
    inside = scene.depth > 0
    (deep,) = correlate(scene.depth >= limits.overlap_depth * scene.width_px, correlate.core)
    shared, by_end = correlate(inside, correlate.core, correlate.ends)
    if contact is Contact.SIDE_BY_SIDE:
        return (deep > _SOME) & (shared >= 1.5 * square)
    (on_end,) = correlate(inside & scene.ends, correlate.core)
    free_ends = (by_end < _SOME) & (on_end < _SOME)
    if contact is Contact.CROSSING:
        return (deep > _SOME) & free_ends & (shared < 3 * square)
    return (deep > _SOME) & ~free_ends & (shared < 2 * square)


def relation_at(placed: Placed, body: Placed, *, limits: Limits) -> ClusterType | None:
    """What ``body`` does to ``placed``: the bits of its contacts; None when one is neither touch nor overlap.

    A contact is a connected part of the body within ``reach_px`` of the other one. INSTANCE: no contact.
    """
    common = _common(placed, body)
    if common is None:
        return ClusterType.INSTANCE
    depth = _window(placed, placed.cast.depth, common)
    zone = _window(body, body.cast.core, common) & (depth > -limits.reach_px - 1)
    if not zone.any():
        return ClusterType.INSTANCE
    n_labels, labels = cv2.connectedComponents(zone.astype(np.uint8), connectivity=8)
    width = min(placed.cast.width_px, body.cast.width_px)
    bits = ClusterType.INSTANCE
    for label in range(1, n_labels):
        bit = _bit(float(depth[labels == label].max()), width=width, limits=limits)
        if bit is None:
            return None
        bits = bits | bit
    return bits


def _bit(depth_px: float, *, width: float, limits: Limits) -> ClusterType | None:
    if depth_px >= limits.overlap_depth * width:
        return ClusterType.OVERLAPPING
    return ClusterType.TOUCHING if depth_px <= limits.touch_depth * width else None


def _common(a: Placed, b: Placed) -> Box | None:
    """Where the arrays of two bodies meet on the canvas."""
    box = Box(
        top=max(a.top, b.top),
        left=max(a.left, b.left),
        bottom=min(a.top + a.cast.core.shape[0], b.top + b.cast.core.shape[0]),
        right=min(a.left + a.cast.core.shape[1], b.left + b.cast.core.shape[1]),
    )
    return box if box.height > 0 and box.width > 0 else None


def _window(one: Placed, array: np.ndarray, box: Box) -> np.ndarray:
    return array[box.top - one.top : box.bottom - one.top, box.left - one.left : box.right - one.left]
