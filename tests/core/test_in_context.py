from __future__ import annotations

import numpy as np

from supcam.core.in_context import MEASURES, Softmax, columns_of

N = len(MEASURES)


def softmax(*, seed: int = 0, n_numbers: int = 4) -> Softmax:
    rng = np.random.default_rng(seed)
    return Softmax(
        mean=rng.normal(size=N),
        scale=rng.uniform(0.5, 2, size=N),
        weights=rng.normal(size=(n_numbers, 2 * N)),
        intercepts=rng.normal(size=n_numbers),
    )


def test_chances_are_those_of_plain_loops() -> None:
    reader = softmax()
    measures = np.random.default_rng(1).normal(size=(5, N))
    for row, found in zip(measures, reader.chances(measures), strict=True):
        z = [min(4.0, max(-4.0, (row[k] - reader.mean[k]) / reader.scale[k])) for k in range(N)]
        columns = [*z, *(each**2 for each in z)]
        logits = [
            reader.intercepts[n] + sum(w * c for w, c in zip(reader.weights[n], columns, strict=True))
            for n in range(4)
        ]
        likely = np.exp(np.array(logits) - max(logits))
        np.testing.assert_allclose(found, likely / likely.sum(), rtol=1e-9)


def test_what_is_far_outside_counts_no_more_than_what_is_far() -> None:
    mean, scale = np.zeros(N), np.ones(N)
    far, farther = (columns_of(np.full((1, N), size), mean=mean, scale=scale) for size in (4.0, 1e9))
    np.testing.assert_array_equal(far, farther)


def test_no_object_has_no_chances() -> None:
    assert softmax().chances(np.zeros((0, N))).shape == (0, 4)
