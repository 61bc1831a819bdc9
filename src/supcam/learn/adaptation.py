"""A trained network -> the same, adapted to unlabelled pictures of another laboratory, and whether it helped.

The network reads the new laboratory's objects. Those that it is very sure are single chromosomes are taken
for single chromosomes; clusters of every type are composed of them, whose labels are known for that reason,
and step 2 goes on for a short while. Some cases are held out of all that, to see what came of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, Int64
from pydantic import Field

from supcam.core.config import StageConfig
from supcam.core.crop import network_input
from supcam.core.reading import JointReading, read_jointly
from supcam.core.types import ClusterType, Region, TrainingError
from supcam.data.composition import Composer
from supcam.data.harvest import EMPTY
from supcam.data.piece import prepare
from supcam.learn.answering import answer
from supcam.learn.batches import Example
from supcam.learn.checkpoints import load_network
from supcam.learn.mixing import example_of
from supcam.learn.recipe import Recipe
from supcam.learn.run import run_finetuning
from supcam.learn.sources import sources_of
from supcam.learn.stages import Stages, read_stages

SOURCE = "adapted"
"""What the new laboratory is called among sources."""
_LEAST_SINGLES = 12
_LEAST_GROUPS = 3
_RESAMPLES = 2000
_TURNS = ((0, False), (1, False), (2, True), (3, True))
"""Quarter turns, mirrored or not, under which a reading ought to stay what it is."""

Right = Bool[np.ndarray, " samples"]
Types = Int64[np.ndarray, " samples"]


class AdaptConfig(StageConfig):
    """How a network is adapted. All values are our choice."""

    confidence: float = Field(0.95, ge=0.25, le=1, description="From which an object counts as single.")
    held_out: float = Field(0.3, gt=0, lt=1, description="Share of the cases that only judge.")
    pictures: int = Field(2560, ge=8, description="Samples drawn to learn from.")
    batch_size: int = Field(64, ge=8, le=4096, description="Samples a step.")
    learning_rate: float = Field(3e-4, gt=0, le=1, description="Highest rate of AdamW.")
    composed: int = Field(200, ge=20, description="Clusters composed from held-out chromosomes to judge by.")
    margin: float = Field(0.01, ge=0, le=1, description="Loss on the held-out pictures that is put up with.")
    seed: int = Field(0, ge=0, description="Everything random follows from it.")


@dataclass(frozen=True, slots=True)
class Change:
    """A figure before and after, shares of ``n``; ``low`` to ``high`` is where the difference lies.

    That is its 95 % interval, over resampled cases.
    """

    name: str
    n: int
    before: float
    after: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """What was gained."""
        return self.after - self.before

    @property
    def is_better(self) -> bool:
        """Whether the interval lies above 0."""
        return self.low > 0

    def told(self) -> str:
        """The change in one line."""
        return (
            f"{self.name}: {self.before:.3f} before, {self.after:.3f} after, "
            f"difference {self.difference:+.3f} ({self.low:+.3f} to {self.high:+.3f}), n = {self.n}"
        )


@dataclass(frozen=True, slots=True)
class Adapted:
    """The checkpoint that came of it, what it rests on, and what changed on pictures it did not learn from.

    ``labelled`` is there when labels were given; it decides then. Else the unlabelled figures do.
    """

    checkpoint: Path
    n_objects: int
    n_singles: int
    n_held_out: int
    composed: Change
    steady: Change
    labelled: Change | None
    margin: float

    @property
    def helped(self) -> bool:
        """Whether the labels show a gain; without labels, whether compositions do and nothing else fell."""
        if self.labelled is not None:
            return self.labelled.is_better
        return self.composed.is_better and self.steady.difference >= -self.margin

    def told(self) -> str:
        """What to do with it, in words."""
        by = "labelled pictures" if self.labelled is not None else "unlabelled held-out pictures"
        if self.helped:
            return f"It helped, as far as {by} show: score the adapted model on labels of yours before use."
        return f"It did not help, as far as {by} show: keep the model that you have, and do not use this one."


def adapt_network(
    checkpoint: Path,
    *,
    regions: Sequence[Region],
    labelled: Sequence[Region] = (),
    config: AdaptConfig,
    folder: Path,
) -> Adapted:
    """The network of ``checkpoint``, adapted to ``regions`` (objects of unknown type, each with its case).

    The run goes into ``folder``, a new one; ``labelled`` regions have types and are only scored. Raises
    ``TrainingError`` where there are too few confident single chromosomes on either side.
    """
    loaded = load_network(checkpoint)
    recipe = _recipe(loaded.recipe, checkpoint=checkpoint, config=config)
    learnt, held = _sides(regions, config=config)
    stages = read_stages(recipe)
    singles = {
        side: confident_singles(group, checkpoint=checkpoint, recipe=recipe, config=config)
        for side, group in (("learnt from", learnt), ("held out", held))
    }
    for side, found in singles.items():
        _require_enough(found, side=side)
    harvest = replace(EMPTY, singles=singles["learnt from"])
    sources = sources_of(harvest, validation={}, data_hash=_hash(regions), stages=stages)
    done = run_finetuning(recipe, sources=sources, folder=folder)
    judge = _Judge(before=checkpoint, after=done.checkpoint, recipe=recipe, config=config)
    return Adapted(
        checkpoint=done.checkpoint,
        n_objects=len(regions),
        n_singles=len(singles["learnt from"]),
        n_held_out=len(held),
        composed=judge.composed(singles["held out"], stages=stages),
        steady=judge.steady(held),
        labelled=judge.labelled(labelled) if labelled else None,
        margin=config.margin,
    )


def confident_singles(
    regions: Sequence[Region], *, checkpoint: Path, recipe: Recipe, config: AdaptConfig
) -> tuple[Region, ...]:
    """The regions that the network is sure are one chromosome, marked as such."""
    if not regions:
        return ()
    examples = [example_of(one, picture=network_input(one, config=recipe.crop)) for one in regions]
    answers = answer(checkpoint, examples=examples)
    chance = read_jointly(answers.type_logits, answers.count_logits).type_probabilities[:, 0]
    if answers.chromosome_logit is not None and recipe.train.chromosome_weight > 0:
        chance = np.where(answers.chromosome_logit[:, 0] > 0, chance, 0.0)
    return tuple(
        replace(one, type=ClusterType.INSTANCE, n_chromosomes=1, source=SOURCE)
        for one, sure in zip(regions, chance >= config.confidence, strict=True)
        if sure
    )


def _require_enough(singles: Sequence[Region], *, side: str) -> None:
    if len(singles) < _LEAST_SINGLES:
        raise TrainingError(
            f"{len(singles)} confident single chromosomes in the cases {side}",
            expected=f"{_LEAST_SINGLES} or more",
            remedy="give more pictures, of several cases, or lower the confidence",
        )


def _recipe(recipe: Recipe, *, checkpoint: Path, config: AdaptConfig) -> Recipe:
    """The checkpoint's own recipe as a short step 2 from it, without its data."""
    step = {
        "seed": config.seed,
        "epochs": 1,
        "pictures_per_epoch": max(config.pictures, config.batch_size),
        "batch_size": config.batch_size,
        "learning_rate": config.learning_rate,
        "init_rate_share": 1.0,
        "average_decay": 0.9,
        "stage": "full",
        "compose": True,
        "weak_weight": 0.0,
        "workers": 0,
        "devices": 1,
        "precision": "float32",
        "init_from": str(checkpoint),
    }
    train = type(recipe.train).model_validate({**recipe.train.model_dump(), **step})
    shared = {key: recipe.data[key] for key in ("single_share",) if key in recipe.data}
    composition = {**recipe.composition, "source_shares": {}}
    return recipe.model_copy(
        update={"pretrain": None, "train": train, "data": shared, "composition": composition}
    )


