"""Samples to batches: the batch of a step is a pure function of (seed, step), whoever draws it and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from supcam.core.types import TrainingError
from supcam.learn.config import ScheduleConfig
from supcam.learn.kept_batches import KeptBatches
from supcam.learn.ranks import WHOLE, Share

UNKNOWN = -1
"""A label that is not known; the loss leaves it out."""
_NO_EPOCH = 1 << 31
"""Beyond the last epoch that a run can have."""
_REFERENCES = 256


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One network input with what is known about it.

    ``picture`` is stain (0 = background), ``type`` a ``ClusterType`` or -1, ``count`` the number of
    chromosomes (1, 2, ...) or -1, ``is_chromosome`` 1 for chromosomes and clusters, 0 for debris and nuclei.
    """

    picture: Float32[np.ndarray, "1 height width"]
    type: int = UNKNOWN
    count: int = UNKNOWN
    is_chromosome: int = 1


class ExamplePair(NamedTuple):
    """Two views of one picture, drawn independently: a query, and its own key."""

    query: Example
    key: Example


class ExampleSource(Protocol):
    """Where training samples come from; picklable, and without memory of what it drew before."""

    def draw(self, rng: np.random.Generator) -> Example:
        """A new sample that depends on ``rng`` alone."""
        ...

    def draw_pair(self, rng: np.random.Generator) -> ExamplePair:
        """Two views of a new sample, which depend on ``rng`` alone."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSources:
    """What a run learns from and is watched on; ``data_hash`` changes when any of it changes.

    ``pretrain`` is what step 1 learns from, where the recipe has one. Batches that are drawn are kept in the
    folder ``kept_in``, for other runs that draw the same.
    """

    train: ExampleSource
    validation: Mapping[str, Sequence[Example]]
    data_hash: str
    pretrain: ExampleSource | None = None
    kept_in: Path | None = None


class Batch(NamedTuple):
    """Examples side by side; ``step`` is the training step that they were drawn for, -1 in validation."""

    pictures: Float32[Tensor, "batch 1 height width"]
    types: Int64[Tensor, " batch"]
    counts: Int64[Tensor, " batch"]
    chromosomes: Int64[Tensor, " batch"]
    step: int = UNKNOWN


class PairBatch(NamedTuple):
    """Pairs of views side by side: ``queries[i]`` and ``keys[i]`` show one picture, of type ``types[i]``."""

    queries: Float32[Tensor, "batch 1 height width"]
    keys: Float32[Tensor, "batch 1 height width"]
    types: Int64[Tensor, " batch"]
    step: int = UNKNOWN


def stack(examples: Sequence[Example], *, step: int = UNKNOWN) -> Batch:
    """The examples as one batch."""
    return Batch(
        pictures=_pictures(examples),
        types=_integers([example.type for example in examples]),
        counts=_integers([example.count for example in examples]),
        chromosomes=_integers([example.is_chromosome for example in examples]),
        step=step,
    )


def stack_pairs(pairs: Sequence[ExamplePair], *, step: int = UNKNOWN) -> PairBatch:
    """The pairs as one batch."""
    return PairBatch(
        queries=_pictures([pair.query for pair in pairs]),
        keys=_pictures([pair.key for pair in pairs]),
        types=_integers([pair.query.type for pair in pairs]),
        step=step,
    )


def _pictures(examples: Sequence[Example]) -> Float32[Tensor, "batch 1 height width"]:
    return torch.from_numpy(np.stack([example.picture for example in examples]))


def _integers(values: Sequence[int]) -> Int64[Tensor, " batch"]:
    return torch.tensor(values, dtype=torch.int64)


def reference_examples(source: ExampleSource, *, config: ScheduleConfig) -> tuple[Example, ...]:
    """Examples of a training source that no step of the run ever sees, always the same ones for a seed."""
    generators = (np.random.default_rng([config.seed, _NO_EPOCH, i]) for i in range(_REFERENCES))
    return tuple(source.draw(rng) for rng in generators)


def _generators(step: int, *, config: ScheduleConfig, share: Share) -> list[np.random.Generator]:
    """Where the samples of a step come from: sample i of epoch e from ``default_rng([seed, e, i])``."""
    epoch, place = divmod(step, config.steps_per_epoch)
    first = place * config.batch_size
    samples = share.of(range(first, first + config.batch_size))
    return [np.random.default_rng([config.seed, epoch, sample]) for sample in samples]


class TrainingBatches(Dataset[Batch]):
    """The batch of every step, or a process's share of it.

    Sample i of epoch e is drawn with ``np.random.default_rng([seed, e, i])``, whoever draws it.
    """

    def __init__(self, source: ExampleSource, *, config: ScheduleConfig, share: Share = WHOLE) -> None:
        self.source = source
        self.config = config
        self.share = share

    def __len__(self) -> int:
        return self.config.total_steps

    def __getitem__(self, step: int) -> Batch:
        generators = _generators(step, config=self.config, share=self.share)
        return stack([self.source.draw(rng) for rng in generators], step=step)


class PairBatches(Dataset[PairBatch]):
    """The pairs of every step, drawn like the samples of ``TrainingBatches``."""

    def __init__(self, source: ExampleSource, *, config: ScheduleConfig, share: Share = WHOLE) -> None:
        self.source = source
        self.config = config
        self.share = share

    def __len__(self) -> int:
        return self.config.total_steps

    def __getitem__(self, step: int) -> PairBatch:
        generators = _generators(step, config=self.config, share=self.share)
        return stack_pairs([self.source.draw_pair(rng) for rng in generators], step=step)


class StepSampler(Sampler[int]):
    """A pass over the steps of one epoch; ``set_epoch``, which Lightning calls, names the epoch.

    In the epoch of ``first_step`` it begins there: what went before is skipped without drawing it. Its length
    is that of a full epoch all the same, which is what a progress bar and a schedule count in.
    """

    def __init__(self, *, steps_per_epoch: int, first_step: int = 0) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.first_step = first_step
        self.epoch = first_step // steps_per_epoch

    def set_epoch(self, epoch: int) -> None:
        """The next pass is over ``epoch``, counted from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps_per_epoch

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.steps_per_epoch
        return iter(range(max(first, self.first_step), first + self.steps_per_epoch))


