"""Picture -> objects, area by area: each object is found once, whatever the size of the areas.

A picture is cut into write areas that cover it without overlap. Around each, a wider read area is looked at.
An object's component belongs to the write area that holds its first pixel, in reading order; where it does
not lie well inside the read area, that is widened until it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from supcam.core.background import REDUCTION, Background, find_background, reduced
from supcam.core.components import Components, find_components
from supcam.core.config import ForegroundConfig
from supcam.core.crop import RIM_SHARE, cut_region
from supcam.core.foreground import Levels, Piece, find_levels, split
from supcam.core.glow import cell_px, find_glow, outlined, rough
from supcam.core.types import Box, Clutter, ImageError, Mask, Polarity, Region, Stain

WRITE_PX, MARGIN_PX = 1536, 320
"""Side of a write area, and how much wider a read area is on each side at first."""
_WIDEST_PX = 6000
"""An object that does not fit into a read area of this side is no chromosome and no cluster."""
_ROWS = 512
WHOLE_PIXELS = 9_000_000
"""Stain and width of a chromosome come from the whole of a picture of up to so many pixels."""
_LEVEL_AREAS = 6
"""In larger ones they come from up to so many areas, those with most in them."""


class StainSource(Protocol):
    """A picture whose stain can be had part by part; ``size`` is (height, width)."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        ...

    @property
    def polarity(self) -> Polarity:
        """Whether stain is dark or bright."""
        ...

    def stain(self, box: Box) -> Stain:
        """The stain within ``box``, straight from the reader."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class WholeStain:
    """A stain picture in memory."""

    picture: Stain
    polarity: Polarity = Polarity.BRIGHT_FIELD

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.picture.shape[0], self.picture.shape[1]

    def stain(self, box: Box) -> Stain:
        """The stain within ``box``."""
        return np.ascontiguousarray(self.picture[box.slices])


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """One object of a picture: ``mask`` within ``box``, its area, what clutter it is by shape.

    ``region`` is what the network is shown, ``None`` for clutter. ``is_cut`` tells that the border of the
    picture cuts it, ``is_too_large`` that it did not fit into the widest area. ``stain_share`` is its mean
    stain as a share of the picture's typical one; ``first`` the first pixel (row, column) of the component
    it was part of.
    """

    mask: Mask
    box: Box
    area_px: int
    clutter: Clutter | None
    region: Region | None
    is_cut: bool
    stain_share: float
    first: tuple[int, int]
    is_too_large: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What is found out about a picture before its objects: background, and the units of stain and width.

    ``glow`` lies on the background of fluorescence pictures.
    """

    background: Background
    levels: Levels
    glow: Background | None = None

    @property
    def under(self) -> tuple[Background, ...]:
        """All that lies under the objects."""
        return (self.background,) if self.glow is None else (self.background, self.glow)


def find_ground(source: StainSource, *, config: ForegroundConfig) -> Ground:
    """Background, glow, stain and width of ``source``. Raises ``ImageError`` when it shows nothing.

    Large pictures: stain and width are medians over the areas in which most stands out.
    """
    small = np.concatenate([reduced(source.stain(band)) for band in _bands(source.size, rows=_ROWS)])
    background = find_background(small, size=source.size, config=config)
    areas = _fullest(small - background.levels, size=source.size)
    if source.polarity is not Polarity.FLUORESCENCE:
        levels = _levels_in(areas, source=source, under=[background], config=config)
        return Ground(background=background, levels=levels)
    levels = _levels_in(areas, source=source, under=[background], config=rough(config))
    glow = _glow(source, background=background, levels=levels)
    config = outlined(config, polarity=source.polarity)
    levels = _levels_in(areas, source=source, under=[background, glow], config=config)
    return Ground(background=background, levels=levels, glow=glow)


def _bands(size: tuple[int, int], *, rows: int) -> list[Box]:
    return [Box(top, 0, min(size[0], top + rows), size[1]) for top in range(0, size[0], rows)]


