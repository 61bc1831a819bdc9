"""Pictures with marked objects, made up: every type, holes, pieces, boxes without a mask."""

from __future__ import annotations

import numpy as np

from supcam.core.types import Box, Mask
from supcam.data.exchange.marked import MarkedObject, MarkedPicture

SIZE = (40, 53)


def blob(seed: int, *, rows: int = 9, columns: int = 12) -> Mask:
    """A ragged mask with holes that reaches all four sides of its box."""
    mask = np.random.default_rng(seed).random((rows, columns)) > 0.4
    mask[0, 3] = mask[-1, 2] = mask[4, 0] = mask[5, -1] = True
    return mask


def marked(name: str = "a.png", *, seed: int = 0, boxed: bool = True) -> MarkedPicture:
    """A picture with an object of each kind; the last one is a mere box."""
    kinds = ("instance", "touching", "overlapping", "touching_overlapping", "rejected")
    numbers = (1, 2, None, 4, None)
    corners = ((0, 0), (31, 41), (12, 5), (3, 30), (20, 20))
    objects = [
        MarkedObject(
            Box(top, left, bottom=top + 9, right=left + 12),
            kind=kind,
            mask=blob(seed + index),
            n_chromosomes=number,
            confidence=0.5 + index / 100,
            name=str(index + 1),
        )
        for index, (kind, number, (top, left)) in enumerate(zip(kinds, numbers, corners, strict=True))
    ]
    if boxed:
        objects.append(
            MarkedObject(Box(10, 40, bottom=19, right=50), kind="instance", n_chromosomes=1, name="6")
        )
    return MarkedPicture(name, height=SIZE[0], width=SIZE[1], objects=tuple(objects), case="K-1")


def said(picture: MarkedPicture, *, case: bool = True, confidence: bool = True) -> list[object]:
    """All that is said of a picture, comparable."""
    return [picture.file_name, picture.height, picture.width, picture.case if case else ""] + [
        (
            item.box,
            item.kind,
            None if item.mask is None else item.mask.tolist(),
            item.n_chromosomes,
            item.confidence if confidence else None,
            item.name,
        )
        for item in picture.objects
    ]
