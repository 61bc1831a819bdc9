from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from tests.tiny_training import same, tiny_recipe, tiny_sources

from supcam.core.types import ConfigError, TrainingError
from supcam.learn.batches import Batch
from supcam.learn.checkpoints import OWN_KEY, load_network, read_checkpoint
from supcam.learn.finetune import Finetuning
from supcam.learn.recipe import Recipe
from supcam.learn.run import RunResult, run_finetuning

ROOT = Path(__file__).resolve().parents[2]
STEPS = 30


class StoppedError(Exception):
    """What stops a run in these tests."""


def stop_at(step: int, *, monkeypatch: pytest.MonkeyPatch, error: type[BaseException] = StoppedError) -> None:
    """Runs come no further than the start of ``step``."""
    begin = Finetuning.on_train_batch_start

    def begin_or_stop(self: Finetuning, batch: Batch, batch_idx: int) -> None:
        if self.global_step == step:
            raise error
        begin(self, batch, batch_idx)

    monkeypatch.setattr(Finetuning, "on_train_batch_start", begin_or_stop)


def interrupted(folder: Path, *, step: int, recipe: Recipe | None = None) -> None:
    """A run in ``folder`` that was stopped at the start of ``step``."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        stop_at(step, monkeypatch=monkeypatch)
        with pytest.raises(StoppedError):
            run_finetuning(recipe or tiny_recipe(), sources=tiny_sources(), folder=folder)


def killed(folder: Path, *, step: int, workers: int) -> None:
    """A run in ``folder`` whose process got SIGKILL at the start of ``step``."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "tests.tiny_training", str(folder), str(workers), str(step)],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a table without the one column that a clock fills."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [{name: value for name, value in row.items() if name != "pictures_per_second"} for row in rows]


def ending(folder: Path) -> dict[str, Any]:
    """All that a run ends with: weights, averages, optimizer, schedule, position."""
    return {
        key: value
        for key, value in read_checkpoint(folder / "checkpoints/last.ckpt").items()
        if key != OWN_KEY
    }


