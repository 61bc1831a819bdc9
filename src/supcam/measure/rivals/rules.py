"""Rules of the kind that karyotyping programs use -> type and number, from the object's outline alone.

Where the middle line of an object branches, bodies meet; where four arms leave one place, they cross. Deep
dents of the outline and necks of the body (the basins of a watershed on the distance to the background) speak
for several bodies, too. The rules below are our reading of that; the thresholds are those, of a small grid,
that recognise the training crops best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from jaxtyping import Float64, Int, Int64

from supcam.core.foreground import chromosome_width, grown, mask_box, solid
from supcam.core.reading import LEAST_COUNTS, JointReading
from supcam.core.types import ClusterType, Mask
from supcam.data.crop_set import UNKNOWN, CropSet, Pictures
from supcam.measure.rivals.shapes import count_summits, distance_inside, object_mask, skeleton

CROPS_A_TYPE = 150
"""Thresholds are looked for on so many training crops of each type, drawn by the seed."""
_KNOT_REACH = 0.5
"""Branch points within this share of a width of each other are one place."""
_NOTCH, _HOLE = 0.25, 0.25
"""Notches as wide as this share of a width, and holes up to this share of its square, are light bands."""
_LEAST_PIECE = 0.75
"""Pieces below this share of a squared width are flecks."""
_MOST_CHROMOSOMES = 12

Column = Int64[np.ndarray, " batch"]


@dataclass(frozen=True, slots=True, order=True)
class Thresholds:
    """From what size on a sign counts; lengths are shares of the chromosome width.

    ``arm`` is the length of an arm of the middle line, ``dent`` the depth of a dent of the outline below its
    convex hull, ``neck`` how much nearer to the background a body must come between two thick parts.
    Without a crossing, an object needs ``least_dents`` dents to be a cluster.
    """

    arm: float = 1.0
    dent: float = 0.5
    neck: float = 0.15
    least_dents: int = 1


GRID: tuple[Thresholds, ...] = tuple(
    Thresholds(*chosen)
    for chosen in product((0.6, 1.0, 1.4), (0.25, 0.5, 0.8), (0.08, 0.15, 0.25, 0.35), (0, 1, 2))
)


@dataclass(frozen=True, slots=True, eq=False)
class RulesRival:
    """The rules with their thresholds."""

    thresholds: Thresholds

    def read(self, pictures: Pictures) -> JointReading:
        """Type and number of each crop; rules know no doubt, so that the type's probability is 1."""
        return _reading(_measured(pictures, grid=[self.thresholds]), thresholds=self.thresholds)


def fit_rules(train: CropSet, *, grid: Sequence[Thresholds] = GRID, seed: int = 0) -> RulesRival:
    """The rules with the thresholds of ``grid`` that have the best mean recall over the types of ``train``.

    Crops of unknown type say nothing. The first thresholds win a tie; ``seed`` draws ``CROPS_A_TYPE``.
    """
    chosen = train.take(_even_rows(train.types, rng=np.random.default_rng(seed)))
    signs = _measured(chosen.pictures, grid=grid)
    recalls = [_mean_recall(chosen.types, _reading(signs, thresholds=one).types) for one in grid]
    return RulesRival(grid[int(np.argmax(recalls))])


def _even_rows(types: Int64[np.ndarray, " batch"], *, rng: np.random.Generator) -> Int[np.ndarray, " some"]:
    """Rows of known type, at most ``CROPS_A_TYPE`` of each type."""
    kinds = [np.flatnonzero(types == kind) for kind in np.unique(types[types != UNKNOWN])]
    rows = [np.sort(rng.permutation(kind)[:CROPS_A_TYPE]) for kind in kinds]
    return np.concatenate(rows) if rows else np.zeros(0, np.int64)


def _mean_recall(true: Int64[np.ndarray, " batch"], read: Int64[np.ndarray, " batch"]) -> float:
    return float(np.mean([np.mean(read[true == kind] == kind) for kind in np.unique(true)]))


# Signs -> type ----------------------------------------------------------------------------------------------


def _reading(signs: _Signs, *, thresholds: Thresholds) -> JointReading:
    """What the rules make of the signs.

    A place with four arms is a crossing: overlapping. One with three arms is a touch, as is a gap between
    pieces, and, where nothing crosses and the outline has its dents, a neck. Each adds a chromosome.
    """
    crossings, branches = signs.knots[thresholds.arm].T
    gaps, necks = signs.pieces - 1, signs.parts[thresholds.neck] - signs.pieces
    is_dented = signs.dents[thresholds.dent] >= thresholds.least_dents
    in_one_piece = np.where(crossings > 0, branches, np.where(is_dented, np.maximum(branches, necks), 0))
    touches = gaps + in_one_piece
    types = (touches > 0) * int(ClusterType.TOUCHING) + (crossings > 0) * int(ClusterType.OVERLAPPING)
    least = np.array([1, *LEAST_COUNTS.values()])
    counts = np.clip(1 + crossings + touches, least[types], _MOST_CHROMOSOMES)
    return JointReading(type_probabilities=_certain(types), counts=counts.astype(np.int64))


