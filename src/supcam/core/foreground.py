"""Background, stain thresholds, components: the only place that defines foreground and contact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import UInt8

from supcam.core.background import reduced, remove_background
from supcam.core.components import Components, Labels, box_of, find_components
from supcam.core.config import ForegroundConfig
from supcam.core.glow import cell_px, find_glow, outlined, rough
from supcam.core.marks import is_mark
from supcam.core.nuclei import is_heap, nucleus_in
from supcam.core.types import Box, Clutter, ImageError, Mask, Polarity, Stain

_NUCLEUS_HOLE = 0.5
"""Holes up to this share of a squared chromosome width are light grains of a nucleus."""
_LEAST_CORE = 0.5
"""A core of at least this share of a squared chromosome width is a body of its own; smaller ones: bands."""
_LEAST_MARK_PX = 30
_LEAST_STAIN = 0.02
_NOTCH_PX = 4
_BAND_HOLE_PX = 150
"""Notches and holes of one object up to these sizes are light bands, where its width is measured."""
_HOLE_PX = 60
"""Holes up to this size are light bands; larger ones lie between bodies."""


@dataclass(frozen=True, slots=True, eq=False)
class Foreground:
    """The objects of one picture: ``labels`` is 0 for background and k + 1 in ``boxes[k]``.

    ``stain`` has the local background taken off; ``typical_stain`` is the stain of a chromosome in this
    picture, the unit of every level in ``ForegroundConfig``; ``width_px`` is the median chromosome width.
    """

    stain: Stain
    labels: Labels
    boxes: tuple[Box, ...]
    areas_px: tuple[int, ...]
    clutter: tuple[Clutter | None, ...]
    typical_stain: float
    width_px: float


@dataclass(frozen=True, slots=True)
class Levels:
    """The units of a picture: the stain of a chromosome, and its width in pixels."""

    typical_stain: float
    width_px: float


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One object: its mask on the array it was found in, its box there, its area, and what clutter it is."""

    mask: Mask
    box: Box
    area_px: int
    clutter: Clutter | None = None

    @classmethod
    def of(cls, mask: Mask, *, clutter: Clutter | None = None) -> Piece:
        """The object ``mask``, which has a pixel."""
        return cls(mask=mask, box=mask_box(mask), area_px=int(np.count_nonzero(mask)), clutter=clutter)

    def moved(self, place: Box) -> Piece:
        """The same with its box in the picture of which the array is the part ``place``."""
        return replace(self, box=self.box.moved(place.top, place.left))


def mask_box(mask: Mask) -> Box:
    """The smallest box around the True pixels of ``mask``, which has at least one."""
    left, top, width, height = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
    return Box(top=top, left=left, bottom=top + height, right=left + width)


def typical_stain(stain: Stain) -> float:
    """The stain of a chromosome in this picture: the median above Otsu's threshold (Otsu 1979).

    Stain far above it (nuclei, dirt) is first cut, so that it does not set the scale.
    Raises ``ImageError`` when the picture shows no stain at all.
    """
    top = float(stain.max()) if stain.size else 0.0
    if top < _LEAST_STAIN:
        raise ImageError(
            "no stained object", expected="at least one chromosome", remedy="leave out blank pictures"
        )
    step = top / 255
    levels = np.minimum(stain / step, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    above = levels[levels > threshold]
    return float(np.median(above) * step) if above.size else top


def core_mask(stain: Stain, *, typical: float, config: ForegroundConfig) -> Mask:
    """The body of the chromosomes: stain above the core level. Composition lays ``solid`` bodies by it."""
    return np.asarray(stain > config.core_level * typical, dtype=np.bool_)


def contact_mask(stain: Stain, *, typical: float, config: ForegroundConfig) -> Mask:
    """Stain above the contact level: in a whole picture, what hangs together here is one object."""
    return np.asarray(stain > config.contact_level * typical, dtype=np.bool_)


def solid(mask: Mask, *, radius_px: int, hole_px: int) -> Mask:
    """``mask`` with its light bands closed: notches by ``radius_px``, holes up to an area of ``hole_px``.

    For the mask of one object: neighbours would be closed into each other.
    """
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), *(radius_px,) * 4, cv2.BORDER_CONSTANT, value=0)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc(radius_px))
    body = closed[radius_px : radius_px + mask.shape[0], radius_px : radius_px + mask.shape[1]].astype(bool)
    return _without_holes(body, hole_px=hole_px)


