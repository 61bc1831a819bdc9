from __future__ import annotations

from pathlib import Path

import pytest
from tests.tiny_experiment import change_plan, invent, write_plan

from supcam.core.types import ConfigError
from supcam.learn.recipe import Recipe
from supcam.workflows.experiment.outcome import read_outcome
from supcam.workflows.experiment.plan import RESULTS, read_plan, runs_of
from supcam.workflows.experiment.recipes import first_step_of, is_by, recipe_of
from supcam.workflows.experiment.run import Bench

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return write_plan(tmp_path)


def recipes(bench: Bench) -> dict[str, Recipe]:
    plan = read_plan(bench.folder)
    return {run.name: recipe_of(run, plan=plan, folder=bench.folder) for run in runs_of(plan)}


def append(bench: Bench, name: str, text: str) -> None:
    path = bench.folder / name
    path.write_text(path.read_text() + text)


def test_seed_goes_into_both_steps(bench: Bench) -> None:
    change_plan(bench, "seeds = [1]", new="seeds = [31]")
    found = recipes(bench)
    assert found["plain_seed31"].train.seed == 31
    full = found["full_seed31"]
    assert full.pretrain is not None
    assert (full.pretrain.seed, full.train.seed) == (31, 31)


def test_fold_is_left_out_of_what_is_learnt_from_and_nothing_else(bench: Bench) -> None:
    found = recipes(bench)
    assert found["folded_seed1_lab_fold1"].data["train"] == ["lab:train", "lab:fold2"]
    assert found["folded_seed1_lab_fold2"].data["train"] == ["lab:train", "lab:fold1"]
    assert found["plain_seed1"].data["train"] == ["lab:train"]


def test_fold_that_is_not_learnt_from_cannot_be_left_out(bench: Bench) -> None:
    change_plan(bench, 'name = "One step"\n', new='name = "One step"\nfolds = ["lab:fold1", "lab:fold2"]\n')
    with pytest.raises(ConfigError, match=r"training parts lab:train.*lab:fold1 among them"):
        recipes(bench)


def test_part_that_is_learnt_from_cannot_be_scored(bench: Bench) -> None:
    change_plan(bench, 'select = ["lab:select"]', new='select = ["lab:select", "lab:train"]')
    with pytest.raises(ConfigError, match="lab:train both learnt from and scored"):
        recipes(bench)


def test_step_2_with_two_starts_is_refused(bench: Bench) -> None:
    append(bench, "full.toml", '\n[train]\ninit_from = "elsewhere.ckpt"\n')
    with pytest.raises(ConfigError, match=r"\[pretrain\] and train\.init_from = 'elsewhere\.ckpt'"):
        recipes(bench)


def test_step_1_is_one_for_recipes_that_differ_in_step_2_alone(bench: Bench) -> None:
    found = recipes(bench)
    assert first_step_of(found["plain_seed1"]) == ""
    assert first_step_of(found["full_seed1"]) == first_step_of(found["probe_seed1"])
    change_plan(bench, "seeds = [1]", new="seeds = [2]")
    assert first_step_of(recipes(bench)["full_seed2"]) != first_step_of(found["full_seed1"])


def test_result_knows_the_recipe_that_it_is_by(bench: Bench) -> None:
    invent(bench, row="plain")
    outcome = read_outcome(bench.folder / RESULTS, name="plain_seed1")
    assert outcome is not None
    assert is_by(outcome, recipe=recipes(bench)["plain_seed1"])
    append(bench, "plain.toml", "learning_rate = 0.5\n")
    assert not is_by(outcome, recipe=recipes(bench)["plain_seed1"])


def test_result_may_be_older_than_a_key_of_the_recipe_but_not_say_more(bench: Bench) -> None:
    invent(bench, row="plain")
    outcome = read_outcome(bench.folder / RESULTS, name="plain_seed1")
    assert outcome is not None
    values = dict(outcome.recipe) if isinstance(outcome.recipe, dict) else {}
    recipe = recipes(bench)["plain_seed1"]
    fewer = {key: value for key, value in values.items() if key != "views"}
    assert is_by(outcome.model_copy(update={"recipe": fewer}), recipe=recipe)
    assert not is_by(outcome.model_copy(update={"recipe": {**values, "spell": 1}}), recipe=recipe)


@pytest.mark.parametrize("folder", sorted(ROOT.glob("experiments/*/plan.toml")), ids=lambda p: p.parent.name)
def test_every_run_of_the_committed_plans_has_a_recipe(folder: Path) -> None:
    plan = read_plan(folder.parent)
    for run in runs_of(plan):
        assert recipe_of(run, plan=plan, folder=folder.parent).train.seed == run.seed
