"""What each run of a plan learns by: the row's recipe with the run's seed, and without the run's fold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from supcam.core.types import ConfigError
from supcam.learn.recipe import Recipe, read_recipe
from supcam.learn.stages import read_stages
from supcam.workflows.experiment.outcome import Outcome
from supcam.workflows.experiment.plan import Plan, Run


def recipe_of(run: Run, *, plan: Plan, folder: Path) -> Recipe:
    """The recipe of ``run`` with its seed, and without its fold among what is learnt from.

    Raises ``ConfigError`` for a fold that the recipe does not learn from, when a part that is scored stays
    among what is learnt from, and for a step 2 that has two starts.
    """
    path = folder / run.row.recipe
    recipe = read_recipe(path)
    _require_own_start(recipe, where=path)
    learnt = read_stages(recipe).data.train
    if run.fold is not None and run.fold not in learnt:
        raise ConfigError(
            f"training parts {', '.join(learnt)}",
            expected=f"{run.fold} among them, which is left out in turn",
            remedy="correct the recipe, or the row's folds",
            where=path,
        )
    left = tuple(part for part in learnt if part != run.fold)
    _require_unseen(left, scored=run.scored_parts(plan).values(), where=path)
    seeded = recipe.seeded(run.seed)
    if run.fold is None:
        return seeded
    return seeded.model_copy(update={"data": {**recipe.data, "train": [*left]}})


def _require_own_start(recipe: Recipe, *, where: Path) -> None:
    """Step 2 starts where step 1 ended; a second start would be passed over without a word."""
    if recipe.pretrain is not None and recipe.train.init_from is not None:
        raise ConfigError(
            f"a table [pretrain] and train.init_from = {recipe.train.init_from!r}",
            expected="one of the two: step 2 starts where step 1 ended",
            remedy="take train.init_from out, or write it as pretrain.init_from",
            where=where,
        )


def _require_unseen(learnt: Sequence[str], *, scored: Iterable[Sequence[str]], where: Path) -> None:
    seen = sorted({part for parts in scored for part in parts} & {*learnt})
    if seen:
        raise ConfigError(
            f"{', '.join(seen)} both learnt from and scored",
            expected="parts apart",
            remedy="take them out of the recipe's data.train or of the plan's scored, or name folds",
            where=where,
        )


def first_step_of(recipe: Recipe) -> str:
    """A name for step 1 of ``recipe``, the same for all that differ in step 2 alone; blank without one."""
    if recipe.pretrain is None:
        return ""
    values = recipe.model_dump(mode="json", exclude={"train"})
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def is_by(outcome: Outcome, *, recipe: Recipe) -> bool:
    """Whether the outcome came from this very recipe; a key that it did not know has its default."""
    try:
        return Recipe.model_validate(outcome.recipe) == recipe
    except ValidationError:
        return False
