"""A model on metaphases with one box a chromosome: objects of known count, and what is no chromosome."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from supcam.core.crop import network_input
from supcam.core.types import Region, Sample
from supcam.data.harvest import harvest_metaphases
from supcam.data.manifest import AnnotatedPicture, Manifest
from supcam.measure.metrics import auroc
from supcam.measure.report import Unread
from supcam.pack.bundle import Model
from supcam.pack.scoring import Prepared, Progress, Scored, name_places, predict

DEBRIS_TABLE = "debris.csv"
CHANCES_TABLE = "chromosome_or_not.csv"
CHANCES_COLUMNS = ("path", "case", "source", "fold", "n_chromosomes", "chromosome_probability")
_COLUMNS = ("path", "case", "source", "fold", "read_as", "confidence", "chromosome_probability")


@dataclass(frozen=True, slots=True, eq=False)
class MetaphaseScores:
    """What the network said about the objects of some metaphases; ``debris`` are those without a chromosome.

    ``unread`` are pictures of which nothing could be used, ``left_out`` says in one line a picture how many
    of its objects fit neither its boxes nor its background.
    """

    objects: tuple[Scored, ...]
    debris: tuple[Scored, ...]
    unread: tuple[Unread, ...]
    left_out: tuple[str, ...]


def boxed_metaphases(manifest: Manifest) -> tuple[AnnotatedPicture, ...]:
    """The annotated pictures whose boxes name no cluster type: each box holds one chromosome."""
    typed = {sample.path for sample in manifest.samples if sample.box is not None and sample.type is not None}
    return tuple(picture for picture in manifest.pictures if picture.boxes and picture.path not in typed)


def score_metaphases(
    pictures: Sequence[AnnotatedPicture], *, model: Model, on_progress: Progress | None = None
) -> MetaphaseScores:
    """What the network says about the objects of each picture, found and sorted by ``data/harvest.py``.

    An object with one box is an instance; one with several is a cluster of that count, its type unknown.
    """
    scored: list[Scored] = []
    unread: list[Unread] = []
    left_out: list[str] = []
    for number, picture in enumerate(pictures, start=1):
        found = harvest_metaphases([picture], image=model.image, foreground=model.card.foreground)
        regions = (*found.singles, *found.clusters, *found.debris)
        prepared = [_prepared(region, picture=picture, model=model) for region in regions]
        scored += predict(prepared, model=model, read=model.read)
        if regions:
            left_out += [f"{picture.path.name}: {item.reason}" for item in found.left_out]
        else:
            unread += [Unread(picture.path.name, item.reason) for item in found.left_out]
        if on_progress is not None:
            on_progress(number, len(pictures))
    return MetaphaseScores(
        objects=tuple(item for item in scored if item.sample.n_chromosomes is not None),
        debris=tuple(item for item in scored if item.sample.n_chromosomes is None),
        unread=tuple(unread),
        left_out=tuple(left_out),
    )


def write_debris(scores: MetaphaseScores, *, fold: str, path: Path) -> Path:
    """``path``, now a CSV of the objects without a chromosome: where each lies, and what it was read as."""
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        writer.writerows(_debris_rows(scores.debris, fold=fold))
    return path


def write_chances(scores: MetaphaseScores, *, fold: str, path: Path) -> Path:
    """``path``, now a CSV of all objects: how many chromosomes each holds, and whether it was read as one."""
    scored = (*scores.objects, *scores.debris)
    names = name_places([item.sample for item in scored])
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream:
        writer = csv.writer(stream)
        writer.writerow(CHANCES_COLUMNS)
        for item, name in zip(scored, names, strict=True):
            chance = item.prediction.chromosome_probability
            sample = item.sample
            values = (name, sample.case, sample.source, fold, sample.n_chromosomes or 0)
            writer.writerow([*values, "" if chance is None else repr(chance)])
    return path


def metaphase_notes(scores: MetaphaseScores, *, model: Model) -> Iterator[str]:
    """What a reader of the figures must know of metaphases, and how debris was told from chromosomes."""
    if not scores.objects and not scores.debris:
        return
    yield (
        "Metaphases: an object with one box is an instance, one with several a cluster of that count. The "
        "types of these clusters are unknown, so figures of type rest on instances alone: read instance "
        "against cluster and the counts."
    )
    n_debris = len(scores.debris)
    if n_debris:
        kept = _kept(scores, model=model)
        yield f"{n_debris} objects hold no chromosome and are in none of the figures. {kept}"
    if scores.left_out:
        yield "Left out: " + "; ".join(scores.left_out)


def _kept(scores: MetaphaseScores, *, model: Model) -> str:
    if not model.card.heads_trained.chromosome:
        return "The model has no trained chromosome-or-not head and keeps them all."
    told_apart = f"AUROC of its chromosome-or-not head: {_auroc(scores):.4f}."
    if model.calibration.chromosome_threshold is None:
        return f"The model has no threshold to reject by and keeps them all. {told_apart}"
    return (
        f"Rejected: {_rejected(scores.debris)} of them, and {_rejected(scores.objects)} that hold "
        f"chromosomes. {told_apart}"
    )


def _rejected(scored: Sequence[Scored]) -> str:
    n_rejected = sum(item.prediction.label is None for item in scored)
    return f"{n_rejected} of {len(scored)} ({n_rejected / max(1, len(scored)):.1%})"


def _auroc(scores: MetaphaseScores) -> float:
    chances = [item.prediction.chromosome_probability or 0.0 for item in (*scores.objects, *scores.debris)]
    holds = np.arange(len(chances)) < len(scores.objects)
    return auroc(np.array(chances, np.float64), positive=holds)


def _debris_rows(debris: Sequence[Scored], *, fold: str) -> Iterator[list[object]]:
    for item, name in zip(debris, name_places([item.sample for item in debris]), strict=True):
        read = item.prediction
        yield [
            name,
            item.sample.case,
            item.sample.source,
            fold,
            read.type,
            repr(read.confidence),
            "" if read.chromosome_probability is None else repr(read.chromosome_probability),
        ]


def _prepared(region: Region, *, picture: AnnotatedPicture, model: Model) -> Prepared:
    sample = Sample(
        path=picture.path,
        case=region.case,
        source=region.source,
        type=region.type,
        n_chromosomes=region.n_chromosomes,
        sha256=picture.sha256,
        box=region.box,
    )
    return Prepared(sample, network_input(region, config=model.card.crop))