def _levels_in(
    areas: Sequence[Box], *, source: StainSource, under: Sequence[Background], config: ForegroundConfig
) -> Levels:
    """The units of a picture, medians over ``areas``. Raises ``ImageError`` when they show nothing."""
    found: list[Levels] = []
    for box in areas:
        try:
            found.append(find_levels(flat_stain(source, box, under=under), config=config))
        except ImageError:
            if source.size[0] * source.size[1] <= WHOLE_PIXELS:
                raise
    if not found:
        raise ImageError("no stained object", expected="at least one chromosome", remedy="leave it out")
    return Levels(
        typical_stain=float(np.median([each.typical_stain for each in found])),
        width_px=float(np.median([each.width_px for each in found])),
    )


def _glow(source: StainSource, *, background: Background, levels: Levels) -> Background:
    step = cell_px(levels.width_px, size=source.size)
    bands = _bands(source.size, rows=step * max(1, _ROWS // step))
    cells = [reduced(flat_stain(source, band, under=[background]), step=step) for band in bands]
    return find_glow(
        np.concatenate(cells),
        cell_px=step,
        size=source.size,
        typical=levels.typical_stain,
        width_px=levels.width_px,
    )


def flat_stain(source: StainSource, box: Box, *, under: Sequence[Background]) -> Stain:
    """The stain within ``box`` without the backgrounds that lie ``under`` it."""
    stain = source.stain(box)
    for each in under:
        stain = stain - each.under(box)
        np.maximum(stain, 0, out=stain)
    return np.asarray(stain, dtype=np.float32)


def find_objects(
    source: StainSource, *, ground: Ground, config: ForegroundConfig, write_px: int = WRITE_PX
) -> Iterator[list[Found]]:
    """The objects of one write area after the other. Sorted by ``first`` they are in the picture's order.

    A picture of up to ``write_px`` squared pixels is one area.
    """
    height, width = source.size
    config = outlined(config, polarity=source.polarity)
    whole = height * width <= write_px**2
    for write in [Box(0, 0, height, width)] if whole else _areas((height, width), side=write_px):
        read = write.grown(MARGIN_PX, within=(height, width))
        yield _in_area(source, write=write, read=read, ground=ground, config=config)


def _areas(size: tuple[int, int], *, side: int) -> list[Box]:
    return [
        Box(top, left, min(size[0], top + side), min(size[1], left + side))
        for top in range(0, size[0], side)
        for left in range(0, size[1], side)
    ]


def _fullest(above: Stain, *, size: tuple[int, int]) -> list[Box]:
    """The areas in which most stands out, in reading order; the whole of a small picture."""
    if size[0] * size[1] <= WHOLE_PIXELS:
        return [Box(0, 0, *size)]
    level = 0.5 * float(np.quantile(above, 0.995))
    areas = _areas(size, side=WRITE_PX)
    small = [slice(a.top // REDUCTION, -(-a.bottom // REDUCTION)) for a in areas]
    across = [slice(a.left // REDUCTION, -(-a.right // REDUCTION)) for a in areas]
    counts = [-int((above[r, c] > level).sum()) for r, c in zip(small, across, strict=True)]
    fullest = np.argsort(counts, kind="stable")[:_LEVEL_AREAS]
    return [areas[i] for i in sorted(fullest) if counts[i] <= 0.5 * min(counts)]


def _in_area(
    source: StainSource, *, write: Box, read: Box, ground: Ground, config: ForegroundConfig
) -> list[Found]:
    flat = flat_stain(source, read, under=ground.under)
    view = _View(flat, read=read, size=source.size, ground=ground, config=config)
    by_first: dict[tuple[int, int], list[Found]] = {}
    for number, box in view.components.boxes():
        at = view.first_pixel(number, box=box)
        if not view.is_inside(box):
            if view.meets(write, box):
                at, objects = _widened(source, seen=at, view=view, config=config)
                by_first[at] = objects
        elif _holds(write, at):
            by_first[at] = view.objects(number, box, first=at)
    return [each for at, objects in by_first.items() if _holds(write, at) for each in objects]


def _widened(
    source: StainSource, *, seen: tuple[int, int], view: _View, config: ForegroundConfig
) -> tuple[tuple[int, int], list[Found]]:
    """The first pixel and the objects of the component at the pixel ``seen``, in ever wider areas."""
    while True:
        wider = view.read.grown(max(view.read.height, view.read.width) // 2, within=source.size)
        flat = flat_stain(source, wider, under=view.ground.under)
        view = _View(flat, read=wider, size=source.size, ground=view.ground, config=config)
        number = view.number_at(seen)
        box = view.components.box_of(number)
        inside = view.is_inside(box)
        if inside or max(wider.height, wider.width) > _WIDEST_PX:
            at = view.first_pixel(number, box=box)
            return at, view.objects(number, box, first=at, too_large=not inside)


def _holds(area: Box, pixel: tuple[int, int]) -> bool:
    return area.top <= pixel[0] < area.bottom and area.left <= pixel[1] < area.right


@dataclass(frozen=True, slots=True, eq=False)
class _Near:
    """A component with its surroundings: stain, all that is no dust, and the place in the picture."""

    stain: Stain
    large: Mask
    place: Box
    first: tuple[int, int]
    too_large: bool


class _View:
    """The components within one read area."""

    def __init__(
        self, flat: Stain, *, read: Box, size: tuple[int, int], ground: Ground, config: ForegroundConfig
    ) -> None:
        self.read, self.ground, self._size, self._config = read, ground, size, config
        self._flat = flat
        self._pad = 2 + int(np.ceil(RIM_SHARE * ground.levels.width_px))
        self.components: Components = find_components(
            flat, typical=ground.levels.typical_stain, config=config
        )

    def first_pixel(self, number: int, *, box: Box) -> tuple[int, int]:
        """The first pixel of a component in reading order, in the picture."""
        row = self.components.labels[box.top, box.left : box.right]
        return box.top + self.read.top, box.left + int(np.argmax(row == number)) + self.read.left

    def number_at(self, pixel: tuple[int, int]) -> int:
        """The component at a pixel of the picture."""
        return int(self.components.labels[pixel[0] - self.read.top, pixel[1] - self.read.left])

    def is_inside(self, box: Box) -> bool:
        """Whether a component lies so far from the edges of the read area that nothing changes beyond.

        Where an edge is the picture's border, there is nothing beyond.
        """
        slack = self._pad + self._config.min_area_px
        return (
            (box.top >= slack or self.read.top == 0)
            and (box.left >= slack or self.read.left == 0)
            and (box.bottom <= self.read.height - slack or self.read.bottom == self._size[0])
            and (box.right <= self.read.width - slack or self.read.right == self._size[1])
        )

    def meets(self, write: Box, box: Box) -> bool:
        """Whether the part that is seen of a component has a pixel in the write area."""
        rows = slice(max(box.top, write.top - self.read.top), min(box.bottom, write.bottom - self.read.top))
        columns = slice(
            max(box.left, write.left - self.read.left), min(box.right, write.right - self.read.left)
        )
        return rows.start < rows.stop and columns.start < columns.stop

    def objects(
        self, number: int, box: Box, *, first: tuple[int, int], too_large: bool = False
    ) -> list[Found]:
        """The objects of one component, which starts at the pixel ``first`` of the picture."""
        wide = box.grown(self._pad, within=self._flat.shape)
        labels = self.components.labels[wide.slices]
        near = _Near(
            stain=self._flat[wide.slices],
            large=np.asarray(self.components.is_kept[labels]),
            place=Box(
                wide.top + self.read.top,
                wide.left + self.read.left,
                wide.bottom + self.read.top,
                wide.right + self.read.left,
            ),
            first=first,
            too_large=too_large,
        )
        mask = np.asarray(labels == number)
        pieces = split(near.stain, mask=mask, levels=self.ground.levels, config=self._config)
        return [self._found(piece, near=near) for piece in pieces]

    def _found(self, piece: Piece, *, near: _Near) -> Found:
        levels, (height, width) = self.ground.levels, self._size
        box = piece.moved(near.place).box
        region = None
        if piece.clutter is None and not near.too_large:
            others = np.asarray(near.large & ~piece.mask)
            region = cut_region(near.stain, mask=piece.mask, others=others, width_px=levels.width_px)
        return Found(
            mask=np.ascontiguousarray(piece.mask[piece.box.slices]),
            box=box,
            area_px=piece.area_px,
            clutter=piece.clutter,
            region=region,
            is_cut=box.top == 0 or box.left == 0 or box.bottom == height or box.right == width,
            stain_share=float(near.stain[piece.mask].mean()) / levels.typical_stain,
            first=near.first,
            is_too_large=near.too_large,
        )
