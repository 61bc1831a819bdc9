"""Pieces joined one by one into one picture: each join is drawn among admissible placements and checked."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median

import numpy as np
from jaxtyping import Bool

from supcam.core.config import CompositionConfig, CropConfig, OverlapKind, TouchKind
from supcam.core.crop import Square
from supcam.core.foreground import mask_box
from supcam.core.types import Box, ClusterType
from supcam.data.banding import Bands, draw_bands, draw_style
from supcam.data.piece import Cast, Piece, Pose, cast, recast
from supcam.data.placement import (
    Contact,
    Limits,
    Placed,
    Scene,
    Wish,
    admissible,
    relation_at,
    room_to_cross,
    scene_of,
)
from supcam.data.superposition import banded, is_one_piece, on_square, superposed

_PAD_PX = 5
_LEAST_REACH_PX = 1.0
_LEAST_ROOM, _ROOM_TO_TURN = 0.8, 1.25
"""Room below which bodies never cross, and room that it takes to cross at any other than a right angle."""
_POSES, _PLACES, _VAIN = 5, 4, 4
"""Poses tried for a crossing, places tried of all admissible ones, poses without a place before giving up."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What an assembly keeps to: the composition's settings and the square it must fit."""

    composition: CompositionConfig
    crop: CropConfig

    @property
    def limits(self) -> Limits:
        """Where touching ends and overlapping begins."""
        settings = self.composition
        reach = max(settings.max_gap_px, _LEAST_REACH_PX)
        return Limits(settings.touch_depth, settings.overlap_depth, reach_px=reach)


@dataclass(frozen=True, slots=True)
class Terms:
    """What one assembly keeps to: the rules, and the scale and tightness drawn for all of its bodies.

    Tightness is that of the threshold that joins them. A loose one (0) joins bodies across a visible gap, as
    permissive segmentation does; a tight one (1) only bodies that melt together.
    """

    rules: Rules
    scale: float
    tightness: float


@dataclass(frozen=True, slots=True)
class Join:
    """How a piece is to meet the ones before it: the relation (one bit), the kind of contact, gap or not."""

    relation: ClusterType
    contact: Contact
    has_gap: bool = False


@dataclass(frozen=True, slots=True)
class _Bearing:
    """The direction of the body to be met, and the sine of the flattest angle at which it may be crossed."""

    axis_rad: float
    steepness: float


@dataclass(frozen=True, slots=True, eq=False)
class Assembly:
    """Joined bodies on the square: stain in the pieces' units, one core mask a piece, how each was joined."""

    stain: Square
    masks: Bool[np.ndarray, "pieces size size"]
    level: float
    contacts: tuple[Contact, ...]


def assemble(
    pieces: Sequence[Piece], *, joins: Sequence[Join], rules: Rules, rng: np.random.Generator
) -> Assembly | None:
    """``pieces`` joined as in ``joins``; None when some join, or the whole, was not admissible."""
    terms = _draw_terms(pieces, rules=rules, rng=rng)
    first = cast(pieces[0], pose=_draw_pose(terms, rng=rng), shift=_part_pixel(rng))
    placed = [Placed(first, 0, 0)]
    for piece, join in zip(pieces[1:], joins, strict=True):
        body = _joined(placed, piece, join=join, terms=terms, rng=rng)
        if body is None:
            return None
        placed.append(body)
    return _finish(placed, joins=joins, terms=terms, rng=rng)


def draw_join(relation: ClusterType, *, settings: CompositionConfig, rng: np.random.Generator) -> Join:
    """A join by the configured shares. It is kept until a placement is found, so that the shares hold."""
    if relation is ClusterType.OVERLAPPING:
        return Join(relation, _draw_contact(settings.overlap_shares, rng=rng))
    contact = _draw_contact(settings.touch_shares, rng=rng)
    return Join(relation, contact, has_gap=bool(rng.random() < settings.gap_share))


def _draw_terms(pieces: Sequence[Piece], *, rules: Rules, rng: np.random.Generator) -> Terms:
    width = median(piece.width_px for piece in pieces)
    jitter = 1 + rules.composition.scale_jitter * rng.uniform(-1, 1)
    scale = min(jitter * rules.crop.width_px / width, rules.crop.max_enlargement)
    return Terms(rules=rules, scale=scale, tightness=float(rng.random()))


def _draw_pose_along(terms: Terms, *, axis_rad: float, along_rad: float, rng: np.random.Generator) -> Pose:
    """A pose that brings an axis to lie nearly along a direction, one way or the other."""
    mirrored = bool(rng.integers(2))
    start = math.pi - axis_rad if mirrored else axis_rad
    angle = along_rad - start + rng.normal(0, 0.12) + math.pi * int(rng.integers(2))
    return Pose(terms.scale, angle, mirrored=mirrored)


