from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedShuffleSplit

from supcam.core.types import ManifestError
from supcam.data.shuffle import shuffle_in_classes


@given(
    counts=st.lists(st.integers(2, 40), min_size=1, max_size=6),
    share=st.floats(0.1, 0.9),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_number_for_number_as_scikit_learn(counts: list[int], share: float, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)) * 3 - 4, counts))
    n_first = max(len(counts), min(round(share * len(labels)), len(labels) - len(counts)))
    theirs = StratifiedShuffleSplit(
        n_splits=1, train_size=n_first, test_size=len(labels) - n_first, random_state=seed
    )
    expected = next(theirs.split(np.zeros(len(labels)), labels))
    for ours, wanted in zip(shuffle_in_classes(labels, n_first=n_first, seed=seed), expected, strict=True):
        np.testing.assert_array_equal(ours, wanted)


@pytest.mark.parametrize("counts", [[], [1, 9], [2, 2, 2]])
def test_what_scikit_learn_refuses_is_refused(counts: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    with pytest.raises(ManifestError, match="rows to divide"):
        shuffle_in_classes(labels, n_first=len(labels) - 2, seed=0)
