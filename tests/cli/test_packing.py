"""Commands that pack models: what they say when they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.commands import run_without, supcam_
from tests.drawn_decisions import trainable_bundle

from supcam.workflows.packing import Form
from supcam.workflows.terminal import UNUSABLE


@pytest.mark.parametrize(
    "arguments", [["export", "c.ckpt"], ["join", "one.ckpt", "two.ckpt"], ["average", "one.ckpt"]]
)
def test_without_torch_the_command_names_the_extra(arguments: list[str]) -> None:
    done = run_without("torch", *arguments, "--output", "out")
    assert done.returncode == UNUSABLE, done.stderr
    assert "pip install" in done.stderr
    assert "supcam[train]" in done.stderr
    assert "Traceback" not in done.stderr


def test_weights_of_another_kind_are_refused() -> None:
    result = supcam_("export", "c.ckpt", "--output", "out", "--weights", "int4")
    assert result.exit_code == UNUSABLE
    assert "int8" in result.output


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("export", ["int8", "--compare", "never overwritten"]),
        ("join", ["mean of what they say", "supcam export"]),
        ("average", ["same weights", "supcam join"]),
    ],
)
def test_help_teaches(command: str, told: list[str]) -> None:
    words = " ".join(supcam_(command, "--help").output.split())
    for each in told:
        assert each in words


def test_a_model_folder_is_packed_for_another_library(tmp_path: Path) -> None:
    bundle = trainable_bundle(tmp_path / "b")
    done = supcam_("export", bundle, "--format", "safetensors", "--output", tmp_path / "hub")
    assert done.exit_code == 0
    assert f"{tmp_path / 'hub'}: " in done.output
    assert (tmp_path / "hub" / "model.safetensors").is_file()
    again = supcam_("export", bundle, "--output", tmp_path / "hub2")
    assert again.exit_code == UNUSABLE
    assert "another --format" in again.output


def test_help_names_every_form() -> None:
    told = supcam_("export", "--help").output
    assert all(form.value in told for form in Form)
