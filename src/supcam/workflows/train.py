"""``supcam train``, ``pretrain`` and ``finetune``: a recipe to trained weights in a run folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from supcam.core.types import ConfigError, TrainingError
from supcam.learn.batches import TrainingSources
from supcam.learn.drawn import TABLE, drawn_sources
from supcam.learn.recipe import Recipe, read_recipe
from supcam.learn.run import RunResult, run_finetuning, run_pretraining
from supcam.learn.sources import build_sources as sources_on_disk

SourceFactory = Callable[[Recipe], TrainingSources]
PRETRAINED = "pretrain"
FINETUNED = "finetune"


def train(
    config_path: Path, *, output: Path, build_sources: SourceFactory | None = None, progress: bool = False
) -> RunResult:
    """Trains by the TOML file into the folder ``output``; started again after a kill, it goes on.

    With a table ``[pretrain]`` there are two steps, in the folders ``pretrain`` and ``finetune`` of
    ``output``; else there is one, in ``output`` itself. ``build_sources`` makes the samples. By default they
    are drawn when there is a table ``[data.drawn]``, else read from where ``[data]`` says, with the roles
    file beside the configuration.

    Raises ``ConfigError`` for an unknown key or a value out of range, ``ManifestError`` for data that cannot
    be used, ``TrainingError`` when ``output`` holds a finished run, a run by another recipe or on other data,
    or files of any other kind.
    """

    def build(recipe: Recipe) -> TrainingSources:
        return _sources(recipe, config_path=config_path, build=build_sources)

    recipe = read_recipe(config_path)
    require_one_start(recipe, where=config_path)
    return train_by(recipe, build_sources=build, output=output, progress=progress)


def train_by(
    recipe: Recipe, *, build_sources: SourceFactory, output: Path, progress: bool = False, reuse: bool = False
) -> RunResult:
    """The same by a recipe at hand, of one start; with ``reuse`` a finished run is returned as it is."""
    if recipe.pretrain is None:
        sources = build_sources(recipe)
        return run_finetuning(recipe, sources=sources, folder=output, progress=progress, reuse=reuse)
    _require_steps_only(output)
    sources = build_sources(recipe)
    first = run_pretraining(
        recipe, sources=sources, folder=output / PRETRAINED, progress=progress, reuse=True
    )
    second = recipe.started_from(first.checkpoint)
    return run_finetuning(second, sources=sources, folder=output / FINETUNED, progress=progress, reuse=reuse)


def require_one_start(recipe: Recipe, *, where: Path) -> None:
    """Nothing, when step 2 of the recipe in the file ``where`` has one start. Else raises ``ConfigError``."""
    if recipe.pretrain is not None and recipe.train.init_from is not None:
        raise ConfigError(
            "both a table [pretrain] and train.init_from",
            expected="one start of step 2",
            remedy="remove one of them, or run supcam finetune, which pre-trains nothing",
            where=where,
        )


def _require_steps_only(output: Path) -> None:
    """Nothing, when ``output`` holds both steps of a run, one, or nothing. Else raises ``TrainingError``."""
    others = [item.name for item in output.iterdir()] if output.is_dir() else []
    others = sorted({*others} - {PRETRAINED, FINETUNED})
    if others:
        raise TrainingError(
            f"{', '.join(others[:3])} beside the steps of a run",
            expected=f"a new folder, or one with {PRETRAINED} and {FINETUNED}",
            remedy="name another output folder",
            where=output,
        )


def pretrain(
    config_path: Path, *, output: Path, build_sources: SourceFactory | None = None, progress: bool = False
) -> RunResult:
    """Step 1 alone, into the folder ``output``; started again after a kill, it goes on.

    Takes ``build_sources`` and raises as ``train`` does; ``ConfigError`` for a recipe without ``[pretrain]``.
    """
    recipe = read_recipe(config_path)
    sources = _sources(recipe, config_path=config_path, build=build_sources)
    return run_pretraining(recipe, sources=sources, folder=output, progress=progress)


def finetune(
    config_path: Path,
    *,
    output: Path,
    start: Path | None = None,
    build_sources: SourceFactory | None = None,
    progress: bool = False,
) -> RunResult:
    """Step 2 alone, into the folder ``output``, from the checkpoint ``start``; a killed run goes on.

    ``start`` takes the place of ``train.init_from``; without either, the weights are drawn by chance. Takes
    ``build_sources`` and raises as ``train`` does.
    """
    recipe = read_recipe(config_path)
    if start is not None:
        recipe = recipe.started_from(start)
    sources = _sources(recipe, config_path=config_path, build=build_sources)
    return run_finetuning(recipe, sources=sources, folder=output, progress=progress)


def _sources(recipe: Recipe, *, config_path: Path, build: SourceFactory | None) -> TrainingSources:
    if build is not None:
        return build(recipe)
    if TABLE in recipe.data:
        return drawn_sources(recipe)
    return sources_on_disk(recipe, folder=config_path.parent)
