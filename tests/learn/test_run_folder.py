"""A folder is one run's: claimed, gone on with, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.interrupted import STEPS, assert_same_ending, interrupted, run_step
from tests.tiny_training import tiny_recipe, tiny_sources, two_steps

from supcam.core.types import TrainingError
from supcam.learn.checkpoints import FINETUNE, PRETRAIN, write_atomically
from supcam.learn.recipe import Recipe
from supcam.learn.run import RunResult, run_finetuning
from supcam.learn.run_folder import identity_of, open_folder


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """The uninterrupted run."""
    torch.set_num_threads(1)
    return run_step(FINETUNE, folder=tmp_path_factory.mktemp("run") / "whole")


def opened(folder: Path, *, recipe: Recipe, step: str = FINETUNE, data_hash: str = "stripes") -> None:
    """Nothing, when the folder is the run's own."""
    open_folder(folder, identity=identity_of(recipe, step=step, data_hash=data_hash), total_steps=STEPS)


def test_finished_run_is_not_trained_again(finished: RunResult) -> None:
    before = finished.checkpoint.read_bytes()
    with pytest.raises(TrainingError, match="a finished run of 30 steps"):
        run_finetuning(tiny_recipe(), sources=tiny_sources(), folder=finished.folder)
    assert finished.checkpoint.read_bytes() == before


@pytest.mark.parametrize(
    ("recipe", "data_hash", "named"),
    [
        (tiny_recipe(learning_rate=0.5), "stripes", r"recipe\.train\.learning_rate"),
        (tiny_recipe(epochs=4), "stripes", r"recipe\.train\.epochs"),
        (tiny_recipe(), "dots", "data_hash"),
    ],
)
def test_folder_of_another_run_is_refused(tmp_path: Path, recipe: Recipe, data_hash: str, named: str) -> None:
    interrupted(tmp_path / "run", step=5)
    before = (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes()
    with pytest.raises(TrainingError, match=f"differs in {named};"):
        run_finetuning(recipe, sources=tiny_sources(data_hash=data_hash), folder=tmp_path / "run")
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes() == before


def test_folder_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"no config\.json"):
        run_finetuning(tiny_recipe(), sources=tiny_sources(), folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_folder_that_was_only_just_being_claimed_is_claimed(tmp_path: Path) -> None:
    """A kill while ``config.json`` was written leaves its unfinished self, and nothing else."""
    (tmp_path / "config.json.unfinished").write_text("{", encoding="utf-8")
    assert run_finetuning(tiny_recipe(epochs=1), sources=tiny_sources(), folder=tmp_path).steps == 10


def test_damaged_config_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"config\.json"):
        run_finetuning(tiny_recipe(), sources=tiny_sources(), folder=tmp_path)


# ---- which runs are the same


def test_run_begun_before_there_were_two_steps_goes_on(finished: RunResult, tmp_path: Path) -> None:
    """Its configuration lacks every key that came with them; its checkpoint is as it always was."""
    folder = tmp_path / "run"
    interrupted(folder, step=13)
    config = folder / "config.json"
    written: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
    del written["step"], written["recipe"]["pretrain"]
    for key in ("stage", "layer_decay", "weak_weight", "compose"):
        del written["recipe"]["train"][key]
    config.write_text(json.dumps(written), encoding="utf-8")
    run_step(FINETUNE, folder=folder)
    assert_same_ending(folder, other=finished.folder)


def test_key_that_came_later_counts_where_it_changes_the_run(tmp_path: Path) -> None:
    opened(tmp_path, recipe=tiny_recipe())
    with pytest.raises(TrainingError, match=r"differs in recipe\.train\.layer_decay;"):
        opened(tmp_path, recipe=tiny_recipe(layer_decay=0.5))


def test_each_step_is_held_to_its_own_table(tmp_path: Path) -> None:
    """Another step 2 may be tried on a step 1 that is there."""
    first, second = two_steps(), two_steps(train={"learning_rate": 0.5})
    for step, other in ((PRETRAIN, FINETUNE), (FINETUNE, PRETRAIN)):
        opened(tmp_path / step, recipe=first, step=step)
        with pytest.raises(TrainingError, match="differs in step;"):
            opened(tmp_path / step, recipe=first, step=other)
    opened(tmp_path / PRETRAIN, recipe=second, step=PRETRAIN)
    with pytest.raises(TrainingError, match=r"differs in recipe\.train\.learning_rate;"):
        opened(tmp_path / FINETUNE, recipe=second)
    with pytest.raises(TrainingError, match=r"differs in recipe\.pretrain\.margin_rad;"):
        opened(tmp_path / PRETRAIN, recipe=two_steps(margin_rad=0.1), step=PRETRAIN)
    opened(tmp_path / FINETUNE, recipe=two_steps(margin_rad=0.1))


def test_start_counts_by_what_it_holds_not_by_where_it_lies(tmp_path: Path) -> None:
    def starting_from(name: str, *, weight: float) -> Recipe:
        path = tmp_path / name
        write_atomically({"weight": weight}, path=path)
        return tiny_recipe(init_from=str(path))

    opened(tmp_path / "run", recipe=starting_from("here.ckpt", weight=1.0))
    opened(tmp_path / "run", recipe=starting_from("there.ckpt", weight=1.0))
    with pytest.raises(TrainingError, match="differs in init_sha256;"):
        opened(tmp_path / "run", recipe=starting_from("here.ckpt", weight=2.0))
    with pytest.raises(TrainingError, match="differs in init_sha256;"):
        opened(tmp_path / "run", recipe=tiny_recipe())


def test_recipe_that_nobody_knows_any_more_is_another_run(tmp_path: Path) -> None:
    opened(tmp_path, recipe=tiny_recipe())
    config = tmp_path / "config.json"
    written = json.loads(config.read_text(encoding="utf-8"))
    written["recipe"]["train"]["colour"] = "blue"
    config.write_text(json.dumps(written), encoding="utf-8")
    with pytest.raises(TrainingError, match=r"recipe\.train\.colour"):
        opened(tmp_path, recipe=tiny_recipe())


def test_data_may_be_moved_between_one_start_and_the_next(tmp_path: Path) -> None:
    def identity(root: str, *, data_hash: str = "a") -> dict[str, object]:
        recipe = tiny_recipe().model_copy(update={"data": {"root": root}})
        return identity_of(recipe, step=FINETUNE, data_hash=data_hash)

    open_folder(tmp_path / "run", identity=identity("here"), total_steps=3)
    assert open_folder(tmp_path / "run", identity=identity("there"), total_steps=3).step == 0
    with pytest.raises(TrainingError, match="data_hash"):
        open_folder(tmp_path / "run", identity=identity("there", data_hash="b"), total_steps=3)
