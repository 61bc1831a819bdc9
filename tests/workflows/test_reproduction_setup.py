from __future__ import annotations

import json
from pathlib import Path

import pytest

from supcam.core.types import TrainingError
from supcam.workflows.reproduction_setup import claim_output

SETUP = {"recipe": {"train": {"epochs": 1}}, "pictures_sha256": "a"}


def test_new_folder_is_claimed_and_known_again(tmp_path: Path) -> None:
    claim_output(tmp_path / "out", setup=SETUP)
    assert json.loads((tmp_path / "out" / "setup.json").read_text(encoding="utf-8")) == SETUP
    claim_output(tmp_path / "out", setup=SETUP)


def test_folder_of_another_setup_is_refused_by_what_differs(tmp_path: Path) -> None:
    claim_output(tmp_path / "out", setup=SETUP)
    with pytest.raises(TrainingError, match="begun with another pictures_sha256"):
        claim_output(tmp_path / "out", setup=SETUP | {"pictures_sha256": "b"})
    (tmp_path / "out" / "setup.json").write_text("no json")
    with pytest.raises(TrainingError, match="choose another output"):
        claim_output(tmp_path / "out", setup=SETUP)


def test_folder_of_other_things_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(TrainingError, match="begun with another"):
        claim_output(tmp_path, setup=SETUP)
    assert [item.name for item in tmp_path.iterdir()] == ["letter.txt"]