def _certain(types: Int[np.ndarray, " batch"]) -> Float64[np.ndarray, "batch 4"]:
    return np.asarray(np.eye(len(ClusterType))[types])


# Crops -> signs ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Signs:
    """The number of signs on each crop, under every threshold that occurs in a grid.

    ``knots`` has two columns: places with four arms and more, and with three. ``pieces`` and ``parts`` are
    one at least.
    """

    pieces: Column
    knots: Mapping[float, Int64[np.ndarray, "batch 2"]]
    dents: Mapping[float, Column]
    parts: Mapping[float, Column]


def _measured(pictures: Pictures, *, grid: Sequence[Thresholds]) -> _Signs:
    bodies = [_Body.of(picture) for picture in pictures]
    arms, dents, necks = ({getattr(one, name) for one in grid} for name in ("arm", "dent", "neck"))
    return _Signs(
        pieces=_column([body.pieces() for body in bodies]),
        knots={arm: _column([body.knots(arm=arm) for body in bodies]).reshape(-1, 2) for arm in arms},
        dents={depth: _column([body.dents(depth=depth) for body in bodies]) for depth in dents},
        parts={height: _column([body.parts(height=height) for body in bodies]) for height in necks},
    )


def _column(values: Sequence[int] | Sequence[tuple[int, int]]) -> Int64[np.ndarray, "batch ..."]:
    return np.array(values, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class _Body:
    """An object's mask without its light bands, its middle line and its chromosome width."""

    mask: Mask
    line: Mask
    width_px: float

    @classmethod
    def of(cls, picture: np.ndarray) -> _Body:
        """A crop's object without its light bands and without flecks, in a picture that just holds it."""
        whole = object_mask(picture)
        width = max(chromosome_width(whole), 2.0)
        closed = solid(whole, radius_px=round(_NOTCH * width), hole_px=round(_HOLE * width**2))
        closed = _without_flecks(closed, least_px=_LEAST_PIECE * width**2)
        mask = np.pad(closed[mask_box(closed).slices], 1) if closed.any() else closed
        return cls(mask=mask, line=skeleton(mask), width_px=width)

    def knots(self, *, arm: float) -> tuple[int, int]:
        """Places of the middle line that four arms and more leave, and places that three do.

        An arm that leads to no other place counts if it is as long as ``arm``.
        """
        reach = max(1, round(_KNOT_REACH * self.width_px))
        places = grown(self.line & (_neighbours(self.line) >= 3), radius_px=reach)
        n_places, place = cv2.connectedComponents(places.astype(np.uint8), connectivity=8)
        n_arms, arms = cv2.connectedComponents((self.line & ~places).astype(np.uint8), connectivity=8)
        arms_of = np.zeros((n_places, n_arms), bool)
        near = cv2.dilate(place.astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.int32)
        beside = (arms > 0) & (near > 0)
        arms_of[near[beside], arms[beside]] = True
        long_enough = np.bincount(arms.ravel(), minlength=n_arms) + reach >= arm * self.width_px
        counts = (arms_of & (long_enough | (arms_of.sum(axis=0) > 1)))[1:].sum(axis=1)
        return int(np.sum(counts >= 4)), int(np.sum(counts == 3))

    def dents(self, *, depth: float) -> int:
        """Dents of the outer outlines that reach so many widths below the convex hull of their piece."""
        outlines, _ = cv2.findContours(self.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        return sum(_dents_of(outline, depth_px=depth * self.width_px) for outline in outlines)

    def parts(self, *, height: float) -> int:
        """The basins of a watershed on the distance to the background; one a piece at least."""
        summits = count_summits(distance_inside(self.mask), height=height * self.width_px)
        return max(summits, self.pieces())

    def pieces(self) -> int:
        """Pieces that do not hang together; one where there is nothing."""
        number, _ = cv2.connectedComponents(self.mask.astype(np.uint8), connectivity=8)
        return max(1, int(number) - 1)


def _dents_of(outline: np.ndarray, *, depth_px: float) -> int:
    if len(outline) < 4:
        return 0
    hull = np.sort(cv2.convexHull(outline, returnPoints=False), axis=0)[::-1]
    found = cv2.convexityDefects(outline, hull)
    return 0 if found is None else int(np.sum(found.reshape(-1, 4)[:, 3] / 256 >= depth_px))


def _without_flecks(mask: Mask, *, least_px: float) -> Mask:
    """The pieces of ``mask`` that have an area of ``least_px``; all of it where none has."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    large = stats[:, cv2.CC_STAT_AREA] >= least_px
    large[0] = False
    return np.asarray(large[labels], dtype=np.bool_) if large.any() else mask


def _neighbours(line: Mask) -> Int[np.ndarray, "height width"]:
    """How many of the eight neighbours of each pixel are on the line."""
    ones = line.astype(np.uint8)
    return cv2.filter2D(ones, cv2.CV_16S, np.ones((3, 3)), borderType=cv2.BORDER_CONSTANT) - ones
