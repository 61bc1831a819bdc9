from __future__ import annotations

import json
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from tests.interrupted import (
    STEPS,
    StoppedError,
    assert_same_ending,
    ending,
    interrupted,
    killed,
    run_step,
    stop_at,
    table,
)
from tests.tiny_training import same, tiny_recipe, tiny_sources, two_steps
from torch.multiprocessing.spawn import ProcessRaisedException

from supcam.core.types import ConfigError, TrainingError
from supcam.learn.checkpoints import FINETUNE, PRETRAIN, load_network
from supcam.learn.encoder import Network
from supcam.learn.finetune import Finetuning
from supcam.learn.pretrain import Pretraining
from supcam.learn.recipe import Recipe
from supcam.learn.run import RunResult, require_device, run_finetuning, run_pretraining


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


# ---- several processes that share every batch


def stop_and_go_on_together(folder: Path, of: str) -> None:
    """Two runs of two processes in ``folder``: one that was stopped and went on, one at a stretch."""
    together: dict[str, Any] = {"devices": 2, "strategy": "ddp_fork"}
    recipe = two_steps(train=None, **together) if of == PRETRAIN else tiny_recipe(**together)
    with pytest.MonkeyPatch.context() as patched:
        stop_at(13, monkeypatch=patched, of=of)
        with pytest.raises(ProcessRaisedException, match="StoppedError"):
            run_step(of, folder=folder / "stopped", recipe=recipe)
    assert ending(folder / "stopped")["global_step"] == 12
    for name in ("stopped", "whole"):
        result = run_step(of, folder=folder / name, recipe=recipe)
        assert (result.steps, result.scores) == (STEPS, {})


@pytest.mark.slow
@pytest.mark.parametrize("of", [PRETRAIN, FINETUNE])
def test_two_processes_leave_one_run_and_go_on_where_they_were_stopped(tmp_path: Path, of: str) -> None:
    """Forked processes see the patch that stops them; torch forks safely from a fresh process alone."""
    fresh = get_context("spawn").Process(target=stop_and_go_on_together, args=(tmp_path, of))
    fresh.start()
    fresh.join()
    assert fresh.exitcode == 0
    assert_same_ending(tmp_path / "stopped", other=tmp_path / "whole")
    lines = table(tmp_path / "whole" / "metrics.csv")
    assert [int(row["step"]) for row in lines] == list(range(3, STEPS + 1, 3)), "written by one of them"


@pytest.mark.slow
def test_processes_started_anew_learn_too(tmp_path: Path) -> None:
    recipe = tiny_recipe(devices=2, epochs=1)
    result = run_finetuning(recipe, sources=tiny_sources(), folder=tmp_path / "run")
    assert load_network(result.checkpoint).step == 10


def test_gpus_that_are_not_there_are_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for devices in (4, (0, 2)):
        with pytest.raises(TrainingError, match="2 CUDA devices"):
            require_device(tiny_recipe(device="cuda", devices=devices).train)
    require_device(tiny_recipe(device="cuda", devices=(0, 1)).train)


# ---- what cannot start


def test_recipe_that_cannot_work_claims_no_folder(tmp_path: Path) -> None:
    network = tiny_recipe().network.model_copy(update={"backbone": "resnet_of_nobody"})
    recipe = tiny_recipe(epochs=1).model_copy(update={"network": network})
    with pytest.raises(ConfigError, match="resnet_of_nobody"):
        run_finetuning(recipe, sources=tiny_sources(), folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_gpu_that_is_not_there_is_missed_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="no CUDA device"):
        run_finetuning(tiny_recipe(device="cuda"), sources=tiny_sources(), folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_recipe_without_step_1_cannot_be_pretrained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"without a table \[pretrain\]"):
        run_pretraining(tiny_recipe(), sources=tiny_sources(), folder=tmp_path / "run")
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


# ---- from one step to the other


def test_step_2_takes_the_backbone_of_step_1_and_draws_its_own_heads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_pretraining(two_steps(epochs=1), sources=tiny_sources(), folder=tmp_path / "first")
    averaged = ending(first.folder)["state_dict"]
    seen: list[Network] = []

    def look_and_stop(self: Finetuning) -> None:
        seen.append(self.network)
        raise StoppedError

    monkeypatch.setattr(Finetuning, "on_train_start", look_and_stop)
    recipe = tiny_recipe(init_from=str(first.checkpoint))
    with pytest.raises(StoppedError):
        run_finetuning(recipe, sources=tiny_sources(), folder=tmp_path / "second")
    fresh = Network(recipe.network, seed=recipe.train.seed).state_dict()
    for name, value in seen[0].state_dict().items():
        expected = averaged[f"average.{name}"] if name.startswith("backbone.") else fresh[name]
        assert torch.equal(value, expected), name
    assert not torch.equal(averaged["average.backbone.conv1.0.weight"], fresh["backbone.conv1.0.weight"])


def test_step_1_may_start_from_a_classifier(
    finished: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of its encoders begin with that backbone; the rate may be gentler."""
    taught = load_network(finished.checkpoint).network.backbone.state_dict()
    seen: list[Pretraining] = []

    def look_and_stop(self: Pretraining) -> None:
        seen.append(self)
        raise StoppedError

    monkeypatch.setattr(Pretraining, "on_train_start", look_and_stop)
    recipe = two_steps(
        init_from=str(finished.checkpoint), init_rate_share=0.5, learning_rate=0.02, warmup_share=0.0
    )
    with pytest.raises(StoppedError):
        run_pretraining(recipe, sources=tiny_sources(), folder=tmp_path / "run")
    (module,) = seen
    for network in (module.network, module.key_encoder, module.average):
        assert network is not None
        assert same(dict(network.backbone.state_dict()), dict(taught))
    assert module.configure_optimizers()["optimizer"].param_groups[0]["lr"] == pytest.approx(0.01)


def test_finished_step_1_is_reused_where_that_is_asked_for(tmp_path: Path) -> None:
    def go(*, reuse: bool) -> RunResult:
        return run_pretraining(two_steps(epochs=1), sources=tiny_sources(), folder=tmp_path, reuse=reuse)

    first = go(reuse=True)
    before = first.checkpoint.read_bytes()
    again = go(reuse=True)
    assert (again.checkpoint, again.steps) == (first.checkpoint, first.steps)
    with pytest.raises(TrainingError, match="a finished run of 10 steps"):
        go(reuse=False)
    assert first.checkpoint.read_bytes() == before
