from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import pytest
import torch
from tests.interrupted import StoppedError, stop_at
from tests.tiny_experiment import Invented, change_plan, invent, result, write_bench, write_plan

from supcam.core.types import ConfigError, ManifestError, SupcamError, TrainingError
from supcam.learn.checkpoints import FINETUNE, PRETRAIN
from supcam.workflows.experiment import driver
from supcam.workflows.experiment.driver import Estimate, Failed, Work, estimate_of, run_plan
from supcam.workflows.experiment.plan import RESULTS, Run, read_plan
from supcam.workflows.experiment.run import Bench

NAMES = ["plain_seed1", "full_seed1", "probe_seed1", "folded_seed1_lab_fold1", "folded_seed1_lab_fold2"]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@dataclass(frozen=True)
class Ran:
    """A plan that was run to its end, and what was told meanwhile."""

    bench: Bench
    told: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The tiny plan, run by one process."""
    torch.set_num_threads(1)
    ran = Ran(write_bench(tmp_path_factory.mktemp("driver")))
    assert run_plan(ran.bench, work=Work(tell=ran.told.append)) == ()
    return ran


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """The same plan, not run, and without pictures."""
    return write_plan(tmp_path)


@pytest.fixture
def drawn(tmp_path: Path) -> Bench:
    """The same plan with its pictures, not run."""
    return write_bench(tmp_path)


def bytes_of(bench: Bench) -> dict[str, bytes]:
    folder = bench.folder / RESULTS
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def said(bench: Bench, name: str) -> tuple[object, object]:
    """What a run answered and from what, wherever it lay."""
    found = result(bench, name)
    return found["sets"], found["data_hash"]


def no_learning(patched: pytest.MonkeyPatch) -> None:
    for step in (PRETRAIN, FINETUNE):
        stop_at(0, monkeypatch=patched, of=step)


# ---- the runs


def test_every_run_has_its_result_and_is_told(finished: Ran) -> None:
    results = {name for name in bytes_of(finished.bench) if not name.startswith("truth_")}
    assert results == {f"{name}.json" for name in NAMES}
    first, *others = finished.told
    assert first.startswith("5 of 5 runs to do, about 0.0 machine hours")
    assert [line.split(": ")[:2] for line in others] == [
        [f"{place} of 5", name] for place, name in enumerate(NAMES, start=1)
    ]
    assert all("folds " in line and "; select " in line for line in others)


def test_step_1_is_learnt_once_for_full_and_probe(finished: Ran) -> None:
    assert len([*finished.bench.runs.glob("pretrain_*")]) == 1
    full, probe = (result(finished.bench, f"{name}_seed1") for name in ("full", "probe"))
    assert full["first_step"] == probe["first_step"] != ""
    assert full["recipe"] != probe["recipe"]


def test_finished_results_are_left_alone(finished: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    before, told = bytes_of(finished.bench), list[str]()
    no_learning(monkeypatch)
    assert run_plan(finished.bench, work=Work(tell=told.append)) == ()
    assert bytes_of(finished.bench) == before
    assert len(told) == 1
    assert told[0].startswith("0 of 5 runs to do, about 0.0 machine hours")


def test_stopped_plan_keeps_what_is_finished_and_goes_on_in_the_middle(finished: Ran, drawn: Bench) -> None:
    with pytest.MonkeyPatch.context() as patched:
        stop_at(3, monkeypatch=patched, of=PRETRAIN)
        with pytest.raises(StoppedError):
            run_plan(drawn, work=Work(only=["plain", "probe"]))
    (kept,) = [name for name in bytes_of(drawn) if not name.startswith("truth_")]
    assert kept == "plain_seed1.json"
    before = bytes_of(drawn)
    with pytest.MonkeyPatch.context() as patched:
        stop_at(0, monkeypatch=patched, of=PRETRAIN)
        assert run_plan(drawn, work=Work(only=["plain", "probe"])) == ()
    assert bytes_of(drawn).items() >= before.items()
    for name in ("plain_seed1", "probe_seed1"):
        assert said(drawn, name) == said(finished.bench, name)


@pytest.mark.slow
def test_two_processes_give_what_one_gives(finished: Ran, drawn: Bench) -> None:
    """With what the first of them draws kept for the others, until the plan is done."""
    told: list[str] = []
    keeping = replace(drawn, kept_bytes=10**9)
    work = Work(only=["plain", "full", "probe"], processes=2, tell=told.append)
    assert run_plan(keeping, work=work) == ()
    assert len(told) == 4
    for name in NAMES[:3]:
        assert said(drawn, name) == said(finished.bench, name)
    assert keeping.kept_in is not None
    assert keeping.kept_in.is_dir()
    assert not list(keeping.kept_in.iterdir())


def test_run_that_fails_is_told_and_the_others_go_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Learning stands in for itself: what matters is who is asked and what becomes of an error."""
    asked: list[str] = []

    def carry_out(run: Run, **_: object) -> object:
        asked.append(run.name)
        raise SupcamError("a fault", expected="none", remedy="mend it")

    monkeypatch.setattr(driver, "carry_out", carry_out)
    failed = run_plan(bench, work=Work(only=["folded", "plain"]))
    assert asked == [one.name for one in failed] == [NAMES[0], *NAMES[3:]]
    assert all(isinstance(one, Failed) and "a fault" in one.reason for one in failed)