def assert_same_ending(folder: Path, *, other: Path) -> None:
    ours, theirs = ending(folder), ending(other)
    assert ours["global_step"] == STEPS
    assert ours.keys() == theirs.keys()
    assert [key for key in ours if not same(ours[key], theirs[key])] == []
    for name in ("metrics.csv", "history.csv"):
        assert table(folder / name) == table(other / name)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """The uninterrupted run."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("run") / "whole"
    return run_finetuning(tiny_recipe(), sources=tiny_sources(), folder=folder)


# ---- what a run leaves behind


def test_run_folder_holds_everything_under_its_name(finished: RunResult) -> None:
    names = {path.relative_to(finished.folder).as_posix() for path in finished.folder.rglob("*")}
    assert {"config.json", "metrics.csv", "history.csv", "checkpoints/last.ckpt", "tensorboard"} <= names
    assert any(name.startswith("tensorboard/events") for name in names)
    assert not [name for name in names if "unfinished" in name]
    assert finished.steps == STEPS


def test_config_json_is_the_whole_recipe(finished: RunResult) -> None:
    written = json.loads((finished.folder / "config.json").read_text(encoding="utf-8"))
    assert Recipe.model_validate(written["recipe"]) == tiny_recipe()
    assert written["recipe"]["train"]["weight_decay"] == 0.05, "defaults are written, too"
    assert written["data_hash"] == "stripes"
    assert written["made_with"]["torch"] == torch.__version__


def test_tables_have_a_row_for_every_line_and_every_epoch(finished: RunResult) -> None:
    metrics, history = (table(finished.folder / name) for name in ("metrics.csv", "history.csv"))
    assert [int(row["step"]) for row in metrics] == list(range(3, STEPS + 1, 3))
    assert [(row["step"], row["epoch"], row["set"]) for row in history] == [
        (str(step), str(epoch), name) for epoch, step in enumerate((10, 20, 30)) for name in ("near", "far")
    ]
    assert all(float(row["total"]) > 0 for row in metrics)
    assert float(history[-1]["accuracy"]) == finished.scores["far"].accuracy


def test_checkpoint_can_be_loaded_without_running_code_and_names_its_recipe(finished: RunResult) -> None:
    loaded = load_network(finished.checkpoint)
    assert (loaded.step, loaded.data_hash, loaded.recipe) == (STEPS, "stripes", tiny_recipe())


def test_average_differs_from_the_last_weights(finished: RunResult) -> None:
    state = ending(finished.folder)["state_dict"]
    assert not torch.equal(state["network.type_head.weight"], state["average.type_head.weight"])


def test_network_learns_what_it_is_shown(tmp_path: Path) -> None:
    recipe = tiny_recipe(epochs=8, pictures_per_epoch=160, average_decay=0.9, chromosome_weight=1.0)
    scores = run_finetuning(recipe, sources=tiny_sources(validated=64), folder=tmp_path / "run").scores[
        "near"
    ]
    assert scores.accuracy > 0.9
    assert scores.count_accuracy > 0.8
    assert scores.chromosome_accuracy > 0.9


def test_bfloat16_run_keeps_weights_and_losses_in_float32(tmp_path: Path) -> None:
    result = run_finetuning(
        tiny_recipe(precision="bfloat16", epochs=1, workers=1),
        sources=tiny_sources(),
        folder=tmp_path / "run",
    )
    floats = [value for value in ending(result.folder)["state_dict"].values() if value.is_floating_point()]
    assert {value.dtype for value in floats} == {torch.float32}
    assert ending(result.folder)["callbacks"]["MetricLines"]["terms"].dtype == torch.float32


def test_run_without_validation_or_averaging_is_a_run(tmp_path: Path) -> None:
    sources = tiny_sources(validated=0)
    bare = type(sources)(train=sources.train, validation={}, data_hash="none")
    result = run_finetuning(tiny_recipe(epochs=1, average_decay=0.0), sources=bare, folder=tmp_path / "run")
    assert result.scores == {}
    assert not (result.folder / "history.csv").exists()
    state = ending(result.folder)["state_dict"]
    assert torch.equal(state["network.type_head.weight"], state["average.type_head.weight"])


def test_threads_are_given_back(tmp_path: Path) -> None:
    torch.set_num_threads(2)
    before = torch.get_num_threads(), cv2.getNumThreads()
    run_finetuning(tiny_recipe(epochs=1, threads=1), sources=tiny_sources(), folder=tmp_path / "run")
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before


def test_progress_is_shown_when_asked_for_and_only_then(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_finetuning(tiny_recipe(epochs=1), sources=tiny_sources(), folder=tmp_path / "silent")
    assert capsys.readouterr() == ("", "")
    run_finetuning(tiny_recipe(epochs=1), sources=tiny_sources(), folder=tmp_path / "shown", progress=True)
    shown = "".join(capsys.readouterr())
    assert "10/10" in shown
    assert "v_num" not in shown


# ---- a stopped run goes on as if nothing had happened


@pytest.mark.parametrize("step", [1, 5, 10, 13], ids=lambda step: f"stopped at {step}")
def test_stopped_run_ends_like_the_uninterrupted_one(finished: RunResult, tmp_path: Path, step: int) -> None:
    interrupted(tmp_path / "run", step=step)
    run_finetuning(tiny_recipe(), sources=tiny_sources(), folder=tmp_path / "run")
    assert_same_ending(tmp_path / "run", other=finished.folder)


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "steps"), [(0, (17,)), (2, (6, 29))])
def test_run_killed_in_the_middle_of_an_epoch_ends_bit_for_bit_like_the_uninterrupted_one(
    finished: RunResult, tmp_path: Path, workers: int, steps: tuple[int, ...]
) -> None:
    folder = tmp_path / "run"
    for step in steps:
        killed(folder, step=step, workers=workers)
        assert step - 4 <= ending(folder)["global_step"] < step
    result = run_finetuning(tiny_recipe(workers=workers), sources=tiny_sources(), folder=folder)
    assert result.steps == STEPS
    assert_same_ending(folder, other=finished.folder)


def test_stop_by_hand_is_a_keyboard_interrupt_and_can_be_resumed(
    finished: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        stop_at(14, monkeypatch=patched, error=KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            run_finetuning(tiny_recipe(), sources=tiny_sources(), folder=tmp_path / "run")
    run_finetuning(tiny_recipe(), sources=tiny_sources(), folder=tmp_path / "run")
    assert_same_ending(tmp_path / "run", other=finished.folder)


# ---- what a folder refuses


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


def test_recipe_that_cannot_work_claims_no_folder(tmp_path: Path) -> None:
    network = tiny_recipe().network.model_copy(update={"backbone": "resnet_of_nobody"})
    recipe = tiny_recipe(epochs=1).model_copy(update={"network": network})
    with pytest.raises(ConfigError, match="resnet_of_nobody"):
        run_finetuning(recipe, sources=tiny_sources(), folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_damaged_config_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"config\.json"):
        run_finetuning(tiny_recipe(), sources=tiny_sources(), folder=tmp_path)


def test_gpu_that_is_not_there_is_missed_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="no CUDA device"):
        run_finetuning(tiny_recipe(device="cuda"), sources=tiny_sources(), folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


# ---- a second stage


def test_second_stage_starts_from_the_averaged_weights(
    finished: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_network(finished.checkpoint).network.state_dict()
    seen: list[bool] = []

    def compare_and_stop(self: Finetuning) -> None:
        seen.append(same(dict(self.network.state_dict()), dict(first)))
        seen.append(same(dict(self.average.state_dict()), dict(first)))
        raise StoppedError

    monkeypatch.setattr(Finetuning, "on_train_start", compare_and_stop)
    recipe = tiny_recipe(init_from=str(finished.checkpoint), init_rate_share=0.1)
    with pytest.raises(StoppedError):
        run_finetuning(recipe, sources=tiny_sources(), folder=tmp_path / "second")
    assert seen == [True, True]
    written = json.loads((tmp_path / "second" / "config.json").read_text(encoding="utf-8"))
    assert len(written["init_sha256"]) == 64


def test_second_stage_from_nowhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"none\.ckpt"):
        run_finetuning(
            tiny_recipe(init_from=str(tmp_path / "none.ckpt")),
            sources=tiny_sources(),
            folder=tmp_path / "second",
        )
