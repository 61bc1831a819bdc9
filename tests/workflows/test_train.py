from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tests.drawn_spreads import write_spread
from tests.interrupted import StoppedError, assert_same_ending, stop_at
from tests.tiny_training import TABLES, tiny_recipe, tiny_sources, two_steps

from supcam.core.types import ConfigError, SupcamError, TrainingError
from supcam.data.manifest import read_manifest
from supcam.learn.batches import TrainingSources
from supcam.learn.checkpoints import FINETUNE, PRETRAIN, is_pretrained, load_network, read_checkpoint
from supcam.learn.recipe import Recipe
from supcam.learn.run import RunResult
from supcam.workflows.analyze import AnalyzePlan, analyze
from supcam.workflows.train import finetune, pretrain, train

ROOT = Path(__file__).resolve().parents[2]
SMOKE = ROOT / "experiments" / "smoke.toml"
SMOKE_SUPCAM = ROOT / "experiments" / "smoke_supcam.toml"


def toml(tables: dict[str, object]) -> str:
    """Tables of plain values as TOML, which writes those values like JSON."""
    lines = []
    for name, table in tables.items():
        assert isinstance(table, dict)
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines)


@pytest.fixture
def config_path(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(toml({**TABLES, "train": tiny_recipe(epochs=1).train.model_dump(exclude_none=True)}))
    return path


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_configuration_file_becomes_a_trained_network(config_path: Path, tmp_path: Path) -> None:
    asked: list[Recipe] = []

    def build(recipe: Recipe) -> TrainingSources:
        asked.append(recipe)
        return tiny_sources()

    result = train(config_path, output=tmp_path / "run", build_sources=build)
    assert asked == [tiny_recipe(epochs=1)]
    assert result.steps == 10
    assert set(result.scores) == {"near", "far"}
    assert load_network(result.checkpoint).recipe == tiny_recipe(epochs=1)


def test_finished_run_is_refused(config_path: Path, tmp_path: Path) -> None:
    def go() -> None:
        train(config_path, output=tmp_path / "run", build_sources=lambda _: tiny_sources())

    go()
    with pytest.raises(TrainingError, match="a finished run of 10 steps"):
        go()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[train]\nlearning_rate = -1", r"train\.learning_rate"),
        ("[network]\nbackbones = 'resnet18'", r"network\.backbones"),
        ("[train", "TOML"),
    ],
)
def test_wrong_configuration_is_refused_before_anything_is_written(
    tmp_path: Path, text: str, named: str
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=named):
        train(path, output=tmp_path / "run", build_sources=lambda _: tiny_sources())
    assert not (tmp_path / "run").exists()


def test_missing_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml"):
        train(tmp_path / "none.toml", output=tmp_path / "run")


def test_roles_are_looked_for_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPCAM_DATA", str(tmp_path))
    path = tmp_path / "recipes" / "bare.toml"
    path.parent.mkdir()
    path.write_text('[data]\nroles = "who-plays-what.csv"')
    with pytest.raises(SupcamError, match=r"recipes.who-plays-what\.csv"):
        train(path, output=tmp_path / "run")


def test_crops_of_an_analysis_are_trained_on(tmp_path: Path) -> None:
    """What ``supcam analyze --crops`` writes is a training set as it lies, with the cases of its pictures."""
    for seed in range(3):
        write_spread(tmp_path / "slides" / f"case{seed}.png", seed=seed)
    found = analyze(AnalyzePlan(named=(str(tmp_path / "slides"),), output=tmp_path / "found", crops=True))
    assert found.n_pictures == 3
    cases = sorted({sample.case for sample in read_manifest(tmp_path / "found" / "crops").samples})
    roles = [f"ours,{case},{role}" for case, role in zip(cases, ("train", "train", "select"), strict=True)]
    (tmp_path / "roles.csv").write_text("\n".join(["source,case,role", *roles, ""]))
    data = f"""
[data]
root = "{tmp_path.as_posix()}"
roles = "roles.csv"
train = ["ours:train"]
debris_share = 0

[data.validation]
select = ["ours:select"]

[data.sources.ours]
source = "ours"
path = "found/crops"

[crop]
size_px = 48
width_px = 7
"""
    path = tmp_path / "ours.toml"
    steps = tiny_recipe(epochs=1).train.model_dump(exclude_none=True)
    path.write_text(toml({**TABLES, "train": steps}) + data)
    result = train(path, output=tmp_path / "run")
    n_select = len(list((tmp_path / "found" / "crops").glob("*/case2*.png")))
    assert n_select > 5
    assert result.scores["select"].n == n_select


# ---- two steps


@pytest.fixture
def two_step_path(tmp_path: Path) -> Path:
    return written(two_steps(), folder=tmp_path)


def written(recipe: Recipe, *, folder: Path) -> Path:
    """The tiny recipe of two steps as a file."""
    path = folder / "two_steps.toml"
    tables = {name: getattr(recipe, name).model_dump(exclude_none=True) for name in ("pretrain", "train")}
    path.write_text(toml({**TABLES, **tables}))
    return path


