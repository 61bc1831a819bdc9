from __future__ import annotations

import json

import pytest

from supcam.core.config import parse_config
from supcam.core.types import ConfigError
from supcam.learn.recipe import Recipe


def test_recipe_survives_json() -> None:
    recipe = Recipe.model_validate(
        {"network": {"channels": [8, 8, 8, 8]}, "data": {"train": ["a:b"], "deep": {"share": 0.5}}}
    )
    assert Recipe.model_validate(json.loads(json.dumps(recipe.model_dump(mode="json")))) == recipe


@pytest.mark.parametrize(
    ("tables", "named"),
    [
        ({"nettwork": {}}, "nettwork"),
        ({"train": {"epoch": 3}}, "train.epoch"),
        ({"train": {"learning_rate": 0}}, "train.learning_rate"),
        ({"train": {"average_decay": 1}}, "train.average_decay"),
        ({"train": {"pictures_per_epoch": 10, "batch_size": 64}}, "pictures_per_epoch"),
        ({"train": {"precision": "float8"}}, "train.precision"),
        ({"network": {"max_count": 1}}, "network.max_count"),
    ],
)
def test_unknown_key_or_bad_range_is_an_error_that_names_it(tables: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        parse_config(Recipe, tables, where="recipe.toml")
