"""Whether objects of known labels are found again in a picture, each as one object of its own."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from jaxtyping import Int64, UInt16

from supcam.core.foreground import Foreground

_FOUND_SHARE = 0.5
"""An object of which less is foreground was missed."""
_WHOLE_SHARE = 0.95
"""An object is whole when one component holds this share of what is found of it."""
_FOREIGN_SHARE = 0.05
"""A component holds another object when it has this share of it."""


class Found(StrEnum):
    """How a picture shows an object of known label; unread: the reader refused the whole picture."""

    WHOLE = "whole"
    SPLIT = "split"
    MERGED = "merged"
    MISSED = "missed"
    UNREAD = "unread"


def find_again(labels: UInt16[np.ndarray, "height width"], *, foreground: Foreground) -> tuple[Found, ...]:
    """For each object 1, 2 ... of ``labels`` how ``foreground`` shows it.

    Merged: its component holds a part of another object too. Split: a second component holds more than a
    twentieth of it; specks too small for an object do not count.
    """
    shared = _shared_pixels(labels, foreground=foreground)
    area = shared.sum(axis=1)
    shown = shared[:, 1:]
    has_part = shown > _FOREIGN_SHARE * area[:, None]
    return tuple(
        _found(shown[k], area=int(area[k]), n_objects=has_part.sum(axis=0)) for k in range(1, len(shared))
    )


def _found(shown: Int64[np.ndarray, " components"], *, area: int, n_objects: np.ndarray) -> Found:
    """How the pixels of one object lie in components, each of which has parts of ``n_objects``."""
    if not shown.size or shown.sum() < _FOUND_SHARE * area:
        return Found.MISSED
    if n_objects[int(shown.argmax())] > 1:
        return Found.MERGED
    return Found.WHOLE if shown.max() >= _WHOLE_SHARE * shown.sum() else Found.SPLIT


def _shared_pixels(
    labels: UInt16[np.ndarray, "height width"], *, foreground: Foreground
) -> Int64[np.ndarray, "objects components"]:
    """Pixels of each object in each component. Object 0 is the ground, of which none is counted."""
    n_objects, n_components = int(labels.max()) + 1, len(foreground.boxes) + 1
    pairs = labels.astype(np.int64) * n_components + foreground.labels
    counts = np.bincount(pairs.ravel(), minlength=n_objects * n_components)
    shared = counts.reshape(n_objects, n_components)
    shared[0] = 0
    return shared
