from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.interrupted import StoppedError, stop_at
from tests.tiny_experiment import CASES, change_plan, result, write_bench

from supcam.core.types import ConfigError, TrainingError
from supcam.learn.checkpoints import FINETUNE, PRETRAIN
from supcam.learn.sources import PartsReader
from supcam.measure.metrics import compute_figures
from supcam.workflows.experiment.outcome import Outcome, read_outcome, read_truth, table_of
from supcam.workflows.experiment.plan import RESULTS, read_plan, runs_of
from supcam.workflows.experiment.run import Bench, carry_out


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def carried_out(bench: Bench, name: str) -> Outcome:
    plan = read_plan(bench.folder)
    (run,) = [run for run in runs_of(plan) if run.name == name]
    return carry_out(run, plan=plan, bench=bench, reader=PartsReader(folder=bench.folder))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A plan of which one run with both steps is carried out."""
    torch.set_num_threads(1)
    bench = write_bench(tmp_path_factory.mktemp("run"))
    carried_out(bench, "full_seed1")
    return bench


@pytest.fixture
def outcome(bench: Bench) -> Outcome:
    found = read_outcome(bench.folder / RESULTS, name="full_seed1")
    assert found is not None
    return found


def test_result_says_what_was_run(outcome: Outcome, bench: Bench) -> None:
    assert (outcome.row, outcome.seed, outcome.fold) == ("full", 1, None)
    assert (outcome.pretrain_pictures, outcome.train_pictures) == (32, 32)
    assert outcome.commit == bench.commit
    assert outcome.made_with["torch"] == torch.__version__
    assert len(outcome.data_hash) == 64
    assert outcome.sets.keys() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_result_scores_every_picture_of_the_set_by_case(outcome: Outcome, bench: Bench, name: str) -> None:
    answered = outcome.sets[name]
    truth = read_truth(bench.folder / RESULTS, named=answered.truth)
    table = table_of(answered, truth=truth, fold=name)
    assert set(table.cases) == set(CASES[name])
    assert len(table) == 5 * len(CASES[name]), "four singles and a pair each"
    figures = compute_figures(table)
    assert answered.figures["accuracy"] == pytest.approx(figures.accuracy, abs=1e-5)
    assert answered.figures["clusters_accuracy"] == pytest.approx(figures.clusters_accuracy, abs=1e-5)


def test_time_of_each_step_is_told(outcome: Outcome, bench: Bench) -> None:
    folders = {"train": bench.runs / "full_seed1", "pretrain": bench.runs / f"pretrain_{outcome.first_step}"}
    seconds = {name: json.loads((folder / "seconds.json").read_text()) for name, folder in folders.items()}
    assert outcome.train_seconds == seconds["train"] > 0
    assert outcome.pretrain_seconds == seconds["pretrain"] > 0


def test_probe_shares_step_1_with_full(
    outcome: Outcome, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would begin step 1 anew is stopped at its first step."""
    stop_at(0, monkeypatch=monkeypatch, of=PRETRAIN)
    probe = carried_out(bench, "probe_seed1")
    assert probe.first_step == outcome.first_step
    assert probe.pretrain_seconds == outcome.pretrain_seconds
    assert len([*bench.runs.glob("pretrain_*")]) == 1


def test_one_step_has_no_step_1(bench: Bench) -> None:
    plain = carried_out(bench, "plain_seed1")
    assert (plain.first_step, plain.pretrain_pictures, plain.pretrain_seconds) == ("", 0, None)


def test_fold_is_neither_learnt_from_nor_are_others_scored_in_its_place(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    harvest = PartsReader.harvest

    def noted(self: PartsReader, recipe: object, *, parts: tuple[str, ...]) -> object:
        asked.append(tuple(parts))
        return harvest(self, recipe, parts=parts)  # type: ignore[arg-type]

    monkeypatch.setattr(PartsReader, "harvest", noted)
    folded = carried_out(bench, "folded_seed1_lab_fold1")
    assert asked[0] == ("lab:train", "lab:fold2")
    assert set(asked[1:]) == {("lab:fold1",), ("lab:select",)}
    truth = read_truth(bench.folder / RESULTS, named=folded.sets["folds"].truth)
    assert {case for _, case in truth.cases} == {"c"}


@pytest.fixture
def fresh(tmp_path: Path) -> Bench:
    return write_bench(tmp_path)


@pytest.mark.parametrize(("of", "step"), [(PRETRAIN, 3), (FINETUNE, 3)])
def test_interrupted_run_goes_on_and_ends_like_one_that_was_not(
    outcome: Outcome, fresh: Bench, of: str, step: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        stop_at(step, monkeypatch=patched, of=of)
        with pytest.raises(StoppedError):
            carried_out(fresh, "full_seed1")
    assert not (fresh.folder / RESULTS).exists()
    with pytest.MonkeyPatch.context() as patched:
        stop_at(0, monkeypatch=patched, of=of)  # it must not begin anew
        again = carried_out(fresh, "full_seed1")
    assert {name: one.types for name, one in again.sets.items()} == {
        name: one.types for name, one in outcome.sets.items()
    }
    assert {name: one.figures for name, one in again.sets.items()} == {
        name: one.figures for name, one in outcome.sets.items()
    }
    assert again.train_seconds is not None


def test_run_that_was_stopped_before_it_was_scored_is_scored(bench: Bench) -> None:
    before = result(bench, "full_seed1")
    (bench.folder / RESULTS / "full_seed1.json").unlink()
    with pytest.MonkeyPatch.context() as patched:
        stop_at(0, monkeypatch=patched, of=FINETUNE)
        carried_out(bench, "full_seed1")
    assert result(bench, "full_seed1") == before


def test_checkpoints_of_another_recipe_are_refused(bench: Bench) -> None:
    path = bench.folder / "full.toml"
    text = path.read_text()
    path.write_text(text + "[train]\nlearning_rate = 0.5\n")
    with pytest.raises(TrainingError, match=r"another run, which differs in recipe\.train\.learning_rate"):
        carried_out(bench, "full_seed1")
    path.write_text(text)


def test_scored_part_that_no_case_plays_is_missed_before_anything_is_learnt(fresh: Bench) -> None:
    change_plan(fresh, 'select = ["lab:select"]', new='select = ["lab:nobody"]')
    with pytest.raises(ConfigError, match="part 'lab:nobody' without a picture"):
        carried_out(fresh, "plain_seed1")
    assert not fresh.runs.exists()
