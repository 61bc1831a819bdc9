"""The settings between a manifest and a network input."""

from __future__ import annotations

import pytest

from supcam.core.types import ConfigError
from supcam.learn.recipe import Recipe
from supcam.learn.stages import read_stages


@pytest.mark.parametrize(
    ("table", "value", "named"),
    [
        ("data", {"rot": "x"}, r"\[data\]"),
        ("composition", {"touch_depth": 0.9}, r"\[composition\]"),
        ("composition", {"touch_shares": {"crossing": 1.0}}, "touch_shares"),
        ("views", {"gamma": [0, 1]}, r"\[views\]"),
        ("data", {"sources": {"a": {"source": "a"}}}, "sources.a.path"),
    ],
)
def test_wrong_tables_are_named(table: str, value: dict[str, object], named: str) -> None:
    recipe = Recipe.model_validate({table: value})
    with pytest.raises(ConfigError, match=named):
        read_stages(recipe)


def test_stages_share_one_crop() -> None:
    stages = read_stages(Recipe.model_validate({"crop": {"size_px": 96}}))
    assert stages.crop is stages.recipe.crop
    assert stages.crop.size_px == 96