def _sides(regions: Sequence[Region], *, config: AdaptConfig) -> tuple[list[Region], list[Region]]:
    """The regions to learn from, and those of the cases that are held out, drawn by the seed."""
    cases = sorted({one.case for one in regions})
    if len(cases) < 2:
        raise TrainingError(
            f"{len(cases)} case",
            expected="two or more, so that some can be held out",
            remedy="give pictures of several cases, and say with --cases what names them",
        )
    drawn = np.random.default_rng(config.seed).permutation(cases)
    n_held = min(len(cases) - 1, max(1, round(config.held_out * len(cases))))
    held = {*drawn[:n_held].tolist()}
    return [o for o in regions if o.case not in held], [o for o in regions if o.case in held]


def _hash(regions: Sequence[Region]) -> str:
    digest = hashlib.sha256()
    for one in regions:
        digest.update(one.case.encode() + np.ascontiguousarray(one.stain).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Judge:
    """Two networks on the same pictures."""

    before: Path
    after: Path
    recipe: Recipe
    config: AdaptConfig

    def composed(self, singles: Sequence[Region], *, stages: Stages) -> Change:
        """Types right on clusters composed of held-out chromosomes."""
        pieces = [p for one in singles if (p := prepare(one, config=self.recipe.foreground)) is not None]
        composer = Composer(pieces, config=stages.composition, crop=self.recipe.crop)
        seeds = ([self.config.seed, 1, n] for n in range(self.config.composed))
        made = [composer.draw(np.random.default_rng(seed)) for seed in seeds]
        examples = [Example(picture=one.picture[None], type=int(one.type)) for one in made]
        truth = np.array([int(one.type) for one in made])
        right = [self._types(path, examples) == truth for path in (self.before, self.after)]
        groups = np.array([one.parents[0].group for one in made])
        return self._change("types of compositions right", before=right[0], after=right[1], groups=groups)

    def steady(self, regions: Sequence[Region]) -> Change:
        """Objects of which every view, turned and mirrored, is read as the same type."""
        right = [self._steady(path, regions) for path in (self.before, self.after)]
        groups = np.array([one.case for one in regions])
        return self._change("objects read alike in all views", before=right[0], after=right[1], groups=groups)

    def labelled(self, regions: Sequence[Region]) -> Change:
        """Types right on labelled pictures."""
        truth = np.array([-1 if one.type is None else int(one.type) for one in regions])
        examples = self._seen(regions)
        right = [self._types(path, examples) == truth for path in (self.before, self.after)]
        groups = np.array([one.case for one in regions])
        return self._change("types of labelled crops right", before=right[0], after=right[1], groups=groups)

    def _steady(self, checkpoint: Path, regions: Sequence[Region]) -> Right:
        examples = self._seen(regions)
        views = []
        for turns, mirrored in _TURNS:
            turned = [replace(one, picture=_turned(one.picture, turns, mirrored)) for one in examples]
            views.append(self._types(checkpoint, turned))
        seen = np.stack(views)
        return np.asarray((seen == seen[0]).all(0))

    def _seen(self, regions: Sequence[Region]) -> list[Example]:
        return [example_of(one, picture=network_input(one, config=self.recipe.crop)) for one in regions]

    def _types(self, checkpoint: Path, examples: Sequence[Example]) -> Types:
        reading: JointReading = self._reading(checkpoint, examples)
        return np.asarray(reading.types, np.int64)

    def _reading(self, checkpoint: Path, examples: Sequence[Example]) -> JointReading:
        answers = answer(checkpoint, examples=examples)
        return read_jointly(answers.type_logits, answers.count_logits)

    def _change(self, name: str, *, before: Right, after: Right, groups: np.ndarray) -> Change:
        """The figure with the interval of its difference, resampled by group, in pairs.

        Where there are too few groups to resample, single samples are: that interval is too narrow.
        """
        gain = after.astype(float) - before.astype(float)
        groups = groups if len(np.unique(groups)) >= _LEAST_GROUPS else np.arange(len(gain))
        names = np.unique(groups)
        sums = np.array([gain[groups == each].sum() for each in names])
        sizes = np.array([(groups == each).sum() for each in names], float)
        picks = np.random.default_rng(self.config.seed).integers(len(names), size=(_RESAMPLES, len(names)))
        drawn: Float64[np.ndarray, " draws"] = sums[picks].sum(1) / sizes[picks].sum(1)
        low, high = (float(end) for end in np.quantile(drawn, (0.025, 0.975)))
        return Change(name, len(gain), float(before.mean()), float(after.mean()), low, high)


def _turned(picture: np.ndarray, turns: int, mirrored: bool) -> np.ndarray:
    flipped = picture[:, :, ::-1] if mirrored else picture
    return np.ascontiguousarray(np.rot90(flipped, turns, (1, 2)))
