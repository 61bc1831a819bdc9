"""Commands that make a model: what they say when they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.commands import run_without, supcam_

from supcam.workflows.terminal import UNUSABLE


@pytest.mark.parametrize(
    "arguments",
    [["train", "r.toml"], ["pretrain", "r.toml"], ["finetune", "r.toml"], ["export", "c.ckpt"]],
)
def test_without_torch_the_command_names_the_extra(arguments: list[str]) -> None:
    done = run_without("torch", *arguments, "--output", "out")
    assert done.returncode == UNUSABLE, done.stderr
    assert "pip install" in done.stderr
    assert "supcam[train]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "nowhere.toml"],
        ["pretrain", "nowhere.toml"],
        ["finetune", "nowhere.toml", "--from", "nowhere.ckpt"],
        ["export", "nowhere.ckpt"],
    ],
)
def test_missing_files_are_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    result = supcam_(*arguments, "--output", tmp_path / "out")
    assert result.exit_code == UNUSABLE, result.output
    assert "supcam: error: " in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("command", "taught"),
    [
        ("train", ["[pretrain]", "Step 1", "Step 2", "it goes on where it stood", "supcam export"]),
        ("pretrain", ["[pretrain]", "supcam finetune", "nearest mean", "metrics.csv"]),
        ("finetune", ["[train]", "--from", "probe", "layer_decay"]),
    ],
)
def test_help_teaches(command: str, taught: list[str]) -> None:
    result = supcam_(command, "--help")
    assert result.exit_code == 0
    told = " ".join(result.output.split())
    assert [words for words in taught if words not in told] == []


def test_recipe_without_step_1_is_exit_code_2(tmp_path: Path) -> None:
    recipe = tmp_path / "one.toml"
    recipe.write_text("[data.drawn]\ncases = 1\nvalidation_cases = 1\n")
    result = supcam_("pretrain", recipe, "--output", tmp_path / "out")
    assert result.exit_code == UNUSABLE, result.output
    assert "without a table [pretrain]" in result.stderr
    assert not (tmp_path / "out").exists()


def test_finetuning_from_nowhere_is_exit_code_2(tmp_path: Path) -> None:
    recipe = tmp_path / "one.toml"
    recipe.write_text("[data.drawn]\ncases = 1\nvalidation_cases = 1\n")
    result = supcam_("finetune", recipe, "--from", tmp_path / "none.ckpt", "--output", tmp_path / "out")
    assert result.exit_code == UNUSABLE, result.output
    assert "none.ckpt" in result.stderr
    assert not (tmp_path / "out").exists()
