from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.tiny_bundle import SIZE_PX, write_tiny

from supcam.core.look import LOOK, look_of
from supcam.core.types import ClusterType, Decision, Sample, SupcamError
from supcam.measure.familiarity import KnownLooks, fit_familiarity
from supcam.pack.bundle import Model, load_model
from supcam.pack.card import Calibration
from supcam.pack.looks import LOOKS_TABLE, read_looks, with_familiarity, write_looks
from supcam.pack.scoring import Prepared, predict


@pytest.fixture(scope="module")
def squares() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.random((SIZE_PX, SIZE_PX), dtype=np.float32) for _ in range(120)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, squares: list[np.ndarray]) -> Model:
    """A model that knows noise."""
    looks = np.stack([look_of(square) for square in squares])
    known = KnownLooks(looks=looks, types=np.zeros(120, np.int64), roles=("train",) * 120)
    calibration = with_familiarity(
        Calibration(accept_threshold=0.0), found=fit_familiarity(known, held_out=known)
    )
    folder = tmp_path_factory.mktemp("model") / "tiny"
    write_tiny(folder, calibration=calibration)
    return load_model(folder, threads=1)


def test_what_is_unlike_all_that_is_known_goes_to_review(model: Model, squares: list[np.ndarray]) -> None:
    strange = np.zeros((SIZE_PX, SIZE_PX), np.float32)
    strange[20:40, 20:40] = 1
    known, other = model.predict_squares([squares[0], strange])
    assert known.unfamiliarity is not None
    assert known.unfamiliarity < 1
    assert (known.decision, other.decision) == (Decision.ACCEPT, Decision.REVIEW)
    assert other.unfamiliarity is not None
    assert other.unfamiliarity > 1


def test_a_model_without_a_reference_says_nothing(model: Model, squares: list[np.ndarray]) -> None:
    bare = replace(model, calibration=Calibration(accept_threshold=0.0))
    assert bare.predict_squares(squares[:1])[0].unfamiliarity is None
    assert bare.predict_squares([]) == []


def test_looks_survive_the_table(model: Model, squares: list[np.ndarray], tmp_path: Path) -> None:
    samples = [Sample(path=tmp_path / f"{n}.png", case="c", source="s") for n in range(3)]
    prepared = [Prepared(*pair) for pair in zip(samples, squares[:3], strict=True)]
    scored = [*predict(prepared, model=model, read=model.read_crops)]
    rejected = replace(scored[2], prediction=replace(scored[2].prediction, label=None))
    write_looks([*scored[:2], rejected], fold="select", path=tmp_path / LOOKS_TABLE)
    found = read_looks([tmp_path, tmp_path])
    assert found.roles == ("select",) * 4
    assert found.looks.shape == (4, len(LOOK))
    np.testing.assert_allclose(found.looks[0], look_of(squares[0]), rtol=1e-5, atol=1e-6)
    assert ClusterType(int(found.types[1])) is scored[1].prediction.label


@pytest.mark.parametrize("content", ["path\nx\n", "fold,read_as,area\nselect,instance,1\n"])
def test_a_folder_without_looks_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / LOOKS_TABLE).write_text(content)
    with pytest.raises(SupcamError, match="no table of looks"):
        read_looks([tmp_path])
