"""Recipes: one file, or a file that extends another."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from supcam.core.types import ConfigError
from supcam.learn.recipe import Recipe, read_recipe


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


class TestExtends:
    def test_tables_are_merged_key_by_key_and_lists_replaced(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            "base.toml",
            '[train]\nseed = 3\nepochs = 5\n[data]\ntrain = ["a:x", "b:x"]\nroot = "r"\n',
        )
        recipe = read_recipe(
            write(
                tmp_path, "one.toml", 'extends = "base.toml"\n[train]\nepochs = 1\n[data]\ntrain = ["c:x"]\n'
            )
        )
        assert (recipe.train.seed, recipe.train.epochs) == (3, 1)
        assert recipe.data == {"train": ["c:x"], "root": "r"}

    def test_chain_of_three(self, tmp_path: Path) -> None:
        write(tmp_path, "a.toml", "[train]\nseed = 1\nepochs = 2\n")
        write(tmp_path, "b.toml", 'extends = "a.toml"\n[train]\nseed = 7\n')
        recipe = read_recipe(write(tmp_path, "c.toml", 'extends = "b.toml"\n[crop]\nsize_px = 64\n'))
        assert (recipe.train.seed, recipe.train.epochs, recipe.crop.size_px) == (7, 2, 64)

    def test_circle_is_refused(self, tmp_path: Path) -> None:
        path = write(tmp_path, "a.toml", 'extends = "a.toml"\n')
        with pytest.raises(ConfigError, match="extends"):
            read_recipe(path)

    @pytest.mark.parametrize("text", ["extends = 3\n", 'extends = "missing.toml"\n', "[train]\nspeed = 1\n"])
    def test_wrong_files_are_named(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(ConfigError):
            read_recipe(write(tmp_path, "a.toml", text))


def test_committed_recipes_leave_their_fold_out() -> None:
    folder = Path(__file__).parents[2] / "experiments"
    for fold, name in itertools.product(range(1, 6), ("first", "first_even")):
        data = read_recipe(folder / f"{name}_fold{fold}.toml").data
        train = data["train"]
        assert isinstance(train, list)
        assert f"cci:fold{fold}" not in train
        assert sorted([*map(str, train), f"cci:fold{fold}"]) == sorted(
            ["tseng24:train", *(f"cci:fold{k}" for k in range(1, 6))]
        )
        assert data["validation"] == {"cci": [f"cci:fold{fold}"], "select": ["tseng24:select"]}


def test_recipe_survives_json() -> None:
    recipe = Recipe.model_validate(
        {"network": {"channels": [8, 8, 8, 8]}, "data": {"train": ["a:b"], "deep": {"share": 0.5}}}
    )
    assert Recipe.model_validate(json.loads(json.dumps(recipe.model_dump(mode="json")))) == recipe


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[nettwork]", "nettwork"),
        ("[train]\nepoch = 3", r"train\.epoch"),
        ("[train]\nlearning_rate = 0", r"train\.learning_rate"),
        ("[train]\naverage_decay = 1", r"train\.average_decay"),
        ("[train]\npictures_per_epoch = 10\nbatch_size = 64", "pictures_per_epoch"),
        ("[train]\nprecision = 'float8'", r"train\.precision"),
        ("[network]\nmax_count = 1", r"network\.max_count"),
    ],
)
def test_unknown_key_or_bad_range_is_an_error_that_names_it(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        read_recipe(write(tmp_path, "wrong.toml", text))