def _draw_pose(terms: Terms, *, rng: np.random.Generator) -> Pose:
    mirrored = bool(rng.integers(2))
    if rng.random() < terms.rules.composition.free_rotation_share:
        return Pose(terms.scale, rng.uniform(0, 2 * np.pi), mirrored=mirrored)
    return Pose(terms.scale, float(rng.integers(4)) * np.pi / 2, mirrored=mirrored)


def _part_pixel(rng: np.random.Generator) -> tuple[float, float]:
    return float(rng.random()), float(rng.random())


def _joined(
    placed: Sequence[Placed], piece: Piece, *, join: Join, terms: Terms, rng: np.random.Generator
) -> Placed | None:
    """``piece`` joined to ``placed``; None when none of the tries was admissible."""
    scene = scene_of(placed, pad=_PAD_PX)
    steepness = _least_steepness(scene, piece, terms=terms) if join.contact is Contact.CROSSING else 0.0
    in_vain = 0
    for _ in range(terms.rules.composition.tries if steepness < 1 else 0):
        if in_vain == _VAIN:
            break
        wish = _draw_wish(join, terms=terms, rng=rng)
        bearing = _Bearing(_direction(placed[int(rng.integers(len(placed)))].cast), steepness)
        pose = _draw_meeting_pose(piece, contact=join.contact, bearing=bearing, terms=terms, rng=rng)
        body = cast(piece, pose=pose, shift=_part_pixel(rng))
        shifts = admissible(scene, body, wish=wish, limits=terms.rules.limits)
        in_vain += not shifts.any()
        for top, left in _pick(shifts, body=body, heap_share=terms.rules.composition.heap_share, rng=rng):
            candidate = Placed(body, scene.top + top, scene.left + left)
            if holds(placed, candidate, relation=join.relation, limits=terms.rules.limits):
                return candidate
    return None


def _least_steepness(scene: Scene, piece: Piece, *, terms: Terms) -> float:
    """Sine of the flattest angle for ``piece`` to cross: 30 degrees, more for short bodies; 1: never."""
    room = room_to_cross(
        scene, middle_px=piece.middle_px * terms.scale**2, width_px=piece.width_px * terms.scale
    )
    return 1.0 if room < _LEAST_ROOM else min(max(0.5, _ROOM_TO_TURN / room), 0.95)


def _draw_wish(join: Join, *, terms: Terms, rng: np.random.Generator) -> Wish:
    settings = terms.rules.composition
    if join.relation is ClusterType.OVERLAPPING:
        return Wish(join.relation, join.contact, 0.0)
    share = float(rng.random())
    if join.has_gap:
        return Wish(join.relation, join.contact, -1.0 - settings.max_gap_px * (1 - terms.tightness) * share)
    return Wish(join.relation, join.contact, share * settings.touch_depth * terms.rules.crop.width_px)


def draw_index(shares: Sequence[float], *, rng: np.random.Generator) -> int:
    """An index drawn with chances in proportion to ``shares``; as ``rng.choice`` draws it, but faster."""
    ends = list(accumulate(shares))
    return min(bisect_right(ends, rng.random() * ends[-1]), len(ends) - 1)


def _draw_contact(
    shares: Mapping[TouchKind, float] | Mapping[OverlapKind, float], *, rng: np.random.Generator
) -> Contact:
    return Contact(tuple(shares)[draw_index(tuple(shares.values()), rng=rng)])


def _draw_meeting_pose(
    piece: Piece, *, contact: Contact, bearing: _Bearing, terms: Terms, rng: np.random.Generator
) -> Pose:
    """A pose in which ``piece`` can meet the body of ``bearing`` as wished: along it, or across it."""
    beside = bearing.axis_rad
    if contact is Contact.SIDE_BY_SIDE:
        return _draw_pose_along(terms, axis_rad=piece.axis_rad, along_rad=beside, rng=rng)
    for _ in range(_POSES):
        pose = _draw_pose(terms, rng=rng)
        if _slope(pose, piece.axis_rad, beside) >= bearing.steepness:
            return pose
    across = beside + math.pi / 2 + math.acos(bearing.steepness) * float(rng.uniform(-1, 1))
    return _draw_pose_along(terms, axis_rad=piece.axis_rad, along_rad=across, rng=rng)


def _slope(pose: Pose, axis_rad: float, beside_rad: float) -> float:
    """How steeply an axis in this pose meets the direction ``beside_rad``: the sine of the angle."""
    turned = (math.pi - axis_rad if pose.mirrored else axis_rad) + pose.angle_rad
    return abs(math.sin(turned - beside_rad))


def _direction(body: Cast) -> float:
    """The direction of a drawn body's long axis, as its piece's axis came through its matrix."""
    cos, sin = math.cos(body.piece.axis_rad), math.sin(body.piece.axis_rad)
    (a, b, _), (c, d, _) = body.matrix.tolist()
    return math.atan2(d * sin - c * cos, a * cos - b * sin)


