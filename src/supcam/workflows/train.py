"""``supcam train``: a configuration file to a trained network in a run folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from supcam.learn.batches import TrainingSources
from supcam.learn.drawn import TABLE, drawn_sources
from supcam.learn.recipe import Recipe, read_recipe
from supcam.learn.run import RunResult, run
from supcam.learn.sources import build_sources as sources_on_disk

SourceFactory = Callable[[Recipe], TrainingSources]


def train(
    config_path: Path, *, output: Path, build_sources: SourceFactory | None = None, progress: bool = False
) -> RunResult:
    """Trains by the TOML file into the folder ``output``; started again after a kill, it goes on.

    ``build_sources`` makes the samples. By default they are drawn when there is a table ``[data.drawn]``,
    else read from where ``[data]`` says, with the roles file beside the configuration.

    Raises ``ConfigError`` for an unknown key or a value out of range, ``ManifestError`` for data that cannot
    be used, ``TrainingError`` when ``output`` holds a finished run, a run by another recipe or on other data,
    or files of any other kind.
    """
    recipe = read_recipe(config_path)
    sources = build_sources(recipe) if build_sources else _sources(recipe, folder=config_path.parent)
    return run(recipe, sources=sources, folder=output, progress=progress)


def _sources(recipe: Recipe, *, folder: Path) -> TrainingSources:
    if TABLE in recipe.data:
        return drawn_sources(recipe)
    return sources_on_disk(recipe, folder=folder)
