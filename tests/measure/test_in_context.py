from __future__ import annotations

import numpy as np
import pytest

from supcam.core.in_context import MEASURES
from supcam.core.types import SupcamError
from supcam.measure.in_context import LEAST_OBJECTS, MOST, BoxedObjects, fit_in_context


def objects(n: int, *, most: int, seed: int = 0) -> BoxedObjects:
    """Objects whose first measure tells their number, but for some noise; the others tell nothing."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, most + 1, size=n)
    measures = rng.normal(size=(n, len(MEASURES)))
    measures[:, 0] = numbers + 0.2 * rng.normal(size=n)
    measures[:, 1] = 3.0
    return BoxedObjects(measures, numbers)


def test_other_objects_of_the_same_kind_are_read_rightly() -> None:
    reader = fit_in_context(objects(2000, most=3))
    others = objects(500, most=3, seed=1)
    assert (reader.chances(others.measures).argmax(axis=1) == others.numbers).mean() > 0.95
    assert np.isfinite(reader.weights).all(), (
        "a measure that never changes has a weight, and no harm comes of it"
    )


def test_numbers_from_the_last_class_on_are_one() -> None:
    assert len(fit_in_context(objects(2000, most=12)).intercepts) == MOST + 1
    rare = objects(1000, most=4)
    rare.numbers[:3] = 9
    assert len(fit_in_context(rare).intercepts) == 5, "three objects are no class"


def test_the_same_objects_give_the_same_weights() -> None:
    one, other = (fit_in_context(objects(600, most=4)) for _ in range(2))
    np.testing.assert_array_equal(one.weights, other.weights)


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (objects(LEAST_OBJECTS - 1, most=3), f"{LEAST_OBJECTS - 1} objects"),
        (objects(1000, most=2), "0 with three or more"),
        (
            BoxedObjects(objects(1000, most=4).measures, np.maximum(1, objects(1000, most=4).numbers)),
            "0 without a chromosome",
        ),
    ],
)
def test_too_few_objects_are_an_error(found: BoxedObjects, what: str) -> None:
    with pytest.raises(SupcamError, match=what):
        fit_in_context(found)
