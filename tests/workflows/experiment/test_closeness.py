from __future__ import annotations

from pathlib import Path

import pytest
from tests.tiny_experiment import Invented, change_plan, invent, write_plan

from supcam.core.types import ConfigError
from supcam.workflows.experiment import driver
from supcam.workflows.experiment.closeness import Wanted, every_run, wanted_runs
from supcam.workflows.experiment.driver import Work, estimate_of, run_plan
from supcam.workflows.experiment.outcome import Outcome, read_outcome
from supcam.workflows.experiment.plan import RESULTS, Plan, Run, read_plan, runs_of
from supcam.workflows.experiment.run import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = write_plan(tmp_path)
    close = '[close]\nseeds = [2, 3]\nwithin = 0.02\nscored = "select"\n\n[scored]'
    change_plan(bench, "[scored]", new=close)
    return bench


def found_in(bench: Bench, *, plan: Plan) -> dict[Run, Outcome]:
    there = {run: read_outcome(bench.folder / RESULTS, name=run.name) for run in every_run(plan)}
    return {run: outcome for run, outcome in there.items() if outcome is not None}


def wanted(bench: Bench) -> Wanted:
    plan = read_plan(bench.folder)
    return wanted_runs(plan, found=found_in(bench, plan=plan))


def further(runs: tuple[Run, ...]) -> dict[str, int]:
    rows = [run.row.key for run in runs if run.seed > 1]
    return {row: rows.count(row) for row in rows}


def test_before_any_result_every_further_run_is_possible_and_none_is_wanted(bench: Bench) -> None:
    asked = wanted(bench)
    assert further(asked.runs) == {}
    assert further(asked.possible) == {"plain": 2, "full": 2, "probe": 2, "folded": 4}


def test_rows_near_the_reference_or_above_it_get_further_seeds(bench: Bench) -> None:
    levels = {"full": 0.90, "plain": 0.881, "probe": 0.879, "folded": 0.97}
    for row, level in levels.items():
        invent(bench, row=row, invented=Invented(macro_recall=level))
    asked = wanted(bench)
    assert further(asked.runs) == {"full": 2, "plain": 2, "folded": 4}
    assert asked.possible == ()


def test_row_is_open_until_the_reference_is_there(bench: Bench) -> None:
    invent(bench, row="plain")
    assert further(wanted(bench).possible)["plain"] == 2
    invent(bench, row="full")
    assert further(wanted(bench).runs) == {"plain": 2, "full": 2}


def test_driver_runs_further_seeds_once_results_ask_for_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Learning stands in for itself: each run leaves an invented result."""
    asked: list[str] = []
    answered = driver._tried

    def tried(run: Run, **given: object) -> object:
        asked.append(run.name)
        invent(bench, row=run.row.key, seed=run.seed, invented=Invented(macro_recall=0.9))
        return "done"

    monkeypatch.setattr(driver, "_tried", tried)
    assert run_plan(bench, work=Work(only=["plain", "full"])) == ()
    assert asked == [f"{row}_seed{seed}" for row, seed in (
        ("plain", 1), ("full", 1), ("plain", 2), ("plain", 3), ("full", 2), ("full", 3),
    )]  # fmt: skip
    assert answered is not driver._tried


def test_estimate_counts_what_may_come_against_the_budget(bench: Bench) -> None:
    estimate = estimate_of(read_plan(bench.folder), bench=bench)
    assert (estimate.n_to_do, estimate.n_possible) == (5, 10)
    assert estimate.possible_hours > estimate.hours_to_do > 0
    assert "up to 10 more of rows near the reference" in estimate.told()
    assert estimate.most_hours == pytest.approx(estimate.hours_to_do + estimate.possible_hours)


def test_seeds_that_a_row_has_already_are_no_further_ones(bench: Bench) -> None:
    with pytest.raises(ConfigError, match="further seeds that 'plain' has already"):
        change_plan(bench, "seeds = [2, 3]", new="seeds = [1, 2]")
    assert len(runs_of(change_plan(bench, "seeds = [1, 2]", new="seeds = [4]"))) == 5
