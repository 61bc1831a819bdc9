"""Annotated metaphases and typed crops -> single chromosomes, clusters of known count, debris."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from supcam.core.config import ForegroundConfig, ImageConfig
from supcam.core.crop import region_from_crop, region_of_object
from supcam.core.foreground import Foreground, find_foreground
from supcam.core.image import outside_mask, polarity_in, read_grey, to_stain
from supcam.core.types import Box, ClusterType, ImageError, Region, Sample
from supcam.data.manifest import AnnotatedPicture

_BOX_SHRINK = 0.10
_OWNED_SHARE = 0.10
_FIT = 0.55
_DEBRIS_OVERLAP = 0.02
_PASTED_AREA_PX = 300
_SATURATED_SHARE = 0.5
"""The training cases' pasted pictures have at most 0.03 of exact white."""
_GREY_BACKGROUND = (0.5, 0.975)
"""Shares of white between which a background is grey: neither that of fluorescence nor saturated."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A picture or object that was not harvested, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Harvest:
    """What was cut from pictures: regions of one chromosome, of several, of none; and what was left out."""

    singles: tuple[Region, ...]
    clusters: tuple[Region, ...]
    debris: tuple[Region, ...]
    left_out: tuple[LeftOut, ...]

    def __add__(self, other: Harvest) -> Harvest:
        return Harvest(
            singles=self.singles + other.singles,
            clusters=self.clusters + other.clusters,
            debris=self.debris + other.debris,
            left_out=self.left_out + other.left_out,
        )


EMPTY = Harvest(singles=(), clusters=(), debris=(), left_out=())


def harvest_crops(
    samples: Iterable[Sample],
    *,
    image: ImageConfig,
    foreground: ForegroundConfig,
    tick: Callable[[], None] | None = None,
) -> Harvest:
    """The regions of typed crops: instances are singles, the rest clusters. Unsure ones are left out."""
    harvest = EMPTY
    for sample in samples:
        harvest += _crop_region(sample, image=image, foreground=foreground)
        if tick is not None:
            tick()
    return harvest


def _crop_region(sample: Sample, *, image: ImageConfig, foreground: ForegroundConfig) -> Harvest:
    if sample.type is None:
        return replace(EMPTY, left_out=(LeftOut(sample.path, "its type is unsure"),))
    try:
        region = read_crop(sample.path, image=image, foreground=foreground)
    except ImageError as error:
        return replace(EMPTY, left_out=(LeftOut(sample.path, str(error)),))
    known = replace(
        region, case=sample.case, source=sample.source, type=sample.type, n_chromosomes=sample.n_chromosomes
    )
    if sample.type is ClusterType.INSTANCE:
        return replace(EMPTY, singles=(known,))
    return replace(EMPTY, clusters=(known,))


def read_crop(path: Path, *, image: ImageConfig, foreground: ForegroundConfig) -> Region:
    """The object in the crop at ``path``. Raises ``ImageError``."""
    grey = read_grey(path, config=image)
    stain = to_stain(grey, config=image)
    outside = outside_mask(grey.pixels, white=grey.white)
    return region_from_crop(stain, outside=outside if outside.any() else None, config=foreground)


def harvest_metaphases(
    pictures: Iterable[AnnotatedPicture],
    *,
    image: ImageConfig,
    foreground: ForegroundConfig,
    tick: Callable[[], None] | None = None,
) -> Harvest:
    """The objects of metaphases with one box a chromosome; pasted and unreadable ones are left out, named.

    An object that holds one box and is about as large as it is a single chromosome; one that holds several
    is a cluster of that count (its type stays unknown, but for the count); one that meets no box is debris
    or a nucleus. What fits none of the three is left out.
    """
    harvest = EMPTY
    for picture in pictures:
        harvest += _harvest_picture(picture, image=image, foreground=foreground)
        if tick is not None:
            tick()
    return harvest


def _harvest_picture(
    picture: AnnotatedPicture, *, image: ImageConfig, foreground: ForegroundConfig
) -> Harvest:
    try:
        grey = read_grey(picture.path, config=image)
        if is_pasted(grey.pixels, white=grey.white):
            return replace(
                EMPTY, left_out=(LeftOut(picture.path, "chromosomes were cut out and pasted back"),)
            )
        stain, polarity = to_stain(grey, config=image), polarity_in(grey, config=image)
        found = find_foreground(stain, config=foreground, polarity=polarity)
    except ImageError as error:
        return replace(EMPTY, left_out=(LeftOut(picture.path, str(error)),))
    return _sort_objects(picture, found)


def is_pasted(pixels: np.ndarray, *, white: float) -> bool:
    """Whether the picture shows chromosomes pasted back: large exact-white regions in a grey background.

    A saturated background is an ordinary scan: there the mode itself is (nearly) white, or most of the
    picture is. On a dark background exact white is a bright object.
    """
    below = pixels[pixels < white]
    if below.size <= (1 - _SATURATED_SHARE) * pixels.size:
        return False
    counts = np.bincount((below * (255.0 / white)).astype(np.uint8), minlength=256)
    darkest, brightest = _GREY_BACKGROUND
    if not darkest * 255 <= counts.argmax() < brightest * 255:
        return False
    _, _, stats, _ = cv2.connectedComponentsWithStats((pixels >= white).astype(np.uint8), connectivity=4)
    return bool((stats[1:, cv2.CC_STAT_AREA] >= _PASTED_AREA_PX).any())


def box_owners(labels: np.ndarray, boxes: Sequence[Box]) -> tuple[int, ...]:
    """For each box the object that owns most of its (shrunken) pixels; 0 when none owns a tenth of them."""
    return tuple(_owner(labels, box) for box in boxes)


def _owner(labels: np.ndarray, box: Box) -> int:
    dy, dx = _BOX_SHRINK * box.height, _BOX_SHRINK * box.width
    rows = slice(max(0, round(box.top + dy)), round(box.bottom - dy) + 1)
    columns = slice(max(0, round(box.left + dx)), round(box.right - dx) + 1)
    window = labels[rows, columns]
    votes = np.bincount(window[window > 0].ravel(), minlength=1)
    best = int(votes.argmax())
    return best if votes[best] >= _OWNED_SHARE * window.size and window.size else 0


def _sort_objects(picture: AnnotatedPicture, found: Foreground) -> Harvest:
    owners = np.array(box_owners(found.labels, picture.boxes))
    singles: list[Region] = []
    clusters: list[Region] = []
    debris: list[Region] = []
    unsure = 0
    for index, place in enumerate(found.boxes):
        own = [box for box, owner in zip(picture.boxes, owners, strict=True) if owner == index + 1]
        if not _fits(place, own=own, boxes=picture.boxes):
            unsure += 1
            continue
        region = _named(region_of_object(found, index), picture=picture, count=len(own))
        (debris, singles, clusters)[min(len(own), 2)].append(region)
    note = (
        (LeftOut(picture.path, f"{unsure} objects fit neither a box nor the background"),) if unsure else ()
    )
    return Harvest(singles=tuple(singles), clusters=tuple(clusters), debris=tuple(debris), left_out=note)


def _fits(place: Box, *, own: Sequence[Box], boxes: Sequence[Box]) -> bool:
    """Whether an object is about as large as its own boxes together, or, without any, clear of all boxes."""
    if not own:
        return all(_share_inside(place, box) <= _DEBRIS_OVERLAP for box in boxes)
    union = Box(
        top=min(box.top for box in own),
        left=min(box.left for box in own),
        bottom=max(box.bottom for box in own),
        right=max(box.right for box in own),
    )
    return _iou(place, union) >= _FIT


def _named(region: Region, *, picture: AnnotatedPicture, count: int) -> Region:
    return replace(
        region,
        case=picture.case,
        source=picture.source,
        picture=picture.path.stem,
        type=ClusterType.INSTANCE if count == 1 else None,
        n_chromosomes=count if count else None,
        is_chromosome=count > 0,
    )


def _intersection(a: Box, b: Box) -> int:
    rows = min(a.bottom, b.bottom) - max(a.top, b.top)
    columns = min(a.right, b.right) - max(a.left, b.left)
    return max(0, rows) * max(0, columns)


def _iou(a: Box, b: Box) -> float:
    both = _intersection(a, b)
    return both / (a.height * a.width + b.height * b.width - both)


def _share_inside(inner: Box, outer: Box) -> float:
    return _intersection(inner, outer) / (inner.height * inner.width)
