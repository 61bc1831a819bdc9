"""A slide on which drawn clusters, nuclei and debris are laid, each in a place of its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Bool, UInt16

from supcam.core.foreground import grown, mask_box
from supcam.core.types import Box, ClusterType, CompositionError, Mask, Stain

Masks = Bool[np.ndarray, "bodies height width"]

_TRIES = 600


class ObjectKind(StrEnum):
    """What an object of a drawn metaphase is."""

    CHROMOSOMES = "chromosomes"
    NUCLEUS = "nucleus"
    DEBRIS = "debris"


_LEAST_SHARE = {ObjectKind.CHROMOSOMES: 1.0, ObjectKind.NUCLEUS: 0.55, ObjectKind.DEBRIS: 1.0}
"""How much of an object's height and width must lie inside the picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """Something to be laid out: its stain, one mask a body, and what it is (``type`` None: no chromosome).

    ``chromosomes`` names the types of the bodies (1 ... 22, X, Y), in the order of their masks, where they
    have such.
    """

    kind: ObjectKind
    stain: Stain
    masks: Masks
    type: ClusterType | None = None
    chromosomes: tuple[str, ...] = ()

    @property
    def n_chromosomes(self) -> int:
        """Chromosomes in it; 0 for nuclei and debris."""
        return len(self.masks) if self.kind is ObjectKind.CHROMOSOMES else 0


@dataclass(frozen=True, slots=True, eq=False)
class DrawnObject:
    """One object of a metaphase: ``masks`` holds its bodies, cut to ``box``, which lies in the picture.

    ``chromosomes`` are the types of the bodies, if they have any.
    """

    kind: ObjectKind
    type: ClusterType | None
    n_chromosomes: int
    box: Box
    masks: Masks
    chromosomes: tuple[str, ...] = ()


class Slide:
    """A picture that fills with objects, each at least ``clearance_px`` from every other one.

    ``stain`` is what lies there so far, ``objects`` the objects in the order in which they were laid.
    """

    def __init__(self, picture_px: tuple[int, int], *, clearance_px: int) -> None:
        self.stain = np.zeros(picture_px, np.float32)
        self.objects: list[DrawnObject] = []
        self._near_something = np.zeros(picture_px, np.bool_)
        self._clearance_px = clearance_px

    def lay(self, element: Element, *, rng: np.random.Generator) -> None:
        """Puts ``element`` in a random free place.

        Chromosomes crowd round the middle, wholly inside the picture; nuclei may be cut by its border.
        Raises ``CompositionError`` when there is no free place.
        """
        mask = np.asarray(element.masks.any(axis=0))
        for attempt in range(_TRIES):
            place = self._random_place(element, spread=0.16 + 0.5 * attempt / _TRIES, rng=rng)
            seen = _seen(place, mask.shape, self.stain.shape)
            if (
                seen.share >= _LEAST_SHARE[element.kind]
                and not (self._near_something[seen.there] & mask[seen.here]).any()
            ):
                self._set_down(element, place, seen=seen)
                return
        raise CompositionError(
            f"no free place for {element.kind.value} on {self.stain.shape[0]} x {self.stain.shape[1]} pixels",
            expected="room for every object",
            remedy="ask for a larger picture, fewer objects or a smaller clearance",
        )

    def labels(self) -> UInt16[np.ndarray, "height width"]:
        """0 for background and k + 1 on the bodies of ``objects[k]``."""
        labels = np.zeros(self.stain.shape, np.uint16)
        for number, one in enumerate(self.objects, 1):
            labels[one.box.slices][one.masks.any(axis=0)] = number
        return labels

    def _random_place(self, element: Element, *, spread: float, rng: np.random.Generator) -> tuple[int, int]:
        """A first pixel for ``element``: of chromosomes within the picture, of others near its border too."""
        size, picture = np.array(element.stain.shape), np.array(self.stain.shape)
        if element.kind is ObjectKind.CHROMOSOMES:
            middle = rng.normal(0.5, spread, 2) * picture
            top, left = np.clip(np.rint(middle - size / 2), 0, np.maximum(picture - size, 0))
        else:
            top, left = np.rint(rng.uniform(-0.4 * size, picture - 0.6 * size))
        return int(top), int(left)

    def _set_down(self, element: Element, place: tuple[int, int], *, seen: _Seen) -> None:
        self.stain[seen.there] += element.stain[seen.here]
        around = self._clearance_px
        near = _grown(np.asarray(element.masks.any(axis=0)), by_px=around)
        wide = _seen((place[0] - around, place[1] - around), near.shape, self.stain.shape)
        self._near_something[wide.there] |= near[wide.here]
        self.objects.append(_placed(element, element.masks[:, *seen.here], seen))


def _grown(mask: Mask, *, by_px: int) -> Bool[np.ndarray, "grown_height grown_width"]:
    """``mask`` grown by ``by_px`` in all directions, on a canvas that is larger by as much on each side."""
    return grown(np.pad(mask, by_px), radius_px=by_px)


@dataclass(frozen=True, slots=True)
class _Seen:
    """The part of an element that lies inside the picture (``here``), and where it lies (``there``).

    ``share`` is that part of its height or of its width, whichever is cut more.
    """

    here: tuple[slice, slice]
    there: tuple[slice, slice]
    share: float


def _seen(place: tuple[int, int], size: tuple[int, int], picture: tuple[int, int]) -> _Seen:
    """What a picture shows of something of ``size`` whose first pixel is at ``place``."""
    rows, columns = (
        slice(max(0, -start), max(0, -start, min(side, whole - start)))
        for start, side, whole in zip(place, size, picture, strict=True)
    )
    there = (
        slice(rows.start + place[0], rows.stop + place[0]),
        slice(columns.start + place[1], columns.stop + place[1]),
    )
    share = min((rows.stop - rows.start) / size[0], (columns.stop - columns.start) / size[1])
    return _Seen(here=(rows, columns), there=there, share=share)


def _placed(element: Element, masks: Masks, seen: _Seen) -> DrawnObject:
    """``element`` with the box that just holds its bodies."""
    box = mask_box(np.asarray(masks.any(axis=0)))
    top, left = seen.there[0].start, seen.there[1].start
    return DrawnObject(
        kind=element.kind,
        type=element.type,
        n_chromosomes=element.n_chromosomes,
        box=box.moved(top, left),
        masks=masks[:, *box.slices],
        chromosomes=element.chromosomes,
    )
