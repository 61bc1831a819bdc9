"""Commands that make a model: what they say when they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.commands import run_without, supcam_

from supcam.workflows.terminal import UNUSABLE


@pytest.mark.parametrize("arguments", [["train", "r.toml"], ["export", "c.ckpt"]])
def test_without_torch_the_command_names_the_extra(arguments: list[str]) -> None:
    done = run_without("torch", *arguments, "--output", "out")
    assert done.returncode == UNUSABLE, done.stderr
    assert "pip install" in done.stderr
    assert "supcam[train]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["train", "nowhere.toml"], ["export", "nowhere.ckpt"]])
def test_missing_files_are_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    result = supcam_(*arguments, "--output", tmp_path / "out")
    assert result.exit_code == UNUSABLE, result.output
    assert "supcam: error: " in result.stderr
    assert not (tmp_path / "out").exists()
