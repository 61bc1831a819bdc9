from __future__ import annotations

from pathlib import Path

from tests.drawn_decisions import trainable_bundle, write_export

from supcam.data.decided import read_decided, unpacked
from supcam.pack.bundle import load_model
from supcam.pack.judging import judge


def test_a_model_against_itself_changes_nothing(tmp_path: Path) -> None:
    model = load_model(trainable_bundle(tmp_path / "b"), threads=1)
    with unpacked(write_export(tmp_path / "d.zip", n_cases=2)) as folder:
        judged = judge(model, model, held_out=read_decided(folder), seed=0)
    assert (judged.test.n_became_right, judged.test.n_became_wrong, judged.test.p_value) == (0, 0, 1.0)
    assert judged.figures[0].name == "accuracy of the four types"
    assert all(change.difference in (0.0, None) for change in judged.figures)
    assert "rejected of 2" in judged.figures[-1].name
