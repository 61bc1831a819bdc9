"""An analysed picture, corrected object by object: what a viewer needs, without the viewer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt16

from supcam.core.disk import write_whole
from supcam.core.types import ClusterType, SupcamError
from supcam.data.exchange.coco import write_coco
from supcam.data.exchange.marked import KINDS, REJECTED, MarkedObject, MarkedPicture, count_of
from supcam.data.exchange.masks import cropped
from supcam.spread.overlay import COLOURS
from supcam.spread.result import Analysis

Labels = UInt16[np.ndarray, "height width"]
Features = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of one object of the label picture; ``is_corrected`` when a person said it."""

    object_id: int
    kind: str
    confidence: float
    n_chromosomes: int
    is_corrected: bool = False


def said_of(analysis: Analysis) -> tuple[Said, ...]:
    """What the model says of every object, in the order of their numbers."""
    return tuple(
        Said(
            item.object_id,
            kind=item.type,
            confidence=item.prediction.confidence if item.prediction else 0.0,
            n_chromosomes=item.n_chromosomes,
        )
        for item in analysis.objects
    )


def corrected(said: Sequence[Said], *, object_id: int, kind: str) -> tuple[Said, ...]:
    """The same with another type for one object. Raises ``SupcamError`` for no such object or type.

    A number of chromosomes that cannot go with the new type is unknown: 0.
    """
    if kind not in KINDS or object_id not in {each.object_id for each in said}:
        raise SupcamError(
            f"object {object_id} as {kind!r}",
            expected=f"an object of the picture, and one of {', '.join(KINDS)}",
            remedy="select an object first",
        )
    return tuple(_with(each, kind=kind) if each.object_id == object_id else each for each in said)


def _with(each: Said, *, kind: str) -> Said:
    number = count_of(each.n_chromosomes, kind=kind) or 0
    return replace(each, kind=kind, n_chromosomes=number, is_corrected=True)


def features_of(said: Sequence[Said]) -> Features:
    """The columns of a table for a viewer; ``index`` is the value of an object in the label picture."""
    return {
        "index": np.array([each.object_id for each in said], np.int64),
        "type": np.array([each.kind for each in said], np.str_),
        "confidence": np.array([each.confidence for each in said], np.float64),
        "n_chromosomes": np.array([each.n_chromosomes for each in said], np.int64),
        "corrected": np.array([each.is_corrected for each in said], np.bool_),
    }


def colours_of(said: Sequence[Said]) -> dict[int, tuple[float, float, float, float]]:
    """The colour of every object by its type, red, green, blue and opacity of 0 to 1."""
    shares = {kind: (red / 255, green / 255, blue / 255, 1.0) for kind, (red, green, blue) in COLOURS.items()}
    return {each.object_id: shares[each.kind] for each in said}


def export(folder: Path, *, labels: Labels, said: Sequence[Said], name: str) -> tuple[Path, Path]:
    """``objects.csv`` and ``coco.json`` in ``folder``: what is said now, of objects as they are drawn now.

    ``supcam convert`` makes a training set of the COCO table. Objects that were erased are left out; what was
    painted with a number that no object has is refused with ``SupcamError``.
    """
    by_id = {each.object_id: each for each in said}
    present = [int(value) for value in np.unique(labels) if value]
    unknown = [value for value in present if value not in by_id]
    if unknown:
        raise SupcamError(
            f"pixels of {len(unknown)} objects that nobody typed, the first of them {unknown[0]}",
            expected="the objects of the analysis",
            remedy="paint with the number of an object, or erase them",
        )
    picture = MarkedPicture(
        name,
        height=labels.shape[0],
        width=labels.shape[1],
        objects=tuple(_marked(labels, said=by_id[value]) for value in present),
    )
    try:
        table = write_whole(folder / "objects.csv", [_csv(picture, by_id=by_id).encode()])
        return table, write_whole(folder / "coco.json", [write_coco([picture])])
    except OSError as error:
        raise SupcamError(
            error.strerror or str(error), expected="a folder that can be written", remedy="choose another",
            where=folder,
        ) from error  # fmt: skip


def _marked(labels: Labels, *, said: Said) -> MarkedObject:
    outlined = cropped(np.asarray(labels == said.object_id), top=0, left=0)
    return MarkedObject(
        outlined.box,
        kind=said.kind,
        mask=outlined.mask,
        n_chromosomes=count_of(said.n_chromosomes, kind=said.kind),
        confidence=None if said.is_corrected else said.confidence,
        name=str(said.object_id),
    )


def _csv(picture: MarkedPicture, *, by_id: Mapping[int, Said]) -> str:
    lines = ["object_id,top,left,bottom,right,area_px,type,confidence,n_chromosomes,corrected"]
    for item in picture.objects:
        said, box = by_id[int(item.name)], item.box
        assert item.mask is not None
        corners = f"{box.top},{box.left},{box.bottom},{box.right},{int(item.mask.sum())}"
        number = "" if item.n_chromosomes is None else item.n_chromosomes
        lines.append(
            f"{item.name},{corners},{said.kind},{said.confidence:.6f},{number},{str(said.is_corrected).lower()}"
        )
    return "\n".join(lines) + "\n"


KEYS = {str(number): kind for number, kind in enumerate((*(k.label for k in ClusterType), REJECTED), start=1)}
"""The key that gives the selected object its type."""
