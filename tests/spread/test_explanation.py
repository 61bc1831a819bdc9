"""Explanations: cells of shifted looks in their places, and what the margin is of."""

import numpy as np
import pytest
from tests.tiny_bundle import SIZE_PX, write_tiny

from supcam.pack.bundle import Model, load_model
from supcam.spread.explanation import _joined, _steps, explain, stride_of


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("explained") / "bundle"
    write_tiny(folder)
    return load_model(folder, threads=1)


def _square() -> np.ndarray:
    square = np.zeros((SIZE_PX, SIZE_PX), np.float32)
    square[20:44, 28:36] = 1
    return square


def test_the_heat_is_the_margin_of_what_was_read_over_what_stands_against_it(model: Model) -> None:
    (shown,) = explain([_square()], model=model, shifts=1)
    chances = shown.prediction.probabilities
    best = int(np.argmax(chances))
    against = 0 if best else 1 + int(np.argmax(chances[1:]))
    maps = model.logits(_square()[None, None]).type_map[0]
    cells = maps[best] - maps[against]
    stride = stride_of(SIZE_PX, cells=cells.shape[0])
    assert shown.heat.shape == (SIZE_PX, SIZE_PX)
    for i in range(cells.shape[0]):
        assert shown.heat[i * stride, (cells.shape[0] - 1 - i) * stride] == pytest.approx(
            cells[i, cells.shape[0] - 1 - i], abs=1e-5
        )


@pytest.mark.parametrize("shifts", [1, 2, 4])
def test_cells_of_all_looks_lie_where_they_looked(shifts: int) -> None:
    stride, cells, size = 8, 4, 32
    steps = _steps(stride, shifts=shifts)
    rows = np.array([[[[i * stride - down] * cells for i in range(cells)] for _ in steps] for down in steps])
    heat = _joined(rows.reshape(-1, cells, cells).astype(np.float32), steps=steps, stride=stride, size=size)
    inside = np.arange(4, 24)
    assert np.allclose(heat[inside], inside[:, None], atol=0.1)


def test_the_peak_lies_on_the_object(model: Model) -> None:
    (shown,) = explain([_square()], model=model)
    assert shown.body[shown.peak]
    (empty,) = explain([np.zeros((SIZE_PX, SIZE_PX), np.float32)], model=model)
    assert len(empty.peak) == 2


def test_strides_are_powers_of_two() -> None:
    assert stride_of(112, cells=4) == 32
    assert stride_of(64, cells=15) == 4
    assert stride_of(64, cells=2) == 32