def test_folder_that_is_something_else_fails_its_own_run_alone(drawn: Bench) -> None:
    (drawn.runs / "folded_seed1_lab_fold1").mkdir(parents=True)
    (drawn.runs / "folded_seed1_lab_fold1" / "notes.txt").write_text("mine")
    told: list[str] = []
    (failed,) = run_plan(drawn, work=Work(only=["folded"], tell=told.append))
    assert failed.name == NAMES[3]
    assert "files, but no config.json" in failed.reason
    assert failed.reason in told[1]
    assert (drawn.folder / RESULTS / f"{NAMES[4]}.json").is_file()


class BrokenPool:
    """A pool whose processes were killed."""

    def __init__(self, *_: object, **__: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, *_: object) -> Future[None]:
        future: Future[None] = Future()
        future.set_exception(BrokenProcessPool("killed"))
        return future


def test_killed_process_is_told_with_what_to_do(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "ProcessPoolExecutor", BrokenPool)
    with pytest.raises(TrainingError, match=r"ended from outside.*start again"):
        run_plan(bench, work=Work(processes=2))


# ---- what is refused


def refused(bench: Bench, *, error: type[SupcamError], told: str, only: list[str] | None = None) -> None:
    with pytest.MonkeyPatch.context() as patched:
        no_learning(patched)
        with pytest.raises(error, match=told):
            run_plan(bench, work=Work(only=only or []))
    assert not bench.runs.exists()


def test_plan_over_its_budget_is_refused_with_the_estimate(bench: Bench) -> None:
    change_plan(bench, "budget_hours = 1.0", new="budget_hours = 0.000_1")
    refused(bench, error=TrainingError, told=r"about 0\.0 machine hours.*at most its budget of 0\.0001")


def test_what_was_spent_counts_against_the_budget(bench: Bench) -> None:
    invent(bench, row="plain", invented=Invented(train_seconds=7200.0))
    refused(bench, error=TrainingError, told="at most its budget of 1")


def test_scored_part_that_is_learnt_from_is_refused_before_any_run(bench: Bench) -> None:
    change_plan(bench, 'select = ["lab:select"]', new='select = ["lab:select", "lab:train"]')
    refused(bench, error=ConfigError, told="lab:train both learnt from and scored")


def test_unknown_row_is_refused(bench: Bench) -> None:
    refused(bench, error=ConfigError, told="rows nobody", only=["nobody"])


def test_damaged_result_is_refused(bench: Bench) -> None:
    (path,) = invent(bench, row="plain")
    path.write_text("{")
    refused(bench, error=ManifestError, told=r"plain_seed1\.json")


def test_result_of_another_recipe_is_refused(bench: Bench) -> None:
    invent(bench, row="plain")
    path = bench.folder / "plain.toml"
    path.write_text(path.read_text() + "learning_rate = 0.5\n")
    refused(bench, error=ManifestError, told="a result of another recipe")


def test_result_scored_on_other_parts_is_refused(bench: Bench) -> None:
    invent(bench, row="plain")
    change_plan(bench, 'select = ["lab:select"]', new="")
    refused(bench, error=ManifestError, told="scored on other parts")


def test_dry_run_estimates_and_does_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    no_learning(monkeypatch)
    assert run_plan(bench, work=Work(dry=True, tell=told.append)) == ()
    assert told == ["5 of 5 runs to do, about 0.0 machine hours; 0.0 were spent"]
    assert not bench.runs.exists()
    assert bytes_of(bench) == {}


# ---- the estimate


def test_estimate_before_any_run_follows_the_stated_rates(bench: Bench) -> None:
    """Five times step 2, once the step 1 that two rows share."""
    plan = change_plan(bench, "[scored]", new="[rates]\npretrain = 4.0\ntrain = 8.0\n\n[scored]")
    estimate = estimate_of(plan, bench=bench)
    assert (estimate.n_runs, estimate.n_to_do, estimate.spent_hours) == (5, 5, 0)
    assert estimate.hours_to_do == pytest.approx((5 * 32 / 8 + 32 / 4) / 3600)


def test_estimate_follows_the_pace_of_finished_runs(bench: Bench) -> None:
    """A finished row with both steps spent 32 and 64 seconds; its step 1 serves the probe."""
    invent(bench, row="full")
    estimate = estimate_of(read_plan(bench.folder), bench=bench)
    assert (estimate.n_runs, estimate.n_to_do) == (5, 4)
    assert estimate.spent_hours == pytest.approx(96 / 3600)
    assert estimate.hours_to_do == pytest.approx(4 * 64 / 3600)


def test_runs_of_unknown_time_tell_no_pace(bench: Bench) -> None:
    invent(bench, row="full", invented=Invented(pretrain_seconds=None, train_seconds=None))
    plan = read_plan(bench.folder)
    estimate = estimate_of(plan, bench=bench)
    assert estimate.spent_hours == 0
    assert estimate.hours_to_do == pytest.approx(4 * 32 / plan.rates.train / 3600)


def test_estimate_is_told_in_one_line() -> None:
    estimate = Estimate(n_runs=60, n_to_do=12, spent_hours=8.04, hours_to_do=2.51)
    assert estimate.told() == "12 of 60 runs to do, about 2.5 machine hours; 8.0 were spent"
