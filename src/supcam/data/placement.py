"""Where one body may lie against others: every shift at once, by FFT correlations of their masks.

All of it is our choice, see ``docs/method.md``: the relation of two bodies is read from how deep one reaches
into the other, in widths of the narrower one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from supcam.core.foreground import grown, mask_box
from supcam.core.types import Box, ClusterType, Mask
from supcam.data.piece import FAR_PX, Cast, Depth

Shifts = Bool[np.ndarray, "rows columns"]
Areas = Float32[np.ndarray, "rows columns"]
Spectrum = Float32[np.ndarray, "padded_rows padded_columns"]
Coarse = Bool[np.ndarray, "coarse_height coarse_width"]
_STRIDE = 2
_SOME = 0.5
_NEAR_PX = 1.5
"""Bodies that come as near to the wanted depth as this are in contact."""


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
    """The bodies placed so far as one picture: largest depth, union of the ends; its origin on the canvas.

    Both arrays hold every second pixel of that picture. ``width_px`` is that of the narrowest body.
    """

    depth: Depth
    ends: Mask
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
        depth=np.ascontiguousarray(depth[::_STRIDE, ::_STRIDE]),
        ends=np.ascontiguousarray(ends[::_STRIDE, ::_STRIDE]),
        top=top,
        left=left,
        width_px=min(one.cast.width_px for one in placed),
    )


def room_to_cross(scene: Scene, *, middle_px: float, width_px: float) -> float:
    """How much longer than wide the middles of scene and body are, the shorter of the two counting.

    The middle of a body is its core without its ends, here given as an area; to cross, the middle of each has
    to span the width of the other. Below 1 there is no room, at 1 only at right angles.
    """
    middle_of_scene = _STRIDE**2 * float(np.count_nonzero((scene.depth > 0) & ~scene.ends))
    return min(middle_of_scene, middle_px) / (scene.width_px * width_px)


def _deep(depth: Depth, ends: Mask, *, contact: Contact, least_px: float) -> Mask:
    """Where an overlap may be deepest; that of a crossing keeps clear of the ends."""
    deep = np.asarray(depth >= least_px)
    return np.asarray(deep & ~ends) if contact is Contact.CROSSING else deep


def admissible(scene: Scene, body: Cast, *, wish: Wish, limits: Limits) -> Shifts:
    """For every second shift of ``body`` whether it fulfils ``wish``, as far as areas can tell.

    Entry [y, x] puts the body's first pixel at pixel (2 y - rows + 1, 2 x - columns + 1) of the scene's
    picture, for a body of ``rows`` and ``columns``. Areas are counted on every second pixel, to within a
    pixel; what is picked here is decided by ``relation_at``, which is exact.
    """
    meeting = _Meeting(scene, body, wish=wish)
    if wish.relation is ClusterType.OVERLAPPING:
        return meeting.on_all_shifts(_overlaps(meeting, contact=wish.contact, limits=limits))
    return meeting.on_all_shifts(_touches(meeting, wish=wish))


class _Meeting:
    """Scene and body on every second pixel, cut to where they can meet; the areas they share, by FFT.

    Masks of the body are turned by 180 degrees, so that a product of spectra is a correlation.
    """

    def __init__(self, scene: Scene, body: Cast, *, wish: Wish) -> None:
        least_px = 0.0 if wish.relation is ClusterType.OVERLAPPING else wish.depth_px - _NEAR_PX
        near, core = np.asarray(scene.depth > least_px), _turned(body.core)
        # Contacts of equal length are told apart by rounding: uncut, a seed goes on drawing what it drew.
        is_whole = wish.contact is Contact.SIDE_BY_SIDE
        place, box = (_frame(mask, is_whole=is_whole) for mask in (near, core))
        self.depth, self.scene_ends = scene.depth[place.slices], scene.ends[place.slices]
        self._scene, self._place = scene, place
        self.width_px = min(scene.width_px, body.width_px)
        self._body, self._box = body, box
        self._first = (place.top + box.top, place.left + box.left)
        self._all = (scene.depth.shape[0] + core.shape[0] - 1, scene.depth.shape[1] + core.shape[1] - 1)
        self._shape = (max(0, place.height + box.height - 1), max(0, place.width + box.width - 1))
        self._size = (_fast(self._shape[0]), _fast(self._shape[1]))
        self.core = self.spectrum(core[box.slices])

    @cached_property
    def ends(self) -> Spectrum:
        return self.spectrum(_turned(self._body.ends)[self._box.slices])

    def body_deep(self, least_px: float) -> Spectrum:
        return self.spectrum(_turned(np.asarray(self._body.depth >= least_px))[self._box.slices])

    @property
    def scene_near_ends(self) -> Mask:
        """The ends of the scene's bodies with what lies just outside them."""
        return grown(self._scene.ends, radius_px=2)[self._place.slices]

    def spectrum(self, mask: Mask) -> Spectrum:
        padded = np.zeros(self._size, np.float32)
        padded[: mask.shape[0], : mask.shape[1]] = mask
        return np.asarray(cv2.dft(padded, nonzeroRows=mask.shape[0]))

    def areas(self, *pairs: tuple[Spectrum, Spectrum]) -> Areas:
        """How many coarse pixels each pair of masks shares at every shift, summed over the pairs."""
        products = [cv2.mulSpectrums(mask, partner, 0) for mask, partner in pairs]
        product = products[0] if len(products) == 1 else np.add(*products)
        area = cv2.dft(product, flags=cv2.DFT_INVERSE | cv2.DFT_SCALE, nonzeroRows=self._shape[0])
        return np.asarray(area[: self._shape[0], : self._shape[1]])

    def on_all_shifts(self, shifts: Shifts) -> Bool[np.ndarray, "all_rows all_columns"]:
        whole = np.zeros(self._all, np.bool_)
        top, left = self._first
        whole[top : top + shifts.shape[0], left : left + shifts.shape[1]] = shifts
        return whole