def _pick(
    shifts: Bool[np.ndarray, "rows columns"], *, body: Cast, heap_share: float, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """A few admissible places (row, column in the scene), at random; for a heap nearest the middle first."""
    flat = np.flatnonzero(shifts)
    if not flat.size:
        return []
    drawn = flat[rng.integers(flat.size, size=_PLACES)].tolist()
    height, width = shifts.shape
    places = [divmod(index, width) for index in drawn]
    if rng.random() < heap_share:
        places.sort(key=lambda place: (place[0] - height / 2) ** 2 + (place[1] - width / 2) ** 2)
    rows, columns = body.core.shape
    return [(2 * row - rows + 1, 2 * column - columns + 1) for row, column in places]


def holds(placed: Sequence[Placed], body: Placed, *, relation: ClusterType, limits: Limits) -> bool:
    """Whether ``body`` is in ``relation``, and in no other one, with what is placed."""
    bits = ClusterType.INSTANCE
    for one in placed:
        found = relation_at(one, body, limits=limits)
        if found is None:
            return False
        bits = bits | found
    return bits is relation


def _finish(
    placed: Sequence[Placed],
    *,
    joins: Sequence[Join],
    terms: Terms,
    rng: np.random.Generator,
) -> Assembly | None:
    """The bodies centred in the square, made smaller if they must; None when a relation did not survive."""
    settled, shrunk = _settle(placed, crop=terms.rules.crop)
    if shrunk and not all(
        holds(settled[:i], settled[i], relation=join.relation, limits=terms.rules.limits)
        for i, join in enumerate(joins, 1)
    ):
        return None
    share, size = float(rng.uniform(*terms.rules.composition.added_stain)), terms.rules.crop.size_px
    stains = [one.cast.stain for one in settled]
    stain = superposed(settled, stains=stains, share=share, size=size)
    level = sum(one.cast.piece.level for one in settled) / len(settled)
    if joins and not is_one_piece(stain, threshold=level * _joining_level(terms)):
        return None
    bands = _draw_all_bands(len(settled), config=terms.rules.composition, rng=rng)
    if bands:
        painted = banded(settled, stains=stains, bands=bands)
        stain = superposed(settled, stains=painted, share=share, size=size)
    masks = np.stack([on_square(one, one.cast.core, size=size) for one in settled])
    return Assembly(stain=stain, masks=masks, level=level, contacts=tuple(join.contact for join in joins))


def _draw_all_bands(n: int, *, config: CompositionConfig, rng: np.random.Generator) -> list[Bands]:
    """Bands for each of ``n`` bodies, all in one style; none for samples that keep to their own."""
    style = draw_style(config=config, rng=rng)
    return [] if style is None else [draw_bands(style, config=config, rng=rng) for _ in range(n)]


def _joining_level(terms: Terms) -> float:
    low, high = terms.rules.composition.segmentation_levels
    return float(low * (high / low) ** terms.tightness)


def _settle(placed: Sequence[Placed], *, crop: CropConfig) -> tuple[list[Placed], bool]:
    """``placed`` moved to the middle of the square, or drawn anew at the scale that fits; whether it shrank.

    The square fit draws everything anew, so that it fills the square as every other picture then does.
    """
    box = _extent(placed)
    factor = (crop.size_px - 2 * crop.margin_px) / max(box.height, box.width)
    centre = (np.array([box.left + box.right, box.top + box.bottom]) - 1) / 2
    if factor < 1 or crop.scale_rule == "square_fit":
        return [_redrawn(one, factor, centre, size=crop.size_px) for one in placed], factor < 1
    left, top = np.round((crop.size_px - 1) / 2 - centre).astype(int)
    return [Placed(one.cast, one.top + int(top), one.left + int(left)) for one in placed], False


def _extent(placed: Sequence[Placed]) -> Box:
    boxes = [(one, mask_box(one.cast.core)) for one in placed]
    return Box(
        top=min(one.top + box.top for one, box in boxes),
        left=min(one.left + box.left for one, box in boxes),
        bottom=max(one.top + box.bottom for one, box in boxes),
        right=max(one.left + box.right for one, box in boxes),
    )


def _redrawn(one: Placed, factor: float, centre: np.ndarray, *, size: int) -> Placed:
    """``one`` drawn anew on the square, with ``centre`` of the canvas in its middle."""
    matrix = one.cast.matrix.copy()
    matrix[:, 2] += (one.left, one.top)
    matrix *= factor
    matrix[:, 2] += (size - 1) / 2 - factor * centre
    return Placed(recast(one.cast, matrix=matrix, size=(size, size)), 0, 0)