def training_loader(
    source: ExampleSource,
    *,
    config: ScheduleConfig,
    first_step: int = 0,
    share: Share = WHOLE,
    kept: Path | None = None,
) -> DataLoader[Batch]:
    """Batches from ``first_step`` on, an epoch a pass; the same ones for any number of workers.

    Those that lie in the folder ``kept`` are taken from there, the others put there.
    """
    batches = TrainingBatches(source, config=config, share=share)
    return _loader(batches, kind=Batch, first_step=first_step, kept=kept)


def pair_loader(
    source: ExampleSource,
    *,
    config: ScheduleConfig,
    first_step: int = 0,
    share: Share = WHOLE,
    kept: Path | None = None,
) -> DataLoader[PairBatch]:
    """Pairs of views from ``first_step`` on, otherwise as ``training_loader``."""
    batches = PairBatches(source, config=config, share=share)
    return _loader(batches, kind=PairBatch, first_step=first_step, kept=kept)


def _loader(
    batches: TrainingBatches | PairBatches,
    *,
    kind: type[Batch] | type[PairBatch],
    first_step: int,
    kept: Path | None,
) -> DataLoader[Any]:
    config = batches.config
    drawn: Dataset[Any] = batches
    if kept is not None:
        drawn = KeptBatches(drawn, kind=kind, share=batches.share, folder=kept)
    return DataLoader(
        drawn,
        batch_size=None,
        sampler=StepSampler(steps_per_epoch=config.steps_per_epoch, first_step=first_step),
        collate_fn=_as_it_is,
        num_workers=config.workers,
        worker_init_fn=_one_thread,
        persistent_workers=config.workers > 0,
        prefetch_factor=4 if config.workers else None,
        pin_memory=torch.cuda.is_available(),
    )


def validation_loader(examples: Sequence[Example], *, batch_size: int) -> DataLoader[Batch]:
    """The examples in their order, all of them. Raises ``TrainingError`` when there are none."""
    if not examples:
        raise TrainingError(
            "no validation example", expected="one or more", remedy="leave the set out, or fill it"
        )
    batches = [stack(examples[first : first + batch_size]) for first in range(0, len(examples), batch_size)]
    return DataLoader(_Ready(batches), batch_size=None, shuffle=False, collate_fn=_as_it_is)


class _Ready(Dataset[Batch]):
    """Batches that lie in memory."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        return self.batches[index]


def _as_it_is(batch: Any) -> Any:  # noqa: ANN401 (torch's type for a function on lists of samples)
    return batch


def _one_thread(_worker: int) -> None:
    """Workers share the cores: each of them computes on one."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
