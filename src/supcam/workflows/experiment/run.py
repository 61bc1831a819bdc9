"""A run of a plan: its recipe, both steps of learning, its answers on pictures it did not learn from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path

from supcam.core.disk import write_whole
from supcam.core.reading import read_jointly
from supcam.learn.answering import answer
from supcam.learn.batches import TrainingSources
from supcam.learn.kept_batches import make_room
from supcam.learn.recipe import Recipe
from supcam.learn.run import RunResult, run_finetuning, run_pretraining
from supcam.learn.run_folder import versions
from supcam.learn.scores import score
from supcam.learn.sources import PartsReader
from supcam.workflows.experiment.claim import held
from supcam.workflows.experiment.outcome import Answered, Outcome, Truth, truth_of, write_outcome, written
from supcam.workflows.experiment.plan import RESULTS, Plan, Run
from supcam.workflows.experiment.recipes import first_step_of, recipe_of

_SECONDS = "seconds.json"


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a plan is carried out: its folder, the folder of its runs' checkpoints, and the code's commit.

    Batches drawn for one run are kept for others that draw the same, up to about ``kept_bytes``.
    """

    folder: Path
    runs: Path
    commit: str = ""
    kept_bytes: int = 0

    @property
    def kept_in(self) -> Path | None:
        """Where they are kept, if at all."""
        return self.runs / "kept_batches" if self.kept_bytes > 0 else None


def carry_out(run: Run, *, plan: Plan, bench: Bench, reader: PartsReader) -> Outcome:
    """The outcome of ``run``, written beside the plan. What was interrupted goes on where it stood.

    Raises ``ConfigError`` for a recipe that cannot be used, ``ManifestError`` for tables that cannot,
    ``TrainingError`` when the folder of checkpoints holds another run.
    """
    recipe = recipe_of(run, plan=plan, folder=bench.folder)
    scored = run.scored_parts(plan)
    sources = replace(reader.sources(recipe), kept_in=bench.kept_in)
    if bench.kept_in is not None:
        make_room(bench.kept_in, most_bytes=bench.kept_bytes)
    truths = {
        name: truth_of(reader.regions(recipe, parts=parts), parts=parts) for name, parts in scored.items()
    }
    learnt = _learn(recipe, sources=sources, runs=bench.runs, name=run.name)
    outcome = Outcome(
        row=run.row.key,
        seed=run.seed,
        fold=run.fold,
        recipe=recipe.model_dump(mode="json"),
        data_hash=sources.data_hash,
        commit=bench.commit,
        made_with=versions(),
        first_step=first_step_of(recipe),
        pretrain_pictures=0 if recipe.pretrain is None else recipe.pretrain.total_pictures,
        train_pictures=recipe.train.total_pictures,
        pretrain_seconds=learnt.pretrain_seconds,
        train_seconds=learnt.train_seconds,
        sets={
            name: _answered(learnt.checkpoint, recipe=recipe, truth=truth, reader=reader)
            for name, truth in truths.items()
        },
    )
    write_outcome(outcome, truths=[*truths.values()], folder=bench.folder / RESULTS, name=run.name)
    return outcome


@dataclass(frozen=True, slots=True)
class _Learnt:
    """The checkpoint that both steps end with, and the seconds of each, where known."""

    checkpoint: Path
    pretrain_seconds: float | None
    train_seconds: float | None


def _learn(recipe: Recipe, *, sources: TrainingSources, runs: Path, name: str) -> _Learnt:
    """Both steps, or what is left of them; step 1 is shared by all runs that begin alike."""
    first, first_seconds, started = first_step_of(recipe), None, recipe
    if first and recipe.pretrain is not None:
        folder = runs / f"pretrain_{first}"
        with held(folder, wait=True):
            begun = _timed(
                lambda: run_pretraining(recipe, sources=sources, folder=folder, reuse=True), folder=folder
            )
        first_seconds = _seconds(folder)
        started = recipe.started_from(begun.checkpoint)
    folder = runs / name
    done = _timed(lambda: run_finetuning(started, sources=sources, folder=folder, reuse=True), folder=folder)
    return _Learnt(done.checkpoint, first_seconds, _seconds(folder))


def _timed(learn: Callable[[], RunResult], *, folder: Path) -> RunResult:
    """What ``learn`` gives; the seconds of a whole run, from those of the steps done, go into ``folder``."""
    begun = time.monotonic()
    result = learn()
    done = result.steps - result.first_step
    if done > 0:
        seconds = (time.monotonic() - begun) * result.steps / done
        write_whole(folder / _SECONDS, [json.dumps(round(seconds, 1)).encode()])
    return result


def _seconds(folder: Path) -> float | None:
    """What ``_timed`` wrote, if it came to that."""
    path = folder / _SECONDS
    return float(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def _answered(checkpoint: Path, *, recipe: Recipe, truth: Truth, reader: PartsReader) -> Answered:
    answers = answer(checkpoint, examples=reader.examples(recipe, parts=truth.parts))
    reading = read_jointly(answers.type_logits, answers.count_logits)
    figures = {
        name: round(value, 5) if isfinite(value) else None for name, value in asdict(score(answers)).items()
    }
    return Answered(
        truth=truth.hash,
        types=written(reading.types.tolist()),
        counts=written(reading.counts.tolist()),
        figures=figures,
    )
