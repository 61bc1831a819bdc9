"""A model on labelled samples -> a table of predictions; what cannot be read is listed, the rest goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from supcam.core.crop import Square, network_input, region_from_crop
from supcam.core.image import read_grey, to_stain
from supcam.core.look import Look, look_of
from supcam.core.reading import JointReading
from supcam.core.types import Box, ClusterType, Decision, ImageError, Prediction, Sample, Stain
from supcam.measure.report import Unread
from supcam.measure.table import UNKNOWN, PredictionTable, Words
from supcam.pack.bundle import Model
from supcam.pack.folder import Outputs

_BATCH = 64

Patch = Float32[np.ndarray, "rows columns"]
"""A box of a larger stain picture."""
Numbers = Int64[np.ndarray, " batch"]

Reading = Callable[[Outputs], list[Prediction]]
"""Outputs -> predictions: ``Model.read`` or ``Model.read_crops``."""

Progress = Callable[[int, int], None]
"""Told the number of pictures done and the number to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One sample with what the network said about it: prediction, raw logits, and how it looks."""

    sample: Sample
    prediction: Prediction
    type_logits: np.ndarray
    count_logits: np.ndarray | None
    look: Look | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Everything that was read, in the order of the samples, and everything that was not."""

    scored: tuple[Scored, ...]
    unread: tuple[Unread, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One sample and what the network sees of it."""

    sample: Sample
    square: Square


def score(samples: Sequence[Sample], *, model: Model, on_progress: Progress | None = None) -> Scores:
    """What the network says about each sample, 64 at a time; samples that cannot be read are listed."""
    scored: list[Scored] = []
    unread: list[Unread] = []
    prepared = _readable(samples, model=model, unread=unread)
    while batch := list(islice(prepared, _BATCH)):
        scored += predict(batch, model=model, read=model.read_crops)
        if on_progress is not None:
            on_progress(len(scored) + len(unread), len(samples))
    return Scores(scored=tuple(scored), unread=tuple(unread))


def predict(batch: Sequence[Prepared], *, model: Model, read: Reading) -> Iterator[Scored]:
    """What the network says about each of ``batch``, in order; ``read`` is ``model``'s way to read them."""
    if not batch:
        return
    squares = [item.square for item in batch]
    outputs = model.answers(np.stack(squares)[:, None])
    predictions = model.reviewed(read(outputs), squares=squares)
    has_count = model.card.heads_trained.count
    for row, (item, prediction) in enumerate(zip(batch, predictions, strict=True)):
        yield Scored(
            sample=item.sample,
            prediction=prediction,
            type_logits=outputs.type_logits[row],
            count_logits=outputs.count_logits[row] if has_count else None,
            look=look_of(item.square),
        )


def to_table(scored: Sequence[Scored], *, fold: str) -> PredictionTable:
    """The table of predictions, rows named by ``name_places``; every row is of the fold or role ``fold``.

    An instance whose number is not given has one chromosome.
    """
    predictions = [item.prediction for item in scored]
    counts = [item.count_logits for item in scored if item.count_logits is not None]
    return PredictionTable(
        **_known_columns([item.sample for item in scored], fold=fold),
        probabilities=np.array([p.probabilities for p in predictions], np.float64).reshape(-1, 4),
        predicted_counts=np.array([p.n_chromosomes for p in predictions], np.int64),
        accepted=np.array([p.decision is Decision.ACCEPT for p in predictions], bool),
        rejected=np.array([p.label is None for p in predictions], bool),
        type_logits=np.stack([item.type_logits for item in scored]) if scored else None,
        count_logits=np.stack(counts) if counts else None,
    )


def reading_table(samples: Sequence[Sample], *, reading: JointReading, fold: str) -> PredictionTable:
    """The same of a reading that comes from no bundle, row by row that of ``samples``; none is accepted."""
    return PredictionTable(
        **_known_columns(samples, fold=fold),
        probabilities=reading.type_probabilities,
        predicted_counts=reading.counts,
        accepted=np.zeros(len(samples), bool),
        rejected=np.zeros(len(samples), bool),
    )


def _known_columns(samples: Sequence[Sample], *, fold: str) -> dict[str, Words | Numbers]:
    """What is known of each sample, before anything is read in it."""
    return {
        "paths": _words(name_places(samples)),
        "cases": _words(sample.case for sample in samples),
        "sources": _words(sample.source for sample in samples),
        "folds": _words([fold] * len(samples)),
        "true_types": np.array([UNKNOWN if s.type is None else int(s.type) for s in samples], np.int64),
        "true_counts": np.array([_true_count(sample) for sample in samples], np.int64),
    }


def name_places(samples: Sequence[Sample]) -> list[str]:
    """A name for each sample: its path below the folder that all share, and its box, if it has one."""
    if not samples:
        return []
    folder = os.path.commonpath([sample.path.absolute().parent for sample in samples])
    return [_name(sample, folder=folder) for sample in samples]


def _readable(samples: Sequence[Sample], *, model: Model, unread: list[Unread]) -> Iterator[Prepared]:
    """Prepared samples in order; the others go to ``unread``. A file is opened once for all its boxes."""
    names = dict(zip(samples, name_places(samples), strict=True))
    for path, group in groupby(samples, key=lambda sample: sample.path):
        stain: Stain | None = None
        for sample in group:
            try:
                if sample.box is None:
                    square = model.prepare(path)
                else:
                    stain = _stain(path, model=model) if stain is None else stain
                    square = _square(_cut(stain, box=sample.box), model=model)
            except ImageError as error:
                unread.append(Unread(names[sample], error.difference))
            else:
                yield Prepared(sample, square)


def _stain(path: Path, *, model: Model) -> Stain:
    stain: Stain = to_stain(read_grey(path, config=model.image), config=model.image)
    return stain


def _cut(stain: Stain, *, box: Box) -> Patch:
    cut: Patch = np.ascontiguousarray(stain[box.slices])
    return cut


def _square(stain: Stain, *, model: Model) -> Square:
    region = region_from_crop(stain, outside=None, config=model.card.foreground)
    return network_input(region, config=model.card.crop)


def _true_count(sample: Sample) -> int:
    if sample.n_chromosomes is None:
        return 1 if sample.type is ClusterType.INSTANCE else UNKNOWN
    return sample.n_chromosomes


def _name(sample: Sample, *, folder: str) -> str:
    place = Path(os.path.relpath(sample.path.absolute(), folder)).as_posix()
    if sample.box is None:
        return place
    box = sample.box
    return f"{place}#{box.top},{box.left},{box.bottom},{box.right}"


def _words(texts: Iterable[str]) -> Words:
    return np.array(list(texts), dtype=np.str_)
