"""Commands that make a model: what they say when they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.commands import run_without, supcam_
from tests.drawn_chrcluster import draw_folder, write_recipe

from supcam.workflows.terminal import SOME_FAILED, UNUSABLE


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "r.toml"],
        ["pretrain", "r.toml"],
        ["finetune", "r.toml"],
        ["reproduce", "chrcluster", "--data", "d"],
    ],
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
        ["reproduce", "chrcluster", "--data", "nowhere"],
        ["reproduce", "chrcluster", "--data", ".", "--recipe", "nowhere.toml"],
        ["reproduce", "chrcluster", "--data", ".", "--seeds", "one"],
        ["reproduce", "chrcluster", "--data", ".", "--label-map", "0=heap"],
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
        (
            "reproduce chrcluster",
            ["--data", "--seeds", "--case-rule", "--label-map", "Lin's split", "table.md"],
        ),
    ],
)
def test_help_teaches(command: str, taught: list[str]) -> None:
    result = supcam_(*command.split(), "--help")
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


def test_checked_folder_is_told_and_a_damaged_picture_is_exit_code_1(tmp_path: Path) -> None:
    data, recipe = draw_folder(tmp_path / "chr"), write_recipe(tmp_path / "tiny.toml")
    arguments = ("reproduce", "chrcluster", "--data", data, "--recipe", recipe, "--output", tmp_path / "out")
    labels = "0=touching,1=instance,2=overlapping,3=touching_overlapping"
    told = supcam_(*arguments, "--check-only", "--label-map", labels)
    assert told.exit_code == 0, told.output
    assert "60 pictures by folder: 0 (touching) 24, 1 (instance) 12" in told.stderr
    assert "expected 6,592" in told.stderr
    strict = supcam_(*arguments, "--strict")
    assert strict.exit_code == UNUSABLE
    assert "leave --strict away" in strict.stderr
    next((data / "0").iterdir()).write_bytes(b"no picture")
    damaged = supcam_(*arguments, "--check-only")
    assert damaged.exit_code == SOME_FAILED, damaged.output
    assert "found 1 files that cannot be read, expected none: 0/" in damaged.stderr
    assert not (tmp_path / "out").exists()
