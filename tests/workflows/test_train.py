from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.tiny_training import TABLES, tiny_recipe, tiny_sources

from supcam.core.types import ConfigError, SupcamError, TrainingError
from supcam.learn.batches import TrainingSources
from supcam.learn.checkpoints import load_network
from supcam.learn.recipe import Recipe
from supcam.workflows.train import train

ROOT = Path(__file__).resolve().parents[2]
SMOKE = ROOT / "experiments" / "smoke.toml"


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
