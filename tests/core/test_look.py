from __future__ import annotations

import cv2
import numpy as np
import pytest

from supcam.core.look import LOOK, Reference, distances, look_of


def ribbon(width_px: float = 10.5, *, blur: float = 1.0) -> np.ndarray:
    square = np.zeros((112, 112), np.float32)
    cv2.line(square, (30, 30), (80, 80), 1.0, round(width_px))
    return cv2.GaussianBlur(square, (0, 0), blur)


def of(square: np.ndarray) -> dict[str, float]:
    return dict(zip(LOOK, look_of(square).tolist(), strict=True))


def test_a_look_tells_width_sharpness_and_stain() -> None:
    plain, thick, dull = of(ribbon()), of(ribbon(24)), of(ribbon(blur=4))
    assert np.exp(plain["thickness"]) == pytest.approx(12, abs=3)
    assert thick["thickness"] > plain["thickness"]
    assert dull["strong_edges"] < plain["strong_edges"]
    assert plain["dark"] == pytest.approx(1, abs=0.05)
    assert plain["raggedness"] == pytest.approx(np.log(1.0 + 0.1), abs=0.3)


@pytest.mark.parametrize("level", [0.0, 0.1, 2.5])
def test_an_even_square_has_a_look(level: float) -> None:
    assert np.isfinite(look_of(np.full((112, 112), level, np.float32))).all()


def test_distance_is_that_to_the_nearest_mean(rng: np.random.Generator) -> None:
    looks, means = rng.normal(size=(6, 3)), rng.normal(size=(2, 3))
    root = rng.normal(size=(3, 3))
    precision = root @ root.T + np.eye(3)
    expected = [min(np.sqrt((x - m) @ precision @ (x - m)) for m in means) for x in looks]
    found = distances(looks, means=means, precision=precision)
    np.testing.assert_allclose(found, expected)
    share = Reference(means=means, precision=precision, limit=2.0).unfamiliarity(looks)
    np.testing.assert_allclose(share, found / 2)