def _turned(mask: Mask) -> Coarse:
    return np.ascontiguousarray(mask[::-1, ::-1][::_STRIDE, ::_STRIDE])


def _frame(mask: Mask, *, is_whole: bool) -> Box:
    return Box(0, 0, *mask.shape) if is_whole else mask_box(mask)


def _fast(length: int) -> int:
    return int(cv2.getOptimalDFTSize(max(1, length)))


def _touches(meeting: _Meeting, *, wish: Wish) -> Shifts:
    near = np.asarray(meeting.depth > wish.depth_px - _NEAR_PX)
    known = meeting.spectrum(near)
    deeper = meeting.areas((meeting.spectrum(meeting.depth > wish.depth_px + 0.5), meeting.core))
    contact = meeting.areas((known, meeting.core))
    touch = (deeper < _SOME) & (contact > _SOME)
    if wish.contact is Contact.SIDE_BY_SIDE:
        return _longest(touch, contact, least=1.5 * meeting.width_px / _STRIDE**2)
    scene_end = meeting.areas((meeting.spectrum(near & meeting.scene_near_ends), meeting.core)) > _SOME
    body_end = meeting.areas((known, meeting.ends)) > _SOME
    if wish.contact is Contact.END_TO_END:
        return np.asarray(touch & body_end & scene_end)
    if wish.contact is Contact.T_JUNCTION:
        return np.asarray(touch & (body_end ^ scene_end))
    return np.asarray(touch & ~body_end & ~scene_end)


def _longest(touch: Shifts, contact: Areas, *, least: float) -> Shifts:
    """The touches over at least ``least`` coarse pixels; of them those in the upper half of the range."""
    length = np.where(touch, contact, 0)
    return np.asarray(touch & (length >= max(least, 0.5 * float(length.max()))))


def _overlaps(meeting: _Meeting, *, contact: Contact, limits: Limits) -> Shifts:
    square = (meeting.width_px / _STRIDE) ** 2
    deep = _deep(
        meeting.depth,
        meeting.scene_ends,
        contact=contact,
        least_px=limits.overlap_depth * meeting.width_px,
    )
    inside = np.asarray(meeting.depth > 0)
    known = meeting.spectrum(inside)
    least = limits.overlap_depth * meeting.width_px
    reached = meeting.areas((meeting.spectrum(deep), meeting.core), (known, meeting.body_deep(least))) > _SOME
    if not reached.any():
        return reached
    shared = meeting.areas((known, meeting.core))
    if contact is Contact.SIDE_BY_SIDE:
        return np.asarray(reached & (shared >= 1.5 * square))
    on_end = meeting.spectrum(inside & meeting.scene_ends)
    free_ends = meeting.areas((known, meeting.ends), (on_end, meeting.core)) < _SOME
    if contact is Contact.CROSSING:
        return np.asarray(reached & free_ends & (shared < 3 * square))
    return np.asarray(reached & ~free_ends & (shared < 2 * square))


def relation_at(placed: Placed, body: Placed, *, limits: Limits) -> ClusterType | None:
    """What ``body`` does to ``placed``: the bits of its contacts; None when one is neither touch nor overlap.

    A contact is a connected part of the body within ``reach_px`` of the other one, as deep as the farther of
    the two reaches into the other there. INSTANCE: no contact.
    """
    common = _common(placed, body)
    if common is None:
        return ClusterType.INSTANCE
    depth = _window(placed, placed.cast.depth, common)
    zone = _window(body, body.cast.core, common) & (depth > -limits.reach_px - 1)
    if not zone.any():
        return ClusterType.INSTANCE
    depth = np.where(depth > 0, np.maximum(depth, _window(body, body.cast.depth, common)), depth)
    n_labels, labels = cv2.connectedComponents(zone.view(np.uint8), connectivity=8)
    parts = (zone,) if n_labels == 2 else (labels == label for label in range(1, n_labels))
    width = min(placed.cast.width_px, body.cast.width_px)
    bits = ClusterType.INSTANCE
    for part in parts:
        bit = _bit(float(depth[part].max()), width=width, limits=limits)
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
