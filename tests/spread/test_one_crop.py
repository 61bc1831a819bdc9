from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.drawn_crops import write_crop
from tests.drawn_spreads import tiny_spread_model

from supcam.core.types import ImageError
from supcam.pack.bundle import Model
from supcam.spread.one_crop import analyze_crop


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return tiny_spread_model(tmp_path_factory.mktemp("models") / "tiny")


def test_a_crop_says_what_the_model_says_of_it(model: Model, tmp_path: Path) -> None:
    path = write_crop(tmp_path / "crop.png")
    analysis = analyze_crop(path, model=model)
    (item,) = analysis.objects
    (expected,) = model.predict([path])
    assert item.prediction == expected
    assert analysis.count.n == expected.n_chromosomes
    assert item.mask.sum() == item.area_px > 0
    assert analysis.overlay().shape[:2] == analysis.size


def test_the_square_that_the_network_saw_is_centred_on_the_object(model: Model, tmp_path: Path) -> None:
    (item,) = analyze_crop(write_crop(tmp_path / "crop.png"), model=model).objects
    assert item.seen is not None
    centre = (item.seen.top_px + item.seen.side_px / 2, item.seen.left_px + item.seen.side_px / 2)
    middle = ((item.box.top + item.box.bottom) / 2, (item.box.left + item.box.right) / 2)
    np.testing.assert_allclose(centre, middle, atol=1.0)
    assert item.seen.type_map.shape[0] == 4


def test_what_is_no_picture_is_refused(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "crop.png"
    path.write_bytes(b"no picture")
    with pytest.raises(ImageError):
        analyze_crop(path, model=model)
