"""Several chromosomes laid in the relations that are asked for: one body after the other, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

import cv2
import numpy as np

from supcam.core.components import segmentation_mask
from supcam.core.config import ForegroundConfig
from supcam.core.foreground import Levels, core_mask, solid, split, typical_stain
from supcam.core.types import ClusterType, Mask, Stain
from supcam.data.drawing import Sketch, ink
from supcam.data.joining import Closeness, Laid, join, lay, relation_of
from supcam.data.piece import signed_depth

Sketcher = Callable[[np.random.Generator], Sketch]
"""Sketches a chromosome, bent anew at every call."""

_JOIN_TRIES = 25
_NOTCH_PX, _HOLE_PX = 3, 60
"""Light bands up to these sizes belong to a body's core."""


def arrange(
    rng: np.random.Generator,
    *,
    sketchers: Sequence[Sketcher],
    relations: Sequence[ClusterType | None],
    closeness: Closeness,
) -> list[Laid] | None:
    """The chromosomes of ``sketchers`` in their order, each joined to those before it; None if one failed.

    ``relations[k]`` is how chromosome k + 1 lies to those before it; None: in any relation.
    """
    assert len(sketchers) == len(relations) + 1
    laid = [lay(ink(sketchers[0](rng), rng=rng))]
    for sketcher, relation in zip(sketchers[1:], relations, strict=True):
        for _ in range(_JOIN_TRIES):
            joined = join(laid, sketcher(rng), relation=relation, closeness=closeness, rng=rng)
            if joined is not None:
                laid.append(joined)
                break
        else:
            return None
    return laid


def type_of(laid: Sequence[Laid], *, closeness: Closeness) -> ClusterType | None:
    """The bits of all contacts between any two of ``laid``; None when one is neither touch nor overlap."""
    bits = ClusterType.INSTANCE
    for one, other in combinations(laid, 2):
        found = relation_of(one, other, closeness=closeness)
        if found is None:
            return None
        bits = bits | found
    return bits


def cores_of(laid: Sequence[Laid], *, stain: Stain) -> list[Laid]:
    """The bodies as their core masks: each one's stain above the core level of the cluster's ``stain``."""
    typical = typical_stain(stain)
    cores = (core_mask(one.drawn.stain, typical=typical, config=ForegroundConfig()) for one in laid)
    return [_with_mask(one, mask=core) for one, core in zip(laid, cores, strict=True)]


def _with_mask(one: Laid, *, mask: Mask) -> Laid:
    """``one`` with another mask, made solid."""
    body = solid(mask, radius_px=_NOTCH_PX, hole_px=_HOLE_PX)
    return replace(one, drawn=replace(one.drawn, mask=body), depth=signed_depth(body))


def is_one_component(stain: Stain, *, reserve: float = 1.0) -> bool:
    """Whether a drawn cluster hangs together at the segmentation threshold, or ``reserve`` times above it."""
    mask = segmentation_mask(stain, typical=reserve * typical_stain(stain), config=ForegroundConfig())
    n_labels, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return bool(n_labels == 2)


def is_one_object(stain: Stain, *, levels: Levels) -> bool:
    """Whether a drawn cluster is one object, and no nucleus, in a whole picture of these ``levels``.

    Bridges between its bodies, and light bands within them, must then reach the contact level.
    """
    config = ForegroundConfig()
    mask = segmentation_mask(stain, typical=levels.typical_stain, config=config)
    n_labels, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    if n_labels != 2:
        return False
    pieces = split(stain, mask=mask, levels=levels, config=config)
    return len(pieces) == 1 and pieces[0].clutter is None