def _without_holes(mask: Mask, *, hole_px: int) -> Mask:
    """``mask`` with its holes up to an area of ``hole_px`` filled; what reaches the border is no hole."""
    around = cv2.copyMakeBorder((~mask).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(around, connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] <= hole_px
    small[labels[0, 0]] = False
    return np.asarray(mask | small[labels[1:-1, 1:-1]])


def grown(mask: Mask, *, radius_px: int) -> Mask:
    """``mask`` with everything within ``radius_px`` of it."""
    return cv2.dilate(mask.astype(np.uint8), disc(radius_px)).astype(bool)


def disc(radius_px: int) -> UInt8[np.ndarray, "side side"]:
    """The kernel that reaches ``radius_px`` in every direction, for OpenCV's morphology."""
    side = 2 * radius_px + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def chromosome_width(mask: Mask) -> float:
    """Twice the median of the distance transform along its ridge, in pixels; 0 for an empty mask.

    ``mask`` is one object; light bands and the gap between chromatids are closed first.
    """
    return _width_along_ridge(solid(mask, radius_px=_NOTCH_PX, hole_px=_BAND_HOLE_PX))


def _width_along_ridge(body: Mask) -> float:
    padded = cv2.copyMakeBorder(body.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    np.multiply(distance, distance, out=distance)
    np.sqrt(np.rint(distance, out=distance), out=distance)  # squares are whole: no tie hangs on a last bit
    ridge = (distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8))) & (distance >= 1.5)
    values = distance[ridge]
    if not values.size:
        return 2.0 * float(distance.max())
    return 2.0 * float(np.median(values[values >= 0.5 * np.median(values)]))


def find_foreground(
    stain: Stain, *, config: ForegroundConfig, polarity: Polarity = Polarity.BRIGHT_FIELD
) -> Foreground:
    """The objects of a whole picture of that polarity. Raises ``ImageError`` when there is none.

    ``stain`` comes straight from the reader; the local background is taken off here, in fluorescence the glow
    too. Objects are numbered in the order of their components' first pixels.
    """
    flat = remove_background(stain, config=config)
    if polarity is Polarity.FLUORESCENCE:
        flat, config = _without_glow(flat, config=config), outlined(config, polarity=polarity)
    levels, found = _levels(flat, config=config)
    numbered = np.zeros(flat.shape, np.int32)
    pieces: list[Piece] = []
    for number, box in found.boxes():
        wide = box.grown(1, within=flat.shape)
        mask = np.asarray(found.labels[wide.slices] == number)
        for piece in split(flat[wide.slices], mask=mask, levels=levels, config=config):
            numbered[wide.slices][piece.mask] = len(pieces) + 1
            pieces.append(piece.moved(wide))
    return Foreground(
        stain=flat,
        labels=numbered,
        boxes=tuple(piece.box for piece in pieces),
        areas_px=tuple(piece.area_px for piece in pieces),
        clutter=tuple(piece.clutter for piece in pieces),
        typical_stain=levels.typical_stain,
        width_px=levels.width_px,
    )


def _without_glow(flat: Stain, *, config: ForegroundConfig) -> Stain:
    """A whole picture without its background, and without its glow too."""
    size = (flat.shape[0], flat.shape[1])
    levels = find_levels(flat, config=rough(config))
    step = cell_px(levels.width_px, size=size)
    glow = find_glow(
        reduced(flat, step=step),
        cell_px=step,
        size=size,
        typical=levels.typical_stain,
        width_px=levels.width_px,
    )
    return np.asarray(np.maximum(flat - glow.under(Box(0, 0, *size)), 0), dtype=np.float32)


def find_levels(flat: Stain, *, config: ForegroundConfig) -> Levels:
    """The units of a picture without its background. Raises ``ImageError`` when it shows no stain."""
    return _levels(flat, config=config)[0]


def _levels(flat: Stain, *, config: ForegroundConfig) -> tuple[Levels, Components]:
    """The units, and the components found with them. Letters and bars set neither stain nor width."""
    typical, marks = _typical_and_marks(flat)
    found = find_components(flat, typical=typical, config=config)
    if not found.is_kept.any():
        raise ImageError("no object above the threshold", expected="chromosomes", remedy="check the polarity")
    bodies = found.large & ~marks
    width_px = _common_width(bodies if bodies.any() else found.large)
    return Levels(typical_stain=typical, width_px=width_px), found