def go(path: Path, *, output: Path) -> RunResult:
    return train(path, output=output, build_sources=lambda _: tiny_sources())


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """Both steps, uninterrupted."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("both")
    return go(written(two_steps(), folder=folder), output=folder / "run")


def test_both_steps_have_their_folders_and_the_second_starts_from_the_first(both: RunResult) -> None:
    output = both.folder.parent
    assert sorted(item.name for item in output.iterdir()) == ["finetune", "pretrain"]
    first = output / "pretrain" / "checkpoints" / "last.ckpt"
    assert is_pretrained(read_checkpoint(first))
    loaded = load_network(both.checkpoint)
    assert loaded.recipe.pretrain == two_steps().pretrain, "the classifier's checkpoint tells of both"
    assert loaded.recipe.train.init_from == str(first)
    written = json.loads((both.folder / "config.json").read_text(encoding="utf-8"))
    assert written["init_sha256"] == hashlib.sha256(first.read_bytes()).hexdigest()


@pytest.mark.parametrize(("of", "step"), [(PRETRAIN, 17), (FINETUNE, 0), (FINETUNE, 13)])
def test_two_steps_interrupted_in_or_between_them_end_like_the_uninterrupted_ones(
    both: RunResult, two_step_path: Path, tmp_path: Path, of: str, step: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        stop_at(step, monkeypatch=patched, of=of)
        with pytest.raises(StoppedError):
            go(two_step_path, output=tmp_path / "run")
    go(two_step_path, output=tmp_path / "run")
    for name in ("pretrain", "finetune"):
        assert_same_ending(tmp_path / "run" / name, other=both.folder.parent / name)


def test_one_step_after_the_other_ends_like_both_at_once(
    both: RunResult, two_step_path: Path, tmp_path: Path
) -> None:
    first = pretrain(two_step_path, output=tmp_path / "a", build_sources=lambda _: tiny_sources())
    finetune(
        two_step_path, output=tmp_path / "b", start=first.checkpoint, build_sources=lambda _: tiny_sources()
    )
    assert_same_ending(tmp_path / "a", other=both.folder.parent / "pretrain")
    assert_same_ending(tmp_path / "b", other=both.folder)


def test_finished_steps_are_refused_and_left_as_they_are(both: RunResult, two_step_path: Path) -> None:
    before = both.checkpoint.read_bytes()
    with pytest.raises(TrainingError, match="a finished run of 30 steps"):
        go(two_step_path, output=both.folder.parent)
    assert both.checkpoint.read_bytes() == before


def test_folder_of_a_single_run_is_no_folder_for_two_steps(two_step_path: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(TrainingError, match=r"config\.json beside the steps of a run"):
        go(two_step_path, output=tmp_path / "run")


def test_second_step_has_one_start(tmp_path: Path) -> None:
    path = written(two_steps(train={"init_from": "elsewhere.ckpt"}), folder=tmp_path)
    with pytest.raises(ConfigError, match=r"both a table \[pretrain\] and train\.init_from"):
        go(path, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_recipe_without_step_1_cannot_be_pretrained(config_path: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"without a table \[pretrain\]"):
        pretrain(config_path, output=tmp_path / "run", build_sources=lambda _: tiny_sources())


def test_finetuning_without_a_start_is_plain_training(config_path: Path, tmp_path: Path) -> None:
    result = finetune(config_path, output=tmp_path / "run", build_sources=lambda _: tiny_sources())
    assert load_network(result.checkpoint).recipe.train.init_from is None
    assert result.steps == 10


# ---- the committed recipes


def command(*arguments: str | Path) -> subprocess.Popen[str]:
    """``supcam`` at work in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "supcam", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, text=True, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.slow
def test_smoke_configuration_of_two_steps_goes_on_when_it_is_killed_between_them(tmp_path: Path) -> None:
    """By the command itself, on drawn chromosomes: the contrast's loss falls, and the classifier reads."""
    arguments = ("train", SMOKE_SUPCAM, "--output", tmp_path / "run")
    with command(*arguments) as first:
        while first.poll() is None and not (tmp_path / "run" / "finetune" / "config.json").exists():
            time.sleep(0.2)
        first.kill()
        assert first.wait() == -signal.SIGKILL, first.stderr and first.stderr.read()
    with command(*arguments) as second:
        assert second.wait() == 0, second.stderr and second.stderr.read()
    with (tmp_path / "run" / "pretrain" / "metrics.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    full = [line for line in lines if int(line["step"]) > 60]
    assert float(full[-1]["total"]) < 0.95 * float(full[0]["total"])
    with (tmp_path / "run" / "finetune" / "history.csv").open(encoding="utf-8", newline="") as stream:
        epochs = list(csv.DictReader(stream))
    assert float(epochs[-1]["accuracy"]) > 0.4
    assert load_network(tmp_path / "run" / "finetune" / "checkpoints" / "last.ckpt").step == 120


@pytest.mark.slow
def test_smoke_configuration_learns_from_compositions_to_read_drawn_clusters(tmp_path: Path) -> None:
    """By the command itself. Nothing composed is in the validation set; a guess is right in a quarter."""
    done = subprocess.run(
        [sys.executable, "-m", "supcam", "train", str(SMOKE), "--output", str(tmp_path / "smoke")],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with (tmp_path / "smoke" / "history.csv").open(encoding="utf-8", newline="") as stream:
        epochs = list(csv.DictReader(stream))
    assert len(epochs) == 3
    assert int(epochs[-1]["n"]) == 80
    assert float(epochs[-1]["accuracy"]) > 0.5
    assert float(epochs[-1]["cluster_found"]) > 0.8
    assert load_network(tmp_path / "smoke" / "checkpoints" / "last.ckpt").step == 240
