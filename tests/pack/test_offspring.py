from __future__ import annotations

from pathlib import Path

from tests.drawn_decisions import trainable_bundle
from tests.pack.test_before_after import comparison

from supcam.pack.folder import read_folder
from supcam.pack.offspring import Parentage, export_offspring, write_offspring
from supcam.pack.restore import restore, write_checkpoint


def test_a_child_names_its_parent_and_keeps_its_heads_and_thresholds(tmp_path: Path) -> None:
    restored = restore(trainable_bundle(tmp_path / "old"))
    start = write_checkpoint(restored, path=tmp_path / "start.ckpt")
    files = restored.files
    parentage = Parentage(
        parent=files.card, calibration=files.calibration, learnt="decisions on 3 objects", sha256="d" * 64
    )
    export_offspring(start, output=tmp_path / "unscored", parentage=parentage)
    card = write_offspring(tmp_path / "unscored", output=tmp_path / "new", comparison=comparison())
    assert card.heads_trained == files.card.heads_trained
    assert card.all_sides_below == files.card.all_sides_below == 0.5
    assert card.data.hashes["parent weights"] == files.card.model_sha256
    assert card.version == f"1.0.0+decisions.{'d' * 8}"
    assert card.figures[0].value == 0.75
    assert "0.500 on the same objects" in card.figures[0].note
    assert read_folder(tmp_path / "new").calibration == files.calibration