def split(stain: Stain, *, mask: Mask, levels: Levels, config: ForegroundConfig) -> list[Piece]:
    """The objects of one component: marks and nuclei apart, the rest where its cores do not hang together.

    Boxes of the pieces are within the array, which ends one pixel beyond the component or with the picture.
    """
    if is_mark(stain, mask=mask):
        return [Piece.of(mask, clutter=Clutter.MARK)]
    nucleus = _nucleus(stain, mask=mask, levels=levels, config=config)
    if nucleus is None:
        return [Piece.of(piece) for piece in _apart(stain, mask=mask, levels=levels, config=config)]
    found = [Piece.of(nucleus, clutter=Clutter.NUCLEUS)]
    for part in _parts(mask & ~nucleus, least_px=config.min_area_px):
        found += [Piece.of(piece) for piece in _apart(stain, mask=part, levels=levels, config=config)]
    return found


def _nucleus(stain: Stain, *, mask: Mask, levels: Levels, config: ForegroundConfig) -> Mask | None:
    least = config.nucleus_widths * levels.width_px
    if np.count_nonzero(mask) < 0.5 * least**2:
        return None
    filled = _without_holes(mask, hole_px=round(_NUCLEUS_HOLE * levels.width_px**2))
    nucleus = nucleus_in(filled, width_px=levels.width_px, widths=config.nucleus_widths)
    if nucleus is None:
        return None
    body = np.asarray(mask & nucleus)
    return None if is_heap(stain, body=body, width_px=levels.width_px) else body


def _parts(mask: Mask, *, least_px: int) -> Iterator[Mask]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    for number in range(1, count):
        if stats[number, cv2.CC_STAT_AREA] >= least_px:
            yield np.asarray(labels == number)


def _apart(stain: Stain, *, mask: Mask, levels: Levels, config: ForegroundConfig) -> list[Mask]:
    """``mask`` divided among its bodies at the contact level, each pixel to the nearest one."""
    least = max(config.min_area_px, round(_LEAST_CORE * levels.width_px**2))
    if np.count_nonzero(mask) < 2 * least:
        return [mask]
    bodies = mask & contact_mask(stain, typical=levels.typical_stain, config=config)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(bodies.astype(np.uint8), connectivity=8)
    large = np.flatnonzero(stats[1:count, cv2.CC_STAT_AREA] >= least) + 1
    if large.size < 2:
        return [mask]
    kept = np.isin(labels, large)
    _, nearest = cv2.distanceTransformWithLabels(
        (~kept).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    owner = np.zeros(int(nearest.max()) + 1, np.int32)
    owner[nearest[kept]] = labels[kept]
    owners = owner[nearest]
    return [np.asarray(mask & (owners == number)) for number in large]


def _typical_and_marks(flat: Stain) -> tuple[float, Mask]:
    """The stain of a chromosome in a picture without its background, and where something was burnt in.

    ``typical_stain`` of the objects that are about as large as chromosomes; of all when there is none.
    Raises ``ImageError`` when the picture shows no stain.
    """
    all_marks = np.zeros(flat.shape, np.bool_)
    for _ in range(3):
        first = typical_stain(flat)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(
            (flat > 0.4 * first).astype(np.uint8), connectivity=8
        )
        marks = _marks(flat, labels=labels, stats=stats)
        without = np.where(marks, np.float32(0), flat) if marks.any() else flat
        if without is flat or float(without.max()) < _LEAST_STAIN:
            break
        flat, all_marks = without, all_marks | marks
    area = stats[:, cv2.CC_STAT_AREA]
    usual = (area >= 60) & (area <= 6000)
    usual[0] = False
    values = flat[usual[labels]]
    return (float(np.median(values)) if values.size >= 200 else first), all_marks


def _marks(stain: Stain, *, labels: Labels, stats: np.ndarray) -> Mask:
    """Where something was burnt in, with its rim."""
    marks = np.zeros(stain.shape, np.bool_)
    for number in np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= _LEAST_MARK_PX) + 1:
        wide = box_of(stats[number]).grown(2, within=stain.shape)
        mask = np.asarray(labels[wide.slices] == number)
        if is_mark(stain[wide.slices], mask=mask):
            marks[wide.slices] |= grown(mask, radius_px=2)
    return marks


def _common_width(mask: Mask) -> float:
    """The chromosome width of a whole picture: each object counts by the length of its ridge.

    Chromosomes are long, so that neither dust nor round nuclei set the scale.
    """
    return max(1.0, _width_along_ridge(_without_holes(mask, hole_px=_HOLE_PX)))
