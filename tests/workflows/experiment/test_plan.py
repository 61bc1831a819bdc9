from __future__ import annotations

from pathlib import Path

import pytest
from tests.tiny_experiment import change_plan, write_plan

from supcam.core.types import ConfigError
from supcam.workflows.experiment.plan import read_plan, runs_of
from supcam.workflows.experiment.run import Bench

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return write_plan(tmp_path)


def test_runs_follow_the_seeds_the_rows_and_their_folds(bench: Bench) -> None:
    plan = change_plan(bench, "seeds = [1]", new="seeds = [1, 2]")
    assert [run.name for run in runs_of(plan)] == [
        "plain_seed1", "full_seed1", "probe_seed1", "folded_seed1_lab_fold1", "folded_seed1_lab_fold2",
        "plain_seed2", "full_seed2", "probe_seed2", "folded_seed2_lab_fold1", "folded_seed2_lab_fold2",
    ]  # fmt: skip


def test_row_may_have_seeds_of_its_own(bench: Bench) -> None:
    plan = change_plan(bench, 'name = "One step"\n', new='name = "One step"\nseeds = [5, 7]\n')
    assert [run.seed for run in runs_of(plan, only=["plain", "full"])] == [5, 1, 7]


def test_run_without_a_fold_is_scored_on_it_alone_and_on_all_other_sets(bench: Bench) -> None:
    plan = read_plan(bench.folder)
    whole, first, _ = runs_of(plan, only=["full", "folded"])
    assert whole.scored_parts(plan) == plan.scored
    assert first.scored_parts(plan) == {"folds": ("lab:fold1",), "select": ("lab:select",)}


def test_unknown_row_is_refused_with_the_known_ones(bench: Bench) -> None:
    with pytest.raises(ConfigError, match=r"rows nobody.*among plain, full, probe, folded"):
        runs_of(read_plan(bench.folder), only=["nobody", "full"])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('reference = "full"', 'reference = "nobody"', "reference nobody that is none of the rows"),
        ('name = "One step"\n', 'name = "One step"\nagainst = "nobody"\n', "reference nobody that is none"),
        ('recipe = "probe.toml"', 'recipe = "full.toml"', "one recipe or one name"),
        ('name = "Two steps; probe"', 'name = "One step"', "one recipe or one name"),
        ("seeds = [1]", "seeds = [1, 1]", "a seed or a fold twice"),
        ("seeds = [1]", "seeds = []", "seeds"),
        ("budget_hours = 1.0", "budget_hours = 0", "budget_hours"),
        ("budget_hours = 1.0", "budget = 1.0", "keys among: title"),
        (
            'folds = ["lab:fold1", "lab:fold2"]\nselect',
            'folds = ["lab:fold1"]\nselect',
            "folds of 'folded' that are not the whole of a scored set",
        ),
        (
            'fold"\nfolds = ["lab:fold1", "lab:fold2"]',
            'fold"\nfolds = ["lab:fold1"]',
            "folds of 'folded' that are not the whole of a scored set",
        ),
    ],
)
def test_plan_that_cannot_be_is_refused(bench: Bench, old: str, new: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        change_plan(bench, old, new=new)


def test_folder_without_a_plan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"plan\.toml"):
        read_plan(tmp_path)


@pytest.mark.parametrize("path", sorted(ROOT.glob("experiments/*/plan.toml")), ids=lambda p: p.parent.name)
def test_committed_plans_can_be_read_and_name_recipes_that_are_there(path: Path) -> None:
    plan = read_plan(path.parent)
    assert [row.recipe for row in plan.rows if not (path.parent / row.recipe).is_file()] == []
