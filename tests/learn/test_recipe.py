"""Recipes: one file, or a file that extends another."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from supcam.core.types import ConfigError
from supcam.learn.encoder import Network, ProjectionHead, pretraining_network
from supcam.learn.optimizer import layer_factors
from supcam.learn.recipe import Recipe, read_recipe
from supcam.learn.stages import read_stages

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


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
    names = (
        "second/fold",
        "second/drawn_fold",
        "second/plain_fold",
        "default/first_fold",
        "default/first_even_fold",
        "default/typed_fold",
    )
    for fold, name in itertools.product(range(1, 6), names):
        data = read_recipe(EXPERIMENTS / f"{name}{fold}.toml").data
        train = data["train"]
        assert isinstance(train, list)
        assert f"cci:fold{fold}" not in train
        real = [str(part) for part in train if part != "drawn:train"]
        assert sorted([*real, f"cci:fold{fold}"]) == sorted(
            ["tseng24:train", *(f"cci:fold{k}" for k in range(1, 6))]
        )
        assert data["validation"] == {"cci": [f"cci:fold{fold}"], "select": ["tseng24:select"]}


def test_table_of_step_1_is_there_when_it_is_written_and_only_then(tmp_path: Path) -> None:
    assert read_recipe(write(tmp_path, "one.toml", "[train]\n")).pretrain is None
    recipe = read_recipe(write(tmp_path, "two.toml", '[pretrain]\nalpha = "uniform"\nepochs = 3\n'))
    assert recipe.pretrain is not None
    assert (recipe.pretrain.alpha, recipe.pretrain.epochs, recipe.train.epochs) == ("uniform", 3, 12)
    extended = read_recipe(write(tmp_path, "three.toml", 'extends = "two.toml"\n[pretrain]\nseed = 4\n'))
    assert extended.pretrain == recipe.pretrain.model_copy(update={"seed": 4})


@pytest.mark.parametrize(
    "path", sorted(EXPERIMENTS.rglob("*.toml")), ids=lambda path: path.relative_to(EXPERIMENTS).as_posix()
)
def test_every_committed_recipe_can_be_read(path: Path) -> None:
    if path.name not in ("plan.toml", "card.toml", "first_card.toml"):
        assert read_recipe(path).train.epochs >= 1


@pytest.mark.parametrize("name", ["smoke_supcam", "chrcluster_resnet50"])
def test_committed_recipes_of_two_steps_can_be_read_and_fit_their_network(name: str) -> None:
    """Every free table, too; and the queue is a tenth of an epoch at most."""
    recipe = read_recipe(EXPERIMENTS / f"{name}.toml")
    assert recipe.pretrain is not None
    assert recipe.pretrain.queue_slots <= recipe.pretrain.pictures_per_epoch / 10
    data = {key: value for key, value in recipe.data.items() if key != "drawn"}
    stages = read_stages(recipe.model_copy(update={"data": data}))
    assert stages.data.single_share + stages.data.cluster_share + stages.data.debris_share < 1
    network = pretraining_network(recipe.network, pretrain=recipe.pretrain)
    assert layer_factors(Network(recipe.network), decay=recipe.train.layer_decay)["count_head.bias"] == 1
    assert isinstance(network.head, ProjectionHead)


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
        ("[pretrain]\nlabel_smoothing = 0.1", r"pretrain\.label_smoothing"),
        ("[pretrain]\nmargin_target = 'all'", r"pretrain\.margin_target"),
        ("[train]\nstage = 'half'", r"train\.stage"),
        ("[train]\nstage = 'probe'\nlayer_decay = 0.5", "layer_decay is for stage full"),
    ],
)
def test_unknown_key_or_bad_range_is_an_error_that_names_it(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        read_recipe(write(tmp_path, "wrong.toml", text))
