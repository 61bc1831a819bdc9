"""``supcam train``: a configuration file to a trained network in a run folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from supcam.core.config import parse_config, read_toml
from supcam.learn.batches import TrainingSources
from supcam.learn.recipe import Recipe
from supcam.learn.run import RunResult, run

SourceFactory = Callable[[Recipe], TrainingSources]


def train(
    config_path: Path, *, output: Path, build_sources: SourceFactory, progress: bool = False
) -> RunResult:
    """Trains by the TOML file into the folder ``output``; started again after a kill, it goes on.

    Raises ``ConfigError`` for an unknown key or a value out of range, ``TrainingError`` when ``output`` holds
    a finished run, a run by another recipe or on other data, or files of any other kind.
    """
    recipe = parse_config(Recipe, read_toml(config_path), where=config_path)
    return run(recipe, sources=build_sources(recipe), folder=output, progress=progress)
