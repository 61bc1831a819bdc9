"""The settings of every stage between a manifest and a network input, checked."""

from __future__ import annotations

from dataclasses import dataclass

from supcam.core.config import CompositionConfig, CropConfig, DataConfig, ViewConfig, parse_config
from supcam.learn.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Stages:
    """The settings of every stage between a manifest and a network input."""

    data: DataConfig
    composition: CompositionConfig
    views: ViewConfig
    recipe: Recipe

    @property
    def crop(self) -> CropConfig:
        """What the network sees."""
        return self.recipe.crop


def read_stages(recipe: Recipe) -> Stages:
    """The recipe's free tables, checked. Raises ``ConfigError``."""
    return Stages(
        data=parse_config(DataConfig, recipe.data, where="[data]"),
        composition=parse_config(CompositionConfig, recipe.composition, where="[composition]"),
        views=parse_config(ViewConfig, recipe.views, where="[views]"),
        recipe=recipe,
    )
