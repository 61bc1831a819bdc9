"""Commands that say how good a model is: what they say when they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.commands import run_without, supcam_

from supcam.workflows.terminal import UNUSABLE


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("matplotlib", ["evaluate", "m", "l.csv", "--output", "s"]),
        ("sklearn", ["fit-context", "m", "a", "--output", "s"]),
    ],
)
def test_without_its_package_the_command_names_the_extra(package: str, arguments: list[str]) -> None:
    done = run_without(package, *arguments)
    assert done.returncode == UNUSABLE, done.stderr
    assert "pip install" in done.stderr
    assert "supcam[measure]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["evaluate", "nowhere", "nowhere.csv"], ["pool", "nowhere"], ["fit-context", "nowhere", "nowhere"]],
)
def test_missing_files_are_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    result = supcam_(*arguments, "--output", tmp_path / "out")
    assert result.exit_code == UNUSABLE, result.output
    assert "supcam: error: " in result.stderr
    assert not (tmp_path / "out").exists()


def test_label_map_that_cannot_be_read_is_exit_code_2(tmp_path: Path) -> None:
    result = supcam_("evaluate", tmp_path, tmp_path, "--label-map", "0=heap", "--output", tmp_path / "out")
    assert result.exit_code == UNUSABLE, result.output
    assert "'heap' is not a cluster type" in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()
